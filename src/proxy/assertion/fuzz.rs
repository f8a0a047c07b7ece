//! Entry points for fuzzing: pure functions from bytes that assert what must hold.

use super::{ALGORITHMS, RawAssertion, Verifier, claims, header};
use crate::config::{IssuerConfig, IssuerProfile, JwksSource, ReplayMode};
use crate::jwks::{KeySet, KeySource};
use crate::types::{HostName, IssuerId, ManualClock, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The lab's public key (recordings/pomerium/01b-jwks.json); its private half is kept nowhere.
pub(super) const JWKS: &str = r#"{"keys":[{"use":"sig","kty":"EC","kid":"fa1910a4522ebb365bebc984853008aaa81032669f709a2eb4c7cd489c6cdfd0","crv":"P-256","alg":"ES256","x":"QZ1isxdw6i8ddrdUBawGZq0Mo1N4ppbkfBA_L5VPsyQ","y":"joIRO7-Tx5D1Bm-2aq3n6kouWTox1qUIxLqYV6VsQmI"}]}"#;

/// Any bytes as a token: whatever verifies was signed, so that its bytes are one recorded token.
pub fn fuzz_assertion(data: &[u8]) {
    let _ = header::split(data);
    let (Some((verifier, host)), Ok(text)) = (verifier(), std::str::from_utf8(data)) else {
        return;
    };
    let Ok(raw) = RawAssertion::from_text(text) else {
        return;
    };
    if let Ok(verified) = verifier.verify(&raw, &host) {
        assert!(!verified.subject().as_str().is_empty() && !verified.sid().as_str().is_empty());
    }
}

fn verifier() -> Option<(Verifier, HostName)> {
    let host = HostName::new("chat.localhost.test").ok()?;
    let clock = Arc::new(ManualClock::at(Timestamp(1_795_247_678)));
    let config = config().ok()?;
    let set = KeySet::parse(JWKS.as_bytes(), ALGORITHMS).ok()?;
    let keys = KeySource::fixed(config.id.clone(), set, clock.clone());
    Some((Verifier::new(&config, keys, clock, 65_536), host))
}

/// Any bytes as a payload: no panic, and whatever is read was JSON to its last byte.
pub fn fuzz_claims(data: &[u8]) {
    if claims::read(data).is_ok() {
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok());
    }
    let _ = header::read(data);
}

/// Any bytes as a key set.
pub fn fuzz_jwks(data: &[u8]) {
    if let Ok(set) = KeySet::parse(data, ALGORITHMS) {
        assert!(!set.is_empty());
    }
}

/// The defaults of `[[issuers]]`.
pub(super) fn config() -> Result<IssuerConfig, crate::types::InvalidId> {
    Ok(IssuerConfig {
        id: IssuerId::new("pomerium")?,
        profile: IssuerProfile::Pomerium,
        jwks: JwksSource::File(PathBuf::new()),
        refresh: Duration::from_secs(60),
        cooldown: Duration::from_secs(10),
        stale_limit: Duration::from_secs(86_400),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(600),
        replay: ReplayMode::Enforce,
        replay_entries: 262_144,
    })
}

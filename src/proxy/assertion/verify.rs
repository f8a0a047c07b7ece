//! [`Verifier`]: the checks in their order, for one issuer.

use super::header::{self, malformed, unreadable};
use super::{Assertion, RawAssertion, Verified, claims, issuer};
use crate::config::{IssuerConfig, IssuerProfile};
use crate::error::{Code, Refusal};
use crate::jwks::compact::Parts;
use crate::jwks::{Key, KeySet, KeySource};
use crate::types::{Clock, HostName, IssuerId, Timestamp};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// Verifies the assertions of one issuer: about 40 µs each, of which 39 are the one signature.
pub struct Verifier {
    issuer: Arc<IssuerId>,
    profile: IssuerProfile,
    leeway: Duration,
    max_lifetime: Duration,
    max_bytes: usize,
    keys: Arc<KeySource>,
    clock: Arc<dyn Clock>,
    /// Two independent keys of this process, so that nobody can aim at a `jti` hash.
    hashers: [RandomState; 2],
}

impl Verifier {
    /// A verifier for one issuer. `max_bytes` is `limits.assertion`.
    #[must_use]
    pub fn new(
        config: &IssuerConfig,
        keys: Arc<KeySource>,
        clock: Arc<dyn Clock>,
        max_bytes: usize,
    ) -> Self {
        Self {
            issuer: Arc::new(config.id.clone()),
            profile: config.profile,
            leeway: config.leeway,
            max_lifetime: config.max_lifetime,
            max_bytes,
            keys,
            clock,
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Verifies one assertion for the app at `host`, with the keys at hand.
    ///
    /// # Errors
    /// With one code for each thing that can be wrong. [`Code::AssertionAnonymous`] is validly
    /// signed and says that nobody is signed in (T5).
    pub fn verify(
        &self,
        raw: &RawAssertion,
        host: &HostName,
    ) -> Result<Verified<Assertion>, Refusal> {
        let token = raw.as_bytes();
        if token.is_empty() {
            return malformed("empty: Pomerium could not sign, its signing_key is unusable");
        }
        if token.len() > self.max_bytes {
            return Err(Refusal::new(
                Code::AssertionOversize,
                "longer than limits.assertion",
            ));
        }
        let parts = header::split(token)?;
        let now = self.clock.now();
        let keys = (self.keys.current(now))
            .map_err(|why| Refusal::new(Code::AssertionKeysUnavailable, why.0))?;
        check_signature(&keys, &parts)?;
        drop(keys);

        let payload = parts.payload().map_err(unreadable)?;
        self.read(&payload, host, now)
            .map(|inner| Verified { inner })
    }

    /// As [`Self::verify`]; a key that is not at hand is asked for, at most once per cooldown and
    /// in one flight for all who wait (T8, T9).
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_refetching(
        &self,
        raw: &RawAssertion,
        host: &HostName,
    ) -> Result<Verified<Assertion>, Refusal> {
        let seen = self.keys.ended();
        let refusal = match self.verify(raw, host) {
            Ok(verified) => return Ok(verified),
            Err(refusal) => refusal,
        };
        let keys_may_help = matches!(
            refusal.code,
            Code::AssertionUnknownKey | Code::AssertionKeysUnavailable
        );
        if keys_may_help && Box::pin(self.keys.refetch(seen)).await {
            return self.verify(raw, host);
        }
        Err(refusal)
    }

    /// The claims' rules. Private: a payload alone proves nothing.
    fn read(&self, payload: &[u8], host: &HostName, now: Timestamp) -> Result<Assertion, Refusal> {
        let claims = claims::read(payload)
            .map_err(|_| wrong("the payload is no claims set of the expected types"))?;
        issuer::check(self.profile, &claims, host)?;
        let (issued, expires) = self.check_times(&claims, now)?;

        let sub = claims
            .sub
            .as_deref()
            .ok_or_else(|| wrong("sub is missing"))?;
        if claims.user.as_deref().is_some_and(|user| user != sub) {
            return Err(wrong("user and sub differ"));
        }
        // Public routes and preflights: a valid signature about nobody (recordings 03, 03b).
        if sub.is_empty() {
            return Err(Refusal::new(Code::AssertionAnonymous, "sub is empty"));
        }
        let jti_hash = match claims.jti.as_deref() {
            None | Some("") => return Err(wrong("jti is missing")),
            Some(jti) => self.hash(jti),
        };
        Assertion::new(&self.issuer, claims, issued, expires, jti_hash)
    }

    fn check_times(
        &self,
        claims: &claims::Claims<'_>,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), Refusal> {
        let (Some(iat), Some(exp)) = (claims.iat, claims.exp) else {
            return Err(wrong("iat or exp is missing"));
        };
        let (iat, exp) = (Timestamp(iat), Timestamp(exp));
        if exp <= iat || exp.since(iat) > self.max_lifetime {
            return Err(Refusal::new(
                Code::AssertionLifetime,
                "exp - iat is not above zero and at most max_lifetime",
            ));
        }
        if exp + self.leeway <= now {
            return Err(Refusal::new(Code::AssertionExpired, "exp has passed"));
        }
        let latest = now + self.leeway;
        if iat > latest || claims.nbf.is_some_and(|nbf| Timestamp(nbf) > latest) {
            return Err(Refusal::new(
                Code::AssertionNotYetValid,
                "iat or nbf is in the future",
            ));
        }
        Ok((iat, exp))
    }

    fn hash(&self, jti: &str) -> [u8; 16] {
        let mut hash = [0; 16];
        for (half, hasher) in hash.chunks_exact_mut(8).zip(&self.hashers) {
            half.copy_from_slice(&hasher.hash_one(jti).to_ne_bytes());
        }
        hash
    }
}

/// Finds the key that the header names and lets it judge the signature.
fn check_signature(keys: &KeySet, parts: &Parts<'_>) -> Result<(), Refusal> {
    if let Some(key) = keys.find_by_header(parts.header) {
        return check_with(key, parts);
    }
    let header = header::read(parts.header)?;
    let Some(key) = keys.find(&header.kid) else {
        return Err(Refusal::new(
            Code::AssertionUnknownKey,
            "no key of the set has this kid",
        ));
    };
    // RFC 8725 §3.1: the key says which algorithm, the token only agrees.
    if key.algorithm() != header.algorithm {
        return Err(Refusal::new(
            Code::AssertionAlgorithm,
            "alg is not the key's",
        ));
    }
    check_with(key, parts)?;
    key.remember(parts.header);
    Ok(())
}

fn check_with(key: &Key, parts: &Parts<'_>) -> Result<(), Refusal> {
    let signature = parts.signature().map_err(unreadable)?;
    if key.verifies(parts.signed, &signature) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::AssertionSignature,
        "the key does not verify it",
    ))
}

fn wrong(reason: &'static str) -> Refusal {
    Refusal::new(Code::AssertionClaims, reason)
}

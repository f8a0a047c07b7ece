//! What stations 1 and 3 cost per request: `cargo bench --bench assertion`.
//!
//! Prints nanoseconds per operation, the best of several batches, since neighbours on the machine
//! can only make a batch worse. "all but the signature" is what this code can be blamed for.

use auth_manager::config::{IssuerConfig, IssuerProfile, JwksSource, Limits, ReplayMode};
use auth_manager::jwks::{KeySet, KeySource};
use auth_manager::proxy::assertion::{ALGORITHMS, RawAssertion, ReplayTable, Verifier};
use auth_manager::proxy::edge;
use auth_manager::types::{Clock, HostName, IssuerId, SystemClock};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Method, Request};
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HOST: &str = "chat.example.com";
const BATCH: usize = 1000;
const BATCHES: usize = 10;

fn main() {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let tokens: Vec<String> = (0..BATCH).map(|n| token(&key, n)).collect();
    let raws: Vec<_> = tokens
        .iter()
        .map(|token| RawAssertion::from_text(token).expect("a header value"))
        .collect();
    let verifier = verifier(&key);
    let host = HostName::new(HOST).expect("a host");
    println!("assertion of {} bytes with ten groups", tokens[0].len());

    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref())
        .expect("a public key");
    let signed: Vec<_> = tokens
        .iter()
        .map(|token| {
            let (signed, signature) = token.rsplit_once('.').expect("a signature");
            (
                signed,
                URL_SAFE_NO_PAD.decode(signature).expect("base64url"),
            )
        })
        .collect();
    let bare = best(
        "one bare ES256 verification",
        || &signed,
        |(signed, signature)| {
            public
                .verify_sig(signed.as_bytes(), signature)
                .expect("valid");
        },
    );
    let whole = best(
        "assertion: verify",
        || &raws,
        |raw| {
            black_box(verifier.verify(raw, &host).expect("valid"));
        },
    );
    let clean = best(
        "edge: clean",
        || heads(&tokens),
        |head| {
            black_box(edge::clean(head, &LIMITS).expect("clean"));
        },
    );
    let verified: Vec<_> = raws
        .iter()
        .map(|raw| verifier.verify(raw, &host).expect("valid"))
        .collect();
    let table = ReplayTable::new(ReplayMode::Enforce, 262_144, Duration::from_secs(30));
    let now = SystemClock.now();
    let replay = best(
        "assertion: replay check",
        || &verified,
        |verified| {
            black_box(table.check(verified, &Method::GET, "/api/v4/users/me", now));
        },
    );
    let ours = (clean + whole + replay).saturating_sub(bare);
    println!("{:<32} {:>8} ns", "all but the signature", ours.as_nanos());
}

/// Runs `work` on each item of fresh batches and prints the best batch's time per item.
fn best<I: IntoIterator>(
    name: &str,
    mut batch: impl FnMut() -> I,
    mut work: impl FnMut(I::Item),
) -> Duration {
    let per_item = (0..BATCHES)
        .map(|_| {
            let items = batch();
            let start = Instant::now();
            items.into_iter().for_each(&mut work);
            start.elapsed() / BATCH as u32
        })
        .min()
        .unwrap_or_default();
    println!("{name:<32} {:>8} ns", per_item.as_nanos());
    per_item
}

/// Heads as recorded behind Pomerium (`tests/data/recordings/pomerium/01-logged-in-get.json`).
fn heads(tokens: &[String]) -> Vec<Parts> {
    let head = |token: &String| {
        let request = Request::builder()
            .uri("/api/v4/users/me?a=b%20c")
            .header("host", HOST)
            .header(
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0",
            )
            .header(
                "accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            )
            .header("accept-language", "en-US,en;q=0.9")
            .header("accept-encoding", "gzip, deflate, br")
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-dest", "empty")
            .header("x-requested-with", "XMLHttpRequest")
            .header("x-csrf-token", "b7u8xk3x5tg8tnqk6mq5h1y6wo")
            .header("x-forwarded-for", "192.0.2.2")
            .header("x-forwarded-proto", "https")
            .header("x-envoy-internal", "true")
            .header("x-request-id", "4b626478-d4b7-4110-bc0f-3222dd0e6ef3")
            .header("x-pomerium-claim-email-verified", "true")
            .header("x-pomerium-claim-username", "alice")
            .header("x-pomerium-jwt-assertion", token)
            .header(
                "cookie",
                "MMAUTHTOKEN=abc123; MMUSERID=x; MMCSRF=y; theme=dark",
            );
        request.body(()).expect("a request").into_parts().0
    };
    tokens.iter().map(head).collect()
}

fn token(key: &EcdsaKeyPair, n: usize) -> String {
    let now = SystemClock.now().0;
    let groups: Vec<_> = (0..10).map(|g| format!("\"team-group-{g:03}\"")).collect();
    let claims = format!(
        r#"{{"aud":"{HOST}","email":"user{n:05}@example.com","exp":{},"groups":[{}],"iat":{now},"iss":"{HOST}","jti":"20efa641-e570-4ac9-b0a5-{n:012}","name":"User Number {n:05}","sid":"5e551d00-0000-4000-8000-{n:012}","sub":"50b00000-0000-4000-8000-{n:012}","user":"50b00000-0000-4000-8000-{n:012}"}}"#,
        now + 300,
        groups.join(","),
    );
    let header = r#"{"alg":"ES256","kid":"key-1","typ":"JWT"}"#;
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let signature = key
        .sign(&SystemRandom::new(), signed.as_bytes())
        .expect("a signature");
    format!("{signed}.{}", b64(signature.as_ref()))
}

fn verifier(key: &EcdsaKeyPair) -> Verifier {
    let config = IssuerConfig {
        id: IssuerId::new("pomerium").expect("an id"),
        profile: IssuerProfile::Pomerium,
        jwks: JwksSource::File(PathBuf::new()),
        refresh: Duration::from_secs(60),
        cooldown: Duration::from_secs(10),
        stale_limit: Duration::from_secs(86_400),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(600),
        replay: ReplayMode::Enforce,
        replay_entries: 262_144,
    };
    let point = key.public_key().as_ref();
    let jwks = format!(
        r#"{{"keys":[{{"use":"sig","kty":"EC","kid":"key-1","crv":"P-256","alg":"ES256","x":"{}","y":"{}"}}]}}"#,
        URL_SAFE_NO_PAD.encode(&point[1..33]),
        URL_SAFE_NO_PAD.encode(&point[33..65]),
    );
    let set = KeySet::parse(jwks.as_bytes(), ALGORITHMS).expect("a key set");
    let clock = Arc::new(SystemClock);
    let keys = KeySource::fixed(config.id.clone(), set, clock.clone());
    Verifier::new(&config, keys, clock, 65_536)
}

const LIMITS: Limits = Limits {
    head: 196_608,
    assertion: 65_536,
    head_timeout: Duration::from_secs(30),
    connections: 20_000,
    drain: Duration::from_secs(30),
    notice: Duration::ZERO,
};

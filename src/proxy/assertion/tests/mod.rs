//! The station's tests; test names begin with the threat they answer.

mod claims_rules;
mod recorded;
mod sources;
mod tokens;

use super::fuzz::config;
use super::*;
use crate::error::{Code, Refusal};
use crate::jwks::{KeySet, KeySetError, KeySource};
use crate::types::{HostName, ManualClock, Timestamp};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: i64 = 1_795_247_678;

/// An issuer as Pomerium is one: a P-256 key and its JWKS.
pub(super) struct Issuer {
    key: EcdsaKeyPair,
    pub(super) kid: &'static str,
}

impl Issuer {
    pub(super) fn new(kid: &'static str) -> Self {
        let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, &SystemRandom::new()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(alg, pkcs8.as_ref()).unwrap();
        Self { key, kid }
    }

    pub(super) fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({
            "use": "sig", "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.kid,
            "x": b64(&point[1..33]), "y": b64(&point[33..65]),
        })
    }

    pub(super) fn jwks(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    pub(super) fn header(&self) -> String {
        format!(r#"{{"alg":"ES256","kid":"{}","typ":"JWT"}}"#, self.kid)
    }

    /// Signs exactly these bytes.
    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", b64(header), b64(payload));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", b64(signature.as_ref()))
    }

    /// A good token with some claims changed; `null` takes one away.
    pub(super) fn token(&self, changes: Value) -> String {
        let mut claims = json!({
            "aud": "chat.example.com", "iss": "chat.example.com",
            "iat": NOW - 1, "exp": NOW + 299, "jti": "20efa641-e570-4ac9-b0a5-0a029141d54d",
            "sub": "alice", "user": "alice", "sid": "sid-1",
            "email": "alice@example.test", "email_verified": "true", "name": "Alice",
            "preferred_username": "alice", "groups": ["mattermost-users", "team-red"],
        });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        self.sign(&self.header(), &claims.to_string())
    }
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A verifier that knows `jwks`, at `NOW` unless its clock is moved.
struct Desk {
    verifier: Verifier,
    clock: Arc<ManualClock>,
    host: HostName,
}

impl Desk {
    fn new(jwks: &str) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp(NOW)));
        let config = config().unwrap();
        let set = KeySet::parse(jwks.as_bytes(), ALGORITHMS).unwrap();
        let keys = KeySource::fixed(config.id.clone(), set, clock.clone());
        Self {
            verifier: Verifier::new(&config, keys, clock.clone(), 65_536),
            clock,
            host: HostName::new("chat.example.com").unwrap(),
        }
    }

    fn read(&self, token: &str) -> Result<Verified<Assertion>, Refusal> {
        self.verifier
            .verify(&RawAssertion::from_text(token).unwrap(), &self.host)
    }

    fn refusal(&self, token: &str) -> Code {
        self.read(token).unwrap_err().code
    }
}

/// An issuer and a verifier that trusts it.
fn pair() -> (Issuer, Desk) {
    let issuer = Issuer::new("key-1");
    let desk = Desk::new(&issuer.jwks());
    (issuer, desk)
}

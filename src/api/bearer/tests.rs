//! Tokens that must and must not be believed; names begin with the threat they answer.

use super::*;
use crate::config::{ApiIssuerConfig, ApiIssuerProfile, BearerAlgorithm, JwksSource, TokenTyp};
use crate::jwks::{KeySet, KeySource};
use crate::types::{ManualClock, Timestamp};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

const NOW: i64 = 1_795_247_678;
const API: &str = "https://api.internal";
const ISSUER: &str = "https://id.internal/";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Keys of every kind that is taken.
struct Signer {
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    edwards: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

impl Signer {
    fn new() -> Self {
        Self {
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            edwards: Ed25519KeyPair::generate().unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    fn jwks(&self) -> String {
        let ec = |key: &EcdsaKeyPair, crv: &str, kid: &str| {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": crv, "kid": kid, "x": b64(x), "y": b64(y) })
        };
        // RFC 8017 appendix A.1.1, for a modulus of 2048 bits and the exponent 65537.
        let der = self.rsa.public_key().as_ref();
        assert_eq!(der.len(), 270);
        let (n, e) = (&der[9..265], &der[267..]);
        json!({ "keys": [
            ec(&self.p256, "P-256", "p256"),
            ec(&self.p384, "P-384", "p384"),
            { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(self.edwards.public_key()) },
            { "kty": "RSA", "kid": "rsa", "n": b64(n), "e": b64(e) },
            { "kty": "RSA", "kid": "rsa-pss", "alg": "PS512", "n": b64(n), "e": b64(e) },
        ]})
        .to_string()
    }

    fn sign(&self, header: &Value, payload: &str) -> String {
        let signed = format!("{}.{}", b64(header.to_string()), b64(payload));
        let bytes = signed.as_bytes();
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa
                .sign(encoding, &random, bytes, &mut signature)
                .unwrap();
            signature
        };
        let signature = match header["alg"].as_str().unwrap_or_default() {
            "ES384" => self.p384.sign(&random, bytes).unwrap().as_ref().to_vec(),
            "EdDSA" => self.edwards.sign(bytes).as_ref().to_vec(),
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS512" => rsa(&RSA_PSS_SHA512),
            _ => self.p256.sign(&random, bytes).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", b64(signature))
    }

    /// A good token, with some claims changed; `null` takes one away.
    fn token(&self, changes: Value) -> String {
        let header = json!({ "alg": "ES256", "kid": "p256", "typ": "at+jwt" });
        self.sign(&header, &claims(changes).to_string())
    }

    /// A good client assertion.
    fn assertion(&self, jti: &str, changes: Value) -> String {
        let mut all = json!({ "sub": ISSUER, "jti": jti, "exp": NOW + 60 });
        all.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        let header = json!({ "alg": "ES256", "kid": "p256", "typ": "JWT" });
        self.sign(&header, &claims(all).to_string())
    }
}

fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": API, "sub": "grafana", "iat": NOW, "exp": NOW + 3600,
        "client_id": "grafana",
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn config() -> ApiIssuerConfig {
    ApiIssuerConfig {
        id: IssuerId::new("services").unwrap(),
        issuer: ISSUER.into(),
        profile: ApiIssuerProfile::AccessToken,
        typ: TokenTyp::AccessToken,
        jwks: JwksSource::File("none".into()),
        algorithms: BearerAlgorithm::ALL.to_vec(),
        refresh: Duration::from_secs(300),
        cooldown: Duration::from_secs(10),
        stale_limit: Duration::from_secs(86_400),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(3600),
        jti_entries: 1024,
    }
}

struct Desk {
    bearers: Bearers,
    clock: Arc<ManualClock>,
}

impl Desk {
    fn new(signer: &Signer, config: ApiIssuerConfig) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp(NOW)));
        let accepted = BearerIssuer::algorithms(&config);
        let set = KeySet::parse(signer.jwks().as_bytes(), &accepted).unwrap();
        let keys = KeySource::fixed(config.id.clone(), set, clock.clone());
        let issuer = BearerIssuer::new(config, keys);
        Self {
            bearers: Bearers::new(vec![issuer], API.into(), clock.clone()),
            clock,
        }
    }

    async fn read(&self, token: &str) -> Result<Token, Wrong> {
        self.bearers.verify(token.as_bytes()).await
    }

    async fn refused(&self, token: &str) -> &'static str {
        match self.read(token).await {
            Err(Wrong::Token(reason)) => reason,
            Err(Wrong::UnknownKey) => "unknown key",
            Err(Wrong::NoKeys(reason)) => reason,
            Ok(_) => panic!("believed: {token}"),
        }
    }
}

#[tokio::test]
async fn a_good_token_says_whose_it_is_and_what_it_is_good_for() {
    let signer = Signer::new();
    let desk = Desk::new(&signer, config());
    let token = desk.read(&signer.token(json!({}))).await.ok().unwrap();
    assert_eq!(token.issuer.as_str(), "services");
    assert_eq!(token.sub.as_str(), "grafana");
    assert!(token.assertion.is_none() && token.scopes.is_none() && token.thumbprint.is_none());
    // Access tokens are good until they expire, and for several audiences.
    for _ in 0..2 {
        let several = signer.token(json!({ "aud": ["account", API], "jti": "1" }));
        assert!(desk.read(&several).await.is_ok());
    }
    let scoped = signer.token(json!({ "scope": "openid introspect proxy:chat" }));
    let scopes = desk.read(&scoped).await.ok().unwrap().scopes.unwrap();
    let words: Vec<_> = scopes.iter().map(Scope::to_string).collect();
    assert_eq!(words, ["introspect", "proxy:chat"]);
    let bound = signer.token(json!({ "cnf": { "x5t#S256": b64([7; 32]) } }));
    assert_eq!(
        desk.read(&bound).await.ok().unwrap().thumbprint,
        Some([7; 32])
    );
}

#[tokio::test]
async fn every_allowed_algorithm_is_verified_with_its_own_key_alone() {
    let signer = Signer::new();
    let desk = Desk::new(&signer, config());
    let with = |alg: &str, kid: &str| {
        let header = json!({ "alg": alg, "kid": kid, "typ": "at+jwt" });
        signer.sign(&header, &claims(json!({})).to_string())
    };
    for (alg, kid) in [
        ("ES256", "p256"),
        ("ES384", "p384"),
        ("EdDSA", "ed"),
        ("RS256", "rsa"),
        ("PS512", "rsa"),
        ("PS512", "rsa-pss"),
    ] {
        assert!(desk.read(&with(alg, kid)).await.is_ok(), "{alg} {kid}");
    }
    for (alg, kid) in [
        ("ES256", "p384"),
        ("ES384", "p256"),
        ("ES256", "rsa"),
        ("RS256", "rsa-pss"),
        ("EdDSA", "p256"),
    ] {
        assert_eq!(desk.refused(&with(alg, kid)).await, "alg is not the key's");
    }
    assert_eq!(desk.refused(&with("ES256", "other")).await, "unknown key");
    let mut narrow = config();
    narrow.algorithms = vec![BearerAlgorithm::EdDSA];
    let desk = Desk::new(&signer, narrow);
    assert!(desk.read(&with("EdDSA", "ed")).await.is_ok());
    let refused = desk.refused(&with("ES256", "p256")).await;
    assert_eq!(refused, "alg is not allowed for this issuer");
}

#[tokio::test]
async fn t06_what_has_two_readings_or_brings_its_own_key_is_refused() {
    let signer = Signer::new();
    let desk = Desk::new(&signer, config());
    let payload = claims(json!({})).to_string();
    for header in [
        json!({ "alg": "none", "kid": "p256", "typ": "at+jwt" }),
        json!({ "alg": "HS256", "kid": "p256", "typ": "at+jwt" }),
        json!({ "alg": "es256", "kid": "p256", "typ": "at+jwt" }),
        json!({ "alg": "ES256", "typ": "at+jwt" }),
        json!({ "alg": "ES256", "kid": "", "typ": "at+jwt" }),
        json!({ "alg": "ES256", "kid": "p256", "typ": "at+jwt", "crit": ["exp"] }),
        json!({ "alg": "ES256", "kid": "p256", "typ": "at+jwt", "jku": "https://evil/" }),
        json!({ "alg": "ES256", "kid": "p256", "typ": "at+jwt", "jwk": {} }),
        json!({ "alg": "ES256", "kid": "p256", "typ": "at+jwt", "x5c": [] }),
    ] {
        assert!(
            desk.read(&signer.sign(&header, &payload)).await.is_err(),
            "{header}"
        );
    }
    let header = json!({ "alg": "ES256", "kid": "p256", "typ": "at+jwt" });
    let good = payload.trim_end_matches('}');
    for payload in [
        format!("{good},\"sub\":\"admin\"}}"),
        format!("{good},\"x\":1,\"x\":2}}"),
        format!("{good},\"nbf\":1.0}}"),
        format!("{good},\"scope\":[\"admin\"]}}"),
        format!("{good},\"cnf\":{{\"jkt\":\"x\"}}}}"),
        format!("{good},\"cnf\":{{}}}}"),
        format!("{good},\"cnf\":{{\"x5t#S256\":\"AAAA\"}}}}"),
        format!("{payload} x"),
        payload.replace(&format!("{NOW}"), &format!("\"{NOW}\"")),
        payload.replace(&format!("{NOW}"), &format!("{NOW}.5")),
        "[]".to_owned(),
    ] {
        assert!(
            desk.read(&signer.sign(&header, &payload)).await.is_err(),
            "{payload}"
        );
    }
    let token = signer.token(json!({}));
    for bad in [
        format!("{token}."),
        format!("{token}="),
        token.rsplit_once('.').unwrap().0.to_owned(),
        format!("{}.", token.rsplit_once('.').unwrap().0),
        String::new(),
    ] {
        assert!(desk.read(&bad).await.is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_or_of_another_kind_is_nobodys() {
    let signer = Signer::new();
    let desk = Desk::new(&signer, config());
    for changes in [
        json!({ "iss": "https://id.internal" }),
        json!({ "iss": "chat.example.com", "aud": "chat.example.com" }),
        json!({ "iss": null }),
        json!({ "aud": "https://api.internal/" }),
        json!({ "aud": ["other"] }),
        json!({ "aud": [] }),
        json!({ "aud": null }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "exp": null }),
        json!({ "iat": null }),
        json!({ "exp": NOW + 3601 }),
        json!({ "exp": NOW }),
        json!({ "iat": NOW - 3000, "exp": NOW - 30 }),
        json!({ "iat": NOW + 31, "exp": NOW + 60 }),
        json!({ "nbf": NOW + 31 }),
    ] {
        assert!(
            desk.read(&signer.token(changes.clone())).await.is_err(),
            "{changes}"
        );
    }
    let payload = claims(json!({})).to_string();
    for typ in [
        json!("JWT"),
        json!("session+jwt"),
        json!("logout+jwt"),
        json!(""),
    ] {
        let header = json!({ "alg": "ES256", "kid": "p256", "typ": typ });
        let refused = desk.refused(&signer.sign(&header, &payload)).await;
        assert_eq!(refused, "typ is of another kind of token");
    }
    let plain = json!({ "alg": "ES256", "kid": "p256" });
    assert!(desk.read(&signer.sign(&plain, &payload)).await.is_err());
    let mut jwt = config();
    jwt.typ = TokenTyp::Jwt;
    let desk = Desk::new(&signer, jwt);
    assert!(desk.read(&signer.sign(&plain, &payload)).await.is_ok());
    assert!(desk.read(&signer.token(json!({}))).await.is_err());
    // Somebody else's signature, under the same kid.
    assert!(
        desk.read(&Signer::new().sign(&plain, &payload))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn t35_edges_of_time_are_the_leeways() {
    let signer = Signer::new();
    let desk = Desk::new(&signer, config());
    let token = signer.token(json!({ "exp": NOW + 60 }));
    desk.clock.set(Timestamp(NOW + 89));
    assert!(desk.read(&token).await.is_ok());
    desk.clock.set(Timestamp(NOW + 90));
    assert_eq!(desk.refused(&token).await, "exp has passed");
    desk.clock.set(Timestamp(NOW - 30));
    assert!(desk.read(&token).await.is_ok());
    desk.clock.set(Timestamp(NOW - 31));
    assert_eq!(desk.refused(&token).await, "iat or nbf is in the future");
}

#[tokio::test]
async fn t18_a_client_assertion_is_good_once() {
    let signer = Signer::new();
    let mut own = config();
    own.profile = ApiIssuerProfile::ClientAssertion;
    own.max_lifetime = Duration::from_secs(300);
    let desk = Desk::new(&signer, own);
    let one = signer.assertion("a", json!({}));
    assert!(desk.read(&one).await.ok().unwrap().assertion.is_some());
    assert_eq!(desk.refused(&one).await, "its jti was used before");
    // Nor under another lifetime, or when its own has nearly passed.
    let again = signer.assertion("a", json!({ "exp": NOW + 120 }));
    assert_eq!(desk.refused(&again).await, "its jti was used before");
    desk.clock.set(Timestamp(NOW + 80));
    assert_eq!(desk.refused(&one).await, "its jti was used before");
    desk.clock.set(Timestamp(NOW));
    for changes in [
        json!({ "jti": "" }),
        json!({ "jti": null }),
        json!({ "sub": "grafana" }),
        json!({ "aud": [API, "other"] }),
        json!({ "exp": NOW + 301 }),
    ] {
        assert!(
            desk.read(&signer.assertion("b", changes.clone()))
                .await
                .is_err(),
            "{changes}"
        );
    }
    // What was refused was not used up.
    assert!(desk.read(&signer.assertion("b", json!({}))).await.is_ok());
    // An access token is none.
    let refused = desk
        .refused(&signer.token(json!({ "sub": ISSUER, "exp": NOW + 9 })))
        .await;
    assert_eq!(refused, "typ is of another kind of token");
}

proptest! {
    #[test]
    fn no_bytes_panic(token in "\\PC{0,80}", json in "\\PC{0,80}", noise in prop::collection::vec(any::<u8>(), 0..80)) {
        for bytes in [token.as_bytes(), &noise] {
            if let Ok(parts) = compact::split(bytes) {
                let _ = (parts.payload(), parts.signature(), compact::header(parts.header));
            }
            let _ = compact::header(b64(bytes).as_bytes());
        }
        for bytes in [json.as_bytes(), &noise] {
            // Whatever is read was JSON to its last byte.
            if claims::read(bytes).is_ok() {
                prop_assert!(serde_json::from_slice::<Value>(bytes).is_ok());
            }
        }
    }
}

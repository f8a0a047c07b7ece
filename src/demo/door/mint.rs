//! The signing key and the assertions made with it (recordings/pomerium 01, 01b).

use super::people::Person;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Seconds an assertion lives: fixed in Pomerium.
const LIFETIME: i64 = 300;

/// Why there is no key or no signature.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The crypto library failed, which means that the system has no randomness.
    #[error("the door's signing key failed")]
    Crypto,
}

/// The claims of one assertion, in the alphabetical order Pomerium writes them in.
#[derive(Clone, Debug)]
pub struct Claims(BTreeMap<String, Value>);

impl Claims {
    /// What Pomerium says about `person` in session `sid` to the app at `hostname` (the request's
    /// host without port, letter case kept): eleven claims, plus the two configured by the
    /// recorded `jwt_claims_headers`, as strings, and absent when unknown.
    #[must_use]
    pub fn new(person: &Person, sid: &str, hostname: &str) -> Self {
        Self::at(person, sid, hostname, now())
    }

    /// The same with `iat` given, in seconds since 1970.
    #[must_use]
    pub fn at(person: &Person, sid: &str, hostname: &str, iat: i64) -> Self {
        let mut claims = Self(BTreeMap::new())
            .set("iss", hostname)
            .set("aud", hostname)
            .set("iat", iat)
            .set("exp", iat + LIFETIME)
            .set("jti", Uuid::new_v4().to_string())
            .set("sub", person.sub.as_str())
            .set("user", person.sub.as_str())
            .set("email", person.email.as_str())
            .set("name", person.name.as_str())
            .set("groups", person.groups.clone())
            .set("sid", sid);
        if let Some(verified) = person.email_verified {
            claims = claims.set("email_verified", verified.to_string());
        }
        if let Some(username) = &person.username {
            claims = claims.set("preferred_username", username.as_str());
        }
        claims
    }

    /// Sets a claim to any value, right or wrong.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Takes a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// The payload's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

/// A P-256 key that signs as Pomerium's does.
pub struct Minter {
    key: EcdsaKeyPair,
    kid: String,
    jwk: String,
}

impl fmt::Debug for Minter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minter")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Minter {
    /// A fresh key. It lives as long as this value and is never written down.
    ///
    /// # Errors
    /// [`MintError::Crypto`] when the system has no randomness.
    pub fn generate() -> Result<Self, MintError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| MintError::Crypto)?;
        // An uncompressed point (SEC 1, 2.3.3): 0x04, then both coordinates.
        let point = key
            .public_key()
            .as_ref()
            .get(1..65)
            .ok_or(MintError::Crypto)?;
        let (x, y) = point.split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = thumbprint(&x, &y);
        // Member order as recorded (01b).
        let jwk = format!(
            r#"{{"use":"sig","kty":"EC","kid":"{kid}","crv":"P-256","alg":"ES256","x":"{x}","y":"{y}"}}"#
        );
        Ok(Self { key, kid, jwk })
    }

    /// The key's id: the RFC 7638 SHA-256 thumbprint in lowercase hex, as Pomerium's.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> &str {
        &self.jwk
    }

    /// The key set as Pomerium serves it.
    #[must_use]
    pub fn jwks(&self) -> String {
        jwks(&[self])
    }

    /// The key set of several keys; none gives `null`, as Pomerium's does.
    #[must_use]
    pub fn jwks_of(minters: &[&Self]) -> String {
        jwks(minters)
    }

    /// An assertion with these claims and the header Pomerium writes.
    ///
    /// # Errors
    /// [`MintError::Crypto`] when signing fails.
    pub fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"JWT"}}"#, self.kid);
        self.sign(&header, claims.to_json().as_bytes())
    }

    /// A compact JWS over any header and payload, for tests of what must be refused.
    ///
    /// # Errors
    /// [`MintError::Crypto`] when signing fails.
    pub fn sign(&self, header: &str, payload: &[u8]) -> Result<String, MintError> {
        let mut token = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = self
            .key
            .sign(&SystemRandom::new(), token.as_bytes())
            .map_err(|_| MintError::Crypto)?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }
}

fn jwks(minters: &[&Minter]) -> String {
    if minters.is_empty() {
        return r#"{"keys":null}"#.into();
    }
    let keys: Vec<&str> = minters.iter().map(|minter| minter.jwk.as_str()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// RFC 7638 section 3: the required members in lexicographic order, no white space.
fn thumbprint(x: &str, y: &str) -> String {
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    const RECORDED: &str =
        include_str!("../../../tests/data/recordings/pomerium/01-logged-in-get.json");

    fn recorded_exchanges() -> Vec<Value> {
        let file: Value = serde_json::from_str(RECORDED).unwrap();
        file["exchanges"].as_array().unwrap().clone()
    }

    fn token_of(exchange: &Value) -> String {
        let head = exchange["upstream_request_head"].as_str().unwrap();
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("x-pomerium-jwt-assertion: "))
            .unwrap();
        line.into()
    }

    fn part(token: &str, n: usize) -> String {
        let part = token.split('.').nth(n).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn person_of(claims: &Value) -> Person {
        let text = |name: &str| claims[name].as_str().unwrap().to_owned();
        Person {
            sub: text("sub"),
            name: text("name"),
            email: text("email"),
            email_verified: claims["email_verified"].as_str().map(|said| said == "true"),
            username: claims["preferred_username"].as_str().map(Into::into),
            groups: serde_json::from_value(claims["groups"].clone()).unwrap(),
            note: String::new(),
        }
    }

    #[test]
    fn every_recorded_assertion_is_minted_again_byte_for_byte_but_for_key_and_signature() {
        let minter = Minter::generate().unwrap();
        let mut compared = 0;
        for exchange in recorded_exchanges() {
            let recorded = token_of(&exchange);
            let claims = &exchange["assertion"]["claims"];
            let hostname = claims["aud"].as_str().unwrap();
            let ours = Claims::at(
                &person_of(claims),
                claims["sid"].as_str().unwrap(),
                hostname,
                claims["iat"].as_i64().unwrap(),
            )
            .set("jti", claims["jti"].clone())
            // One recorded route has `jwt_issuer_format: uri`.
            .set("iss", claims["iss"].clone());
            let token = minter.mint(&ours).unwrap();
            assert_eq!(part(&token, 1), part(&recorded, 1));
            assert_eq!(
                part(&token, 0).replace(minter.kid(), ""),
                part(&recorded, 0).replace(
                    "fa1910a4522ebb365bebc984853008aaa81032669f709a2eb4c7cd489c6cdfd0",
                    ""
                )
            );
            assert_eq!(token.len(), recorded.len());
            compared += 1;
        }
        assert!(compared >= 10);
    }

    #[test]
    fn the_key_id_is_the_recorded_thumbprint_and_the_key_set_has_the_recorded_form() {
        let file: Value = serde_json::from_str(RECORDED).unwrap();
        let key = &file["jwks"]["keys"][0];
        let (x, y) = (key["x"].as_str().unwrap(), key["y"].as_str().unwrap());
        assert_eq!(thumbprint(x, y), key["kid"].as_str().unwrap());

        let jwks: Value = serde_json::from_str(include_str!(
            "../../../tests/data/recordings/pomerium/01b-jwks.json"
        ))
        .unwrap();
        let body = jwks["exchanges"][0]["client_response"]["body"]
            .as_str()
            .unwrap();
        let minter = Minter::generate().unwrap();
        let ours: Value = serde_json::from_str(&minter.jwks()).unwrap();
        let ours = &ours["keys"][0];
        let text = |name: &str| ours[name].as_str().unwrap().to_owned();
        let same = minter
            .jwks()
            .replace(&text("kid"), key["kid"].as_str().unwrap())
            .replace(&text("x"), x)
            .replace(&text("y"), y);
        assert_eq!(same, body);
        assert_eq!(Minter::jwks_of(&[]), r#"{"keys":null}"#);
    }

    #[test]
    fn a_minted_assertion_verifies_under_the_served_key() {
        let minter = Minter::generate().unwrap();
        let token = minter
            .mint(&Claims::new(&super::super::alice(), "s", "h"))
            .unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(signature.len(), 64);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, minter.key.public_key());
        key.verify(signed.as_bytes(), &signature).unwrap();
    }
}

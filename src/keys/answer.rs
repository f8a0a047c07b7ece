//! Signed answers about tokens (RFC 9701 §5): what the introspection endpoint says, as a JWT.

use super::compact;
use super::ring::{Ring, RingError};
use crate::store::KeyKind;
use crate::types::{ClientId, Timestamp};
use serde::Serialize;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: Timestamp,
    token_introspection: &'a serde_json::Value,
}

/// Signs an answer of this bridge (`issuer`) to a client.
///
/// # Errors
/// When no key signs answers.
pub fn sign(
    ring: &Ring,
    issuer: &str,
    client: &ClientId,
    now: Timestamp,
    answer: &serde_json::Value,
) -> Result<String, RingError> {
    let claims = Claims {
        iss: issuer,
        aud: client.as_str(),
        iat: now,
        token_introspection: answer,
    };
    let claims = serde_json::to_vec(&claims).map_err(|_| RingError::Crypto)?;
    compact::sign(ring, KeyKind::Introspection, &claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::{master, ring_of};
    use crate::store::KeyState::Signing;

    #[test]
    fn an_answer_is_signed_for_its_client_with_a_key_of_its_own() {
        let ring = ring_of(&master(), &[(KeyKind::Introspection, Signing)]);
        let client = ClientId::new("files").unwrap();
        let inactive = serde_json::json!({ "active": false });
        let token = sign(&ring, "https://x", &client, Timestamp(5), &inactive).unwrap();
        let payload = compact::open(&ring, KeyKind::Introspection, &token, 4096).unwrap();
        assert_eq!(
            String::from_utf8(payload).unwrap(),
            r#"{"iss":"https://x","aud":"files","iat":5,"token_introspection":{"active":false}}"#
        );
        assert!(compact::open(&ring, KeyKind::AccessToken, &token, 4096).is_err());
    }
}

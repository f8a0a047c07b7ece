//! Compact JWS of our own (RFC 7515 §3.1), under keys of one kind.
//!
//! Only one encoding is accepted: the header must be, byte for byte, the one that we write for a
//! key of the ring (so no `crit`, no other algorithm or type, no other member), and base64url must
//! be canonical.

use super::ring::{Ring, RingError};
use crate::store::KeyKind;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::signature::Verifier;

/// Why a token of ours is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any of ours.
    #[error("is longer than any of ours")]
    Oversize,
    /// Not three parts of canonical base64url, or not our claims.
    #[error("is no token of ours")]
    Malformed,
    /// The header is not one that a key of the ring signs under: another algorithm or type, a key
    /// that was revoked or never ours.
    #[error("names no key of the ring")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// Minted by another bridge.
    #[error("has another issuer")]
    Issuer,
    /// Minted for another app.
    #[error("is for another host")]
    Audience,
    /// Its time is over.
    #[error("has expired")]
    Expired,
}

/// Signs a payload with the key of this kind that signs.
pub(super) fn sign(ring: &Ring, kind: KeyKind, payload: &[u8]) -> Result<String, RingError> {
    let key = ring.signing(kind)?;
    let mut token = String::with_capacity(512);
    token.push_str(key.header());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// The payload of a token that a key of this kind signed.
pub(super) fn open(
    ring: &Ring,
    kind: KeyKind,
    token: &str,
    longest: usize,
) -> Result<Vec<u8>, TokenError> {
    if token.len() > longest {
        return Err(TokenError::Oversize);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let key = ring
        .key_by_header(kind, header)
        .ok_or(TokenError::UnknownKey)?;

    // This engine refuses padding and set trailing bits, so that there is one text for some bytes.
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Malformed)?;
    key.verifier()
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| TokenError::Signature)?;
    URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| TokenError::Malformed)
}

//! The bridge cookie: a compact JWS (RFC 7515) that names one of our sessions, under one key of
//! the ring (design §4). It holds nothing personal and is no secret of the app's.
//!
//! Only one encoding of a token is accepted: the header must be, byte for byte, the one that we
//! write for a key of the ring (so no `crit`, no other algorithm, no other member), base64url must
//! be canonical, and the payload must be exactly ours. A token that differs in one byte from what
//! we minted is refused.
//!
//! Whether the session still lives is not decided here.

use super::ring::{Ring, RingError};
use crate::store::KeyKind;
use crate::types::{HostName, KeyId, SessionId, Timestamp, UserId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::signature::Verifier;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Longest token that is looked at, in bytes. A typical one stays under 512; the rest is room for
/// long host names.
pub const MAX_TOKEN: usize = 1024;

/// Why a bridge cookie is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN`].
    #[error("is longer than {MAX_TOKEN} bytes")]
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

/// Why a bridge cookie was not minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Bridge id and host name together are too long.
    #[error("the token would be longer than {MAX_TOKEN} bytes: bridge id or host name too long")]
    TooLong,
    /// No signature.
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// What a verified bridge cookie says. Only [`verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionClaims {
    session: SessionId,
    user: UserId,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

impl SessionClaims {
    /// Which session (`sid`).
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whose (`sub`).
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Minted (`iat`).
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// The session's absolute limit (`exp`): not valid at or after it (RFC 7519 §4.1.4).
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether its time is not over: to be asked on every use, also of a cached result.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// What to mint.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// This bridge (`iss`).
    pub issuer: &'a str,
    /// The app's external host (`aud`).
    pub audience: &'a HostName,
    /// Our session (`sid`).
    pub session: SessionId,
    /// The shadow user (`sub`).
    pub user: UserId,
    /// Now (`iat`).
    pub issued_at: Timestamp,
    /// The session's absolute limit (`exp`).
    pub expires_at: Timestamp,
}

/// Mints a bridge cookie under the key that signs.
///
/// # Errors
/// When it would be too long or there is no signature.
pub fn mint(ring: &Ring, new: &NewToken<'_>) -> Result<String, MintError> {
    let claims = Claims {
        iss: new.issuer.into(),
        aud: new.audience.as_str().into(),
        sub: new.user,
        sid: new.session.to_string().into(),
        iat: new.issued_at,
        exp: new.expires_at,
    };
    let claims = serde_json::to_vec(&claims).map_err(|_| RingError::Crypto)?;
    let key = ring.signing(KeyKind::Session)?;
    let mut token = String::with_capacity(512);
    token.push_str(key.header());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    if token.len() > MAX_TOKEN {
        return Err(MintError::TooLong);
    }
    Ok(token)
}

/// The key that a bridge cookie says it was signed by; `None` when it is not in the ring. Proves
/// nothing by itself: for a cookie that was verified before.
#[must_use]
pub fn signed_by<'r>(ring: &'r Ring, token: &str) -> Option<&'r KeyId> {
    let (header, _) = token.split_once('.')?;
    Some(ring.key_by_header(KeyKind::Session, header)?.id())
}

/// Verifies a bridge cookie of this bridge (`issuer`) for the app at `audience`.
///
/// # Errors
/// When it is not exactly what we minted, is for another app, or its time is over.
pub fn verify(
    ring: &Ring,
    token: &str,
    issuer: &str,
    audience: &HostName,
    now: Timestamp,
) -> Result<SessionClaims, TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Oversize);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let key = ring
        .key_by_header(KeyKind::Session, header)
        .ok_or(TokenError::UnknownKey)?;

    // This engine refuses padding and set trailing bits, so that there is one text for some bytes.
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Malformed)?;
    key.verifier()
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| TokenError::Signature)?;

    let payload = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| TokenError::Malformed)?;
    let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
    if claims.iss != issuer {
        return Err(TokenError::Issuer);
    }
    if !audience.matches(&claims.aud) {
        return Err(TokenError::Audience);
    }
    let claims = SessionClaims {
        session: claims.sid.parse().map_err(|_| TokenError::Malformed)?,
        user: claims.sub,
        issued_at: claims.iat,
        expires_at: claims.exp,
    };
    if !claims.is_live(now) {
        return Err(TokenError::Expired);
    }
    Ok(claims)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims<'a> {
    iss: Cow<'a, str>,
    aud: Cow<'a, str>,
    sub: UserId,
    sid: Cow<'a, str>,
    iat: Timestamp,
    exp: Timestamp,
}

#[cfg(test)]
mod tests;

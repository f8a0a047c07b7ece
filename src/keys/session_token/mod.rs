//! The bridge cookie: a compact JWS (RFC 7515) that names one of our sessions, under one key of
//! the ring (design §4). It holds nothing personal and is no secret of the app's.
//!
//! Only one encoding of a token is accepted (`compact`), and the payload must be exactly ours. A
//! token that differs in one byte from what we minted is refused.
//!
//! Whether the session still lives is not decided here.

use super::compact;
pub use super::compact::TokenError;
use super::ring::{Ring, RingError};
use crate::store::KeyKind;
use crate::types::{HostName, KeyId, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The `iss` of every bridge cookie.
pub const ISSUER: &str = "auth-manager";

/// Longest token that is looked at, in bytes. A typical one stays under 512; the rest is room for
/// long host names.
pub const MAX_TOKEN: usize = 1024;

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
    let token = compact::sign(ring, KeyKind::Session, &claims)?;
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
    verify_for_any(ring, token, issuer, [audience], now).map(|(claims, _)| claims)
}

/// Verifies a bridge cookie for whichever of these apps it is for, and says which.
///
/// # Errors
/// As [`verify`]; `Audience` when it is for none of them.
pub fn verify_for_any<'h>(
    ring: &Ring,
    token: &str,
    issuer: &str,
    audiences: impl IntoIterator<Item = &'h HostName>,
    now: Timestamp,
) -> Result<(SessionClaims, &'h HostName), TokenError> {
    let payload = compact::open(ring, KeyKind::Session, token, MAX_TOKEN)?;
    let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
    if claims.iss != issuer {
        return Err(TokenError::Issuer);
    }
    let audience = audiences
        .into_iter()
        .find(|audience| audience.matches(&claims.aud))
        .ok_or(TokenError::Audience)?;
    let claims = SessionClaims {
        session: claims.sid.parse().map_err(|_| TokenError::Malformed)?,
        user: claims.sub,
        issued_at: claims.iat,
        expires_at: claims.exp,
    };
    if !claims.is_live(now) {
        return Err(TokenError::Expired);
    }
    Ok((claims, audience))
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

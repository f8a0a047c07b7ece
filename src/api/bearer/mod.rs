//! A caller's bearer token that is a JWT: an access token of a configured authorization server
//! (RFC 9068), or an assertion that the client signed itself (RFC 7523), which is good once (T18).
//!
//! - `claims`: the payload, read strictly.
//! - `verify`: the checks in their order, for one issuer.
//! - `used`: client assertions that were used.
//!
//! No expectation and no address is ever taken from a token: its `iss` only picks among configured
//! issuers, whose keys must then have signed it.

mod claims;
#[cfg(test)]
mod tests;
mod used;
mod verify;

pub use verify::BearerIssuer;

use crate::jwks::compact;
use crate::types::{Clock, IssuerId, Scope, Subject, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whom a token is of; made by [`Bearers::verify`] alone.
pub(super) struct Token {
    /// Who signed it.
    pub(super) issuer: IssuerId,
    /// Whom it is about.
    pub(super) sub: Subject,
    /// When the client signed it itself: it must still be used up in the store.
    pub(super) assertion: Option<OneUse>,
    /// What it is good for; `None` when it does not say.
    pub(super) scopes: Option<BTreeSet<Scope>>,
    /// The certificate it is bound to (RFC 8705 §3.1).
    pub(super) thumbprint: Option<[u8; 32]>,
}

/// A client assertion that this replica has not seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneUse {
    /// SHA-256 of its `jti`.
    pub(super) jti: [u8; 32],
    /// When its signature's lifetime refuses it anyhow.
    pub(super) dies: Timestamp,
}

/// Why a token is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// For the log.
    Token(&'static str),
    /// No key of the issuer's set has its `kid`: a newer set may.
    UnknownKey,
    /// The issuer's keys can't be had: it can't be told whether the token is good.
    NoKeys(&'static str),
}

/// The issuers of callers' tokens.
pub struct Bearers {
    issuers: Vec<Arc<BearerIssuer>>,
    audience: String,
    clock: Arc<dyn Clock>,
}

impl Bearers {
    /// Issuers of tokens for `audience`.
    #[must_use]
    pub fn new(issuers: Vec<Arc<BearerIssuer>>, audience: String, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuers,
            audience,
            clock,
        }
    }

    /// The issuers, for whoever keeps their keys fresh.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<BearerIssuer>> {
        self.issuers.iter()
    }

    /// Verifies a token; a key that is not at hand is asked for, at most once per cooldown (T8, T9).
    /// A client assertion is used up by it.
    pub(super) async fn verify(&self, token: &[u8]) -> Result<Token, Wrong> {
        let parts = compact::split(token).map_err(|e| Wrong::Token(e.0))?;
        let payload = parts.payload().map_err(|e| Wrong::Token(e.0))?;
        let claims = claims::read(&payload)
            .map_err(|_| Wrong::Token("the payload is no claims set of the expected types"))?;
        let issuer = self.issuers.iter().find(|issuer| issuer.is(&claims));
        let issuer = issuer.ok_or(Wrong::Token("iss is none of [[api_issuers]]"))?;
        let now = self.clock.now();
        let seen = issuer.keys().ended();
        let first = issuer.check(&parts, &claims, &self.audience, now);
        match first {
            Err(Wrong::UnknownKey | Wrong::NoKeys(_)) if issuer.keys().refetch(seen).await => {
                issuer.check(&parts, &claims, &self.audience, now)
            }
            other => other,
        }
    }
}

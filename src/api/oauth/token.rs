//! Whatever text a caller holds, read as a token of ours: a session's cookie or an exchanged token.
//! Reading it needs no store; what stands behind it is then asked of the road.

use crate::api::caller::Caller;
use crate::api::state::Api;
use crate::identity::Claimed;
use crate::keys::access_token::{self, AccessClaims, Origin};
use crate::keys::session_token::{self, SessionClaims};
use crate::store::TokenQuestion;
use crate::types::{HostName, Timestamp, UserId};
use uuid::Uuid;

/// A token that we signed and whose time is not over. It may still be revoked.
#[derive(Debug)]
pub(super) enum Token {
    /// An exchanged one, and whose it is.
    Access(Box<AccessClaims>, Claimed),
    /// A session's cookie, of a host that the caller may speak for.
    Session(SessionClaims, HostName),
}

impl Token {
    /// Reads a text; `None` when it is no token that could mean anything to this caller.
    pub(super) fn read(api: &Api, caller: &Caller, text: &str, now: Timestamp) -> Option<Self> {
        let ring = api.ring.load();
        if let Ok(claims) = access_token::verify(&ring, text, &api.listener.issuer, now) {
            let claimed = claimed(api, &claims)?;
            return Some(Self::Access(Box::new(claims), claimed));
        }
        let issuer = session_token::ISSUER;
        let found = session_token::verify_for_any(&ring, text, issuer, caller.hosts(), now);
        let (claims, host) = found.ok()?;
        Some(Self::Session(claims, host.clone()))
    }

    /// What to ask about it.
    pub(super) fn claimed(&self) -> Claimed {
        match self {
            Self::Access(_, claimed) => claimed.clone(),
            Self::Session(claims, host) => Claimed {
                question: TokenQuestion {
                    token: None,
                    user: claims.user(),
                    session: Some(claims.session()),
                },
                sign_in: None,
                host: Some(host.clone()),
            },
        }
    }

    /// Whether it is meant for this caller: of one of its hosts, or of one of its audiences.
    pub(super) fn is_for(&self, caller: &Caller) -> bool {
        match self {
            Self::Access(claims, _) => {
                let audience = claims.audience();
                caller.audiences().iter().any(|own| own == audience)
            }
            Self::Session(_, host) => caller.may_speak_for(host),
        }
    }
}

/// A question about nothing: asked all the same, so that a token that could not even be read takes
/// the way of the others (T37).
pub(super) fn nothing() -> Claimed {
    Claimed {
        question: TokenQuestion {
            token: None,
            user: UserId(Uuid::nil()),
            session: None,
        },
        sign_in: None,
        host: None,
    }
}

/// Whose an exchanged token is, and what it hangs from; in pairwise tokens both are hidden.
fn claimed(api: &Api, claims: &AccessClaims) -> Option<Claimed> {
    let (audience, subject) = (claims.audience(), claims.subject());
    let user = match subject.parse() {
        Ok(user) => user,
        Err(_) => api.pairwise.user(audience, subject)?,
    };
    let (session, sign_in) = match claims.origin() {
        Origin::Session(id) => (Some(*id), None),
        Origin::Hidden(text) => (Some(api.pairwise.session(audience, text)?), None),
        Origin::SignIn { app, epoch } => (None, Some((app.clone(), *epoch))),
    };
    Some(Claimed {
        question: TokenQuestion {
            token: Some(claims.id()),
            user,
            session,
        },
        sign_in,
        host: None,
    })
}

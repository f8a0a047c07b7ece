//! The bridge cookie and its two readable companions: reading, judging, setting, clearing.
//!
//! Cookies are set on a bridge 302 with `no-store` only, never on a forwarded response (the app's
//! HTML is cacheable), and cleared on the logout answer.

use super::live::{Live, ProvenCookie};
use crate::error::Refusal;
use crate::keys::ring::Ring;
use crate::keys::session_token::{self, NewToken};
use crate::proxy::body::Body;
use crate::proxy::bridge::Bridge;
use crate::proxy::edge::{CleanRequest, CookieView};
use crate::proxy::refuse;
use crate::proxy::route::Site;
use crate::types::{KeyId, SessionId, Timestamp};
use ::cookie::{Cookie, SameSite};
use http::header::SET_COOKIE;
use http::{HeaderValue, Response};
use std::sync::Arc;

/// A cookie that ends sooner than the session by more than this is set anew on the next page.
const RENEW_MARGIN: i64 = 300;

/// What the browser sent in the session cookie's place, not judged yet.
pub(super) enum Read<'r> {
    /// Nothing.
    Missing,
    /// Two of them, or one that can't be read.
    Unusable,
    /// This.
    Text(&'r str, &'r Site),
}

/// What the browser holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// This session's cookie.
    Good,
    /// This session's cookie, which ends before the session does.
    Renewable,
    /// None at all.
    Missing,
    /// Something that is no cookie of ours, or no longer.
    Invalid,
    /// A cookie of ours for another session.
    Foreign(SessionId),
}

pub(super) fn read<'r>(site: &'r Site, request: &'r CleanRequest) -> Read<'r> {
    match request.cookies().get(site.rules.cookies().session) {
        CookieView::Absent => Read::Missing,
        CookieView::One(text) => Read::Text(text, site),
        CookieView::Duplicate | CookieView::Unreadable => Read::Unusable,
    }
}

impl Read<'_> {
    /// Judges what was read against the session of the sign-in. The signature of bytes that were
    /// found good is not computed again while the key ring is the same; everything else is.
    pub(super) fn judge(&self, bridge: &Bridge, live: &Live, now: Timestamp) -> Held {
        let (text, site) = match self {
            Read::Missing => return Held::Missing,
            Read::Unusable => return Held::Invalid,
            Read::Text(text, site) => (*text, *site),
        };
        let ring = bridge.ring.load();
        if let Some(proven) = live.proven.load().as_deref()
            && proven.ring_epoch == ring.epoch()
            && proven.host == site.config.host
            && proven.expires_at > now
            && *proven.bytes == *text.as_bytes()
        {
            return renewable(live, proven.expires_at);
        }
        let Ok(claims) =
            session_token::verify(&ring, text, bridge.token_issuer(), &site.config.host, now)
        else {
            return Held::Invalid;
        };
        if claims.session() != live.id || claims.user() != live.user {
            return Held::Foreign(claims.session());
        }
        live.proven.store(Some(Arc::new(ProvenCookie {
            bytes: text.as_bytes().into(),
            host: site.config.host.clone(),
            expires_at: claims.expires_at(),
            ring_epoch: ring.epoch(),
        })));
        renewable(live, claims.expires_at())
    }
}

/// The key that signed the cookie of a request that has passed; `None` when it is no longer in the
/// ring.
pub fn signing_key(site: &Site, request: &CleanRequest, ring: &Ring) -> Option<KeyId> {
    match read(site, request) {
        Read::Text(text, _) => session_token::signed_by(ring, text).cloned(),
        Read::Missing | Read::Unusable => None,
    }
}

fn renewable(live: &Live, cookie_ends: Timestamp) -> Held {
    if cookie_ends.0 + RENEW_MARGIN < live.standing().expires_at.0 {
        Held::Renewable
    } else {
        Held::Good
    }
}

/// The session that a good cookie names, whoever's it is.
pub(super) fn proven_session(
    bridge: &Bridge,
    site: &Site,
    request: &CleanRequest,
    now: Timestamp,
) -> Option<SessionId> {
    let text = request.cookie(site.rules.cookies().session)?;
    let ring = bridge.ring.load();
    session_token::verify(&ring, text, bridge.token_issuer(), &site.config.host, now)
        .ok()
        .map(|claims| claims.session())
}

/// Whether the two readable cookies are as the page needs them (tried-for-real, 8).
pub(super) fn companions_are_right(site: &Site, live: &Live, request: &CleanRequest) -> bool {
    let names = site.rules.cookies();
    let is = |name, wanted: &str| request.cookie(name) == Some(wanted);
    is(names.user_id, live.remote.as_str()) && is(names.csrf, live.csrf())
}

/// Says, in the address alone, that the cookies were just set: whoever comes with it and without
/// any cookie has a browser that keeps none. It is put on and taken off as text, so that the rest
/// of the query stays as it was, byte for byte (tried-for-real, 4); the app never sees it.
const MARK: &str = "auth-manager-cookies=set";

/// The address without the mark, if it bears it.
pub(super) fn unmarked(target: &str) -> Option<&str> {
    let rest = target.strip_suffix(MARK)?;
    rest.strip_suffix(['?', '&'])
}

fn marked(target: &str) -> String {
    let sign = if target.contains('?') { '&' } else { '?' };
    format!("{target}{sign}{MARK}")
}

/// The redirect to the same address, marked, that sets all three cookies.
pub(super) fn set(
    bridge: &Bridge,
    site: &Site,
    live: &Live,
    request: &CleanRequest,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let target = request.target().as_str();
    let mut answer = refuse::redirect(&marked(unmarked(target).unwrap_or(target)));
    for cookie in texts(bridge, site, live, now)? {
        push(&mut answer, &cookie);
    }
    Ok(answer)
}

/// All three cookies of a session, as `Set-Cookie` writes them.
pub(in crate::proxy) fn texts(
    bridge: &Bridge,
    site: &Site,
    live: &Live,
    now: Timestamp,
) -> Result<Vec<String>, Refusal> {
    let expires_at = live.standing().expires_at;
    let token = session_token::mint(
        &bridge.ring.load(),
        &NewToken {
            issuer: bridge.token_issuer(),
            audience: &site.config.host,
            user: live.user,
            session: live.id,
            issued_at: now,
            expires_at,
        },
    )
    .map_err(|e| {
        Refusal::new(
            crate::error::Code::Internal,
            format!("minting the cookie: {e}"),
        )
    })?;
    let names = site.rules.cookies();
    let age = time::Duration::seconds((expires_at.0 - now.0).max(0));
    let values = [
        (names.session, token.as_str(), true),
        (names.user_id, live.remote.as_str(), false),
        (names.csrf, live.csrf(), false),
    ];
    Ok(values
        .iter()
        .map(|(name, value, http_only)| cookie(site, name, value, *http_only, age).to_string())
        .collect())
}

/// Clears all three on an answer of the bridge's own.
pub(super) fn clear(site: &Site, answer: &mut Response<Body>) {
    let names = site.rules.cookies();
    for (name, http_only) in [
        (names.session, true),
        (names.user_id, false),
        (names.csrf, false),
    ] {
        push(
            answer,
            &cookie(site, name, "", http_only, time::Duration::ZERO).to_string(),
        );
    }
}

fn push(answer: &mut Response<Body>, cookie: &str) {
    // Our own values are base64url and ids: they always make a header value.
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        answer.headers_mut().append(SET_COOKIE, value);
    }
}

/// No `Domain`: the cookie is this host's alone. `Lax`: after a sign-in form every hop, also this
/// redirect and the page behind it, is cross-site (tried-for-real, 3).
fn cookie<'c>(
    site: &'c Site,
    name: &'c str,
    value: &'c str,
    http_only: bool,
    age: time::Duration,
) -> Cookie<'c> {
    Cookie::build((name, value))
        .path(site.config.base_path.as_str())
        .secure(site.config.origin.starts_with("https://"))
        .http_only(http_only)
        .same_site(SameSite::Lax)
        .max_age(age)
        .build()
}

#[cfg(test)]
mod tests {
    use super::{marked, unmarked};

    #[test]
    fn the_mark_goes_on_and_off_without_a_trace() {
        for target in [
            "/",
            "/a?x=1%202&y=+",
            "/a?",
            "/a?&",
            "/?q=auth-manager-cookies",
        ] {
            let with = marked(target);
            assert_eq!(unmarked(&with), Some(target), "{with}");
        }
        assert_eq!(unmarked("/auth-manager-cookies=set"), None);
        assert_eq!(unmarked("/?x=auth-manager-cookies=set"), None);
    }
}

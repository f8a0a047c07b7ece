//! What Mattermost's requests, bodies and socket messages mean on the road. Pure.
//!
//! Restrictions match without regard to case, empty segments, trailing slashes and percent-encoding,
//! although the path arrives canonical: whatever the app may read as a restricted route is one. What
//! *relaxes* (static files, beacons) matches exactly.

mod identity;
mod message;
mod power;

use super::Mattermost;
use crate::apps::{Cookies, Profile, Route, Rules};
use crate::error::{Code, Refusal};
use crate::types::{AppToken, RemoteId};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::borrow::Cow;

static COOKIES: Cookies = Cookies {
    session: "MMAUTHTOKEN",
    user_id: "MMUSERID",
    csrf: "MMCSRF",
};
static CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// The web app understands no other spelling: with a charset it takes the body for text (facts §2).
const JSON: &str = "application/json";

impl Rules for Mattermost {
    fn cookies(&self) -> &Cookies {
        &COOKIES
    }

    fn classify(&self, method: &Method, path: &str) -> Route {
        classify(method, path)
    }

    fn is_api(&self, path: &str) -> bool {
        path.get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("/api/"))
    }

    fn releases(&self, name: &HeaderName) -> bool {
        releases(name)
    }

    fn refused_session(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        refused_session(status, headers)
    }

    fn is_session_refusal(&self, body: &[u8]) -> bool {
        is_session_refusal(body)
    }

    fn render(&self, refusal: &Refusal, message: &str, request_id: &str) -> (&'static str, Bytes) {
        render(refusal.code, message, request_id)
    }

    fn judge_identity(&self, body: &[u8], known: &Profile) -> Result<(), Code> {
        identity::judge(body, known)
    }

    fn admits_message(&self, message: &[u8]) -> bool {
        message::admits(message)
    }

    fn credential_cookie(&self, token: &AppToken, csrf: &str, remote: &RemoteId) -> String {
        credential_cookie(token, csrf, remote)
    }

    fn csrf_header(&self) -> &HeaderName {
        &CSRF_HEADER
    }

    fn is_powerful(&self, method: &Method, path: &str) -> bool {
        power::is_powerful(method, path)
    }

    fn bot_credential(&self, token: &AppToken) -> Option<(HeaderName, HeaderValue)> {
        // Cookies go first at the app, so that none may stand beside it (facts §2).
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
        value.set_sensitive(true);
        Some((AUTHORIZATION, value))
    }
}

fn classify(method: &Method, path: &str) -> Route {
    let reads = method == Method::GET || method == Method::HEAD;
    if reads && is_static(path) {
        return Route::Static;
    }
    if method == Method::POST && path.trim_end_matches('/') == "/api/v4/client_perf" {
        return Route::Beacon;
    }
    let folded = percent_decoded(path).to_ascii_lowercase();
    let segments: Vec<&str> = folded.split('/').filter(|s| !s.is_empty()).collect();
    match segments.as_slice() {
        ["api", "v4", "websocket"] if method == Method::GET => Route::Socket,
        ["api", "v4", "users", rest @ ..] => users(method, rest),
        // Gives a bot a password and makes a person of it.
        ["api", "v4", "bots", _, "convert_to_user"] => Route::Blocked,
        ["api", ..] => Route::Plain,
        [first, ..] if is_sign_in_page(first) => {
            if reads {
                Route::SignInPage
            } else {
                Route::Blocked
            }
        }
        _ => Route::Plain,
    }
}

/// Below `/api/v4/users`. Where the server knows a method only, others are blocked too: they do
/// nothing there. Administrators are no exception in this version: accounts and passwords come from
/// the identity provider.
fn users(method: &Method, rest: &[&str]) -> Route {
    let (get, post, put) = (
        method == Method::GET,
        method == Method::POST,
        method == Method::PUT,
    );
    match rest {
        ["logout"] if post => Route::Logout,
        ["sessions", "revoke", "all"]
        | [_, "sessions", "revoke"]
        | [_, "sessions", "revoke", "all"]
            if post =>
        {
            Route::EndsSessions
        }

        [] if post => Route::Blocked,
        ["login" | "password" | "mfa" | "migrate_auth", ..] => Route::Blocked,
        ["email", "verify", ..] | [_, "email", "verify", ..] => Route::Blocked,
        [_, "password" | "mfa" | "auth", ..] => Route::Blocked,
        // Access tokens outlive every session. Listing, searching and ending them is harmless.
        ["tokens", "revoke" | "disable" | "search"] if post => Route::Plain,
        ["tokens", ..] | [_, "tokens", ..] if !get => Route::Blocked,

        [_, "patch"] | [_] if put => Route::Identity,
        _ => Route::Plain,
    }
}

/// First segments of the app's own sign-in. Team names can't begin with them, but for the underscore
/// ones, which are none of a team's. `/oauth/` is both ways round: signing in with another provider,
/// and the app as a provider, whose tokens would outlive our sessions.
fn is_sign_in_page(first: &str) -> bool {
    matches!(
        first,
        "login" | "claim" | "mfa" | "oauth" | "should_verify_email" | "do_verify_email"
    ) || first.starts_with("signup")
        || first.starts_with("reset_password")
}

/// Exactly below `/static/`, and nothing that could lead out of it again.
fn is_static(path: &str) -> bool {
    path.strip_prefix("/static/").is_some_and(|file| {
        !file.contains(['%', '\\', ';'])
            && !file
                .split('/')
                .any(|part| part.is_empty() || part.starts_with('.'))
    })
}

/// The path as the app reads it: decoded once. A wrong escape stays as it is.
fn percent_decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let bytes = path.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// `Token` carries the real session token on a login; the others are credentials between servers.
fn releases(name: &HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "token" | "authorization" | "x-cloud-token" | "x-remotecluster-token"
    )
}

/// The id of a 401 that means the session.
const SESSION_EXPIRED: &str = "api.context.session_expired.app_error";

/// Expiry, revocation and a failed CSRF check are the same JSON 401. Its id is not looked at, since
/// that would need the body: the probe tells them apart.
fn refused_session(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED
        && headers
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON))
}

/// Mattermost has other 401s (a wrong current password, a wrong MFA code); only this id is about the
/// session (recordings/mattermost, 05).
fn is_session_refusal(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Refused<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    serde_json::from_slice::<Refused<'_>>(body).is_ok_and(|r| r.id == SESSION_EXPIRED)
}

/// Mattermost's error shape (facts §11). Only a session that is over has the app's own id, which
/// makes the page purge and load anew.
fn render(code: Code, message: &str, request_id: &str) -> (&'static str, Bytes) {
    let id = match code {
        Code::SessionRequired | Code::SessionSignedOut => SESSION_EXPIRED.to_owned(),
        other => format!("auth_manager.{}.app_error", other.as_str()),
    };
    let body = serde_json::json!({
        "id": id,
        "message": message,
        "detailed_error": "",
        "request_id": request_id,
        "status_code": code.status().as_u16(),
    });
    (JSON, Bytes::from(body.to_string()))
}

/// One credential, `MMAUTHTOKEN`; beside it the two readable cookies with the app's own values, as a
/// browser of the app would send them: plugins look at them (recordings, difference 16).
fn credential_cookie(token: &AppToken, csrf: &str, remote: &RemoteId) -> String {
    // The values are Mattermost's own, so this never cuts anything; it keeps a stored value that was
    // tampered with from adding a cookie.
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            .collect()
    };
    let mut out = format!(
        "MMAUTHTOKEN={}; MMUSERID={}",
        plain(token.expose()),
        plain(remote.as_str())
    );
    if !csrf.is_empty() {
        out.push_str("; MMCSRF=");
        out.push_str(&plain(csrf));
    }
    out
}

#[cfg(test)]
mod tests;

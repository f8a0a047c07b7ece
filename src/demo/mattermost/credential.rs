//! Who calls: `ParseAuthTokenFromRequest` and the CSRF rule (recording 05).

use http::{HeaderMap, Method};

use super::answer::Refusal;
use super::call::cookies;
use super::controls::StandIn;
use super::state::Session;

/// Where a token was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Location {
    Cookie,
    Header,
    Query,
}

/// What a route asks of its callers.
#[derive(Clone, Copy)]
pub(super) struct Demands {
    pub(super) session: bool,
    /// `TrustRequester`: no CSRF check.
    pub(super) trusted: bool,
    /// Looks for its caller itself: plugins and sockets.
    pub(super) unchecked: bool,
}

/// The first token of a request in the core's order: cookie, `Bearer`, `token`, query. An empty
/// cookie ends the search (recorded). Tokens are cut to 50 characters.
pub(super) fn find(headers: &HeaderMap, query: &[(String, String)]) -> Option<(Location, String)> {
    let cut = |token: &str| token.chars().take(50).collect::<String>();
    if let Some((_, token)) = cookies(headers).find(|(name, _)| *name == "MMAUTHTOKEN") {
        return Some((Location::Cookie, cut(token)));
    }
    if let Some(token) = from_header(headers) {
        return Some((Location::Header, cut(token)));
    }
    let (_, token) = query.iter().find(|(name, _)| name == "access_token")?;
    Some((Location::Query, cut(token)))
}

/// The token of the first `Authorization` line, when its scheme is one of Mattermost's.
pub(super) fn from_header(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get("authorization")?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    (known && !token.is_empty()).then_some(token)
}

/// Who calls, or why nobody may. Routes without a session requirement ignore a bad token, but not
/// a failed CSRF check nor a session token in the query.
pub(super) fn check(
    app: &StandIn,
    method: &Method,
    headers: &HeaderMap,
    query: &[(String, String)],
    demands: Demands,
) -> Result<Option<Session>, Refusal> {
    if demands.unchecked {
        return Ok(None);
    }
    let found = find(headers, query).filter(|(_, token)| !token.is_empty());
    let Some((location, token)) = found else {
        return if demands.session {
            Err(Refusal::session_expired(false))
        } else {
            Ok(None)
        };
    };
    let Some(session) = app.session_of_token(&token) else {
        return if demands.session {
            Err(Refusal::session_expired(true))
        } else {
            Ok(None)
        };
    };
    if location == Location::Query {
        return Err(Refusal::new(
            401,
            "api.context.token_provided.app_error",
            "Session is not OAuth but token was provided in the query string.",
        ));
    }
    let exempt = location != Location::Cookie || demands.trusted || method == Method::GET;
    if !exempt && !csrf_passes(app, headers, &session) {
        return Err(Refusal::session_expired(true));
    }
    Ok(Some(session))
}

/// The CSRF rule for a session that came by cookie.
pub(super) fn csrf_passes(app: &StandIn, headers: &HeaderMap, session: &Session) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    if text("x-csrf-token") == session.csrf() {
        return true;
    }
    text("x-requested-with") == "XMLHttpRequest"
        && !app.flag("ServiceSettings", "ExperimentalStrictCSRFEnforcement")
}

//! `POST /oauth2/introspect` (RFC 7662): whose is this token, and is it good?
//!
//! There is one answer to everything that is not good *for this caller*, whatever the reason:
//! `{"active":false}`, of one length, by one path (T37). The store is asked for the same rows whether
//! the text could be read or not. What remains to be measured is whether we signed a text, which its
//! holder can tell from our public keys, and whether a row was there, which is a few microseconds.

use super::error::{Body, Refused};
use super::form::Form;
use super::token::{Token, nothing};
use crate::api::Routes;
use crate::api::caller::Caller;
use crate::api::granted::{Granted, Introspect};
use crate::api::problem::{Document, Problem};
use crate::api::state::Api;
use crate::error::Code;
use crate::identity::Visitor;
use crate::keys::{answer, session_token};
use crate::types::{Scope, Timestamp};
use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::{OpenApi, ToSchema};

/// Where it is.
pub(crate) const PATH: &str = "/oauth2/introspect";

/// An answer as a JWT (RFC 9701 §4).
const SIGNED: &str = "application/token-introspection+jwt";

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(introspect))]
pub(crate) struct Documented;

pub(super) fn routes() -> Routes {
    Routes::new().route(PATH, post(introspect))
}

/// What is asked about a token (RFC 7662 §2.1).
#[derive(ToSchema)]
#[schema(as = TokenForm)]
#[expect(dead_code, reason = "read by hand: see `form`")]
pub(super) struct TokenForm {
    /// A session's cookie or an exchanged token.
    token: String,
    /// Not needed: what it is shows.
    #[schema(nullable = false)]
    token_type_hint: Option<String>,
}

/// Whose a token is, and whether it is good for the caller.
///
/// Everything else, whatever the reason, is `{"active": false}`.
#[utoipa::path(
    post, path = "/oauth2/introspect", tag = "oauth", operation_id = "introspect",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token's members (RFC 7662 §2.2); signed (RFC 9701) on its Accept.",
         content((Object = "application/json"), (String = "application/token-introspection+jwt"))),
        (status = 400, description = "No token, or no form.",
         content((Body = "application/json"), (Document<'_> = "application/problem+json"))),
    ),
    security(("certificate" = ["introspect"]), ("bearer" = ["introspect"])),
)]
async fn introspect(
    caller: Granted<Introspect>,
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Refused> {
    let text = form.must("token", "The parameter token is missing.")?;
    let now = api.clock.now();
    let token = Token::read(&api, &caller, text, now);
    let claimed = token.as_ref().map_or_else(nothing, Token::claimed);
    let visitor = match api.visitors.by_token(&claimed).await {
        Ok(visitor) => Some(visitor),
        // Not knowing is not the same as knowing that it is not good.
        Err(refusal) if refusal.code.status().is_server_error() => {
            return Err(Problem::from(refusal).into());
        }
        Err(_) => None,
    };
    let answer = match (token, visitor) {
        (Some(token), Some(visitor)) if token.is_for(&caller) => active(&token, &visitor, &caller),
        _ => json!({ "active": false }),
    };
    tracing::debug!(client = %caller.id(), active = answer["active"].as_bool(), "introspected");
    respond(&api, &caller, &headers, &answer, now)
}

fn active(token: &Token, visitor: &Visitor, caller: &Caller) -> Value {
    let mut members = match token {
        Token::Access(claims, _) => {
            let mut members = claims.members();
            members.insert("token_type".into(), "Bearer".into());
            if let Some(name) = members.get("preferred_username").cloned() {
                members.insert("username".into(), name);
            }
            members
        }
        Token::Session(claims, host) => {
            let expires = claims.expires_at().min(visitor.until);
            let mut members = Map::new();
            members.insert("iss".into(), session_token::ISSUER.into());
            members.insert("aud".into(), host.as_str().into());
            members.insert("sub".into(), claims.user().to_string().into());
            members.insert("sid".into(), claims.session().to_string().into());
            members.insert("iat".into(), claims.issued_at().0.into());
            members.insert("exp".into(), expires.0.into());
            members.insert("app".into(), visitor.app.as_str().into());
            if caller.scopes().contains(&Scope::UsersRead) {
                about(&mut members, visitor);
            }
            members
        }
    };
    members.insert("active".into(), true.into());
    Value::Object(members)
}

/// Who it is: for callers that may read people anyway.
fn about(members: &mut Map<String, Value>, visitor: &Visitor) {
    let user = &visitor.user;
    if let Some(name) = &user.username {
        members.insert("username".into(), name.as_str().into());
    }
    if !user.name.is_empty() {
        members.insert("name".into(), user.name.as_str().into());
    }
    if !user.email.is_empty() {
        members.insert("email".into(), user.email.as_str().into());
        members.insert("email_verified".into(), user.email_verified.into());
    }
}

fn respond(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    answer: &Value,
    now: Timestamp,
) -> Result<Response, Refused> {
    let no_store = (CACHE_CONTROL, "no-store");
    if !wants_signed(headers) {
        return Ok(([no_store], Json(answer)).into_response());
    }
    let ring = api.ring.load();
    let issuer = &api.listener.issuer;
    let signed = answer::sign(&ring, issuer, caller.id(), now, answer)
        .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    Ok(([no_store, (CONTENT_TYPE, SIGNED)], signed).into_response())
}

/// Whether a signed answer is asked for by name: `*/*` does not.
fn wants_signed(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let ranges = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    let mut named = ranges.filter(|range| {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let refused = parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        essence.eq_ignore_ascii_case(SIGNED) && !refused
    });
    named.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_answer_is_asked_for_by_name() {
        let wants = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, line.parse().unwrap());
            wants_signed(&headers)
        };
        assert!(wants(SIGNED));
        assert!(wants(
            "application/json;q=0.5, Application/Token-Introspection+JWT; q=0.9"
        ));
        for not in [
            "*/*",
            "application/json",
            "application/*",
            "application/token-introspection+jwt;q=0",
        ] {
            assert!(!wants(not), "{not}");
        }
        assert!(!wants_signed(&HeaderMap::new()));
    }
}

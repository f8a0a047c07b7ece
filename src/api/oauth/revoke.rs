//! `POST /oauth2/revoke` (RFC 7009): takes an exchanged token back, or ends the session of a
//! session's cookie.
//!
//! A token is taken back by the client that exchanged it, or by one with the scope sessions or
//! admin; a session is ended by the latter, and only at a host that it may speak for. What only admin
//! lets a caller do may need both its credentials (`listen.api.require_both`). What is no
//! token of ours, or no longer, is answered as if it had been taken back (RFC 7009 §2.2).

use super::error::{Body, Refused, Word};
use super::form::Form;
use super::introspect::TokenForm;
use super::token::Token;
use crate::api::Routes;
use crate::api::granted::{Granted, RevokeTokens};
use crate::api::openapi::refusal;
use crate::api::problem::{Document, Problem};
use crate::api::state::Api;
use crate::audit::Kind;
use crate::error::Code;
use crate::types::Scope;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, OpenApi};

/// Where it is.
pub(crate) const PATH: &str = "/oauth2/revoke";

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(revoke))]
pub(crate) struct Documented;

pub(super) fn routes() -> Routes {
    Routes::new().route(PATH, post(revoke))
}

/// Who may not at all.
struct Forbidden;

impl IntoResponses for Forbidden {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [refusal(&[Code::ApiScope, Code::ApiBothNeeded])].into()
    }
}

/// Takes a token back, or ends the session of a cookie.
#[utoipa::path(
    post, path = "/oauth2/revoke", tag = "oauth", operation_id = "revoke_token",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is worth nothing, now or before."),
        (status = 400, description = "No token, or another client's.",
         content((Body = "application/json"), (Document<'_> = "application/problem+json"))),
        Forbidden,
    ),
    security(
        ("certificate" = ["introspect", "exchange", "sessions", "admin"]),
        ("bearer" = ["introspect", "exchange", "sessions", "admin"]),
    ),
)]
async fn revoke(
    caller: Granted<RevokeTokens>,
    State(api): State<Arc<Api>>,
    form: Form,
) -> Result<Response, Refused> {
    let text = form.must("token", "The parameter token is missing.")?;
    let ends_any = || match caller.scopes().contains(&Scope::Sessions) {
        true => Ok(true),
        false => caller.changes_as_admin(&api),
    };
    match Token::read(&api, &caller, text, api.clock.now()) {
        Some(Token::Access(claims, _)) if claims.client() == caller.id() || ends_any()? => {
            // On record before it takes effect, or not at all.
            let event = api.witness(&caller).event(Kind::ApiWrite);
            let event = event.code("token.revoked");
            let event = event.detail("token", claims.id().to_string());
            let recorded = api.audit.record(&*api.store, event).await;
            recorded.map_err(Problem::from)?;
            let revoked = api.store.revoke_token(claims.id(), claims.expires_at());
            revoked.await.map_err(Problem::from)?;
            tracing::info!(client = %caller.id(), token = %claims.id(), "token revoked");
        }
        Some(Token::Session(claims, _)) if ends_any()? => {
            let by = api.witness(&caller).by();
            let ended = api.visitors.end_session(claims.session(), &by).await;
            ended.map_err(Problem::from)?;
            tracing::info!(client = %caller.id(), session = %claims.session(), "session revoked");
        }
        Some(_) => {
            return Err(Refused::new(
                Word::UnauthorizedClient,
                "The token is not this client's to revoke.",
            ));
        }
        None => {}
    }
    Ok(StatusCode::OK.into_response())
}

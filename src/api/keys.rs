//! `/.well-known/jwks.json`: our public keys (RFC 7517 §5), for whoever verifies what we sign.

use super::Routes;
use super::state::Api;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::sync::Arc;
use utoipa::OpenApi;

/// Where they are.
pub(super) const PATH: &str = "/.well-known/jwks.json";

pub(super) fn routes() -> Routes {
    Router::new().route(PATH, get(jwks))
}

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(jwks))]
pub(super) struct Documented;

/// Our public keys.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "discovery", operation_id = "get_jwks",
    responses((status = 200, description = "A JWK set (RFC 7517 §5).", body = Object, content_type = "application/jwk-set+json")),
)]
async fn jwks(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let age = format!("public, max-age={}", api.jwks_age.as_secs());
    let body = api.ring.load().jwks().to_string();
    let headers = [
        (CONTENT_TYPE, "application/jwk-set+json".to_owned()),
        (CACHE_CONTROL, age),
    ];
    (headers, body)
}

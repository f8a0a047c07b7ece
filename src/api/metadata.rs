//! `/.well-known/oauth-authorization-server`: what there is and where (RFC 8414), so that a stock
//! library needs nothing but the issuer's address.

use super::Routes;
use super::keys;
use super::state::Api;
use crate::types::Scope;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::OpenApi;

const PATH: &str = "/.well-known/oauth-authorization-server";

/// Members that name an endpoint, and its path.
const ENDPOINTS: [(&str, &str); 1] = [("jwks_uri", keys::PATH)];

pub(super) fn routes() -> Routes {
    Router::new().route(PATH, get(metadata))
}

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(metadata))]
pub(super) struct Documented;

/// What there is and where.
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "discovery", operation_id = "get_metadata",
    responses((status = 200, description = "Authorization server metadata (RFC 8414).", body = Object, content_type = "application/json")),
)]
async fn metadata(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let issuer = &api.listener.issuer;
    // `proxy:<app>` is no scope of a token: it is asked for by path.
    let scopes: Vec<_> = Scope::words().filter(|word| !word.contains('<')).collect();
    let mut document = json!({
        "issuer": issuer,
        "scopes_supported": scopes,
        // There is no authorization endpoint: nobody signs in here.
        "response_types_supported": [],
        "grant_types_supported": [],
    });
    if let Some(members) = document.as_object_mut() {
        let endpoints = ENDPOINTS.iter();
        let urls = endpoints
            .map(|(name, path)| ((*name).to_owned(), Value::from(format!("{issuer}{path}"))));
        members.extend(urls);
    }
    ([(CACHE_CONTROL, "public, max-age=300")], Json(document))
}

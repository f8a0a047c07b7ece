//! `/.well-known/oauth-authorization-server`: what there is and where (RFC 8414), so that a stock
//! library needs nothing but the issuer's address.

use super::Routes;
use super::keys;
use super::oauth;
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
const ENDPOINTS: [(&str, &str); 4] = [
    ("jwks_uri", keys::PATH),
    ("token_endpoint", oauth::EXCHANGE),
    ("introspection_endpoint", oauth::INTROSPECT),
    ("revocation_endpoint", oauth::REVOKE),
];

/// Endpoints at which a client may prove who it is by its certificate (RFC 8705 §2.1).
const AUTHENTICATED: [&str; 3] = ["token", "introspection", "revocation"];

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
        "grant_types_supported": [oauth::GRANT],
        // RFC 8705 §3.3; RFC 9701 §7.
        "tls_client_certificate_bound_access_tokens": true,
        "introspection_signing_alg_values_supported": ["ES256"],
    });
    if let Some(members) = document.as_object_mut() {
        members.extend(AUTHENTICATED.map(|endpoint| {
            let name = format!("{endpoint}_endpoint_auth_methods_supported");
            (name, json!(["tls_client_auth"]))
        }));
        let endpoints = ENDPOINTS.iter();
        let urls = endpoints
            .map(|(name, path)| ((*name).to_owned(), Value::from(format!("{issuer}{path}"))));
        members.extend(urls);
    }
    ([(CACHE_CONTROL, "public, max-age=300")], Json(document))
}

//! `/api/v1/keys`: our signing keys and where each is in its life. Their public parts alone: a
//! private key leaves the store for the ring and nothing else.

use super::Routes;
use super::granted::{Granted, ReadAdmin};
use super::problem::Problem;
use super::rest::{accept, shown};
use super::state::Api;
use crate::store::{KeyKind, KeyState, StoredKey};
use crate::types::{KeyId, Timestamp};
use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::{OpenApi, ToSchema};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/keys", get(list))
        .layer(from_fn(accept::json))
}

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(list))]
pub(super) struct Documented;

/// A signing key, as others may see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SigningKey)]
struct Shown {
    /// RFC 7638 thumbprint of the public key.
    #[schema(value_type = String)]
    kid: KeyId,
    #[schema(value_type = ShownKind)]
    kind: KeyKind,
    #[schema(value_type = ShownState)]
    state: KeyState,
    #[schema(value_type = i64)]
    created_at: Timestamp,
    #[schema(value_type = i64)]
    state_since: Timestamp,
    /// The public key, while it is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    jwk: Option<Value>,
}

/// What a key signs.
#[derive(ToSchema)]
#[schema(as = KeyKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::KeyKind`")]
enum ShownKind {
    /// The bridge's cookies.
    Session,
    /// Exchanged tokens.
    AccessToken,
    /// Signed answers about tokens.
    Introspection,
}

/// Where a key is in its life.
#[derive(ToSchema)]
#[schema(as = KeyState, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::KeyState`")]
enum ShownState {
    /// Published, not yet signing.
    Announced,
    /// Signs.
    Signing,
    /// Verifies what it signed.
    Retired,
    /// Good for nothing any more.
    Revoked,
}

/// All signing keys.
#[derive(Debug, Serialize, ToSchema)]
struct SigningKeys {
    items: Vec<Shown>,
}

/// Our signing keys, oldest first.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "keys", operation_id = "list_keys",
    responses((status = 200, description = "All of them, revoked ones too.", body = SigningKeys)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn list(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stored = api.store.signing_keys().await?;
    let published: Value = serde_json::from_str(&api.ring.load().jwks()).unwrap_or_default();
    let jwk = |key: &StoredKey| {
        let mut keys = published["keys"].as_array()?.iter();
        keys.find(|jwk| jwk["kid"] == key.id.as_str()).cloned()
    };
    let items = stored.iter().map(|key| Shown {
        kid: key.id.clone(),
        kind: key.kind,
        state: key.state,
        created_at: key.created_at,
        state_since: key.state_since,
        jwk: jwk(key),
    });
    let items = items.collect();
    Ok(shown(&SigningKeys { items }, &headers))
}

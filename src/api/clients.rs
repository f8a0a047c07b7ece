//! `/api/v1/clients`: who may call, how each proves it, what each may do. Never a secret, nor what
//! a secret could be guessed from: of a static bearer only that there is one.

use super::Routes;
use super::granted::{Granted, ReadClients};
use super::registry::Client;
use super::state::Api;
use crate::types::{ClientId, HostName, IssuerId, Scope, Subject};
use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::{OpenApi, ToSchema};

pub(super) fn routes() -> Routes {
    Router::new().route("/api/v1/clients", get(list))
}

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(list))]
pub(super) struct Documented;

/// A client as others see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Client)]
struct Shown {
    #[schema(value_type = String)]
    id: ClientId,
    #[schema(value_type = Vec<String>)]
    scopes: BTreeSet<Scope>,
    certificate_names: Vec<String>,
    spki_sha256: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    bearer: Option<ShownBearer>,
    /// How many static bearers it has.
    static_bearers: usize,
    #[schema(value_type = Vec<String>)]
    hosts: Vec<HostName>,
    audiences: Vec<String>,
}

/// Whose tokens are a client's own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientBearer)]
struct ShownBearer {
    #[schema(value_type = String)]
    issuer: IssuerId,
    #[schema(value_type = String)]
    sub: Subject,
}

/// All clients.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Clients)]
struct List {
    items: Vec<Shown>,
}

/// Who may call.
#[utoipa::path(
    get, path = "/api/v1/clients", tag = "clients", operation_id = "list_clients",
    responses((status = 200, description = "All of them, in the configuration's order.", body = List)),
    security(
        ("certificate" = ["admin"]), ("bearer" = ["admin"]),
        ("certificate" = ["users:read"]), ("bearer" = ["users:read"]),
    ),
)]
async fn list(_: Granted<ReadClients>, State(api): State<Arc<Api>>) -> Json<List> {
    let clients = api.clients.load();
    Json(List {
        items: clients.iter().map(shown).collect(),
    })
}

fn shown(client: &Client) -> Shown {
    let config = &client.config;
    let hex = |hash: &[u8; 32]| hash.iter().map(|b| format!("{b:02x}")).collect();
    Shown {
        id: config.id.clone(),
        scopes: config.scopes.clone(),
        certificate_names: [&config.dns_names[..], &config.uri_names[..]].concat(),
        spki_sha256: config.spki_sha256.iter().map(hex).collect(),
        bearer: config.bearer.as_ref().map(|bearer| ShownBearer {
            issuer: bearer.issuer.clone(),
            sub: bearer.sub.clone(),
        }),
        static_bearers: config.static_bearer_sha256.len(),
        hosts: config.hosts.clone(),
        audiences: config.audiences.clone(),
    }
}

//! The ops listener: `/livez`, `/readyz` (says which part is not ready), `/healthz`, `/metrics`.

use super::keys::KeyKeeper;
use crate::jwks::KeySource;
use crate::proxy::Bridge;
use crate::telemetry::metrics::Metrics;
use crate::types::IssuerId;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// What the ops listener looks at.
#[derive(Clone)]
pub(super) struct Ops {
    pub bridge: Arc<Bridge>,
    pub keys: Arc<HashMap<IssuerId, Arc<KeySource>>>,
    /// Keys of those who sign services' tokens.
    pub services: Arc<HashMap<IssuerId, Arc<KeySource>>>,
    pub insecure: Arc<Vec<String>>,
    pub keeper: Arc<KeyKeeper>,
}

pub(super) fn router(ops: Ops) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/healthz", get(ready))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/jwks.json", get(jwks))
        .with_state(ops)
}

async fn ready(State(ops): State<Ops>) -> Response {
    let now = ops.bridge.clock.now();
    let mut parts = serde_json::Map::new();
    let mut all = true;
    let mut part = |name: String, ready: bool, detail: Value| {
        all &= ready;
        parts.insert(name, json!({ "ready": ready, "detail": detail }));
    };
    let store = ops.bridge.store.ping().await;
    part(
        "store".into(),
        store.is_ok(),
        store.err().map_or(Value::Null, |e| e.to_string().into()),
    );
    let log = &ops.bridge.sessions.log;
    part(
        "revocations".into(),
        log.is_fresh(now),
        json!({ "number": log.number() }),
    );
    for (id, source) in &*ops.keys {
        let status = source.status();
        let error = status.last_error.map(|e| e.to_string());
        let detail = json!({ "keys": status.keys, "error": error });
        part(format!("issuer {id}"), source.is_ready(), detail);
    }
    for (id, source) in &*ops.services {
        let status = source.status();
        let error = status.last_error.map(|e| e.to_string());
        // Visitors come in all the same: `true`, and what is wrong beside it.
        let detail = json!({ "keys": status.keys, "usable": source.is_ready(), "error": error });
        part(format!("api issuer {id}"), true, detail);
    }
    for site in ops.bridge.sites.load().iter() {
        let facts = site.facts.load();
        // An app that is away does not make the bridge unready: its page says so.
        let version = facts.as_ref().map(|f| f.version.clone());
        part(
            format!("app {}", site.config.id),
            true,
            json!({ "version": version }),
        );
    }
    part("accepting".into(), !ops.bridge.is_leaving(), Value::Null);
    let status = if all {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({ "ready": all, "parts": parts, "insecure": &*ops.insecure });
    (status, Json(body)).into_response()
}

async fn metrics(State(ops): State<Ops>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, Metrics::CONTENT_TYPE)],
        ops.bridge.metrics.encode(),
    )
}

async fn jwks(State(ops): State<Ops>) -> impl IntoResponse {
    // Kept for half of an announcement at most, so that a new key is known before it signs (T9).
    let age = format!("max-age={}", ops.keeper.jwks_max_age().as_secs());
    (
        [
            (CONTENT_TYPE, "application/jwk-set+json".to_owned()),
            (CACHE_CONTROL, age),
        ],
        ops.bridge.ring.load().jwks().to_string(),
    )
}

//! One request on its way to a handler.

use axum::body::Body;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::answer::Refusal;
use super::controls::StandIn;
use super::credential::Caller;

/// Longest body that is read, in bytes.
const LONGEST: usize = 2 << 20;

/// A request that passed the checks common to all routes.
pub(super) struct Call {
    pub(super) app: StandIn,
    pub(super) method: Method,
    /// As it was asked for, without the query.
    pub(super) path: String,
    /// Segments below `/api/v3`.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) caller: Caller,
    pub(super) body: Body,
    /// One id for all events of a request.
    pub(super) request_id: String,
}

impl Call {
    pub(super) fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", String::as_str)
    }

    /// The last value of a parameter, as Django takes it.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let mut all = self.query.iter().filter(|(have, _)| have == name);
        all.next_back().map(|(_, value)| value.as_str())
    }

    pub(super) fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.query
            .iter()
            .filter(move |(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a parameter that is `true` by default was said to be false.
    pub(super) fn without(&self, name: &str) -> bool {
        self.param(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("false"))
    }

    pub(super) fn with(&self, name: &str) -> bool {
        self.param(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(super) fn user_agent(&self) -> &str {
        self.headers
            .get("user-agent")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as an object.
    pub(super) async fn json(&mut self) -> Result<Value, Refusal> {
        let text = self.text().await?;
        match serde_json::from_slice(&text) {
            Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
            _ if text.is_empty() => Ok(Value::Object(serde_json::Map::new())),
            _ => Err(Refusal {
                status: 400,
                body: serde_json::json!({ "detail": "JSON parse error" }),
            }),
        }
    }

    pub(super) async fn text(&mut self) -> Result<Vec<u8>, Refusal> {
        let body = std::mem::take(&mut self.body);
        let read = Limited::new(body, LONGEST).collect().await;
        let bytes = read.map_err(|_| Refusal {
            status: 413,
            body: Value::Null,
        })?;
        Ok(bytes.to_bytes().to_vec())
    }
}

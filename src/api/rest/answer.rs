//! What comes back: JSON, with an `ETag` where it can be asked about again.

use super::precondition;
use crate::store::KeptAnswer;
use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

/// Bytes of a hash in an `ETag`: 128 bits.
const TAG: usize = 16;

/// An answer that is whole: it can be kept and given again.
#[derive(Debug, Clone)]
pub(in crate::api) struct Done {
    status: StatusCode,
    etag: Option<String>,
    body: String,
    /// What is kept instead of the body.
    kept: Option<String>,
}

impl Done {
    /// With this as JSON.
    pub(in crate::api) fn new(status: StatusCode, body: &impl Serialize) -> Self {
        Self {
            status,
            etag: None,
            // Our own shapes: texts, numbers and lists of them.
            body: serde_json::to_string(body).unwrap_or_default(),
            kept: None,
        }
    }

    /// What is said once only: whoever repeats the request gets this instead.
    pub(in crate::api) fn again(mut self, body: &impl Serialize) -> Self {
        self.kept = serde_json::to_string(body).ok();
        self
    }

    /// With the tag of this very body.
    pub(in crate::api) fn tagged(mut self) -> Self {
        self.etag = Some(hash(&self.body));
        self
    }

    /// With the tag that a resource has now.
    pub(in crate::api) fn of(mut self, resource: &impl Serialize) -> Self {
        self.etag = Some(tag(resource));
        self
    }

    /// To be given again.
    pub(super) fn kept(&self) -> KeptAnswer {
        KeptAnswer {
            status: self.status.as_u16(),
            etag: self.etag.clone(),
            body: self.kept.as_ref().unwrap_or(&self.body).clone(),
        }
    }
}

impl From<KeptAnswer> for Done {
    fn from(kept: KeptAnswer) -> Self {
        Self {
            status: StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK),
            etag: kept.etag,
            body: kept.body,
            kept: None,
        }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, json);
        tell(headers, self.etag.as_deref());
        response
    }
}

/// A tag is ours: base64url in quotes.
fn tell(headers: &mut HeaderMap, etag: Option<&str>) {
    if let Some(Ok(etag)) = etag.map(HeaderValue::from_str) {
        headers.insert(ETAG, etag);
        // Who keeps it asks each time whether it still is so.
        let kept = HeaderValue::from_static("private, no-cache");
        headers.insert(CACHE_CONTROL, kept);
    }
}

/// The `ETag` of a resource as it is: strong, since it is of every byte (RFC 9110 §8.8.1).
pub(in crate::api) fn tag(resource: &impl Serialize) -> String {
    hash(&serde_json::to_string(resource).unwrap_or_default())
}

fn hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    let short = hash.as_ref().get(..TAG).unwrap_or_default();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(short))
}

/// Answers a question about a resource: 304 when the caller has it already.
pub(in crate::api) fn shown(resource: &impl Serialize, headers: &HeaderMap) -> Response {
    conditional(Done::new(StatusCode::OK, resource).tagged(), headers)
}

pub(super) fn conditional(done: Done, headers: &HeaderMap) -> Response {
    let known = done.etag.as_deref();
    if known.is_some_and(|etag| precondition::has_already(headers, etag)) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        tell(response.headers_mut(), known);
        return response;
    }
    done.into_response()
}

//! How Authentik answers: JSON, and the headers that every answer of the API has.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// What a handler gives back.
pub(super) type Answer = Result<Reply, Refusal>;

/// An answer that is not an error.
pub(super) struct Reply {
    pub(super) status: u16,
    /// `None`: no body.
    pub(super) body: Option<Value>,
    pub(super) more: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            more: Vec::new(),
        }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    /// 204.
    pub(super) fn empty() -> Self {
        Self {
            status: 204,
            body: None,
            more: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }
}

/// An error.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Refusal {
    fn detail(status: u16, text: &str) -> Self {
        Self {
            status,
            body: json!({ "detail": text }),
        }
    }

    /// All failures of authentication are 403, without `WWW-Authenticate` (recorded).
    pub(super) fn no_credential() -> Self {
        Self::detail(403, "Authentication credentials were not provided.")
    }

    pub(super) fn bad_token() -> Self {
        Self::detail(403, "Token invalid/expired")
    }

    pub(super) fn no_permission() -> Self {
        Self::detail(403, "You do not have permission to perform this action.")
    }

    /// No such object, or none that the caller may see: it does not say which (recorded).
    pub(super) fn no_match(model: &str) -> Self {
        Self::detail(404, &format!("No {model} matches the given query."))
    }

    /// An id that is none.
    pub(super) fn not_found() -> Self {
        Self::detail(404, "Not found.")
    }

    pub(super) fn invalid_page() -> Self {
        Self::detail(404, "Invalid page.")
    }

    pub(super) fn method(method: &str) -> Self {
        Self::detail(405, &format!("Method \"{method}\" not allowed."))
    }

    /// A field that is wrong.
    pub(super) fn field(name: &str, text: impl Into<String>) -> Self {
        Self {
            status: 400,
            body: json!({ name: [text.into()] }),
        }
    }
}

/// Puts the headers in, in the recorded order.
pub(super) fn finish(answer: Answer, allow: &str) -> Response<Body> {
    let reply = answer.unwrap_or_else(|refusal| Reply::json(refusal.status, refusal.body));
    let text = reply.body.map(|body| body.to_string());
    let length = text.as_ref().map_or(0, String::len).to_string();
    let mut lines: Vec<(&'static str, &str)> = Vec::new();
    if text.is_some() {
        lines.push(("content-type", "application/json"));
    }
    if !allow.is_empty() {
        lines.push(("allow", allow));
    }
    lines.extend(
        reply
            .more
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    if reply.status != 204 {
        lines.push(("content-length", &length));
    }
    lines.extend([
        ("vary", "Accept-Language, Cookie"),
        ("content-language", "en"),
    ]);
    let mut response = Response::new(text.clone().map_or_else(Body::empty, Body::from));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in lines {
        if let Ok(value) = HeaderValue::from_str(value) {
            response
                .headers_mut()
                .append(HeaderName::from_static(name), value);
        }
    }
    response
}

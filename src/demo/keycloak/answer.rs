//! How Keycloak answers: its header lines in their order, its errors, its pages.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) type Params = BTreeMap<String, String>;

/// Of the Admin API: what was asked for, or why not.
pub(super) type Answer = Result<Response, Refused>;

/// Why not. Boxed, since answers are large and refusals rare.
pub(super) struct Refused(Box<Response>);

impl Refused {
    pub(super) fn of(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// On every answer.
const ALWAYS: [(&str, &str); 5] = [
    ("Referrer-Policy", "no-referrer"),
    (
        "Strict-Transport-Security",
        "max-age=31536000; includeSubDomains",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-Robots-Tag", "none"),
];

fn answer(status: u16, before: &[(&str, &str)], after: &[(&str, &str)], body: &Value) -> Response {
    let body = body.to_string();
    let length = body.len().to_string();
    let lines = before.iter().chain(&[("content-length", "")]).chain(after);
    let mut response = Response::builder().status(status);
    for (name, value) in lines {
        let value = if value.is_empty() { &length } else { *value };
        response = response.header(*name, value);
    }
    response
        .body(Body::from(body))
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// What was asked for.
pub(super) fn found(body: &Value) -> Response {
    let own = [
        ("Cache-Control", "no-cache"),
        ("Content-Type", "application/json;charset=UTF-8"),
    ];
    answer(200, &[], &[&own[..], &ALWAYS].concat(), body)
}

/// An error of the Admin API.
pub(super) fn problem(status: u16, error: &str) -> Response {
    refusal(status, &json!({ "error": error }))
}

/// The same with a body of its own.
pub(super) fn refusal(status: u16, body: &Value) -> Response {
    let own = [("Content-Type", "application/json")];
    answer(status, &[], &[&own[..], &ALWAYS].concat(), body)
}

/// An answer of the token endpoint.
pub(super) fn of_token(status: u16, body: &Value) -> Response {
    let before = [("Cache-Control", "no-store"), ("Pragma", "no-cache")];
    let own = [("Content-Type", "application/json")];
    answer(status, &before, &[&own[..], &ALWAYS].concat(), body)
}

/// An address that nothing lives at.
pub(super) struct Gone;

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        let body = json!({ "error": "Unable to find matching target resource method" });
        answer(404, &[], &[("Content-Type", "application/json")], &body)
    }
}

/// A page of a list, `usual` long unless it is said.
pub(super) fn page(
    all: Vec<Value>,
    params: &Params,
    usual: usize,
    longest: Option<usize>,
) -> Response {
    let number = |name: &str| params.get(name).map(|text| text.parse::<i64>()).transpose();
    let (Ok(first), Ok(max)) = (number("first"), number("max")) else {
        return problem(404, "HTTP 404 Not Found");
    };
    let first = usize::try_from(first.unwrap_or(0)).unwrap_or(0);
    let max = max.map_or(usual, |max| usize::try_from(max).unwrap_or(usual));
    let max = longest.map_or(max, |longest| longest.min(max));
    let cut: Vec<Value> = all.into_iter().skip(first).take(max).collect();
    found(&Value::from(cut))
}

/// Whether a parameter says so.
pub(super) fn says(params: &Params, name: &str, usual: bool) -> bool {
    params.get(name).map_or(usual, |text| text == "true")
}

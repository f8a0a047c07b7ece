//! Path, query and body, read strictly: what is unknown, doubled or of another type is refused, and
//! nothing is guessed. Sizes and depth are bounded (T31): the body by `listen.api.body`, the query
//! here, the depth of JSON by its reader (128).

use crate::api::problem::Problem;
use crate::api::state::Api;
use crate::error::Code;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, Query};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::str::FromStr;
use std::sync::Arc;

/// Longest query in bytes.
const QUERY: usize = 4096;
/// Longest hint about what is wrong, in characters.
const HINT: usize = 200;

/// A query, parsed.
pub(in crate::api) struct Asked<T>(pub(in crate::api) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Api>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        query(parts).map(Self)
    }
}

pub(super) fn query<T: DeserializeOwned>(parts: &Parts) -> Result<T, Problem> {
    if parts.uri.query().is_some_and(|query| query.len() > QUERY) {
        let problem = Problem::new(Code::ApiMalformed, "the query is too long");
        return Err(problem.detail(format!("The query is longer than {QUERY} bytes.")));
    }
    match Query::try_from_uri(&parts.uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(malformed("query", &rejection.body_text())),
    }
}

/// A name in the path; what can't be one names nothing.
///
/// # Errors
/// 404.
pub(in crate::api) fn id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Code::ApiNotFound.into())
}

/// A JSON body; an empty one is `{}`.
pub(super) fn body<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    let bytes = match bytes {
        [] => b"{}",
        bytes if is_json(headers) => bytes,
        _ => {
            let problem = Problem::from(Code::ApiMediaType);
            return Err(problem.detail("The body must be application/json."));
        }
    };
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => {
            let problem = Problem::new(Code::ApiInvalid, "the body is of another shape");
            problem.detail(hint(&error.to_string()))
        }
        _ => malformed("body", &error.to_string()),
    })
}

/// What could not be read of a body.
pub(super) fn unread(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Code::ApiTooLarge.into(),
        _ => Problem::new(Code::ApiMalformed, "the body did not come whole"),
    }
}

/// The bytes of a body within the limit.
pub(super) type Read = Result<Bytes, BytesRejection>;

fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let media = line.to_str().unwrap_or_default().split(';').next();
    media.is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

fn malformed(what: &str, why: &str) -> Problem {
    let problem = Problem::new(Code::ApiMalformed, format!("the {what} can't be read"));
    problem.detail(hint(why))
}

/// What a reader complains of, bounded: it repeats what the caller said.
fn hint(text: &str) -> String {
    text.chars().take(HINT).collect()
}

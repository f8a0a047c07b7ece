//! The outermost layer: request id, panics, problem documents, headers, the log line, the count of
//! refusals.

use super::apps::Noted;
use super::caller::Caller;
use super::problem::Problem;
use super::scim;
use super::state::Api;
use crate::error::{Code, Level};
use crate::telemetry::RequestId;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{
    self, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use http::{Method, StatusCode, Version};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::Instant;

/// Ties our lines to the caller's.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest path in a log line, in characters.
const SHOWN: usize = 200;

/// Marks an answer that is written already (an app's, through the bridge; a refusal in OAuth's
/// words): its body and content type stay. A problem beside it is for the log.
#[derive(Debug, Clone, Copy)]
pub struct Verbatim;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// Wraps every request.
pub(super) async fn finish(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let id = RequestId::accept_or_generate(request.headers().get(REQUEST_ID));
    let (method, version) = (request.method().clone(), request.version());
    let path: String = request.uri().path().chars().take(SHOWN).collect();
    let from = request.extensions().get::<PeerAddress>().map(|from| from.0);
    request.extensions_mut().insert(id.clone());
    let run = AssertUnwindSafe(next.run(request)).catch_unwind();
    // The panic itself was logged by its hook, with its place.
    let response = run
        .await
        .unwrap_or_else(|_| Problem::new(Code::Internal, "an endpoint panicked").into_response());
    let mut response = tidy(response, &path, &id);
    protect(response.headers_mut(), &id);
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE && version < Version::HTTP_2 {
        // What was not read is in the way of the next request (RFC 9110, 15.5.14): nobody is to send it here.
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(problem) = response.extensions().get::<Problem>() {
        api.metrics.refused(problem.code());
    }
    let known = response.extensions().get::<Caller>().is_some();
    let stranger = !known && response.extensions().get::<Problem>().is_some();
    if !stranger {
        log(&response, &method, &path, &id, began, None);
        return response;
    }
    let worth = api.strangers.refused(from, Instant::now());
    for (from, more) in worth.quiet {
        let peer_address = from.map(tracing::field::display);
        tracing::info!(
            peer_address,
            more,
            "api requests of nobody known were refused without a line each"
        );
    }
    if let Some(more) = worth.line {
        let stranger = Stranger { from, more };
        log(&response, &method, &path, &id, began, Some(stranger));
    }
    response
}

/// Makes a problem document of whatever is a refusal: ours, or one of the router and its
/// extractors, which say theirs as plain text. Below `/scim` it is in SCIM's words.
fn tidy(response: Response, path: &str, id: &RequestId) -> Response {
    let status = response.status();
    let extensions = response.extensions();
    let problem = match extensions.get::<Problem>() {
        _ if extensions.get::<Verbatim>().is_some() => return response,
        Some(problem) => problem.clone(),
        None if !foreign(&response) => return response,
        None => Problem::new(code_of(status), format!("the router answered {status}")),
    };
    let (mut parts, _) = response.into_parts();
    parts.status = problem.code().status();
    parts.headers.remove(CONTENT_LENGTH);
    let (content_type, body) = match scim::is_below(path) {
        true => (scim::media_type(), scim::error::of_problem(&problem)),
        false => (
            HeaderValue::from_static("application/problem+json"),
            problem.document(id.as_str()),
        ),
    };
    parts.headers.insert(CONTENT_TYPE, content_type);
    parts.extensions.insert(problem);
    Response::from_parts(parts, body.into())
}

/// A refusal that no endpoint wrote: those are JSON.
fn foreign(response: &Response) -> bool {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE);
    let plain = content_type.is_none_or(|v| v.as_bytes().starts_with(b"text/plain"));
    (status.is_client_error() || status.is_server_error()) && plain
}

fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND => Code::ApiNotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::ApiMethod,
        StatusCode::PAYLOAD_TOO_LARGE => Code::ApiTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::ApiMediaType,
        StatusCode::UNPROCESSABLE_ENTITY => Code::ApiInvalid,
        status if status.is_client_error() => Code::ApiMalformed,
        _ => Code::Internal,
    }
}

/// Nothing is stored unless an endpoint says so; nothing is sniffed, framed or run.
fn protect(headers: &mut HeaderMap, id: &RequestId) {
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(REQUEST_ID, id.header().clone());
}

/// Somebody who is nobody known.
struct Stranger {
    from: Option<IpAddr>,
    /// Refusals of theirs that had no line since the last one.
    more: u64,
}

/// One line a request. Never the query, a header or a body (T34).
fn log(
    response: &Response,
    method: &Method,
    path: &str,
    id: &RequestId,
    began: Instant,
    stranger: Option<Stranger>,
) {
    let extensions = response.extensions();
    let client = extensions
        .get::<Caller>()
        .map(|caller| caller.id().as_str());
    // Of a call to an app: which, and what let it through.
    let noted = extensions.get::<Noted>();
    let app = noted.map(|noted| noted.app.as_str());
    let rule = noted.and_then(|noted| noted.rule.as_deref());
    let method = method.as_str();
    let status = response.status().as_u16();
    let request_id = id.as_str();
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Some(problem) = extensions.get::<Problem>() else {
        tracing::info!(
            client,
            app,
            rule,
            method,
            path,
            status,
            millis,
            request_id,
            "api request"
        );
        return;
    };
    let (code, reason) = (problem.code().as_str(), problem.reason());
    let more = stranger.as_ref().map(|stranger| stranger.more);
    let more = more.filter(|more| *more > 0);
    let peer_address = stranger.and_then(|stranger| stranger.from);
    let peer_address = peer_address.map(tracing::field::display);
    macro_rules! refused {
        ($level:ident) => {
            tracing::$level!(
                client,
                app,
                rule,
                method,
                path,
                status,
                code,
                reason,
                peer_address,
                more,
                millis,
                request_id,
                "api request refused"
            )
        };
    }
    match problem.code().level() {
        Level::Info => refused!(info),
        Level::Warn => refused!(warn),
        Level::Error => refused!(error),
    }
}

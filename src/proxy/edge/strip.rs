//! What is taken out of a request: captured for later stations, or dropped.
//!
//! Which header a backend believes differs from backend to backend; so everything that carries
//! identity, an address or a replaced method goes, whoever sent it (T4, T12, T13, T23).

use super::cookies::Cookies;
use super::names::{self, Seen};
use super::{forwarded, names::in_family};
use crate::error::{Code, Refusal};
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, header};
use std::net::IpAddr;

/// Headers that a client may send and that later stations need, but nobody may forward unseen.
pub(super) struct Captured {
    pub(super) authorization: Option<HeaderValue>,
    pub(super) csrf_token: Option<HeaderValue>,
    pub(super) cookies: Cookies,
    pub(super) client_ip: Option<IpAddr>,
    pub(super) request_id: Option<HeaderValue>,
}

/// Read by later stations, so that two lines would let two stations read differently.
const SINGLE: [HeaderName; 6] = [
    header::ORIGIN,
    header::CONTENT_TYPE,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("x-requested-with"),
];

const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Takes out what is kept behind accessors.
pub(super) fn capture(headers: &mut HeaderMap) -> Result<Captured, Refusal> {
    // Most requests repeat no line at all, which the map knows without looking.
    if has_repeats(headers)
        && SINGLE
            .iter()
            .any(|name| headers.get_all(name).iter().nth(1).is_some())
    {
        return twice();
    }
    headers.remove(HOST);
    Ok(Captured {
        authorization: take_single(headers, AUTHORIZATION)?,
        csrf_token: take_single(headers, CSRF_TOKEN)?,
        cookies: Cookies::take_from(headers, COOKIE),
        client_ip: forwarded::client_ip(headers),
        request_id: forwarded::take_request_id(headers, REQUEST_ID),
    })
}

/// Whether any name has several lines.
fn has_repeats(headers: &HeaderMap) -> bool {
    headers.len() > headers.keys_len()
}

/// Drops every name that the survey found.
pub(super) fn remove(headers: &mut HeaderMap, seen: &Seen) {
    names::drop_all(headers, &seen.remove);
}

/// Whether a plain name never goes upstream, whatever its value.
///
/// `Authorization`, `Cookie` and `X-CSRF-Token` are not here: they were captured.
pub(super) fn goes(name: &str) -> bool {
    in_family(name)
        || matches!(
            name,
            "forwarded"
                | "mattermost-user-id"
                | "proxy-authorization"
                | "token"
                | "true-client-ip"
                | "x-client-ip"
                | "x-cloud-token"
                | "x-cluster-client-ip"
                | "x-forwarded"
                | "x-host"
                | "x-http-method"
                | "x-http-method-override"
                | "x-method-override"
                | "x-original-uri"
                | "x-original-url"
                | "x-real-ip"
                | "x-rewrite-url"
                | "x-scheme"
        )
}

fn take_single(headers: &mut HeaderMap, name: HeaderName) -> Result<Option<HeaderValue>, Refusal> {
    if has_repeats(headers) && headers.get_all(&name).iter().nth(1).is_some() {
        return twice();
    }
    Ok(headers.remove(name))
}

fn twice<T>() -> Result<T, Refusal> {
    Err(Refusal::new(
        Code::RequestMalformed,
        "a header that must have one line has several",
    ))
}

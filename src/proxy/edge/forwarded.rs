//! What the hop before us wrote: the client's address and the request's id.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use std::net::IpAddr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Longest request id believed, in bytes. Envoy's are UUIDs of 36.
const MAX_REQUEST_ID: usize = 64;

/// The last element of `X-Forwarded-For`: the only one that Pomerium itself appended
/// (facts: joined with a bare comma, earlier ones are the client's; recordings/pomerium,
/// difference 16).
pub(super) fn client_ip(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    let text = line.to_str().ok()?;
    text.rsplit(',').next()?.trim().parse().ok()
}

/// The request's id, if it may be written into a log line.
///
/// Private clients choose it themselves, any text (recordings/pomerium, difference 35): it is a
/// label, never a key.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all("x-request-id").iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => believable(line),
        _ => None,
    }
}

pub(super) fn believable(line: &HeaderValue) -> Option<&str> {
    let text = line.to_str().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ok = !text.is_empty() && text.len() <= MAX_REQUEST_ID && text.bytes().all(plain);
    ok.then_some(text)
}

pub(super) fn take_request_id(headers: &mut HeaderMap, name: HeaderName) -> Option<HeaderValue> {
    let several = headers.get_all(&name).iter().nth(1).is_some();
    let line = headers.remove(name)?;
    (!several && believable(&line).is_some()).then_some(line)
}

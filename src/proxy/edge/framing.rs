//! Framing: method, version, length and connection headers that leave one reading only.
//!
//! RFC 9112 §6.3 tells a recipient how to choose between contradicting lengths; a proxy that
//! chooses may choose otherwise than its neighbours (T21). So nothing is chosen: it is refused.

use crate::error::{Code, Refusal};
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};

/// Methods that are never served: `TRACE` echoes the assertion (recordings/pomerium, difference
/// 20), `TRACK` is its Microsoft twin, `CONNECT` would make us a tunnel.
pub(super) fn check_method(method: &Method) -> Result<(), Refusal> {
    let refused = ["TRACE", "CONNECT", "TRACK"]
        .iter()
        .any(|m| method.as_str().eq_ignore_ascii_case(m));
    if refused {
        return Err(Refusal::new(
            Code::RequestMethod,
            "TRACE, TRACK and CONNECT are not served",
        ));
    }
    Ok(())
}

/// HTTP/1.1 and HTTP/2: older versions have no Host and no agreed framing.
pub(super) fn check_version(version: Version) -> Result<(), Refusal> {
    match version {
        Version::HTTP_11 | Version::HTTP_2 => Ok(()),
        _ => refuse("only HTTP/1.1 and HTTP/2 are served"),
    }
}

/// Checks lengths, expectations and connection headers; says whether this is a WebSocket upgrade.
pub(super) fn check(parts: &Parts) -> Result<bool, Refusal> {
    let headers = &parts.headers;
    let has_body = lengths(headers)?;
    if let Some(expect) = single(headers, &EXPECT)?
        && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return refuse("Expect asks for something other than 100-continue");
    }
    if parts.version == Version::HTTP_2 {
        http2(headers)?;
        return Ok(false);
    }
    let upgrade = match single(headers, &UPGRADE)? {
        None => return Ok(false),
        Some(upgrade) => upgrade,
    };
    // RFC 9110 §7.8: a server may ignore Upgrade. A proxy that ignores `h2c` and a neighbour that
    // does not are how requests are smuggled, hence no.
    if !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return refuse("Upgrade asks for something other than websocket");
    }
    if parts.method != Method::GET || has_body || !lists_upgrade(headers) {
        return refuse("an upgrade must be a GET without body whose Connection lists it");
    }
    Ok(true)
}

/// Whether a body is announced.
fn lengths(headers: &HeaderMap) -> Result<bool, Refusal> {
    let length = single(headers, &CONTENT_LENGTH)?;
    let coding = single(headers, &TRANSFER_ENCODING)?;
    match (length, coding) {
        (None, None) => Ok(false),
        (Some(_), Some(_)) => refuse("both Content-Length and Transfer-Encoding"),
        (None, Some(coding)) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        (None, Some(_)) => refuse("Transfer-Encoding is something other than chunked"),
        (Some(length), None) => {
            let digits = length.as_bytes();
            let plain =
                !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
            if plain {
                Ok(digits.iter().any(|d| *d != b'0'))
            } else {
                refuse("Content-Length is no plain number")
            }
        }
    }
}

/// RFC 9113 §8.2.2: connection-specific fields make an HTTP/2 request malformed.
fn http2(headers: &HeaderMap) -> Result<(), Refusal> {
    const FORBIDDEN: [HeaderName; 5] = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    if FORBIDDEN.iter().any(|name| headers.contains_key(name)) {
        return refuse("a connection header in HTTP/2");
    }
    if headers
        .get_all(TE)
        .iter()
        .any(|te| te.as_bytes() != b"trailers")
    {
        return refuse("TE other than trailers in HTTP/2");
    }
    Ok(())
}

fn lists_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// The only line of a header that may have one line at most.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    if lines.next().is_some() {
        return refuse("a framing header with several lines");
    }
    Ok(first)
}

fn refuse<T>(reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal::new(Code::RequestFraming, reason))
}

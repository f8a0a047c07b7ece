//! Headers that end at the next hop.
//!
//! RFC 9110 §7.6.1: "Intermediaries MUST parse a received Connection header field before a message
//! is forwarded and, for each connection-option in this field, remove any header or trailer
//! field(s) from the message with the same name as the connection-option". A client may thus take
//! away headers; it may not take away those that the bridge decides by (T2), which is why they are
//! captured first and why protected names are no options here.

use super::names;
use crate::error::{Code, Refusal};
use http::header::{CONNECTION, EXPECT, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, header};

/// Most options that a `Connection` header may list.
const MAX_OPTIONS: usize = 32;

const FIXED: [HeaderName; 5] = [
    header::TRAILER,
    // Re-made by whoever writes the next head.
    TRANSFER_ENCODING,
    // hyper answers 100-continue itself.
    EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Removes them; an upgrade gets `Connection: Upgrade` and `Upgrade: websocket` in one spelling.
pub(super) fn remove(headers: &mut HeaderMap, upgrade: bool) -> Result<(), Refusal> {
    if headers.contains_key(CONNECTION) {
        for name in listed(headers)? {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in &FIXED {
        headers.remove(name);
    }
    let trailers = |line: &HeaderValue| {
        line.as_bytes()
            .split(|b| *b == b',')
            .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    };
    if headers.contains_key(TE) {
        let keep = headers.get_all(TE).iter().any(trailers);
        headers.remove(TE);
        if keep {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    } else {
        headers.remove(UPGRADE);
    }
    Ok(())
}

/// The options that name a header of their own, without the protected ones.
fn listed(headers: &HeaderMap) -> Result<Vec<HeaderName>, Refusal> {
    let mut names = Vec::new();
    let options = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|b| *b == b','));
    for (index, option) in options.enumerate() {
        if index >= MAX_OPTIONS {
            return Err(Refusal::new(
                Code::RequestHeader,
                "Connection lists too many options",
            ));
        }
        let option = option.trim_ascii();
        let usual = [&b"close"[..], b"keep-alive", b"upgrade"];
        if option.is_empty() || usual.iter().any(|u| option.eq_ignore_ascii_case(u)) {
            continue;
        }
        let Ok(name) = HeaderName::from_bytes(option) else {
            return Err(Refusal::new(
                Code::RequestHeader,
                "Connection lists something that is no header name",
            ));
        };
        if !names::is_protected(name.as_str()) {
            names.push(name);
        }
    }
    Ok(names)
}

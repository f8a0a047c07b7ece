//! Station 9, filter: the only way from an app's answer to the browser's. No app credential leaves:
//! not in `Set-Cookie`, not in a `Token` header, not on a 101, an error or a redirect (T24).

use super::body::{AppBody, Body};
use super::forward::{Answer, UpstreamResponse};
use super::route::Site;
use super::session::Live;
use crate::types::Timestamp;
use http::header::{CONNECTION, HeaderMap, HeaderName, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderValue, Response, StatusCode};

/// Headers that speak of one connection only (RFC 9110 §7.6.1). `Trailer` stays: it announces.
const HOP_BY_HOP: [HeaderName; 5] = [
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Pomerium's cookies: an app that set one would overwrite the visitor's sign-in
/// (recordings/pomerium, difference 18).
const POMERIUM: &[u8] = b"_pomerium";

/// Header lines that may reach Envoy: it gives up at 100 and adds its own.
const MOST_LINES: usize = 90;

/// Releases an answer: filters its head, streams its body.
pub fn release(
    site: &Site,
    live: Option<&Live>,
    now: Timestamp,
    answer: UpstreamResponse,
) -> Response<Body> {
    let UpstreamResponse { mut head, body } = answer;
    clean(site, live, now, &mut head.headers);
    let body = match body {
        Answer::Streamed(body, lease) => Body::App(AppBody::new(body, lease, clean_trailers)),
        Answer::Gathered(bytes) => Body::text(bytes),
    };
    Response::from_parts(head, body)
}

/// Releases the app's 101, with its own handshake headers.
pub fn release_switch(
    site: &Site,
    live: Option<&Live>,
    now: Timestamp,
    answer: Response<()>,
) -> Response<Body> {
    let (mut parts, ()) = answer.into_parts();
    clean(site, live, now, &mut parts.headers);
    parts
        .headers
        .insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    parts
        .headers
        .insert(UPGRADE, HeaderValue::from_static("websocket"));
    parts.status = StatusCode::SWITCHING_PROTOCOLS;
    Response::from_parts(parts, Body::Empty)
}

fn clean(site: &Site, live: Option<&Live>, now: Timestamp, headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        drop_named_by_connection(headers);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    if headers.contains_key(SET_COOKIE) {
        filter_cookies(site, live, now, headers);
    }
    let rules = &*site.rules;
    if headers.keys().any(|name| !rules.releases(name)) {
        let held: Vec<HeaderName> = headers
            .keys()
            .filter(|n| !rules.releases(n))
            .cloned()
            .collect();
        for name in held {
            headers.remove(name);
        }
    }
    if headers.len() > MOST_LINES {
        tracing::warn!(app = %site.config.id, lines = headers.len(), "the app sends more header lines than Envoy takes");
    }
}

/// Trailers may not carry what a head may not: they are few, so whatever could be a credential goes.
fn clean_trailers(trailers: &mut HeaderMap) {
    let suspect = |name: &HeaderName| {
        let name = name.as_str();
        name.contains("cookie") || name.contains("token") || name.contains("auth")
    };
    let held: Vec<HeaderName> = trailers.keys().filter(|n| suspect(n)).cloned().collect();
    for name in held {
        trailers.remove(name);
    }
}

fn drop_named_by_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Drops the cookies that are the bridge's or Pomerium's; notes a session that the app extended.
fn filter_cookies(site: &Site, live: Option<&Live>, now: Timestamp, headers: &mut HeaderMap) {
    let names = site.rules.cookies();
    let owned = [names.session, names.user_id, names.csrf];
    let mut kept = Vec::new();
    for value in headers.get_all(SET_COOKIE) {
        let bytes = value.as_bytes();
        let end = bytes
            .iter()
            .position(|b| *b == b'=' || *b == b';')
            .unwrap_or(bytes.len());
        let name = bytes[..end].trim_ascii();
        if owned
            .iter()
            .any(|o| o.as_bytes().eq_ignore_ascii_case(name))
        {
            if let Some(live) = live
                && name == names.session.as_bytes()
            {
                note_extension(live, now, &bytes[end..]);
            }
            continue;
        }
        if name.len() >= POMERIUM.len() && name[..POMERIUM.len()].eq_ignore_ascii_case(POMERIUM) {
            continue;
        }
        kept.push(value.clone());
    }
    headers.remove(SET_COOKIE);
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

/// The app re-issues its cookie when it extends its session (recordings/mattermost, 14): the very
/// token, with a new `Max-Age`. Another token is none of ours and is only dropped.
fn note_extension(live: &Live, now: Timestamp, rest: &[u8]) {
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let mut parts = text.trim_start_matches('=').split(';');
    let same = parts
        .next()
        .is_some_and(|v| v.trim() == live.grant().token.expose());
    if !same {
        return;
    }
    let age = parts.find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("max-age")
            .then(|| value.trim().parse::<u32>().ok())?
    });
    if let Some(seconds) = age.filter(|s| *s > 0) {
        live.extended_to(Timestamp(now.0 + i64::from(seconds)));
    }
}

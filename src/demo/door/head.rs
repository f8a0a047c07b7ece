//! The head of a forwarded request: what Envoy and Pomerium make of the client's (recordings 01,
//! 02, 04, 05). Pure, so that it is compared with the recordings line by line.

use http::header::{AUTHORIZATION, CONNECTION, COOKIE, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Pomerium's cookie.
pub(super) const COOKIE_NAME: &str = "_pomerium";

const ASSERTION: HeaderName = HeaderName::from_static("x-pomerium-jwt-assertion");
const ASSERTION_FOR: HeaderName = HeaderName::from_static("x-pomerium-jwt-assertion-for");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What takes the place of a client's line of the same name.
const IN_PLACE: [HeaderName; 3] = [FORWARDED_FOR, FORWARDED_PROTO, REQUEST_ID];

/// What the door knows beside the client's own head.
pub(super) struct Facts<'a> {
    /// The client's address, as Envoy saw it.
    pub(super) peer: &'a str,
    /// `https`, or `http` for the plain demo.
    pub(super) proto: &'a str,
    /// A fresh id, used unless the client brought one: it is on a private address.
    pub(super) request_id: &'a str,
    pub(super) assertion: &'a str,
    /// `email_verified` of the assertion, empty when absent.
    pub(super) email_verified: &'a str,
    /// `preferred_username` of the assertion, empty when absent.
    pub(super) username: &'a str,
}

/// Builds the upstream head. Client lines come first, in order, forwarding ones with Pomerium's
/// value in their place; what else is set follows, in the client's letter case if it sent such a
/// line; `Cookie` comes last.
pub(super) fn upstream(client: &HeaderMap, facts: &Facts<'_>) -> HeaderMap {
    let upgrade = is_websocket(client);
    let nominated = if upgrade {
        Vec::new()
    } else {
        nominated(client)
    };
    let mut set = ours(client, facts);
    let mut head = HeaderMap::with_capacity(client.len() + set.len() + 1);
    for (name, value) in client {
        if dropped(name, value, upgrade) || nominated.iter().any(|n| n == name.as_str()) {
            continue;
        }
        if !IN_PLACE.contains(name) {
            head.append(name.clone(), value.clone());
        } else if let Some(at) = set.iter().position(|(ours, _)| ours == name) {
            let (_, value) = set.remove(at);
            head.append(name.clone(), value);
        }
    }
    for (name, value) in set {
        head.append(name, value);
    }
    if let Some(rest) = without_session(client) {
        head.append(COOKIE, rest);
    }
    head
}

/// Whether this is a WebSocket handshake.
pub(super) fn is_websocket(client: &HeaderMap) -> bool {
    let upgrade = client.get(UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        && nominated(client).iter().any(|name| name == "upgrade")
}

/// The value of the first `_pomerium` cookie. Several `Cookie` lines hide it: a real session is
/// then not found at all (recording 04), nor when `Connection` names the cookie (02).
pub(super) fn session_handle(client: &HeaderMap) -> Option<&str> {
    let mut lines = client.get_all(COOKIE).iter();
    let line = lines.next()?.to_str().ok()?;
    if lines.next().is_some() || nominated(client).iter().any(|name| name == "cookie") {
        return None;
    }
    line.split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value.trim_matches('"'))
}

/// Everything Pomerium sets, in the recorded order.
fn ours(client: &HeaderMap, facts: &Facts<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let text = |name: &HeaderName| joined(client, name);
    let forwarded_for = match text(&FORWARDED_FOR) {
        // Joined with a bare comma (README, difference 16).
        Some(earlier) => format!("{earlier},{}", facts.peer),
        None => facts.peer.to_owned(),
    };
    let mut set = vec![
        (FORWARDED_FOR, forwarded_for),
        (FORWARDED_PROTO, facts.proto.to_owned()),
    ];
    // A client on a private address is "internal" to Envoy, unless it speaks for another one.
    set.push(match client.contains_key(FORWARDED_FOR) {
        true => (
            HeaderName::from_static("x-envoy-external-address"),
            facts.peer.to_owned(),
        ),
        false => (
            HeaderName::from_static("x-envoy-internal"),
            "true".to_owned(),
        ),
    });
    let claim = |name| HeaderName::from_static(name);
    set.extend([
        (
            REQUEST_ID,
            text(&REQUEST_ID).unwrap_or_else(|| facts.request_id.to_owned()),
        ),
        (
            claim("x-pomerium-claim-email-verified"),
            facts.email_verified.to_owned(),
        ),
        (
            claim("x-pomerium-claim-username"),
            facts.username.to_owned(),
        ),
        (ASSERTION, facts.assertion.to_owned()),
    ]);
    // Pomerium carries a client's forged assertion over into this one, unverified.
    if let Some(forged) = text(&ASSERTION_FOR).or_else(|| text(&ASSERTION)) {
        set.push((ASSERTION_FOR, forged));
    }
    set.into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)))
        .collect()
}

fn dropped(name: &HeaderName, value: &HeaderValue, upgrade: bool) -> bool {
    let pomerium = || {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"pomerium ")
    };
    match *name {
        COOKIE | EXPECT | TRANSFER_ENCODING => true,
        CONNECTION | UPGRADE => !upgrade,
        AUTHORIZATION => pomerium(),
        _ => matches!(
            name.as_str(),
            "keep-alive"
                | "proxy-connection"
                | "x-pomerium-authorization"
                | "x-forwarded-client-cert"
                | "x-envoy-internal"
                | "x-envoy-expected-rq-timeout-ms"
                | "x-envoy-upstream-rq-timeout-ms"
                | "x-pomerium-set-cookie"
                | "x-pomerium-reproxy-policy"
                // Set anew further down.
                | "x-pomerium-claim-email-verified"
                | "x-pomerium-claim-username"
                | "x-pomerium-jwt-assertion"
                | "x-pomerium-jwt-assertion-for"
        ),
    }
}

/// Names listed in `Connection`, in lower case.
fn nominated(client: &HeaderMap) -> Vec<String> {
    client
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        // `Connection: X-Pomerium-Jwt-Assertion` strips the client's own, never the genuine one,
        // which is set afterwards.
        .collect()
}

/// All values of a header joined with a bare comma; `None` when absent.
fn joined(client: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = client
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The cookies without `_pomerium`: an **empty** line when it was alone, `None` without cookies.
fn without_session(client: &HeaderMap) -> Option<HeaderValue> {
    let lines = joined(client, &COOKIE)?;
    let rest: Vec<&str> = lines
        .split(';')
        .map(str::trim)
        .filter(|pair| pair.split_once('=').map_or(*pair, |(name, _)| name) != COOKIE_NAME)
        .collect();
    HeaderValue::from_str(&rest.join("; ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const FILES: [(&str, &str); 4] = [
        (
            "01",
            include_str!("../../../tests/data/recordings/pomerium/01-logged-in-get.json"),
        ),
        (
            "02",
            include_str!("../../../tests/data/recordings/pomerium/02-forged-inputs.json"),
        ),
        (
            "04",
            include_str!("../../../tests/data/recordings/pomerium/04-cookies.json"),
        ),
        (
            "05",
            include_str!("../../../tests/data/recordings/pomerium/05-websocket.json"),
        ),
    ];

    /// Header lines of a recorded head, as sent.
    fn lines(head: &str) -> Vec<(&str, &str)> {
        head.split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .collect()
    }

    /// What one recorded exchange says that the client sent, when it is one the door claims to
    /// play: HTTP/1.1, a session, forwarded, a route that removes nothing.
    fn comparable(exchange: &Value) -> Option<(&str, &str)> {
        let client = exchange["client_request"].as_str()?;
        let upstream = exchange["upstream_request_head"].as_str()?;
        let ours = client.contains(" HTTP/1.1\r\n")
            && client.contains("_pomerium=<session")
            && upstream.contains("ssertion: ey")
            && !client.contains("xxxxxxxx");
        // Route "full" removes forwarding headers; route "plain" does not.
        let title = exchange["title"].as_str()?;
        // An absolute-form target replaces Host before this module is asked.
        let elsewhere = title.contains("remove_request_headers")
            || title.contains("upgrade with two forged")
            || title.contains("absolute-form");
        (ours && !elsewhere).then_some((client, upstream))
    }

    #[test]
    fn every_recorded_head_is_made_again_in_its_order() {
        let mut compared = 0;
        let mut different = Vec::new();
        for (file, text) in FILES {
            let file_value: Value = serde_json::from_str(text).unwrap();
            for exchange in file_value["exchanges"].as_array().unwrap() {
                let Some((client, recorded)) = comparable(exchange) else {
                    continue;
                };
                let mut sent = HeaderMap::new();
                for (name, value) in lines(client) {
                    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                    sent.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
                }
                let recorded: Vec<(String, String)> = lines(recorded)
                    .into_iter()
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                    // The recording client was on loopback, which Envoy writes in two ways.
                    .map(|(name, value)| match value.as_str() {
                        "127.0.0.1" => (name, "192.0.2.2".to_owned()),
                        _ => (name, value),
                    })
                    // Only routes without WebSockets have this one; the door's has them.
                    .filter(|(name, _)| name != "x-envoy-expected-rq-timeout-ms")
                    .collect();
                let of = |name: &str| {
                    let found = recorded.iter().find(|(have, _)| have == name);
                    found.map(|(_, value)| value.as_str()).unwrap_or_default()
                };
                let made = upstream(
                    &sent,
                    &Facts {
                        peer: of("x-forwarded-for").rsplit(',').next().unwrap(),
                        proto: "https",
                        request_id: of("x-request-id"),
                        assertion: of("x-pomerium-jwt-assertion"),
                        email_verified: of("x-pomerium-claim-email-verified"),
                        username: of("x-pomerium-claim-username"),
                    },
                );
                let made: Vec<(String, String)> = made
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                    .collect();
                compared += 1;
                if made != recorded {
                    let title = exchange["title"].as_str().unwrap();
                    different.push(format!(
                        "{file} {title}\n  ours {made:?}\n  real {recorded:?}"
                    ));
                }
            }
        }
        assert!(compared >= 40, "{compared}");
        assert!(
            different.is_empty(),
            "{} of {compared}:\n{}",
            different.len(),
            different.join("\n")
        );
    }

    #[test]
    fn a_session_is_found_only_where_pomerium_finds_it() {
        let head = |lines: &[(&'static str, &'static str)]| {
            let mut head = HeaderMap::new();
            for (name, value) in lines {
                head.append(*name, HeaderValue::from_static(value));
            }
            head
        };
        assert_eq!(
            session_handle(&head(&[("cookie", "a=1;_pomerium=x; b=2")])),
            Some("x")
        );
        assert_eq!(
            session_handle(&head(&[("cookie", "_pomerium=\"x\"")])),
            Some("x")
        );
        assert_eq!(
            session_handle(&head(&[("cookie", "_pomerium=g; _pomerium=x")])),
            Some("g")
        );
        assert_eq!(
            session_handle(&head(&[("cookie", "_POMERIUM=x; _pomerium_csrf=y")])),
            None
        );
        assert_eq!(
            session_handle(&head(&[("cookie", "_pomerium=x"), ("cookie", "a=1")])),
            None
        );
        let named = [("connection", "close, Cookie"), ("cookie", "_pomerium=x")];
        assert_eq!(session_handle(&head(&named)), None);
    }
}

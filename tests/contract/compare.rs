//! Is this the recorded answer? Ids and tokens are learnt from matching places and must then stay
//! the same everywhere; times may differ, everything else may not.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::wire::Response;

/// Headers about framing and the moment, or whose values cannot repeat.
const FRAMING: &[&str] = &["Content-Length", "Transfer-Encoding", "Date", "Connection"];
const VOLATILE: &[&str] = &["X-Request-Id", "X-Version-Id"];
/// Members of bodies whose values belong to one server.
const PRIVATE: &[&str] = &[
    "request_id",
    "server_hostname",
    "server_version",
    "server_time",
    "seq",
    "permissions",
    "display_name_of_role",
    "last_viewed_at_times",
    "InstallationDate",
    "DiagnosticId",
    "TelemetryId",
    "participants",
];

/// Recorded texts and what they are here.
#[derive(Default)]
pub(crate) struct Names {
    known: BTreeMap<String, String>,
}

impl Names {
    pub(crate) fn learn(&mut self, recorded: &str, live: &str) {
        self.known.insert(recorded.to_owned(), live.to_owned());
    }

    pub(crate) fn get(&self, recorded: &str) -> Option<&str> {
        self.known.get(recorded).map(String::as_str)
    }

    /// A recorded text with everything known put in its place, longest first.
    pub(crate) fn apply(&self, text: &str) -> String {
        let mut pairs: Vec<_> = self.known.iter().collect();
        pairs.sort_by_key(|(recorded, _)| std::cmp::Reverse(recorded.len()));
        let mut text = text.to_owned();
        // In two steps, so that what was put in is not replaced again.
        for (index, (recorded, _)) in pairs.iter().enumerate() {
            text = text.replace(recorded.as_str(), &format!("\u{1}{index}\u{2}"));
        }
        for (index, (_, live)) in pairs.iter().enumerate() {
            text = text.replace(&format!("\u{1}{index}\u{2}"), live);
        }
        text
    }

    fn same(&mut self, recorded: &str, live: &str) -> bool {
        match self.known.get(recorded) {
            Some(known) => known == live,
            None => {
                self.learn(recorded, live);
                true
            }
        }
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 26
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// What of the body is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Whole,
    /// Names and types only, and arrays may differ in length.
    Shape,
    Ignored,
}

/// All differences between an answer and its recording.
pub(crate) fn differences(
    recorded: &Value,
    live: &Response,
    body: Body,
    names: &mut Names,
) -> Vec<String> {
    let mut found = Vec::new();
    let status = recorded["status"].as_u64().unwrap_or_default();
    if status != u64::from(live.status) {
        let body = String::from_utf8_lossy(&live.body).into_owned();
        found.push(format!(
            "status {} instead of {status}: {body}",
            live.status
        ));
        return found;
    }
    headers(&recorded["headers"], &live.headers, names, &mut found);
    let text = recorded["body"].as_str().unwrap_or_default();
    if body == Body::Ignored || text.contains('…') || text.starts_with("base64:") {
        return found;
    }
    let gzipped = live.header("Content-Encoding").is_some();
    match serde_json::from_str::<Value>(text) {
        Ok(expected) if !gzipped => match serde_json::from_slice(&live.body) {
            Ok(got) => values("body", &expected, &got, body, names, &mut found),
            Err(error) => found.push(format!("the body is no JSON: {error}")),
        },
        _ if gzipped => {}
        _ => {
            let got = String::from_utf8_lossy(&live.body).into_owned();
            if names.apply(text).trim_end() != got.trim_end() && !text.starts_with('<') {
                mixed(&names.apply(text), &got, names, &mut found);
            }
        }
    }
    found
}

/// A line of text with JSON behind it, as a refused upgrade has.
fn mixed(expected: &str, got: &str, names: &mut Names, found: &mut Vec<String>) {
    let parsed = |text: &str| -> Option<(String, Value)> {
        let (line, json) = text.split_once('\n')?;
        Some((line.to_owned(), serde_json::from_str(json).ok()?))
    };
    match (parsed(expected), parsed(got)) {
        (Some(a), Some(b)) if a.0 == b.0 => values("body", &a.1, &b.1, Body::Whole, names, found),
        _ => found.push(format!("body {got:?} instead of {expected:?}")),
    }
}

fn headers(
    recorded: &Value,
    live: &[(String, String)],
    names: &mut Names,
    found: &mut Vec<String>,
) {
    let recorded: Vec<(String, String)> =
        serde_json::from_value(recorded.clone()).expect("headers are pairs");
    let shown = |(name, _): &&(String, String)| !FRAMING.contains(&name.as_str());
    let expected: Vec<_> = recorded.iter().filter(shown).collect();
    let got: Vec<_> = live.iter().filter(shown).collect();
    let list = |lines: &[&(String, String)]| {
        lines
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
            .join(", ")
    };
    // The stand-in's library writes header names in title case throughout.
    let titled = |text: String| text.replace("WebSocket", "Websocket");
    if titled(list(&expected)) != list(&got) {
        found.push(format!(
            "headers [{}] instead of [{}]",
            list(&got),
            list(&expected)
        ));
        return;
    }
    for ((name, expected), (_, got)) in expected.into_iter().zip(got) {
        let same = match name.as_str() {
            name if VOLATILE.contains(&name) => true,
            "Sec-WebSocket-Accept" => expected == got,
            "Token" => names.same(expected, got),
            "Set-Cookie" => cookie(expected, got, names),
            "Etag" | "Last-Modified" => {
                names.learn(expected, got);
                expected.len().abs_diff(got.len()) <= 1
            }
            _ => names.apply(expected) == *got,
        };
        if !same {
            found.push(format!("{name}: {got:?} instead of {expected:?}"));
        }
    }
}

/// Name and attributes are the text; the value is learnt, the date is of now.
fn cookie(expected: &str, got: &str, names: &mut Names) -> bool {
    let split = |text: &str| -> (String, String, String) {
        let (pair, rest) = text.split_once("; ").unwrap_or((text, ""));
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let rest = rest
            .split("; ")
            .map(|part| {
                if part.starts_with("Expires=") {
                    "Expires"
                } else {
                    part
                }
            })
            .collect::<Vec<_>>();
        (name.to_owned(), value.to_owned(), rest.join("; "))
    };
    let (a, b) = (split(expected), split(got));
    let value = if a.1.is_empty() {
        b.1.is_empty()
    } else {
        names.same(&a.1, &b.1)
    };
    (a.0, a.2) == (b.0, b.2) && value
}

/// Compares two bodies, member by member.
pub(crate) fn values(
    at: &str,
    expected: &Value,
    got: &Value,
    body: Body,
    names: &mut Names,
    found: &mut Vec<String>,
) {
    let member = at.rsplit('.').next().unwrap_or(at);
    if PRIVATE.contains(&member) {
        return;
    }
    match (expected, got) {
        (Value::Object(a), Value::Object(b)) => {
            if !a.is_empty() && a.keys().all(|key| is_id(key)) && b.keys().all(|key| is_id(key)) {
                return;
            }
            let (left, right): (Vec<_>, Vec<_>) = (a.keys().collect(), b.keys().collect());
            if left != right {
                let lacks: Vec<_> = left.iter().filter(|key| !b.contains_key(**key)).collect();
                let extra: Vec<_> = right.iter().filter(|key| !a.contains_key(**key)).collect();
                found.push(format!("{at} lacks {lacks:?} and has {extra:?} besides"));
                return;
            }
            for (key, value) in a {
                values(&format!("{at}.{key}"), value, &b[key], body, names, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() && body == Body::Whole {
                found.push(format!(
                    "{at} has {} elements instead of {}",
                    b.len(),
                    a.len()
                ));
                return;
            }
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                values(&format!("{at}[{index}]"), a, b, body, names, found);
            }
        }
        (Value::String(a), Value::String(b)) => {
            if a.starts_with('{')
                && let (Ok(a), Ok(b)) = (serde_json::from_str(a), serde_json::from_str(b))
            {
                values(at, &a, &b, body, names, found);
                return;
            }
            let same = match () {
                () if body == Body::Shape => true,
                () if is_id(a) && is_id(b) => names.same(a, b),
                () if member == "roles" => words(a) == words(b),
                () => names.apply(a) == *b,
            };
            if !same {
                let known = names.get(a).unwrap_or("unknown");
                found.push(format!("{at}: {b:?} instead of {a:?} (here {known})"));
            }
        }
        (Value::Number(a), Value::Number(b)) => {
            let small = |n: &serde_json::Number| n.as_i64().is_some_and(|n| n.abs() < 1_000_000);
            if body == Body::Whole && small(a) && small(b) && a != b {
                found.push(format!("{at}: {b} instead of {a}"));
            }
        }
        (a, b) if a == b => {}
        (Value::Bool(_), Value::Bool(_)) if body == Body::Shape => {}
        (a, b) => found.push(format!("{at}: {b} instead of {a}")),
    }
}

fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<_> = text.split(' ').collect();
    words.sort_unstable();
    words
}

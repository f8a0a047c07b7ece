//! Every assertion that a real Pomerium was recorded sending.

use super::*;
use crate::proxy::edge;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const FOLDER: &str = "tests/data/recordings/pomerium";

fn files() -> BTreeMap<String, String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Whatever looks like a signed token.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .filter(|word| {
            let parts: Vec<_> = word.split('.').collect();
            let [header, payload, signature] = parts[..] else {
                return false;
            };
            header.starts_with("eyJ") && payload.starts_with("eyJ") && !signature.is_empty()
        })
}

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn recorded_desk() -> Desk {
    let first: Value = serde_json::from_str(&files()["01-logged-in-get.json"]).unwrap();
    Desk::new(&first["jwks"].to_string())
}

#[test]
fn every_recorded_assertion_verifies_with_the_recorded_keys() {
    let mut desk = recorded_desk();
    let (mut persons, mut nobodies, mut unknown) = (0, 0, Vec::new());
    let mut seen = BTreeSet::new();
    for (file, text) in files() {
        for token in tokens(&text) {
            if !seen.insert(token.to_owned()) {
                continue;
            }
            let claims = payload(token);
            let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
            desk.clock
                .set(Timestamp(claims["iat"].as_i64().unwrap() + 1));
            desk.host = HostName::new(&text("aud")).unwrap();
            match desk.read(token) {
                Ok(verified) => {
                    assert_eq!(verified.subject().as_str(), text("sub"));
                    assert_eq!(verified.sid().as_str(), text("sid"));
                    assert_eq!(verified.email(), text("email"));
                    assert_eq!(verified.name(), text("name"));
                    assert_eq!(verified.username(), text("preferred_username"));
                    assert_eq!(verified.email_verified(), text("email_verified") == "true");
                    let groups: Vec<_> = verified.groups().iter().map(|g| g.as_str()).collect();
                    assert_eq!(json!(groups), claims["groups"]);
                    assert_eq!(verified.expires().since(verified.issued()).as_secs(), 300);
                    persons += 1;
                }
                Err(refusal) if refusal.code == Code::AssertionAnonymous => {
                    assert_eq!(text("sub"), "");
                    nobodies += 1;
                }
                Err(refusal) => {
                    assert_eq!(refusal.code, Code::AssertionUnknownKey, "{file}");
                    unknown.push(file.clone());
                }
            }
        }
    }
    assert_eq!(persons + nobodies + unknown.len(), 199);
    assert!(nobodies > 0);
    assert_eq!(unknown, ["08c-bad-signing-key.json"]);
}

/// The heads themselves, through station 1: the whole way of a recorded request.
#[test]
fn every_recorded_head_is_clean_or_refused_for_a_reason() {
    let desk = recorded_desk();
    let (mut clean, mut refused) = (0, Vec::new());
    for (file, text) in files() {
        let recording: Value = serde_json::from_str(&text).unwrap();
        for exchange in recording["exchanges"].as_array().into_iter().flatten() {
            let title = exchange["title"].as_str().unwrap_or_default();
            let Some(head) = exchange["upstream_request_head"].as_str() else {
                continue;
            };
            let Some(parts) = parse(head) else {
                continue;
            };
            match edge::clean(parts, &edge::fuzz::LIMITS) {
                Ok(request) => {
                    clean += 1;
                    assert!(request.headers().keys().all(|name| {
                        let name = name.as_str();
                        !name.starts_with("x-pomerium") && !name.starts_with("x-envoy")
                    }));
                    let Some(raw) = request.assertion().filter(|raw| !raw.is_empty()) else {
                        continue;
                    };
                    let token = tokens(head).last().unwrap();
                    desk.clock
                        .set(Timestamp(payload(token)["iat"].as_i64().unwrap() + 1));
                    if let Err(refusal) = desk.verifier.verify(raw, request.host()) {
                        let known = matches!(
                            refusal.code,
                            Code::AssertionAnonymous
                                | Code::AssertionUnknownKey
                                // Where the Host was rewritten it is not the audience.
                                | Code::AssertionAudience
                        );
                        assert!(known, "{file}: {title}: {refusal:?}");
                    }
                }
                Err(refusal) => refused.push(format!("{file}: {title}: {}", refusal.reason)),
            }
        }
    }
    assert!(clean > 100, "{clean}");
    assert_eq!(refused, EXPECTED);
}

/// All that recorded clients got through a Pomerium and that goes no further.
const EXPECTED: [&str; 7] = [
    "02-forged-inputs.json: path: encoded dots, spaces, unicode: a path parameter",
    "09d-methods-and-pooling.json: TRACE method: TRACE, TRACK and CONNECT are not served",
    "31-v0.31.3.json: underscore variants: X_Pomerium_Jwt_Assertion, X_Forwarded_Host: a header name folds to a protected one",
    "31-v0.31.3.json: dash/underscore mix beside genuine: X-Pomerium_Jwt-Assertion: a header name folds to a protected one",
    "31-v0.31.3.json: %2F in path: an escaped slash or backslash",
    "31-v0.31.3.json: %5C in path: an escaped slash or backslash",
    "31-v0.31.3.json: double slash and dots: an empty segment",
];

fn parse(head: &str) -> Option<http::request::Parts> {
    let mut lines = [httparse::EMPTY_HEADER; 1200];
    let mut request = httparse::Request::new(&mut lines);
    let complete = request.parse(head.as_bytes()).ok()?.is_complete();
    if !complete {
        return None;
    }
    let mut builder = http::Request::builder()
        .method(request.method?)
        .uri(request.path?)
        .version(http::Version::HTTP_11);
    for line in request.headers.iter() {
        builder = builder.header(line.name, line.value);
    }
    Some(builder.body(()).ok()?.into_parts().0)
}

//! What a real Authentik sent (tests/data/recordings/authentik), sent to us: each request in its order, ids of
//! the recorded peer exchanged for ours. We must answer what the recorded, well-behaved peer answered,
//! with what Authentik's client needs.

use super::{Bed, id};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// How a recording is held against us.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    /// Its peer behaved: our answers are its answers.
    ToTheLetter,
    /// Its peer refused, failed or knew more: nothing we answer may be a failure of ours.
    Loosely,
}

const RECORDINGS: &[(&str, Held)] = &[
    ("10-scim-default-mode", Held::ToTheLetter),
    ("11-scim-nopatch", Held::ToTheLetter),
    ("12-scim-chunk", Held::ToTheLetter),
    ("13-scim-aws", Held::ToTheLetter),
    ("14-scim-slack", Held::ToTheLetter),
    ("15-scim-sfdc", Held::ToTheLetter),
    ("16-scim-spc500", Held::ToTheLetter),
    ("17-scim-spcbad", Held::ToTheLetter),
    ("18-scim-minecho", Held::ToTheLetter),
    ("19-scim-patch204", Held::ToTheLetter),
    ("20-scim-scope", Held::Loosely),
    ("21-scim-against-scim2-server", Held::Loosely),
    ("22-scim-error-answers", Held::Loosely),
    ("23-scim-lost-membership", Held::ToTheLetter),
    ("v2026.5-10-scim-default-mode", Held::ToTheLetter),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_authentik_finds_what_it_needs() {
    for (name, held) in RECORDINGS {
        let bed = Bed::start().await;
        replay(&bed, name, *held).await;
        bed.finish().await;
    }
}

async fn replay(bed: &Bed, name: &str, held: Held) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/recordings/authentik")
        .join(format!("{name}.json"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let recording: Value = serde_json::from_str(&text).unwrap();
    let mut ours: HashMap<String, String> = HashMap::new();
    let mut replayed = 0;
    for exchange in recording["exchanges"].as_array().unwrap() {
        let (request, recorded) = (&exchange["request"], &exchange["response"]);
        let method = request["method"].as_str().unwrap();
        let about = format!("{name}: {}: {method} {}", exchange["step"], request["path"]);
        let swapped = |text: &str| {
            let pairs = ours.iter();
            pairs.fold(text.to_owned(), |text, (theirs, our)| {
                text.replace(theirs, our)
            })
        };
        // /scim/<peer>/Users/… is our /scim/v2/Users/…
        let path = request["path"].as_str().unwrap();
        let path = path.splitn(4, '/').nth(3).unwrap_or_default();
        let path = swapped(&format!("/{path}"));
        let body = swapped(request["body_text"].as_str().unwrap_or_default());
        // A resource that was there before the recording began.
        let unknown = path.matches('/').count() > 1 && !ours.values().any(|id| path.contains(id));
        if unknown {
            continue;
        }
        let status = recorded["status"].as_u64().unwrap();
        if status == 404 && held == Held::ToTheLetter {
            // The recorded peer had lost it.
            bed.ask("DELETE", &path, Value::Null).await;
        }
        let reply = bed.ask(method, &path, Value::String(body.clone())).await;
        replayed += 1;
        if held == Held::Loosely {
            let fine = matches!(reply.status, 200 | 201 | 204 | 404 | 409);
            assert!(fine, "{about}: {reply:?}");
        } else {
            let wanted = match status {
                // Peers that could less than we can.
                500 => 200,
                204 if method == "PATCH" => 200,
                status => status,
            };
            assert_eq!(u64::from(reply.status), wanted, "{about}: {reply:?}");
        }
        if reply.status == 201 {
            let theirs = recorded["body"]["id"].as_str();
            if let Some(theirs) = theirs {
                ours.insert(theirs.to_owned(), id(&reply.json()));
            }
        }
        if reply.status < 300 && matches!(method, "POST" | "PUT") {
            echoed(&about, &body, &reply.json());
        }
        if held == Held::ToTheLetter && reply.status == 200 && path.starts_with("/Groups/") {
            same_group(&about, &recorded["body"], &reply.json(), &ours);
        }
        if reply.status == 200 && path.contains("filter=") {
            let found = reply.json();
            let wanted = &recorded["body"]["totalResults"];
            if held == Held::ToTheLetter {
                assert_eq!(&found["totalResults"], wanted, "{about}");
            }
        }
    }
    assert!(
        replayed >= 20,
        "{name}: {replayed} requests could be replayed"
    );
}

/// Authentik compares what it sent with what came back, and sends again what is missing.
fn echoed(about: &str, sent: &str, answer: &Value) {
    let sent: Value = serde_json::from_str(sent).unwrap();
    assert!(
        answer["id"].as_str().is_some_and(|id| !id.is_empty()),
        "{about}"
    );
    for (name, value) in sent.as_object().unwrap() {
        match name.as_str() {
            "id" => {}
            "members" => assert!(answer["members"].is_array(), "{about}"),
            _ => assert_eq!(&answer[name], value, "{about}: {name}"),
        }
    }
}

/// A name, without which its client fails, and the members that the recorded peer had.
fn same_group(about: &str, recorded: &Value, answer: &Value, ours: &HashMap<String, String>) {
    assert!(answer["displayName"].is_string(), "{about}");
    assert!(
        answer["members"].is_array(),
        "{about}: members are said, always"
    );
    let Some(theirs) = recorded["members"].as_array() else {
        return;
    };
    let ids = |all: &Value| -> Vec<String> {
        let all = all.as_array().unwrap().iter();
        let mut ids: Vec<_> = all
            .map(|one| one["value"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let mut wanted: Vec<String> = (theirs.iter())
        .map(|one| {
            let id = one["value"].as_str().unwrap();
            ours.get(id).cloned().unwrap_or_else(|| id.to_owned())
        })
        .collect();
    wanted.sort();
    assert_eq!(ids(&answer["members"]), wanted, "{about}");
}

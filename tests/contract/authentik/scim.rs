//! Recording 10: what the SCIM client sends in its default mode.

use super::exchanges;
use super::stage::{Got, Receiver, Stage, results, sent_as_recorded};
use auth_manager::demo::authentik::ScimTarget;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// A peer that keeps what it gets and echoes it, with ids in the order of creation.
#[derive(Default)]
struct Peer {
    kept: BTreeMap<String, Value>,
}

impl Peer {
    fn answer(&mut self, got: &Got, config: &Value) -> String {
        let mut words = got.line.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let key = path.trim_start_matches("/scim/def/").to_owned();
        let body: Value = serde_json::from_str(&got.body).unwrap_or(Value::Null);
        let (status, answer) = match (method, key.as_str()) {
            ("GET", "ServiceProviderConfig") => (200, config.clone()),
            ("POST", of) => {
                let id = uuid::Uuid::new_v4().to_string();
                let mut made = body;
                made["id"] = json!(id);
                self.kept.insert(format!("{of}/{id}"), made.clone());
                (201, made)
            }
            ("PUT", _) => {
                self.kept.insert(key, body.clone());
                (200, body)
            }
            ("PATCH", _) => {
                let kept = self.kept.entry(key).or_insert(Value::Null);
                for operation in body["Operations"].as_array().into_iter().flatten() {
                    patch(kept, operation);
                }
                (200, kept.clone())
            }
            ("DELETE", _) => {
                self.kept.remove(&key);
                (204, Value::Null)
            }
            _ => match self.kept.get(&key) {
                Some(found) => (200, found.clone()),
                None => (404, json!({})),
            },
        };
        let text = if status == 204 {
            String::new()
        } else {
            answer.to_string()
        };
        let length = text.len();
        format!(
            "HTTP/1.1 {status} x\r\nContent-Type: application/scim+json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
        )
    }
}

fn patch(kept: &mut Value, operation: &Value) {
    if operation["path"] == "members" {
        let mut members = kept["members"].as_array().cloned().unwrap_or_default();
        for member in operation["value"].as_array().into_iter().flatten() {
            members.retain(|known| known != member);
            if operation["op"] == "add" {
                members.push(member.clone());
            }
        }
        kept["members"] = json!(members);
        return;
    }
    for (key, value) in operation["value"].as_object().into_iter().flatten() {
        kept[key] = value.clone();
    }
}

/// The lab as it was when recording 10 began.
async fn lab() -> Stage {
    let stage = Stage::empty().await;
    for group in results(&exchanges("45-rest-groups.json")[0]) {
        if group["name"] != "family-child" {
            stage.app.import_group(group);
        }
    }
    for user in results(&exchanges("44-rest-users-with-view-user.json")[4]) {
        if user["pk"].as_i64() < Some(11) {
            stage.app.import_user(user);
        }
    }
    stage.app.give_token(3, "lab-admin", "lab-admin-token");
    stage
}

#[tokio::test]
async fn everything_is_pushed_and_then_each_change() {
    let all = exchanges("10-scim-default-mode.json");
    let config = all[0]["response"]["body"].clone();
    let peer = Arc::new(Mutex::new(Peer::default()));
    let kept = Arc::clone(&peer);
    let receiver = Receiver::answering(move |got| kept.lock().answer(got, &config)).await;
    let stage = lab().await;
    let mut steps: Vec<&str> = all.iter().filter_map(|e| e["step"].as_str()).collect();
    steps.dedup();
    let (mut report, mut photos) = (Vec::new(), String::new());
    for step in steps {
        let recorded: Vec<&Value> = all.iter().filter(|e| e["step"] == step).collect();
        if step.starts_with("manual full sync (first)") {
            stage
                .app
                .scim_connect(ScimTarget {
                    url: format!("http://{}/scim/def", receiver.address),
                    token: "lab-scim-token".into(),
                    exclude_service_accounts: true,
                    twice: false,
                })
                .await;
        } else if step.starts_with("manual full sync") {
            stage.app.scim_sync().await;
        } else {
            for trigger in recorded[0]["trigger"].as_array().into_iter().flatten() {
                let path = trigger["path"].as_str().expect("a path");
                let path = path.replace("68b304dd-4022-4838-9cf9-8bd5229cbcda", &photos);
                let answer = stage
                    .ask(&json!({
                        "method": trigger["method"], "path": path, "body": trigger["body"],
                        "headers": [["Authorization", "Bearer lab-admin-token"]],
                    }))
                    .await;
                assert!(
                    (200..300).contains(&answer.status),
                    "{step}: {}",
                    answer.status
                );
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                if step == "group created" {
                    photos = body["pk"].as_str().expect("an id").to_owned();
                }
            }
        }
        assert!(stage.app.idle(PATIENCE).await, "{step}");
        let got = receiver.take();
        if got.len() != recorded.len() {
            let lines: Vec<_> = got
                .iter()
                .map(|got| format!("{} {}", got.line, got.body))
                .collect();
            report.push(format!("{step}: {lines:#?} instead of {}", recorded.len()));
            continue;
        }
        for (want, got) in recorded.iter().zip(&got) {
            let found = sent_as_recorded(&want["request"], got);
            report.extend(found.into_iter().map(|text| format!("{step}: {text}")));
            assert!(
                got.line
                    .starts_with(want["request"]["method"].as_str().unwrap()),
                "{step}: {}",
                got.line
            );
        }
    }
    assert!(report.is_empty(), "{}", report.join("\n"));
}

#[tokio::test]
async fn a_new_user_may_be_pushed_twice_at_once() {
    let receiver = Receiver::answering(|got| {
        let (status, text) = match got.line.contains("ServiceProviderConfig") {
            true => (500, "{}".to_owned()),
            false => (201, "{\"id\":\"1\"}".to_owned()),
        };
        let length = text.len();
        format!(
            "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
        )
    })
    .await;
    let stage = Stage::empty().await;
    let url = format!("http://{}/scim", receiver.address);
    let target = ScimTarget {
        url,
        token: "t".into(),
        exclude_service_accounts: true,
        twice: true,
    };
    stage.app.scim_connect(target).await;
    stage
        .app
        .create(&auth_manager::demo::authentik::NewPerson::named("erin"));
    assert!(stage.app.idle(PATIENCE).await);
    let posts: Vec<Got> = receiver
        .take()
        .into_iter()
        .filter(|got| got.line.starts_with("POST"))
        .collect();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].body, posts[1].body);
}

//! Recordings 01, 02, 03, 08 and 58: webhooks.

use super::exchanges;
use super::stage::{Got, READER, ROLE, Receiver, Stage, sent_as_recorded};
use super::text::blank;
use auth_manager::demo::authentik::Hook;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SECRET: &str = "lab-webhook-secret-0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(10);
const FINE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

/// The lab as it was when recordings 01 to 03 began.
async fn lab() -> Stage {
    let stage = Stage::empty().await;
    let users = exchanges("44-rest-users-with-view-user.json");
    let groups = exchanges("45-rest-groups.json");
    for group in super::stage::results(&groups[0]) {
        if group["name"] != "family-child" {
            stage.app.import_group(group);
        }
    }
    for user in super::stage::results(&users[4]) {
        if user["pk"].as_i64() < Some(6) {
            stage.app.import_user(user);
        }
    }
    stage.app.give_token(3, "lab-admin", "lab-admin-token");
    stage
}

async fn call(stage: &Stage, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let asked = json!({
        "method": method, "path": path, "body": body, "headers": [
            ["Accept", "application/json"], ["Authorization", "Bearer lab-admin-token"],
            ["Content-Type", "application/json"],
        ],
    });
    let answer = stage.ask(&asked).await;
    (
        answer.status,
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
    )
}

/// Steps that a browser makes, and what they leave behind for the next ones.
fn browser(stage: &Stage, step: &str) {
    if step == "user edits own name in the user settings flow" {
        stage.app.lose_hooks(true);
        stage.app.set_profile(6, "Alice Self", "", "");
        stage.app.lose_hooks(false);
    }
}

async fn life(name: &str, hook: Hook, receiver: Receiver) {
    let stage = lab().await;
    stage.app.add_hook(hook);
    let all = exchanges(name);
    let mut steps: Vec<&str> = all.iter().filter_map(|e| e["step"].as_str()).collect();
    steps.dedup();
    let mut photos = String::new();
    let (mut report, mut played) = (Vec::new(), 0);
    for step in steps {
        let recorded: Vec<&Value> = all.iter().filter(|e| e["step"] == step).collect();
        let triggers = recorded[0]["trigger"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if triggers.is_empty() {
            browser(&stage, step);
            continue;
        }
        // What happens in one go is seen by deliveries when all of it has happened.
        stage.app.hold_hooks(true);
        for trigger in &triggers {
            let path = trigger["path"].as_str().expect("a path");
            let path = path.replace("21f875ac-c43e-453c-8901-797901efc152", &photos);
            let method = trigger["method"].as_str().expect("a method");
            let (status, body) = call(&stage, method, &path, &trigger["body"]).await;
            assert!((200..300).contains(&status), "{step}: {status} {body}");
            if step == "group created" {
                photos = body["pk"].as_str().expect("an id").to_owned();
            }
        }
        stage.app.hold_hooks(false);
        assert!(stage.app.idle(PATIENCE).await, "{step}: deliveries end");
        let got = receiver.take();
        played += got.len();
        // The order of arrival is not the order of events: that is the point.
        let by_body = |body: &str| (blank(body), ());
        let mut want: Vec<_> = recorded.iter().map(|e| &e["request"]).collect();
        want.sort_by_key(|r| by_body(r["body_text"].as_str().unwrap_or_default()));
        let mut have: Vec<Got> = got;
        have.sort_by_key(|got| by_body(&got.body));
        if want.len() != have.len() {
            report.push(format!(
                "{step}: {} deliveries instead of {}",
                have.len(),
                want.len()
            ));
            continue;
        }
        for (want, have) in want.into_iter().zip(&have) {
            let found = sent_as_recorded(want, have);
            report.extend(found.into_iter().map(|text| format!("{step}: {text}")));
        }
    }
    assert!(report.is_empty(), "{name}:\n{}", report.join("\n"));
    assert!(played > 25, "{played} deliveries were compared");
}

#[tokio::test]
async fn a_users_life_in_authentiks_own_body() {
    let receiver = Receiver::answering(|_| FINE.into()).await;
    let url = format!("http://{}/hook/default", receiver.address);
    life(
        "02-lifecycle-default-body.json",
        Hook::plain(&url),
        receiver,
    )
    .await;
}

#[tokio::test]
async fn a_users_life_through_the_shipped_mapping() {
    let receiver = Receiver::answering(|_| FINE.into()).await;
    let url = format!("http://{}/hook/blueprint", receiver.address);
    let hook = Hook::shipped(&url, SECRET);
    life("03-lifecycle-blueprint-body.json", hook, receiver).await;
}

/// Recorded (58): a POST asks for the permission to add, too; on the transport alone is enough.
#[tokio::test]
async fn whoever_tests_a_transport_may_change_it_and_add_one() {
    let receiver = Receiver::answering(|_| {
        "HTTP/1.1 202 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into()
    })
    .await;
    let stage = Stage::peopled(&[]).await;
    let id = stage.app.add_hook(Hook::shipped(
        &format!("http://{}/hook", receiver.address),
        SECRET,
    ));
    const VIEW: &str = "authentik_events.view_notificationtransport";
    const CHANGE: &str = "authentik_events.change_notificationtransport";
    const ADD: &str = "authentik_events.add_notificationtransport";
    for exchange in exchanges("58-transport-test-permissions.json") {
        let (global, on_it): (&[&str], &[&str]) = match exchange["step"].as_str() {
            Some("nothing") => (&[], &[]),
            Some("view") => (&[VIEW], &[]),
            Some("view-and-change") => (&[VIEW, CHANGE], &[]),
            Some("and-add-on-it") => (&[VIEW, CHANGE], &[ADD]),
            Some("only-on-object") => (&[VIEW], &[CHANGE, ADD]),
            other => panic!("{other:?}"),
        };
        let objects: Vec<_> = on_it.iter().map(|name| (*name, id.as_str())).collect();
        stage.app.set_role(ROLE, "bridge-tester", global, &objects);
        let mut exchange = exchange.clone();
        exchange["request"]["path"] = format!("/api/v3/events/transports/{id}/test/").into();
        exchange["request"]["headers"][1][1] = format!("Bearer {READER}").into();
        let found = stage.differences(&exchange, &[]).await;
        assert!(found.is_empty(), "{}: {found:?}", exchange["step"]);
        assert!(stage.app.idle(PATIENCE).await);
    }
}

#[tokio::test]
async fn the_transport_test_is_answered_as_the_receiver_answers() {
    let all = exchanges("01-transport-test.json");
    let mut steps: Vec<&str> = all.iter().filter_map(|e| e["step"].as_str()).collect();
    steps.dedup();
    for step in steps {
        let recorded: Vec<&Value> = all.iter().filter(|e| e["step"] == step).collect();
        let test = recorded[0]["response"].clone();
        let receiver = Receiver::answering(move |got| {
            // Only the test itself is answered like this; the event behind it is taken.
            if !got.body.contains("Test Notification") || test["status"] == 204 {
                return FINE.into();
            }
            let text = match &test["body"] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                body => body.to_string().replace(':', ": "),
            };
            let location = match test["status"].as_u64() {
                Some(302 | 307) => "Location: /hook/redirected\r\n",
                _ => "",
            };
            let length = text.len();
            // What follows a redirect is taken as well.
            if got.line.contains("/hook/redirected") {
                return FINE.into();
            }
            let status = &test["status"];
            format!("HTTP/1.1 {status} x\r\n{location}Content-Length: {length}\r\nConnection: close\r\n\r\n{text}")
        })
        .await;
        let stage = lab().await;
        let mapped = step.contains("blueprint");
        let id = match mapped {
            true => stage.app.add_hook(Hook::shipped(
                &format!("http://{}/hook/blueprint", receiver.address),
                SECRET,
            )),
            false => stage.app.add_hook(Hook::plain(&format!(
                "http://{}/hook/default",
                receiver.address
            ))),
        };
        let path = format!("/api/v3/events/transports/{id}/test/");
        let (status, body) = call(&stage, "POST", &path, &json!({})).await;
        assert!(stage.app.idle(PATIENCE).await, "{step}");
        if let Some(want) = recorded[0].get("test_call_answer") {
            assert_eq!(want["status"], status, "{step}");
            let shown = |body: &Value| {
                blank(
                    &body
                        .to_string()
                        .replace(&receiver.address.to_string(), "127.0.0.1:55470"),
                )
            };
            assert_eq!(shown(&want["body"]), shown(&body), "{step}");
        }
        let got = receiver.take();
        assert_eq!(got.len(), recorded.len(), "{step}");
        for (want, got) in recorded.iter().zip(&got) {
            let found = sent_as_recorded(&want["request"], got);
            assert!(found.is_empty(), "{step}: {found:?}");
            let line = format!(
                "{} {} HTTP/1.1",
                want["request"]["method"].as_str().unwrap(),
                want["request"]["path"].as_str().unwrap()
            );
            assert_eq!(got.line, line, "{step}");
        }
    }
}

#[tokio::test]
async fn a_delivery_is_tried_six_times_and_then_lost() {
    let tries = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&tries);
    let receiver = Receiver::answering(move |got| {
        let before = counted.fetch_add(1, Ordering::SeqCst);
        let status = if got.body.contains("Soon") && before >= 8 { 204 } else { 503 };
        format!("HTTP/1.1 {status} x\r\nRetry-After: 3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    })
    .await;
    let stage = lab().await;
    stage.app.add_hook(Hook::shipped(
        &format!("http://{}/hook/retry", receiver.address),
        SECRET,
    ));
    stage.app.set_profile(3, "Never", "", "");
    assert!(stage.app.idle(PATIENCE).await);
    let sent: Vec<_> = stage
        .app
        .sent()
        .iter()
        .map(|sent| (sent.status, sent.attempt))
        .collect();
    let all: Vec<_> = (1..=6).map(|attempt| (Some(503), attempt)).collect();
    assert_eq!(sent, all, "Retry-After is not looked at");
    receiver.take();
    stage.app.set_profile(3, "Soon", "", "");
    assert!(stage.app.idle(PATIENCE).await);
    // The body is made anew for each attempt; the event's id stays.
    let ids: Vec<String> = receiver
        .take()
        .iter()
        .map(|got| serde_json::from_str::<Value>(&got.body).unwrap()["event_id"].to_string())
        .collect();
    let counted = ids.iter().fold(BTreeMap::new(), |mut all, id| {
        *all.entry(id.clone()).or_insert(0) += 1;
        all
    });
    assert_eq!(counted.into_values().collect::<Vec<i32>>(), [3]);
}

#[tokio::test]
async fn whoever_deletes_themselves_is_gone_without_a_word() {
    let receiver = Receiver::answering(|_| FINE.into()).await;
    let stage = lab().await;
    stage.app.add_hook(Hook::plain(&format!(
        "http://{}/hook/default",
        receiver.address
    )));
    let (status, _) = call(&stage, "DELETE", "/api/v3/core/users/3/", &Value::Null).await;
    assert_eq!(status, 204);
    assert!(stage.app.idle(PATIENCE).await);
    assert!(receiver.take().is_empty() && exchanges("07-self-deletion.json").is_empty());
}

//! Bodies and what becomes of them, held to the recordings; the way over the wire is in `tests/api`.

use super::notice::{About, Event, Model, Notice, read};
use super::worth::{Worth, weigh};
use super::*;
use crate::api::testing::Queue;
use crate::directory::source::{Page, Remark, Source as Directory, SourceError};
use crate::directory::sources::Sources;
use crate::jobs::wish::ToRead;
use crate::store::{DirectoryGroup, Person, Priority};
use crate::telemetry::metrics::Metrics;
use crate::types::{ManualClock, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What a body makes us ask about, in the words of `tests/data/hooks.txt`.
fn asks(body: &[u8]) -> String {
    meaning(body).to_string()
}

#[test]
fn every_recorded_body_asks_about_whom_it_should_and_nobody_else() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/recordings/authentik"
    );
    let table = include_str!("../../../tests/data/hooks.txt");
    let (mut bodies, mut files) = (0, 0);
    for section in table.split("\n[").skip(1) {
        let (file, rows) = section.split_once("]\n").unwrap();
        let text = std::fs::read_to_string(format!("{folder}/{file}.json")).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let mut exchanges = recording["exchanges"].as_array().unwrap().iter();
        for row in rows.lines().filter(|row| !row.is_empty()) {
            let (step, expected) = row.split_once(" | ").unwrap();
            for expected in expected.split(' ') {
                let exchange = exchanges.next().unwrap();
                assert_eq!(exchange["step"], step, "{file}");
                let body = exchange["request"]["body_text"].as_str().unwrap_or("");
                assert_eq!(asks(body.as_bytes()), expected, "{file}: {step}: {body}");
                bodies += 1;
            }
        }
        assert!(exchanges.next().is_none(), "{file} has more");
        files += 1;
    }
    assert_eq!((files, bodies), (10, 259));
}

/// A default body, as Authentik writes it: repr inside, ASCII JSON outside.
fn default(text: &str) -> Vec<u8> {
    let body = json!({
        "body": text, "severity": "notice", "user_email": "admin@example.test",
        "user_username": "akadmin", "event_user_email": "admin@example.test",
        "event_user_username": "akadmin",
    });
    let mut ascii = String::new();
    for c in body.to_string().chars() {
        match c.is_ascii() {
            true => ascii.push(c),
            false => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    ascii.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    ascii.into_bytes()
}

#[test]
fn t30_a_body_that_names_an_admin_as_recipient_or_actor_asks_about_neither() {
    // Whoever is named beside the model: recipient, actor, a name that looks like a context.
    for (body, expected) in [
        (
            default(
                r#"model_updated: {'model': {'pk': 6, 'app': 'authentik_core', 'name': "', 'pk': 3, 'model_name': 'user'}", 'model_name': 'user'}}"#,
            ),
            "person/6",
        ),
        (
            default(
                "model_updated: {'user': {'pk': 3}, 'model': {'pk': 6, 'app': 'authentik_core', 'name': '', 'model_name': 'user'}}",
            ),
            "person/6",
        ),
        (
            default("password_set: {'user': {'pk': 3}, 'pk': 3, 'model_name': 'user'}"),
            "-",
        ),
        (default("login: {'auth_method': 'password'}"), "-"),
        // No model, or one that is there twice: nobody in particular.
        (default("model_updated: {'user': {'pk': 3}}"), "recent"),
        (
            default(
                "model_updated: {'model': {'pk': 6, 'app': 'authentik_core', 'name': '', 'model_name': 'user'}, 'model': {'pk': 3, 'app': 'authentik_core', 'name': '', 'model_name': 'user'}}",
            ),
            "recent",
        ),
        (default("model_updated: {'model': {'pk': 6, "), "recent"),
        (
            default(
                "model_updated: {'model': {'pk': 'me', 'app': 'authentik_core', 'name': '', 'model_name': 'user'}}",
            ),
            "recent",
        ),
    ] {
        assert_eq!(asks(&body), expected, "{}", String::from_utf8_lossy(&body));
    }
    // Difference 7: beside a model the custom body's `user` is the actor.
    let group = json!({
        "v": 1, "event_id": Uuid::nil(), "action": "model_updated",
        "model": { "pk": "01da33a36f8f45e7a17cd6f65f3e55dd", "app": "authentik_core", "model_name": "group" },
        "actor": { "pk": 3, "username": "akadmin" }, "user": { "pk": 3 },
    });
    let asked = asks(group.to_string().as_bytes());
    assert_eq!(asked, "group/01da33a3-6f8f-45e7-a17c-d6f65f3e55dd");
    let other = group
        .to_string()
        .replace("authentik_core", "authentik_rbac");
    assert_eq!(asks(other.as_bytes()), "-");
    for action in [
        "logout",
        "password_set",
        "login_failed",
        "suspicious_request",
        "impersonation_started",
    ] {
        let body = json!({ "v": 1, "action": action, "model": null, "user": { "pk": 3 } });
        assert_eq!(asks(body.to_string().as_bytes()), "-", "{action}");
    }
}

#[test]
fn t30_unknown_actions_and_forms_do_no_harm_and_miss_nothing() {
    let v1 = |action: &str, model: Value| {
        let body = json!({ "v": 1, "action": action, "model": model });
        read(body.to_string().as_bytes())
    };
    let user = json!({ "pk": 9, "app": "authentik_core", "model_name": "user" });
    // A later version's action about a person is as good as a known one.
    let Notice::Event(event) = v1("user_offboarded", user.clone()) else {
        panic!("an event");
    };
    let nine = ToRead::Person { id: "9".into() };
    assert_eq!(weigh(&event), Worth::Read(nine, Priority::Deny));
    let Notice::Event(event) = v1("something_new", Value::Null) else {
        panic!("an event");
    };
    assert_eq!(weigh(&event), Worth::Unknown);
    for (body, expected) in [
        (r#"{"v":2,"what":"ever"}"#, "recent"),
        (r#"{"v":1,"action":7}"#, "recent"),
        (r#"{"v":1,"action":"Model Updated"}"#, "recent"),
        (r#"{"username":"authentik","attachments":[]}"#, "recent"),
        (r#"{}"#, "recent"),
        (r#"{"v":1,"action":null,"message":"x"}"#, "-"),
        (r#"{"v":1,"action":"model_updated","model":"x"}"#, "recent"),
        (r#"{"v":1,"action":"model_updated","model":{}}"#, "recent"),
        (r#"{"v":1,"action":"user_offboarded"}"#, "recent"),
        (r#"{"v":1,"action":"login","user":{"pk":-1}}"#, "-"),
        (r#"{"body":"What a day"}"#, "-"),
        (r#"{"body":"Note: {well}"}"#, "-"),
        ("[]", "garbage"),
        ("null", "garbage"),
        ("", "garbage"),
        ("{\"v\":1", "garbage"),
        ("\u{feff}{}", "garbage"),
    ] {
        assert_eq!(asks(body.as_bytes()), expected, "{body}");
    }
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "1");
    assert_eq!(asks(deep.as_bytes()), "garbage");
}

#[test]
fn corpus_replays() {
    let folder = format!("{}/fuzz/corpus/hook", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        fuzz::fuzz_hook(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{count}");
}

proptest! {
    #[test]
    fn any_bytes_are_a_body_of_some_kind(data in proptest::collection::vec(any::<u8>(), 0..512)) {
        fuzz::fuzz_hook(&data);
    }

    /// Whatever somebody's name is, in either quote style, the person is the model's.
    #[test]
    fn no_name_makes_an_event_about_somebody_else(name in any::<String>(), pk in 1..u32::MAX) {
        let text = format!(
            "model_updated: {{'model': {{'pk': {pk}, 'app': 'authentik_core', 'name': {}, \
             'model_name': 'user'}}, 'http_request': {{'args': {{}}, 'path': {}}}}}",
            python(&name), python(&name),
        );
        let body = default(&text);
        fuzz::fuzz_hook(&body);
        prop_assert_eq!(asks(&body), format!("person/{pk}"));
    }

    #[test]
    fn whatever_is_said_of_a_row_only_its_own_key_counts(app in "[a-z_]{1,20}", name in "[a-z]{1,12}", key in any::<String>()) {
        let event = Event {
            id: None,
            action: "model_updated".into(),
            about: About::Model(Model { app: app.clone(), name: name.clone(), key }),
        };
        if app != "authentik_core" {
            prop_assert_eq!(weigh(&event), Worth::Nothing);
        }
    }
}

/// `repr()` of a text.
fn python(text: &str) -> String {
    let quote = match text.contains('\'') && !text.contains('"') {
        true => '"',
        false => '\'',
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == quote => out.extend(['\\', c]),
            _ if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            _ => out.push(c),
        }
    }
    out.push(quote);
    out
}

struct Bed {
    hooks: Arc<Hooks>,
    queue: Arc<Queue>,
    metrics: Metrics,
    end: CancellationToken,
}

const NOW: Timestamp = Timestamp(1_800_000_000);

impl Bed {
    fn new() -> Self {
        let queue = Arc::new(Queue::default());
        let metrics = Metrics::new(Default::default());
        let id = SourceId::new("authentik").unwrap();
        let (hooks, recorder) = Hooks::new(
            [(id, Duration::from_secs(3600))],
            queue.clone(),
            Arc::new(ManualClock::at(NOW)),
            metrics.clone(),
        );
        let end = CancellationToken::new();
        tokio::spawn(recorder.run(end.clone()));
        Self {
            hooks: Arc::new(hooks),
            queue,
            metrics,
            end,
        }
    }

    async fn take(&self, body: &Value) -> Result<(), Problem> {
        let source = self.hooks.sources.values().next().unwrap();
        self.hooks.take(source, body.to_string().as_bytes()).await
    }

    /// Key and seconds from now of all that was wished.
    fn wished(&self) -> Vec<(String, i64)> {
        let wishes = self.queue.wishes.lock();
        let short = |key: &str| key.replace("read/authentik/", "");
        (wishes.iter())
            .map(|wish| (short(&wish.key), wish.due_at.0 - NOW.0))
            .collect()
    }

    fn counted(&self, kind: &str) -> u64 {
        let line = format!("auth_manager_hooks_total{{directory=\"authentik\",kind=\"{kind}\"}} ");
        let text = self.metrics.encode();
        let line = text.lines().find_map(|l| l.strip_prefix(&line));
        line.unwrap().parse().unwrap()
    }
}

fn event(id: u128, action: &str, pk: u32) -> Value {
    json!({
        "v": 1, "event_id": Uuid::from_u128(id), "action": action,
        "model": { "pk": pk, "app": "authentik_core", "model_name": "user" },
    })
}

#[tokio::test(start_paused = true)]
async fn the_first_hint_is_due_at_once_and_the_burst_behind_it_two_seconds_later() {
    let bed = Bed::new();
    for id in 1..=5 {
        bed.take(&event(id, "model_updated", 6)).await.unwrap();
    }
    bed.take(&event(6, "model_updated", 7)).await.unwrap();
    let six = "person/6".to_owned();
    let mut expected = vec![(six.clone(), 0)];
    expected.extend(vec![(six.clone(), 2); 4]);
    expected.push(("person/7".into(), 0));
    assert_eq!(bed.wished(), expected);
    tokio::time::advance(Duration::from_secs(2)).await;
    bed.take(&event(7, "model_deleted", 6)).await.unwrap();
    assert_eq!(bed.wished().last(), Some(&(six, 0)));
    assert_eq!(bed.counted("read"), 7);
    bed.end.cancel();
}

#[tokio::test(start_paused = true)]
async fn t30_a_delivery_that_comes_again_is_nothing_new_until_its_retries_are_over() {
    let bed = Bed::new();
    for seconds in [0, 35, 112, 167, 303, 888] {
        bed.take(&event(1, "model_updated", 6)).await.unwrap();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        if seconds == 303 {
            assert_eq!(bed.wished().len(), 1);
        }
    }
    assert_eq!((bed.counted("read"), bed.counted("duplicate")), (1, 5));
    // The default body names no event: two of one text may be two changes.
    let text = "model_updated: {'model': {'pk': 6, 'app': 'authentik_core', 'name': '', 'model_name': 'user'}}";
    for _ in 0..2 {
        bed.take(&json!({ "body": text })).await.unwrap();
    }
    assert_eq!(bed.wished().len(), 3);
    bed.end.cancel();
}

#[tokio::test(start_paused = true)]
async fn without_the_store_a_delivery_is_refused_and_counts_when_it_comes_again() {
    let bed = Bed::new();
    bed.queue.away.store(true, Ordering::SeqCst);
    let first = event(1, "model_updated", 6);
    let refused = bed.take(&first).await.unwrap_err();
    assert_eq!(refused.code(), Code::StoreUnavailable);
    let test = json!({ "v": 1, "action": "custom_notification_test", "model": null });
    assert!(bed.take(&test).await.is_err());
    bed.queue.away.store(false, Ordering::SeqCst);
    bed.take(&first).await.unwrap();
    bed.take(&test).await.unwrap();
    assert_eq!(bed.wished().len(), 1);
    assert_eq!((bed.counted("unavailable"), bed.counted("test")), (2, 1));
    assert_eq!(*bed.queue.tested.lock(), [NOW]);
    bed.end.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_waited_for_and_no_more_wait_than_there_is_room_for() {
    let bed = Bed::new();
    bed.queue.hangs.store(true, Ordering::SeqCst);
    let mut waiting = tokio::task::JoinSet::new();
    for id in 0..6_000_u32 {
        let hooks = bed.hooks.clone();
        waiting.spawn(async move {
            let source = hooks.sources.values().next().unwrap();
            let body = event(u128::from(id) + 1, "model_updated", id).to_string();
            hooks.take(source, body.as_bytes()).await
        });
    }
    let (mut busy, mut gone) = (0, 0);
    while let Some(outcome) = waiting.join_next().await {
        match outcome.unwrap().unwrap_err().code() {
            Code::Busy => busy += 1,
            Code::StoreUnavailable => gone += 1,
            other => panic!("{other:?}"),
        }
    }
    // 4096 wait, and one batch was taken before.
    assert!(gone >= 4_096 && busy > 1_000, "{gone} {busy}");
    bed.end.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_storm_is_few_writes_and_nothing_of_it_is_lost() {
    let bed = Bed::new();
    let mut storm = tokio::task::JoinSet::new();
    for id in 0..5_000_u32 {
        let hooks = bed.hooks.clone();
        storm.spawn(async move {
            let source = hooks.sources.values().next().unwrap();
            let body = event(u128::from(id) + 1, "model_updated", id % 50).to_string();
            // As Authentik does: what is turned away comes again.
            while hooks.take(source, body.as_bytes()).await.is_err() {
                tokio::time::sleep(Duration::from_secs(35)).await;
            }
        });
    }
    while let Some(outcome) = storm.join_next().await {
        outcome.unwrap();
    }
    let people: std::collections::BTreeSet<_> = bed.wished().into_iter().collect();
    for pk in 0..50 {
        assert!(people.contains(&(format!("person/{pk}"), 0)), "{pk}");
    }
    let writes = bed.queue.writes.load(Ordering::SeqCst);
    assert!(writes <= 200, "{writes}");
    bed.end.cancel();
}

#[tokio::test(start_paused = true)]
async fn sign_ins_ask_about_a_person_now_and_then() {
    let bed = Bed::new();
    let login = |id: u128| json!({ "v": 1, "event_id": Uuid::from_u128(id), "action": "login", "model": null, "user": { "pk": 6 } });
    for id in 1..=20 {
        bed.take(&login(id)).await.unwrap();
    }
    assert_eq!(bed.wished().len(), 1);
    // A change is another matter.
    bed.take(&event(50, "model_updated", 6)).await.unwrap();
    assert_eq!(bed.wished().len(), 2);
    tokio::time::advance(Duration::from_secs(601)).await;
    bed.take(&login(21)).await.unwrap();
    assert_eq!(bed.wished().len(), 3);
    bed.end.cancel();
}

#[tokio::test(start_paused = true)]
async fn what_takes_access_away_goes_first_in_either_order() {
    let bed = Bed::new();
    // Recordings 02: the deletion arrives before the creation.
    bed.take(&event(3, "model_deleted", 8)).await.unwrap();
    bed.take(&event(1, "model_created", 8)).await.unwrap();
    bed.take(&event(2, "model_updated", 8)).await.unwrap();
    let wishes = bed.queue.wishes.lock().clone();
    let urgent: Vec<_> = wishes.iter().map(|w| w.priority).collect();
    assert_eq!(urgent, [Priority::Deny, Priority::Grant, Priority::Deny]);
    assert!(wishes.iter().all(|w| w.key == "read/authentik/person/8"));
    bed.end.cancel();
}

/// A directory of which only the event log is asked.
struct Log(SourceId, Timestamp);

#[async_trait::async_trait]
impl Directory for Log {
    fn id(&self) -> &SourceId {
        &self.0
    }
    async fn person(&self, _: &str) -> Result<Option<Person>, SourceError> {
        unreachable!()
    }
    async fn person_by_username(&self, _: &str) -> Result<Option<Person>, SourceError> {
        unreachable!()
    }
    async fn people(&self, _: Option<&str>) -> Result<Page<Person>, SourceError> {
        unreachable!()
    }
    async fn group(&self, _: &str) -> Result<Option<DirectoryGroup>, SourceError> {
        unreachable!()
    }
    async fn groups(&self, _: Option<&str>) -> Result<Page<DirectoryGroup>, SourceError> {
        unreachable!()
    }
    async fn members(&self, _: &str) -> Result<Vec<String>, SourceError> {
        unreachable!()
    }
    async fn look(&self) -> Result<Vec<Remark>, SourceError> {
        unreachable!()
    }
    async fn newest_change(&self) -> Result<Option<Timestamp>, SourceError> {
        Ok(Some(self.1))
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_told_from_the_event_log_of_the_directory_as_a_reload_left_it() {
    let bed = Bed::new();
    let log = |ago: i64| -> Arc<dyn Directory> {
        Arc::new(Log(
            SourceId::new("authentik").unwrap(),
            Timestamp(NOW.0 - ago),
        ))
    };
    let silent = || {
        let text = bed.metrics.encode();
        let line = "auth_manager_hooks_silent{directory=\"authentik\"} ";
        let line = text.lines().find_map(|l| l.strip_prefix(line)).unwrap();
        line == "1"
    };
    // The last change was heard of.
    bed.queue.tested.lock().push(Timestamp(NOW.0 - 9_990));
    let sources = Arc::new(Sources::new([log(10_000)]));
    let watch = bed.hooks.clone().keep(sources.clone(), bed.end.clone());
    let watch = tokio::spawn(watch);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!silent());
    sources.replace([log(2_000)]);
    tokio::time::sleep(Duration::from_secs(310)).await;
    assert!(silent(), "what the new reader sees was not heard of");
    bed.end.cancel();
    watch.await.unwrap();
}

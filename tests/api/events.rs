//! `/api/v1/events`: what the audit trail says, and that it is said to `admin` alone.

use crate::desk::{Desk, nothing, on_postgres, settings};
use crate::support::bridge::Settings;
use auth_manager::demo::door::{alice, bob};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_found_by_kind_person_app_outcome_and_time() {
    story(settings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_found_by_kind_person_app_outcome_and_time_on_postgres() {
    story(on_postgres().await).await;
}

async fn story(settings: Settings) {
    let desk = Desk::with(settings).await;
    let world = &desk.services.world;
    world.signed_in(alice()).await;
    world.signed_in(bob()).await;
    let id = desk.id(&alice()).await;
    let reason = json!({ "reason": "has left" });
    desk.done(&format!("/api/v1/users/{id}/disable"), &[], reason)
        .await;

    let found = async |query: &str| -> Vec<Value> {
        let (page, _) = desk.read(&format!("/api/v1/events?{query}")).await;
        page["items"].as_array().unwrap().clone()
    };
    let kinds = |found: &[Value]| -> Vec<String> {
        let kind = |event: &Value| event["record"]["kind"].as_str().unwrap().to_owned();
        found.iter().map(kind).collect()
    };

    // Newest first, and each follows on the one before it.
    let all = found("limit=200").await;
    let count = all.len();
    let numbers: Vec<_> = all.iter().map(|e| e["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=count as i64).rev().collect::<Vec<_>>());
    for pair in all.windows(2) {
        assert_eq!(pair[0]["previous"], pair[1]["hash"]);
    }
    assert_eq!(all[count - 1]["previous"], "0".repeat(64));

    let of_alice = found(&format!("user={id}&app=chat")).await;
    assert!(!of_alice.is_empty());
    for event in &of_alice {
        assert_eq!(event["record"]["user"], id.as_str());
        assert_eq!(event["record"]["app"], "chat");
    }
    let disabled = found("kind=user.disabled").await;
    assert_eq!(disabled.len(), 1);
    let record = &disabled[0]["record"];
    assert_eq!(
        record["actor"],
        json!({ "type": "client", "id": "helpdesk", "via": "api" })
    );
    assert_eq!(
        (&record["user"], &record["reason"]),
        (&json!(id), &json!("has left"))
    );
    let several = found("kind=user.disabled,session.started").await;
    assert_eq!(
        kinds(&several),
        ["user.disabled", "session.started", "session.started"]
    );
    let ended = found("code=user_disabled").await;
    assert_eq!(kinds(&ended), ["session.ended"]);
    assert!(found("code=user").await.is_empty(), "the whole word counts");
    let at = record["at"].as_i64().unwrap();
    assert_eq!(
        found(&format!("to={at}&kind=user.disabled")).await,
        [] as [Value; 0]
    );
    let since = found(&format!("from={at}&to={}&kind=user.disabled", at + 1)).await;
    assert_eq!(since, disabled);

    // In pages, and what is done meanwhile shifts none of them.
    let mut next = Some("/api/v1/events?limit=2".to_owned());
    let mut paged = Vec::new();
    while let Some(path) = next {
        let (page, _) = desk.read(&path).await;
        paged.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].as_str().map(str::to_owned);
        if paged.len() == 2 {
            let headers = [("if-match", "*")];
            desk.done(&format!("/api/v1/users/{id}/enable"), &headers, nothing())
                .await;
        }
    }
    // What alice's account came to may have been written since `all` was read, before the first page.
    let first = paged[0]["number"].as_i64().unwrap();
    let numbers_paged: Vec<_> = paged
        .iter()
        .map(|e| e["number"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers_paged, (1..=first).rev().collect::<Vec<_>>());
    assert_eq!(paged[paged.len() - count..], all);
    assert!(
        !kinds(&paged).contains(&"user.enabled".to_owned()),
        "done after the first page"
    );

    // One of them, as it stands in the list.
    let (one, etag) = desk.read(&format!("/api/v1/events/{}", numbers[0])).await;
    assert_eq!(one, all[0]);
    let path = format!("/api/v1/events/{}", numbers[0]);
    let headers = [("if-none-match", etag.as_str())];
    let same = desk
        .helpdesk
        .try_send(reqwest::Method::GET, &path, &headers)
        .await
        .unwrap();
    assert_eq!(same.status, 304);
    for none in ["0", "01", "-1", "999999", "x"] {
        let reply = desk.helpdesk.get(&format!("/api/v1/events/{none}")).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (404, "api.not_found")
        );
    }
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_is_for_admin_alone_and_nobody_writes_it() {
    let desk = Desk::start().await;
    desk.services.world.signed_in(alice()).await;
    let events = "/api/v1/events";
    for name in ["reader.internal", "watcher.internal"] {
        let other = desk.services.named(&[name]);
        for path in [events, "/api/v1/events/1", "/api/v1/events/99999"] {
            let reply = other.get(path).await;
            assert_eq!(reply.code(), "api.scope", "{name} {path}");
        }
    }
    for path in [events, "/api/v1/events/1"] {
        let reply = desk.helpdesk.post(path, &[], "{}").await;
        assert_eq!(reply.code(), "api.method", "{path}");
    }
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_questions_about_events_that_are_bombs_are_refused() {
    let desk = Desk::start().await;
    for query in [
        "limit=0".to_owned(),
        "limit=201".into(),
        "kind=".into(),
        "kind=session".into(),
        "kind=a&kind=b".into(),
        format!("kind={}", "session.ended,".repeat(200)),
        "code=".into(),
        "code=%25".into(),
        "code=%22%7D".into(),
        format!("code={}", "a".repeat(65)),
        "from=yesterday".into(),
        "to=99999999999999999999".into(),
        "user=x".into(),
        "app=Chat".into(),
        "after=1".into(),
        "cursor=x".into(),
        format!("cursor={}", "A".repeat(3_000)),
    ] {
        let reply = desk.helpdesk.get(&format!("/api/v1/events?{query}")).await;
        assert_eq!(reply.status, 400, "{query:.40}: {reply:?}");
        assert!(reply.text.len() < 1000);
    }
    let edges = format!("/api/v1/events?from={}&to={}", i64::MIN, i64::MAX);
    assert_eq!(desk.helpdesk.get(&edges).await.status, 200);
    desk.finish().await;
}

//! `/api/v1/users`.

use crate::desk::{Desk, no, nothing, on_postgres, settings};
use crate::support::bridge::Settings;
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, Person, alice, bob};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_found_turned_away_and_let_in_again() {
    story(settings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_found_turned_away_and_let_in_again_on_postgres() {
    story(on_postgres().await).await;
}

async fn story(settings: Settings) {
    let desk = Desk::with(settings).await;
    let world = &desk.services.world;
    let mut visitor = world.signed_in(alice()).await;
    world.signed_in(bob()).await;

    let (found, _) = desk.read("/api/v1/users?search=ALICE").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    let id = desk.id(&alice()).await;
    assert_eq!(found["items"][0]["id"], id.as_str());
    let one = format!("/api/v1/users/{id}");
    let (user, etag) = desk.read(&one).await;
    assert_eq!(user["sub"], alice().sub.as_str());
    // Who has it already gets nothing but that.
    let same = desk
        .helpdesk
        .try_send(reqwest::Method::GET, &one, &[("if-none-match", &etag)])
        .await
        .unwrap();
    assert_eq!((same.status, same.text.as_str()), (304, ""));

    // Tried first: nothing happens.
    let disable = format!("{one}/disable");
    let reason = json!({ "reason": "has left" });
    let dry_run = format!("{disable}?dry_run=true");
    let dry = desk.done(&dry_run, &[], reason.clone()).await;
    assert_eq!(
        (&dry["changed"], &dry["ended_sessions"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 200);

    let done = desk.done(&disable, &[], reason.clone()).await;
    assert_eq!(
        (&done["changed"], &done["ended_sessions"]),
        (&json!(true), &json!(1))
    );
    crate::support::eventually("they are turned away", async || {
        (visitor.clone().open("/").await.status == 403).then_some(())
    })
    .await;
    assert_eq!(desk.live(&id).await, 0);
    let again = desk.done(&disable, &[], reason).await;
    assert_eq!(
        (&again["changed"], &again["ended_sessions"]),
        (&json!(false), &json!(0))
    );
    let (page, _) = desk.read("/api/v1/users?state=disabled").await;
    assert_eq!(page["items"][0]["state_reason"], "has left");

    // Letting in again must be done on what was read.
    let enable = format!("{one}/enable");
    let blind = desk.refused(&enable, &[], nothing()).await;
    assert_eq!(blind, no(428, "api.precondition_required"));
    let stale = desk
        .refused(&enable, &[("if-match", &etag)], nothing())
        .await;
    assert_eq!(stale, no(412, "api.precondition"));
    let (_, etag) = desk.read(&one).await;
    let reply = desk.act(&enable, &[("if-match", &etag)], nothing()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let (user, etag) = desk.read(&one).await;
    assert_eq!(user["state"], "active");
    assert_eq!(reply.header("etag"), etag);
    crate::support::eventually("they are let in", async || {
        (visitor.clone().open("/").await.status == 200).then_some(())
    })
    .await;
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_change_what_both_have_read_one_loses() {
    for settings in [settings(), on_postgres().await] {
        let desk = Desk::with(settings).await;
        desk.services.world.signed_in(alice()).await;
        let one = format!("/api/v1/users/{}", desk.id(&alice()).await);
        let (disable, enable) = (format!("{one}/disable"), format!("{one}/enable"));
        for _ in 0..10 {
            let (_, etag) = desk.read(&one).await;
            let headers = [("if-match", etag.as_str())];
            let race = futures_util::future::join_all(
                (0..4).map(|_| desk.act(&disable, &headers, nothing())),
            );
            let mut statuses: Vec<_> = race.await.iter().map(|r| r.status).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 412, 412, 412]);
            desk.done(&enable, &[("if-match", "*")], nothing()).await;
        }
        desk.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_under_one_key_acts_once() {
    for settings in [settings(), on_postgres().await] {
        let desk = Desk::with(settings).await;
        desk.services.world.signed_in(alice()).await;
        let id = desk.id(&alice()).await;
        let disable = format!("/api/v1/users/{id}/disable");
        let key = [("idempotency-key", "\"k-1\"")];
        let race =
            futures_util::future::join_all((0..5).map(|_| desk.act(&disable, &key, nothing())));
        let replies = race.await;
        let acted: Vec<_> = (replies.iter())
            .filter(|r| r.status == 200 && r.header("idempotency-replayed").is_empty())
            .collect();
        assert_eq!(acted.len(), 1, "{replies:?}");
        assert_eq!(acted[0].json()["ended_sessions"], 1);
        for other in replies.iter().filter(|r| r.status != 200) {
            assert_eq!(other.code(), "api.idempotency_under_way");
            assert_eq!(other.header("retry-after"), "1");
        }
        let again = desk.act(&disable, &key, nothing()).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.text, acted[0].text);
        assert_eq!(again.header("etag"), acted[0].header("etag"));
        // Bare or as a string of the draft's, it is one key; with another body another request.
        let bare = [("idempotency-key", "k-1")];
        let other = json!({ "reason": "another" });
        let reused = desk.refused(&disable, &bare, other).await;
        assert_eq!(reused, no(422, "api.idempotency_reused"));
        // A trial takes no key, a refused request gives it back.
        let fresh = [("idempotency-key", "k-2")];
        desk.done(&format!("{disable}?dry_run=true"), &fresh, nothing())
            .await;
        let enable = format!("/api/v1/users/{id}/enable");
        let refused = desk.refused(&enable, &fresh, nothing()).await;
        assert_eq!(refused, no(428, "api.precondition_required"));
        let headers = [fresh[0], ("if-match", "*")];
        let done = desk.act(&enable, &headers, nothing()).await;
        assert_eq!(done.status, 200);
        desk.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_bounded_and_new_people_shift_nothing() {
    let desk = Desk::start().await;
    let world = &desk.services.world;
    let groups = [GROUP_VALIDATED, GROUP_MEMBERS];
    let person = |n: u32| Person::new(n, &format!("p{n}"), &format!("Person {n}"), &groups, "");
    for n in 50..55 {
        world.signed_in(person(n)).await;
    }
    let (all, _) = desk.read("/api/v1/users").await;
    let all: Vec<_> = all["items"].as_array().unwrap().clone();
    assert_eq!(all.len(), 5);
    let mut next = Some("/api/v1/users?limit=2".to_owned());
    let mut found = Vec::new();
    while let Some(path) = next {
        let reply = desk.helpdesk.get(&path).await;
        let page = reply.json();
        let items = page["items"].as_array().unwrap().clone();
        assert!(items.len() <= 2);
        found.extend(items);
        next = page["next"].as_str().map(str::to_owned);
        let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
        assert_eq!(reply.header("link"), link.unwrap_or_default());
        if found.len() == 2 {
            world.signed_in(person(55)).await;
        }
    }
    assert_eq!(found[..5], all);
    assert_eq!(found.len(), 6, "who came meanwhile is at the end");
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_scope_covers_its_own_and_no_more() {
    let desk = Desk::start().await;
    desk.services.world.signed_in(alice()).await;
    let id = desk.id(&alice()).await;
    let reader = desk.services.named(&["reader.internal"]);
    let watcher = desk.services.named(&["watcher.internal"]);
    let disable = format!("/api/v1/users/{id}/disable");
    assert_eq!(reader.get("/api/v1/users").await.status, 200);
    assert_eq!(reader.get("/api/v1/accounts").await.status, 200);
    for path in ["/api/v1/sessions", "/api/v1/keys"] {
        assert_eq!(reader.get(path).await.code(), "api.scope", "{path}");
    }
    assert_eq!(reader.post(&disable, &[], "{}").await.code(), "api.scope");
    assert_eq!(watcher.get("/api/v1/sessions").await.status, 200);
    for path in ["/api/v1/users", "/api/v1/accounts", "/api/v1/keys"] {
        assert_eq!(watcher.get(path).await.code(), "api.scope", "{path}");
    }
    assert_eq!(watcher.post(&disable, &[], "{}").await.code(), "api.scope");
    // A refusal says nothing of what is there.
    let nobody = watcher
        .get(&format!("/api/v1/users/{}", uuid::Uuid::nil()))
        .await;
    assert_eq!(nobody.code(), "api.scope");
    assert_eq!(desk.live(&id).await, 1);
    desk.finish().await;
}

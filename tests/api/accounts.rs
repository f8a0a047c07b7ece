//! `/api/v1/accounts`.

use crate::desk::{Desk, no, nothing, on_postgres, settings};
use crate::support::bridge::Settings;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::{Fault, NewUser};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_resolved_by_a_service() {
    story(settings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_resolved_by_a_service_on_postgres() {
    story(on_postgres().await).await;
}

async fn story(settings: Settings) {
    let desk = Desk::with(settings).await;
    let world = &desk.services.world;
    // Somebody's old account has Alice's address.
    let old = world.mattermost.create_user(NewUser {
        username: "alice.old".into(),
        email: alice().email.clone(),
        ..NewUser::default()
    });
    let mut visitor = world.client(alice());
    assert_eq!(visitor.open("/").await.status, 403);
    let id = desk.id(&alice()).await;
    let (page, _) = desk.read("/api/v1/accounts?state=conflict&app=chat").await;
    assert_eq!(page["items"][0]["user"], id.as_str());
    let one = format!("/api/v1/accounts/chat/{id}");
    let (account, etag) = desk.read(&one).await;
    assert!(
        account["detail"].as_str().unwrap().contains(&old),
        "{account}"
    );
    let resolve = format!("{one}/resolve");

    // Still in the way: it says so, and the record is as it was but for the try.
    let retry = json!({ "decision": "retry" });
    let stands = desk
        .act(&resolve, &[("if-match", &etag)], retry.clone())
        .await;
    assert_eq!((stands.status, stands.code()), no(409, "api.conflict"));
    assert!(stands.text.contains("account.conflict"), "{stands:?}");
    let stale = desk.refused(&resolve, &[("if-match", &etag)], retry).await;
    assert_eq!(stale, no(412, "api.precondition"));

    let adopt = json!({ "decision": "adopt", "remote": old });
    let blind = desk.refused(&resolve, &[], adopt.clone()).await;
    assert_eq!(blind, no(428, "api.precondition_required"));
    let dry = format!("{resolve}?dry_run=true");
    let (_, etag) = desk.read(&one).await;
    let tried = desk.done(&dry, &[("if-match", &etag)], adopt.clone()).await;
    assert_eq!(tried["changed"], true);
    let done = desk.done(&resolve, &[("if-match", &etag)], adopt).await;
    assert_eq!(
        (&done["changed"], &done["state"]),
        (&json!(true), &json!("intent"))
    );

    // Right now instead of at the next sign-in.
    let provision = format!("{one}/provision");
    let made = desk.done(&provision, &[("if-match", "*")], nothing()).await;
    assert_eq!(made["state"], "linked");
    let (account, etag) = desk.read(&one).await;
    assert_eq!(
        (&account["remote"], &account["settled"]),
        (&json!(old), &json!(true))
    );
    // A refusal that was just given is given again for a moment.
    crate::support::eventually("she is let in", async || {
        let mut visitor = visitor.clone();
        (visitor.open("/").await.status == 200).then_some(())
    })
    .await;

    // Nobody else can be given it, nor can she be given another.
    world.signed_in(bob()).await;
    let bobs = desk.id(&bob()).await;
    let link = format!("/api/v1/accounts/chat/{bobs}/link");
    let held = desk
        .refused(&link, &[("if-match", "*")], json!({ "remote": old }))
        .await;
    assert_eq!(held, no(409, "api.conflict"));
    let no_conflict = json!({ "decision": "retry" });
    let refused = desk
        .refused(&resolve, &[("if-match", &etag)], no_conflict)
        .await;
    assert_eq!(refused, no(409, "api.conflict"));

    let unlink = format!("{one}/unlink");
    let done = desk.done(&unlink, &[("if-match", &etag)], nothing()).await;
    assert_eq!(
        (&done["state"], &done["ended_sessions"]),
        (&json!("conflict"), &json!(1))
    );
    assert!(world.mattermost.user("alice.old").is_some() || world.mattermost.user(&old).is_some());
    let (account, _) = desk.read(&one).await;
    assert!(account.get("remote").is_none(), "{account}");
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_account_yet_is_given_one_once() {
    let desk = Desk::start().await;
    let world = &desk.services.world;
    let old = world.mattermost.create_user(NewUser {
        username: "old".into(),
        email: "old@example.test".into(),
        ..NewUser::default()
    });
    // Known, but never let in: without the group there is no account.
    let mut paul = auth_manager::demo::door::paul();
    paul.groups.clear();
    let seen = world.client(paul.clone()).open("/").await;
    assert_eq!(seen.status, 403);
    let (page, _) = desk.read("/api/v1/users").await;
    if page["items"].as_array().unwrap().is_empty() {
        // Turned away before anything is recorded of them: then by somebody who was let in once.
        world.signed_in(bob()).await;
    }
    let (page, _) = desk.read("/api/v1/users").await;
    let id = page["items"][0]["id"].as_str().unwrap().to_owned();
    let one = format!("/api/v1/accounts/chat/{id}");
    let link = format!("{one}/link");
    let remote = json!({ "remote": old });
    if desk.helpdesk.get(&one).await.status == 404 {
        let blind = desk.refused(&link, &[], remote.clone()).await;
        assert_eq!(blind, no(428, "api.precondition_required"));
        let none = desk
            .refused(&link, &[("if-match", "*")], remote.clone())
            .await;
        assert_eq!(none, no(412, "api.precondition"));
        desk.done(&link, &[("if-none-match", "*")], remote.clone())
            .await;
    }
    let twice = desk.refused(&link, &[("if-none-match", "*")], remote).await;
    assert_eq!(twice, no(412, "api.precondition"));
    for path in [
        format!("/api/v1/accounts/wiki/{id}"),
        format!("/api/v1/accounts/chat/{}", uuid::Uuid::nil()),
        "/api/v1/accounts/chat/nobody".into(),
    ] {
        assert_eq!(
            desk.helpdesk.get(&path).await.code(),
            "api.not_found",
            "{path}"
        );
    }
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_away_is_said_and_nothing_is_made_for_the_disabled() {
    let desk = Desk::start().await;
    let world = &desk.services.world;
    world.signed_in(alice()).await;
    let id = desk.id(&alice()).await;
    let provision = format!("/api/v1/accounts/chat/{id}/provision");
    let any = [("if-match", "*")];
    let fault = Fault::Status(503, "away".into());
    world.mattermost.set_fault(fault, "/api/v4/");
    let away = desk.act(&provision, &any, nothing()).await;
    assert!([502, 503, 504].contains(&away.status), "{away:?}");
    world.mattermost.clear_faults();
    crate::support::eventually("the app is back", async || {
        let back = desk.act(&provision, &any, nothing()).await;
        (back.status == 200).then_some(())
    })
    .await;
    desk.done(&format!("/api/v1/users/{id}/disable"), &[], nothing())
        .await;
    let disabled = desk.refused(&provision, &any, nothing()).await;
    assert_eq!(disabled, no(409, "api.conflict"));
    desk.finish().await;
}

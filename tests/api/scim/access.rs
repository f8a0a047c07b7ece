//! What SCIM means for people: access ends before the answer is sent.

use super::{Bed, USER, id, patch};
use crate::desk;
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, alice, bob};
use auth_manager::jobs::wish;
use auth_manager::store::{JobStore as _, Priority, SqliteStore, Store as _};
use auth_manager::types::{AppId, Clock as _, IssuerId, Subject, SystemClock};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_who_is_deactivated_is_out_when_the_answer_comes() {
    story(Bed::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_who_is_deactivated_is_out_when_the_answer_comes_on_postgres() {
    story(Bed::with(desk::on_postgres().await, "").await).await;
}

async fn story(bed: Bed) {
    let world = &bed.services.world;
    let mut visitor = world.signed_in(alice()).await;
    let mut other = world.signed_in(bob()).await;
    let body = json!({ "schemas": [USER], "userName": "alice", "externalId": alice().sub });
    let user = id(&bed.must(201, "POST", "/Users", body.clone()).await);
    let path = format!("/Users/{user}");
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 200);

    let off = patch(json!([{ "op": "Replace", "path": "active", "value": "False" }]));
    bed.must(200, "PATCH", &path, off).await;
    // The assertion still names her groups: the fresher word wins.
    assert_ne!(visitor.get("/api/v4/users/me").await.status, 200);
    assert_eq!(visitor.clone().open("/").await.status, 403);
    assert_eq!(other.get("/api/v4/users/me").await.status, 200);

    // Back by the same client: the same person.
    let on = patch(json!([{ "op": "replace", "value": { "active": true } }]));
    bed.must(200, "PATCH", &path, on).await;
    crate::support::eventually("she is let in again", async || {
        (visitor.clone().open("/").await.status == 200).then_some(())
    })
    .await;

    // Deleted: out as well, and the data stays.
    let mut visitor = world.signed_in(alice()).await;
    let before = visitor.get("/api/v4/users/me").await.json()["id"].clone();
    assert_eq!(bed.ask("DELETE", &path, Value::Null).await.status, 204);
    assert_ne!(visitor.get("/api/v4/users/me").await.status, 200);
    // Put here again, under the same external id: the same account.
    bed.must(201, "POST", "/Users", body).await;
    crate::support::eventually("she is let in again", async || {
        (visitor.clone().open("/").await.status == 200).then_some(())
    })
    .await;
    let mut visitor = world.signed_in(alice()).await;
    assert_eq!(visitor.get("/api/v4/users/me").await.json()["id"], before);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_who_leaves_a_group_is_refused_whatever_the_assertion_says() {
    let bed = Bed::start().await;
    let visitor = bed.services.world.signed_in(alice()).await;
    let body = json!({ "schemas": [USER], "userName": "alice", "externalId": alice().sub });
    let user = id(&bed.must(201, "POST", "/Users", body).await);
    bed.group(GROUP_VALIDATED, &[&user]).await;
    // By a group in a group, as Authentik's parents are.
    let inner = bed.group("inner", &[&user]).await;
    let outer = bed.group(GROUP_MEMBERS, &[&inner]).await;
    // While one of the two was not there yet, the other did not let her in.
    crate::support::eventually("she is let in", async || {
        (visitor.clone().open("/").await.status == 200).then_some(())
    })
    .await;

    let path = format!("/Groups/{outer}");
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{inner}\"]") }]);
    bed.must(200, "PATCH", &path, patch(remove)).await;
    assert_eq!(visitor.clone().open("/").await.status, 403);
    // Her account is none of that: she comes back with the group.
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": inner }] }]);
    bed.must(200, "PATCH", &path, patch(add)).await;
    crate::support::eventually("she is let in again", async || {
        (visitor.clone().open("/").await.status == 200).then_some(())
    })
    .await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_the_token_of_one_connection_finds_nothing_of_another() {
    let bed = Bed::start().await;
    let user = bed.user("alice").await;
    let group = bed.group("staff", &[&user]).await;
    let as_other = |method: &'static str, path: String, body: Value| {
        let bed = &bed;
        async move { bed.ask_as(&bed.other, method, &path, &[], body).await }
    };
    for path in [format!("/Users/{user}"), format!("/Groups/{group}")] {
        for (method, body) in [
            ("GET", Value::Null),
            (
                "PUT",
                json!({ "schemas": [USER], "userName": "x", "displayName": "x" }),
            ),
            (
                "PATCH",
                patch(json!([{ "op": "remove", "path": "externalId" }])),
            ),
            ("DELETE", Value::Null),
        ] {
            let reply = as_other(method, path.clone(), body).await;
            let wrong_shape = method == "PUT" && reply.status == 400;
            assert!(
                reply.status == 404 || wrong_shape,
                "{method} {path}: {reply:?}"
            );
        }
    }
    for path in ["/Users", "/Groups"] {
        let found = as_other("GET", path.into(), Value::Null).await.json();
        assert_eq!(found["totalResults"], 0);
    }
    let all = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"] });
    let found = as_other("POST", "/.search".into(), all).await.json();
    assert_eq!(found["totalResults"], 0);
    // The same names and external ids are free in a room of one's own.
    let same = json!({ "schemas": [USER], "userName": "alice", "externalId": "x-alice" });
    assert_eq!(as_other("POST", "/Users".into(), same).await.status, 201);
    assert_eq!(bed.members(&group).await, [user]);

    // Who has the scope and no room, who has another scope, and who is nobody.
    let roomless = bed.services.named(&["roomless.internal"]);
    assert_eq!(roomless.get("/scim/v2/Users").await.status, 403);
    let asker = bed.services.named(&["asker.internal"]);
    let reply = asker.get("/scim/v2/Users").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (403, "application/scim+json")
    );
    let nobody = bed.services.nobody().get("/scim/v2/Users").await;
    assert_eq!(nobody.status, 401);
    assert_eq!(nobody.json()["status"], "401");
    assert!(nobody.header("www-authenticate").starts_with("Bearer"));
    bed.finish().await;
}

/// How many wishes for this person's accounts are on record, in the bridge's own store.
fn wishes(bed: &Bed, sub: &str) -> i64 {
    let file = bed.services.world.bridge.folder().join("auth-manager.db");
    let db = rusqlite::Connection::open(file).unwrap();
    let sql = "SELECT count(*) FROM jobs WHERE kind = 'converge'
         AND user_id = (SELECT id FROM users WHERE subject = ?1)";
    db.query_row(sql, [sub], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_when_too_many_go_they_are_out_but_their_accounts_wait() {
    let brake = "brake_number = 2\nbrake_share = 10";
    let bed = Bed::with(desk::settings(), brake).await;
    let world = &bed.services.world;
    let mut first = world.signed_in(bob()).await;
    let mut last = world.signed_in(alice()).await;
    let make = |name: &'static str, sub: String| {
        let bed = &bed;
        async move {
            let body = json!({ "schemas": [USER], "userName": name, "externalId": sub });
            id(&bed.must(201, "POST", "/Users", body).await)
        }
    };
    let users = [
        make("bob", bob().sub).await,
        make("x", "x".into()).await,
        make("alice", alice().sub).await,
    ];
    let off = || patch(json!([{ "op": "replace", "path": "active", "value": false }]));
    for user in &users {
        bed.must(200, "PATCH", &format!("/Users/{user}"), off())
            .await;
    }
    // Each is named, so each is out.
    assert_ne!(first.get("/api/v4/users/me").await.status, 200);
    assert_ne!(last.get("/api/v4/users/me").await.status, 200);
    // Within the brake the account follows; beyond it, it waits for an operator.
    assert!(wishes(&bed, &bob().sub) > 0);
    assert_eq!(wishes(&bed, &alice().sub), 0);
    let output = world.bridge.output();
    assert!(output.contains("too many people went at once"), "an alarm");

    // A look at the app finds whose account waits, and waits for a word itself.
    let ran = world.bridge.command(&["reconcile", "run"]).await;
    assert_eq!(ran.status.code(), Some(3), "held");
    let plans = world.run(&["reconcile", "plans", "--json"]).await;
    let plans: Value = serde_json::from_str(&plans).expect("JSON");
    let plan = plans[0]["id"].as_str().expect("a plan");
    assert_eq!(plans[0]["app"], "chat", "{plans}");
    assert!(
        world
            .mattermost
            .user("alice")
            .is_some_and(|user| user.is_active())
    );
    world.run(&["reconcile", "apply", plan]).await;
    crate::support::eventually("the end of the account", async || {
        let account = world.mattermost.user("alice")?;
        (!account.is_active()).then_some(())
    })
    .await;
    bed.finish().await;
}

/// Waits until no job is open, in the bridge's own store.
async fn quiet(bed: &Bed) {
    let file = bed.services.world.bridge.folder().join("auth-manager.db");
    crate::support::eventually("no job is open", async || {
        let db = rusqlite::Connection::open(&file).unwrap();
        let sql = "SELECT count(*) FROM jobs WHERE state IN ('pending', 'running')";
        let open: i64 = db.query_row(sql, [], |row| row.get(0)).unwrap();
        (open == 0).then_some(())
    })
    .await;
}

fn state(bed: &Bed, sub: &str) -> String {
    let file = bed.services.world.bridge.folder().join("auth-manager.db");
    let db = rusqlite::Connection::open(file).unwrap();
    let sql = "SELECT state FROM users WHERE subject = ?1";
    db.query_row(sql, [sub], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_whose_accounts_wait_stay_as_they_are_until_somebody_decides() {
    let idp = "brake_number = 2\nbrake_share = 10\n[directory]\ngrace = \"3s\"";
    let bed = Bed::with(desk::settings(), idp).await;
    let world = &bed.services.world;
    let mut visitors = [world.signed_in(bob()).await, world.signed_in(alice()).await];
    let mut users = Vec::new();
    for (name, sub) in [
        ("bob", bob().sub),
        ("x", "x".to_owned()),
        ("alice", alice().sub),
    ] {
        let body = json!({ "schemas": [USER], "userName": name, "externalId": sub });
        users.push(id(&bed.must(201, "POST", "/Users", body).await));
    }
    quiet(&bed).await;
    let off = || patch(json!([{ "op": "replace", "path": "active", "value": false }]));
    for user in &users {
        bed.must(200, "PATCH", &format!("/Users/{user}"), off())
            .await;
    }
    for visitor in &mut visitors {
        assert_ne!(visitor.get("/api/v4/users/me").await.status, 200);
    }
    // A plan says who waits while there is time.
    let ran = world.bridge.command(&["reconcile", "run"]).await;
    assert_eq!(ran.status.code(), Some(3), "held");
    let active = |name: &str| {
        let user = world.mattermost.user(name);
        user.is_some_and(|user| user.is_active())
    };

    // The grace is over for all of them at once.
    crate::support::eventually("the end of the grace", async || {
        let over = [alice(), bob()].map(|person| state(&bed, &person.sub));
        (over == ["disabled", "disabled"]).then_some(())
    })
    .await;
    quiet(&bed).await;
    assert!(active("alice") && active("bob"), "they wait");

    // The configuration changes, so everybody is looked at anew.
    let path = world.bridge.config();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("grace = \"3s\"", "grace = \"2s\"")).unwrap();
    let late = || world.bridge.output().matches("carried out late").count();
    let before = late();
    world.bridge.hang_up();
    crate::support::eventually("everybody is looked at", async || {
        (late() > before).then_some(())
    })
    .await;
    quiet(&bed).await;
    assert!(active("alice") && active("bob"), "they wait");

    // A job for one of them leaves her as she is, whoever wished for it.
    let file = world.bridge.folder().join("auth-manager.db");
    let store = SqliteStore::open(file).await.unwrap();
    let issuer = IssuerId::new("pomerium").unwrap();
    let subject = Subject::new(alice().sub).unwrap();
    let known = store.user_by_subject(&issuer, &subject).await.unwrap();
    let (chat, now) = (AppId::new("chat").unwrap(), SystemClock.now());
    let wish = wish::converge(&chat, known.unwrap().id, Priority::Deny, now, "a test");
    store.enqueue(&[wish], now).await.unwrap();
    quiet(&bed).await;
    assert!(wishes(&bed, &alice().sub) > 0, "it ran");
    assert!(active("alice") && active("bob"), "they wait");

    let ran = world.bridge.command(&["reconcile", "run"]).await;
    assert_eq!(ran.status.code(), Some(3), "held still");
    let plans = world.run(&["reconcile", "plans", "--json"]).await;
    let plans: Value = serde_json::from_str(&plans).expect("JSON");
    assert_eq!(plans.as_array().map(Vec::len), Some(1), "{plans}");
    let plan = plans[0]["id"].as_str().expect("a plan");
    world.run(&["reconcile", "apply", plan]).await;
    crate::support::eventually("the end of the accounts", async || {
        (!active("alice") && !active("bob")).then_some(())
    })
    .await;
    bed.finish().await;
}

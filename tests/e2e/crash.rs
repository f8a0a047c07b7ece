//! `kill -9` at every step of a first sign-in (T36): no second account, nobody locked out, no real
//! session that nothing knows of.

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::world::World;
use auth_manager::demo::door::alice;
use auth_manager::demo::mattermost::{Fault, Options};
use std::time::Duration;

/// Kills the bridge while the app is slow at `path`, starts it again and signs in.
async fn killed_at(fault: Fault, path: &str) {
    let mut world = World::with(Settings::default(), Options::default()).await;
    world.mattermost.set_fault(fault, path);
    world.mattermost.clear_journal();
    let mut first = world.client(alice());
    let asking = tokio::spawn(async move {
        // It dies under this request: any end is right.
        let bytes = first.bytes(&first.page("/"));
        let _ = crate::support::wire::exchange_raw(first.address, &bytes).await;
        first.cookies.clear();
    });
    eventually(path, || async {
        let reached = world
            .mattermost
            .journal()
            .iter()
            .any(|seen| seen.path.starts_with(path));
        reached.then_some(())
    })
    .await;
    world.bridge.kill().await;
    asking.await.expect("the request ends");
    world.mattermost.clear_faults();

    world.bridge.restart().await;
    let visitor = world.client(alice());
    let mut visitor: Client = eventually("the way in after the crash", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 200).then_some(tab) }
    })
    .await;
    assert_eq!(visitor.me().await["email"], "alice@example.test");
    let accounts = world.mattermost.users();
    let alices: Vec<_> = accounts
        .iter()
        .filter(|user| user.email == "alice@example.test")
        .collect();
    assert_eq!(alices.len(), 1, "one account: {alices:?}");
    assert!(alices[0].teams.contains(&"demo".to_owned()));
    // At most one login was lost with the process that made it; logging out leaves none behind
    // that the bridge knows of.
    visitor
        .post("/api/v4/users/logout", &serde_json::json!({}))
        .await;
    assert!(world.mattermost.sessions_of("alice").len() <= 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_account_is_being_made() {
    killed_at(Fault::SlowCreate(Duration::from_secs(2)), "/api/v4/users").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_the_account_was_made_and_nobody_told() {
    killed_at(Fault::DropAfterCreate, "/api/v4/users").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_joining_the_team() {
    killed_at(Fault::Slow(Duration::from_secs(2)), "/api/v4/teams").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_logging_in() {
    killed_at(
        Fault::SlowLogin(Duration::from_secs(2)),
        "/api/v4/users/login",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_in_people_notice_nothing_of_a_crash() {
    let mut world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    world.bridge.kill().await;
    world.bridge.restart().await;
    let mut visitor = Client {
        address: world.bridge.proxy,
        ..visitor
    };
    assert_eq!(visitor.me().await["username"], "alice");
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_survives_a_crash() {
    let mut world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let cookies = visitor.cookies.clone();
    visitor
        .post("/api/v4/users/logout", &serde_json::json!({}))
        .await;
    world.bridge.kill().await;
    world.bridge.restart().await;
    let mut visitor = Client {
        address: world.bridge.proxy,
        cookies,
        ..visitor
    };
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 401);
    world.finish().await;
}

//! What a bridge left open in the app when it died between the app's login and its own record of it
//! (T36) is ended at the account's next sign-in.

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::world::World;
use auth_manager::demo::door::alice;
use auth_manager::demo::mattermost::Fault;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_a_session_lost_between_login_and_birth_is_ended_later() {
    let mut world = World::start().await;
    let first = world.signed_in(alice()).await;
    let id = world.mattermost.user("alice").expect("the account").id;
    let known = world.mattermost.sessions_of("alice")[0].token.clone();
    let (_, access_token) = world
        .mattermost
        .issue_access_token("alice")
        .expect("a token");

    // A second sign-in stops right behind the app's login.
    let path = format!("/api/v4/users/{id}/sessions");
    world
        .mattermost
        .set_fault(Fault::Slow(Duration::from_secs(20)), &path);
    let second = world.client(alice());
    let bytes = second.bytes(&second.page("/"));
    let address = second.address;
    let asking = tokio::spawn(async move {
        // It dies under this request: any end is right.
        let _ = crate::support::wire::exchange_raw(address, &bytes).await;
    });
    eventually("the login", || async {
        let open = world.mattermost.sessions_of("alice").len();
        (open == 2).then_some(())
    })
    .await;
    world.bridge.kill().await;
    asking.await.expect("the request ends");
    world.mattermost.clear_faults();
    let sessions = world.mattermost.sessions_of("alice");
    let lost: Vec<_> = sessions.iter().filter(|s| s.token != known).collect();
    assert_eq!(lost.len(), 1, "{sessions:?}");
    let lost = lost[0].token.clone();

    // Later: the orphan is no longer anybody's work under way.
    assert!(world.mattermost.backdate_session(&lost, 120_000));
    let store = rusqlite::Connection::open(world.bridge.folder().join("auth-manager.db"));
    let store = store.expect("the store");
    store
        .execute("UPDATE accounts SET created_at = created_at - 3600", [])
        .expect("the account is older");
    drop(store);
    world.bridge.restart().await;
    let mut third = world.client(alice());
    assert_eq!(third.open("/").await.status, 200);
    eventually("the orphan's end", || async {
        let sessions = world.mattermost.sessions_of("alice");
        let left = sessions.iter().any(|s| s.token == lost);
        (!left).then_some(())
    })
    .await;
    // Nobody else's was touched: the first sign-in's, the new one's, the access token.
    let mut first = Client {
        address: world.bridge.proxy,
        ..first.clone()
    };
    assert_eq!(first.me().await["username"], "alice");
    assert_eq!(third.me().await["username"], "alice");
    let _ = access_token;
    assert_eq!(world.mattermost.users_created(), 1);
    world.finish().await;
}

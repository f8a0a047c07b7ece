//! Logging out of the app ends everything: the app's session, ours, the sign-in at Pomerium.

use crate::support::eventually;
use crate::support::world::World;
use auth_manager::demo::door::alice;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_apps_logout_ends_the_session_the_sockets_and_the_sign_in() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let socket = visitor.socket().await.expect("a socket");
    let old = visitor.cookies.clone();

    let answer = visitor.post("/api/v4/users/logout", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(visitor.cookies.is_empty(), "{:?}", visitor.cookies);
    socket.ended().await;
    eventually("the end of the app's session", || async {
        world
            .mattermost
            .sessions_of("alice")
            .is_empty()
            .then_some(())
    })
    .await;

    // The page loads `/` by itself, and that navigation ends Pomerium's session.
    let page = visitor.send(visitor.page("/")).await;
    assert_eq!(page.status, 302, "{}", page.text());
    assert_eq!(page.header("location"), Some("/.pomerium/sign_out"));
    assert_eq!(page.header("cache-control"), Some("no-store"));

    // The old cookie with the old sign-in stays dead: for calls, and for pages.
    visitor.cookies = old;
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 401);
    assert!(visitor.socket().await.is_err());
    let page = visitor.send(visitor.page("/")).await;
    assert!(
        page.text().contains("signed out"),
        "{} {}",
        page.status,
        page.text()
    );
    assert!(
        page.text().contains("/.pomerium/sign_out"),
        "a way to sign in again"
    );
    assert_eq!(world.mattermost.logins_performed(), 1);

    // A new sign-in gets in, with the same account.
    let account = world.mattermost.user("alice").expect("an account").id;
    visitor.signs_in_as(alice());
    assert_eq!(visitor.open("/").await.status, 200);
    assert_eq!(visitor.me().await["id"], account.as_str());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_tab_follows() {
    let world = World::start().await;
    let mut first = world.signed_in(alice()).await;
    let mut second = first.clone();
    first.post("/api/v4/users/logout", &json!({})).await;
    let call = second.get("/api/v4/users/me").await;
    assert_eq!(call.status, 401);
    assert_eq!(
        call.json()["status_code"],
        401,
        "the web app's own word for: reload"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_elses_page_can_log_one_out() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let foreign = visitor
        .api("POST", "/api/v4/users/logout")
        .without("X-CSRF-Token")
        .without("X-Requested-With")
        .without("Origin")
        .without("Sec-Fetch-Site")
        .header("Origin", "https://evil.test")
        .header("Sec-Fetch-Site", "cross-site");
    assert_eq!(visitor.send(foreign).await.status, 403);
    assert_eq!(visitor.me().await["username"], "alice");
    world.finish().await;
}

//! The operator ends access: at once, for calls, pages and sockets, and in the app itself (T26).

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::socket::End;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use std::time::{Duration, Instant};

/// From an operator's command to the close frame. The promise is one second of the bridge; the
/// command itself is a process that starts beside everything else of the test.
const PROMPT: Duration = Duration::from_secs(5);

async fn is_out(visitor: &mut Client) {
    assert!(matches!(
        visitor.get("/api/v4/users/me").await.status,
        401 | 403
    ));
    assert!(visitor.socket().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_sessions_end_here_and_in_the_app_and_others_do_not() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let mut other = world.signed_in(bob()).await;
    let socket = visitor.socket().await.expect("a socket");
    let mut others = other.socket().await.expect("a socket");
    others.event("hello").await;

    world.revoke(&alice()).await;
    let from = Instant::now();
    let end = socket.ended().await;
    assert!(from.elapsed() < PROMPT, "{:?}", from.elapsed());
    assert!(
        matches!(end, End::Closed(Some(_))),
        "a close frame, so that the page comes back: {end:?}"
    );
    is_out(&mut visitor).await;
    eventually("the end of the app's session", || async {
        world
            .mattermost
            .sessions_of("alice")
            .is_empty()
            .then_some(())
    })
    .await;

    // The page says so; the same sign-in never gets back in; a new one does.
    let page = visitor.open("/").await;
    assert!(
        page.text().contains("signed out"),
        "{} {}",
        page.status,
        page.text()
    );
    assert_eq!(world.mattermost.logins_performed(), 2);
    visitor.signs_in_as(alice());
    assert_eq!(visitor.open("/").await.status, 200);

    assert_eq!(other.me().await["username"], "bob");
    world
        .mattermost
        .post_as("bob", &world.town_square(), "still here");
    others.event("posted").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_a_disabled_person_is_out_at_once_and_in_again_when_enabled() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let socket = visitor.socket().await.expect("a socket");

    world.disable(&alice()).await;
    socket.ended().await;
    is_out(&mut visitor).await;
    // Also with a new sign-in: the directory's older word, the groups, does not outweigh it (T10).
    visitor.signs_in_as(alice());
    let page = visitor.open("/").await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("disabled"), "{}", page.text());
    eventually("the end of the app's session", || async {
        world
            .mattermost
            .sessions_of("alice")
            .is_empty()
            .then_some(())
    })
    .await;

    world.enable(&alice()).await;
    visitor.signs_in_as(alice());
    eventually("the way back in", || {
        let mut visitor = visitor.clone();
        async move { (visitor.open("/").await.status == 200).then_some(()) }
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_compromise_everybody_is_out() {
    let world = World::start().await;
    let mut visitors = [world.signed_in(alice()).await, world.signed_in(bob()).await];
    world.revoke_all().await;
    for visitor in &mut visitors {
        eventually("the end of the session", || {
            let mut visitor = visitor.clone();
            async move { (visitor.get("/api/v4/users/me").await.status == 401).then_some(()) }
        })
        .await;
        is_out(visitor).await;
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_someone_ended_in_the_app_ends_here() {
    // The visitor's own "active sessions" list, or the app's administrator.
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    world.mattermost.revoke_sessions("alice");
    let call = visitor.get("/api/v4/users/me").await;
    assert_eq!(call.status, 401, "{}", call.text());
    let page = visitor.open("/").await;
    assert!(
        page.text().contains("signed out"),
        "{} {}",
        page.status,
        page.text()
    );
    assert_eq!(
        world.mattermost.logins_performed(),
        1,
        "not healed behind their back"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_merely_expired_in_the_app_is_renewed_unnoticed() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let token = world.mattermost.sessions_of("alice")[0].token.clone();
    assert!(world.mattermost.expire_session(&token));
    let body = serde_json::json!({ "channel_id": world.town_square(), "message": "after" });
    let posted = visitor.post("/api/v4/posts", &body).await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    let messages = world.mattermost.messages(&world.town_square());
    assert_eq!(
        messages
            .iter()
            .filter(|message| *message == "after")
            .count(),
        1,
        "once"
    );
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

//! Another person signs in on the same browser (T25): nothing of the first one's is seen, and the
//! first one's session ends.

use crate::support::eventually;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t25_the_second_person_never_sees_the_first_ones_session() {
    let world = World::start().await;
    let mut browser = world.signed_in(alice()).await;
    let alices = browser.cookies.clone();
    let socket = browser.socket().await.expect("a socket");

    browser.signs_in_as(bob());
    // An old tab calls first, with Alice's cookies and Bob's identity.
    let call = browser.get("/api/v4/users/me").await;
    assert_eq!(call.status, 401, "{}", call.text());
    let post = browser
        .post(
            "/api/v4/posts",
            &serde_json::json!({ "channel_id": world.town_square(), "message": "as whom?" }),
        )
        .await;
    assert!(matches!(post.status, 401 | 403), "{}", post.status);
    assert!(browser.socket().await.is_err(), "no socket either");
    assert!(
        world
            .mattermost
            .messages(&world.town_square())
            .iter()
            .all(|m| m != "as whom?")
    );

    assert_eq!(browser.open("/").await.status, 200);
    assert_eq!(browser.me().await["username"], "bob");
    assert_ne!(browser.cookies["MMAUTHTOKEN"], alices["MMAUTHTOKEN"]);
    assert_ne!(
        browser.cookies["MMCSRF"], alices["MMCSRF"],
        "CSRF belongs to the session"
    );
    assert_ne!(browser.cookies["MMUSERID"], alices["MMUSERID"]);

    socket.ended().await;
    eventually("the end of Alice's app session", || async {
        world
            .mattermost
            .sessions_of("alice")
            .is_empty()
            .then_some(())
    })
    .await;
    // Every request that arrived carried the token of the person it was for.
    for seen in world.arrived("/api/v4/users/me") {
        let bobs = world.mattermost.sessions_of("bob");
        assert!(
            seen.tokens()
                .iter()
                .all(|token| bobs.iter().any(|have| have.token == *token))
        );
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t25_a_cookie_alone_is_worth_nothing_to_somebody_else() {
    let world = World::start().await;
    let alices = world.signed_in(alice()).await;
    let mut thief = world.client(bob());
    thief.cookies = alices.cookies.clone();
    assert_eq!(thief.get("/api/v4/users/me").await.status, 401);
    assert_eq!(thief.open("/").await.status, 200);
    assert_eq!(thief.me().await["username"], "bob");
    world.finish().await;
}

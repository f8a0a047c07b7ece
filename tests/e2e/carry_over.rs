//! A new sign-in at Pomerium on the same browser keeps the app session, its CSRF value and its
//! sockets; nobody else's cookie ever brings a session (T16).

use crate::support::client::Client;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_sign_in_of_the_same_browser_keeps_everything() {
    let world = World::start().await;
    let mut browser = world.signed_in(alice()).await;
    let old_tab = browser.clone();
    let before = browser.cookies.clone();
    let session = world.mattermost.sessions_of("alice")[0].id.clone();
    let mut socket = browser.socket().await.expect("a socket");
    socket.event("hello").await;

    for round in 0..4 {
        browser.signs_in_as(alice());
        // A tab that was open calls first, or a page is loaded.
        if round % 2 == 0 {
            browser.me().await;
        } else {
            assert_eq!(browser.open("/").await.status, 200);
        }
    }
    let body = json!({ "channel_id": world.town_square(), "message": "still connected" });
    assert_eq!(browser.post("/api/v4/posts", &body).await.status, 201);
    socket.event("posted").await;
    assert_eq!(browser.cookies["MMCSRF"], before["MMCSRF"]);
    assert_eq!(browser.cookies["MMUSERID"], before["MMUSERID"]);
    let sessions = world.mattermost.sessions_of("alice");
    assert_eq!(
        sessions.iter().map(|s| &s.id).collect::<Vec<_>>(),
        [&session]
    );
    assert_eq!(world.mattermost.logins_performed(), 1);
    // What was under way with the former sign-in is not lost either.
    let mut old_tab = old_tab;
    old_tab.me().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_former_sign_in_of_a_session_is_dead_after_its_logout() {
    let world = World::start().await;
    let mut browser = world.signed_in(alice()).await;
    let mut former = vec![browser.clone()];
    for _ in 0..3 {
        browser.signs_in_as(alice());
        browser.me().await;
        former.push(browser.clone());
    }
    browser.post("/api/v4/users/logout", &json!({})).await;
    for mut tab in former {
        assert_eq!(tab.get("/api/v4/users/me").await.status, 401);
        tab.cookies.clear();
        let page = tab.open("/").await;
        assert!(matches!(page.status, 302 | 401), "{}", page.status);
        assert!(tab.cookies.is_empty());
    }
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_session_is_not_carried_over() {
    let world = World::start().await;
    for by_operator in [false, true] {
        let mut browser = world.client(alice());
        assert_eq!(browser.open("/").await.status, 200);
        let old = browser.cookies.clone();
        if by_operator {
            world.revoke(&alice()).await;
        } else {
            browser.post("/api/v4/users/logout", &json!({})).await;
        }
        browser.cookies = old.clone();
        browser.signs_in_as(alice());
        assert_eq!(
            browser.get("/api/v4/users/me").await.status,
            401,
            "the page loads anew"
        );
        assert_eq!(browser.open("/").await.status, 200);
        assert_ne!(browser.cookies["MMAUTHTOKEN"], old["MMAUTHTOKEN"]);
        assert_ne!(browser.cookies["MMCSRF"], old["MMCSRF"]);
    }
    assert_eq!(world.mattermost.logins_performed(), 4);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_a_planted_cookie_is_never_adopted() {
    let world = World::start().await;
    let attacker = world.signed_in(bob()).await;
    let genuine = &attacker.cookies["MMAUTHTOKEN"];
    let bent = {
        let (head, signature) = genuine.rsplit_once('.').expect("three parts");
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{head}.{first}{}", &signature[1..])
    };
    let unsigned = format!(
        "eyJhbGciOiJub25lIiwidHlwIjoic2Vzc2lvbitqd3QifQ.{}.",
        genuine.split('.').nth(1).expect("three parts")
    );
    for planted in [genuine.clone(), bent, unsigned, "x".repeat(600)] {
        let mut victim = world.client(alice());
        victim.cookies.insert("MMAUTHTOKEN".into(), planted.clone());
        for (name, value) in [("MMCSRF", "planted"), ("MMUSERID", "planted")] {
            victim.cookies.insert(name.into(), value.into());
        }
        let call = victim.get("/api/v4/users/me").await;
        assert_eq!(call.status, 401, "before the page was loaded");
        assert_eq!(victim.open("/").await.status, 200);
        assert_eq!(victim.me().await["username"], "alice");
        assert_ne!(victim.cookies["MMAUTHTOKEN"], planted);
        assert_ne!(victim.cookies["MMCSRF"], "planted");
        assert_ne!(victim.cookies["MMCSRF"], attacker.cookies["MMCSRF"]);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_two_cookies_of_the_name_are_none() {
    let world = World::start().await;
    let mut browser = world.signed_in(alice()).await;
    let own = browser.cookies["MMAUTHTOKEN"].clone();
    let twice = browser
        .api("GET", "/api/v4/users/me")
        .cookie(&format!("MMAUTHTOKEN={own}; MMAUTHTOKEN=planted"));
    assert_eq!(browser.send(twice).await.status, 401);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_two_sign_ins_loses_nothing() {
    let mut world = World::start().await;
    let browser = world.signed_in(alice()).await;
    let before = browser.cookies.clone();
    world.bridge.kill().await;
    world.bridge.restart().await;
    let mut browser = Client {
        address: world.bridge.proxy,
        ..browser
    };
    browser.signs_in_as(alice());
    assert_eq!(browser.open("/").await.status, 200);
    assert_eq!(browser.cookies["MMCSRF"], before["MMCSRF"]);
    let body = json!({ "channel_id": world.town_square(), "message": "after the crash" });
    assert_eq!(browser.post("/api/v4/posts", &body).await.status, 201);
    assert_eq!(world.mattermost.logins_performed(), 1);
    assert_eq!(world.mattermost.sessions_of("alice").len(), 1);
    world.finish().await;
}

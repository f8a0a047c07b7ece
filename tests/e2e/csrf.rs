//! Cross-site requests change nothing (T29), and the web app's own, all of its kinds, work.

use crate::support::bridge::Settings;
use crate::support::client::{Client, Request};
use crate::support::world::World;
use auth_manager::demo::door::alice;
use auth_manager::demo::mattermost::Options;
use serde_json::json;

fn message(world: &World, text: &str) -> String {
    json!({ "channel_id": world.town_square(), "message": text }).to_string()
}

fn post(visitor: &Client, body: &str) -> Request {
    visitor
        .api("POST", "/api/v4/posts")
        .header("Content-Type", "application/json")
        .body(body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t29_posts_from_elsewhere_are_refused() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let body = message(&world, "forged");
    let bare = || {
        let form = Request::new("POST", "/api/v4/posts").header("Content-Type", "text/plain");
        form.body(body.as_bytes())
    };
    let cases = [
        (
            "a foreign form",
            bare()
                .header("Origin", "https://evil.test")
                .header("Sec-Fetch-Site", "cross-site"),
        ),
        (
            "a sibling's form",
            bare()
                .header("Origin", "https://x.example.test")
                .header("Sec-Fetch-Site", "same-site"),
        ),
        ("a sandboxed frame", bare().header("Origin", "null")),
        ("no word of where it comes from", bare()),
        ("our Origin alone", bare().header("Origin", &visitor.origin)),
        (
            "a wrong value",
            post(&visitor, &body)
                .without("X-CSRF-Token")
                .header("X-CSRF-Token", "wrong"),
        ),
        (
            "an empty value",
            post(&visitor, &body)
                .without("X-CSRF-Token")
                .header("X-CSRF-Token", ""),
        ),
        (
            "a right value from elsewhere",
            post(&visitor, &body)
                .without("Origin")
                .header("Origin", "https://evil.test"),
        ),
        (
            "a right value, browser says cross-site",
            post(&visitor, &body)
                .without("Sec-Fetch-Site")
                .header("Sec-Fetch-Site", "cross-site"),
        ),
    ];
    for (name, request) in cases {
        let answer = visitor.send(request).await;
        // A wrong value is a page from before: 401 is what makes the web app load itself anew.
        let status = if matches!(name, "a wrong value" | "an empty value") {
            401
        } else {
            403
        };
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    assert!(
        world
            .mattermost
            .messages(&world.town_square())
            .iter()
            .all(|text| text != "forged")
    );
    assert!(
        world.arrived("/api/v4/posts").is_empty(),
        "the app was not even asked"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_web_apps_own_requests_work_also_when_the_app_is_strict() {
    let strict = Options {
        strict_csrf: true,
        ..Options::default()
    };
    let world = World::with(Settings::default(), strict).await;
    let mut visitor = world.signed_in(alice()).await;
    let answer = visitor
        .send(post(&visitor, &message(&world, "with value")))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    // Before it has read the cookie, the web app has only this header.
    let early = post(&visitor, &message(&world, "without")).without("X-CSRF-Token");
    assert_eq!(visitor.send(early).await.status, 201);
    // sendBeacon can set no header at all; the browser names the origin.
    let beacon = Request::new("POST", "/api/v4/client_perf")
        .header("Content-Type", "text/plain;charset=UTF-8")
        .header("Origin", &visitor.origin)
        .header("Sec-Fetch-Site", "same-origin")
        .body("{}");
    let answer = visitor.send(beacon.clone()).await;
    assert_ne!(answer.status, 403, "{}", answer.text());
    let foreign = beacon
        .without("Origin")
        .header("Origin", "https://evil.test");
    assert_eq!(visitor.send(foreign).await.status, 403);

    // What went up is the app's own value, never the page's.
    let csrf = visitor.cookies["MMCSRF"].clone();
    let real = world.mattermost.sessions_of("alice")[0].csrf.clone();
    assert_ne!(csrf, real);
    for seen in world.arrived("/api/v4/posts") {
        assert_eq!(seen.header("x-csrf-token"), Some(real.as_str()));
        assert!(!seen.contains(&csrf));
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_in_a_mail_opens_the_app() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let link = visitor
        .page("/demo/channels/off-topic")
        .without("Sec-Fetch-Site")
        .header("Sec-Fetch-Site", "cross-site");
    assert_eq!(visitor.send(link).await.status, 200);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_page_keeps_its_value_when_the_app_session_is_renewed() {
    let strict = Options {
        strict_csrf: true,
        ..Options::default()
    };
    let world = World::with(Settings::default(), strict).await;
    let mut visitor = world.signed_in(alice()).await;
    let token = world.mattermost.sessions_of("alice")[0].token.clone();
    world.mattermost.expire_session(&token);
    let answer = visitor
        .send(post(&visitor, &message(&world, "renewed")))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    world.finish().await;
}

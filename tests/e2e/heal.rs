//! The app's session ends under ours: what could be foreseen is renewed unnoticed, what somebody
//! ended stays ended (T26).

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::socket::End;
use crate::support::world::World;
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, Person, alice, bob};
use auth_manager::demo::mattermost::{Fault, Options};
use futures_util::future::join_all;
use serde_json::json;

/// The app's session of `user` is over, as its time was.
fn expire(world: &World, user: &str) {
    for session in world.mattermost.sessions_of(user) {
        assert!(world.mattermost.expire_session(&session.token));
    }
}

fn count(world: &World, text: &str) -> usize {
    let messages = world.mattermost.messages(&world.town_square());
    messages.iter().filter(|have| *have == text).count()
}

fn heals() -> Settings {
    Settings {
        session: "external_revoke = \"heal\"".into(),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_calls_at_once_make_one_login_and_all_succeed() {
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    expire(&world, "alice");
    let answers = join_all((0..30).map(|_| {
        let mut tab = visitor.clone();
        async move { tab.get("/api/v4/users/me").await.status }
    }))
    .await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_posts_at_once_are_each_there_once() {
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    expire(&world, "alice");
    let channel = world.town_square();
    let answers = join_all((0..30).map(|n| {
        let mut tab = visitor.clone();
        let body = json!({ "channel_id": channel, "message": format!("number {n}") });
        async move { tab.post("/api/v4/posts", &body).await.status }
    }))
    .await;
    assert!(answers.iter().all(|status| *status == 201), "{answers:?}");
    assert!((0..30).all(|n| count(&world, &format!("number {n}")) == 1));
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_too_large_to_keep_is_asked_for_again_and_never_signs_the_page_out() {
    let settings = Settings {
        session: "replay_body = 1000".into(),
        ..Settings::default()
    };
    let world = World::with(settings, Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    expire(&world, "alice");
    let long = "x".repeat(2000);
    let body = json!({ "channel_id": world.town_square(), "message": long });
    let answer = visitor.post("/api/v4/posts", &body).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = answer.json();
    assert_eq!(error["status_code"], 503);
    assert!(error["id"].is_string() && error["message"].is_string());
    assert_eq!(count(&world, &long), 0);

    assert_eq!(visitor.post("/api/v4/posts", &body).await.status, 201);
    assert_eq!(count(&world, &long), 1);
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_cuts_the_mute_socket_and_the_page_resumes_with_its_old_csrf_value() {
    let strict = Options {
        strict_csrf: true,
        ..Options::default()
    };
    let world = World::with(Settings::default(), strict).await;
    let mut visitor = world.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    let cookies = visitor.cookies.clone();
    expire(&world, "alice");

    visitor.me().await;
    assert_eq!(socket.ended().await, End::Closed(Some(1012)));
    let mut socket = visitor.socket().await.expect("the page resumes");
    socket.event("hello").await;
    let body = json!({ "channel_id": world.town_square(), "message": "with the old value" });
    let posted = visitor.post("/api/v4/posts", &body).await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    socket.event("posted").await;
    assert_eq!(visitor.cookies, cookies, "nothing changed for the browser");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_what_somebody_ended_in_the_app_is_over_for_good() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    let token = world.mattermost.sessions_of("alice")[0].token.clone();
    assert!(world.mattermost.revoke_token(&token));

    let call = visitor.get("/api/v4/users/me").await;
    assert_eq!(call.status, 401, "{}", call.text());
    assert_eq!(call.json()["id"], "api.context.session_expired.app_error");
    assert_eq!(socket.ended().await, End::Closed(Some(1008)));
    // The sign-in is used up, also for a browser without cookies.
    let page = visitor.open("/").await;
    assert!(page.text().contains("signed out"), "{}", page.text());
    visitor.cookies.clear();
    assert!(visitor.open("/").await.text().contains("signed out"));
    assert!(visitor.socket().await.is_err());
    assert_eq!(world.mattermost.logins_performed(), 1);

    visitor.signs_in_as(alice());
    assert_eq!(visitor.open("/").await.status, 200);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_may_have_early_deaths_healed() {
    let world = World::with(heals(), Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    world.mattermost.revoke_sessions("alice");
    visitor.me().await;
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_signs_not_everyone_out() {
    let world = World::start().await;
    let visitors = join_all((0..25).map(|number| {
        let groups = [GROUP_VALIDATED, GROUP_MEMBERS];
        let person = Person::new(100 + number, &format!("person{number}"), "P", &groups, "");
        let visitor = world.client(person);
        async move {
            // A page that must wait reloads by itself.
            eventually("the app", || {
                let mut tab = visitor.clone();
                async move { (tab.open("/").await.status == 200).then_some(tab) }
            })
            .await
        }
    }))
    .await;
    world.mattermost.revoke_everything();
    let mut statuses = Vec::new();
    for mut visitor in visitors {
        statuses.push(visitor.get("/api/v4/users/me").await.status);
    }
    let healed = statuses.iter().filter(|status| **status == 200).count();
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 401)) && healed >= 5,
        "{statuses:?}"
    );
    assert_eq!(world.mattermost.logins_performed(), 25 + healed as u64);
    assert!(world.bridge.output().contains("died before their time"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deactivated_in_the_app_means_out_and_is_never_undone() {
    for settings in [Settings::default(), heals()] {
        let world = World::with(settings, Options::default()).await;
        let mut visitor = world.signed_in(alice()).await;
        let mut socket = visitor.socket().await.expect("a socket");
        socket.event("hello").await;
        assert!(world.mattermost.deactivate("alice"));

        let call = visitor.get("/api/v4/users/me").await;
        assert_eq!(call.status, 403, "{}", call.text());
        assert_eq!(call.json()["status_code"], 403);
        socket.ended().await;
        for _ in 0..2 {
            let page = visitor.open("/").await;
            assert_eq!(page.status, 403, "{}", page.text());
            assert!(page.text().contains("disabled"), "{}", page.text());
            visitor.signs_in_as(alice());
        }
        assert!(!world.mattermost.user("alice").expect("kept").is_active());
        assert_eq!(world.mattermost.logins_performed(), 1);
        world.finish().await;
    }
}

/// Two browsers of one person; the app's session ids of both.
async fn two_browsers(world: &World) -> (Client, Client, String, String) {
    let first = world.signed_in(alice()).await;
    let known = world.mattermost.sessions_of("alice")[0].id.clone();
    let second = world.signed_in(alice()).await;
    let sessions = world.mattermost.sessions_of("alice");
    let other = sessions
        .into_iter()
        .map(|session| session.id)
        .find(|id| *id != known);
    (first, second, known, other.expect("one each"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_person_ends_another_session_of_theirs_in_the_app() {
    for settings in [Settings::default(), heals()] {
        let world = World::with(settings, Options::default()).await;
        let (mut here, mut lost, _, theirs) = two_browsers(&world).await;
        let mut socket = lost.socket().await.expect("a socket");
        socket.event("hello").await;
        let mut stranger = world.signed_in(bob()).await;

        let id = here.cookies["MMUSERID"].clone();
        let path = format!("/api/v4/users/{id}/sessions/revoke");
        let answer = here.post(&path, &json!({ "session_id": theirs })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());

        // Before that browser asks for anything.
        assert_eq!(socket.ended().await, End::Closed(Some(1008)));
        assert_eq!(lost.get("/api/v4/users/me").await.status, 401);
        assert!(lost.open("/").await.text().contains("signed out"));
        here.me().await;
        stranger.me().await;
        assert_eq!(world.mattermost.logins_performed(), 3);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_person_ends_all_their_sessions_in_the_app() {
    let world = World::start().await;
    let (mut here, mut lost, ..) = two_browsers(&world).await;
    let id = here.cookies["MMUSERID"].clone();
    let path = format!("/api/v4/users/{id}/sessions/revoke/all");
    assert_eq!(here.post(&path, &json!({})).await.status, 200);
    for browser in [&mut here, &mut lost] {
        assert_eq!(browser.get("/api/v4/users/me").await.status, 401);
        assert!(browser.open("/").await.text().contains("signed out"));
    }
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_401_about_something_else_passes_as_it_is() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let other = r#"{"id":"api.user.check_user_mfa.bad_code.app_error","message":"Invalid MFA token.","status_code":401}"#;
    for body in [other, "not even JSON"] {
        let fault = Fault::Status(401, body.into());
        world.mattermost.set_fault(fault, "/api/v4/users/me/teams");
        let answer = visitor.get("/api/v4/users/me/teams").await;
        assert_eq!((answer.status, answer.text().as_str()), (401, body));
    }
    visitor.me().await;
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

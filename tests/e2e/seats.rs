//! First sign-ins that the app has no room for, or takes its time with.

use crate::support::bridge::Settings;
use crate::support::eventually;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::{Fault, NewUser, Options};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_team_is_said_and_joined_once_there_is_room() {
    let options = Options {
        max_users_per_team: 2,
        ..Options::default()
    };
    let world = World::with(Settings::default(), options).await;
    // `admin` is in it already.
    world.signed_in(bob()).await;
    let mut visitor = world.client(alice());
    let page = visitor.open("/").await;
    assert_eq!(page.status, 403, "{}", page.text());
    assert!(page.text().contains("help@example.test"), "{}", page.text());
    assert!(visitor.cookies.is_empty(), "no session without a team");
    assert_eq!(world.mattermost.sessions_of("alice").len(), 0);
    assert!(visitor.get("/api/v4/users/me").await.status >= 400);

    let room = serde_json::json!({ "TeamSettings": { "MaxUsersPerTeam": 10 } });
    world.mattermost.patch_config(&room);
    eventually("the way in", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 200).then_some(()) }
    })
    .await;
    let teams = world.mattermost.user("alice").expect("an account").teams;
    assert_eq!(teams, ["demo"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_apps_user_limit_is_said_and_locks_nobody_out_who_is_in() {
    let options = Options {
        user_hard_limit: 3,
        ..Options::default()
    };
    let world = World::with(Settings::default(), options).await;
    let mut inside = world.signed_in(bob()).await;
    while world
        .mattermost
        .users()
        .iter()
        .filter(|user| !user.is_bot && user.is_active())
        .count()
        < 3
    {
        world.mattermost.create_user(NewUser {
            username: "another".into(),
            ..NewUser::default()
        });
    }
    let mut visitor = world.client(alice());
    for (language, text) in [("en", "no seat"), ("fr", "place")] {
        visitor.language = language.into();
        let page = visitor.open("/").await;
        assert_eq!(page.status, 403, "{}", page.text());
        let shown = page.text();
        assert!(shown.to_lowercase().contains(text), "{shown}");
        assert!(shown.contains("help@example.test"), "{shown}");
    }
    assert!(world.mattermost.user("alice").is_none());
    inside.me().await;
    inside.signs_in_as(bob());
    inside.cookies.clear();
    assert_eq!(inside.open("/").await.status, 200);

    // Somebody leaves.
    assert!(world.mattermost.deactivate("another"));
    eventually("the way in", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 200).then_some(()) }
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_calls_meanwhile_waits_a_bounded_time_and_is_never_signed_out() {
    let settings = Settings {
        session: "page_wait = \"1s\"\nother_wait = \"1s\"".into(),
        ..Settings::default()
    };
    let world = World::with(settings, Options::default()).await;
    // An open page calls while another tab signs in anew, and the app takes its time.
    let mut tab = world.signed_in(alice()).await;
    let body = serde_json::json!({});
    let cookies = tab.cookies.clone();
    tab.post("/api/v4/users/logout", &body).await;
    tab.cookies = cookies;
    tab.signs_in_as(alice());
    let slow = Fault::SlowLogin(Duration::from_secs(4));
    world
        .mattermost
        .set_fault_times(slow, "/api/v4/users/login", 1);
    let started = Instant::now();
    let page = tab.open("/").await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(page.text().contains("http-equiv=\"refresh\""));
    let call = tab.get("/api/v4/users/me").await;
    assert!(started.elapsed() < Duration::from_secs(4), "bounded");
    assert!(matches!(call.status, 401 | 503), "{}", call.text());
    eventually("the app", || {
        let mut tab = tab.clone();
        async move { (tab.open("/").await.status == 200).then_some(()) }
    })
    .await;
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

//! The Monday morning: many first requests at once (T32).

use crate::support::eventually;
use crate::support::world::World;
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, Person, alice};
use auth_manager::demo::mattermost::Fault;
use futures_util::future::join_all;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_first_requests_of_one_person_make_one_account_and_one_login() {
    let world = World::start().await;
    let visitor = world.client(alice());
    let answers = join_all((0..200).map(|n| {
        let mut tab = visitor.clone();
        async move {
            let request = match n % 2 {
                // Restored tabs: each its own place, none with a cookie yet.
                0 => tab.page(&format!("/demo/channels/number-{n}")),
                _ => tab.api("GET", "/api/v4/users/me"),
            };
            tab.send(request).await.status
        }
    }))
    .await;
    // A page is sent on with cookies, or told to wait; a call without a cookie learns nothing.
    assert!(
        answers
            .iter()
            .all(|status| matches!(status, 302 | 401 | 503)),
        "{answers:?}"
    );
    assert_eq!(world.mattermost.users_created(), 1);
    assert_eq!(world.mattermost.logins_performed(), 1);
    let mut tab = visitor.clone();
    assert_eq!(tab.open("/").await.status, 200);
    assert_eq!(tab.me().await["username"], "alice");
    assert_eq!(world.mattermost.sessions_of("alice").len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_people_get_in_at_once_each_into_their_own_account() {
    // Every one of them joins the team, whose limit is 50 unless somebody raised it.
    let options = auth_manager::demo::mattermost::Options {
        max_users_per_team: 1000,
        ..Default::default()
    };
    let world = World::with(Default::default(), options).await;
    let visitors = join_all((0..100).map(|number| {
        let groups = [GROUP_VALIDATED, GROUP_MEMBERS];
        let name = format!("person{number}");
        let person = Person::new(1000 + number, &name, "Some Person", &groups, "");
        let visitor = world.client(person);
        async move {
            // A page that must wait reloads by itself.
            let inside = eventually("the app", || {
                let mut tab = visitor.clone();
                async move { (tab.open("/").await.status == 200).then_some(tab) }
            });
            inside.await
        }
    }))
    .await;
    for mut visitor in visitors {
        let me = visitor.me().await;
        assert_eq!(me["email"], visitor.person.email.as_str());
    }
    assert_eq!(world.mattermost.users_created(), 100);
    assert_eq!(world.mattermost.logins_performed(), 100);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_first_account_is_said_to_be_in_preparation_and_never_the_apps_login_page() {
    let world = World::start().await;
    let slow = Fault::SlowCreate(Duration::from_secs(5));
    world.mattermost.set_fault_times(slow, "/api/v4/users", 1);
    let mut visitor = world.client(alice());
    let page = visitor.open("/").await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(
        page.text().contains("Preparing your account"),
        "{}",
        page.text()
    );
    assert!(
        page.text().contains("http-equiv=\"refresh\""),
        "{}",
        page.text()
    );
    assert!(page.header("retry-after").is_some());
    eventually("the account", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 200).then_some(()) }
    })
    .await;
    assert_eq!(world.mattermost.users_created(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_whose_answer_was_lost_is_found_again_and_not_repeated() {
    let world = World::start().await;
    world
        .mattermost
        .set_fault_times(Fault::DropAfterCreate, "/api/v4/users", 1);
    let visitor = world.client(alice());
    eventually("the way in", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 200).then_some(()) }
    })
    .await;
    assert_eq!(world.mattermost.users_created(), 1);
    let alices = world
        .mattermost
        .users()
        .into_iter()
        .filter(|user| user.email == "alice@example.test");
    assert_eq!(alices.count(), 1);
    world.finish().await;
}

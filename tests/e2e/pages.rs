//! Who may not come in is told why, in their language; programs are told in theirs.

use crate::support::client::Client;
use crate::support::wire::Response;
use crate::support::world::World;
use auth_manager::demo::door::{Person, alice, denis, nora, paul};

fn is_a_page(page: &Response, status: u16, texts: &[&str]) {
    let text = page.text();
    assert_eq!(page.status, status, "{text}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert_eq!(page.all("set-cookie").count(), 0);
    assert!(!text.contains("<script"), "no script is needed");
    for wanted in texts {
        assert!(text.contains(wanted), "{wanted:?} is missing:\n{text}");
    }
}

async fn in_both_languages(world: &World, person: Person, english: &[&str], french: &[&str]) {
    for (language, texts) in [
        ("en-GB,en;q=0.9", english),
        ("fr-FR,fr;q=0.9,en;q=0.5", french),
    ] {
        let mut visitor: Client = world.client(person.clone());
        visitor.language = language.into();
        is_a_page(&visitor.open("/").await, 403, texts);
        let call = visitor.get("/api/v4/users/me").await;
        assert_eq!(
            call.status, 403,
            "never 401, which would make the page reload"
        );
        assert_eq!(call.header("content-type"), Some("application/json"));
        assert_eq!(call.json()["status_code"], 403);
        assert!(
            call.json()["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        assert!(visitor.socket().await.is_err());
        assert!(visitor.cookies.is_empty());
    }
    assert!(
        world.mattermost.user(&person.email).is_none(),
        "no account for who may not come in"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_may_not_come_in_are_told_why() {
    let world = World::start().await;
    let contact = "help@example.test";
    in_both_languages(
        &world,
        paul(),
        &["awaits validation", "Paul Pending", contact, "lang=\"en\""],
        &[
            "en attente de validation",
            "Paul Pending",
            contact,
            "lang=\"fr\"",
        ],
    )
    .await;
    in_both_languages(
        &world,
        nora(),
        &["have access to", "Nora Nogroup", contact],
        &["pas accès", "Nora Nogroup", contact],
    )
    .await;
    // Known from a visit, then disabled by the operator.
    world.signed_in(alice()).await;
    world.disable(&alice()).await;
    for (language, text) in [("en", "disabled"), ("fr", "désactivé")] {
        let mut visitor = world.client(alice());
        visitor.language = language.into();
        is_a_page(&visitor.open("/").await, 403, &[text, "Alice Martin"]);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn someone_validated_meanwhile_gets_in_by_checking_again() {
    let world = World::start().await;
    let mut visitor = world.client(paul());
    assert_eq!(visitor.open("/").await.status, 403);
    // The directory adds the group; Pomerium's session and its sid stay the same.
    visitor.person.groups.push("validated".into());
    assert_eq!(visitor.open("/").await.status, 200);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn someone_who_loses_the_group_is_out_at_the_next_request_and_keeps_the_account() {
    let world = World::start().await;
    let mut visitor = world.signed_in(denis()).await;
    let socket = visitor.socket().await.expect("a socket");
    let before = world.mattermost.user("denis").expect("an account");
    visitor.person.groups.clear();
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 403);
    assert!(visitor.socket().await.is_err());
    drop(socket);
    let after = world.mattermost.user("denis").expect("still an account");
    assert_eq!(
        (after.delete_at, after.teams),
        (before.delete_at, before.teams)
    );
    world.finish().await;
}

/// recordings/pomerium, difference 30: a service account can bear a person's id, without groups.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_with_a_persons_id_takes_nothing_from_them() {
    let world = World::start().await;
    let mut person = world.signed_in(alice()).await;
    let mut socket = person.socket().await.expect("a socket");
    socket.event("hello").await;
    let before = world.mattermost.user("alice").expect("an account");
    let mut machine = world.client(Person {
        groups: Vec::new(),
        ..alice()
    });
    assert_eq!(machine.get("/api/v4/users/me").await.status, 403);
    assert_eq!(machine.open("/").await.status, 403);
    assert!(machine.cookies.is_empty());

    assert_eq!(person.me().await["username"], "alice");
    let body = serde_json::json!({ "channel_id": world.town_square(), "message": "still here" });
    assert_eq!(person.post("/api/v4/posts", &body).await.status, 201);
    socket.event("posted").await;
    let after = world.mattermost.user("alice").expect("still an account");
    assert_eq!(
        (after.delete_at, after.teams),
        (before.delete_at, before.teams)
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_keeps_no_cookies_is_told_so_instead_of_being_sent_round() {
    let world = World::start().await;
    let mut visitor = world.client(alice());
    let mut target = "/".to_owned();
    for _ in 0..3 {
        let page = visitor.send(visitor.page(&target)).await;
        visitor.cookies.clear();
        if page.status != 302 {
            is_a_page(&page, 400, &["cookies"]);
            return world.finish().await;
        }
        target = page.header("location").expect("a target").to_owned();
    }
    panic!("sent round for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_shown_as_text() {
    // T39, and plain script injection.
    let world = World::start().await;
    let mut person = paul();
    person.name = "<script>alert(1)</script>\" onload=x".into();
    let page = world.client(person).open("/").await;
    assert_eq!(page.status, 403);
    assert!(!page.text().contains("<script>alert"), "{}", page.text());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_does_not_answer_is_said_to_be_unavailable() {
    use auth_manager::demo::mattermost::Fault;
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    world.mattermost.set_fault(Fault::CloseBefore, "/");
    is_a_page(&visitor.send(visitor.page("/demo")).await, 502, &["Chat"]);
    let call = visitor.get("/api/v4/users/me").await;
    assert_eq!(
        (call.status, call.json()["status_code"].as_u64()),
        (502, Some(502))
    );
    world.mattermost.clear_faults();
    assert_eq!(
        visitor.me().await["username"],
        "alice",
        "and nobody was signed out by it"
    );
    world.finish().await;
}

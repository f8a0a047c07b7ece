//! A derived password that the app does not accept (T32): set once, tried once more, then left
//! alone, since ten failures lock an account.

use crate::support::world::World;
use auth_manager::demo::door::alice;
use auth_manager::demo::mattermost::Fault;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t32_a_changed_password_is_set_once_and_tried_once_more() {
    let world = World::start().await;
    world.signed_in(alice()).await;
    world
        .mattermost
        .set_password("alice", "somebody-elses-idea-1");
    world.mattermost.clear_journal();
    world.signed_in(alice()).await;
    let resets = world.mattermost.journal();
    let resets = resets.iter().filter(|s| s.path.ends_with("/password"));
    assert_eq!(resets.count(), 1);
    assert_eq!(world.mattermost.failed_logins("alice"), 1);
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t32_page_after_page_never_locks_the_account() {
    let world = World::start().await;
    world.signed_in(alice()).await;
    let id = world.mattermost.user("alice").expect("the account").id;
    world
        .mattermost
        .set_password("alice", "somebody-elses-idea-1");
    // The app says that it set the password, and did not.
    let lie = Fault::Status(200, r#"{"status":"OK"}"#.into());
    let path = format!("/api/v4/users/{id}/password");
    world.mattermost.set_fault(lie, &path);
    world.mattermost.clear_journal();
    let mut visitor = world.client(alice());
    for n in 0..10 {
        let page = visitor.open("/").await;
        assert_eq!(page.status, 502, "page {n}: {}", page.text());
        // And a new sign-in at Pomerium is no new licence to try.
        if n == 5 {
            visitor.signs_in_as(alice());
        }
    }
    let resets = world.mattermost.journal();
    let resets = resets.iter().filter(|s| s.path.ends_with("/password"));
    assert_eq!(resets.count(), 1, "set once");
    assert_eq!(
        world.mattermost.failed_logins("alice"),
        2,
        "tried once more"
    );
    let account = world.mattermost.user("alice").expect("the account");
    assert!(account.failed_attempts < 10);
    world.finish().await;
}

//! By SCIM, as Authentik's own client speaks it.

use super::{in_sales, is_gone};
use crate::support::company::{Company, GROUPS, MEMBER, Terms};
use crate::support::socket::End;
use auth_manager::demo::mattermost::UserSnapshot;
use auth_manager::store::{StateBy, UserState};

async fn company() -> Company {
    Company::start(Terms {
        hooks: None,
        scim: true,
        ..Terms::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scim_alone_does_the_same() {
    let company = company().await;
    let alice = company.hire("alice", &GROUPS[..3]);
    let before = company.account(&alice, "the account", in_sales).await;
    assert_eq!(company.world.mattermost.logins_performed(), 0);
    let mut visitor = company.comes_in(&alice).await;
    let socket = visitor.socket().await.expect("a socket");
    company.world.mattermost.issue_access_token("alice");

    // `active: false` in a PUT, as recorded (10).
    company.authentik.set_active(alice.pk, false);
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    company.is_refused(&mut visitor, "access.disabled").await;
    company.account(&alice, "the deactivation", is_gone).await;
    assert!(company.world.mattermost.sessions_of("alice").is_empty());
    assert!(
        company
            .world
            .mattermost
            .access_tokens_of("alice")
            .is_empty()
    );
    let user = company.record(&alice).await;
    assert_eq!(user.state, UserState::Disabled);
    assert!(matches!(user.state_by, StateBy::Directory(_)), "{user:?}");

    company.authentik.set_active(alice.pk, true);
    let back = company
        .account(&alice, "the reactivation", UserSnapshot::is_active)
        .await;
    assert_eq!((&back.id, &back.teams), (&before.id, &before.teams));
    company.comes_in(&alice).await;

    // A `DELETE` is an end, too.
    company.authentik.delete(alice.pk);
    company.is_refused(&mut visitor, "access.disabled").await;
    company.account(&alice, "the deactivation", is_gone).await;
    company.finish().await;
}

/// What SCIM never says (recordings/authentik, differences 4, 20 to 24): each change has the directory
/// asked about the same thing, and whoever that concerns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_scim_does_not_say_is_heard_by_asking_the_directory() {
    let company = company().await;
    let alice = company.hire("alice", &GROUPS[..3]);
    let bob = company.hire("bob", MEMBER);
    company.account(&alice, "the account", in_sales).await;
    company.account(&bob, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    assert_eq!(company.settled().await, "");
    // A bulk update: nothing is pushed, no event is written (57).
    company.authentik.disable_silently(alice.pk);
    // And then somebody else's membership in a group that she is in.
    company.authentik.join(bob.pk, "sales");
    company.account(&bob, "the team", in_sales).await;
    company.is_refused(&mut visitor, "access.disabled").await;
    company.account(&alice, "the deactivation", is_gone).await;
    company.comes_in(&bob).await;
    company.finish().await;
}

/// Authentik's SCIM client names direct members alone, makes groups before it says who is in them, and
/// loses memberships of people who are new (recordings/authentik, difference 24; seen again in a run of
/// the whole): its silence takes nothing from whom the directory itself lets in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_scim_does_not_name_in_a_group_the_directory_does() {
    let company = company().await;
    company.authentik.create_group("department");
    company.authentik.set_parents("department", &["validated"]);
    let erin = company.hire("erin", &["department", "mattermost-users"]);
    company.account(&erin, "the account", |_| true).await;
    let mut visitor = company.comes_in(&erin).await;
    let socket = visitor.socket().await.expect("a socket");
    // Every word of SCIM about her and her groups, once more and in whatever order.
    company.authentik.scim_sync().await;
    company.quiet().await;
    assert!(company.snapshot(&erin).expect("her account").is_active());
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 200);
    // Out of the department, she is out, though SCIM never said that she was in the group above.
    company.authentik.leave(erin.pk, "department");
    company.is_refused(&mut visitor, "access.pending").await;
    company.account(&erin, "the deactivation", is_gone).await;
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    company.finish().await;
}

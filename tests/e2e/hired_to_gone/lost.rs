//! With every notification lost: the sweep alone does the same, within its interval.

use super::{in_sales, is_gone};
use crate::support::company::{Company, GROUPS, MEMBER, Terms};
use crate::support::socket::End;
use auth_manager::demo::mattermost::UserSnapshot;
use auth_manager::store::UserState;
use std::time::{Duration, Instant};

/// How often everything is read.
const EVERY: &str = "10s";
/// That, how often it is looked whether it is time, and the work of a busy machine.
const WITHIN: Duration = Duration::from_secs(10 + 5 + 10);

async fn within<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let happened = happens.await;
    assert!(began.elapsed() < WITHIN, "{what}: {:?}", began.elapsed());
    happened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_with_every_webhook_lost_the_sweep_does_the_same() {
    let company = Company::start(Terms {
        every: EVERY,
        ..Terms::default()
    })
    .await;
    company.authentik.lose_hooks(true);
    let alice = company.hire("alice", &GROUPS[..3]);
    let bob = company.hire("bob", MEMBER);
    let carol = company.hire("carol", MEMBER);
    let hired = company.account(&alice, "the account", in_sales);
    let before = within("hired", hired).await;
    let mut visitor = company.comes_in(&alice).await;
    let mut removed = company.comes_in(&bob).await;
    let mut deleted = company.comes_in(&carol).await;
    let sockets = [
        visitor.socket().await.expect("a socket"),
        removed.socket().await.expect("a socket"),
        deleted.socket().await.expect("a socket"),
    ];
    company.world.mattermost.issue_access_token("alice");

    company.authentik.set_active(alice.pk, false);
    company.authentik.leave(bob.pk, "mattermost-users");
    // Whoever deletes themselves is gone without any event (recordings/authentik, difference 15).
    company.authentik.delete_silently(carol.pk);
    within("the sockets", async {
        for socket in sockets {
            assert!(matches!(socket.ended().await, End::Closed(Some(_))));
        }
    })
    .await;
    company.is_refused(&mut visitor, "access.disabled").await;
    company.is_refused(&mut removed, "access.not_granted").await;
    company.is_refused(&mut deleted, "access.disabled").await;
    for one in [&alice, &bob, &carol] {
        company.account(one, "the deactivation", is_gone).await;
    }
    assert!(
        company
            .world
            .mattermost
            .access_tokens_of("alice")
            .is_empty()
    );
    assert_eq!(company.record(&carol).await.state, UserState::Tombstoned);

    company.authentik.set_active(alice.pk, true);
    let back = company.account(&alice, "the reactivation", UserSnapshot::is_active);
    let back = within("back", back).await;
    assert_eq!(company.settled().await, "");
    assert_eq!((back.id, back.teams), (before.id, before.teams));
    company.comes_in(&alice).await;
    assert_eq!(company.bodies(), [""; 0], "nothing was told");
    company.finish().await;
}

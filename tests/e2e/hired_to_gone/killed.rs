//! `kill -9` in the middle of each step (T36), by webhook: after its 202, while the directory is asked,
//! while the app is told. A new process finds what is left and ends it, long before any lease is over,
//! and nothing is done twice.

use super::{in_sales, is_gone};
use crate::support::company::{Company, GROUPS, Hired, MEMBER, SOON, Terms};
use crate::support::eventually;
use crate::support::pg::Cluster;
use crate::support::relay::Relay;
use auth_manager::demo::authentik::Fault as DirectoryFault;
use auth_manager::demo::mattermost::{Fault, UserSnapshot};
use std::time::{Duration, Instant};

/// Longer than any test waits.
const LEASE: &str = "[jobs]\nlease = \"10m\"\n";

async fn company() -> Company {
    Company::start(Terms {
        more: LEASE.into(),
        ..Terms::default()
    })
    .await
}

/// Kills the bridge, undoes what was in its way, and starts it again; nobody tells it anything then.
async fn killed(company: &mut Company) -> Instant {
    company.world.bridge.kill().await;
    company.world.mattermost.clear_faults();
    company.authentik.clear_faults();
    company.authentik.lose_hooks(true);
    company.restart().await;
    Instant::now()
}

async fn soon(company: &Company, whose: &Hired, since: Instant, is: fn(&UserSnapshot) -> bool) {
    company.account(whose, "what was begun is ended", is).await;
    assert_eq!(company.settled().await, "");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    let all = company.world.mattermost.users();
    let same = |user: &&UserSnapshot| Some(&user.username) == whose.person.username.as_ref();
    assert_eq!(all.iter().filter(same).count(), 1, "{all:?}");
}

async fn reached(company: &Company, method: &str, path: &str) {
    eventually(path, || async {
        let journal = company.world.mattermost.journal();
        let there = |seen: &auth_manager::demo::mattermost::Seen| {
            seen.method == method && seen.path.starts_with(path)
        };
        journal.iter().any(there).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_after_the_webhooks_202() {
    let mut company = company().await;
    let alice = company.hire("alice", MEMBER);
    company.account(&alice, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    company.quiet().await;
    company.authentik.forget();
    // Nothing more than the 202 can come to pass.
    company
        .authentik
        .set_fault(DirectoryFault::Hang, "/api/v3/core/", None);
    company.authentik.set_active(alice.pk, false);
    company.told().await;
    let since = killed(&mut company).await;
    soon(&company, &alice, since, is_gone).await;
    visitor.address = company.world.bridge.proxy;
    company.is_refused(&mut visitor, "access.disabled").await;
    company.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_the_directory_is_asked() {
    asked(company().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_the_directory_is_asked_on_postgres() {
    let cluster = tokio::task::spawn_blocking(Cluster::shared).await;
    let cluster = cluster.expect("a cluster");
    let database = cluster.database().await;
    let way = Relay::start(cluster.folder().to_owned(), true).await;
    let company = Company::start(Terms {
        more: LEASE.into(),
        postgres: way.url(&database),
        ..Terms::default()
    })
    .await;
    asked(company).await;
}

async fn asked(mut company: Company) {
    let alice = company.hire("alice", MEMBER);
    company.account(&alice, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    company.quiet().await;
    company.authentik.forget();
    let about_her = format!("/api/v3/core/users/{}/", alice.pk);
    company
        .authentik
        .set_fault(DirectoryFault::Hang, &about_her, None);
    company.authentik.set_active(alice.pk, false);
    eventually("the question", || async {
        let asked = company.authentik.requests();
        let there =
            |seen: &auth_manager::demo::authentik::Seen| seen.target.starts_with(&about_her);
        asked.iter().any(there).then_some(())
    })
    .await;
    let since = killed(&mut company).await;
    soon(&company, &alice, since, is_gone).await;
    visitor.address = company.world.bridge.proxy;
    company.is_refused(&mut visitor, "access.disabled").await;
    company.finish().await;
}

/// Somebody is hired, and the bridge killed while the app is slow at one step of it.
async fn hired(method: &str, path: &str) {
    let mut company = company().await;
    let slow = Fault::Slow(Duration::from_secs(3));
    company.world.mattermost.set_fault(slow, path);
    company.world.mattermost.clear_journal();
    let alice = company.hire("alice", &GROUPS[..3]);
    reached(&company, method, path).await;
    let since = killed(&mut company).await;
    let whole =
        |user: &UserSnapshot| in_sales(user) && user.channels.contains(&"sales/deals".into());
    soon(&company, &alice, since, whole).await;
    assert_eq!(company.world.mattermost.users_created(), 1);
    let mut visitor = company.comes_in(&alice).await;
    let account = company.snapshot(&alice).expect("an account");
    assert_eq!(visitor.me().await["id"], account.id.as_str());
    company.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_the_account_is_made() {
    hired("POST", "/api/v4/users").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_memberships_are_given() {
    hired("POST", "/api/v4/teams/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_a_channel_is_given() {
    hired("POST", "/api/v4/channels/").await;
}

/// Somebody is disabled, and the bridge killed while the app is slow at one step of that.
async fn dismissed(method: &str, path: &str) {
    let mut company = company().await;
    let alice = company.hire("alice", &GROUPS[..3]);
    let before = company.account(&alice, "the account", in_sales).await;
    let mut visitor = company.comes_in(&alice).await;
    company.quiet().await;
    company.world.mattermost.issue_access_token("alice");
    company.world.mattermost.clear_journal();
    let path = path.replace("{id}", &before.id);
    let slow = Fault::Slow(Duration::from_secs(3));
    company.world.mattermost.set_fault(slow, &path);
    company.authentik.set_active(alice.pk, false);
    reached(&company, method, &path).await;
    let since = killed(&mut company).await;
    // Whoever comes back sooner than the app is told is refused all the same.
    visitor.address = company.world.bridge.proxy;
    company.is_refused(&mut visitor, "access.disabled").await;
    soon(&company, &alice, since, is_gone).await;
    assert!(
        company
            .world
            .mattermost
            .access_tokens_of("alice")
            .is_empty()
    );
    assert!(company.world.mattermost.sessions_of("alice").is_empty());
    // And back, to the same account.
    company.authentik.lose_hooks(false);
    company.authentik.set_active(alice.pk, true);
    let back = company
        .account(&alice, "the reactivation", UserSnapshot::is_active)
        .await;
    assert_eq!((back.id, back.teams), (before.id, before.teams));
    company.comes_in(&alice).await;
    company.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_sessions_of_the_app_are_ended() {
    dismissed("POST", "/api/v4/users/{id}/sessions/revoke/all").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_personal_tokens_are_revoked() {
    dismissed("POST", "/api/v4/users/tokens/revoke").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_it_is_deactivated() {
    dismissed("PUT", "/api/v4/users/{id}/active").await;
}

//! By webhook.

use super::{administers, in_sales, is_gone};
use crate::support::company::{Company, MEMBER, Terms};
use crate::support::eventually;
use crate::support::socket::End;
use auth_manager::demo::authentik::BodyKind;
use auth_manager::demo::door::GROUP_VALIDATED;
use auth_manager::demo::mattermost::{Fault, NewUser, UserSnapshot};
use auth_manager::store::{StateBy, UserState};

async fn by(body: BodyKind) -> Company {
    Company::start(Terms {
        hooks: Some(body),
        ..Terms::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_hired_has_all_before_the_first_click() {
    hired(by(BodyKind::Mapped).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_hired_has_all_before_the_first_click_by_authentiks_own_body() {
    hired(by(BodyKind::Default).await).await;
}

async fn hired(company: Company) {
    let groups = [MEMBER, &["sales", "operators"]].concat();
    let alice = company.hire("alice", &groups);
    let ahead = company
        .account(&alice, "account, team, channel and role", |user| {
            in_sales(user) && administers(user) && user.channels.contains(&"sales/deals".into())
        })
        .await;
    assert!(ahead.teams.contains(&"demo".to_owned()), "{ahead:?}");
    assert_eq!(company.settled().await, "");
    assert_eq!(company.world.mattermost.users_created(), 1);
    assert_eq!(company.world.mattermost.logins_performed(), 0);

    let mut visitor = company.world.signed_in(alice.person.clone()).await;
    assert_eq!(visitor.me().await["id"], ahead.id.as_str());
    assert_eq!(company.world.mattermost.users_created(), 1);
    company.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_opens_the_app_and_gives_and_its_loss_takes_just_that() {
    groups(by(BodyKind::Mapped).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_opens_the_app_and_gives_and_its_loss_takes_just_that_by_authentiks_own_body() {
    groups(by(BodyKind::Default).await).await;
}

async fn groups(company: Company) {
    let alice = company.hire("alice", &[GROUP_VALIDATED]);
    let mut visitor = company.world.client(alice.person.clone());
    assert_eq!(visitor.open("/").await.status, 403, "no group of the app's");
    assert!(company.snapshot(&alice).is_none());

    // Nothing says who joined but the directory itself: the event names the group alone.
    company.authentik.join(alice.pk, "mattermost-users");
    company.account(&alice, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    company.authentik.join(alice.pk, "sales");
    company.account(&alice, "the team", in_sales).await;
    company.authentik.join(alice.pk, "operators");
    company.account(&alice, "the role", administers).await;
    company.authentik.leave(alice.pk, "operators");
    let left = |user: &UserSnapshot| !administers(user);
    company.account(&alice, "the role's end", left).await;
    company.authentik.leave(alice.pk, "sales");
    let left = |user: &UserSnapshot| !in_sales(user);
    let after = company.account(&alice, "the team's end", left).await;
    assert!(after.is_active() && after.teams.contains(&"demo".to_owned()));
    assert_eq!(visitor.me().await["id"], after.id.as_str());

    // The assertion may name what it wants: the directory's no is fresher (T10).
    let socket = visitor.socket().await.expect("a socket");
    visitor.person.groups = MEMBER.iter().map(|g| (*g).to_owned()).collect();
    company.authentik.leave(alice.pk, "mattermost-users");
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    company.is_refused(&mut visitor, "access.not_granted").await;
    company.account(&alice, "the deactivation", is_gone).await;
    assert_eq!(company.record(&alice).await.state, UserState::Active);
    company.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_t26_who_is_disabled_is_refused_first_and_then_gone_from_the_app() {
    disabled(by(BodyKind::Mapped).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_t26_who_is_disabled_is_refused_first_and_then_gone_by_authentiks_own_body() {
    disabled(by(BodyKind::Default).await).await;
}

async fn disabled(company: Company) {
    let alice = company.hire("alice", &[MEMBER, &["sales"]].concat());
    let bob = company.hire("bob", MEMBER);
    company.account(&alice, "the account", in_sales).await;
    company.quiet().await;
    let before = company.snapshot(&alice).expect("an account");
    let app = &company.world.mattermost;
    let mut visitor = company.comes_in(&alice).await;
    let mut bystander = company.comes_in(&bob).await;
    let socket = visitor.socket().await.expect("a socket");
    let kept = bystander.socket().await.expect("a socket");
    app.issue_access_token("alice").expect("a token");

    // The app does nothing it is told about her: what happens now waits for none of it.
    let about_her = format!("/api/v4/users/{}", before.id);
    let away = r#"{"id":"api.away","message":"away","status_code":503}"#;
    app.set_fault(Fault::Status(503, away.into()), &about_her);
    company.authentik.set_active(alice.pk, false);
    let end = socket.ended().await;
    assert!(
        matches!(end, End::Closed(Some(_))),
        "a close frame: {end:?}"
    );
    company.is_refused(&mut visitor, "access.disabled").await;
    // Whoever is refused is so before that is even on their record.
    eventually("their state", || async {
        let user = company.record(&alice).await;
        let by_directory = matches!(user.state_by, StateBy::Directory(_));
        (user.state == UserState::Disabled && by_directory).then_some(())
    })
    .await;
    let still = company.snapshot(&alice).expect("an account");
    assert!(still.is_active() && app.access_tokens_of("alice").len() == 1);

    // Then, in this order: sessions, personal tokens, the account.
    app.clear_journal();
    app.clear_faults();
    company.account(&alice, "the deactivation", is_gone).await;
    assert!(app.sessions_of("alice").is_empty());
    assert!(app.access_tokens_of("alice").is_empty());
    let journal = app.journal();
    let first = |path: &str| {
        let found = journal
            .iter()
            .position(|seen| seen.method != "GET" && seen.path.ends_with(path));
        found.unwrap_or_else(|| panic!("{path} was never asked for"))
    };
    let order = [
        first("/sessions/revoke/all"),
        first("/users/tokens/revoke"),
        first("/active"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(bystander.me().await["username"], "bob");
    drop(kept);

    // Back: the same account, in the same teams and channels.
    company.authentik.set_active(alice.pk, true);
    let is_back = UserSnapshot::is_active;
    let back = company.account(&alice, "the reactivation", is_back).await;
    assert_eq!(company.settled().await, "");
    assert_eq!(
        (&back.id, &back.teams, &back.channels),
        (&before.id, &before.teams, &before.channels)
    );
    let mut visitor = company.comes_in(&alice).await;
    assert_eq!(visitor.me().await["id"], before.id.as_str());
    assert_eq!(company.world.mattermost.users_created(), 2);
    company.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t33_who_is_deleted_is_out_and_nobody_after_them_gets_what_was_theirs() {
    let company = by(BodyKind::Mapped).await;
    let alice = company.hire("alice", MEMBER);
    let before = company.account(&alice, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    let socket = visitor.socket().await.expect("a socket");
    company.authentik.delete(alice.pk);
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    company.is_refused(&mut visitor, "access.disabled").await;
    company.account(&alice, "the deactivation", is_gone).await;
    assert_eq!(company.record(&alice).await.state, UserState::Tombstoned);

    // Her name and address are given to somebody else: another person (T33).
    let other = company.hire("alice", MEMBER);
    assert_ne!(other.person.sub, alice.person.sub);
    company.told().await;
    let mut newcomer = company.world.client(other.person.clone());
    let page = newcomer.open("/").await;
    assert!(page.text().contains("account.conflict"), "{}", page.text());
    let after = company.snapshot(&alice).expect("it is kept");
    assert!(after.id == before.id && !after.is_active());
    // What stands in the newcomer's way is an operator's to settle: that job is dead, and says so.
    let died = company.settled().await;
    assert!(died.is_empty() || died.contains("converge/chat/"), "{died}");
    company.world.finish().await;
}

/// An address is no proof: neither an ordinary account nor an administrator's is taken over by somebody
/// whom the directory names, ahead of their visit or at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t33_who_is_hired_gets_no_account_that_was_there_before_them() {
    let company = by(BodyKind::Mapped).await;
    let app = &company.world.mattermost;
    for (name, roles) in [
        ("alice", "system_user"),
        ("bob", "system_user system_admin"),
    ] {
        app.create_user(NewUser {
            username: name.into(),
            email: format!("{name}@example.test"),
            ..NewUser::default()
        });
        app.set_roles(name, roles);
    }
    let made = app.users_created();
    let before = app.users();
    let alice = company.hire("alice", MEMBER);
    let bob = company.hire("bob", MEMBER);
    eventually("both were asked about", || async {
        let asked = company.authentik.requests();
        let about = |pk: i64| {
            let path = format!("/core/users/{pk}/");
            asked.iter().any(|seen| seen.target.contains(&path))
        };
        (about(alice.pk) && about(bob.pk)).then_some(())
    })
    .await;
    let died = company.settled().await;
    for one in [&alice, &bob] {
        let mut visitor = company.world.client(one.person.clone());
        let page = visitor.open("/").await;
        assert!(
            page.text().contains("account.conflict"),
            "{died} {}",
            page.text()
        );
    }
    assert_eq!(app.users_created(), made);
    assert_eq!(app.users(), before, "nothing of theirs was touched");
    company.world.finish().await;
}

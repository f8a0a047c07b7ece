//! Shadow users.

use crate::bed::{Bed, T0, at, by, issuer, seen, subject};
use auth_manager::store::{
    EndReason, Revoked, SeenUser, Session, StoreError, User, UserFilter, UserState, Which,
};
use auth_manager::types::{GroupName, UserId};

pub(crate) async fn a_subject_is_one_user(bed: Bed) {
    let first = bed.person("alice").await;
    let again = bed.b.saw_user(&seen("alice", at(5))).await.unwrap();
    assert_eq!(first.id, again.id);
    assert_ne!(first.id, bed.person("bob").await.id);
    assert_eq!(first.state, UserState::Active);
    assert_eq!(first.created_at, T0);
    let by_subject = bed
        .b
        .user_by_subject(&issuer(), &subject("alice"))
        .await
        .unwrap();
    assert_eq!(by_subject.as_ref(), Some(&again));
    assert_eq!(bed.b.user(first.id).await.unwrap(), Some(again));
}

pub(crate) async fn attributes_follow_the_newest_assertion(bed: Bed) {
    let first = bed.person("alice").await;
    // Confirmed, unchanged, at 20.
    let same = bed.a.saw_user(&seen("alice", at(20))).await.unwrap();
    assert_eq!(same.updated_at, first.updated_at);
    // An older one that says something else arrives late.
    let mut old = seen("alice", at(10));
    old.email = "old@example.com".into();
    assert_eq!(
        bed.b.saw_user(&old).await.unwrap().email,
        "alice@example.com"
    );
    // A newer one counts.
    let mut new = seen("alice", at(30));
    new.email = "new@example.com".into();
    new.username = None;
    new.locale = Some("fr".into());
    new.groups = vec![GroupName::new("a \"quoted\" group").unwrap()];
    let user = bed.b.saw_user(&new).await.unwrap();
    assert_eq!(user.email, "new@example.com");
    assert_eq!(user.username, None);
    assert_eq!(user.locale.as_deref(), Some("fr"));
    assert_eq!(user.groups, new.groups);
    assert_eq!(user.updated_at, at(30));
    assert_eq!((user.created_at, user.epoch), (T0, first.epoch));
    assert_eq!(bed.a.user(user.id).await.unwrap(), Some(user));
}

pub(crate) async fn text_with_a_nul_is_kept_without_it(bed: Bed) {
    let mut odd = seen("alice", T0);
    odd.name = "A\0lice".into();
    let user = bed.a.saw_user(&odd).await.unwrap();
    assert_eq!(user.name, "A\u{fffd}lice");
    assert_eq!(bed.a.saw_user(&odd).await.unwrap(), user);
}

pub(crate) async fn users_are_found_by_state_and_search(bed: Bed) {
    let alice = bed.person("alice").await;
    let bob = bed.person("bob").await;
    bed.a
        .set_user_state(bob.id, UserState::Disabled, "left", T0, &by())
        .await
        .unwrap();
    let find = async |filter: UserFilter| -> Vec<UserId> {
        bed.a
            .users(&filter)
            .await
            .unwrap()
            .iter()
            .map(|u| u.id)
            .collect()
    };
    let search = |text: &str| UserFilter {
        search: Some(text.into()),
        ..UserFilter::default()
    };
    assert_eq!(find(UserFilter::default()).await, [alice.id, bob.id]);
    assert_eq!(find(search("ALICE@EX")).await, [alice.id]);
    assert_eq!(find(search("sub-bob")).await, [bob.id]);
    // No pattern: these are no wildcards.
    assert!(find(search("%")).await.is_empty());
    assert!(find(search("_")).await.is_empty());
    let disabled = UserFilter {
        state: Some(UserState::Disabled),
        search: Some("example.com".into()),
        ..UserFilter::default()
    };
    assert_eq!(find(disabled).await, [bob.id]);
}

pub(crate) async fn users_come_in_pages(bed: Bed) {
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(bed.person(&format!("p{n}")).await.id);
    }
    all.sort();
    let mut read: Vec<UserId> = Vec::new();
    loop {
        let filter = UserFilter {
            after: read.last().copied(),
            limit: 2,
            ..UserFilter::default()
        };
        let page = bed.b.users(&filter).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        read.extend(page.iter().map(|u| u.id));
    }
    assert_eq!(read, all);
}

pub(crate) async fn disabling_ends_sessions_and_raises_the_epoch(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let (_, others) = bed.visitor("bob", "s2").await;
    let before = bed.a.epoch(user.id).await.unwrap();
    let (disabled, ended) = set(&bed, user.id, UserState::Disabled, 9).await;
    assert_eq!(disabled.state, UserState::Disabled);
    assert_eq!(
        (disabled.state_reason.as_str(), disabled.state_since),
        ("why", at(9))
    );
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].id, session.id);
    assert_eq!(
        ended[0].sealed, session.sealed,
        "what is sealed is needed to revoke it"
    );
    let stored = bed.b.session(session.id).await.unwrap().unwrap();
    assert_eq!(stored.ended_at, Some(at(9)));
    assert_eq!(stored.end_reason, Some(EndReason::UserDisabled));
    assert_eq!(bed.b.epoch(user.id).await.unwrap().user, before.user + 1);
    let log = bed.b.revocations_after(0, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].what, Revoked::User(user.id));
    assert_eq!(log[0].reason, Some(EndReason::UserDisabled));
    // No tombstone: enabled again, they simply sign in.
    let s = &session;
    let tombstone = bed
        .a
        .tombstone(&s.app, &s.issuer, &s.subject, &s.sid, at(9))
        .await;
    assert_eq!(tombstone.unwrap(), None);
    assert!(
        bed.a
            .session(others.id)
            .await
            .unwrap()
            .unwrap()
            .ended_at
            .is_none()
    );
}

pub(crate) async fn an_unchanged_state_logs_nothing(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let (same, ended) = set(&bed, user.id, UserState::Active, 5).await;
    assert_eq!(same, user);
    assert!(ended.is_empty());
    assert_eq!(bed.a.newest_revocation().await.unwrap(), 0);
    assert_eq!(bed.a.session(session.id).await.unwrap(), Some(session));
}

pub(crate) async fn enabling_tells_the_replicas(bed: Bed) {
    let user = bed.person("alice").await;
    set(&bed, user.id, UserState::Disabled, 5).await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    let (enabled, ended) = set(&bed, user.id, UserState::Active, 6).await;
    assert_eq!(enabled.state, UserState::Active);
    assert!(ended.is_empty());
    let log = bed.b.revocations_after(1, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].number, &log[0].what), (2, &Revoked::User(user.id)));
    assert_eq!(log[0].reason, None);
    assert_eq!(bed.a.epoch(user.id).await.unwrap().user, epoch.user + 1);
}

pub(crate) async fn nobody_is_none(bed: Bed) {
    let nobody = UserId::generate();
    assert_eq!(bed.a.user(nobody).await.unwrap(), None);
    assert_eq!(
        bed.a
            .user_by_subject(&issuer(), &subject("x"))
            .await
            .unwrap(),
        None
    );
    let set = bed
        .a
        .set_user_state(nobody, UserState::Disabled, "", T0, &by())
        .await;
    assert_eq!(set.unwrap(), None);
    assert_eq!(bed.a.newest_revocation().await.unwrap(), 0);
    bed.a.ping().await.unwrap();
}

async fn set(bed: &Bed, id: UserId, state: UserState, seconds: i64) -> (User, Vec<Session>) {
    bed.a
        .set_user_state(id, state, "why", at(seconds), &by())
        .await
        .unwrap()
        .unwrap()
}

pub(crate) async fn a_change_of_what_was_read_needs_it_unchanged(bed: Bed) {
    let (read, _) = bed.visitor("alice", "s1").await;
    let change = async |read: &User, state| {
        bed.b
            .set_user_state_if(read, state, "left", at(1), &by())
            .await
            .map(|(user, ended)| (user, ended.len()))
    };
    // The end of some session raises the epoch, and is no change of the person.
    let which = Which::User(read.id, None);
    bed.a
        .end_sessions(&which, EndReason::Logout, T0, T0, &by())
        .await
        .unwrap();
    let (user, ended) = change(&read, UserState::Disabled).await.unwrap();
    assert_eq!((user.state, ended), (UserState::Disabled, 0));
    // What was read before that is not what is there now.
    let late = change(&read, UserState::Disabled).await;
    assert!(matches!(late, Err(StoreError::Changed)), "{late:?}");
    let (user, _) = change(&user, UserState::Active).await.unwrap();
    // Nor is it when an assertion brought another name.
    let renamed = SeenUser {
        name: "Another".into(),
        at: at(5),
        ..seen("alice", T0)
    };
    bed.a.saw_user(&renamed).await.unwrap();
    let late = change(&user, UserState::Disabled).await;
    assert!(matches!(late, Err(StoreError::Changed)), "{late:?}");
    let stored = bed.a.user(read.id).await.unwrap().unwrap();
    assert_eq!(stored.state, UserState::Active);
    let nobody = User {
        id: UserId::generate(),
        ..stored
    };
    let gone = change(&nobody, UserState::Disabled).await;
    assert!(matches!(gone, Err(StoreError::Changed)), "{gone:?}");
}

//! What ends sessions, what it leaves behind, and what it tells the log.

use crate::bed::{Bed, T0, app, at, by, issuer, session, sid, stood, subject};
use auth_manager::store::{AccountState, Birth, EndReason, Revoked, Session, Tombstone, Which};
use auth_manager::types::{AppId, Timestamp};

pub(crate) async fn ending_a_session_buries_every_sid(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    let moved = bed
        .a
        .carry_over(session.id, &sid("s2"), at(9_000), epoch, T0)
        .await
        .unwrap();
    let moved = stood(moved);
    let ended = end(&bed, &Which::Session(session.id), EndReason::Logout).await;
    let expected = Session {
        ended_at: Some(at(1)),
        end_reason: Some(EndReason::Logout),
        ..moved
    };
    assert_eq!(ended, std::slice::from_ref(&expected));
    assert_eq!(bed.b.session(session.id).await.unwrap(), Some(expected));
    for on in ["s1", "s2"] {
        let stands = tombstone(&bed, "alice", on, at(2)).await.unwrap();
        assert_eq!(
            (stands.reason, stands.until),
            (EndReason::Logout, at(100)),
            "{on}"
        );
    }
    assert_eq!(tombstone(&bed, "alice", "s3", at(2)).await, None);
    assert_eq!(bed.b.epoch(user.id).await.unwrap().user, epoch.user + 1);
    let log = bed.b.revocations_after(0, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].what, Revoked::Session(session.id));
    assert_eq!(
        (log[0].number, log[0].at, log[0].reason),
        (1, at(1), Some(EndReason::Logout))
    );
}

pub(crate) async fn only_some_reasons_bury(bed: Bed) {
    let reasons = [
        (EndReason::Logout, true),
        (EndReason::Revoked, true),
        (EndReason::EarlyDeath, true),
        (EndReason::UserDisabled, false),
        (EndReason::Expired, false),
        (EndReason::PolicyChanged, false),
        (EndReason::PersonChanged, false),
        (EndReason::AccountGone, false),
    ];
    let (user, account) = bed.member("alice").await;
    for (reason, buries) in reasons {
        let on = reason.as_str();
        let session = bed.born(&session(&user, &account, on)).await;
        let ended = end(&bed, &Which::Session(session.id), reason).await;
        assert_eq!(ended[0].end_reason, Some(reason));
        assert_eq!(
            tombstone(&bed, "alice", on, at(2)).await.is_some(),
            buries,
            "{reason}"
        );
        let unborn = format!("{on}-unborn");
        let which = Which::Sid(app(), issuer(), subject("alice"), sid(&unborn));
        assert!(end(&bed, &which, reason).await.is_empty());
        assert_eq!(
            tombstone(&bed, "alice", &unborn, at(2)).await.is_some(),
            buries,
            "{reason}"
        );
    }
}

pub(crate) async fn ending_twice_ends_once(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let which = Which::Session(session.id);
    assert_eq!(end(&bed, &which, EndReason::Expired).await.len(), 1);
    let epoch = bed.a.epoch(user.id).await.unwrap();
    assert!(end(&bed, &which, EndReason::Revoked).await.is_empty());
    let stored = bed.a.session(session.id).await.unwrap().unwrap();
    assert_eq!(stored.end_reason, Some(EndReason::Expired));
    assert_eq!(bed.a.epoch(user.id).await.unwrap(), epoch);
    assert_eq!(bed.a.newest_revocation().await.unwrap(), 1);
}

pub(crate) async fn ending_a_user_in_one_app_leaves_the_other(bed: Bed) {
    let (user, in_chat) = bed.visitor("alice", "s1").await;
    let wiki = AppId::new("wiki").unwrap();
    let mut account = bed.a.begin_account(&wiki, user.id, T0).await.unwrap();
    account.state = AccountState::Linked;
    account.remote = Some(crate::bed::remote("w1"));
    let account = bed.a.save_account(&account, &by()).await.unwrap();
    let in_wiki = bed.born(&session(&user, &account, "s1")).await;
    let ended = end(&bed, &Which::User(user.id, Some(wiki)), EndReason::Revoked).await;
    assert_eq!(ended.iter().map(|s| s.id).collect::<Vec<_>>(), [in_wiki.id]);
    assert!(
        tombstone(&bed, "alice", "s1", at(2)).await.is_none(),
        "chat's"
    );
    let ended = end(&bed, &Which::User(user.id, None), EndReason::Revoked).await;
    assert_eq!(ended.iter().map(|s| s.id).collect::<Vec<_>>(), [in_chat.id]);
    assert_eq!(bed.a.newest_revocation().await.unwrap(), 2);
}

pub(crate) async fn ending_a_user_without_sessions_stops_a_birth_under_way(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let read = bed.a.epoch(user.id).await.unwrap();
    let which = Which::User(user.id, None);
    assert!(end(&bed, &which, EndReason::Revoked).await.is_empty());
    let born = bed
        .b
        .birth(&session(&user, &account, "s1"), read, T0, &by())
        .await
        .unwrap();
    assert_eq!(born, Birth::EpochMoved);
}

pub(crate) async fn ending_a_sign_in_without_a_session_buries_it(bed: Bed) {
    // Not even the person is known yet.
    let which = Which::Sid(app(), issuer(), subject("carol"), sid("s1"));
    assert!(end(&bed, &which, EndReason::Logout).await.is_empty());
    assert!(tombstone(&bed, "carol", "s1", at(2)).await.is_some());
    let log = bed.b.revocations_after(0, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    let what = Revoked::Sid(app(), issuer(), subject("carol"), sid("s1"));
    assert_eq!(log[0].what, what);
}

pub(crate) async fn ending_a_sign_in_finds_the_session_that_moved_on(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    stood(
        bed.a
            .carry_over(session.id, &sid("s2"), at(9_000), epoch, T0)
            .await
            .unwrap(),
    );
    let which = Which::Sid(app(), issuer(), user.subject, sid("s1"));
    assert_eq!(end(&bed, &which, EndReason::Logout).await.len(), 1);
    assert!(tombstone(&bed, "alice", "s1", at(2)).await.is_some());
    assert!(tombstone(&bed, "alice", "s2", at(2)).await.is_some());
}

pub(crate) async fn ending_everything_is_one_entry(bed: Bed) {
    let (alice, one) = bed.visitor("alice", "s1").await;
    let (_, two) = bed.visitor("bob", "s2").await;
    let before = bed.a.epoch(alice.id).await.unwrap();
    let mut ended: Vec<_> = end(&bed, &Which::All, EndReason::Revoked)
        .await
        .iter()
        .map(|s| s.id)
        .collect();
    ended.sort();
    let mut both = [one.id, two.id];
    both.sort();
    assert_eq!(ended, both);
    let after = bed.b.epoch(alice.id).await.unwrap();
    assert_eq!((after.global, after.user), (before.global + 1, before.user));
    assert!(tombstone(&bed, "bob", "s2", at(2)).await.is_some());
    let log = bed.b.revocations_after(0, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].what, Revoked::All);
}

pub(crate) async fn ending_an_app_leaves_the_other_and_stops_births_under_way(bed: Bed) {
    let (user, in_chat) = bed.visitor("alice", "s1").await;
    let (_, bobs) = bed.visitor("bob", "s2").await;
    let wiki = AppId::new("wiki").unwrap();
    let mut account = bed.a.begin_account(&wiki, user.id, T0).await.unwrap();
    account.state = AccountState::Linked;
    account.remote = Some(crate::bed::remote("w1"));
    let account = bed.a.save_account(&account, &by()).await.unwrap();
    let in_wiki = bed.born(&session(&user, &account, "s1")).await;
    let read = bed.a.epoch(user.id).await.unwrap();
    let mut ended: Vec<_> = end(&bed, &Which::App(app()), EndReason::Revoked)
        .await
        .iter()
        .map(|s| s.id)
        .collect();
    ended.sort();
    let mut both = [in_chat.id, bobs.id];
    both.sort();
    assert_eq!(ended, both);
    assert!(tombstone(&bed, "alice", "s1", at(2)).await.is_some());
    assert!(tombstone(&bed, "bob", "s2", at(2)).await.is_some());
    let log = bed.b.revocations_after(0, 10).await.unwrap();
    let mut told: Vec<_> = (log.iter())
        .map(|entry| match entry.what {
            Revoked::Session(id) => id,
            ref other => panic!("{other:?}"),
        })
        .collect();
    told.sort();
    assert_eq!(told, both);
    let left = bed.b.session(in_wiki.id).await.unwrap().unwrap();
    assert_eq!(left.ended_at, None);
    // A sign-in that began before may have been made for that app.
    let late = session(&user, &account, "s9");
    let born = bed.b.birth(&late, read, T0, &by()).await.unwrap();
    assert_eq!(born, Birth::EpochMoved);
    // Nobody left: still no birth by what was read before.
    let read = bed.a.epoch(user.id).await.unwrap();
    assert!(
        end(&bed, &Which::App(app()), EndReason::Revoked)
            .await
            .is_empty()
    );
    let born = bed.b.birth(&late, read, T0, &by()).await.unwrap();
    assert_eq!(born, Birth::EpochMoved);
}

pub(crate) async fn a_tombstone_falls_after_its_time(bed: Bed) {
    let (_, session) = bed.visitor("alice", "s1").await;
    end(&bed, &Which::Session(session.id), EndReason::Logout).await;
    assert!(tombstone(&bed, "alice", "s1", at(100)).await.is_some());
    assert!(tombstone(&bed, "alice", "s1", at(101)).await.is_none());
}

pub(crate) async fn a_tombstone_never_gets_shorter(bed: Bed) {
    let which = Which::Sid(app(), issuer(), subject("carol"), sid("s1"));
    let end = async |reason, until| {
        bed.a
            .end_sessions(&which, reason, until, T0, &by())
            .await
            .unwrap();
    };
    end(EndReason::Revoked, at(500)).await;
    end(EndReason::Logout, at(50)).await;
    let stands = tombstone(&bed, "carol", "s1", at(400)).await.unwrap();
    assert_eq!((stands.reason, stands.until), (EndReason::Logout, at(500)));
}

async fn end(bed: &Bed, which: &Which, reason: EndReason) -> Vec<Session> {
    bed.a
        .end_sessions(which, reason, at(100), at(1), &by())
        .await
        .unwrap()
}

async fn tombstone(bed: &Bed, name: &str, on: &str, now: Timestamp) -> Option<Tombstone> {
    bed.b
        .tombstone(&app(), &issuer(), &subject(name), &sid(on), now)
        .await
        .unwrap()
}

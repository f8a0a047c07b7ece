//! The three conditional writes: birth, renewal, carry-over.

use crate::bed::{Bed, T0, app, at, by, issuer, session, sid, stood, subject};
use auth_manager::store::{
    Birth, EndReason, Epoch, Renewal, Session, StoreError, UserState, Which,
};
use auth_manager::types::{SessionId, Sid, UserId};

pub(crate) async fn a_session_is_born_as_given(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let mut given = session(&user, &account, "s1");
    given.former_sids = vec![sid("s0")];
    assert_eq!(bed.born(&given).await, given);
    assert_eq!(bed.b.session(given.id).await.unwrap(), Some(given.clone()));
    let found = bed
        .b
        .session_by_sid(&app(), &issuer(), &subject("alice"), &sid("s1"))
        .await;
    assert_eq!(found.unwrap(), Some(given));
}

pub(crate) async fn a_tombstone_forbids_a_birth(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let given = session(&user, &account, "s1");
    let which = Which::Sid(app(), issuer(), user.subject.clone(), sid("s1"));
    bed.a
        .end_sessions(&which, EndReason::Logout, at(100), at(1), &by())
        .await
        .unwrap();
    let epoch = epoch(&bed, user.id).await;
    let Birth::Tombstoned(tombstone) = bed.b.birth(&given, epoch, at(100), &by()).await.unwrap()
    else {
        panic!("it was born");
    };
    assert_eq!(
        (tombstone.reason, tombstone.at, tombstone.until),
        (EndReason::Logout, at(1), at(100))
    );
    assert_eq!(bed.a.session(given.id).await.unwrap(), None);
    stood(bed.b.birth(&given, epoch, at(101), &by()).await.unwrap());
}

pub(crate) async fn a_tombstone_of_a_former_sid_forbids_a_birth(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let which = Which::Sid(app(), issuer(), user.subject.clone(), sid("s0"));
    bed.a
        .end_sessions(&which, EndReason::Revoked, at(100), T0, &by())
        .await
        .unwrap();
    let mut given = session(&user, &account, "s1");
    given.former_sids = vec![sid("s0")];
    let born = bed
        .a
        .birth(&given, epoch(&bed, user.id).await, T0, &by())
        .await
        .unwrap();
    assert!(matches!(born, Birth::Tombstoned(_)), "{born:?}");
}

pub(crate) async fn a_moved_epoch_forbids_a_birth(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let (other, _) = bed.member("bob").await;
    let given = session(&user, &account, "s1");
    let read = epoch(&bed, user.id).await;
    // Somebody else's does not matter.
    let bobs = Which::User(other.id, None);
    bed.b
        .end_sessions(&bobs, EndReason::PolicyChanged, T0, T0, &by())
        .await
        .unwrap();
    assert_eq!(epoch(&bed, user.id).await, read);
    for which in [Which::User(user.id, None), Which::All] {
        let read = epoch(&bed, user.id).await;
        bed.b
            .end_sessions(&which, EndReason::PolicyChanged, T0, T0, &by())
            .await
            .unwrap();
        let born = bed.a.birth(&given, read, T0, &by()).await.unwrap();
        assert_eq!(born, Birth::EpochMoved, "{which:?}");
    }
    assert_eq!(bed.a.session(given.id).await.unwrap(), None);
    bed.born(&given).await;
}

pub(crate) async fn a_disabled_person_is_not_born_even_with_the_newest_epoch(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    bed.a
        .set_user_state(user.id, UserState::Disabled, "", T0, &by())
        .await
        .unwrap();
    let given = session(&user, &account, "s1");
    let born = bed
        .b
        .birth(&given, epoch(&bed, user.id).await, T0, &by())
        .await
        .unwrap();
    assert_eq!(born, Birth::EpochMoved);
}

pub(crate) async fn a_second_birth_of_a_sign_in_finds_the_first(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let first = bed.born(&session(&user, &account, "s1")).await;
    let second = session(&user, &account, "s1");
    let born = bed
        .b
        .birth(&second, epoch(&bed, user.id).await, T0, &by())
        .await
        .unwrap();
    assert_eq!(born, Birth::Exists(Box::new(first.clone())));
    assert_eq!(bed.b.session(second.id).await.unwrap(), None);
    // Ended without a tombstone, it no longer stands in the way.
    let which = Which::Session(first.id);
    bed.a
        .end_sessions(&which, EndReason::Expired, T0, T0, &by())
        .await
        .unwrap();
    bed.born(&second).await;
}

pub(crate) async fn a_sid_is_one_sign_in_only_with_its_subject(bed: Bed) {
    let (_, alices) = bed.visitor("alice", "same").await;
    let (_, bobs) = bed.visitor("bob", "same").await;
    assert_ne!(alices.id, bobs.id);
    let which = Which::Sid(app(), issuer(), bobs.subject.clone(), sid("same"));
    let ended = bed
        .a
        .end_sessions(&which, EndReason::Logout, at(9), T0, &by())
        .await
        .unwrap();
    assert_eq!(ended.iter().map(|s| s.id).collect::<Vec<_>>(), [bobs.id]);
    let tombstone = bed
        .a
        .tombstone(&app(), &issuer(), &alices.subject, &sid("same"), T0)
        .await;
    assert_eq!(tombstone.unwrap(), None);
}

pub(crate) async fn a_session_must_be_its_users(bed: Bed) {
    let (alice, account) = bed.member("alice").await;
    let bob = bed.person("bob").await;
    let epoch = epoch(&bed, alice.id).await;
    let mut given = session(&alice, &account, "s1");
    given.subject = bob.subject;
    let refused = bed.a.birth(&given, epoch, T0, &by()).await;
    assert!(
        matches!(refused, Err(StoreError::Inconsistent(_))),
        "{refused:?}"
    );
    given.user = UserId::generate();
    let refused = bed.a.birth(&given, epoch, T0, &by()).await;
    assert!(
        matches!(refused, Err(StoreError::Inconsistent(_))),
        "{refused:?}"
    );
    let taken = bed.born(&session(&alice, &account, "s1")).await;
    let mut twin = session(&alice, &account, "s2");
    twin.id = taken.id;
    let refused = bed.a.birth(&twin, epoch, T0, &by()).await;
    assert!(
        matches!(refused, Err(StoreError::Taken("session id"))),
        "{refused:?}"
    );
}

pub(crate) async fn a_renewal_replaces_the_app_session(bed: Bed) {
    let (user, before) = bed.visitor("alice", "s1").await;
    let epoch = epoch(&bed, user.id).await;
    let renewed = stood(
        bed.b
            .renew(before.id, 0, &renewal(), epoch, at(5))
            .await
            .unwrap(),
    );
    let expected = Session {
        sealed: vec![9],
        app_session: None,
        app_expires_at: at(9_000),
        generation: 1,
        ..before
    };
    assert_eq!(renewed, expected);
    assert_eq!(bed.a.session(renewed.id).await.unwrap(), Some(renewed));
}

pub(crate) async fn a_renewal_from_an_old_generation_finds_the_new_one(bed: Bed) {
    let (user, before) = bed.visitor("alice", "s1").await;
    let epoch = epoch(&bed, user.id).await;
    let first = stood(
        bed.a
            .renew(before.id, 0, &renewal(), epoch, T0)
            .await
            .unwrap(),
    );
    let second = bed
        .b
        .renew(before.id, 0, &renewal(), epoch, T0)
        .await
        .unwrap();
    assert_eq!(second, Birth::Exists(Box::new(first)));
}

pub(crate) async fn a_renewal_needs_a_live_session(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let read = epoch(&bed, user.id).await;
    let renew = async |epoch: Epoch, seconds: i64| {
        bed.b
            .renew(session.id, 0, &renewal(), epoch, at(seconds))
            .await
            .unwrap()
    };
    let unknown = bed
        .a
        .renew(SessionId([7; 32]), 0, &renewal(), read, T0)
        .await
        .unwrap();
    assert_eq!(unknown, Birth::Gone);
    assert_eq!(renew(read, 3_600).await, Birth::Gone, "expired");
    let mine = Which::User(
        user.id,
        Some(auth_manager::types::AppId::new("wiki").unwrap()),
    );
    bed.a
        .end_sessions(&mine, EndReason::PolicyChanged, T0, T0, &by())
        .await
        .unwrap();
    assert_eq!(renew(read, 1).await, Birth::EpochMoved);
    let which = Which::Session(session.id);
    bed.a
        .end_sessions(&which, EndReason::PolicyChanged, T0, T0, &by())
        .await
        .unwrap();
    assert_eq!(renew(epoch(&bed, user.id).await, 1).await, Birth::Gone);
    let stored = bed.a.session(session.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.generation, stored.sealed),
        (0, session.sealed.clone())
    );
}

pub(crate) async fn a_carry_over_moves_and_remembers(bed: Bed) {
    let (user, before) = bed.visitor("alice", "s1").await;
    let epoch = epoch(&bed, user.id).await;
    let moved = bed
        .b
        .carry_over(before.id, &sid("s2"), at(5_000), epoch, at(7))
        .await
        .unwrap();
    let moved = stood(moved);
    let expected = Session {
        sid: sid("s2"),
        former_sids: vec![sid("s1")],
        sid_since: at(7),
        expires_at: at(5_000),
        ..before.clone()
    };
    assert_eq!(moved, expected);
    let by = async |on: &str| {
        bed.a
            .session_by_sid(&app(), &issuer(), &user.subject, &sid(on))
            .await
            .unwrap()
    };
    assert_eq!(by("s2").await, Some(moved));
    assert_eq!(by("s1").await, None);
    // Back again: a sid is current or former, not both.
    let back = bed
        .a
        .carry_over(before.id, &sid("s1"), at(5_000), epoch, at(8))
        .await
        .unwrap();
    assert_eq!(stood(back).former_sids, [sid("s2")]);
}

pub(crate) async fn a_carry_over_remembers_the_newest_sixteen(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s0").await;
    let epoch = epoch(&bed, user.id).await;
    for n in 1..=20 {
        let to = sid(&format!("s{n}"));
        stood(
            bed.a
                .carry_over(session.id, &to, at(9_000), epoch, at(n))
                .await
                .unwrap(),
        );
    }
    let stored = bed.b.session(session.id).await.unwrap().unwrap();
    let expected: Vec<Sid> = (4..20).map(|n| sid(&format!("s{n}"))).collect();
    assert_eq!(stored.former_sids, expected);
    assert_eq!(stored.sid, sid("s20"));
}

pub(crate) async fn a_carry_over_does_not_cross_a_tombstone(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let which = Which::Sid(app(), issuer(), user.subject.clone(), sid("s2"));
    bed.a
        .end_sessions(&which, EndReason::EarlyDeath, at(50), T0, &by())
        .await
        .unwrap();
    let now = epoch(&bed, user.id).await;
    let to = async |on: &str, epoch| {
        bed.b
            .carry_over(session.id, &sid(on), at(9_000), epoch, at(1))
            .await
            .unwrap()
    };
    assert!(matches!(to("s2", now).await, Birth::Tombstoned(_)));
    let moved = Epoch {
        user: now.user - 1,
        ..now
    };
    assert_eq!(to("s3", moved).await, Birth::EpochMoved);
    assert_eq!(
        bed.a.session(session.id).await.unwrap(),
        Some(session.clone())
    );
    // Ended and buried itself: signed out, wherever it would go.
    let mine = Which::Session(session.id);
    bed.a
        .end_sessions(&mine, EndReason::Logout, at(50), T0, &by())
        .await
        .unwrap();
    let now = epoch(&bed, user.id).await;
    assert!(matches!(to("s3", now).await, Birth::Tombstoned(_)));
}

pub(crate) async fn a_carry_over_finds_who_is_there(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let one = bed.born(&session(&user, &account, "s1")).await;
    let two = bed.born(&session(&user, &account, "s2")).await;
    let epoch = epoch(&bed, user.id).await;
    let found = bed
        .b
        .carry_over(one.id, &sid("s2"), at(9), epoch, T0)
        .await
        .unwrap();
    assert_eq!(found, Birth::Exists(Box::new(two)));
    let itself = bed
        .b
        .carry_over(one.id, &sid("s1"), at(9), epoch, T0)
        .await
        .unwrap();
    assert_eq!(itself, Birth::Exists(Box::new(one)));
}

pub(crate) async fn a_carry_over_does_not_wake_the_expired(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let epoch = epoch(&bed, user.id).await;
    let late = session.expires_at;
    let carried = bed
        .a
        .carry_over(session.id, &sid("s2"), at(99_999), epoch, late)
        .await
        .unwrap();
    assert_eq!(carried, Birth::Gone);
}

fn renewal() -> Renewal {
    Renewal {
        sealed: vec![9],
        app_session: None,
        app_expires_at: at(9_000),
    }
}

async fn epoch(bed: &Bed, user: UserId) -> Epoch {
    bed.b.epoch(user).await.unwrap()
}

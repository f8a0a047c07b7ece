//! Two who come at once, on two replicas. Each story is told several times, since a race has more
//! than one ending; what must hold holds in all of them.

use crate::bed::{Bed, T0, app, at, by, issuer, remote, seen, session, sid};
use auth_manager::store::{
    AccountState, Birth, EndReason, Renewal, Session, SessionFilter, StoreError, UserState, Which,
};
use std::sync::Arc;
use tokio::join;

const ROUNDS: usize = 12;

pub(crate) async fn one_of_many_births_stands(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    for round in 0..ROUNDS {
        let born: Vec<_> = (0..6)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &bed.a } else { &bed.b });
                let given = session(&user, &account, &format!("s{round}"));
                tokio::spawn(async move { store.birth(&given, epoch, T0, &by()).await.unwrap() })
            })
            .collect();
        let mut stands = Vec::new();
        let mut exist = Vec::new();
        for birth in born {
            match birth.await.unwrap() {
                Birth::Stands(session) => stands.push(session.id),
                Birth::Exists(session) => exist.push(session.id),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((stands.len(), exist.len()), (1, 5));
        assert!(exist.iter().all(|id| *id == stands[0]));
    }
}

pub(crate) async fn one_of_many_users_is_made(bed: Bed) {
    for round in 0..ROUNDS {
        let name = format!("p{round}");
        let asked: Vec<_> = (0..4)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &bed.a } else { &bed.b });
                let seen = seen(&name, at(n));
                tokio::spawn(async move {
                    let user = store.saw_user(&seen).await.unwrap();
                    let account = store.begin_account(&app(), user.id, T0).await.unwrap();
                    (user.id, account.id)
                })
            })
            .collect();
        let mut ids = Vec::new();
        for one in asked {
            ids.push(one.await.unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
    }
}

pub(crate) async fn a_birth_never_survives_an_ending(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    for round in 0..ROUNDS {
        let given = session(&user, &account, &format!("s{round}"));
        let epoch = bed.a.epoch(user.id).await.unwrap();
        let which = if round % 2 == 0 {
            Which::User(user.id, None)
        } else {
            Which::Sid(app(), issuer(), user.subject.clone(), given.sid.clone())
        };
        let who = by();
        let (born, ended) = join!(
            bed.a.birth(&given, epoch, T0, &who),
            bed.b
                .end_sessions(&which, EndReason::Logout, at(100), T0, &who),
        );
        settled(&bed, &given, &born.unwrap(), &ended.unwrap()).await;
    }
}

pub(crate) async fn a_birth_never_survives_a_disabling(bed: Bed) {
    for round in 0..ROUNDS {
        let (user, account) = bed.member(&format!("p{round}")).await;
        let given = session(&user, &account, "s");
        let epoch = bed.a.epoch(user.id).await.unwrap();
        let who = by();
        let (born, set) = join!(
            bed.a.birth(&given, epoch, T0, &who),
            bed.b
                .set_user_state(user.id, UserState::Disabled, "", T0, &who),
        );
        let (_, ended) = set.unwrap().unwrap();
        settled(&bed, &given, &born.unwrap(), &ended).await;
    }
}

pub(crate) async fn a_birth_never_survives_ending_everything(bed: Bed) {
    let (alice, alices) = bed.member("alice").await;
    let (bob, bobs) = bed.member("bob").await;
    for round in 0..ROUNDS {
        let one = session(&alice, &alices, &format!("s{round}"));
        let two = session(&bob, &bobs, &format!("s{round}"));
        let alices_epoch = bed.a.epoch(alice.id).await.unwrap();
        let bobs_epoch = bed.a.epoch(bob.id).await.unwrap();
        let who = by();
        let (first, ended, second) = join!(
            bed.a.birth(&one, alices_epoch, T0, &who),
            bed.b
                .end_sessions(&Which::All, EndReason::PolicyChanged, T0, T0, &who),
            bed.b.birth(&two, bobs_epoch, T0, &who),
        );
        let ended = ended.unwrap();
        settled(&bed, &one, &first.unwrap(), &ended).await;
        settled(&bed, &two, &second.unwrap(), &ended).await;
    }
}

pub(crate) async fn a_renewal_never_survives_a_revocation(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let renewal = Renewal {
        sealed: vec![9],
        app_session: None,
        app_expires_at: at(9_000),
    };
    for round in 0..ROUNDS {
        let one = bed
            .born(&session(&user, &account, &format!("s{round}")))
            .await;
        let epoch = bed.a.epoch(user.id).await.unwrap();
        let which = Which::Session(one.id);
        let who = by();
        let (renewed, ended) = join!(
            bed.a.renew(one.id, 0, &renewal, epoch, T0),
            bed.b
                .end_sessions(&which, EndReason::Revoked, at(100), T0, &who),
        );
        let ended = ended.unwrap();
        assert_eq!(ended.len(), 1);
        match renewed.unwrap() {
            // The ending came second, and gives the new token to be revoked.
            Birth::Stands(_) => assert_eq!(ended[0].sealed, renewal.sealed),
            Birth::Tombstoned(_) => assert_eq!(ended[0].sealed, one.sealed),
            other => panic!("{other:?}"),
        }
        assert!(
            bed.a
                .session(one.id)
                .await
                .unwrap()
                .unwrap()
                .ended_at
                .is_some()
        );
    }
}

pub(crate) async fn a_carry_over_never_escapes_its_tombstone(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    for round in 0..ROUNDS {
        let one = bed
            .born(&session(&user, &account, &format!("s{round}")))
            .await;
        let to = sid(&format!("to{round}"));
        let epoch = bed.a.epoch(user.id).await.unwrap();
        // The old sid or the new one is signed out while the session moves.
        let from = if round % 2 == 0 {
            one.sid.clone()
        } else {
            to.clone()
        };
        let which = Which::Sid(app(), issuer(), user.subject.clone(), from.clone());
        let who = by();
        let (carried, ended) = join!(
            bed.a.carry_over(one.id, &to, at(9_000), epoch, T0),
            bed.b
                .end_sessions(&which, EndReason::Logout, at(100), T0, &who),
        );
        let ended = ended.unwrap();
        let stored = bed.a.session(one.id).await.unwrap().unwrap();
        let buried = async |on| {
            let found = bed
                .a
                .tombstone(&app(), &issuer(), &user.subject, on, T0)
                .await;
            found.unwrap().is_some()
        };
        match carried.unwrap() {
            Birth::Stands(_) => {
                assert_eq!(ended.len(), 1);
                assert!(stored.ended_at.is_some());
                assert!(buried(&to).await && buried(&one.sid).await);
            }
            Birth::Tombstoned(_) => assert!(buried(&from).await),
            other => panic!("{other:?}"),
        }
        // A live session never has a sid that is buried.
        let bad = buried(&stored.sid).await && stored.ended_at.is_none();
        assert!(!bad);
    }
}

pub(crate) async fn one_of_many_renewals_stands(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    for generation in 0..i64::try_from(ROUNDS).unwrap() {
        let renewed: Vec<_> = (0..4_u8)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &bed.a } else { &bed.b });
                let renewal = Renewal {
                    sealed: vec![n],
                    app_session: None,
                    app_expires_at: at(9_000),
                };
                let id = session.id;
                tokio::spawn(async move {
                    store
                        .renew(id, generation, &renewal, epoch, T0)
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut stands = 0;
        for one in renewed {
            match one.await.unwrap() {
                Birth::Stands(_) => stands += 1,
                Birth::Exists(session) => assert_eq!(session.generation, generation + 1),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(stands, 1);
    }
}

pub(crate) async fn one_of_many_writers_of_an_account_wins(bed: Bed) {
    let user = bed.person("alice").await;
    bed.a.begin_account(&app(), user.id, T0).await.unwrap();
    for round in 0..ROUNDS {
        let read = bed.a.account(&app(), user.id).await.unwrap().unwrap();
        let written: Vec<_> = (0..4)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &bed.a } else { &bed.b });
                let mut account = read.clone();
                account.state = AccountState::Linked;
                account.remote = Some(remote(&format!("r{round}-{n}")));
                tokio::spawn(async move { store.save_account(&account, &by()).await })
            })
            .collect();
        let mut won = 0;
        for one in written {
            match one.await.unwrap() {
                Ok(_) => won += 1,
                Err(StoreError::Changed) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won, 1);
    }
}

/// A birth that raced an ending: it stood and was ended, or it was refused. It does not live.
async fn settled(bed: &Bed, given: &Session, born: &Birth, ended: &[Session]) {
    let was_ended = ended.iter().any(|session| session.id == given.id);
    match born {
        Birth::Stands(_) => assert!(was_ended, "it stands, and nobody ended it"),
        Birth::Tombstoned(_) | Birth::EpochMoved => assert!(!was_ended),
        other => panic!("{other:?}"),
    }
    let filter = SessionFilter {
        user: Some(given.user),
        live: true,
        ..SessionFilter::default()
    };
    assert!(bed.a.sessions(&filter).await.unwrap().is_empty());
}

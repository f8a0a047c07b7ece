//! Exchanged tokens: what stands behind one, and those that were revoked.

use crate::bed::{Bed, T0, at, by};
use auth_manager::store::{EndReason, TokenQuestion, UserState, Which};
use auth_manager::types::{SessionId, TokenId, UserId};
use std::time::Duration;

pub(crate) async fn what_stands_behind_a_token_is_read_at_once(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let about = TokenQuestion {
        token: Some(TokenId([1; 16])),
        user: user.id,
        session: Some(session.id),
    };
    let facts = bed.b.token_facts(&about).await.unwrap();
    assert!(!facts.revoked);
    assert_eq!(facts.user.unwrap().id, user.id);
    assert!(facts.session.unwrap().ended_at.is_none());
    assert_eq!(facts.epoch, bed.a.epoch(user.id).await.unwrap());

    let which = Which::Session(session.id);
    (bed.a
        .end_sessions(&which, EndReason::Logout, at(500), T0, &by())
        .await)
        .unwrap();
    (bed.a
        .set_user_state(user.id, UserState::Disabled, "left", T0, &by())
        .await)
        .unwrap();
    let after = bed.b.token_facts(&about).await.unwrap();
    assert!(after.session.unwrap().ended_at.is_some());
    assert_eq!(after.user.unwrap().state, UserState::Disabled);
    assert!(after.epoch.user > facts.epoch.user);
}

pub(crate) async fn nothing_stands_behind_an_invented_token(bed: Bed) {
    for session in [None, Some(SessionId([9; 32]))] {
        let about = TokenQuestion {
            token: None,
            user: UserId::generate(),
            session,
        };
        let facts = bed.a.token_facts(&about).await.unwrap();
        assert!(!facts.revoked);
        assert_eq!((facts.user, facts.session), (None, None));
    }
}

pub(crate) async fn a_revoked_token_is_so_everywhere_until_it_expires(bed: Bed) {
    let revoked = async |id: u8| {
        let about = TokenQuestion {
            token: Some(TokenId([id; 16])),
            user: UserId::generate(),
            session: None,
        };
        bed.b.token_facts(&about).await.unwrap().revoked
    };
    bed.a.revoke_token(TokenId([1; 16]), at(300)).await.unwrap();
    assert!(revoked(1).await);
    assert!(!revoked(2).await);
    // Never shorter.
    bed.b.revoke_token(TokenId([1; 16]), at(100)).await.unwrap();
    let keep = Duration::from_secs(1_000);
    assert_eq!(bed.a.purge(at(300), keep).await.unwrap(), 0);
    assert!(revoked(1).await);
    assert_eq!(bed.a.purge(at(301), keep).await.unwrap(), 1);
    assert!(!revoked(1).await);
}

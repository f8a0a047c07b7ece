//! Opening: migrations, and rows that this version can't read.

use crate::bed::{Bed, app, by, issuer, subject};
use auth_manager::store::{AccountFilter, EndReason, StoreError, UserFilter, Which};
use std::sync::Arc;

/// Two beds' worth of replicas have come up on one empty store already; more come now.
pub(crate) async fn many_open_it_at_once(bed: Bed) {
    bed.person("alice").await;
    let bed = Arc::new(bed);
    let opened: Vec<_> = (0..4)
        .map(|_| {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move { bed.open().await.unwrap() })
        })
        .collect();
    for store in opened {
        let store = store.await.unwrap();
        let found = store
            .user_by_subject(&issuer(), &subject("alice"))
            .await
            .unwrap();
        assert!(found.is_some());
    }
}

pub(crate) async fn a_newer_schema_is_refused(bed: Bed) {
    let row = "(1000, 'from the future', 'x')";
    bed.sql(&format!(
        "INSERT INTO schema_versions (version, name, checksum) VALUES {row}"
    ))
    .await;
    let refused = bed.open().await.err();
    assert!(
        matches!(refused, Some(StoreError::Schema(_))),
        "{refused:?}"
    );
}

pub(crate) async fn a_changed_migration_is_refused(bed: Bed) {
    bed.sql("UPDATE schema_versions SET checksum = 'x' WHERE version = 1")
        .await;
    let refused = bed.open().await.err();
    assert!(
        matches!(refused, Some(StoreError::Schema(_))),
        "{refused:?}"
    );
}

pub(crate) async fn an_unknown_word_is_inconsistent(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let which = Which::Session(session.id);
    bed.a
        .end_sessions(
            &which,
            EndReason::Logout,
            session.expires_at,
            session.created_at,
            &by(),
        )
        .await
        .unwrap();
    let inconsistent = |what: &str, error: Option<StoreError>| {
        assert!(
            matches!(error, Some(StoreError::Inconsistent(_))),
            "{what}: {error:?}"
        );
    };
    bed.sql("UPDATE users SET state = 'sleeping'").await;
    bed.sql("UPDATE accounts SET state = 'lost'").await;
    bed.sql("UPDATE sessions SET end_reason = 'boredom'").await;
    bed.sql("UPDATE tombstones SET reason = 'boredom'").await;
    bed.sql("UPDATE revocations SET what = 'the moon'").await;
    inconsistent("user", bed.a.user(user.id).await.err());
    inconsistent("users", bed.a.users(&UserFilter::default()).await.err());
    inconsistent("account", bed.a.account(&app(), user.id).await.err());
    inconsistent(
        "accounts",
        bed.a.accounts(&AccountFilter::default()).await.err(),
    );
    inconsistent("session", bed.a.session(session.id).await.err());
    let s = &session;
    let tombstone = bed
        .a
        .tombstone(&s.app, &s.issuer, &s.subject, &s.sid, s.created_at)
        .await;
    inconsistent("tombstone", tombstone.err());
    inconsistent("log", bed.a.revocations_after(0, 1).await.err());
    // What can't be read lets nobody in.
    let epoch = bed.a.epoch(user.id).await.unwrap();
    inconsistent(
        "birth",
        bed.a.birth(s, epoch, s.created_at, &by()).await.err(),
    );
}

//! What only the embedded store can show.

use crate::bed::{Bed, Raw, T0, app, by, issuer, seen, sid, subject};
use auth_manager::store::{EndReason, SqliteStore, Store, StoreError, UserState, Which};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.saw_user(&seen("alice", T0)).await.unwrap();
    let held = store.lock("one", Duration::from_secs(1)).await.unwrap();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    assert_eq!(mode("store.db-locks"), 0o700);
    drop(held);
    let left = std::fs::read_dir(folder.path().join("store.db-locks"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "a lock leaves no file");
}

#[tokio::test]
async fn a_command_beside_the_server_is_seen() {
    let bed = Bed::sqlite().await;
    let (user, session) = bed.visitor("alice", "s1").await;
    // Another process has the file open only for the length of a command.
    let command = bed.open().await.unwrap();
    command
        .set_user_state(user.id, UserState::Disabled, "left", T0, &by())
        .await
        .unwrap();
    drop(command);
    assert_eq!(bed.a.revocations_after(0, 10).await.unwrap().len(), 1);
    assert!(
        bed.a
            .session(session.id)
            .await
            .unwrap()
            .unwrap()
            .ended_at
            .is_some()
    );
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let which = Which::Sid(app(), issuer(), subject("carol"), sid("s1"));
    store
        .end_sessions(&which, EndReason::Logout, T0, T0, &by())
        .await
        .unwrap();
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.newest_revocation().await.unwrap(), 1);
}

#[tokio::test]
async fn a_writer_that_waits_for_another_process_gets_its_turn() {
    let bed = Bed::sqlite().await;
    let Raw::Sqlite(folder) = &bed.raw else {
        unreachable!("it is SQLite")
    };
    let other = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let write = bed.a.secret_or_insert("root", &[1]);
    tokio::pin!(write);
    // Readers do not wait meanwhile.
    tokio::select! {
        biased;
        _ = &mut write => panic!("it did not wait"),
        read = bed.a.secret("root") => assert_eq!(read.unwrap(), None),
    }
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(write.await.unwrap(), [1]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(
        &path,
        "this is a text, and a text is no database".repeat(50),
    )
    .unwrap();
    let refused = SqliteStore::open(&path).await.err();
    assert!(
        matches!(refused, Some(StoreError::Inconsistent(_))),
        "{refused:?}"
    );
    let nowhere = SqliteStore::open(folder.path().join("no/such/folder.db"))
        .await
        .err();
    assert!(
        matches!(nowhere, Some(StoreError::Unavailable(_))),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn two_open_an_empty_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let opened = tokio::join!(
        SqliteStore::open(&path),
        SqliteStore::open(&path),
        SqliteStore::open(&path),
    );
    for store in [opened.0, opened.1, opened.2] {
        assert_eq!(store.unwrap().newest_revocation().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn memory_is_a_store_too() {
    let store = SqliteStore::in_memory().unwrap();
    let user = store.saw_user(&seen("alice", T0)).await.unwrap();
    assert_eq!(store.user(user.id).await.unwrap(), Some(user));
    let held = store.lock("one", Duration::from_secs(1)).await.unwrap();
    let again = store.lock("one", Duration::ZERO).await;
    assert!(matches!(again, Err(StoreError::Busy)));
    drop(held);
    store.lock("one", Duration::from_secs(1)).await.unwrap();
}

//! What only the shared store can show.

use crate::bed::{
    Bed, Raw, SOON, T0, app, at, by, client, issuer, postgres_options, seen, sid, subject, until,
};
use crate::pg::Cluster;
use auth_manager::store::{
    EndReason, PostgresOptions, PostgresStore, Priority, Store, StoreError, UserState, Which,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

fn unavailable<T>(result: Result<T, StoreError>) {
    let error = result.err();
    assert!(
        matches!(error, Some(StoreError::Unavailable(_))),
        "{error:?}"
    );
}

fn options(bed: &Bed) -> &PostgresOptions {
    match &bed.raw {
        Raw::Postgres(options) => options,
        Raw::Sqlite(_) => unreachable!("it is PostgreSQL"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_wakes_another_replica() {
    let bed = Bed::postgres().await;
    for n in 0..5 {
        let last = bed.b.newest_revocation().await.unwrap();
        let waiting = Arc::clone(&bed.b);
        let heard = tokio::spawn(async move {
            while waiting.revocations_after(last, 1).await.unwrap().is_empty() {
                waiting.wait_for_revocation(SOON * 10).await;
            }
        });
        let which = Which::Sid(app(), issuer(), subject("carol"), sid(&format!("s{n}")));
        bed.a
            .end_sessions(&which, EndReason::Logout, T0, T0, &by())
            .await
            .unwrap();
        timeout(SOON, heard).await.expect("it is woken").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_wakes_another_replica() {
    let bed = Bed::postgres().await;
    for n in 0..3 {
        let waiting = Arc::clone(&bed.b);
        let heard = tokio::spawn(async move {
            let claim = crate::jobs::claim("h", 1);
            while waiting.claim_jobs(&claim, T0).await.unwrap().is_empty() {
                waiting.wait_for_job(SOON * 10).await;
            }
        });
        let key = format!("k{n}");
        let wish = crate::jobs::wish(&key, &key, Priority::Grant, 0);
        bed.a.enqueue(&[wish], T0).await.unwrap();
        timeout(SOON, heard).await.expect("it is woken").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listener_comes_back() {
    let bed = Bed::postgres().await;
    let raw = client(options(&bed)).await;
    let channel = format!("%LISTEN auth_manager_{}", options(&bed).schema);
    let listeners = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1";
        let row = raw.query_one(sql, &[&channel]).await.unwrap();
        row.get::<_, i64>(0)
    };
    until("both listen", async || listeners().await == 2).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1";
    raw.query(kill, &[&channel]).await.unwrap();
    until("both listen again", async || listeners().await == 2).await;
    let waiting = Arc::clone(&bed.b);
    let heard = tokio::spawn(async move {
        while waiting.revocations_after(0, 1).await.unwrap().is_empty() {
            waiting.wait_for_revocation(SOON * 10).await;
        }
    });
    bed.a
        .end_sessions(&Which::All, EndReason::Expired, T0, T0, &by())
        .await
        .unwrap();
    timeout(SOON, heard).await.expect("it is woken").unwrap();
}

/// The connection dies when everything but the log is written: nothing of it stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_killed_in_a_transaction_leaves_nothing() {
    let bed = Bed::postgres().await;
    let (user, session) = bed.visitor("alice", "s1").await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    // Holds the log's counter, the last thing a revocation takes.
    let mut holder = client(options(&bed)).await;
    let hold = holder.transaction().await.unwrap();
    let sql = "SELECT value FROM counters WHERE name = 'log' FOR UPDATE";
    hold.query_one(sql, &[]).await.unwrap();
    let store = Arc::clone(&bed.a);
    let id = session.id;
    let ending = tokio::spawn(async move {
        store
            .end_sessions(&Which::Session(id), EndReason::Logout, at(100), T0, &by())
            .await
    });
    let watcher = client(options(&bed)).await;
    let held_up = "SELECT pid FROM pg_stat_activity
         WHERE application_name = 'auth-manager' AND wait_event_type = 'Lock'
           AND $1 = ANY (pg_blocking_pids(pid))";
    let me: i32 = hold
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    until("it waits for the counter", async || {
        watcher.query_opt(held_up, &[&me]).await.unwrap().is_some()
    })
    .await;
    let pid: i32 = watcher.query_one(held_up, &[&me]).await.unwrap().get(0);
    watcher
        .query_one("SELECT pg_terminate_backend($1)", &[&pid])
        .await
        .unwrap();
    unavailable(ending.await.unwrap());
    hold.rollback().await.unwrap();
    assert_eq!(bed.a.session(id).await.unwrap(), Some(session.clone()));
    let tombstone = bed
        .a
        .tombstone(&app(), &issuer(), &user.subject, &sid("s1"), T0)
        .await;
    assert_eq!(tombstone.unwrap(), None);
    assert_eq!(bed.a.epoch(user.id).await.unwrap(), epoch);
    assert_eq!(bed.a.newest_revocation().await.unwrap(), 0);
    // And the number it would have had is the next one's.
    bed.a
        .end_sessions(&Which::Session(id), EndReason::Logout, at(100), T0, &by())
        .await
        .unwrap();
    assert_eq!(bed.b.revocations_after(0, 9).await.unwrap()[0].number, 1);
}

/// A number that is given out is not passed by one that commits earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_number_waits_for_an_earlier_commit() {
    let bed = Bed::postgres().await;
    let mut slow = client(options(&bed)).await;
    let tx = slow.transaction().await.unwrap();
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'log' RETURNING value";
    let first: i64 = tx.query_one(sql, &[]).await.unwrap().get(0);
    let store = Arc::clone(&bed.a);
    let fast = tokio::spawn(async move {
        store
            .end_sessions(&Which::All, EndReason::Expired, T0, T0, &by())
            .await
            .map(|_| ())
    });
    let watcher = client(options(&bed)).await;
    let me: i32 = tx
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    let held_up = "SELECT 1 FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))";
    until("it waits for the counter", async || {
        watcher.query_opt(held_up, &[&me]).await.unwrap().is_some()
    })
    .await;
    assert!(bed.b.revocations_after(0, 9).await.unwrap().is_empty());
    let row = "INSERT INTO revocations (number, appended_at, what) VALUES ($1, 0, 'keys')";
    tx.execute(row, &[&first]).await.unwrap();
    tx.commit().await.unwrap();
    fast.await.unwrap().unwrap();
    let log = bed.b.revocations_after(0, 9).await.unwrap();
    assert_eq!(
        log.iter().map(|entry| entry.number).collect::<Vec<_>>(),
        [1, 2]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_free_when_its_holder_dies() {
    let bed = Bed::postgres().await;
    let _held = bed.a.lock("one", SOON).await.unwrap();
    assert!(matches!(
        bed.b.lock("one", Duration::ZERO).await,
        Err(StoreError::Busy)
    ));
    // What the server sees when a replica dies: its connections are gone.
    let raw = client(options(&bed)).await;
    let sql = "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l
               ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted
               AND a.application_name = 'auth-manager' AND l.classid::bigint = $1
               AND l.objid::bigint = $2";
    let key = advisory_key(&options(&bed).schema, "one");
    let (high, low) = ((key >> 32) & 0xffff_ffff, key & 0xffff_ffff);
    assert_eq!(raw.query(sql, &[&high, &low]).await.unwrap().len(), 1);
    bed.b.lock("one", SOON).await.unwrap();
    // The replica itself lives on, and locks again.
    bed.a.lock("two", SOON).await.unwrap();
}

/// The number of a name, as the store computes it: written out, since two versions of the program
/// that run side by side must agree on it.
fn advisory_key(schema: &str, name: &str) -> i64 {
    let text = format!("auth-manager\0{schema}\0{name}");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    i64::from_be_bytes(hash.as_ref()[..8].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_make_the_schema_at_once() {
    for _ in 0..3 {
        let options = postgres_options();
        let (one, two, three) = tokio::join!(
            PostgresStore::connect(&options),
            PostgresStore::connect(&options),
            PostgresStore::connect(&options),
        );
        one.unwrap().saw_user(&seen("alice", T0)).await.unwrap();
        let found = two
            .unwrap()
            .user_by_subject(&issuer(), &subject("alice"))
            .await;
        assert!(found.unwrap().is_some());
        three.unwrap().ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_closed_port_is_unavailable_at_once() {
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("postgresql://nobody:hunter2@127.0.0.1:{port}/none");
    let start = Instant::now();
    let refused = PostgresStore::connect(&PostgresOptions::new(url.into())).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    let Err(StoreError::Unavailable(text)) = refused else {
        panic!("it is not there")
    };
    assert!(
        text.contains("refused") && !text.contains("hunter2"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unavailable_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgresql://nobody@127.0.0.1:{port}/none");
    let start = Instant::now();
    unavailable(PostgresStore::connect(&PostgresOptions::new(url.into())).await);
    assert!(start.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_is_unavailable_at_once() {
    let cluster = Cluster::start();
    let store = PostgresStore::connect(&PostgresOptions::new(cluster.url().into()))
        .await
        .unwrap();
    let user = store.saw_user(&seen("alice", T0)).await.unwrap();
    let held = store.lock("one", SOON).await.unwrap();
    tokio::task::spawn_blocking(move || cluster.stop())
        .await
        .unwrap();
    let start = Instant::now();
    unavailable(store.ping().await);
    unavailable(store.epoch(user.id).await);
    unavailable(
        store
            .set_user_state(user.id, UserState::Disabled, "", T0, &by())
            .await,
    );
    unavailable(
        store
            .end_sessions(&Which::All, EndReason::Revoked, T0, T0, &by())
            .await,
    );
    unavailable(store.revocations_after(0, 1).await);
    unavailable(store.lock("two", Duration::from_secs(1)).await);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_pool_is_unavailable_in_time() {
    let mut options = postgres_options();
    options.max_connections = 1;
    let store = Arc::new(PostgresStore::connect(&options).await.unwrap());
    let user = store.saw_user(&seen("alice", T0)).await.unwrap();
    let mut holder = client(&options).await;
    let hold = holder.transaction().await.unwrap();
    hold.query_one("SELECT 1 FROM users FOR UPDATE", &[])
        .await
        .unwrap();
    // The one connection waits for the row, the next caller for the connection: both have an end.
    let blocked = Arc::clone(&store);
    let disabling = tokio::spawn(async move {
        blocked
            .set_user_state(user.id, UserState::Disabled, "", T0, &by())
            .await
    });
    let watcher = client(&options).await;
    let me: i32 = hold
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    let held_up = "SELECT 1 FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))";
    until("it waits for the row", async || {
        watcher.query_opt(held_up, &[&me]).await.unwrap().is_some()
    })
    .await;
    let start = Instant::now();
    unavailable(store.ping().await);
    unavailable(disabling.await.unwrap());
    assert!(start.elapsed() < Duration::from_secs(8));
    hold.rollback().await.unwrap();
    store.ping().await.unwrap();
}

/// A birth may overtake the ending of a sign-in whose subject nobody knew when it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_the_sign_in_of_someone_unknown_holds_up_births() {
    let bed = Bed::postgres().await;
    let (user, account) = bed.member("alice").await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    // The ending has marked the sessions and waits for the log's counter.
    let mut holder = client(options(&bed)).await;
    let hold = holder.transaction().await.unwrap();
    let sql = "SELECT value FROM counters WHERE name = 'log' FOR UPDATE";
    hold.query_one(sql, &[]).await.unwrap();
    let me: i32 = hold
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    let ending = Arc::clone(&bed.a);
    let which = Which::Sid(app(), issuer(), subject("carol"), sid("s1"));
    let ended = tokio::spawn(async move {
        ending
            .end_sessions(&which, EndReason::Logout, at(100), T0, &by())
            .await
    });
    let watcher = client(options(&bed)).await;
    let held_up = "SELECT pid FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))";
    until("the ending waits", async || {
        watcher.query_opt(held_up, &[&me]).await.unwrap().is_some()
    })
    .await;
    let ender: i32 = watcher.query_one(held_up, &[&me]).await.unwrap().get(0);
    let bearing = Arc::clone(&bed.b);
    let given = crate::bed::session(&user, &account, "s1");
    let born = tokio::spawn(async move { bearing.birth(&given, epoch, T0, &by()).await });
    until("the birth waits for the ending", async || {
        watcher
            .query_opt(held_up, &[&ender])
            .await
            .unwrap()
            .is_some()
    })
    .await;
    hold.rollback().await.unwrap();
    ended.await.unwrap().unwrap();
    crate::bed::stood(born.await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_died_in_the_pool_costs_nothing() {
    // A cluster of its own: whose connections these are can't be told apart in a shared one.
    let cluster = Cluster::start();
    let options = PostgresOptions::new(cluster.url().into());
    let store = PostgresStore::connect(&options).await.unwrap();
    store.saw_user(&seen("alice", T0)).await.unwrap();
    let raw = client(&options).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'auth-manager'";
    for _ in 0..5 {
        assert!(!raw.query(kill, &[]).await.unwrap().is_empty());
        let found = store.user_by_subject(&issuer(), &subject("alice")).await;
        assert!(found.unwrap().is_some());
    }
    drop(store);
    tokio::task::spawn_blocking(move || cluster.stop())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_without_tls_is_refused_when_tls_is_asked_for() {
    let mut options = postgres_options();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    options.tls = Some(Arc::new(arc_swap::ArcSwap::from_pointee(tls)));
    unavailable(PostgresStore::connect(&options).await);
}

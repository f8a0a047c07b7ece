//! The revocation log.

use crate::bed::{Bed, SOON, T0, app, at, by, issuer, sid, subject};
use auth_manager::store::{EndReason, Revocation, Revoked, Store, Which};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

pub(crate) async fn the_log_is_read_from_a_number(bed: Bed) {
    assert_eq!(bed.a.newest_revocation().await.unwrap(), 0);
    assert!(bed.a.revocations_after(0, 10).await.unwrap().is_empty());
    for n in 1..=5 {
        append(&bed.a, &format!("s{n}")).await;
    }
    assert_eq!(bed.b.newest_revocation().await.unwrap(), 5);
    let numbers = async |after, limit| -> Vec<i64> {
        let log: Vec<Revocation> = bed.b.revocations_after(after, limit).await.unwrap();
        log.iter().map(|entry| entry.number).collect()
    };
    assert_eq!(numbers(0, 0).await, [1, 2, 3, 4, 5]);
    assert_eq!(numbers(2, 2).await, [3, 4]);
    assert!(numbers(5, 10).await.is_empty());
    let third = &bed.b.revocations_after(2, 1).await.unwrap()[0];
    assert_eq!(
        third.what,
        Revoked::Sid(app(), issuer(), subject("carol"), sid("s3"))
    );
    assert_eq!((third.at, third.reason), (at(1), Some(EndReason::Logout)));
}

/// A reader that follows the log while many write must see 1, 2, 3 … and nothing else: a number
/// that appeared behind one already read would be a revocation that this replica never hears of.
pub(crate) async fn numbers_are_in_commit_order_and_without_gaps(bed: Bed) {
    const WRITERS: i64 = 6;
    const EACH: i64 = 10;
    let writers: Vec<_> = (0..WRITERS)
        .map(|w| {
            let store = Arc::clone(if w % 2 == 0 { &bed.a } else { &bed.b });
            tokio::spawn(async move {
                for n in 0..EACH {
                    append(&store, &format!("s{w}-{n}")).await;
                }
            })
        })
        .collect();
    let mut read = Vec::new();
    let follow = async {
        while (read.len() as i64) < WRITERS * EACH {
            let last = read.last().copied().unwrap_or(0);
            let entries = bed.b.revocations_after(last, 7).await.unwrap();
            read.extend(entries.iter().map(|entry| entry.number));
        }
    };
    timeout(SOON, follow).await.expect("every entry is read");
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(read, (1..=WRITERS * EACH).collect::<Vec<_>>());
    let distinct: BTreeSet<_> = read.iter().collect();
    assert_eq!(distinct.len(), read.len());
}

pub(crate) async fn a_wait_ends_with_an_entry(bed: Bed) {
    bed.a.revocations_after(0, 10).await.unwrap();
    let waiting = Arc::clone(&bed.a);
    let heard = tokio::spawn(async move {
        // A hint may come without an entry.
        while waiting.revocations_after(0, 1).await.unwrap().is_empty() {
            waiting.wait_for_revocation(SOON * 10).await;
        }
    });
    append(&bed.a, "s1").await;
    timeout(SOON, heard).await.expect("the wait ends").unwrap();
}

pub(crate) async fn a_wait_ends_by_itself(bed: Bed) {
    // A listener that has just connected gives a hint; after a few there is nothing to hear.
    let short = Duration::from_millis(50);
    for _ in 0..100 {
        bed.a.revocations_after(0, 1).await.unwrap();
        let start = Instant::now();
        bed.a.wait_for_revocation(short).await;
        if start.elapsed() >= short {
            return;
        }
    }
    panic!("it never waits");
}

pub(crate) async fn an_entry_before_the_wait_is_not_missed(bed: Bed) {
    for n in 0..10 {
        let before = bed.a.newest_revocation().await.unwrap();
        bed.a.revocations_after(before, 10).await.unwrap();
        append(&bed.a, &format!("s{n}")).await;
        let wait = bed.a.wait_for_revocation(SOON * 10);
        timeout(SOON, wait).await.expect("the wait ends");
    }
}

async fn append(store: &Arc<dyn Store>, on: &str) {
    let which = Which::Sid(app(), issuer(), subject("carol"), sid(on));
    store
        .end_sessions(&which, EndReason::Logout, T0, at(1), &by())
        .await
        .unwrap();
}

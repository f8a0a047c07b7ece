//! Locks by name.

use crate::bed::{Bed, SOON};
use auth_manager::store::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const SHORT: Duration = Duration::from_millis(60);

pub(crate) async fn a_lock_excludes_and_is_given_back(bed: Bed) {
    let held = bed.a.lock("one", SOON).await.unwrap();
    assert!(matches!(
        bed.a.lock("one", SHORT).await,
        Err(StoreError::Busy)
    ));
    drop(held);
    bed.a.lock("one", SOON).await.unwrap();
}

pub(crate) async fn a_lock_excludes_across_replicas(bed: Bed) {
    let held = bed.a.lock("one", SOON).await.unwrap();
    assert!(matches!(
        bed.b.lock("one", SHORT).await,
        Err(StoreError::Busy)
    ));
    let other = Arc::clone(&bed.b);
    let waiting = tokio::spawn(async move { other.lock("one", SOON).await.map(drop) });
    drop(held);
    waiting.await.unwrap().unwrap();
    bed.a.lock("one", SOON).await.unwrap();
}

pub(crate) async fn waiting_for_a_lock_has_an_end(bed: Bed) {
    let _held = bed.a.lock("one", SOON).await.unwrap();
    for store in [&bed.a, &bed.b] {
        let start = Instant::now();
        assert!(matches!(
            store.lock("one", SHORT).await,
            Err(StoreError::Busy)
        ));
        assert!(start.elapsed() < SOON / 4);
    }
    // No wait at all is a wait too.
    assert!(matches!(
        bed.b.lock("one", Duration::ZERO).await,
        Err(StoreError::Busy)
    ));
}

pub(crate) async fn another_name_is_another_lock(bed: Bed) {
    let _one = bed.a.lock("user/a b\n\u{e9}", SOON).await.unwrap();
    let _two = bed.a.lock("user/../b", SOON).await.unwrap();
    let _three = bed.b.lock("", SOON).await.unwrap();
}

pub(crate) async fn giving_up_leaves_no_lock_behind(bed: Bed) {
    // Dropped at whatever step it has come to.
    for micros in [0, 50, 100, 200, 400, 800, 1_600, 3_200] {
        let given_up = bed.a.lock("one", SOON);
        let _ = timeout(Duration::from_micros(micros), given_up).await;
        bed.b.lock("one", SOON).await.unwrap();
    }
}

pub(crate) async fn many_take_turns(bed: Bed) {
    let inside = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &bed.a } else { &bed.b });
            let inside = Arc::clone(&inside);
            tokio::spawn(async move {
                let held = store.lock("one", SOON).await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                store.ping().await.unwrap();
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(held);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

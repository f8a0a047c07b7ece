//! Forgetting what no longer matters.

use crate::bed::{Bed, T0, app, at, by, issuer, session, sid, subject};
use auth_manager::store::{EndReason, Which};
use std::time::Duration;

const KEEP: Duration = Duration::from_secs(1_000);

pub(crate) async fn what_no_longer_matters_is_forgotten(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let live = bed.born(&session(&user, &account, "live")).await;
    let ended = bed.born(&session(&user, &account, "ended")).await;
    let recent = bed.born(&session(&user, &account, "recent")).await;
    let end = async |id, until, now| {
        let which = Which::Session(id);
        bed.a
            .end_sessions(&which, EndReason::Logout, until, now, &by())
            .await
            .unwrap();
    };
    end(ended.id, at(500), at(0)).await;
    end(recent.id, at(5_000), at(1_500)).await;
    // Nothing is old yet.
    assert_eq!(bed.a.purge(at(400), KEEP).await.unwrap(), 0);
    // One tombstone, one session, one entry.
    assert_eq!(bed.a.purge(at(2_000), KEEP).await.unwrap(), 3);
    assert_eq!(bed.a.purge(at(2_000), KEEP).await.unwrap(), 0);
    assert_eq!(bed.b.session(ended.id).await.unwrap(), None);
    assert!(bed.b.session(recent.id).await.unwrap().is_some());
    assert!(bed.b.session(live.id).await.unwrap().is_some());
    let tombstone = async |on| {
        bed.b
            .tombstone(&app(), &issuer(), &subject("alice"), &sid(on), T0)
            .await
            .unwrap()
    };
    assert!(tombstone("ended").await.is_none());
    assert!(tombstone("recent").await.is_some());
    // Past its time for long, though nobody ended it.
    assert_eq!(bed.a.purge(at(4_700), KEEP).await.unwrap(), 2);
    assert_eq!(bed.b.session(live.id).await.unwrap(), None);
    assert_eq!(bed.b.user(user.id).await.unwrap().unwrap().id, user.id);
}

pub(crate) async fn a_call_removes_a_bounded_number(bed: Bed) {
    let rows: Vec<String> = (0..2_500)
        .map(|n| format!("('chat', 'pomerium', 'x', 's{n}', 'logout', 0, 0)"))
        .collect();
    let columns = "app, issuer, subject, sid, reason, set_at, stands_until";
    bed.sql(&format!(
        "INSERT INTO tombstones ({columns}) VALUES {}",
        rows.join(",")
    ))
    .await;
    let mut calls = Vec::new();
    loop {
        let removed = bed.a.purge(T0, KEEP).await.unwrap();
        if removed == 0 {
            break;
        }
        calls.push(removed);
    }
    assert_eq!(calls, [1_000, 1_000, 500]);
}

pub(crate) async fn the_log_keeps_its_newest_entry(bed: Bed) {
    for n in 0..3 {
        let which = Which::Sid(app(), issuer(), subject("carol"), sid(&format!("s{n}")));
        bed.a
            .end_sessions(&which, EndReason::Expired, T0, T0, &by())
            .await
            .unwrap();
    }
    assert_eq!(bed.a.purge(at(9_999), KEEP).await.unwrap(), 2);
    assert_eq!(bed.a.purge(at(9_999), KEEP).await.unwrap(), 0);
    // A replica that had read nothing sees that 1 and 2 are missing; numbers go on.
    let log = bed.b.revocations_after(0, 10).await.unwrap();
    assert_eq!(
        log.iter().map(|entry| entry.number).collect::<Vec<_>>(),
        [3]
    );
    bed.a
        .end_sessions(&Which::All, EndReason::Expired, T0, T0, &by())
        .await
        .unwrap();
    assert_eq!(bed.b.newest_revocation().await.unwrap(), 4);
}

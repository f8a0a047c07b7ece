//! What the access rule said of a session's sign-in: one word for all replicas.

use crate::bed::{Bed, T0, app, at, by, issuer, sid, subject};
use auth_manager::store::{Admission, EndReason, Revoked, Verdict, Which};
use auth_manager::types::SessionId;

fn refused(name: &str, of: &str) -> Verdict {
    Verdict::Refused(app(), issuer(), subject(name), sid(of))
}

pub(crate) async fn who_is_turned_away_is_so_on_every_replica(bed: Bed) {
    let (_, session) = bed.visitor("alice", "s1").await;
    let other = bed.visitor("bob", "s1").await.1;
    let begin = bed.a.newest_revocation().await.unwrap();
    let admission = async |id: SessionId| bed.b.session(id).await.unwrap().unwrap().admission;
    assert_eq!(admission(session.id).await, Admission::default());

    let no = refused("alice", "s1");
    assert!(bed.a.note_verdict(&no, at(10), at(11)).await.unwrap());
    assert!(admission(session.id).await.is_refused());
    assert!(!admission(other.id).await.is_refused(), "of the same sid");
    // It is so already: nothing is written, nothing appended.
    assert!(!bed.b.note_verdict(&no, at(20), at(20)).await.unwrap());
    assert_eq!(admission(session.id).await.refused_at, at(10));

    // An assertion that is not newer readmits nobody.
    let yes = Verdict::Admitted(session.id);
    assert!(!bed.b.note_verdict(&yes, at(10), at(20)).await.unwrap());
    assert!(admission(session.id).await.is_refused());
    assert!(bed.b.note_verdict(&yes, at(11), at(20)).await.unwrap());
    assert!(!admission(session.id).await.is_refused());
    assert!(!bed.a.note_verdict(&yes, at(12), at(20)).await.unwrap());
    // Nor does an older refusal count any more; a newer one does.
    assert!(!bed.a.note_verdict(&no, at(10), at(20)).await.unwrap());
    assert!(bed.a.note_verdict(&no, at(30), at(30)).await.unwrap());

    let log = bed.b.revocations_after(begin, 10).await.unwrap();
    let told: Vec<_> = log.iter().map(|e| (&e.what, e.at, e.reason)).collect();
    let entry = Revoked::Admission(session.id);
    assert_eq!(
        told,
        [
            (&entry, at(11), None),
            (&entry, at(20), None),
            (&entry, at(30), None)
        ]
    );

    // It stays with the session through a carry-over.
    let epoch = bed.a.epoch(session.user).await.unwrap();
    let to = sid("s2");
    let moved = bed
        .a
        .carry_over(session.id, &to, session.expires_at, epoch, at(31));
    moved.await.unwrap();
    assert!(admission(session.id).await.is_refused());
}

pub(crate) async fn there_is_nobody_to_turn_away_without_a_live_session(bed: Bed) {
    let (_, session) = bed.visitor("alice", "s1").await;
    let begin = bed.a.newest_revocation().await.unwrap();
    for nobody in [
        refused("alice", "s2"),
        refused("bob", "s1"),
        Verdict::Admitted(SessionId([7; 32])),
    ] {
        assert!(!bed.a.note_verdict(&nobody, at(10), at(10)).await.unwrap());
    }
    assert_eq!(bed.a.newest_revocation().await.unwrap(), begin);
    let which = Which::Session(session.id);
    bed.a
        .end_sessions(&which, EndReason::Logout, at(99), T0, &by())
        .await
        .unwrap();
    let no = refused("alice", "s1");
    assert!(!bed.a.note_verdict(&no, at(10), at(10)).await.unwrap());
}

/// Many replicas at once: one of them has the news.
pub(crate) async fn of_many_refusals_at_once_one_is_news(bed: Bed) {
    bed.visitor("alice", "s1").await;
    let no = refused("alice", "s1");
    let all = (0..16).map(|n| {
        let store = if n % 2 == 0 { &bed.a } else { &bed.b };
        store.note_verdict(&no, at(10), at(10))
    });
    let news = futures_util::future::join_all(all).await;
    let news = news.into_iter().filter(|news| *news.as_ref().unwrap());
    assert_eq!(news.count(), 1);
}

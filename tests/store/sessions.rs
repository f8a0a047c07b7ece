//! Looking sessions up, and their last-seen marks.

use crate::bed::{Bed, T0, app, at, by, issuer, remote, session, sid};
use auth_manager::store::{EndReason, Session, SessionFilter, Which};
use auth_manager::types::{AppId, SessionId};

pub(crate) async fn sessions_are_listed_newest_first(bed: Bed) {
    let (alice, account) = bed.member("alice").await;
    let mut made = Vec::new();
    for n in 0..3 {
        let mut one = session(&alice, &account, &format!("s{n}"));
        one.created_at = at(n);
        made.insert(0, bed.born(&one).await);
    }
    let (_, bobs) = bed.visitor("bob", "s0").await;
    let end = Which::Session(made[0].id);
    bed.a
        .end_sessions(&end, EndReason::Expired, T0, at(9), &by())
        .await
        .unwrap();
    let find = async |filter: SessionFilter| -> Vec<SessionId> {
        bed.b
            .sessions(&filter)
            .await
            .unwrap()
            .iter()
            .map(|s| s.id)
            .collect()
    };
    let ids = |sessions: &[Session]| -> Vec<SessionId> { sessions.iter().map(|s| s.id).collect() };
    let any = SessionFilter::default;
    assert_eq!(find(any()).await.len(), 4);
    let alices = SessionFilter {
        user: Some(alice.id),
        ..any()
    };
    assert_eq!(find(alices.clone()).await, ids(&made));
    assert_eq!(
        find(SessionFilter {
            live: true,
            ..alices.clone()
        })
        .await,
        ids(&made[1..])
    );
    assert_eq!(
        find(SessionFilter {
            limit: 2,
            ..alices.clone()
        })
        .await,
        ids(&made[..2])
    );
    assert_eq!(
        find(SessionFilter {
            sid: Some(sid("s1")),
            ..any()
        })
        .await,
        [made[1].id]
    );
    let by_remote = SessionFilter {
        remote: Some(remote("remote-bob")),
        ..any()
    };
    assert_eq!(find(by_remote).await, [bobs.id]);
    let wiki = Some(AppId::new("wiki").unwrap());
    assert!(find(SessionFilter { app: wiki, ..any() }).await.is_empty());
    assert_eq!(
        find(SessionFilter {
            app: Some(app()),
            live: true,
            ..any()
        })
        .await
        .len(),
        3
    );
}

pub(crate) async fn sessions_come_in_pages_that_births_do_not_shift(bed: Bed) {
    let (alice, account) = bed.member("alice").await;
    let mut all = Vec::new();
    // Some are as old as others: their ids tell them apart.
    for (n, age) in [0, 1, 1, 1, 2, 3].into_iter().enumerate() {
        let mut one = session(&alice, &account, &format!("s{n}"));
        one.created_at = at(age);
        all.push(bed.born(&one).await);
    }
    all.sort_by_key(|s| std::cmp::Reverse((s.created_at, s.id)));
    let expected: Vec<_> = all.iter().map(|s| s.id).collect();
    let mut filter = SessionFilter {
        user: Some(alice.id),
        limit: 2,
        ..SessionFilter::default()
    };
    let mut found = Vec::new();
    for turn in 0.. {
        let page = bed.b.sessions(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some((last.created_at, last.id));
        found.extend(page.iter().map(|s| s.id));
        let mut newer = session(&alice, &account, &format!("newer-{turn}"));
        newer.created_at = at(100);
        bed.born(&newer).await;
    }
    assert_eq!(found, expected);
}

pub(crate) async fn a_sign_in_has_its_session_while_it_lives(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let find = async || {
        bed.b
            .session_by_sid(&app(), &issuer(), &user.subject, &sid("s1"))
            .await
            .unwrap()
    };
    assert_eq!(find().await, Some(session.clone()));
    let which = Which::Session(session.id);
    bed.a
        .end_sessions(&which, EndReason::Expired, T0, T0, &by())
        .await
        .unwrap();
    assert_eq!(find().await, None);
    assert!(bed.b.session(session.id).await.unwrap().is_some());
    assert_eq!(bed.b.session(SessionId([9; 32])).await.unwrap(), None);
}

pub(crate) async fn a_mark_never_goes_back(bed: Bed) {
    let (_, one) = bed.visitor("alice", "s1").await;
    let (_, two) = bed.visitor("bob", "s2").await;
    let marks = async || {
        let mut marks = bed.b.last_seen(&[one.id, two.id]).await.unwrap();
        marks.sort();
        let of = |id| marks.iter().find(|(found, _)| *found == id).unwrap().1;
        (of(one.id), of(two.id))
    };
    assert_eq!(marks().await, (T0, T0));
    // The same session twice in a batch: the later mark counts.
    bed.a
        .touch(&[(one.id, at(30)), (two.id, at(10)), (one.id, at(20))])
        .await
        .unwrap();
    assert_eq!(marks().await, (at(30), at(10)));
    bed.b
        .touch(&[(one.id, at(5)), (two.id, at(50))])
        .await
        .unwrap();
    assert_eq!(marks().await, (at(30), at(50)));
}

pub(crate) async fn marks_of_unknown_sessions_are_no_matter(bed: Bed) {
    let unknown = SessionId([5; 32]);
    bed.a.touch(&[]).await.unwrap();
    bed.a.touch(&[(unknown, at(1))]).await.unwrap();
    assert!(bed.a.last_seen(&[unknown]).await.unwrap().is_empty());
    assert!(bed.a.last_seen(&[]).await.unwrap().is_empty());
}

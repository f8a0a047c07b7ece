//! The audit trail: one chain whatever writes, records that stand and fall with their change, and
//! everything that somebody could do to the tables.

use crate::bed::{Bed, T0, app, at, audit, by, session, sid, subject};
use auth_manager::audit::chain::{Fault, Mark};
use auth_manager::audit::checkpoints::Checkpoints;
use auth_manager::audit::verify::{self, Verdict, VerifyError};
use auth_manager::audit::{Actor, Kind};
use auth_manager::keys::{AuditKey, Statement};
use auth_manager::store::{
    Account, AccountState, Birth, EndReason, MarkKind, Store, TrailFilter, TrailRecord, UserState,
    Which,
};
use auth_manager::types::Timestamp;
use serde_json::Value;
use std::sync::Arc;

fn key() -> AuditKey {
    AuditKey::from_seed(&[7; 32]).unwrap()
}

async fn records(store: &Arc<dyn Store>) -> Vec<TrailRecord> {
    let filter = TrailFilter {
        limit: 10_000,
        ..TrailFilter::default()
    };
    store.trail(&filter).await.unwrap()
}

async fn kinds(store: &Arc<dyn Store>) -> Vec<String> {
    records(store).await.into_iter().map(|r| r.kind).collect()
}

fn body(record: &TrailRecord) -> Value {
    serde_json::from_str(&record.body).unwrap()
}

/// Records about nothing in particular, and a checkpoint after every `each`.
async fn fill(bed: &Bed, count: i64, each: i64) {
    let audit = audit();
    for n in 1..=count {
        let event = audit.by(Actor::Bridge).event(Kind::ApiWrite);
        let head = audit.record(&*bed.a, event.detail("n", n)).await.unwrap();
        if n % each == 0 {
            seal(bed, head.number, at(n)).await;
        }
    }
}

/// Signs the end as it is.
async fn seal(bed: &Bed, number: i64, time: Timestamp) {
    let head = bed.a.trail_head().await.unwrap();
    assert_eq!(head.number, number);
    let token = Mark::of(head, time).sign(&key(), Statement::Checkpoint);
    bed.a.put_checkpoint(number, &token).await.unwrap();
}

async fn judge(bed: &Bed) -> Result<Verdict, Fault> {
    against(bed, &Checkpoints::default()).await
}

async fn against(bed: &Bed, outside: &Checkpoints) -> Result<Verdict, Fault> {
    match verify::store(&*bed.b, key().public(), outside).await {
        Ok(verdict) => Ok(verdict),
        Err(VerifyError::Fault(fault)) => Err(fault),
        Err(VerifyError::Store(error)) => panic!("{error}"),
    }
}

pub(crate) async fn every_change_is_on_record(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let one = bed.born(&session(&user, &account, "one")).await;
    let two = bed.born(&session(&user, &account, "two")).await;
    let end = async |which, reason| {
        bed.a
            .end_sessions(&which, reason, at(10), T0, &by())
            .await
            .unwrap()
    };
    end(Which::Session(one.id), EndReason::Logout).await;
    end(
        Which::Sid(app(), user.issuer.clone(), subject("alice"), sid("none")),
        EndReason::Revoked,
    )
    .await;
    bed.b
        .set_user_state(user.id, UserState::Disabled, "has left", T0, &by())
        .await
        .unwrap();
    bed.b
        .set_user_state(user.id, UserState::Disabled, "again", T0, &by())
        .await
        .unwrap();
    bed.b
        .set_user_state(user.id, UserState::Active, "is back", T0, &by())
        .await
        .unwrap();
    end(Which::All, EndReason::Revoked).await;
    let unlinked = Account {
        state: AccountState::Conflict,
        remote: None,
        ..account
    };
    bed.a.save_account(&unlinked, &by()).await.unwrap();

    assert_eq!(
        kinds(&bed.b).await,
        [
            "account.linked",
            "session.started",
            "session.started",
            "session.ended",
            "sign_in.ended",
            "user.disabled",
            "session.ended",
            "user.enabled",
            "sessions.all_ended",
            "account.unlinked",
        ]
    );
    let all = records(&bed.b).await;
    assert!(
        all.iter()
            .enumerate()
            .all(|(n, r)| r.number == n as i64 + 1)
    );
    for record in all.iter().filter(|r| r.kind != "sessions.all_ended") {
        assert_eq!(record.user, Some(user.id), "{record:?}");
        assert_eq!(body(record)["user"], user.id.to_string());
    }
    let ended = body(&all[3]);
    assert_eq!(ended["code"], "logout");
    assert_eq!(ended["session"], one.id.to_string());
    assert_eq!(ended["actor"]["type"], "bridge");
    assert_eq!(body(&all[5])["reason"], "has left");
    assert_eq!(body(&all[6])["code"], "user_disabled");
    assert_eq!(body(&all[6])["session"], two.id.to_string());
    // Nothing of it names anybody or holds what is sealed.
    for record in &all {
        for secret in ["ALICE", "alice@", "sub-alice", "\"sid\"", "AQID", "010203"] {
            assert!(!record.body.contains(secret), "{secret} in {}", record.body);
        }
    }
    assert_eq!(judge(&bed).await.unwrap().last, 10);
}

pub(crate) async fn what_changes_nothing_is_not_on_record(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let live = bed.born(&session(&user, &account, "one")).await;
    let before = records(&bed.a).await.len();
    let epoch = bed.a.epoch(user.id).await.unwrap();
    let again = session(&user, &account, "one");
    let birth = bed.a.birth(&again, epoch, T0, &by()).await.unwrap();
    assert!(matches!(birth, Birth::Exists(_)));
    bed.a.touch(&[(live.id, at(5))]).await.unwrap();
    let noted = Account {
        detail: "a step failed".into(),
        settled: true,
        ..account
    };
    bed.a.save_account(&noted, &by()).await.unwrap();
    let none = Which::Session(session(&user, &noted, "other").id);
    bed.a
        .end_sessions(&none, EndReason::Revoked, T0, T0, &by())
        .await
        .unwrap();
    assert_eq!(records(&bed.b).await.len(), before);
}

/// Whatever must be accounted for fails as a whole when it can't be.
pub(crate) async fn what_cannot_be_recorded_does_not_happen(bed: Bed) {
    let (user, account) = bed.member("alice").await;
    let live = bed.born(&session(&user, &account, "one")).await;
    let epoch = bed.a.epoch(user.id).await.unwrap();
    let log = bed.a.newest_revocation().await.unwrap();
    let keys = bed.a.signing_keys().await.unwrap().len();
    bed.sql("ALTER TABLE audit_records RENAME TO audit_gone")
        .await;

    let born = bed
        .a
        .birth(&session(&user, &account, "two"), epoch, T0, &by())
        .await;
    assert!(born.is_err(), "{born:?}");
    let which = Which::User(user.id, None);
    let ended = bed
        .a
        .end_sessions(&which, EndReason::Revoked, T0, T0, &by())
        .await;
    assert!(ended.is_err());
    let disabled = bed
        .a
        .set_user_state(user.id, UserState::Disabled, "", T0, &by())
        .await;
    assert!(disabled.is_err());
    let unlinked = Account {
        state: AccountState::Conflict,
        remote: None,
        ..account.clone()
    };
    assert!(bed.a.save_account(&unlinked, &by()).await.is_err());
    let stored = auth_manager::store::StoredKey {
        id: auth_manager::types::KeyId::new("k").unwrap(),
        kind: auth_manager::store::KeyKind::Session,
        state: auth_manager::store::KeyState::Announced,
        sealed: vec![1],
        public: vec![2],
        created_at: T0,
        state_since: T0,
    };
    assert!(bed.a.put_signing_key(&stored, T0, &by()).await.is_err());

    bed.sql("ALTER TABLE audit_gone RENAME TO audit_records")
        .await;
    assert!(
        bed.b
            .session(live.id)
            .await
            .unwrap()
            .unwrap()
            .ended_at
            .is_none()
    );
    assert_eq!(bed.b.epoch(user.id).await.unwrap(), epoch);
    assert_eq!(bed.b.newest_revocation().await.unwrap(), log);
    assert_eq!(bed.b.signing_keys().await.unwrap().len(), keys);
    let user = bed.b.user(user.id).await.unwrap().unwrap();
    assert_eq!(user.state, UserState::Active);
    let kept = bed.b.account(&app(), user.id).await.unwrap().unwrap();
    assert_eq!(kept, account);
    assert!(judge(&bed).await.is_ok());
}

/// Two replicas, many writers, changes and records alone: one chain.
pub(crate) async fn two_replicas_keep_one_chain(bed: Bed) {
    let mut people = Vec::new();
    for n in 0..4 {
        people.push(bed.visitor(&format!("p{n}"), "s").await.0);
    }
    let bed = Arc::new(bed);
    let writers: Vec<_> = (0..6_usize)
        .map(|w| {
            let store = Arc::clone(if w % 2 == 0 { &bed.a } else { &bed.b });
            let person = people[w % people.len()].id;
            tokio::spawn(async move {
                let audit = audit();
                for n in 0..10 {
                    if w < 4 {
                        let event = audit.by(Actor::Bridge).event(Kind::ApiWrite);
                        audit.record(&*store, event.detail("n", n)).await.unwrap();
                    } else {
                        let state = match n % 2 {
                            0 => UserState::Disabled,
                            _ => UserState::Active,
                        };
                        store
                            .set_user_state(person, state, "", T0, &by())
                            .await
                            .unwrap();
                    }
                }
            })
        })
        .collect();
    // Judged while it grows: what is there at a moment is whole.
    for _ in 0..5 {
        judge(&bed).await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let all = records(&bed.a).await;
    let numbers: Vec<i64> = all.iter().map(|r| r.number).collect();
    assert_eq!(numbers, (1..=all.len() as i64).collect::<Vec<_>>());
    assert!(all.len() >= 4 * 10 + 2 * 10);
    assert_eq!(judge(&bed).await.unwrap().last, all.len() as i64);
}

pub(crate) async fn the_trail_is_searched_by_what_records_say(bed: Bed) {
    let alice = bed.visitor("alice", "s").await.0;
    bed.visitor("bob", "s").await;
    fill(&bed, 3, 10).await;
    let found = async |filter: TrailFilter| -> Vec<i64> {
        let page = bed.b.trail(&filter).await.unwrap();
        page.iter().map(|r| r.number).collect()
    };
    let all = TrailFilter::default;
    let user = Some(alice.id);
    assert_eq!(found(TrailFilter { user, ..all() }).await, [1, 2]);
    let kinds = vec!["api.write".to_owned(), "user.disabled".to_owned()];
    assert_eq!(found(TrailFilter { kinds, ..all() }).await, [5, 6, 7]);
    let app = Some(app());
    assert_eq!(found(TrailFilter { app, ..all() }).await, [1, 2, 3, 4]);
    assert_eq!(found(TrailFilter { after: 5, ..all() }).await, [6, 7]);
    let backwards = TrailFilter {
        before: Some(i64::MAX),
        limit: 2,
        ..all()
    };
    assert_eq!(found(backwards).await, [7, 6]);
    let since = Some(at(1));
    assert!(found(TrailFilter { since, ..all() }).await.is_empty());
    let until = Some(at(0));
    assert!(found(TrailFilter { until, ..all() }).await.is_empty());
    let until = Some(at(1));
    assert_eq!(found(TrailFilter { until, ..all() }).await.len(), 7);

    // The outcome alone: what only says so in another text is not it.
    let audit = audit();
    let said = "\"code\":\"access.groups\"";
    for event in [
        audit
            .by(Actor::Bridge)
            .event(Kind::Denied)
            .code("access.groups"),
        audit
            .by(Actor::Bridge)
            .event(Kind::Denied)
            .code("access.groups.more"),
        audit
            .by(Actor::Bridge)
            .event(Kind::ApiWrite)
            .reason(said)
            .detail("text", said),
    ] {
        audit.record(&*bed.a, event).await.unwrap();
    }
    let code = |code: &str| TrailFilter {
        code: Some(code.to_owned()),
        ..all()
    };
    assert_eq!(found(code("access.groups")).await, [8]);
    assert!(found(code("access")).await.is_empty());
    assert!(found(code("%")).await.is_empty());
}

/// Each thing that somebody who can write to the store, but has no key, could do.
pub(crate) async fn every_manipulation_is_found(bed: Bed) {
    fill(&bed, 12, 4).await;
    assert_eq!(judge(&bed).await.unwrap().covered, 12);

    for (what, sql, undo, found) in [
        (
            "a changed body",
            "UPDATE audit_records SET body = replace(body, 'api.write', 'api.wrote') WHERE number = 5",
            "UPDATE audit_records SET body = replace(body, 'api.wrote', 'api.write') WHERE number = 5",
            "record 5 was changed",
        ),
        (
            "a changed time beside the body",
            "UPDATE audit_records SET at = at + 1 WHERE number = 6",
            "UPDATE audit_records SET at = at - 1 WHERE number = 6",
            "record 6 was changed",
        ),
        (
            "a changed kind beside the body",
            "UPDATE audit_records SET kind = 'x' WHERE number = 6",
            "UPDATE audit_records SET kind = 'api.write' WHERE number = 6",
            "record 6 was changed",
        ),
        (
            "a person beside the body",
            "UPDATE audit_records SET user_id = '00000000-0000-4000-8000-000000000001' WHERE number = 6",
            "UPDATE audit_records SET user_id = NULL WHERE number = 6",
            "record 6 was changed",
        ),
        (
            "another number",
            "UPDATE audit_records SET number = 99 WHERE number = 7",
            "UPDATE audit_records SET number = 7 WHERE number = 99",
            "record 7 was removed",
        ),
        (
            "two that changed places",
            "UPDATE audit_records SET number = -7 WHERE number = 7;
             UPDATE audit_records SET number = 7 WHERE number = 8;
             UPDATE audit_records SET number = 8 WHERE number = -7",
            "UPDATE audit_records SET number = -7 WHERE number = 7;
             UPDATE audit_records SET number = 7 WHERE number = 8;
             UPDATE audit_records SET number = 8 WHERE number = -7",
            "record 7 was changed",
        ),
        (
            "a head that was set back",
            "UPDATE audit_head SET number = 11",
            "UPDATE audit_head SET number = 12",
            "the end was cut off",
        ),
        (
            "another hash at the head",
            "UPDATE audit_head SET hash = (SELECT hash FROM audit_records WHERE number = 1)",
            "UPDATE audit_head SET hash = (SELECT hash FROM audit_records WHERE number = 12)",
            "record 12 was changed",
        ),
        (
            "a checkpoint for another record",
            "UPDATE audit_marks SET number = 9 WHERE number = 8",
            "UPDATE audit_marks SET number = 8 WHERE number = 9",
            "record 9 is not the one",
        ),
        (
            "a checkpoint that was tampered with",
            "UPDATE audit_marks SET token = 'x' || token WHERE number = 8",
            "UPDATE audit_marks SET token = substr(token, 2) WHERE number = 8",
            "the checkpoint of record 8",
        ),
    ] {
        bed.sql(sql).await;
        let fault = judge(&bed).await.expect_err(what).to_string();
        assert!(fault.contains(found), "{what}: {fault}");
        bed.sql(undo).await;
        judge(&bed).await.expect(what);
    }

    // A checkpoint that another key signed.
    let head = bed.a.trail_head().await.unwrap();
    let stranger = AuditKey::from_seed(&[8; 32]).unwrap();
    let forged = Mark::of(head, T0).sign(&stranger, Statement::Checkpoint);
    bed.sql("DELETE FROM audit_marks WHERE number = 12").await;
    bed.a.put_checkpoint(12, &forged).await.unwrap();
    let fault = judge(&bed).await.unwrap_err();
    assert!(matches!(fault, Fault::Foreign { .. }), "{fault:?}");
    bed.sql("DELETE FROM audit_marks WHERE number = 12").await;

    // A beginning that the bridge did not remove.
    bed.sql("DELETE FROM audit_records WHERE number <= 4").await;
    assert_eq!(
        judge(&bed).await.unwrap_err(),
        Fault::Beginning { first: 5 }
    );
}

/// A record replaced with everything behind it, as whoever can write to the store can: the hashes
/// agree, the checkpoints don't.
pub(crate) async fn a_trail_written_anew_contradicts_its_checkpoints(bed: Bed) {
    fill(&bed, 8, 4).await;
    let folder = tempfile::tempdir().unwrap();
    let kept = bed
        .a
        .newest_trail_mark(MarkKind::Checkpoint)
        .await
        .unwrap()
        .unwrap();
    let file = folder.path().join("kept.jws");
    std::fs::write(&file, format!("{}\n", kept.token)).unwrap();
    let outside = Checkpoints::read(&file, key().public()).unwrap().unwrap();

    bed.sql("DELETE FROM audit_records WHERE number > 5").await;
    bed.sql(
        "UPDATE audit_head SET number = 5,
             hash = (SELECT hash FROM audit_records WHERE number = 5)",
    )
    .await;
    let cut = judge(&bed).await.unwrap_err();
    assert!(
        matches!(
            cut,
            Fault::Truncated {
                last: 5,
                known: 8,
                ..
            }
        ),
        "{cut:?}"
    );
    // The checkpoint cut off with it: only what was kept elsewhere knows.
    bed.sql("DELETE FROM audit_marks WHERE number = 8").await;
    assert_eq!(judge(&bed).await.unwrap().last, 5);
    let cut = against(&bed, &outside).await.unwrap_err();
    assert!(
        matches!(
            cut,
            Fault::Truncated {
                last: 5,
                known: 8,
                ..
            }
        ),
        "{cut:?}"
    );
    // As long again, and another.
    fill(&bed, 3, 100).await;
    assert_eq!(judge(&bed).await.unwrap().last, 8);
    let anew = against(&bed, &outside).await.unwrap_err();
    assert!(
        matches!(anew, Fault::Contradicted { number: 8, .. }),
        "{anew:?}"
    );
}

pub(crate) async fn a_removed_beginning_leaves_an_anchor(bed: Bed) {
    fill(&bed, 10, 4).await;
    let seals = bed
        .a
        .trail_marks(MarkKind::Checkpoint, 0, 10)
        .await
        .unwrap();
    let numbers: Vec<i64> = seals.iter().map(|seal| seal.number).collect();
    assert_eq!(numbers, [4, 8]);
    let mark = Mark::read(
        key().public(),
        Statement::Checkpoint,
        &seals[0].token,
        String::new,
    );
    let anchor = mark.unwrap().sign(&key(), Statement::Anchor);
    assert_eq!(bed.a.prune_trail(4, &anchor, &by()).await.unwrap(), 4);
    // Once, whoever comes second; and never all of it.
    assert_eq!(bed.b.prune_trail(4, &anchor, &by()).await.unwrap(), 0);
    assert_eq!(bed.b.prune_trail(3, &anchor, &by()).await.unwrap(), 0);
    assert_eq!(bed.b.prune_trail(11, &anchor, &by()).await.unwrap(), 0);

    let verdict = judge(&bed).await.unwrap();
    assert_eq!(
        (verdict.begins_behind, verdict.first, verdict.last),
        (4, 5, 11)
    );
    let all = records(&bed.b).await;
    assert_eq!(all.last().unwrap().kind, "audit.pruned");
    assert_eq!(body(all.last().unwrap())["detail"]["up_to"], 4);
    let left = bed
        .b
        .trail_marks(MarkKind::Checkpoint, 0, 10)
        .await
        .unwrap();
    assert_eq!(left.len(), 1);

    // More than the bridge removed; a record put back; an anchor that it did not sign.
    bed.sql("DELETE FROM audit_records WHERE number = 5").await;
    assert_eq!(
        judge(&bed).await.unwrap_err(),
        Fault::Beginning { first: 6 }
    );
    let forged = seals[1].token.clone();
    bed.sql(&format!(
        "DELETE FROM audit_records WHERE number <= 8;
         UPDATE audit_marks SET number = 8, token = '{forged}' WHERE kind = 'anchor'"
    ))
    .await;
    let fault = judge(&bed).await.unwrap_err();
    assert!(matches!(fault, Fault::Foreign { .. }), "{fault:?}");
}

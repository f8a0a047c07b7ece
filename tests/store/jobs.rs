//! The queue: one job a thing, one at a time a lane, the most urgent first, and nothing lost with
//! whoever held it.

use crate::bed::{Bed, SOON, T0, app, at, by, until};
use auth_manager::audit::Kind;
use auth_manager::store::{
    Enqueued, Job, JobClaim, JobEnd, JobFilter, JobKind, JobState, NewJob, Priority, TrailFilter,
};
use auth_manager::types::{AppId, SourceId, UserId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn wish(key: &str, lane: &str, priority: Priority, due: i64) -> NewJob {
    NewJob {
        kind: JobKind::Converge,
        key: key.into(),
        lane: lane.into(),
        app: Some(app()),
        source: None,
        user: None,
        priority,
        due_at: at(due),
        payload: "{}".into(),
        why: "a test".into(),
    }
}

pub(crate) fn claim(holder: &str, limit: u32) -> JobClaim {
    JobClaim {
        holder: holder.into(),
        lease: LEASE,
        limit,
        kinds: JobKind::ALL.to_vec(),
        least: Priority::Background,
        without_apps: Vec::new(),
        without_sources: Vec::new(),
        busy: Vec::new(),
    }
}

pub(crate) fn later(seconds: i64, counts: bool) -> JobEnd {
    JobEnd::Retry {
        at: at(seconds),
        error: "not yet".into(),
        counts,
    }
}

pub(crate) fn dead() -> JobEnd {
    JobEnd::Dead {
        error: "never".into(),
    }
}

fn keys(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.key.as_str()).collect()
}

impl Bed {
    async fn wished(&self, wish: &NewJob) -> Enqueued {
        let now = wish.due_at.min(T0);
        let wishes = std::slice::from_ref(wish);
        self.a.enqueue(wishes, now).await.unwrap()[0]
    }

    async fn claimed(&self, holder: &str, limit: u32, now: i64) -> Vec<Job> {
        let claim = claim(holder, limit);
        self.b.claim_jobs(&claim, at(now)).await.unwrap()
    }

    async fn seen(&self, id: Uuid) -> Job {
        self.a.job(id).await.unwrap().unwrap()
    }
}

pub(crate) async fn wishes_of_one_thing_are_one_job(bed: Bed) {
    let first = wish("k", "l", Priority::Grant, 50);
    let mut second = wish("k", "other", Priority::Deny, 20);
    second.payload = "{\"n\":2}".into();
    second.why = "a second time\0".into();
    second.user = Some(UserId::generate());
    let third = wish("k", "l", Priority::Background, 90);
    let made = bed
        .a
        .enqueue(&[first.clone(), wish("j", "l", Priority::Grant, 0)], T0)
        .await
        .unwrap();
    assert!(!made[0].joined && !made[1].joined && made[0].id != made[1].id);
    let joined = bed.b.enqueue(&[second.clone()], at(5)).await.unwrap();
    assert_eq!(
        joined[0],
        Enqueued {
            id: made[0].id,
            joined: true
        }
    );
    let job = bed.seen(made[0].id).await;
    // The earlier and more urgent of both, with the newer payload, in the lane it was in.
    assert_eq!(job.priority, Priority::Deny);
    assert_eq!((job.due_at, job.lane.as_str()), (at(20), "l"));
    assert_eq!((job.payload.as_str(), job.user), ("{\"n\":2}", second.user));
    assert_eq!(job.why, "a second time\u{fffd}");
    assert_eq!((job.created_at, job.updated_at), (T0, at(5)));
    assert_eq!(
        (job.state, job.attempts, job.again),
        (JobState::Pending, 0, false)
    );
    // In one call it is the same; who is named stays named.
    let all = bed.b.enqueue(&[third, first], at(6)).await.unwrap();
    assert!(all.iter().all(|e| e.id == made[0].id && e.joined));
    let job = bed.seen(made[0].id).await;
    assert_eq!((job.priority, job.due_at), (Priority::Deny, at(20)));
    assert_eq!((job.payload.as_str(), job.user), ("{}", second.user));
    // A new thing wished twice at once is made once.
    let new = wish("n", "l", Priority::Grant, 0);
    let twice = bed.a.enqueue(&[new.clone(), new], T0).await.unwrap();
    assert_eq!(twice[0].id, twice[1].id);
    assert_eq!((twice[0].joined, twice[1].joined), (false, true));
}

pub(crate) async fn many_wishes_go_on_record_together(bed: Bed) {
    let all: Vec<_> = (0..2_345)
        .map(|n| wish(&format!("k{n}"), &format!("l{n}"), Priority::Background, n))
        .collect();
    let made = bed.a.enqueue(&all, T0).await.unwrap();
    let distinct: BTreeSet<_> = made.iter().map(|e| e.id).collect();
    assert_eq!(distinct.len(), all.len());
    assert!(made.iter().all(|e| !e.joined));
    // Each answer is about the wish in its place.
    for n in [0, 999, 1_000, 2_344] {
        assert_eq!(bed.seen(made[n].id).await.key, all[n].key);
    }
    assert_eq!(bed.a.enqueue(&[], T0).await.unwrap(), []);
}

pub(crate) async fn a_wish_while_it_runs_runs_it_again(bed: Bed) {
    let wanted = wish("k", "l", Priority::Grant, 0);
    for (end, due, attempts) in [
        (JobEnd::Done, at(30), 0),
        (dead(), at(30), 0),
        // A failure stays one, but what is newly known need not wait for its pause.
        (later(99, true), at(30), 1),
        (later(25, true), at(25), 1),
    ] {
        let id = bed.wished(&wanted).await.id;
        assert_eq!(bed.claimed("h", 9, 10).await.len(), 1);
        let again = [wish("k", "l", Priority::Deny, 30)];
        let again = bed.a.enqueue(&again, at(11)).await.unwrap();
        assert_eq!(again, [Enqueued { id, joined: true }]);
        let job = bed.seen(id).await;
        assert_eq!((job.state, job.again), (JobState::Running, true));
        // It is not taken a second time meanwhile.
        assert_eq!(bed.claimed("i", 9, 40).await, []);
        assert!(bed.b.finish_job(id, "h", &end, at(12)).await.unwrap());
        let job = bed.seen(id).await;
        assert_eq!(
            (job.state, job.again),
            (JobState::Pending, false),
            "{end:?}"
        );
        assert_eq!((job.due_at, job.attempts), (due, attempts), "{end:?}");
        assert_eq!((job.holder, job.leased_until), (None, None));
        bed.sql("DELETE FROM jobs").await;
    }
}

pub(crate) async fn a_wish_wakes_the_dead(bed: Bed) {
    let wanted = wish("k", "l", Priority::Grant, 0);
    let id = bed.wished(&wanted).await.id;
    bed.claimed("h", 1, 0).await;
    assert!(bed.a.finish_job(id, "h", &dead(), at(1)).await.unwrap());
    let job = bed.seen(id).await;
    assert_eq!((job.state, job.error.as_str()), (JobState::Dead, "never"));
    assert_eq!(bed.claimed("h", 1, 500).await, []);
    let woken = [wish("k", "l", Priority::Grant, 7)];
    let woken = bed.a.enqueue(&woken, at(5)).await.unwrap();
    assert_eq!(woken, [Enqueued { id, joined: true }]);
    let job = bed.seen(id).await;
    assert_eq!(
        (job.state, job.attempts, job.due_at),
        (JobState::Pending, 0, at(7))
    );
    // One that is done or was taken out is past: the next wish is a job of its own.
    bed.claimed("h", 1, 7).await;
    assert!(
        bed.a
            .finish_job(id, "h", &JobEnd::Done, at(8))
            .await
            .unwrap()
    );
    assert_eq!(bed.seen(id).await.error, "");
    let second = bed.wished(&wanted).await;
    assert!(!second.joined);
    bed.a.cancel_job(second.id, T0, &by()).await.unwrap();
    assert!(!bed.wished(&wanted).await.joined);
}

pub(crate) async fn what_takes_access_away_goes_first(bed: Bed) {
    for (key, priority, due) in [
        ("background", Priority::Background, 0),
        ("grant-late", Priority::Grant, 5),
        ("grant", Priority::Grant, 1),
        ("deny-late", Priority::Deny, 9),
        ("deny", Priority::Deny, 8),
        ("not-yet", Priority::Deny, 11),
    ] {
        bed.a
            .enqueue(&[wish(key, key, priority, due)], T0)
            .await
            .unwrap();
    }
    let order = ["deny", "deny-late", "grant", "grant-late", "background"];
    let first = bed.claimed("h", 2, 10).await;
    assert_eq!(keys(&first), order[..2]);
    assert!(
        first
            .iter()
            .all(|job| job.state == JobState::Running && job.attempts == 1)
    );
    assert!(first.iter().all(|job| job.holder.as_deref() == Some("h")));
    assert_eq!(first[0].leased_until, Some(at(70)));
    assert_eq!(keys(&bed.claimed("h", 9, 10).await), order[2..]);
}

pub(crate) async fn places_kept_for_the_urgent_take_nothing_else(bed: Bed) {
    let source = SourceId::new("hr").unwrap();
    let other = AppId::new("wiki").unwrap();
    let mut read = wish("read", "a", Priority::Deny, 0);
    (read.app, read.source) = (None, Some(source.clone()));
    let mut wiki = wish("wiki", "b", Priority::Grant, 0);
    wiki.app = Some(other.clone());
    let mut nobodys = wish("mail", "c", Priority::Background, 0);
    nobodys.app = None;
    let chat = wish("chat", "d", Priority::Grant, 0);
    bed.a
        .enqueue(&[read, wiki, nobodys, chat], T0)
        .await
        .unwrap();
    let take = async |change: fn(&mut JobClaim, AppId, SourceId)| {
        let mut claim = claim("h", 9);
        change(&mut claim, other.clone(), source.clone());
        let taken = bed.b.claim_jobs(&claim, T0).await.unwrap();
        for job in &taken {
            let back = JobEnd::Retry {
                at: T0,
                error: String::new(),
                counts: false,
            };
            assert!(bed.a.finish_job(job.id, "h", &back, T0).await.unwrap());
        }
        taken.iter().map(|job| job.key.clone()).collect::<Vec<_>>()
    };
    let deny = take(|claim, _, _| claim.least = Priority::Deny).await;
    assert_eq!(deny, ["read"]);
    let grants = take(|claim, _, _| claim.least = Priority::Grant).await;
    assert_eq!(grants, ["read", "wiki", "chat"]);
    let without = take(|claim, app, _| claim.without_apps = vec![app]).await;
    assert_eq!(without, ["read", "chat", "mail"]);
    let without = take(|claim, _, source| claim.without_sources = vec![source]).await;
    assert_eq!(without, ["wiki", "chat", "mail"]);
    let mail = take(|claim, _, _| claim.kinds = vec![JobKind::Mail]).await;
    assert!(mail.is_empty());
    // What was given back cost nothing.
    let all = bed.a.jobs(&JobFilter::default()).await.unwrap();
    assert!(
        all.iter()
            .all(|job| job.attempts == 0 && job.error.is_empty())
    );
}

pub(crate) async fn a_lane_is_one_after_the_other(bed: Bed) {
    let mut left_out = wish("left-out", "alice", Priority::Deny, 0);
    left_out.app = Some(AppId::new("wiki").unwrap());
    bed.a
        .enqueue(
            &[
                wish("second", "alice", Priority::Grant, 2),
                wish("first", "alice", Priority::Grant, 1),
                wish("not-yet", "alice", Priority::Deny, 99),
                wish("bobs", "bob", Priority::Background, 3),
                left_out.clone(),
            ],
            T0,
        )
        .await
        .unwrap();
    // What must not be taken keeps nobody else of its lane from it.
    let mut claim = claim("h", 9);
    claim.without_apps = vec![left_out.app.unwrap()];
    let taken = bed.a.claim_jobs(&claim, at(10)).await.unwrap();
    assert_eq!(keys(&taken), ["first", "bobs"]);
    assert_eq!(bed.b.claim_jobs(&claim, at(11)).await.unwrap(), []);
    let first = taken[0].id;
    assert!(
        bed.a
            .finish_job(first, "h", &JobEnd::Done, at(12))
            .await
            .unwrap()
    );
    assert_eq!(
        keys(&bed.b.claim_jobs(&claim, at(12)).await.unwrap()),
        ["second"]
    );
}

/// Several claimers on two replicas, on few lanes: whatever they take at once is of different lanes,
/// and each job is done once.
pub(crate) async fn a_lane_never_runs_two_however_many_claim(bed: Bed) {
    let wishes: Vec<_> = (0..60)
        .map(|n| {
            wish(
                &format!("k{n}"),
                &format!("l{}", n % 4),
                Priority::Grant,
                n % 3,
            )
        })
        .collect();
    bed.a.enqueue(&wishes, T0).await.unwrap();
    let running = Arc::new(Mutex::new(BTreeSet::new()));
    let done = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let workers: Vec<_> = (0..6)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &bed.a } else { &bed.b });
            let (running, done) = (Arc::clone(&running), Arc::clone(&done));
            tokio::spawn(async move {
                let holder = format!("h{n}");
                while done.lock().len() < 60 {
                    for job in store.claim_jobs(&claim(&holder, 3), at(10)).await.unwrap() {
                        assert!(running.lock().insert(job.lane.clone()), "{} runs", job.lane);
                        tokio::task::yield_now().await;
                        *done.lock().entry(job.key.clone()).or_default() += 1;
                        running.lock().remove(&job.lane);
                        let end = store.finish_job(job.id, &holder, &JobEnd::Done, at(10));
                        assert!(end.await.unwrap());
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        timeout(SOON, worker)
            .await
            .expect("they get through")
            .unwrap();
    }
    assert!(done.lock().values().all(|times| *times == 1));
}

pub(crate) async fn a_job_of_the_dead_is_taken_over_and_only_the_heir_finishes(bed: Bed) {
    let id = bed.wished(&wish("k", "l", Priority::Grant, 0)).await.id;
    bed.claimed("dead", 1, 0).await;
    let extended = bed.a.extend_job(id, "dead", at(80), at(20)).await.unwrap();
    assert!(
        extended
            && !bed
                .a
                .extend_job(id, "other", at(999), at(20))
                .await
                .unwrap()
    );
    assert_eq!(bed.claimed("heir", 9, 79).await, []);
    // The first lease of 60 seconds would be over; the longer one is only now.
    let taken = bed.claimed("heir", 9, 80).await;
    assert_eq!((taken[0].id, taken[0].attempts), (id, 2));
    // It was not dead after all, and is told.
    assert!(!bed.a.extend_job(id, "dead", at(200), at(81)).await.unwrap());
    assert!(
        !bed.a
            .finish_job(id, "dead", &JobEnd::Done, at(81))
            .await
            .unwrap()
    );
    assert_eq!(bed.seen(id).await.state, JobState::Running);
    assert!(
        bed.a
            .finish_job(id, "heir", &JobEnd::Done, at(82))
            .await
            .unwrap()
    );
    // Nor does anything follow an end.
    assert!(!bed.a.finish_job(id, "heir", &dead(), at(83)).await.unwrap());
    assert!(!bed.a.extend_job(id, "heir", at(200), at(83)).await.unwrap());
    assert_eq!(bed.seen(id).await.state, JobState::Done);
}

/// Nobody's clock is asked: whoever is here keeps what they have, whoever is not does not.
pub(crate) async fn t36_who_is_here_keeps_their_jobs_and_who_is_gone_does_not(bed: Bed) {
    let kept = bed.wished(&wish("kept", "l", Priority::Grant, 0)).await.id;
    let here = bed.a.be_here("here").await.unwrap();
    assert!(here.stands().await);
    assert_eq!(bed.claimed("here", 1, 0).await[0].id, kept);
    let lost = bed.wished(&wish("lost", "m", Priority::Deny, 0)).await.id;
    bed.claimed("gone", 1, 0).await;
    // Wished again while it ran, for later: it is due at once all the same.
    bed.wished(&wish("lost", "m", Priority::Deny, 30)).await;
    for store in [&bed.a, &bed.b] {
        assert_eq!(store.absent_holders().await.unwrap(), ["gone"]);
        assert_eq!(store.relieve("here", at(1)).await.unwrap(), 0);
        assert_eq!(store.relieve("nobody", at(1)).await.unwrap(), 0);
    }
    // Nobody else is here under that name.
    assert!(bed.b.be_here("here").await.is_err());
    assert_eq!(bed.b.relieve("gone", at(1)).await.unwrap(), 1);
    let job = bed.seen(lost).await;
    assert_eq!(
        (job.state, job.holder, job.again),
        (JobState::Pending, None, false)
    );
    assert_eq!((job.due_at, job.attempts), (at(1), 1));
    assert!(
        !bed.a
            .finish_job(lost, "gone", &JobEnd::Done, at(1))
            .await
            .unwrap()
    );
    assert_eq!(keys(&bed.claimed("heir", 9, 1).await), ["lost"]);
    assert_eq!(bed.seen(kept).await.holder.as_deref(), Some("here"));
    drop(here);
    until("they are gone", async || {
        let absent = bed.b.absent_holders().await.unwrap();
        absent == ["heir", "here"]
    })
    .await;
    assert_eq!(bed.a.relieve("here", at(2)).await.unwrap(), 1);
    // Nothing is left behind that would keep the name from somebody.
    bed.b.be_here("here").await.unwrap();
}

pub(crate) async fn what_its_holder_works_at_is_not_taken_again(bed: Bed) {
    let id = bed.wished(&wish("k", "l", Priority::Grant, 0)).await.id;
    bed.claimed("h", 1, 0).await;
    let mut claim = claim("h", 9);
    claim.busy = vec![id];
    // Its clock jumped by a day.
    assert_eq!(bed.b.claim_jobs(&claim, at(86_400)).await.unwrap(), []);
    assert!(
        bed.b
            .extend_job(id, "h", at(86_460), at(86_400))
            .await
            .unwrap()
    );
    assert!(
        bed.b
            .finish_job(id, "h", &JobEnd::Done, at(86_401))
            .await
            .unwrap()
    );
}

pub(crate) async fn an_attempt_counts_unless_it_is_said_not_to(bed: Bed) {
    let id = bed.wished(&wish("k", "l", Priority::Grant, 0)).await.id;
    for (end, attempts, error) in [
        (later(10, true), 1, "not yet"),
        (later(20, false), 1, "not yet"),
        (
            JobEnd::Retry {
                at: at(30),
                error: String::new(),
                counts: true,
            },
            2,
            "not yet",
        ),
    ] {
        let now = bed.seen(id).await.due_at.0 - T0.0;
        assert_eq!(bed.claimed("h", 1, now - 1).await, []);
        assert_eq!(bed.claimed("h", 1, now).await.len(), 1);
        assert!(bed.a.finish_job(id, "h", &end, at(now)).await.unwrap());
        let job = bed.seen(id).await;
        assert_eq!((job.attempts, job.error.as_str()), (attempts, error));
        assert_eq!(job.state, JobState::Pending);
    }
    assert_eq!(bed.seen(id).await.due_at, at(30));
}

pub(crate) async fn an_operator_retries_and_takes_out_and_it_is_on_record(bed: Bed) {
    let mut about = wish("k", "l", Priority::Grant, 0);
    about.user = Some(UserId::generate());
    let id = bed.wished(&about).await.id;
    bed.claimed("h", 1, 0).await;
    // Neither while somebody works at it.
    assert_eq!(bed.a.retry_job(id, at(1), &by()).await.unwrap(), None);
    assert_eq!(bed.a.cancel_job(id, at(1), &by()).await.unwrap(), None);
    assert!(
        bed.a
            .finish_job(id, "h", &later(500, true), at(2))
            .await
            .unwrap()
    );
    let job = bed.a.retry_job(id, at(3), &by()).await.unwrap().unwrap();
    assert_eq!(
        (job.state, job.attempts, job.due_at),
        (JobState::Pending, 0, at(3))
    );
    bed.claimed("h", 1, 3).await;
    assert!(bed.a.finish_job(id, "h", &dead(), at(4)).await.unwrap());
    let job = bed.b.retry_job(id, at(5), &by()).await.unwrap().unwrap();
    // What went wrong is still told, until it goes right.
    assert_eq!(
        (job.state, job.error.as_str()),
        (JobState::Pending, "never")
    );
    let job = bed.b.cancel_job(id, at(6), &by()).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Cancelled);
    assert_eq!(bed.a.cancel_job(id, at(7), &by()).await.unwrap(), None);
    assert_eq!(bed.a.retry_job(id, at(7), &by()).await.unwrap(), None);
    assert_eq!(bed.claimed("h", 1, 600).await, []);
    let nobody = Uuid::now_v7();
    assert_eq!(bed.a.retry_job(nobody, at(7), &by()).await.unwrap(), None);
    let trail = bed.a.trail(&TrailFilter::default()).await.unwrap();
    let kinds: Vec<_> = trail.iter().map(|record| record.kind.as_str()).collect();
    let (retried, cancelled) = (Kind::JobRetried.as_str(), Kind::JobCancelled.as_str());
    assert_eq!(kinds, [retried, retried, cancelled]);
    assert!(
        trail
            .iter()
            .all(|r| r.user == about.user && r.app == Some(app()))
    );
    assert!(trail[1].body.contains(&id.to_string()) && trail[1].body.contains("dead"));
}

pub(crate) async fn a_deny_outranks_what_runs_in_its_lane(bed: Bed) {
    let grant = bed
        .wished(&wish("grant", "alice", Priority::Grant, 0))
        .await
        .id;
    let bobs = bed
        .wished(&wish("bobs", "bob", Priority::Grant, 0))
        .await
        .id;
    bed.claimed("h", 9, 0).await;
    let outranked = async |now| bed.b.outranked_jobs("h", at(now)).await.unwrap();
    bed.wished(&wish("another", "alice", Priority::Grant, 0))
        .await;
    assert!(outranked(1).await.is_empty());
    bed.wished(&wish("deny", "alice", Priority::Deny, 5)).await;
    assert!(outranked(4).await.is_empty());
    assert_eq!(outranked(5).await, [grant]);
    let others = bed.b.outranked_jobs("other", at(5)).await.unwrap();
    assert!(others.is_empty());
    // It gives way, and the other goes first.
    assert!(
        bed.a
            .finish_job(grant, "h", &later(5, false), at(5))
            .await
            .unwrap()
    );
    let mut claim = claim("h", 9);
    claim.busy = vec![bobs];
    let next = bed.b.claim_jobs(&claim, at(5)).await.unwrap();
    assert_eq!(keys(&next), ["deny"]);
    // A deny never gives way to another.
    bed.wished(&wish("deny-2", "alice", Priority::Deny, 0))
        .await;
    assert!(outranked(6).await.is_empty());
}

/// A row that was written an hour ahead of now: by this machine before its clock was set right, or by
/// a replica whose clock is wrong.
pub(crate) async fn t35_times_of_a_wrong_clock_begin_anew(bed: Bed) {
    let hour = 3_600;
    let ahead = at(hour);
    let paused = wish("paused", "a", Priority::Grant, hour + 30);
    let due = wish("due", "b", Priority::Grant, hour);
    let held = wish("held", "c", Priority::Grant, hour);
    bed.a.enqueue(&[paused, held], ahead).await.unwrap();
    let taken = bed.b.claim_jobs(&claim("dead", 9), ahead).await.unwrap();
    assert_eq!(keys(&taken), ["held"]);
    bed.a.enqueue(&[due], ahead).await.unwrap();
    // A little ahead is believed: clocks differ.
    bed.a
        .enqueue(&[wish("ahead", "d", Priority::Grant, 40)], at(20))
        .await
        .unwrap();
    assert_eq!(keys(&bed.claimed("h", 9, 0).await), ["due"]);
    assert_eq!(bed.claimed("h", 9, 29).await, []);
    assert_eq!(keys(&bed.claimed("h", 9, 30).await), ["paused"]);
    assert_eq!(keys(&bed.claimed("h", 9, 40).await), ["ahead"]);
    assert_eq!(bed.claimed("h", 9, 59).await, []);
    // The lease of 60 seconds, from now on.
    let heir = bed.claimed("heir", 9, 60).await;
    assert!(keys(&heir).contains(&"held"), "{heir:?}");
}

pub(crate) async fn jobs_are_found_and_counted(bed: Bed) {
    let user = UserId::generate();
    let source = SourceId::new("hr").unwrap();
    let mut read = wish("read", "a", Priority::Deny, 3);
    (read.kind, read.app, read.source) = (JobKind::Read, None, Some(source.clone()));
    let mut alices = wish("alices", "b", Priority::Grant, 7);
    alices.user = Some(user);
    let bobs = wish("bobs", "c", Priority::Grant, 5);
    let dies = wish("dies", "d", Priority::Deny, 2);
    let made = bed
        .a
        .enqueue(&[read, alices, bobs, dies], T0)
        .await
        .unwrap();
    let ids: Vec<_> = made.iter().map(|e| e.id).collect();
    bed.claimed("h", 1, 2).await;
    assert!(bed.a.finish_job(ids[3], "h", &dead(), at(2)).await.unwrap());
    let found = async |filter: JobFilter| {
        let jobs = bed.b.jobs(&filter).await.unwrap();
        jobs.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let all = || JobFilter::default();
    assert_eq!(found(all()).await, ids);
    let states = vec![JobState::Dead, JobState::Running];
    assert_eq!(found(JobFilter { states, ..all() }).await, ids[3..]);
    let kind = Some(JobKind::Read);
    assert_eq!(found(JobFilter { kind, ..all() }).await, ids[..1]);
    let of = Some(source);
    assert_eq!(
        found(JobFilter {
            source: of,
            ..all()
        })
        .await,
        ids[..1]
    );
    let in_app = Some(app());
    assert_eq!(
        found(JobFilter {
            app: in_app,
            ..all()
        })
        .await,
        ids[1..]
    );
    let about = Some(user);
    assert_eq!(
        found(JobFilter {
            user: about,
            ..all()
        })
        .await,
        ids[1..2]
    );
    let page = JobFilter {
        after: Some(ids[0]),
        limit: 2,
        ..all()
    };
    assert_eq!(found(page).await, ids[1..3]);
    let counts = bed.b.count_jobs().await.unwrap();
    let counts: BTreeSet<_> = counts
        .iter()
        .map(|c| {
            let app = c.app.as_ref().map_or("", |app| app.as_str());
            (
                c.kind.as_str(),
                app.to_owned(),
                c.state.as_str(),
                c.count,
                c.oldest_due,
            )
        })
        .collect();
    let chat = || app().as_str().to_owned();
    let expected = BTreeSet::from([
        ("read", String::new(), "pending", 1, at(3)),
        ("converge", chat(), "pending", 2, at(5)),
        ("converge", chat(), "dead", 1, at(2)),
    ]);
    assert_eq!(counts, expected);
}

pub(crate) async fn what_is_done_is_forgotten_and_what_is_open_is_not(bed: Bed) {
    let mut ids = Vec::new();
    for key in ["done", "dead", "runs", "cancelled", "waits"] {
        ids.push(bed.wished(&wish(key, key, Priority::Grant, 0)).await.id);
    }
    assert_eq!(bed.claimed("h", 3, 0).await.len(), 3);
    assert!(
        bed.a
            .finish_job(ids[0], "h", &JobEnd::Done, at(10))
            .await
            .unwrap()
    );
    assert!(
        bed.a
            .finish_job(ids[1], "h", &dead(), at(10))
            .await
            .unwrap()
    );
    bed.a
        .cancel_job(ids[3], at(10), &by())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bed.a.forget_jobs(at(10)).await.unwrap(), 0);
    assert_eq!(bed.a.forget_jobs(at(11)).await.unwrap(), 2);
    assert_eq!(bed.a.forget_jobs(at(9_999_999)).await.unwrap(), 0);
    let left = bed.b.jobs(&JobFilter::default()).await.unwrap();
    assert_eq!(keys(&left), ["dead", "runs", "waits"]);
    // Bounded, as every purge.
    let rows: Vec<String> = (0..1_500)
        .map(|n| {
            let id = Uuid::from_u128(n);
            format!("('{id}', 'mail', 'm{n}', 'm', 0, '', '', 'done', 1, 0, '', 0, 0)")
        })
        .collect();
    let again = match &bed.raw {
        crate::bed::Raw::Sqlite(_) => "0",
        crate::bed::Raw::Postgres(_) => "false",
    };
    let columns = "id, kind, key, lane, priority, payload, why, state, attempts, due_at, error, \
                   created_at, updated_at, again";
    let rows: Vec<_> = rows
        .iter()
        .map(|row| row.replace("0, 0)", &format!("0, 0, {again})")))
        .collect();
    bed.sql(&format!(
        "INSERT INTO jobs ({columns}) VALUES {}",
        rows.join(",")
    ))
    .await;
    assert_eq!(bed.a.forget_jobs(T0).await.unwrap(), 1_000);
    assert_eq!(bed.a.forget_jobs(T0).await.unwrap(), 500);
}

pub(crate) async fn a_wait_for_a_job_ends_with_a_wish(bed: Bed) {
    // From before anybody looked, or from the listener that has just come up.
    bed.a.wait_for_job(Duration::from_millis(200)).await;
    bed.a.claim_jobs(&claim("h", 1), T0).await.unwrap();
    let waiting = Arc::clone(&bed.a);
    let woken = tokio::spawn(async move { waiting.wait_for_job(SOON * 10).await });
    bed.wished(&wish("k", "l", Priority::Grant, 0)).await;
    timeout(SOON, woken).await.expect("it is woken").unwrap();
    let waited = timeout(SOON, bed.a.wait_for_job(Duration::from_millis(5)));
    waited.await.expect("it ends by itself");
}

pub(crate) async fn a_row_of_a_newer_version_is_not_read(bed: Bed) {
    bed.wished(&wish("k", "l", Priority::Grant, 0)).await;
    for column in ["kind = 'teleport'", "priority = 7", "state = 'asleep'"] {
        bed.sql(&format!("UPDATE jobs SET {column}")).await;
        let read = bed.a.jobs(&JobFilter::default()).await;
        assert!(read.is_err(), "{column}");
        // Nor is it taken, or in anybody's way who could be.
        let wish = wish("other", "l", Priority::Background, 0);
        let id = bed.wished(&wish).await.id;
        if column.starts_with("kind") {
            assert_eq!(keys(&bed.claimed("h", 9, 0).await), ["other"]);
            let end = bed.a.finish_job(id, "h", &JobEnd::Done, T0).await;
            assert!(end.unwrap());
        } else {
            bed.sql("DELETE FROM jobs WHERE key = 'other'").await;
        }
        bed.sql("UPDATE jobs SET kind = 'converge', priority = 1, state = 'pending'")
            .await;
    }
}

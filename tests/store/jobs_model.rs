//! The queue against a small model of it: whatever is asked of it, in whatever order, both say the
//! same of every job.

use crate::bed::{Bed, at};
use crate::jobs::{LEASE, claim, dead, later, wish};
use auth_manager::store::{Job, JobEnd, JobFilter, JobState, NewJob, Priority};
use auth_manager::types::{AppId, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

/// What is asked.
#[derive(Debug, Clone)]
enum Step {
    /// Wishes: key, priority, seconds from now.
    Wish(Vec<(u8, Priority, i64)>),
    /// Taken by one of two: so many, none less urgent, with or without the second app.
    Claim(bool, u32, Priority, bool),
    /// The job of this number, by one of two.
    Extend(usize, bool),
    Finish(usize, bool, End),
    Retry(usize),
    Cancel(usize),
    /// Time passes.
    Pass(i64),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Done,
    Dead,
    Later(i64, bool),
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        Just(Priority::Deny),
        Just(Priority::Grant),
        Just(Priority::Background)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        2 => Just(End::Done),
        1 => Just(End::Dead),
        2 => (-5..50_i64, any::<bool>()).prop_map(|(pause, counts)| End::Later(pause, counts)),
    ];
    let wishes = prop::collection::vec((0..7_u8, priority(), -3..40_i64), 1..4);
    prop_oneof![
        4 => wishes.prop_map(Step::Wish),
        4 => (any::<bool>(), 1..4_u32, priority(), any::<bool>())
            .prop_map(|(who, most, least, without)| Step::Claim(who, most, least, without)),
        1 => (0..20_usize, any::<bool>()).prop_map(|(job, who)| Step::Extend(job, who)),
        4 => (0..20_usize, any::<bool>(), end).prop_map(|(job, who, end)| Step::Finish(job, who, end)),
        1 => (0..20_usize).prop_map(Step::Retry),
        1 => (0..20_usize).prop_map(Step::Cancel),
        3 => (0..70_i64).prop_map(Step::Pass),
    ]
}

fn holder(first: bool) -> &'static str {
    if first { "one" } else { "two" }
}

fn wiki() -> AppId {
    AppId::new("wiki").unwrap()
}

fn wished(key: u8, priority: Priority, due: Timestamp) -> NewJob {
    let mut wish = wish(&format!("k{key}"), &format!("l{}", key % 3), priority, 0);
    wish.due_at = due;
    if key % 2 == 1 {
        wish.app = Some(wiki());
    }
    wish
}

/// All jobs, and what the trait says of them.
#[derive(Default)]
struct Model(Vec<Job>);

impl Model {
    fn enqueue(&mut self, wish: &NewJob, id: uuid::Uuid, now: Timestamp) -> bool {
        use JobState::{Dead, Pending, Running};
        let open =
            |job: &&mut Job| job.key == wish.key && matches!(job.state, Pending | Running | Dead);
        let Some(job) = self.0.iter_mut().find(open) else {
            self.0.push(Job {
                id,
                kind: wish.kind,
                key: wish.key.clone(),
                lane: wish.lane.clone(),
                app: wish.app.clone(),
                source: None,
                user: None,
                priority: wish.priority,
                payload: wish.payload.clone(),
                why: wish.why.clone(),
                state: Pending,
                attempts: 0,
                due_at: wish.due_at,
                again: false,
                holder: None,
                leased_until: None,
                error: String::new(),
                created_at: now,
                updated_at: now,
            });
            return false;
        };
        let anew = job.state == Dead || (job.state == Running && !job.again);
        job.due_at = if anew {
            wish.due_at
        } else {
            job.due_at.min(wish.due_at)
        };
        if job.state == Dead {
            (job.state, job.attempts) = (Pending, 0);
        }
        job.again = job.state == Running;
        job.priority = job.priority.min(wish.priority);
        job.updated_at = now;
        true
    }

    fn claim(
        &mut self,
        who: &str,
        most: u32,
        least: Priority,
        all: bool,
        now: Timestamp,
    ) -> Vec<Job> {
        for job in &mut self.0 {
            if job.leased_until.is_some_and(|until| until <= now) {
                (job.state, job.holder, job.leased_until) = (JobState::Pending, None, None);
                (job.again, job.updated_at) = (false, now);
                job.due_at = job.due_at.min(now);
            }
        }
        let mut may: Vec<_> = self
            .0
            .iter()
            .filter(|job| job.state == JobState::Pending && job.due_at <= now)
            .filter(|job| job.priority <= least && (all || job.app != Some(wiki())))
            .map(|job| (job.priority, job.due_at, job.id, job.lane.clone()))
            .collect();
        may.sort();
        let mut taken = Vec::new();
        for (.., id, lane) in may {
            let runs = |job: &Job| job.state == JobState::Running && job.lane == lane;
            if taken.len() == most as usize || self.0.iter().any(runs) {
                continue;
            }
            let job = self.0.iter_mut().find(|job| job.id == id).unwrap();
            job.state = JobState::Running;
            job.attempts += 1;
            job.holder = Some(who.into());
            job.leased_until = Some(now + LEASE);
            job.updated_at = now;
            taken.push(job.clone());
        }
        taken
    }

    fn held(&mut self, at: usize, who: &str) -> Option<&mut Job> {
        let job = self.0.get_mut(at)?;
        (job.state == JobState::Running && job.holder.as_deref() == Some(who)).then_some(job)
    }

    fn finish(&mut self, at: usize, who: &str, end: &JobEnd, now: Timestamp) -> bool {
        let Some(job) = self.held(at, who) else {
            return false;
        };
        let again = job.again;
        match end {
            JobEnd::Done => (job.state, job.error) = (JobState::Done, String::new()),
            JobEnd::Dead { error } => (job.state, job.error) = (JobState::Dead, error.clone()),
            JobEnd::Retry { at, error, counts } => {
                (job.state, job.error) = (JobState::Pending, error.clone());
                job.due_at = if again { job.due_at.min(*at) } else { *at };
                job.attempts -= i64::from(!counts);
            }
        }
        if again && job.state != JobState::Pending {
            (job.state, job.attempts) = (JobState::Pending, 0);
        }
        (job.again, job.holder, job.leased_until) = (false, None, None);
        job.updated_at = now;
        true
    }

    fn waiting(&mut self, at: usize) -> Option<&mut Job> {
        let job = self.0.get_mut(at)?;
        matches!(job.state, JobState::Pending | JobState::Dead).then_some(job)
    }
}

async fn play(bed: &Bed, steps: &[Step]) {
    bed.sql("DELETE FROM jobs").await;
    let (mut model, mut now) = (Model::default(), 0);
    let by = crate::bed::by();
    for (n, step) in steps.iter().enumerate() {
        let store = if n % 2 == 0 { &bed.a } else { &bed.b };
        let moment = at(now);
        let id = |at: usize, model: &Model| {
            let job = model.0.get(at);
            job.map_or_else(uuid::Uuid::now_v7, |job| job.id)
        };
        match step {
            Step::Wish(wishes) => {
                let wishes: Vec<_> = wishes
                    .iter()
                    .map(|(key, priority, due)| wished(*key, *priority, at(now + due)))
                    .collect();
                let said = store.enqueue(&wishes, moment).await.unwrap();
                for (wish, said) in wishes.iter().zip(said) {
                    assert_eq!(model.enqueue(wish, said.id, moment), said.joined);
                }
            }
            Step::Claim(who, most, least, all) => {
                let mut asked = claim(holder(*who), *most);
                asked.least = *least;
                if !all {
                    asked.without_apps = vec![wiki()];
                }
                let taken = store.claim_jobs(&asked, moment).await.unwrap();
                assert_eq!(
                    taken,
                    model.claim(holder(*who), *most, *least, *all, moment)
                );
            }
            Step::Extend(at, who) => {
                let until = moment + LEASE;
                let told = store.extend_job(id(*at, &model), holder(*who), until, moment);
                let mine = model.held(*at, holder(*who)).map(|job| {
                    (job.leased_until, job.updated_at) = (Some(until), moment);
                });
                assert_eq!(told.await.unwrap(), mine.is_some());
            }
            Step::Finish(at_job, who, end) => {
                let end = match end {
                    End::Done => JobEnd::Done,
                    End::Dead => dead(),
                    End::Later(pause, counts) => later(now + pause, *counts),
                };
                let told = store.finish_job(id(*at_job, &model), holder(*who), &end, moment);
                let told = told.await.unwrap();
                assert_eq!(told, model.finish(*at_job, holder(*who), &end, moment));
            }
            Step::Retry(at) => {
                let told = store.retry_job(id(*at, &model), moment, &by).await.unwrap();
                let retried = model.waiting(*at).map(|job| {
                    (job.state, job.attempts) = (JobState::Pending, 0);
                    (job.due_at, job.updated_at) = (job.due_at.min(moment), moment);
                    job.clone()
                });
                assert_eq!(told, retried);
            }
            Step::Cancel(at) => {
                let told = store
                    .cancel_job(id(*at, &model), moment, &by)
                    .await
                    .unwrap();
                let cancelled = model.waiting(*at).map(|job| {
                    (job.state, job.updated_at) = (JobState::Cancelled, moment);
                    job.clone()
                });
                assert_eq!(told, cancelled);
            }
            Step::Pass(seconds) => now += seconds,
        }
        let all = JobFilter {
            limit: 1_000,
            ..JobFilter::default()
        };
        let there = store.jobs(&all).await.unwrap();
        assert_eq!(there, model.0, "after step {n}: {step:?}");
        // Whatever happened, no lane runs twice.
        let mut lanes: Vec<_> = there
            .iter()
            .filter(|job| job.state == JobState::Running)
            .map(|job| &job.lane)
            .collect();
        lanes.sort();
        assert!(lanes.windows(2).all(|two| two[0] != two[1]));
    }
}

pub(crate) async fn the_queue_is_as_a_small_model_says(bed: Bed) {
    let config = Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let steps = prop::collection::vec(step(), 1..40);
    let runtime = Handle::current();
    tokio::task::block_in_place(|| {
        let played = TestRunner::new(config).run(&steps, |steps| {
            runtime.block_on(play(&bed, &steps));
            Ok(())
        });
        played.unwrap();
    });
}

//! Carries jobs out: takes what is due, as much as there is room for, and lets each go its way.
//!
//! Some places are kept for what takes access away, so that what hangs is never in its way; what
//! nobody waits for takes the fewest. Waiting is on the monotonic clock: the wall clock only says
//! what is due. If that clock jumps ahead, what becomes due is more than is begun at once (T35); if
//! it jumps back, the queue begins the pauses of what it wrote in the future anew.

use super::attempt::{Attempt, Dice, Ended};
use super::breaker::Position;
use super::gates::{Gates, Limits, Pass, Place};
use super::handler::{Handler, Handlers};
use super::presence::Presence;
use crate::store::{Job, JobClaim, JobEnd, JobStore, Priority};
use crate::telemetry::metrics::Metrics;
use crate::types::Clock;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long what runs may go on once the bridge stops; then it is given back.
const GRACE: Duration = Duration::from_secs(2);
/// Wait after the store did not answer; doubled up to [`LONGEST_AWAY`].
const AWAY: Duration = Duration::from_millis(250);
const LONGEST_AWAY: Duration = Duration::from_secs(5);

/// How to work.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Attempts that a job has before it is dead.
    pub attempts: u32,
    /// Jobs at once.
    pub concurrency: usize,
    /// How long a job is its holder's without a word from them.
    pub lease: Duration,
    /// Jobs of an app that are begun in a second, by this process.
    pub app_rate: u32,
    /// Jobs of a directory that are begun in a second, likewise.
    pub source_rate: u32,
    /// How long an app or directory that fails again and again is left alone at first; up to twelve
    /// times as long later.
    pub rest: Duration,
    /// How often the queue is looked at without a hint.
    pub look: Duration,
}

/// Places for jobs, by who may have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    all: usize,
    grants: usize,
    background: usize,
}

impl Settings {
    /// A quarter, and at least one, is kept from each to the more urgent.
    fn places(&self) -> Places {
        let all = self.concurrency.max(3);
        let kept = (all / 4).max(1);
        Places {
            all,
            grants: all - kept,
            background: all - 2 * kept,
        }
    }

    /// One app or directory has half of what there is.
    fn limits(&self) -> Limits {
        let places = self.places();
        Limits {
            app_rate: self.app_rate,
            source_rate: self.source_rate,
            rest: self.rest,
            urgent: (places.all / 2).max(1),
            others: (places.grants / 2).max(1),
        }
    }
}

/// See the module.
pub struct Worker {
    /// The queue.
    pub store: Arc<dyn JobStore>,
    /// Who carries out what.
    pub handlers: Handlers,
    /// How.
    pub settings: Settings,
    /// What is due.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
    /// Spreads what failed together.
    pub dice: Dice,
    /// Who this is: another one at each start.
    pub holder: String,
}

/// What goes on now.
struct Now {
    running: HashMap<Uuid, Running>,
    tasks: JoinSet<Ended>,
    gates: Gates,
}

struct Running {
    priority: Priority,
    give_way: CancellationToken,
}

impl Worker {
    /// Works until told to stop; what runs then may go on for a moment, and is given back.
    pub async fn run(self, stop: CancellationToken) {
        // Before what runs: whoever is here no more must have stopped.
        let mut presence = Presence::of(
            self.store.clone(),
            self.holder.clone(),
            self.clock.clone(),
            self.metrics.clone(),
        );
        let mut now = Now {
            running: HashMap::new(),
            tasks: JoinSet::new(),
            gates: Gates::new(self.settings.limits()),
        };
        let mut away = AWAY;
        while !stop.is_cancelled() {
            let filled = match presence.period() {
                // Whoever is not here takes nothing: others would believe it free.
                None => Ok(()),
                Some(period) => match self.fill(&mut now, &period).await {
                    Ok(()) => self.let_pass(&now).await,
                    Err(error) => Err(error),
                },
            };
            self.show(&now.gates);
            let again = match filled {
                Ok(()) => {
                    away = AWAY;
                    self.settings.look
                }
                Err(error) => {
                    self.metrics.store_error(error.trouble());
                    tracing::warn!(%error, "the queue does not answer: jobs wait");
                    away = (away * 2).min(LONGEST_AWAY);
                    sleep_or(&stop, away).await;
                    continue;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = now.tasks.join_next() => {
                    now.ended(ended.ok());
                    while let Some(ended) = now.tasks.try_join_next() {
                        now.ended(ended.ok());
                    }
                }
                () = self.store.wait_for_job(again) => {}
                () = presence.changed() => {}
            }
        }
        self.leave(now).await;
    }

    /// Begins what is due, as far as there is room.
    async fn fill(&self, now: &mut Now, period: &CancellationToken) -> crate::store::Result<()> {
        let places = self.settings.places();
        for (least, places) in [
            (Priority::Deny, places.all),
            (Priority::Background, places.background),
            (Priority::Grant, places.grants),
        ] {
            let room = places.saturating_sub(now.running.len());
            if room == 0 {
                continue;
            }
            let at = Instant::now();
            let (apps, sources) = now.gates.shut(least == Priority::Deny, at);
            let claim = JobClaim {
                holder: self.holder.clone(),
                lease: self.settings.lease,
                limit: u32::try_from(room).unwrap_or(u32::MAX),
                kinds: self.handlers.kinds(),
                least,
                without_apps: apps,
                without_sources: sources,
                busy: now.running.keys().copied().collect(),
            };
            let taken = self.store.claim_jobs(&claim, self.clock.now()).await?;
            let all = taken.len() < room;
            // What was taken is begun whatever becomes of the rest: else it would wait for its lease.
            let mut back = Ok(());
            for job in taken {
                let handler = self.handlers.of(job.kind);
                let entered = handler.zip(now.gates.enter(&job, at));
                match entered {
                    Some((handler, pass)) => self.begin(now, job, (handler, pass), period),
                    None => back = back.and(self.give_back(&job).await),
                }
            }
            back?;
            if all && least == Priority::Background {
                break;
            }
        }
        Ok(())
    }

    fn begin(
        &self,
        now: &mut Now,
        job: Job,
        (handler, pass): (Arc<dyn Handler>, Pass),
        period: &CancellationToken,
    ) {
        let give_way = period.child_token();
        let running = Running {
            priority: job.priority,
            give_way: give_way.clone(),
        };
        now.running.insert(job.id, running);
        let attempt = Attempt {
            store: self.store.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            dice: self.dice.clone(),
            handler,
            holder: self.holder.clone(),
            lease: self.settings.lease,
            attempts: i64::from(self.settings.attempts),
            job,
            pass,
            give_way,
        };
        now.tasks.spawn(attempt.run());
    }

    /// It was taken together with others, and its place is not to be asked after them.
    async fn give_back(&self, job: &Job) -> crate::store::Result<()> {
        let now = self.clock.now();
        let end = JobEnd::Retry {
            at: now,
            error: String::new(),
            counts: false,
        };
        let told = self.store.finish_job(job.id, &self.holder, &end, now);
        told.await.map(drop)
    }

    /// Stops what is in the way of something that takes access away.
    async fn let_pass(&self, now: &Now) -> crate::store::Result<()> {
        let in_the_way = |running: &Running| running.priority > Priority::Deny;
        if !now.running.values().any(in_the_way) {
            return Ok(());
        }
        let outranked = self
            .store
            .outranked_jobs(&self.holder, self.clock.now())
            .await?;
        for id in outranked {
            if let Some(running) = now.running.get(&id) {
                running.give_way.cancel();
            }
        }
        Ok(())
    }

    fn show(&self, gates: &Gates) {
        for (place, position) in gates.positions(Instant::now()) {
            let open = match position {
                Position::Closed => 0,
                Position::HalfOpen => 1,
                Position::Open => 2,
            };
            match place {
                Place::App(app) => self.metrics.job_breaker("app", app.as_str(), open),
                Place::Source(source) => {
                    self.metrics.job_breaker("directory", source.as_str(), open);
                }
            }
        }
    }

    async fn leave(&self, mut now: Now) {
        let empty = async |now: &mut Now| while now.tasks.join_next().await.is_some() {};
        if timeout(GRACE, empty(&mut now)).await.is_ok() {
            return;
        }
        for running in now.running.values() {
            running.give_way.cancel();
        }
        // What is not told by then is taken over once nobody is here any more.
        let _ = timeout(GRACE, empty(&mut now)).await;
        now.tasks.shutdown().await;
    }
}

impl Now {
    fn ended(&mut self, ended: Option<Ended>) {
        // None: the task itself was aborted, which only a runtime that ends does.
        let Some(ended) = ended else { return };
        self.running.remove(&ended.job.id);
        self.gates.leave(
            &ended.job,
            &ended.pass,
            ended.verdict,
            ended.quiet,
            Instant::now(),
        );
    }
}

async fn sleep_or(stop: &CancellationToken, time: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(time) => {}
    }
}

#[cfg(test)]
mod tests;

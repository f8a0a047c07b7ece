//! One attempt at a job: the lease is kept while it goes on, whatever happens to it is written down,
//! and nothing it does ends the process.

use super::breaker::Verdict;
use super::gates::Pass;
use super::handler::{Handler, Outcome};
use super::pause::{pause, whole};
use crate::store::{Job, JobEnd, JobStore};
use crate::telemetry::metrics::{JobWord, Metrics};
use crate::types::{Clock, Timestamp};
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// Longest text of a failure that is kept, in characters.
const LONGEST: usize = 500;
/// Wait before the store is told again how an attempt ended; doubled up to [`LONGEST_TELL`].
const TELL: Duration = Duration::from_millis(100);
const LONGEST_TELL: Duration = Duration::from_secs(5);

/// A number between 0 and 1.
pub type Dice = Arc<dyn Fn() -> f64 + Send + Sync>;

/// What an attempt needs.
pub(super) struct Attempt {
    pub(super) store: Arc<dyn JobStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) dice: Dice,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) holder: String,
    pub(super) lease: Duration,
    /// Attempts that a job has.
    pub(super) attempts: i64,
    pub(super) job: Job,
    pub(super) pass: Pass,
    /// Told that it must give way.
    pub(super) give_way: CancellationToken,
}

/// What the worker learns of it.
pub(super) struct Ended {
    pub(super) job: Job,
    pub(super) pass: Pass,
    pub(super) verdict: Verdict,
    /// How long the places it asked want to be left alone.
    pub(super) quiet: Option<Duration>,
}

/// How it stopped.
enum Stopped {
    Said(Outcome),
    Panicked,
    TooLong(Duration),
    GaveWay,
    /// It is somebody else's now.
    Lost,
    /// It was begun as often as it may, and none of those who began it came to an end.
    Spent,
}

impl Attempt {
    pub(super) async fn run(self) -> Ended {
        let stopped = match self.job.attempts > self.attempts {
            true => Stopped::Spent,
            false => self.work().await,
        };
        let judged = self.judge(stopped);
        let kind = self.job.kind.as_str();
        self.metrics.job_attempt(kind, judged.word);
        if let Some(end) = &judged.end {
            self.tell(end).await;
        }
        Ended {
            verdict: judged.verdict,
            quiet: judged.quiet,
            job: self.job,
            pass: self.pass,
        }
    }

    async fn work(&self) -> Stopped {
        let work = AssertUnwindSafe(self.handler.run(&self.job)).catch_unwind();
        let patience = self.handler.patience();
        tokio::select! {
            said = work => match said {
                Ok(outcome) => Stopped::Said(outcome),
                // The hook has written it into the log.
                Err(_) => Stopped::Panicked,
            },
            () = self.give_way.cancelled() => Stopped::GaveWay,
            () = self.keep() => Stopped::Lost,
            () = sleep(patience) => Stopped::TooLong(patience),
        }
    }

    /// Keeps the lease; ends when it is lost, or must be believed to be: what others may have begun
    /// meanwhile is not done beside them.
    async fn keep(&self) {
        let mut kept = Instant::now();
        loop {
            // Well before others may believe it over: the queue's times are whole seconds.
            let over = kept + self.lease * 5 / 6;
            sleep_until(over.min(Instant::now() + self.lease / 3)).await;
            let now = self.clock.now();
            let until = now + self.lease;
            let asked = Instant::now();
            let extended = self.store.extend_job(self.job.id, &self.holder, until, now);
            match timeout_at(over, extended).await {
                Ok(Ok(true)) => kept = asked,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    self.metrics.store_error(error.trouble());
                    if Instant::now() >= over {
                        return;
                    }
                }
            }
        }
    }

    fn judge(&self, stopped: Stopped) -> Judged {
        let (job, now) = (&self.job, self.clock.now());
        match stopped {
            Stopped::Said(Outcome::Done) => {
                Judged::new(JobWord::Done, Verdict::Answered, JobEnd::Done)
            }
            Stopped::Said(Outcome::Never { error }) => {
                Judged::new(JobWord::Dead, Verdict::Answered, self.dead(&error))
            }
            Stopped::Said(Outcome::Later {
                after,
                error,
                counts: true,
            }) => self.failed(&error, after, Verdict::Failed, now),
            Stopped::Said(Outcome::Later { after, error, .. }) => {
                let end = later(now, after, &error, false);
                Judged::new(JobWord::Postponed, Verdict::Silent, end)
            }
            Stopped::Said(Outcome::Wait { after, error }) => {
                let end = later(now, after, &error, false);
                Judged {
                    quiet: Some(after),
                    ..Judged::new(JobWord::Postponed, Verdict::Silent, end)
                }
            }
            Stopped::Panicked => {
                let error = "it panicked: this is a bug of the bridge, the log has more";
                self.failed(error, Duration::ZERO, Verdict::Silent, now)
            }
            Stopped::TooLong(patience) => {
                let error = format!("it took longer than {} s", whole(patience));
                self.failed(&error, Duration::ZERO, Verdict::Failed, now)
            }
            Stopped::GaveWay => {
                let end = JobEnd::Retry {
                    at: now,
                    error: String::new(),
                    counts: false,
                };
                Judged::new(JobWord::GaveWay, Verdict::Silent, end)
            }
            Stopped::Lost => {
                tracing::warn!(job = %job.id, kind = %job.kind, "a job is somebody else's now: its lease was lost");
                Judged {
                    end: None,
                    ..Judged::new(JobWord::Lost, Verdict::Silent, JobEnd::Done)
                }
            }
            Stopped::Spent => {
                let error = format!(
                    "it was begun {} times, and whoever did died or lost it",
                    job.attempts - 1
                );
                Judged::new(JobWord::Dead, Verdict::Silent, self.dead(&error))
            }
        }
    }

    fn failed(&self, error: &str, after: Duration, verdict: Verdict, now: Timestamp) -> Judged {
        let job = &self.job;
        // A probe costs nothing: while an app is away, none of its jobs dies of it.
        if let Some(open) = self.pass.probe {
            // Behind the next probe, so that another job is that.
            let after = after.max(open + Duration::from_secs(1));
            let end = later(now, after, error, false);
            return Judged::new(JobWord::Failed, verdict, end);
        }
        if job.attempts >= self.attempts {
            return Judged::new(JobWord::Dead, verdict, self.dead(error));
        }
        let pause = pause(job.attempts, job.priority, (self.dice)());
        tracing::info!(
            job = %job.id,
            kind = %job.kind,
            attempts = job.attempts,
            error = short(error).as_str(),
            "an attempt failed: it is tried again"
        );
        let end = later(now, after.max(pause), error, true);
        Judged::new(JobWord::Failed, verdict, end)
    }

    fn dead(&self, error: &str) -> JobEnd {
        let (job, error) = (&self.job, short(error));
        tracing::error!(
            job = %job.id,
            kind = %job.kind,
            attempts = job.attempts,
            error = error.as_str(),
            "a job is dead: it waits for an operator (`auth-manager jobs show`, `jobs retry`)"
        );
        JobEnd::Dead { error }
    }

    /// Writes down how it ended, until the store has answered: what is not told is done again.
    async fn tell(&self, end: &JobEnd) {
        let mut wait = TELL;
        loop {
            let now = self.clock.now();
            let told = self
                .store
                .finish_job(self.job.id, &self.holder, end, now)
                .await;
            match told {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(job = %self.job.id, kind = %self.job.kind, "a job was somebody else's when it ended");
                    return;
                }
                Err(error) => self.metrics.store_error(error.trouble()),
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_TELL);
        }
    }
}

struct Judged {
    word: JobWord,
    verdict: Verdict,
    quiet: Option<Duration>,
    /// What the store is told; nothing of what is no longer ours.
    end: Option<JobEnd>,
}

impl Judged {
    fn new(word: JobWord, verdict: Verdict, end: JobEnd) -> Self {
        Self {
            word,
            verdict,
            quiet: None,
            end: Some(end),
        }
    }
}

fn later(now: Timestamp, after: Duration, error: &str, counts: bool) -> JobEnd {
    JobEnd::Retry {
        at: now + Duration::from_secs(whole(after).max(1)),
        error: short(error),
        counts,
    }
}

fn short(error: &str) -> String {
    match error.char_indices().nth(LONGEST) {
        None => error.to_owned(),
        Some((at, _)) => format!("{}…", &error[..at]),
    }
}

//! Jobs as the store keeps them: one durable unit of work a row (design §5). What lives here: the
//! records and the trait that both engines implement. What does not: who carries a job out, how
//! long to wait after a failure, breakers and budgets (`jobs`).
//!
//! A job says *bring this up to date*, never *do that*: whoever runs it reads what should be and
//! makes it so. So it may run twice, in any order, and several wishes for the same thing are one job
//! (`key`).

use super::{Result, StoreError};
use crate::types::{AppId, SourceId, Timestamp, UserId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

stored_words! {
    /// What a job brings up to date.
    JobKind {
        /// What a directory says of one person, one group or whatever its payload names.
        Read = "read",
        /// A person's account and memberships in one app.
        Converge = "converge",
        /// All that a directory says.
        Sweep = "sweep",
        /// A letter to a person.
        Mail = "mail",
    }
}

stored_words! {
    /// Where a job is in its life.
    JobState {
        /// It waits for its turn, its time, or the end of a pause after a failure.
        Pending = "pending",
        /// Somebody works at it; whoever holds it longer than the lease is dead.
        Running = "running",
        /// It failed too often, or for good: it waits for an operator.
        Dead = "dead",
        /// An operator took it out.
        Cancelled = "cancelled",
        /// It is done.
        Done = "done",
    }
}

/// Which goes first: what takes access away is never behind what gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Takes access away, or may find that it must be.
    Deny = 0,
    /// Gives access to somebody who waits for it.
    Grant = 1,
    /// Nobody waits: sweeps, first imports.
    Background = 2,
}

/// A wish for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What kind.
    pub kind: JobKind,
    /// Two open jobs never have the same: the second wish joins the first.
    pub key: String,
    /// Jobs of one lane run one after the other: a person's, by `issuer/subject` or the source's id
    /// of them.
    pub lane: String,
    /// In which app, for breaker and budget.
    pub app: Option<AppId>,
    /// From which directory, for breaker and budget.
    pub source: Option<SourceId>,
    /// Whom it is about, once they have a shadow user.
    pub user: Option<UserId>,
    /// Which goes first.
    pub priority: Priority,
    /// Not before.
    pub due_at: Timestamp,
    /// What the kind needs to know, as JSON without secrets.
    pub payload: String,
    /// Why, in words for the operator.
    pub why: String,
}

/// What came of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// The job.
    pub id: Uuid,
    /// Whether it joined one that was open.
    pub joined: bool,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Job {
    /// Its own; UUIDv7, so that ids sort by age.
    pub id: Uuid,
    /// As wished.
    pub kind: JobKind,
    /// As wished.
    pub key: String,
    /// As wished.
    pub lane: String,
    /// As wished.
    pub app: Option<AppId>,
    /// As wished.
    pub source: Option<SourceId>,
    /// As wished.
    pub user: Option<UserId>,
    /// The most urgent of what was wished.
    pub priority: Priority,
    /// As last wished.
    pub payload: String,
    /// As last wished.
    pub why: String,
    /// Where it is.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: i64,
    /// Not before.
    pub due_at: Timestamp,
    /// Whether it was wished again while it ran: it is pending again when it is finished.
    pub again: bool,
    /// Who works at it.
    pub holder: Option<String>,
    /// Until when they are believed to.
    pub leased_until: Option<Timestamp>,
    /// Why the last attempt failed; for the operator, without secrets.
    pub error: String,
    /// First wished.
    pub created_at: Timestamp,
    /// Last changed.
    pub updated_at: Timestamp,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// Done.
    Done,
    /// To be tried again.
    Retry {
        /// Not before.
        at: Timestamp,
        /// Why.
        error: String,
        /// Whether it counts: a breaker that is open costs no attempt.
        counts: bool,
    },
    /// For the operator.
    Dead {
        /// Why.
        error: String,
    },
}

/// Which jobs to take.
#[derive(Debug, Clone)]
pub struct JobClaim {
    /// Who takes them: this process, made anew at each start.
    pub holder: String,
    /// For how long.
    pub lease: Duration,
    /// At most so many.
    pub limit: u32,
    /// None of these apps: their breaker is open or their budget is spent.
    pub without_apps: Vec<AppId>,
    /// None of these directories, likewise.
    pub without_sources: Vec<SourceId>,
}

/// A page of jobs, oldest first.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only in these states (when not empty).
    pub states: Vec<JobState>,
    /// Only of this kind.
    pub kind: Option<JobKind>,
    /// Only of this app.
    pub app: Option<AppId>,
    /// Only of this directory.
    pub source: Option<SourceId>,
    /// Only about this person.
    pub user: Option<UserId>,
    /// After this one.
    pub after: Option<Uuid>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

/// How much waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobCount {
    /// Of which kind.
    pub kind: JobKind,
    /// Of which app.
    pub app: Option<AppId>,
    /// Where they are.
    pub state: JobState,
    /// How many.
    pub count: i64,
    /// Since when the oldest is due.
    pub oldest_due: Timestamp,
}

/// The queue.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Puts wishes on record, all or none. One whose key is open already joins that job: it becomes
    /// the earlier and more urgent of both, with the newer payload; one that runs is marked `again`.
    async fn enqueue(&self, wishes: &[NewJob], now: Timestamp) -> Result<Vec<Enqueued>>;

    /// Takes due jobs, the most urgent first, then the oldest; never two of one lane at once, on any
    /// replica. Jobs whose lease is over are taken like pending ones. Counts an attempt.
    async fn claim_jobs(&self, claim: &JobClaim, now: Timestamp) -> Result<Vec<Job>>;

    /// Keeps a job longer; `false` when it is no longer the holder's, whose work must then stop.
    async fn extend_job(&self, id: Uuid, holder: &str, until: Timestamp) -> Result<bool>;

    /// Writes down how an attempt ended; `false`, and nothing happens, when the job is no longer the
    /// holder's. One that was wished again meanwhile is pending again, whatever the end was.
    async fn finish_job(
        &self,
        id: Uuid,
        holder: &str,
        end: &JobEnd,
        now: Timestamp,
    ) -> Result<bool>;

    /// One job.
    async fn job(&self, id: Uuid) -> Result<Option<Job>>;

    /// A page of jobs.
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>>;

    /// Makes a dead or waiting job due now, with its attempts forgotten; `None` when it is neither.
    async fn retry_job(&self, id: Uuid, now: Timestamp) -> Result<Option<Job>>;

    /// Takes a pending or dead job out; `None` when it is neither.
    async fn cancel_job(&self, id: Uuid, now: Timestamp) -> Result<Option<Job>>;

    /// How much there is of what is not done.
    async fn count_jobs(&self) -> Result<Vec<JobCount>>;

    /// Waits until a job may have become due by being wished (`NOTIFY` on PostgreSQL, an in-process
    /// signal on SQLite), or `at_most` has passed. Only ever makes it faster.
    async fn wait_for_job(&self, at_most: Duration);
}

/// What a word in the store that no job has means.
pub(super) fn unknown_priority(value: i64) -> StoreError {
    StoreError::Inconsistent(format!("priority {value} is not known to this version"))
}

impl Priority {
    /// The number in the store.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// The priority of a stored number.
    ///
    /// # Errors
    /// When this version knows none.
    pub fn from_number(value: i64) -> Result<Self> {
        match value {
            0 => Ok(Self::Deny),
            1 => Ok(Self::Grant),
            2 => Ok(Self::Background),
            other => Err(unknown_priority(other)),
        }
    }
}

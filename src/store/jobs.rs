//! Jobs as the store keeps them: one durable unit of work a row (design §5). What lives here: the
//! records and the trait that both engines implement. What does not: who carries a job out, how
//! long to wait after a failure, breakers and budgets (`jobs`).
//!
//! A job says *bring this up to date*, never *do that*: whoever runs it reads what should be and
//! makes it so. So it may run twice, in any order, and several wishes for the same thing are one job
//! (`key`).

use super::{By, LockGuard, Result, StoreError};
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
    /// Two open jobs (waiting, running or dead) never have the same: the second wish joins the first.
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
    /// Why the last attempt that failed did; for the operator, without secrets. Empty once one
    /// succeeded.
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
        /// Why; empty leaves what was said before.
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
    /// Only of these kinds: what nobody here can carry out waits for somebody who can.
    pub kinds: Vec<JobKind>,
    /// None that is less urgent.
    pub least: Priority,
    /// None of these apps: their breaker is open or their budget is spent.
    pub without_apps: Vec<AppId>,
    /// None of these directories, likewise.
    pub without_sources: Vec<SourceId>,
    /// What the holder works at already. Its leases may look as if they were over when the clock has
    /// jumped; it alone knows that they are not.
    pub busy: Vec<Uuid>,
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
    /// the earlier and more urgent of both, with the newer payload; one that runs is marked `again`,
    /// one that is dead waits again with its attempts forgotten, since something new is known.
    async fn enqueue(&self, wishes: &[NewJob], now: Timestamp) -> Result<Vec<Enqueued>>;

    /// Takes due jobs, the most urgent first, then the one that has been due for longest; never two
    /// of one lane at once, on any replica. Jobs whose lease is over are taken like pending ones.
    /// Counts an attempt.
    ///
    /// A job that was written at a time that has not come yet was so by a clock that was wrong: its
    /// pause (or lease) begins anew now, so that it neither starts early nor waits for that time.
    async fn claim_jobs(&self, claim: &JobClaim, now: Timestamp) -> Result<Vec<Job>>;

    /// Keeps a job longer; `false` when it is no longer the holder's, whose work must then stop.
    async fn extend_job(
        &self,
        id: Uuid,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool>;

    /// The holder's jobs that keep something that takes access away from its turn: a due job of
    /// [`Priority::Deny`] waits in their lane, and they are less urgent.
    async fn outranked_jobs(&self, holder: &str, now: Timestamp) -> Result<Vec<Uuid>>;

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
    async fn retry_job(&self, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>>;

    /// Takes a pending or dead job out; `None` when it is neither.
    async fn cancel_job(&self, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>>;

    /// How much there is of what is not done.
    async fn count_jobs(&self) -> Result<Vec<JobCount>>;

    /// Forgets jobs that were done or cancelled before this moment. Bounded work a call: call again
    /// while it gives more than 0. Gives the number of rows removed.
    async fn forget_jobs(&self, before: Timestamp) -> Result<u64>;

    /// Says that a holder is here: until what is given is dropped, or the process dies, however it
    /// does ([`StoreError::Busy`] when somebody is here under this name).
    async fn be_here(&self, holder: &str) -> Result<LockGuard>;

    /// Holders of running jobs who are not here now. They may be back: see [`Self::absence`].
    async fn absent_holders(&self) -> Result<Vec<String>>;

    /// For how long a holder must have been absent, whenever it was looked, before they are believed
    /// dead. On SQLite none: the kernel gives a lock back when its process ends, and only then. A
    /// server does so when it loses the connection, while the process may live: whoever finds that
    /// they are not here any more stops what they do well within this time.
    fn absence(&self) -> Duration;

    /// Gives back what a holder held, as if their leases were over; nothing when they are here. Gives
    /// how much it was.
    async fn relieve(&self, holder: &str, now: Timestamp) -> Result<u64>;

    /// Waits until a job may have become due by being wished (`NOTIFY` on PostgreSQL, an in-process
    /// signal on SQLite), or `at_most` has passed. Only ever makes it faster.
    async fn wait_for_job(&self, at_most: Duration);
}

/// The lock of whoever is here.
pub(super) fn lock_of(holder: &str) -> String {
    format!("jobs/holder/{holder}")
}

/// How long it is waited for a lock that somebody who looks for the absent may have for a moment.
pub(super) const MOMENT: Duration = Duration::from_secs(1);

/// How far ahead of now a job may have been written before its times are not believed, in seconds:
/// replicas' clocks differ a little.
pub(super) const CLOCKS_DIFFER: i64 = 60;

/// Wishes as if each had been put on record after the other: one a key, the first of them first.
/// Beside them, for each wish, which of these it is in.
pub(super) fn joined(wishes: &[NewJob]) -> (Vec<NewJob>, Vec<usize>) {
    let mut distinct: Vec<NewJob> = Vec::new();
    let mut places = std::collections::HashMap::new();
    let of = wishes
        .iter()
        .map(|wish| {
            let at = *places.entry(wish.key.as_str()).or_insert(distinct.len());
            match distinct.get_mut(at) {
                None => distinct.push(wish.clone()),
                Some(first) => {
                    first.priority = first.priority.min(wish.priority);
                    first.due_at = first.due_at.min(wish.due_at);
                    first.user = wish.user.or(first.user);
                    first.payload.clone_from(&wish.payload);
                    first.why.clone_from(&wish.why);
                }
            }
            at
        })
        .collect();
    (distinct, of)
}

/// An end as both engines write it down.
pub(super) struct Ending<'a> {
    /// The state, unless the job was wished again.
    pub(super) state: JobState,
    /// Whether the attempts are forgotten if it was.
    pub(super) fresh: bool,
    /// How many attempts it did not cost.
    pub(super) refund: i64,
    /// Not before.
    pub(super) at: Option<i64>,
    /// The error; `None` leaves what stands.
    pub(super) error: Option<std::borrow::Cow<'a, str>>,
}

impl<'a> From<&'a JobEnd> for Ending<'a> {
    fn from(end: &'a JobEnd) -> Self {
        let plain = super::rules::plain;
        match end {
            JobEnd::Done => Self {
                state: JobState::Done,
                fresh: true,
                refund: 0,
                at: None,
                error: Some("".into()),
            },
            JobEnd::Retry { at, error, counts } => Self {
                state: JobState::Pending,
                fresh: false,
                refund: i64::from(!counts),
                at: Some(at.0),
                error: (!error.is_empty()).then(|| plain(error)),
            },
            JobEnd::Dead { error } => Self {
                state: JobState::Dead,
                fresh: true,
                refund: 0,
                at: None,
                error: Some(plain(error)),
            },
        }
    }
}

/// What a word in the store that no job has means.
pub(super) fn unknown_priority(value: i64) -> StoreError {
    StoreError::Inconsistent(format!("priority {value} is not known to this version"))
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Read, Self::Converge, Self::Sweep, Self::Mail];
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

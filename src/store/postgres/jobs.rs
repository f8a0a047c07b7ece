//! The queue. Claimers pass each other by (`SKIP LOCKED`); that no lane runs twice is a unique
//! index's doing, and who loses to it looks again.

use super::error::taken;
use super::row::{Conditions, many, one, run};
use super::users::gone;
use super::{PostgresStore, bounded, presence, trail};
use crate::store::jobs::{CLOCKS_DIFFER, Ending, MOMENT, joined, lock_of};
use crate::store::rows::{self, Columns as _, JOB};
use crate::store::rules::{PURGE_AT_ONCE, limit, plain};
use crate::store::{
    By, Change, Enqueued, Job, JobClaim, JobCount, JobEnd, JobFilter, JobState, JobStore,
    LockGuard, NewJob, Result, StoreError,
};
use crate::types::Timestamp;
use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Pool, Transaction};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// What a notification says when it is about the queue.
pub(super) const WISHED: &str = "jobs";

/// Wishes of one statement.
const AT_ONCE: usize = 1_000;

/// How often a claim is begun again when another replica was faster in one of its lanes.
const CLAIMS: usize = 5;

#[async_trait]
impl JobStore for PostgresStore {
    async fn enqueue(&self, wishes: &[NewJob], now: Timestamp) -> Result<Vec<Enqueued>> {
        bounded(enqueue(&self.pool, &self.channel, wishes, now)).await
    }

    async fn claim_jobs(&self, claimed: &JobClaim, now: Timestamp) -> Result<Vec<Job>> {
        self.wished.reading();
        bounded(claim(&self.pool, claimed, now)).await
    }

    async fn extend_job(
        &self,
        id: Uuid,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        bounded(extend(&self.pool, id, holder, until, now)).await
    }

    async fn outranked_jobs(&self, holder: &str, now: Timestamp) -> Result<Vec<Uuid>> {
        bounded(outranked(&self.pool, holder, now)).await
    }

    async fn finish_job(
        &self,
        id: Uuid,
        holder: &str,
        end: &JobEnd,
        now: Timestamp,
    ) -> Result<bool> {
        bounded(finish(&self.pool, id, holder, end, now)).await
    }

    async fn job(&self, id: Uuid) -> Result<Option<Job>> {
        bounded(async {
            let sql = format!("SELECT {JOB} FROM jobs WHERE id = $1");
            one(&self.client().await?, &sql, &[&id], rows::job).await
        })
        .await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        bounded(page(&self.pool, filter)).await
    }

    async fn retry_job(&self, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>> {
        bounded(retry(&self.pool, &self.channel, id, now, by)).await
    }

    async fn cancel_job(&self, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>> {
        bounded(cancel(&self.pool, id, now, by)).await
    }

    async fn count_jobs(&self) -> Result<Vec<JobCount>> {
        bounded(async {
            let sql = "SELECT kind, app, state, count(*), min(due_at) FROM jobs
                 WHERE state IN ('pending', 'running', 'dead')
                 GROUP BY kind, app, state ORDER BY kind, app NULLS FIRST, state";
            many(&self.client().await?, sql, &[], rows::job_count).await
        })
        .await
    }

    async fn forget_jobs(&self, before: Timestamp) -> Result<u64> {
        bounded(async {
            let sql = "DELETE FROM jobs WHERE id = ANY (ARRAY
                 (SELECT id FROM jobs WHERE updated_at < $1 AND state IN ('done', 'cancelled')
                  LIMIT $2 FOR UPDATE SKIP LOCKED))";
            Ok(run(&self.client().await?, sql, &[&before.0, &PURGE_AT_ONCE]).await?)
        })
        .await
    }

    async fn be_here(&self, holder: &str) -> Result<LockGuard> {
        let lock = lock_of(&plain(holder));
        self.locks.lock(&self.pool, &lock, MOMENT).await
    }

    async fn absent_holders(&self) -> Result<Vec<String>> {
        bounded(presence::absent(&self.pool, self.locks.schema())).await
    }

    fn absence(&self) -> Duration {
        presence::ABSENCE
    }

    async fn relieve(&self, holder: &str, now: Timestamp) -> Result<u64> {
        let relieved = presence::relieve(&self.pool, self.locks.schema(), holder, now);
        let relieved = bounded(relieved).await?;
        self.wished.hint();
        Ok(relieved)
    }

    async fn wait_for_job(&self, at_most: Duration) {
        self.wished.wait(at_most).await;
    }
}

async fn enqueue(
    pool: &Pool,
    channel: &str,
    wishes: &[NewJob],
    now: Timestamp,
) -> Result<Vec<Enqueued>> {
    let (distinct, places) = joined(wishes);
    let new: Vec<Uuid> = distinct.iter().map(|_| Uuid::now_v7()).collect();
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let mut ids = HashMap::with_capacity(distinct.len());
    // By key, so that two who wish for the same things wait for each other in one order only.
    let mut order: Vec<usize> = (0..distinct.len()).collect();
    order.sort_by(|a, b| distinct[*a].key.cmp(&distinct[*b].key));
    for some in order.chunks(AT_ONCE) {
        let wishes: Vec<&NewJob> = some.iter().map(|at| &distinct[*at]).collect();
        let fresh: Vec<Uuid> = some.iter().map(|at| new[*at]).collect();
        ids.extend(put(&tx, &fresh, &wishes, now).await?);
    }
    notify(&tx, channel).await?;
    tx.commit().await?;
    let mut first = vec![true; distinct.len()];
    places
        .into_iter()
        .map(|at| {
            let key = plain(&distinct[at].key);
            let id = *ids.get(key.as_ref()).ok_or_else(gone)?;
            let made = std::mem::replace(&mut first[at], false) && id == new[at];
            Ok(Enqueued { id, joined: !made })
        })
        .collect()
}

/// Puts distinct wishes on record in their order; gives the ids by key.
async fn put(
    tx: &Transaction<'_>,
    fresh: &[Uuid],
    wishes: &[&NewJob],
    now: Timestamp,
) -> Result<Vec<(String, Uuid)>> {
    let kinds: Vec<_> = wishes.iter().map(|w| w.kind.as_str()).collect();
    let keys: Vec<_> = wishes.iter().map(|w| plain(&w.key)).collect();
    let lanes: Vec<_> = wishes.iter().map(|w| plain(&w.lane)).collect();
    let apps: Vec<_> = wishes
        .iter()
        .map(|w| w.app.as_ref().map(|app| app.as_str()))
        .collect();
    let sources: Vec<_> = wishes
        .iter()
        .map(|w| w.source.as_ref().map(|source| source.as_str()))
        .collect();
    let users: Vec<_> = wishes.iter().map(|w| w.user.map(|user| user.0)).collect();
    let priorities: Vec<_> = wishes.iter().map(|w| w.priority.number()).collect();
    let payloads: Vec<_> = wishes.iter().map(|w| plain(&w.payload)).collect();
    let whys: Vec<_> = wishes.iter().map(|w| plain(&w.why)).collect();
    let dues: Vec<_> = wishes.iter().map(|w| w.due_at.0).collect();
    let sql = format!(
        "INSERT INTO jobs ({JOB})
         SELECT id, kind, key, lane, app, source, user_id, priority, payload, why, 'pending', 0,
             due_at, false, NULL, NULL, '', $11, $11
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
             $7::uuid[], $8::bigint[], $9::text[], $10::text[], $12::bigint[])
             WITH ORDINALITY AS w (id, kind, key, lane, app, source, user_id, priority, payload,
                 why, due_at, place)
         ORDER BY place
         ON CONFLICT (key) WHERE state IN ('pending', 'running', 'dead') DO UPDATE SET
             user_id = coalesce(excluded.user_id, jobs.user_id),
             priority = least(jobs.priority, excluded.priority),
             payload = excluded.payload, why = excluded.why,
             due_at = CASE WHEN jobs.state = 'dead' OR (jobs.state = 'running' AND NOT jobs.again)
                 THEN excluded.due_at ELSE least(jobs.due_at, excluded.due_at) END,
             attempts = CASE WHEN jobs.state = 'dead' THEN 0 ELSE jobs.attempts END,
             again = (jobs.state = 'running'),
             state = CASE WHEN jobs.state = 'dead' THEN 'pending' ELSE jobs.state END,
             updated_at = excluded.updated_at
         RETURNING key, id"
    );
    many(
        tx,
        &sql,
        &[
            &fresh,
            &kinds,
            &keys,
            &lanes,
            &apps,
            &sources,
            &users,
            &priorities,
            &payloads,
            &whys,
            &now.0,
            &dues,
        ],
        |row| Ok((row.text(0)?, row.uuid(1)?)),
    )
    .await
}

async fn notify(tx: &Transaction<'_>, channel: &str) -> Result<()> {
    run(tx, "SELECT pg_notify($1, $2)", &[&channel, &WISHED]).await?;
    Ok(())
}

async fn claim(pool: &Pool, claim: &JobClaim, now: Timestamp) -> Result<Vec<Job>> {
    for _ in 0..CLAIMS {
        let mut client = pool.get().await?;
        let tx = client.transaction().await?;
        match take(&tx, claim, now).await {
            Ok(mut jobs) => {
                tx.commit().await?;
                jobs.sort_by_key(|job| (job.priority, job.due_at, job.id));
                return Ok(jobs);
            }
            // Another replica took one of these lanes first.
            Err(Lost::Race) => tx.rollback().await?,
            Err(Lost::Store(error)) => return Err(error),
        }
    }
    Ok(Vec::new())
}

/// Why nothing was taken.
enum Lost {
    Race,
    Store(StoreError),
}

impl From<StoreError> for Lost {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<tokio_postgres::Error> for Lost {
    fn from(error: tokio_postgres::Error) -> Self {
        let deadlock = error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED);
        if deadlock || taken(&error) == Some("jobs_running") {
            return Self::Race;
        }
        Self::Store(error.into())
    }
}

async fn take(
    tx: &Transaction<'_>,
    claim: &JobClaim,
    now: Timestamp,
) -> std::result::Result<Vec<Job>, Lost> {
    run(
        tx,
        "UPDATE jobs SET due_at = $1 + greatest(due_at - updated_at, 0),
             leased_until = CASE WHEN leased_until IS NOT NULL
                 THEN $1 + greatest(leased_until - updated_at, 0) END,
             updated_at = $1
         WHERE id = ANY (ARRAY (SELECT id FROM jobs
                   WHERE updated_at > $2 AND state IN ('pending', 'running')
                   FOR UPDATE SKIP LOCKED))",
        &[&now.0, &now.0.saturating_add(CLOCKS_DIFFER)],
    )
    .await?;
    run(
        tx,
        "UPDATE jobs SET state = 'pending', holder = NULL, leased_until = NULL, again = false,
             due_at = least(due_at, $1), updated_at = $1
         WHERE id = ANY (ARRAY (SELECT id FROM jobs
                   WHERE state = 'running' AND leased_until <= $1 AND id <> ALL ($2)
                   FOR UPDATE SKIP LOCKED))",
        &[&now.0, &claim.busy],
    )
    .await?;
    // Of a lane the first that may be taken, unless one of it runs: two claimers at once see the
    // same one, and the second passes it by.
    let may = |j: &str| {
        format!(
            "{j}.due_at <= $1 AND {j}.priority <= $2
             AND coalesce({j}.app <> ALL ($3), true) AND coalesce({j}.source <> ALL ($4), true)
             AND {j}.kind = ANY ($8)"
        )
    };
    let sql = format!(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, holder = $6,
             leased_until = $7, updated_at = $1
         WHERE id = ANY (ARRAY (
             SELECT j.id FROM jobs j WHERE j.state = 'pending' AND {}
               AND NOT EXISTS (
                   SELECT 1 FROM jobs o
                   WHERE o.lane = j.lane AND o.state IN ('pending', 'running')
                     AND (o.state = 'running' OR ({}
                          AND (o.priority, o.due_at, o.id) < (j.priority, j.due_at, j.id))))
             ORDER BY j.priority, j.due_at, j.id LIMIT $5 FOR UPDATE SKIP LOCKED))
         RETURNING {JOB}",
        may("j"),
        may("o")
    );
    let apps: Vec<_> = claim.without_apps.iter().map(|app| app.as_str()).collect();
    let sources: Vec<_> = claim
        .without_sources
        .iter()
        .map(|source| source.as_str())
        .collect();
    let kinds: Vec<_> = claim.kinds.iter().map(|kind| kind.as_str()).collect();
    let statement = tx.prepare_cached(&sql).await?;
    let rows = tx
        .query(
            &statement,
            &[
                &now.0,
                &claim.least.number(),
                &apps,
                &sources,
                &i64::from(claim.limit),
                &plain(&claim.holder),
                &(now + claim.lease).0,
                &kinds,
            ],
        )
        .await?;
    let jobs: Result<Vec<Job>> = rows.iter().map(rows::job).collect();
    Ok(jobs?)
}

async fn extend(
    pool: &Pool,
    id: Uuid,
    holder: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let extended = run(
        &pool.get().await?,
        "UPDATE jobs SET leased_until = $3, updated_at = $4
         WHERE id = $1 AND holder = $2 AND state = 'running'",
        &[&id, &plain(holder), &until.0, &now.0],
    )
    .await?;
    Ok(extended > 0)
}

async fn outranked(pool: &Pool, holder: &str, now: Timestamp) -> Result<Vec<Uuid>> {
    many(
        &pool.get().await?,
        "SELECT r.id FROM jobs r WHERE r.holder = $1 AND r.state = 'running' AND r.priority > 0
           AND EXISTS (SELECT 1 FROM jobs w
                       WHERE w.lane = r.lane AND w.state IN ('pending', 'running')
                         AND w.state = 'pending' AND w.priority = 0 AND w.due_at <= $2)
         ORDER BY r.id",
        &[&plain(holder), &now.0],
        |row| row.uuid(0),
    )
    .await
}

async fn finish(pool: &Pool, id: Uuid, holder: &str, end: &JobEnd, now: Timestamp) -> Result<bool> {
    let ending = Ending::from(end);
    let finished = run(
        &pool.get().await?,
        "UPDATE jobs SET
             state = CASE WHEN again THEN 'pending' ELSE $3::text END,
             attempts = CASE WHEN again AND $4::boolean THEN 0
                 ELSE greatest(attempts - $5::bigint, 0) END,
             due_at = CASE WHEN $6::bigint IS NULL THEN due_at
                 WHEN again THEN least(due_at, $6) ELSE $6 END,
             error = coalesce($7, error),
             again = false, holder = NULL, leased_until = NULL, updated_at = $8
         WHERE id = $1 AND holder = $2 AND state = 'running'",
        &[
            &id,
            &plain(holder),
            &ending.state.as_str(),
            &ending.fresh,
            &ending.refund,
            &ending.at,
            &ending.error,
            &now.0,
        ],
    )
    .await?;
    Ok(finished > 0)
}

async fn page(pool: &Pool, filter: &JobFilter) -> Result<Vec<Job>> {
    let mut conditions = Conditions::default();
    if !filter.states.is_empty() {
        let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
        conditions.with("state = ANY (?)", states);
    }
    if let Some(kind) = filter.kind {
        conditions.with("kind = ?", kind.as_str());
    }
    if let Some(app) = &filter.app {
        conditions.with("app = ?", app.as_str().to_owned());
    }
    if let Some(source) = &filter.source {
        conditions.with("source = ?", source.as_str().to_owned());
    }
    if let Some(user) = filter.user {
        conditions.with("user_id = ?", user.0);
    }
    if let Some(after) = filter.after {
        conditions.with("id > ?", after);
    }
    let (clause, limit) = (conditions.clause(), limit(filter.limit));
    many(
        &pool.get().await?,
        &format!("SELECT {JOB} FROM jobs {clause} ORDER BY id LIMIT {limit}"),
        &conditions.values(),
        rows::job,
    )
    .await
}

/// A job that waits or is dead, held until the transaction ends.
async fn waiting(tx: &Transaction<'_>, id: Uuid) -> Result<Option<Job>> {
    let sql = format!("SELECT {JOB} FROM jobs WHERE id = $1 FOR UPDATE");
    let job = one(tx, &sql, &[&id], rows::job).await?;
    Ok(job.filter(|job| matches!(job.state, JobState::Pending | JobState::Dead)))
}

async fn retry(
    pool: &Pool,
    channel: &str,
    id: Uuid,
    now: Timestamp,
    by: &By,
) -> Result<Option<Job>> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let Some(before) = waiting(&tx, id).await? else {
        return Ok(None);
    };
    let sql = format!(
        "UPDATE jobs SET state = 'pending', attempts = 0, due_at = least(due_at, $2),
             updated_at = $2
         WHERE id = $1 RETURNING {JOB}"
    );
    let job = one(&tx, &sql, &[&id, &now.0], rows::job).await?;
    notify(&tx, channel).await?;
    trail::append(&tx, &by.records(&Change::JobRetried(&before))).await?;
    tx.commit().await?;
    Ok(job)
}

async fn cancel(pool: &Pool, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let Some(before) = waiting(&tx, id).await? else {
        return Ok(None);
    };
    let sql = format!(
        "UPDATE jobs SET state = 'cancelled', updated_at = $2 WHERE id = $1 RETURNING {JOB}"
    );
    let job = one(&tx, &sql, &[&id, &now.0], rows::job).await?;
    trail::append(&tx, &by.records(&Change::JobCancelled(&before))).await?;
    tx.commit().await?;
    Ok(job)
}

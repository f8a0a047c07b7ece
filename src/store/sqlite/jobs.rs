//! The queue. One writer at a time: whoever takes jobs takes them alone.

use super::SqliteStore;
use super::row::{Conditions, many, one, run};
use super::trail;
use crate::store::jobs::{CLOCKS_DIFFER, Ending, MOMENT, lock_of};
use crate::store::rows::{self, JOB};
use crate::store::rules::{PURGE_AT_ONCE, limit, plain};
use crate::store::{
    By, Change, Enqueued, Job, JobClaim, JobCount, JobEnd, JobFilter, JobState, JobStore,
    LockGuard, NewJob, Result, StoreError,
};
use crate::types::Timestamp;
use async_trait::async_trait;
use rusqlite::{Connection, params, params_from_iter};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

#[async_trait]
impl JobStore for SqliteStore {
    async fn enqueue(&self, wishes: &[NewJob], now: Timestamp) -> Result<Vec<Enqueued>> {
        let (wishes, wished) = (wishes.to_vec(), Arc::clone(&self.wished));
        let enqueued = self
            .write(move |db| wishes.iter().map(|wish| enqueue(db, wish, now)).collect())
            .await;
        wished.hint();
        enqueued
    }

    async fn claim_jobs(&self, claimed: &JobClaim, now: Timestamp) -> Result<Vec<Job>> {
        self.wished.reading();
        let claimed = claimed.clone();
        self.write(move |db| claim(db, &claimed, now)).await
    }

    async fn extend_job(
        &self,
        id: Uuid,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let holder = holder.to_owned();
        self.write(move |db| extend(db, id, &holder, until, now))
            .await
    }

    async fn outranked_jobs(&self, holder: &str, now: Timestamp) -> Result<Vec<Uuid>> {
        let holder = holder.to_owned();
        self.read(move |db| outranked(db, &holder, now)).await
    }

    async fn finish_job(
        &self,
        id: Uuid,
        holder: &str,
        end: &JobEnd,
        now: Timestamp,
    ) -> Result<bool> {
        let (holder, end) = (holder.to_owned(), end.clone());
        self.write(move |db| finish(db, id, &holder, &end, now))
            .await
    }

    async fn job(&self, id: Uuid) -> Result<Option<Job>> {
        self.read(move |db| get(db, id)).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        let filter = filter.clone();
        self.read(move |db| page(db, &filter)).await
    }

    async fn retry_job(&self, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>> {
        let (by, wished) = (by.clone(), Arc::clone(&self.wished));
        let retried = self.write(move |db| retry(db, id, now, &by)).await;
        wished.hint();
        retried
    }

    async fn cancel_job(&self, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>> {
        let by = by.clone();
        self.write(move |db| cancel(db, id, now, &by)).await
    }

    async fn count_jobs(&self) -> Result<Vec<JobCount>> {
        self.read(count).await
    }

    async fn forget_jobs(&self, before: Timestamp) -> Result<u64> {
        self.write(move |db| forget(db, before)).await
    }

    async fn be_here(&self, holder: &str) -> Result<LockGuard> {
        self.locks.lock(&lock_of(holder), MOMENT).await
    }

    async fn absent_holders(&self) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT holder FROM jobs WHERE state = 'running' ORDER BY holder";
        let all = self.read(move |db| many(db, sql, [], |row| rows::Columns::text(row, 0)));
        let mut absent = Vec::new();
        for holder in all.await? {
            match self.locks.lock(&lock_of(&holder), Duration::ZERO).await {
                Ok(_) => absent.push(holder),
                Err(StoreError::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(absent)
    }

    fn absence(&self) -> Duration {
        Duration::ZERO
    }

    async fn relieve(&self, holder: &str, now: Timestamp) -> Result<u64> {
        // Held until all is given back: nobody comes back under this name meanwhile.
        let _absent = match self.locks.lock(&lock_of(holder), Duration::ZERO).await {
            Err(StoreError::Busy) => return Ok(0),
            other => other?,
        };
        let (holder, wished) = (holder.to_owned(), Arc::clone(&self.wished));
        let relieved = self.write(move |db| relieve(db, &holder, now)).await;
        wished.hint();
        relieved
    }

    async fn wait_for_job(&self, at_most: Duration) {
        self.wished.wait(at_most).await;
    }
}

fn enqueue(db: &Connection, wish: &NewJob, now: Timestamp) -> Result<Enqueued> {
    let new = Uuid::now_v7();
    let sql = format!(
        "INSERT INTO jobs ({JOB})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'pending', 0, ?11, 0, NULL, NULL, '', ?12, ?12)
         ON CONFLICT (key) WHERE state IN ('pending', 'running', 'dead') DO UPDATE SET
             user_id = coalesce(excluded.user_id, jobs.user_id),
             priority = min(jobs.priority, excluded.priority),
             payload = excluded.payload, why = excluded.why,
             due_at = CASE WHEN jobs.state = 'dead' OR (jobs.state = 'running' AND NOT jobs.again)
                 THEN excluded.due_at ELSE min(jobs.due_at, excluded.due_at) END,
             attempts = CASE WHEN jobs.state = 'dead' THEN 0 ELSE jobs.attempts END,
             again = (jobs.state = 'running'),
             state = CASE WHEN jobs.state = 'dead' THEN 'pending' ELSE jobs.state END,
             updated_at = excluded.updated_at
         RETURNING id"
    );
    let values = params![
        new.to_string(),
        wish.kind.as_str(),
        plain(&wish.key),
        plain(&wish.lane),
        wish.app.as_ref().map(|app| app.as_str()),
        wish.source.as_ref().map(|source| source.as_str()),
        wish.user.map(|user| user.to_string()),
        wish.priority.number(),
        plain(&wish.payload),
        plain(&wish.why),
        wish.due_at.0,
        now.0,
    ];
    let id = one(db, &sql, values, |row| rows::Columns::uuid(row, 0))?;
    let id = id.ok_or_else(|| StoreError::Inconsistent("a job is gone".into()))?;
    Ok(Enqueued {
        id,
        joined: id != new,
    })
}

fn claim(db: &Connection, claim: &JobClaim, now: Timestamp) -> Result<Vec<Job>> {
    run(
        db,
        "UPDATE jobs SET due_at = ?1 + max(due_at - updated_at, 0),
             leased_until = ?1 + max(leased_until - updated_at, 0), updated_at = ?1
         WHERE updated_at > ?2 AND state IN ('pending', 'running')",
        params![now.0, now.0.saturating_add(CLOCKS_DIFFER)],
    )?;
    let busy = rows::json(claim.busy.iter().map(Uuid::to_string));
    run(
        db,
        "UPDATE jobs SET state = 'pending', holder = NULL, leased_until = NULL, again = 0,
             due_at = min(due_at, ?1), updated_at = ?1
         WHERE state = 'running' AND leased_until <= ?1
           AND id NOT IN (SELECT value FROM json_each(?2))",
        params![now.0, busy],
    )?;
    // Of a lane the first that may be taken, unless one of it runs.
    let may = |j: &str| {
        format!(
            "{j}.due_at <= ?1 AND {j}.priority <= ?2
             AND coalesce({j}.app NOT IN (SELECT value FROM json_each(?3)), 1)
             AND coalesce({j}.source NOT IN (SELECT value FROM json_each(?4)), 1)
             AND {j}.kind IN (SELECT value FROM json_each(?8))"
        )
    };
    let sql = format!(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, holder = ?6,
             leased_until = ?7, updated_at = ?1
         WHERE id IN (
             SELECT j.id FROM jobs j WHERE j.state = 'pending' AND {}
               AND NOT EXISTS (
                   SELECT 1 FROM jobs o
                   WHERE o.lane = j.lane AND o.state IN ('pending', 'running')
                     AND (o.state = 'running' OR ({}
                          AND (o.priority, o.due_at, o.id) < (j.priority, j.due_at, j.id))))
             ORDER BY j.priority, j.due_at, j.id LIMIT ?5)
         RETURNING {JOB}",
        may("j"),
        may("o")
    );
    let values = params![
        now.0,
        claim.least.number(),
        rows::json(claim.without_apps.iter().map(|app| app.as_str())),
        rows::json(claim.without_sources.iter().map(|source| source.as_str())),
        i64::from(claim.limit),
        plain(&claim.holder),
        (now + claim.lease).0,
        rows::json(claim.kinds.iter().map(|kind| kind.as_str())),
    ];
    let mut taken = many(db, &sql, values, |row| rows::job(row))?;
    taken.sort_by_key(|job| (job.priority, job.due_at, job.id));
    Ok(taken)
}

fn extend(
    db: &Connection,
    id: Uuid,
    holder: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let extended = run(
        db,
        "UPDATE jobs SET leased_until = ?3, updated_at = ?4
         WHERE id = ?1 AND holder = ?2 AND state = 'running'",
        params![id.to_string(), plain(holder), until.0, now.0],
    )?;
    Ok(extended > 0)
}

fn relieve(db: &Connection, holder: &str, now: Timestamp) -> Result<u64> {
    let given_back = run(
        db,
        "UPDATE jobs SET state = 'pending', holder = NULL, leased_until = NULL, again = 0,
             due_at = min(due_at, ?2), updated_at = ?2
         WHERE state = 'running' AND holder = ?1",
        params![plain(holder), now.0],
    )?;
    Ok(given_back as u64)
}

fn outranked(db: &Connection, holder: &str, now: Timestamp) -> Result<Vec<Uuid>> {
    many(
        db,
        "SELECT r.id FROM jobs r WHERE r.holder = ?1 AND r.state = 'running' AND r.priority > 0
           AND EXISTS (SELECT 1 FROM jobs w
                       WHERE w.lane = r.lane AND w.state IN ('pending', 'running')
                         AND w.state = 'pending' AND w.priority = 0 AND w.due_at <= ?2)
         ORDER BY r.id",
        params![plain(holder), now.0],
        |row| rows::Columns::uuid(row, 0),
    )
}

fn finish(db: &Connection, id: Uuid, holder: &str, end: &JobEnd, now: Timestamp) -> Result<bool> {
    let ending = Ending::from(end);
    let finished = run(
        db,
        "UPDATE jobs SET
             state = CASE WHEN again THEN 'pending' ELSE ?3 END,
             attempts = CASE WHEN again AND ?4 THEN 0 ELSE max(attempts - ?5, 0) END,
             due_at = CASE WHEN ?6 IS NULL THEN due_at WHEN again THEN min(due_at, ?6) ELSE ?6 END,
             error = coalesce(?7, error),
             again = 0, holder = NULL, leased_until = NULL, updated_at = ?8
         WHERE id = ?1 AND holder = ?2 AND state = 'running'",
        params![
            id.to_string(),
            plain(holder),
            ending.state.as_str(),
            ending.fresh,
            ending.refund,
            ending.at,
            ending.error,
            now.0,
        ],
    )?;
    Ok(finished > 0)
}

fn get(db: &Connection, id: Uuid) -> Result<Option<Job>> {
    let sql = format!("SELECT {JOB} FROM jobs WHERE id = ?1");
    one(db, &sql, [id.to_string()], |row| rows::job(row))
}

fn page(db: &Connection, filter: &JobFilter) -> Result<Vec<Job>> {
    let mut conditions = Conditions::default();
    if !filter.states.is_empty() {
        conditions.with(
            "state IN (SELECT value FROM json_each(?))",
            rows::json(filter.states.iter().map(|state| state.as_str())),
        );
    }
    if let Some(kind) = filter.kind {
        conditions.with("kind = ?", kind.as_str().to_owned());
    }
    if let Some(app) = &filter.app {
        conditions.with("app = ?", app.as_str().to_owned());
    }
    if let Some(source) = &filter.source {
        conditions.with("source = ?", source.as_str().to_owned());
    }
    if let Some(user) = filter.user {
        conditions.with("user_id = ?", user.to_string());
    }
    if let Some(after) = filter.after {
        conditions.with("id > ?", after.to_string());
    }
    let (clause, values) = conditions.finish();
    let limit = limit(filter.limit);
    many(
        db,
        &format!("SELECT {JOB} FROM jobs {clause} ORDER BY id LIMIT {limit}"),
        params_from_iter(values),
        |row| rows::job(row),
    )
}

fn waiting(db: &Connection, id: Uuid) -> Result<Option<Job>> {
    let job = get(db, id)?;
    Ok(job.filter(|job| matches!(job.state, JobState::Pending | JobState::Dead)))
}

fn retry(db: &Connection, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>> {
    let Some(before) = waiting(db, id)? else {
        return Ok(None);
    };
    run(
        db,
        "UPDATE jobs SET state = 'pending', attempts = 0, due_at = min(due_at, ?2), updated_at = ?2
         WHERE id = ?1",
        params![id.to_string(), now.0],
    )?;
    trail::append(db, &by.records(&Change::JobRetried(&before)))?;
    get(db, id)
}

fn cancel(db: &Connection, id: Uuid, now: Timestamp, by: &By) -> Result<Option<Job>> {
    let Some(before) = waiting(db, id)? else {
        return Ok(None);
    };
    run(
        db,
        "UPDATE jobs SET state = 'cancelled', updated_at = ?2 WHERE id = ?1",
        params![id.to_string(), now.0],
    )?;
    trail::append(db, &by.records(&Change::JobCancelled(&before)))?;
    get(db, id)
}

fn count(db: &Connection) -> Result<Vec<JobCount>> {
    many(
        db,
        "SELECT kind, app, state, count(*), min(due_at) FROM jobs
         WHERE state IN ('pending', 'running', 'dead')
         GROUP BY kind, app, state ORDER BY kind, app, state",
        [],
        |row| rows::job_count(row),
    )
}

fn forget(db: &Connection, before: Timestamp) -> Result<u64> {
    let removed = run(
        db,
        "DELETE FROM jobs WHERE id IN
             (SELECT id FROM jobs WHERE updated_at < ?1 AND state IN ('done', 'cancelled') LIMIT ?2)",
        params![before.0, PURGE_AT_ONCE],
    )?;
    Ok(removed as u64)
}

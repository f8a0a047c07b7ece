//! Plans that wait for a person's word.

use super::SqliteStore;
use super::row::{many, one, run};
use crate::store::plans::{self, PlanFilter, PlanState, PlanStore, StoredPlan};
use crate::store::rows::{self, PLAN, PLAN_HEAD};
use crate::store::rules::limit;
use crate::store::{Result, StoreError};
use crate::types::{AppId, SourceId, Timestamp};
use async_trait::async_trait;
use rusqlite::{Connection, params};
use uuid::Uuid;

#[async_trait]
impl PlanStore for SqliteStore {
    async fn hold_plan(&self, plan: &StoredPlan) -> Result<StoredPlan> {
        let plan = plan.clone();
        self.write(move |db| hold(db, &plan)).await
    }

    async fn propose_plan(&self, plan: &StoredPlan) -> Result<()> {
        let plan = plan.clone();
        self.write(move |db| propose(db, &plan)).await
    }

    async fn supersede_plans(
        &self,
        source: &SourceId,
        app: Option<&AppId>,
        now: Timestamp,
    ) -> Result<()> {
        let (source, app) = (source.clone(), app.cloned());
        self.write(move |db| supersede(db, &source, app.as_ref(), now))
            .await
    }

    async fn held_plans(&self) -> Result<Vec<(SourceId, i64)>> {
        let sql = "SELECT source, count(*) FROM plans WHERE state = 'held'
                   GROUP BY source ORDER BY source";
        self.read(move |db| many(db, sql, [], |row| rows::counted(row)))
            .await
    }

    async fn plan(&self, id: Uuid) -> Result<Option<StoredPlan>> {
        self.read(move |db| get(db, id)).await
    }

    async fn plans(&self, filter: &PlanFilter) -> Result<Vec<StoredPlan>> {
        let filter = filter.clone();
        self.read(move |db| page(db, &filter)).await
    }

    async fn end_plan(&self, id: Uuid, to: PlanState, by: &str, now: Timestamp) -> Result<bool> {
        let by = by.to_owned();
        self.write(move |db| end(db, id, to, &by, now)).await
    }
}

fn hold(db: &Connection, plan: &StoredPlan) -> Result<StoredPlan> {
    let sql = format!(
        "SELECT {PLAN} FROM plans WHERE source = ?1 AND app = ?2 AND state IN ('held', 'dismissed')
         ORDER BY id DESC LIMIT 1"
    );
    let values = [plan.source.as_str(), named(plan.app.as_ref())];
    let last = one(db, &sql, values, |row| rows::plan(row))?;
    if let Some(last) = last.and_then(|last| plans::stands(last, plan)) {
        return Ok(last);
    }
    supersede(db, &plan.source, plan.app.as_ref(), plan.made_at)?;
    insert(db, plan)?;
    get(db, plan.id)?.ok_or_else(|| StoreError::Inconsistent("a plan is gone".into()))
}

/// Keeps it, unless there is one of its id.
fn insert(db: &Connection, plan: &StoredPlan) -> Result<()> {
    let sql = format!(
        "INSERT INTO plans ({PLAN}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO NOTHING"
    );
    let values = params![
        plan.id.to_string(),
        plan.source.as_str(),
        named(plan.app.as_ref()),
        plan.state.as_str(),
        plan.digest,
        plan.why,
        plan.body,
        plan.made_at.0,
        plan.state_since.0,
        plan.by,
    ];
    run(db, &sql, values)?;
    Ok(())
}

fn propose(db: &Connection, plan: &StoredPlan) -> Result<()> {
    let sql = "DELETE FROM plans WHERE source = ?1 AND state = 'proposed'";
    run(db, sql, [plan.source.as_str()])?;
    insert(db, plan)
}

/// As the column has it.
fn named(app: Option<&AppId>) -> &str {
    app.map_or("", AppId::as_str)
}

fn supersede(
    db: &Connection,
    source: &SourceId,
    app: Option<&AppId>,
    now: Timestamp,
) -> Result<()> {
    let sql = "UPDATE plans SET state = 'superseded', state_since = ?3
               WHERE source = ?1 AND app = ?2 AND state = 'held'";
    run(db, sql, params![source.as_str(), named(app), now.0])?;
    Ok(())
}

fn get(db: &Connection, id: Uuid) -> Result<Option<StoredPlan>> {
    let sql = format!("SELECT {PLAN} FROM plans WHERE id = ?1");
    one(db, &sql, [id.to_string()], |row| rows::plan(row))
}

fn page(db: &Connection, filter: &PlanFilter) -> Result<Vec<StoredPlan>> {
    let sql = format!(
        "SELECT {PLAN_HEAD} FROM plans
         WHERE (?1 IS NULL OR source = ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR id > ?3)
         ORDER BY id LIMIT ?4"
    );
    let values = params![
        filter.source.as_ref().map(SourceId::as_str),
        filter.state.map(PlanState::as_str),
        filter.after.map(|id| id.to_string()),
        limit(filter.limit),
    ];
    many(db, &sql, values, |row| rows::plan(row))
}

fn end(db: &Connection, id: Uuid, to: PlanState, by: &str, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE plans SET state = ?2, ended_by = ?3, state_since = ?4
               WHERE id = ?1 AND (state = 'held' OR (state = 'proposed' AND ?2 = 'applied'))";
    Ok(run(db, sql, params![id.to_string(), to.as_str(), by, now.0])? > 0)
}

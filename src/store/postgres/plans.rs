//! Plans that wait for a person's word.

use super::row::{many, one, run};
use super::users::gone;
use super::{PostgresStore, bounded};
use crate::store::Result;
use crate::store::plans::{self, PlanFilter, PlanState, PlanStore, StoredPlan};
use crate::store::rows::{self, PLAN, PLAN_HEAD};
use crate::store::rules::limit;
use crate::types::{AppId, SourceId, Timestamp};
use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Pool};
use uuid::Uuid;

#[async_trait]
impl PlanStore for PostgresStore {
    async fn hold_plan(&self, plan: &StoredPlan) -> Result<StoredPlan> {
        bounded(hold(&self.pool, plan)).await
    }

    async fn propose_plan(&self, plan: &StoredPlan) -> Result<()> {
        bounded(propose(&self.pool, plan)).await
    }

    async fn supersede_plans(
        &self,
        source: &SourceId,
        app: Option<&AppId>,
        now: Timestamp,
    ) -> Result<()> {
        bounded(async { supersede(&self.client().await?, source, app, now).await }).await
    }

    async fn held_plans(&self) -> Result<Vec<(SourceId, i64)>> {
        bounded(async {
            let sql = "SELECT source, count(*) FROM plans WHERE state = 'held'
                       GROUP BY source ORDER BY source COLLATE \"C\"";
            many(&self.client().await?, sql, &[], rows::counted).await
        })
        .await
    }

    async fn plan(&self, id: Uuid) -> Result<Option<StoredPlan>> {
        bounded(async { get(&self.client().await?, id).await }).await
    }

    async fn plans(&self, filter: &PlanFilter) -> Result<Vec<StoredPlan>> {
        bounded(async { page(&self.client().await?, filter).await }).await
    }

    async fn end_plan(&self, id: Uuid, to: PlanState, by: &str, now: Timestamp) -> Result<bool> {
        bounded(async {
            let sql = "UPDATE plans SET state = $2, ended_by = $3, state_since = $4
                       WHERE id = $1 AND (state = 'held' OR (state = 'proposed' AND $2 = 'applied'))";
            let values = &[&id, &to.as_str() as super::row::Value<'_>, &by, &now.0];
            Ok(run(&self.client().await?, sql, values).await? > 0)
        })
        .await
    }
}

async fn hold(pool: &Pool, plan: &StoredPlan) -> Result<StoredPlan> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    take_turns(&tx, plan).await?;
    let sql = format!(
        "SELECT {PLAN} FROM plans WHERE source = $1 AND app = $2 AND state IN ('held', 'dismissed')
         ORDER BY id DESC LIMIT 1"
    );
    let values = &[
        &plan.source.as_str() as super::row::Value<'_>,
        &named(plan.app.as_ref()),
    ];
    let last = one(&tx, &sql, values, rows::plan).await?;
    if let Some(last) = last.and_then(|last| plans::stands(last, plan)) {
        return Ok(last);
    }
    supersede(&tx, &plan.source, plan.app.as_ref(), plan.made_at).await?;
    insert(&tx, plan).await?;
    let stored = get(&tx, plan.id).await?.ok_or_else(gone)?;
    tx.commit().await?;
    Ok(stored)
}

/// Two replicas that swept at once take turns.
async fn take_turns(tx: &impl GenericClient, plan: &StoredPlan) -> Result<()> {
    let turn = format!("plans/{}/{}", plan.source, named(plan.app.as_ref()));
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    run(tx, sql, &[&turn]).await?;
    Ok(())
}

/// Keeps it, unless there is one of its id.
async fn insert(db: &impl GenericClient, plan: &StoredPlan) -> Result<()> {
    let sql = format!(
        "INSERT INTO plans ({PLAN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (id) DO NOTHING"
    );
    let values = &[
        &plan.id as super::row::Value<'_>,
        &plan.source.as_str(),
        &named(plan.app.as_ref()),
        &plan.state.as_str(),
        &plan.digest,
        &plan.why,
        &plan.body,
        &plan.made_at.0,
        &plan.state_since.0,
        &plan.by,
    ];
    run(db, &sql, values).await?;
    Ok(())
}

async fn propose(pool: &Pool, plan: &StoredPlan) -> Result<()> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    take_turns(&tx, plan).await?;
    let sql = "DELETE FROM plans WHERE source = $1 AND state = 'proposed'";
    run(&tx, sql, &[&plan.source.as_str()]).await?;
    insert(&tx, plan).await?;
    tx.commit().await?;
    Ok(())
}

/// As the column has it.
fn named(app: Option<&AppId>) -> &str {
    app.map_or("", AppId::as_str)
}

async fn supersede(
    db: &impl GenericClient,
    source: &SourceId,
    app: Option<&AppId>,
    now: Timestamp,
) -> Result<()> {
    let sql = "UPDATE plans SET state = 'superseded', state_since = $3
               WHERE source = $1 AND app = $2 AND state = 'held'";
    run(db, sql, &[&source.as_str(), &named(app), &now.0]).await?;
    Ok(())
}

async fn get(db: &impl GenericClient, id: Uuid) -> Result<Option<StoredPlan>> {
    let sql = format!("SELECT {PLAN} FROM plans WHERE id = $1");
    one(db, &sql, &[&id], rows::plan).await
}

async fn page(db: &impl GenericClient, filter: &PlanFilter) -> Result<Vec<StoredPlan>> {
    let sql = format!(
        "SELECT {PLAN_HEAD} FROM plans
         WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR state = $2)
           AND ($3::uuid IS NULL OR id > $3)
         ORDER BY id LIMIT $4"
    );
    let values = &[
        &filter.source.as_ref().map(SourceId::as_str) as super::row::Value<'_>,
        &filter.state.map(PlanState::as_str),
        &filter.after,
        &limit(filter.limit),
    ];
    many(db, &sql, values, rows::plan).await
}

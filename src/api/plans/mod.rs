//! `/api/v1/plans`: plans of reconciliation that wait for a person's word or were asked for, and what
//! became of them.
//!
//! [`decide`]: yes and no, which are `reconcile::decide`'s, the same as for the command · [`propose`]:
//! what a sweep would do, without its being done · [`steps`]: all that a plan says, page by page.

mod decide;
mod propose;
mod steps;

use super::Routes;
use super::granted::{Granted, ReadAdmin};
use super::problem::Problem;
use super::rest::{Asked, Limit, Page, accept, cursor, id, paged, shown};
use super::state::Api;
use crate::error::Code;
use crate::reconcile::plan::{GroupStep, PersonStep, Plan, Summary};
use crate::reconcile::sweep::{PlanError, read_plan};
use crate::reconcile::world::SweepError;
use crate::store::{PlanFilter, PlanState, StoredPlan};
use crate::types::{AppId, SourceId, Timestamp};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, OpenApi, ToSchema};
use uuid::Uuid;

/// Steps of a plan that are shown with it; `people` and `groups` below it have all.
const SHOWN: usize = 200;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/plans", get(list).post(propose::propose))
        .route("/api/v1/plans/{plan}", get(one))
        .route("/api/v1/plans/{plan}/people", get(steps::people))
        .route("/api/v1/plans/{plan}/groups", get(steps::groups))
        .route("/api/v1/plans/{plan}/approve", post(decide::approve))
        .route("/api/v1/plans/{plan}/dismiss", post(decide::dismiss))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    list,
    one,
    propose::propose,
    steps::people,
    steps::groups,
    decide::approve,
    decide::dismiss
))]
pub(super) struct Documented;

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
struct Shown {
    id: Uuid,
    /// Of which directory or SCIM client.
    #[schema(value_type = String)]
    source: SourceId,
    /// In which app alone: accounts whose people went already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    app: Option<AppId>,
    #[schema(value_type = ShownState)]
    state: PlanState,
    /// SHA-256 of its steps, in hex: two plans with the same are the same.
    digest: String,
    /// Why it is held, or would be; empty when it would not.
    why: String,
    #[schema(value_type = i64)]
    made_at: Timestamp,
    #[schema(value_type = i64)]
    state_since: Timestamp,
    /// Who decided, or asked for it; empty while nobody did.
    by: String,
}

/// A plan with the first of what it says. People are the directory's own ids.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WholePlan)]
struct Whole {
    #[serde(flatten)]
    plan: Shown,
    /// People who may sign in, before.
    present: u64,
    /// In numbers.
    #[schema(value_type = Object)]
    summary: Summary,
    /// The first 200 people: who loses something first. `…/people` has all.
    #[schema(value_type = Vec<Object>)]
    people: Vec<PersonStep>,
    /// The first 200 groups. `…/groups` has all.
    #[schema(value_type = Vec<Object>)]
    groups: Vec<GroupStep>,
}

/// Where a plan is in its life.
#[derive(ToSchema)]
#[schema(as = PlanState, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::PlanState`")]
enum ShownState {
    Proposed,
    Held,
    Applied,
    Dismissed,
    Superseded,
}

impl From<StoredPlan> for Shown {
    fn from(plan: StoredPlan) -> Self {
        Self {
            id: plan.id,
            source: plan.source,
            app: plan.app,
            state: plan.state,
            digest: plan.digest,
            why: plan.why,
            made_at: plan.made_at,
            state_since: plan.state_since,
            by: plan.by,
        }
    }
}

/// Which plans.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only in this state.
    #[param(value_type = Option<ShownState>, inline, nullable = false)]
    state: Option<PlanState>,
    /// Only of this directory or SCIM client.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    source: Option<SourceId>,
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Plans, oldest first.
#[utoipa::path(
    get, path = "/api/v1/plans", tag = "plans", operation_id = "list_plans", params(Which),
    responses((status = 200, description = "A page of them.", body = Page<Shown>)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn list(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.get()?;
    let filter = format!("{:?} {:?}", which.state, which.source);
    let after = cursor::after(which.cursor.as_deref(), &filter)?;
    let page = PlanFilter {
        source: which.source,
        state: which.state,
        after,
        limit: limit as u32 + 1,
    };
    let found = api.store.plans(&page).await?;
    let behind = |plan: &StoredPlan| cursor::behind(&plan.id, &filter);
    Ok(paged((&uri, &headers), limit, found, behind, Shown::from))
}

/// A plan that must be there, and what it says.
async fn found(api: &Api, plan: &str) -> Result<(StoredPlan, Plan), Problem> {
    let stored = api.store.plan(id(plan)?).await?;
    let stored = stored.ok_or_else(|| Problem::from(Code::ApiNotFound))?;
    let said = read_plan(&stored.body).map_err(refused)?;
    Ok((stored, said))
}

/// The same as it is shown.
async fn known(api: &Api, plan: &str) -> Result<(Uuid, Whole), Problem> {
    let (stored, mut said) = found(api, plan).await?;
    let summary = said.summary();
    said.people.truncate(SHOWN);
    said.groups.truncate(SHOWN);
    let id = stored.id;
    let whole = Whole {
        summary,
        plan: Shown::from(stored),
        present: said.present,
        people: said.people,
        groups: said.groups,
    };
    Ok((id, whole))
}

fn refused(error: PlanError) -> Problem {
    match error {
        PlanError::Unknown(_) => Code::ApiNotFound.into(),
        PlanError::Sweep(SweepError::Store(error)) => error.into(),
        // A service asks no directory here: its word is carried out by a job.
        error => Problem::from(Code::ApiConflict).detail(format!("{error}.")),
    }
}

/// One plan.
#[utoipa::path(
    get, path = "/api/v1/plans/{plan}", tag = "plans", operation_id = "get_plan",
    params(("plan" = Uuid, Path, description = "Its id.")),
    responses((status = 200, description = "The plan.", body = Whole)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn one(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    Path(plan): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, whole) = known(&api, &plan).await?;
    Ok(shown(&whole, &headers))
}

//! `/api/v1/plans`: plans of reconciliation that wait for a person's word, and what became of them.
//! What a yes or a no does is `reconcile::decide`'s, the same as for the command.

use super::Routes;
use super::granted::{Granted, ReadAdmin, WriteAdmin};
use super::problem::Problem;
use super::rest::{Asked, Done, DryRun, Limit, OneOrder, Order, accept, cursor, id, paged};
use super::rest::{Nothing, Page, answer, shown};
use super::state::Api;
use crate::error::Code;
use crate::reconcile::decide::Desk;
use crate::reconcile::plan::{GroupStep, PersonStep, Summary};
use crate::reconcile::sweep::{PlanError, read_plan};
use crate::reconcile::world::SweepError;
use crate::store::{PlanFilter, PlanState, StoredPlan};
use crate::types::{AppId, SourceId, Timestamp};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, OpenApi, ToSchema};
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/plans", get(list))
        .route("/api/v1/plans/{plan}", get(one))
        .route("/api/v1/plans/{plan}/approve", post(approve))
        .route("/api/v1/plans/{plan}/dismiss", post(dismiss))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(list, one, approve, dismiss))]
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
    /// Why it is held.
    why: String,
    #[schema(value_type = i64)]
    made_at: Timestamp,
    #[schema(value_type = i64)]
    state_since: Timestamp,
    /// Who decided; empty while nobody did.
    by: String,
}

/// A plan with all it says. People are the directory's own ids.
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
    /// People: who loses something first.
    #[schema(value_type = Vec<Object>)]
    people: Vec<PersonStep>,
    /// Groups.
    #[schema(value_type = Vec<Object>)]
    groups: Vec<GroupStep>,
}

/// Where a plan is in its life.
#[derive(ToSchema)]
#[schema(as = PlanState, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::PlanState`")]
enum ShownState {
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

/// A plan that must be there, with all it says.
async fn known(api: &Api, plan: &str) -> Result<(Uuid, Whole), Problem> {
    let plan: Uuid = id(plan)?;
    let stored = api.store.plan(plan).await?;
    let stored = stored.ok_or_else(|| Problem::from(Code::ApiNotFound))?;
    let said = read_plan(&stored.body).map_err(refused)?;
    let whole = Whole {
        summary: said.summary(),
        plan: Shown::from(stored),
        present: said.present,
        people: said.people,
        groups: said.groups,
    };
    Ok((plan, whole))
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

/// What became of a plan, or will.
#[derive(Debug, Serialize, ToSchema)]
struct PlanOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    /// People who lose something by it, or keep it.
    losing: u64,
    /// The job that carries it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    job: Option<Uuid>,
}

/// Have a held plan carried out.
///
/// A job does it: exactly what the plan says, or nothing of it when directory or records say something
/// else by then, which the job says.
#[utoipa::path(
    post, path = "/api/v1/plans/{plan}/approve", tag = "plans", operation_id = "approve_plan",
    params(("plan" = Uuid, Path, description = "Its id."), DryRun, OneOrder),
    request_body = Nothing,
    responses(
        (status = 200, description = "It would be (`dry_run`).", body = PlanOutcome),
        (status = 202, description = "It will be.", body = PlanOutcome),
    ),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn approve(
    caller: Granted<WriteAdmin>,
    State(api): State<Arc<Api>>,
    Path(plan): Path<String>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let (id, losing) = held(&api, &plan, &order).await?;
        if order.dry_run() {
            return Ok(outcome(StatusCode::OK, true, losing, None));
        }
        let (by, who) = (api.witness(&caller), caller.id().to_string());
        let job = desk(&api, &by, &who).approve(id).await.map_err(refused)?;
        let job = job.map(|job| job.id);
        Ok(outcome(StatusCode::ACCEPTED, false, losing, job))
    };
    order.once(&api, &caller, act).await
}

/// Say no to a held plan.
///
/// Nothing of it is done, and an equal one is not held again.
#[utoipa::path(
    post, path = "/api/v1/plans/{plan}/dismiss", tag = "plans", operation_id = "dismiss_plan",
    params(("plan" = Uuid, Path, description = "Its id."), DryRun, OneOrder),
    request_body = Nothing,
    responses((status = 200, description = "It is over.", body = PlanOutcome)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
async fn dismiss(
    caller: Granted<WriteAdmin>,
    State(api): State<Arc<Api>>,
    Path(plan): Path<String>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let (id, losing) = held(&api, &plan, &order).await?;
        if !order.dry_run() {
            let (by, who) = (api.witness(&caller), caller.id().to_string());
            desk(&api, &by, &who).dismiss(id).await.map_err(refused)?;
        }
        Ok(outcome(StatusCode::OK, order.dry_run(), losing, None))
    };
    order.once(&api, &caller, act).await
}

fn desk<'a>(api: &'a Api, by: &'a crate::audit::Witness, who: &'a str) -> Desk<'a> {
    Desk {
        store: &*api.store,
        audit: &api.audit,
        now: api.clock.now(),
        by,
        who,
    }
}

/// A plan that is held, as the caller read it, and how many lose something by it.
async fn held(api: &Api, plan: &str, order: &Order<Nothing>) -> Result<(Uuid, u64), Problem> {
    let (id, whole) = known(api, plan).await?;
    order.precondition.judge(Some(&answer::tag(&whole)))?;
    match whole.plan.state {
        PlanState::Held => Ok((id, whole.summary.losing)),
        ended => Err(refused(PlanError::Ended(id, ended))),
    }
}

fn outcome(status: StatusCode, dry_run: bool, losing: u64, job: Option<Uuid>) -> Done {
    let outcome = PlanOutcome {
        dry_run,
        losing,
        job,
    };
    Done::new(status, &outcome)
}

//! `POST /api/v1/plans/{plan}/approve` and `…/dismiss`.

use super::{Whole, known, refused};
use crate::api::granted::{Granted, WriteAdmin};
use crate::api::problem::Problem;
use crate::api::rest::{Done, DryRun, Nothing, OneOrder, Order, answer};
use crate::api::state::Api;
use crate::reconcile::decide::Desk;
use crate::reconcile::sweep::PlanError;
use crate::store::PlanState;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

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

/// Have a plan carried out: one that is held, or was proposed.
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
pub(super) async fn approve(
    caller: Granted<WriteAdmin>,
    State(api): State<Arc<Api>>,
    Path(plan): Path<String>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let (id, losing) = open(&api, &plan, &order).await?;
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
/// Nothing of it is done, and an equal one is not held again. One that is only proposed needs no no.
#[utoipa::path(
    post, path = "/api/v1/plans/{plan}/dismiss", tag = "plans", operation_id = "dismiss_plan",
    params(("plan" = Uuid, Path, description = "Its id."), DryRun, OneOrder),
    request_body = Nothing,
    responses((status = 200, description = "It is over.", body = PlanOutcome)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
pub(super) async fn dismiss(
    caller: Granted<WriteAdmin>,
    State(api): State<Arc<Api>>,
    Path(plan): Path<String>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let (id, whole) = read(&api, &plan, &order).await?;
        match whole.plan.state {
            PlanState::Held => {}
            PlanState::Proposed => return Err(refused(PlanError::Proposed(id))),
            ended => return Err(refused(PlanError::Ended(id, ended))),
        }
        let losing = whole.summary.losing;
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

/// A plan as the caller read it.
async fn read(api: &Api, plan: &str, order: &Order<Nothing>) -> Result<(Uuid, Whole), Problem> {
    let (id, whole) = known(api, plan).await?;
    order.precondition.judge(Some(&answer::tag(&whole)))?;
    Ok((id, whole))
}

/// One that may be carried out, and how many lose something by it.
async fn open(api: &Api, plan: &str, order: &Order<Nothing>) -> Result<(Uuid, u64), Problem> {
    let (id, whole) = read(api, plan, order).await?;
    match whole.plan.state {
        PlanState::Held | PlanState::Proposed => Ok((id, whole.summary.losing)),
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

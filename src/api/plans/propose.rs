//! `POST /api/v1/plans`: what a sweep would do, without its being done.

use crate::api::directories::{ShownJob, accepted};
use crate::api::granted::{Granted, WriteAdmin};
use crate::api::openapi::NamesADirectory;
use crate::api::problem::Problem;
use crate::api::rest::{Done, DryRun, OneOrder, Order};
use crate::api::state::Api;
use crate::types::SourceId;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Of which directory.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanOrder {
    /// Only of this one. Default: of each.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    directory: Option<SourceId>,
}

/// A plan that will be there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProposedPlan)]
struct ShownProposal {
    #[schema(value_type = String)]
    directory: SourceId,
    /// Its id, once the job is done; left out when it was only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    plan: Option<Uuid>,
    /// The job that reads the directory; left out when it was only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    queued: Option<ShownJob>,
}

/// What was asked for, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProposalOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    items: Vec<ShownProposal>,
}

/// Ask what a sweep would do.
///
/// A job reads the directory whole, as a sweep does, and puts what would follow on record as a plan in
/// the state `proposed`. Nothing follows from it unless it is approved, and then exactly what it says,
/// or nothing when directory or records say something else by then. There is one of a directory:
/// another takes its place.
#[utoipa::path(
    post, path = "/api/v1/plans", tag = "plans", operation_id = "propose_plan",
    params(DryRun, OneOrder),
    request_body = PlanOrder,
    responses(
        (status = 200, description = "What would be asked (`dry_run`).", body = ProposalOutcome),
        (status = 202, description = "It is asked: follow the job, then read the plan.", body = ProposalOutcome),
        NamesADirectory,
    ),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
pub(super) async fn propose(
    caller: Granted<WriteAdmin>,
    State(api): State<Arc<Api>>,
    order: Order<PlanOrder>,
) -> Result<Response, Problem> {
    let act = async |order: Order<PlanOrder>| {
        order.precondition.judge(None)?;
        let dry_run = order.dry_run();
        let (by, who) = (api.witness(&caller), caller.id().to_string());
        let directory = order.body.directory.as_ref();
        let proposed = api.hand.propose(directory, (&by, &who), dry_run).await?;
        let items = proposed.into_iter().map(|one| ShownProposal {
            directory: one.source,
            plan: one.job.as_ref().map(|job| job.id),
            queued: one.job.map(ShownJob::from),
        });
        let outcome = ProposalOutcome {
            dry_run,
            items: items.collect(),
        };
        Ok(Done::new(accepted(dry_run), &outcome))
    };
    order.once(&api, &caller, act).await
}

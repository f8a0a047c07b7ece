//! `GET /api/v1/plans/{plan}/people` and `…/groups`: all that a plan says, page by page.

use super::found;
use crate::api::granted::{Granted, ReadAdmin};
use crate::api::problem::Problem;
use crate::api::rest::{Asked, Limit, Page, paged_list};
use crate::api::state::Api;
use crate::reconcile::plan::{GroupStep, PersonStep};
use crate::store::StoredPlan;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// A step of a plan: what happens to a person, or a group.
#[derive(ToSchema)]
#[schema(as = PlanStep)]
#[expect(
    dead_code,
    reason = "the document's form of `PersonStep` and `GroupStep`"
)]
struct ShownStep {
    /// The directory's own id.
    id: String,
    /// A group's name.
    #[schema(nullable = false)]
    name: Option<String>,
    what: ShownWhat,
    /// Apps that a person may use afterwards and not before.
    #[schema(nullable = false)]
    gains: Option<Vec<String>>,
    /// Apps that a person may use before and not afterwards.
    #[schema(nullable = false)]
    loses: Option<Vec<String>>,
    /// Digest of what was on record; nothing was when there is none.
    before: Option<String>,
    /// Digest of what the directory said.
    after: String,
}

#[derive(ToSchema)]
#[schema(as = PlanStepKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `reconcile::plan::What`")]
enum ShownWhat {
    Gone,
    Deactivated,
    New,
    Returned,
    Reactivated,
    Groups,
    Profile,
}

/// The people of a plan: who loses something first.
#[utoipa::path(
    get, path = "/api/v1/plans/{plan}/people", tag = "plans", operation_id = "list_plan_people",
    params(("plan" = uuid::Uuid, Path, description = "Its id."), Which),
    responses((status = 200, description = "A page of them.", body = Page<ShownStep>)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
pub(super) async fn people(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    Path(plan): Path<String>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (stored, said) = found(&api, &plan).await?;
    page::<PersonStep>("people", &stored, said.people, &which, (&uri, &headers))
}

/// The groups of a plan.
#[utoipa::path(
    get, path = "/api/v1/plans/{plan}/groups", tag = "plans", operation_id = "list_plan_groups",
    params(("plan" = uuid::Uuid, Path, description = "Its id."), Which),
    responses((status = 200, description = "A page of them.", body = Page<ShownStep>)),
    security(("certificate" = ["admin"]), ("bearer" = ["admin"])),
)]
pub(super) async fn groups(
    _: Granted<ReadAdmin>,
    State(api): State<Arc<Api>>,
    Path(plan): Path<String>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (stored, said) = found(&api, &plan).await?;
    page::<GroupStep>("groups", &stored, said.groups, &which, (&uri, &headers))
}

/// A plan is what it is: a number in it stays its step's. One that was made anew under the same id has
/// another digest, and no cursor of the former one.
fn page<T: Serialize>(
    of: &str,
    plan: &StoredPlan,
    all: Vec<T>,
    which: &Which,
    asked: (&Uri, &HeaderMap),
) -> Result<Response, Problem> {
    let limit = which.limit.get()?;
    let filter = format!("{of} {} {}", plan.id, plan.digest);
    let cursor = which.cursor.as_deref();
    paged_list(asked, limit, (all, |_: &T| true), (cursor, &filter))
}

//! `/api/v1/jobs`: durable work, what waits, and what waits for an operator.

use super::Routes;
use super::granted::{FollowJobs, Granted, Jobs};
use super::problem::Problem;
use super::rest::{Asked, Done, DryRun, Limit, OneOrder, Order, accept, cursor, id, paged};
use super::rest::{Nothing, Page, answer, shown};
use super::state::Api;
use crate::error::Code;
use crate::store::{Job, JobFilter, JobKind, JobState, Priority};
use crate::types::{AppId, SourceId, Timestamp, UserId};
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

/// Dead jobs that one call makes due at most.
const AT_ONCE: u32 = 1_000;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/jobs", get(list))
        .route("/api/v1/jobs/retry", post(retry_dead))
        .route("/api/v1/jobs/{job}", get(one))
        .route("/api/v1/jobs/{job}/retry", post(retry))
        .route("/api/v1/jobs/{job}/cancel", post(cancel))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(list, one, retry_dead, retry, cancel))]
pub(super) struct Documented;

/// A job. What its kind needs to know beside this is not shown: it may name people.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
struct Shown {
    id: Uuid,
    #[schema(value_type = ShownKind)]
    kind: JobKind,
    #[schema(value_type = ShownState)]
    state: JobState,
    #[schema(value_type = ShownPriority)]
    priority: Priority,
    /// In which app.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    app: Option<AppId>,
    /// From which directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    source: Option<SourceId>,
    /// Whom it is about, once they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    user: Option<UserId>,
    /// Why it was wished for.
    why: String,
    /// Attempts that counted, the one under way included.
    attempts: i64,
    /// Why the last attempt that failed did; empty once one succeeded.
    error: String,
    /// Not before.
    #[schema(value_type = i64)]
    due_at: Timestamp,
    /// While it runs: when it is taken over unless its holder says something.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false)]
    leased_until: Option<Timestamp>,
    #[schema(value_type = i64)]
    created_at: Timestamp,
    #[schema(value_type = i64)]
    updated_at: Timestamp,
}

/// What a job brings up to date.
#[derive(ToSchema)]
#[schema(as = JobKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::JobKind`")]
enum ShownKind {
    Read,
    Converge,
    Sweep,
    Mail,
}

/// Where a job is in its life.
#[derive(ToSchema)]
#[schema(as = JobState, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::JobState`")]
enum ShownState {
    Pending,
    Running,
    Dead,
    Cancelled,
    Done,
}

/// Which goes first.
#[derive(ToSchema)]
#[schema(as = JobPriority, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::Priority`")]
enum ShownPriority {
    Deny,
    Grant,
    Background,
}

impl From<Job> for Shown {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            state: job.state,
            priority: job.priority,
            app: job.app,
            source: job.source,
            user: job.user,
            why: job.why,
            attempts: job.attempts,
            error: job.error,
            due_at: job.due_at,
            leased_until: job.leased_until,
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only in this state.
    #[param(value_type = Option<ShownState>, inline, nullable = false)]
    state: Option<JobState>,
    /// Only of this kind.
    #[param(value_type = Option<ShownKind>, inline, nullable = false)]
    kind: Option<JobKind>,
    /// Only of this app.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    app: Option<AppId>,
    /// Only of this directory.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    source: Option<SourceId>,
    /// Only about this person.
    #[param(value_type = Option<uuid::Uuid>, nullable = false)]
    user: Option<UserId>,
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Jobs, oldest first.
///
/// Those that are done are remembered for `[jobs] keep`.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "jobs", operation_id = "list_jobs", params(Which),
    responses((status = 200, description = "A page of them.", body = Page<Shown>)),
    security(("certificate" = ["jobs"]), ("bearer" = ["jobs"])),
)]
async fn list(
    _: Granted<Jobs>,
    State(api): State<Arc<Api>>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.get()?;
    let filter = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        which.state, which.kind, which.app, which.source, which.user
    );
    let after = cursor::after(which.cursor.as_deref(), &filter)?;
    let page = JobFilter {
        states: which.state.into_iter().collect(),
        kind: which.kind,
        app: which.app,
        source: which.source,
        user: which.user,
        after,
        limit: limit as u32 + 1,
    };
    let found = api.store.jobs(&page).await?;
    let behind = |job: &Job| cursor::behind(&job.id, &filter);
    Ok(paged((&uri, &headers), limit, found, behind, Shown::from))
}

/// A job that must be there.
async fn known(api: &Api, job: &str) -> Result<Job, Problem> {
    let found = api.store.job(id(job)?).await?;
    found.ok_or_else(|| Code::ApiNotFound.into())
}

/// One job.
#[utoipa::path(
    get, path = "/api/v1/jobs/{job}", tag = "jobs", operation_id = "get_job",
    params(("job" = Uuid, Path, description = "Its id.")),
    responses((status = 200, description = "The job, as long as it is remembered.", body = Shown)),
    security(
        ("certificate" = ["jobs"]), ("bearer" = ["jobs"]),
        ("certificate" = ["validate"]), ("bearer" = ["validate"]),
        ("certificate" = ["admin"]), ("bearer" = ["admin"]),
    ),
)]
async fn one(
    _: Granted<FollowJobs>,
    State(api): State<Arc<Api>>,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = known(&api, &job).await?;
    Ok(shown(&Shown::from(job), &headers))
}

/// What became of a job, or would.
#[derive(Debug, Serialize, ToSchema)]
struct JobOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    /// The job: as it is now, or still is.
    job: Shown,
}

/// Make a job due now.
///
/// One that is dead or waits; its attempts are forgotten.
#[utoipa::path(
    post, path = "/api/v1/jobs/{job}/retry", tag = "jobs", operation_id = "retry_job",
    params(("job" = Uuid, Path, description = "Its id."), DryRun, OneOrder),
    request_body = Nothing,
    responses((status = 200, description = "The job.", body = JobOutcome)),
    security(("certificate" = ["jobs"]), ("bearer" = ["jobs"])),
)]
async fn retry(
    caller: Granted<Jobs>,
    State(api): State<Arc<Api>>,
    Path(job): Path<String>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let job = waiting(&api, &job, &order).await?;
        let by = api.witness(&caller).by();
        let done = match order.dry_run() {
            true => Some(job),
            false => api.store.retry_job(job.id, api.clock.now(), &by).await?,
        };
        outcome(order.dry_run(), done)
    };
    order.once(&api, &caller, act).await
}

/// Which of the dead.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeadOnes {
    /// Only of this kind.
    #[schema(value_type = Option<ShownKind>, nullable = false)]
    kind: Option<JobKind>,
    /// Only of this app.
    #[schema(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    app: Option<AppId>,
    /// Only of this directory.
    #[schema(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    source: Option<SourceId>,
    /// Only about this person.
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    user: Option<UserId>,
}

/// What became of the dead, or would.
#[derive(Debug, Serialize, ToSchema)]
struct RetryOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    /// How many jobs are due now.
    jobs: usize,
    /// Whether there are more: asked again, the next are due.
    more: bool,
}

/// Make all dead jobs due now.
///
/// Their attempts are forgotten. At most 1,000 at once, the oldest first.
#[utoipa::path(
    post, path = "/api/v1/jobs/retry", tag = "jobs", operation_id = "retry_dead_jobs",
    params(DryRun, OneOrder),
    request_body = DeadOnes,
    responses((status = 200, description = "How many are due now.", body = RetryOutcome)),
    security(("certificate" = ["jobs"]), ("bearer" = ["jobs"])),
)]
async fn retry_dead(
    caller: Granted<Jobs>,
    State(api): State<Arc<Api>>,
    order: Order<DeadOnes>,
) -> Result<Response, Problem> {
    let act = async |order: Order<DeadOnes>| {
        order.precondition.judge(None)?;
        let dry_run = order.dry_run();
        let dead = JobFilter {
            states: vec![JobState::Dead],
            kind: order.body.kind,
            app: order.body.app,
            source: order.body.source,
            user: order.body.user,
            after: None,
            limit: AT_ONCE + 1,
        };
        let mut found = api.store.jobs(&dead).await?;
        let more = found.len() > AT_ONCE as usize;
        found.truncate(AT_ONCE as usize);
        let by = api.witness(&caller).by();
        let mut jobs = 0;
        for job in found {
            // None: somebody was faster.
            let due =
                dry_run || (api.store.retry_job(job.id, api.clock.now(), &by).await?).is_some();
            jobs += usize::from(due);
        }
        let outcome = RetryOutcome {
            dry_run,
            jobs,
            more,
        };
        Ok(Done::new(StatusCode::OK, &outcome))
    };
    order.once(&api, &caller, act).await
}

/// Take a job out.
///
/// One that is dead or waits. What it would have brought up to date stays as it is, until something
/// wishes for it again: a directory's next word, a sweep.
#[utoipa::path(
    post, path = "/api/v1/jobs/{job}/cancel", tag = "jobs", operation_id = "cancel_job",
    params(("job" = Uuid, Path, description = "Its id."), DryRun, OneOrder),
    request_body = Nothing,
    responses((status = 200, description = "The job.", body = JobOutcome)),
    security(("certificate" = ["jobs"]), ("bearer" = ["jobs"])),
)]
async fn cancel(
    caller: Granted<Jobs>,
    State(api): State<Arc<Api>>,
    Path(job): Path<String>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let job = waiting(&api, &job, &order).await?;
        let by = api.witness(&caller).by();
        let done = match order.dry_run() {
            true => Some(job),
            false => api.store.cancel_job(job.id, api.clock.now(), &by).await?,
        };
        outcome(order.dry_run(), done)
    };
    order.once(&api, &caller, act).await
}

/// A job that is dead or waits, as the caller read it.
async fn waiting(api: &Api, job: &str, order: &Order<Nothing>) -> Result<Job, Problem> {
    let job = known(api, job).await?;
    let tag = answer::tag(&Shown::from(job.clone()));
    order.precondition.judge(Some(&tag))?;
    match job.state {
        JobState::Pending | JobState::Dead => Ok(job),
        JobState::Running | JobState::Cancelled | JobState::Done => Err(neither(job.state)),
    }
}

fn neither(state: JobState) -> Problem {
    let problem = Problem::from(Code::ApiConflict);
    problem.detail(format!("The job is {state}, neither dead nor waiting."))
}

fn outcome(dry_run: bool, done: Option<Job>) -> Result<Done, Problem> {
    let job = done.ok_or_else(|| {
        let problem = Problem::from(Code::ApiConflict);
        problem.detail("Somebody was faster: the job is neither dead nor waiting any more.")
    })?;
    let outcome = JobOutcome {
        dry_run,
        job: Shown::from(job),
    };
    Ok(Done::new(StatusCode::OK, &outcome))
}

//! `/api/v1/sync` and `/api/v1/validate`: having a directory read again, and giving people the groups
//! that are listed for it. What may be given is decided in `directory::by_hand`, as for the commands.

use super::Routes;
use super::granted::{Granted, Reread, Validate};
use super::openapi::AsksTheDirectory;
use super::problem::Problem;
use super::rest::{Done, DryRun, OneOrder, Order};
use super::state::Api;
use crate::directory::by_hand::stands::Stand;
use crate::directory::by_hand::sync::{Synced, ToSync};
use crate::directory::by_hand::validate::{Validated, Validation};
use crate::directory::by_hand::{HandError, Queued, Whom};
use crate::directory::source::SourceError;
use crate::directory::writer::WriteError;
use crate::error::Code;
use crate::types::{AppId, SourceId, UserId};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/sync", post(sync))
        .route("/api/v1/validate", post(validate))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(sync, validate))]
pub(super) struct Documented;

/// What is to be read again: a person, said in one way, or `all`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SyncOrder {
    /// Only this directory; needed for a person when there are several.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    directory: Option<SourceId>,
    /// Everybody.
    #[serde(default)]
    all: bool,
    /// A person by the directory's user name.
    #[schema(min_length = 1, max_length = 255)]
    username: Option<String>,
    /// A person by the directory's own id.
    #[schema(min_length = 1, max_length = 255)]
    id: Option<String>,
    /// A person by our id.
    #[schema(value_type = Option<uuid::Uuid>)]
    user: Option<UserId>,
}

/// Who is given what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ValidateOrder {
    /// In which directory; needed when there are several.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    directory: Option<SourceId>,
    /// The person by the directory's user name.
    #[schema(min_length = 1, max_length = 255)]
    username: Option<String>,
    /// The person by the directory's own id.
    #[schema(min_length = 1, max_length = 255)]
    id: Option<String>,
    /// The person by our id.
    #[schema(value_type = Option<uuid::Uuid>)]
    user: Option<UserId>,
    /// Groups, of those that are listed for it in the configuration. Default: the first of them, or
    /// what `app` asks for.
    #[serde(default)]
    #[schema(max_items = 20)]
    groups: Vec<String>,
    /// So that they may use this app.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    app: Option<AppId>,
}

/// A job that does it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuedJob)]
pub(super) struct ShownJob {
    /// Its id.
    job: Uuid,
    /// Where it is followed.
    follow: String,
    /// Whether one was waiting for the same already.
    joined: bool,
}

impl From<Queued> for ShownJob {
    fn from(queued: Queued) -> Self {
        Self {
            job: queued.id,
            follow: format!("/api/v1/jobs/{}", queued.id),
            joined: queued.joined,
        }
    }
}

/// What is read again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncItem)]
struct ShownSync {
    #[schema(value_type = String)]
    directory: SourceId,
    /// Whom about, by the directory's own id; left out: everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    person: Option<String>,
    /// Left out when it was only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    queued: Option<ShownJob>,
}

impl From<Synced> for ShownSync {
    fn from(synced: Synced) -> Self {
        Self {
            directory: synced.source,
            person: synced.person,
            queued: synced.job.map(ShownJob::from),
        }
    }
}

/// What was queued, or would be.
#[derive(Debug, Serialize, ToSchema)]
struct SyncOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    items: Vec<ShownSync>,
}

/// A group of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GivenGroup)]
struct ShownGroup {
    /// Its configured name.
    name: String,
    /// The directory's own id.
    id: String,
    /// Whether they were in it already.
    already: bool,
}

/// Where somebody stands in an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Standing)]
struct ShownStand {
    #[schema(value_type = String)]
    app: AppId,
    /// Whether directories say that they may use it.
    wanted: bool,
    /// What decides.
    decided_by: String,
    /// Whether an account is made before they first come.
    ahead: bool,
    /// `intent`, `linked` or `conflict`; left out while nothing was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    account: Option<&'static str>,
    /// What is in its way; empty when nothing.
    detail: String,
}

impl From<Stand> for ShownStand {
    fn from(stand: Stand) -> Self {
        Self {
            app: stand.app,
            wanted: stand.wanted,
            decided_by: stand.decided_by,
            ahead: stand.ahead,
            account: stand.account.map(|state| state.as_str()),
            detail: stand.detail,
        }
    }
}

/// What was given, or would be.
#[derive(Debug, Serialize, ToSchema)]
struct ValidateOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    /// Whether a group was, or would be, given that they were not in.
    changed: bool,
    #[schema(value_type = String)]
    directory: SourceId,
    /// Whom, by the directory's own id.
    person: String,
    /// Their shadow user, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    user: Option<UserId>,
    groups: Vec<ShownGroup>,
    /// Left out when it was only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    queued: Option<ShownJob>,
    /// What has become of them in the apps by now: ask again, with `dry_run=true`, until `account` is
    /// `linked`.
    apps: Vec<ShownStand>,
}

impl ValidateOutcome {
    fn of(done: Validated, dry_run: bool) -> Self {
        Self {
            dry_run,
            changed: done.groups.iter().any(|group| !group.already),
            directory: done.source,
            person: done.person,
            user: done.user,
            groups: (done.groups.into_iter())
                .map(|group| ShownGroup {
                    name: group.name,
                    id: group.id,
                    already: group.already,
                })
                .collect(),
            queued: done.job.map(ShownJob::from),
            apps: done.stands.into_iter().map(ShownStand::from).collect(),
        }
    }
}

/// Read again.
///
/// One person, or all of a directory, now instead of when it would be anyway; accounts follow. Answered
/// when it is on record: whoever wants to know the end follows the job. It takes nothing from anybody
/// that the directory does not take, and a reading of everybody waits for somebody's word like any
/// other when too many would lose access. `POST /api/v1/plans` says what a reading of everybody would do.
#[utoipa::path(
    post, path = "/api/v1/sync", tag = "directories", operation_id = "sync_directory",
    params(DryRun, OneOrder),
    request_body = SyncOrder,
    responses(
        (status = 200, description = "What would be queued (`dry_run`).", body = SyncOutcome),
        (status = 202, description = "It is queued.", body = SyncOutcome),
        AsksTheDirectory,
    ),
    security(
        ("certificate" = ["jobs"]), ("bearer" = ["jobs"]),
        ("certificate" = ["validate"]), ("bearer" = ["validate"]),
    ),
)]
async fn sync(
    caller: Granted<Reread>,
    State(api): State<Arc<Api>>,
    order: Order<SyncOrder>,
) -> Result<Response, Problem> {
    let act = async |order: Order<SyncOrder>| {
        order.precondition.judge(None)?;
        let dry_run = order.dry_run();
        let SyncOrder {
            directory,
            all,
            username,
            id,
            user,
        } = order.body;
        let what = match (all, whom(username, id, user)?) {
            (true, None) => ToSync::Everybody,
            (false, Some(whom)) => ToSync::Person(whom),
            (true, Some(_)) | (false, None) => return Err(one_of("all, username, id and user")),
        };
        let by = api.witness(&caller);
        let synced = api.hand.sync(&what, directory.as_ref(), &by, dry_run);
        let outcome = SyncOutcome {
            dry_run,
            items: synced.await?.into_iter().map(ShownSync::from).collect(),
        };
        Ok(Done::new(accepted(dry_run), &outcome))
    };
    order.once(&api, &caller, act).await
}

/// Validate a person.
///
/// Puts them into groups of the directory, of those that are listed for it, and has them read again, so
/// that their accounts are there before they first come. Somebody who is in the groups is only read
/// again. A group that gives power over the directory or an app is never given, listed or not.
#[utoipa::path(
    post, path = "/api/v1/validate", tag = "directories", operation_id = "validate_user",
    params(DryRun, OneOrder),
    request_body = ValidateOrder,
    responses(
        (status = 200, description = "What would be done (`dry_run`).", body = ValidateOutcome),
        (status = 202, description = "They are in the groups; the rest is queued.", body = ValidateOutcome),
        AsksTheDirectory,
    ),
    security(("certificate" = ["validate"]), ("bearer" = ["validate"])),
)]
async fn validate(
    caller: Granted<Validate>,
    State(api): State<Arc<Api>>,
    order: Order<ValidateOrder>,
) -> Result<Response, Problem> {
    let act = async |order: Order<ValidateOrder>| {
        order.precondition.judge(None)?;
        let dry_run = order.dry_run();
        let ValidateOrder {
            directory,
            username,
            id,
            user,
            groups,
            app,
        } = order.body;
        let whom = whom(username, id, user)?;
        let order = Validation {
            whom: whom.ok_or_else(|| one_of("username, id and user"))?,
            source: directory,
            groups,
            app,
        };
        let by = api.witness(&caller);
        let done = api.hand.validate(&order, &by, dry_run).await?;
        let outcome = ValidateOutcome::of(done, dry_run);
        Ok(Done::new(accepted(dry_run), &outcome))
    };
    order.once(&api, &caller, act).await
}

pub(super) fn accepted(dry_run: bool) -> StatusCode {
    match dry_run {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    }
}

fn whom(
    username: Option<String>,
    id: Option<String>,
    user: Option<UserId>,
) -> Result<Option<Whom>, Problem> {
    match (username, id, user) {
        (None, None, None) => Ok(None),
        (Some(name), None, None) => Ok(Some(Whom::Username(name))),
        (None, Some(id), None) => Ok(Some(Whom::Id(id))),
        (None, None, Some(user)) => Ok(Some(Whom::User(user))),
        _ => Err(one_of("username, id and user")),
    }
}

fn one_of(which: &str) -> Problem {
    let problem = Problem::new(Code::ApiInvalid, "whom is not said in one way");
    problem.detail(format!("Say one of {which}, and no more."))
}

/// For `?`.
impl From<HandError> for Problem {
    fn from(error: HandError) -> Self {
        let said = error.to_string();
        let code = match error {
            HandError::Store(error) => return error.into(),
            HandError::Invalid(_) => Code::ApiInvalid,
            HandError::Unknown(_) => Code::ApiNotFound,
            HandError::Conflict(_) => Code::ApiConflict,
            HandError::Write(WriteError::Unable(_)) => Code::DirectoryUnable,
            HandError::Write(WriteError::NotAllowed(_)) => Code::DirectoryNotAllowed,
            HandError::Write(WriteError::Missing(_)) => Code::ApiNotFound,
            HandError::Write(WriteError::Source(error)) => return of_directory(&error),
        };
        Self::new(code, said.clone()).detail(said)
    }
}

/// What a directory answered is for the log; the caller learns of what kind it is.
fn of_directory(error: &SourceError) -> Problem {
    let (code, told) = match error {
        SourceError::Timeout(_) => (Code::DirectoryTimeout, ""),
        SourceError::Unavailable(_) => (Code::DirectoryUnavailable, ""),
        SourceError::RateLimited(wait) => {
            let problem = Problem::new(Code::DirectoryUnavailable, error.to_string());
            return problem.retry_after(*wait);
        }
        SourceError::Credential(_) => (
            Code::DirectoryUnavailable,
            "It does not accept the bridge's token: `auth-manager check` says more.",
        ),
        SourceError::Permission(_) => (
            Code::DirectoryUnavailable,
            "The bridge's token does not cover this: `auth-manager check` says more.",
        ),
        SourceError::Refused(_) => (Code::DirectoryUnavailable, "It refused."),
    };
    let problem = Problem::new(code, error.to_string());
    match told {
        "" => problem,
        told => problem.detail(told),
    }
}

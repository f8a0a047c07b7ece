//! `/api/v1/users`: shadow users, and turning them away.

use super::Routes;
use super::granted::{Granted, ReadUsers, WriteUsers};
use super::openapi::NeedsPrecondition;
use super::problem::Problem;
use super::rest::{Asked, Done, DryRun, Limit, OneOrder, Order, accept, answer, cursor, id, paged};
use super::rest::{Page, shown};
use super::state::Api;
use crate::error::Code;
use crate::identity::orders::people::StateOrder;
use crate::store::{StateBy, User, UserFilter, UserState};
use crate::types::{GroupName, IssuerId, Subject, Timestamp, UserId};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, OpenApi, ToSchema};

/// Longest search and longest reason, in characters.
const TEXT: usize = 200;
/// The reason when none is given.
const REASON: &str = "by a service";

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/users", get(list))
        .route("/api/v1/users/{user}", get(one))
        .route("/api/v1/users/{user}/disable", post(disable))
        .route("/api/v1/users/{user}/enable", post(enable))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(list, one, disable, enable))]
pub(super) struct Documented;

/// A shadow user: our record of a subject, as last asserted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct Shown {
    #[schema(value_type = uuid::Uuid)]
    id: UserId,
    /// Who vouches for them.
    #[schema(value_type = String)]
    issuer: IssuerId,
    /// Whom for: with the issuer the one key that links a person.
    #[schema(value_type = String)]
    sub: Subject,
    /// May be empty.
    email: String,
    email_verified: bool,
    /// May be empty.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    locale: Option<String>,
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupName>,
    #[schema(value_type = ShownState)]
    state: UserState,
    /// Why; empty while active from the start.
    state_reason: String,
    /// Who brought them into it: empty (nobody), `operator`, or `directory:` and the directory's id.
    #[schema(value_type = String)]
    state_by: StateBy,
    /// Seconds since 1970, as all times here.
    #[schema(value_type = i64)]
    state_since: Timestamp,
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// When an attribute last changed.
    #[schema(value_type = i64)]
    updated_at: Timestamp,
}

/// Whether a person may come in at all.
#[derive(ToSchema)]
#[schema(as = UserState, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::UserState`")]
pub(super) enum ShownState {
    Pending,
    Active,
    Suspended,
    Disabled,
    Tombstoned,
}

impl From<User> for Shown {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            issuer: user.issuer,
            sub: user.subject,
            email: user.email,
            email_verified: user.email_verified,
            name: user.name,
            username: user.username,
            locale: user.locale,
            groups: user.groups,
            state: user.state,
            state_reason: user.state_reason,
            state_by: user.state_by,
            state_since: user.state_since,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only in this state.
    #[param(value_type = Option<ShownState>, nullable = false)]
    state: Option<UserState>,
    /// Only whose e-mail address, name, user name or `sub` contains this (ASCII case ignored).
    #[param(min_length = 1, max_length = 200, nullable = false)]
    search: Option<String>,
    /// Only of this issuer; with `sub`.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    issuer: Option<IssuerId>,
    /// Only this subject; with `issuer`.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 255)]
    sub: Option<Subject>,
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Shadow users.
///
/// Everybody who has come by, in the order in which they first came.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", operation_id = "list_users", params(Which),
    responses((status = 200, description = "A page of them.", body = Page<Shown>)),
    security(("certificate" = ["users:read"]), ("bearer" = ["users:read"])),
)]
async fn list(
    _: Granted<ReadUsers>,
    State(api): State<Arc<Api>>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.get()?;
    let filter = format!(
        "{:?} {:?} {:?} {:?}",
        which.state, which.search, which.issuer, which.sub
    );
    let after = cursor::after::<UserId>(which.cursor.as_deref(), &filter)?;
    let found = match (which.issuer, which.sub) {
        (Some(issuer), Some(sub)) => {
            let found = api.store.user_by_subject(&issuer, &sub).await?;
            let near = |user: &User| {
                which.state.is_none_or(|state| user.state == state)
                    && which.search.is_none()
                    && after.is_none_or(|after| user.id > after)
            };
            found.into_iter().filter(near).collect()
        }
        (None, None) => {
            let filter = UserFilter {
                state: which.state,
                search: bounded("search", which.search)?,
                after,
                limit: limit as u32 + 1,
            };
            api.store.users(&filter).await?
        }
        _ => {
            let problem = Problem::new(Code::ApiMalformed, "half a subject");
            return Err(problem.detail("issuer and sub go together."));
        }
    };
    let behind = |user: &User| cursor::behind(&user.id, &filter);
    Ok(paged((&uri, &headers), limit, found, behind, Shown::from))
}

/// A text of bounded length, and not empty.
pub(super) fn bounded(what: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.is_empty() || text.chars().count() > TEXT => {
            let problem = Problem::new(Code::ApiMalformed, format!("{what} is empty or too long"));
            Err(problem.detail(format!("{what} must have 1 to {TEXT} characters.")))
        }
        text => Ok(text),
    }
}

/// A user that must be there.
///
/// # Errors
/// 404.
pub(super) async fn known(api: &Api, user: &str) -> Result<User, Problem> {
    let found = api.store.user(id(user)?).await?;
    found.ok_or_else(|| Code::ApiNotFound.into())
}

/// One shadow user.
#[utoipa::path(
    get, path = "/api/v1/users/{user}", tag = "users", operation_id = "get_user",
    params(("user" = uuid::Uuid, Path, description = "Our id.")),
    responses((status = 200, description = "The person.", body = Shown)),
    security(("certificate" = ["users:read"]), ("bearer" = ["users:read"])),
)]
async fn one(
    _: Granted<ReadUsers>,
    State(api): State<Arc<Api>>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = known(&api, &user).await?;
    Ok(shown(&Shown::from(user), &headers))
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    /// For whoever looks next: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    reason: Option<String>,
}

/// Why, and against whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Grant {
    /// For whoever looks next: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    reason: Option<String>,
    /// Overrule what directories say of them until now. Without it, whoever a directory turns away is
    /// not let in (409).
    #[serde(default)]
    against_directory: bool,
}

/// Either body.
trait Ordered: Send + Sync {
    fn said(self) -> (Option<String>, bool);
}

impl Ordered for Why {
    fn said(self) -> (Option<String>, bool) {
        (self.reason, false)
    }
}

impl Ordered for Grant {
    fn said(self) -> (Option<String>, bool) {
        (self.reason, self.against_directory)
    }
}

/// What was done to a person, or would be.
#[derive(Debug, Serialize, ToSchema)]
struct UserOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    /// Whether anything was, or would be, changed.
    changed: bool,
    #[schema(value_type = uuid::Uuid)]
    user: UserId,
    /// The state that was asked for.
    #[schema(value_type = ShownState)]
    state: UserState,
    /// Sessions that ended, or would.
    ended_sessions: usize,
}

/// Turn a person away.
///
/// Refuses their next request at every app and ends their sessions, on every replica within a
/// second. What takes away may be done blindly: `If-Match` is looked at when it is there.
#[utoipa::path(
    post, path = "/api/v1/users/{user}/disable", tag = "users", operation_id = "disable_user",
    params(("user" = uuid::Uuid, Path, description = "Our id."), DryRun, OneOrder),
    request_body = Why,
    responses((status = 200, description = "Done, or so already.", body = UserOutcome)),
    security(("certificate" = ["users:write"]), ("bearer" = ["users:write"])),
)]
async fn disable(
    caller: Granted<WriteUsers>,
    State(api): State<Arc<Api>>,
    Path(user): Path<String>,
    order: Order<Why>,
) -> Result<Response, Problem> {
    set(&caller, &api, &user, order, UserState::Disabled).await
}

/// Let a person in again.
///
/// What gives must be done on what was read: `If-Match` is needed. Whom a directory turns away is let in
/// only with `against_directory`, which the audit trail keeps.
#[utoipa::path(
    post, path = "/api/v1/users/{user}/enable", tag = "users", operation_id = "enable_user",
    params(("user" = uuid::Uuid, Path, description = "Our id."), DryRun, OneOrder),
    request_body = Grant,
    responses(
        (status = 200, description = "Done, or so already.", body = UserOutcome),
        NeedsPrecondition,
    ),
    security(("certificate" = ["users:write"]), ("bearer" = ["users:write"])),
)]
async fn enable(
    caller: Granted<WriteUsers>,
    State(api): State<Arc<Api>>,
    Path(user): Path<String>,
    order: Order<Grant>,
) -> Result<Response, Problem> {
    set(&caller, &api, &user, order, UserState::Active).await
}

async fn set<T: Ordered>(
    caller: &Granted<WriteUsers>,
    api: &Api,
    user: &str,
    order: Order<T>,
    state: UserState,
) -> Result<Response, Problem> {
    let act = async |order: Order<T>| {
        let dry_run = order.dry_run();
        let read = known(api, user).await?;
        let tag = answer::tag(&Shown::from(read.clone()));
        let exactly = match state {
            UserState::Active => order.precondition.judge_required(Some(&tag))?,
            _ => order.precondition.judge(Some(&tag))?,
        };
        let (reason, against_directory) = order.body.said();
        let reason = bounded("reason", reason)?;
        let reason = reason.as_deref().unwrap_or(REASON);
        let terms = api.terms.load();
        let desk = api.desk(&terms, caller);
        let asked = StateOrder {
            state,
            reason,
            exactly,
            against_directory,
            dry_run,
        };
        let set = desk.set_state(&read, &asked).await?;
        if !dry_run {
            // Accounts follow, as they do a directory's word.
            let (intake, why) = (api.intake(), "a service's order");
            intake.recheck(&read.issuer, &read.subject, why).await?;
        }
        let outcome = UserOutcome {
            dry_run,
            changed: set.changed,
            user: set.user.id,
            state,
            ended_sessions: set.ended,
        };
        Ok(Done::new(StatusCode::OK, &outcome).of(&Shown::from(set.user)))
    };
    order.once(api, caller, act).await
}

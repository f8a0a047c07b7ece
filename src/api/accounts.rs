//! `/api/v1/accounts/{app}/{user}`: whose account in an app is whose. A person has at most one in an
//! app, so that the pair names it, also while there is none yet.

use super::Routes;
use super::caller::Caller;
use super::granted::{Granted, ReadUsers, WriteUsers};
use super::openapi::{AsksTheApp, IfNone, NeedsPrecondition};
use super::problem::Problem;
use super::rest::{Asked, Done, DryRun, Limit, OneOrder, Order, accept, answer, cursor, id, paged};
use super::rest::{Nothing, Page, shown};
use super::state::Api;
use super::users;
use crate::error::Code;
use crate::store::{Account, AccountFilter, AccountState, User};
use crate::types::{AccountId, AppId, RemoteId, Timestamp, UserId};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, OpenApi, ToSchema};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/accounts", get(list))
        .route("/api/v1/accounts/{app}/{user}", get(one))
        .route("/api/v1/accounts/{app}/{user}/link", post(link))
        .route("/api/v1/accounts/{app}/{user}/unlink", post(unlink))
        .route("/api/v1/accounts/{app}/{user}/resolve", post(resolve))
        .route("/api/v1/accounts/{app}/{user}/provision", post(provision))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(list, one, link, unlink, resolve, provision))]
pub(super) struct Documented;

/// A person's account in an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
struct Shown {
    #[schema(value_type = uuid::Uuid)]
    id: AccountId,
    #[schema(value_type = String)]
    app: AppId,
    #[schema(value_type = uuid::Uuid)]
    user: UserId,
    #[schema(value_type = ShownState)]
    state: AccountState,
    /// The app's own id of it, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    remote: Option<RemoteId>,
    /// What the app calls them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<String>,
    /// Why it is a conflict, or what the last failed step was; empty when all is well.
    detail: String,
    /// Whether memberships are in place.
    settled: bool,
    #[schema(value_type = i64)]
    created_at: Timestamp,
    #[schema(value_type = i64)]
    updated_at: Timestamp,
    /// Raised by every write.
    version: i64,
}

/// How far it is.
#[derive(ToSchema)]
#[schema(as = AccountState, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::AccountState`")]
enum ShownState {
    /// It is meant to be made or adopted; the app may or may not have it.
    Intent,
    /// It is theirs.
    Linked,
    /// Something in the app is in the way.
    Conflict,
}

impl From<Account> for Shown {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            app: account.app,
            user: account.user,
            state: account.state,
            remote: account.remote,
            username: account.username,
            detail: account.detail,
            settled: account.settled,
            created_at: account.created_at,
            updated_at: account.updated_at,
            version: account.version,
        }
    }
}

/// Which accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only in this app.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    app: Option<AppId>,
    /// Only of this person.
    #[param(value_type = Option<uuid::Uuid>, nullable = false)]
    user: Option<UserId>,
    /// Only in this state.
    #[param(value_type = Option<ShownState>, nullable = false)]
    state: Option<AccountState>,
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Accounts.
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "accounts", operation_id = "list_accounts", params(Which),
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
    let filter = format!("{:?} {:?} {:?}", which.app, which.user, which.state);
    let after = cursor::after::<AccountId>(which.cursor.as_deref(), &filter)?;
    let page = AccountFilter {
        app: which.app,
        user: which.user,
        state: which.state,
        after,
        limit: limit as u32 + 1,
    };
    let found = api.store.accounts(&page).await?;
    let behind = |account: &Account| cursor::behind(&account.id, &filter);
    Ok(paged((&uri, &headers), limit, found, behind, Shown::from))
}

/// A pair of the path, and what is known of it.
struct Pair {
    app: AppId,
    user: User,
    account: Option<Account>,
}

impl Pair {
    /// 404 when there is no such person or app.
    async fn of(api: &Api, (app, user): (&str, &str)) -> Result<Self, Problem> {
        let app: AppId = id(app)?;
        let user = users::known(api, user).await?;
        let account = api.store.account(&app, user.id).await?;
        // Of an app that is configured no more, what is left can be looked at and taken away.
        if account.is_none() && api.terms.load().of(&app).is_err() {
            return Err(Code::ApiNotFound.into());
        }
        Ok(Self { app, user, account })
    }

    fn tag(&self) -> Option<String> {
        let shown = self.account.clone().map(Shown::from);
        shown.as_ref().map(answer::tag)
    }

    /// The account, which must be there.
    fn account(self) -> Result<Account, Problem> {
        self.account.ok_or_else(|| Code::ApiNotFound.into())
    }
}

/// A person's account in an app.
#[utoipa::path(
    get, path = "/api/v1/accounts/{app}/{user}", tag = "accounts", operation_id = "get_account",
    params(("app" = String, Path), ("user" = uuid::Uuid, Path, description = "Our id.")),
    responses((status = 200, description = "The account.", body = Shown)),
    security(("certificate" = ["users:read"]), ("bearer" = ["users:read"])),
)]
async fn one(
    _: Granted<ReadUsers>,
    State(api): State<Arc<Api>>,
    Path((app, user)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let account = Pair::of(&api, (&app, &user)).await?.account()?;
    Ok(shown(&Shown::from(account), &headers))
}

/// What was done to an account, or would be.
#[derive(Debug, Serialize, ToSchema)]
struct AccountOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    /// Whether anything was, or would be, changed.
    changed: bool,
    #[schema(value_type = String)]
    app: AppId,
    #[schema(value_type = uuid::Uuid)]
    user: UserId,
    /// How far the account is now; left out while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ShownState>, nullable = false)]
    state: Option<AccountState>,
    /// Sessions that ended, or would.
    ended_sessions: usize,
}

impl AccountOutcome {
    fn done(self, account: Option<Account>) -> Done {
        let state = account.as_ref().map(|account| account.state);
        let done = Done::new(StatusCode::OK, &Self { state, ..self });
        match account {
            Some(account) => done.of(&Shown::from(account)),
            None => done,
        }
    }
}

/// An account of the app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Remote {
    /// The app's own id of it (Mattermost: 26 characters).
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    remote: RemoteId,
}

/// Say that an existing account of the app is a person's.
///
/// It is adopted when it is next provisioned, at the latest at their next sign-in, if it is an
/// ordinary person's. `If-Match` is needed, or `If-None-Match: *` while they have none.
#[utoipa::path(
    post, path = "/api/v1/accounts/{app}/{user}/link", tag = "accounts", operation_id = "link_account",
    params(
        ("app" = String, Path), ("user" = uuid::Uuid, Path, description = "Our id."),
        DryRun, OneOrder, IfNone,
    ),
    request_body = Remote,
    responses(
        (status = 200, description = "Done, or so already.", body = AccountOutcome),
        NeedsPrecondition,
    ),
    security(("certificate" = ["users:write"]), ("bearer" = ["users:write"])),
)]
async fn link(
    caller: Granted<WriteUsers>,
    State(api): State<Arc<Api>>,
    Path((app, user)): Path<(String, String)>,
    order: Order<Remote>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Remote>| {
        let pair = Pair::of(&api, (&app, &user)).await?;
        order.precondition.judge_required(pair.tag().as_deref())?;
        give(&api, &caller, pair, &order.body.remote, order.dry_run()).await
    };
    order.once(&api, &caller, act).await
}

async fn give(
    api: &Api,
    caller: &Caller,
    pair: Pair,
    remote: &RemoteId,
    dry_run: bool,
) -> Result<Done, Problem> {
    let terms = api.terms.load();
    let desk = api.desk(&terms, caller);
    let linked = desk.link(&pair.user, &pair.app, remote, pair.account, dry_run);
    let linked = linked.await?;
    let outcome = AccountOutcome {
        dry_run,
        changed: linked.changed,
        app: pair.app,
        user: pair.user.id,
        state: None,
        ended_sessions: 0,
    };
    Ok(outcome.done(linked.account))
}

/// Take an account from a person.
///
/// Ends their sessions at that app. The account itself stays as it is in the app. `If-Match` is
/// needed.
#[utoipa::path(
    post, path = "/api/v1/accounts/{app}/{user}/unlink", tag = "accounts", operation_id = "unlink_account",
    params(("app" = String, Path), ("user" = uuid::Uuid, Path, description = "Our id."), DryRun, OneOrder),
    request_body = Nothing,
    responses(
        (status = 200, description = "Done, or so already.", body = AccountOutcome),
        NeedsPrecondition,
    ),
    security(("certificate" = ["users:write"]), ("bearer" = ["users:write"])),
)]
async fn unlink(
    caller: Granted<WriteUsers>,
    State(api): State<Arc<Api>>,
    Path((app, user)): Path<(String, String)>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let dry_run = order.dry_run();
        let pair = Pair::of(&api, (&app, &user)).await?;
        let tag = pair.tag();
        let account = pair.account()?;
        order.precondition.judge_required(tag.as_deref())?;
        let terms = api.terms.load();
        let unlinked = api.desk(&terms, &caller).unlink(account, dry_run).await?;
        let outcome = AccountOutcome {
            dry_run,
            changed: unlinked.former.is_some(),
            app: unlinked.account.app.clone(),
            user: unlinked.account.user,
            state: None,
            ended_sessions: unlinked.ended,
        };
        Ok(outcome.done(Some(unlinked.account)))
    };
    order.once(&api, &caller, act).await
}

/// How a conflict is resolved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
enum Decision {
    /// The account that is in the way is theirs.
    Adopt {
        /// The app's own id of it.
        #[schema(value_type = String, min_length = 1, max_length = 255)]
        remote: RemoteId,
    },
    /// What was in the way has been tidied away in the app: try again, now.
    Retry {},
}

/// Resolve a conflict.
///
/// Either the account in the way is theirs, or it was tidied away and provisioning is tried again at
/// once. `If-Match` is needed.
#[utoipa::path(
    post, path = "/api/v1/accounts/{app}/{user}/resolve", tag = "accounts", operation_id = "resolve_account",
    params(("app" = String, Path), ("user" = uuid::Uuid, Path, description = "Our id."), DryRun, OneOrder),
    request_body = Decision,
    responses(
        (status = 200, description = "Resolved.", body = AccountOutcome),
        NeedsPrecondition, AsksTheApp,
    ),
    security(("certificate" = ["users:write"]), ("bearer" = ["users:write"])),
)]
async fn resolve(
    caller: Granted<WriteUsers>,
    State(api): State<Arc<Api>>,
    Path((app, user)): Path<(String, String)>,
    order: Order<Decision>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Decision>| {
        let dry_run = order.dry_run();
        let pair = Pair::of(&api, (&app, &user)).await?;
        let tag = pair.tag();
        let state = pair.account.as_ref().map(|account| account.state);
        let state = state.ok_or(Code::ApiNotFound)?;
        order.precondition.judge_required(tag.as_deref())?;
        if state != AccountState::Conflict {
            let problem = Problem::new(Code::ApiConflict, "no conflict to resolve");
            return Err(problem.detail("The account is in no conflict."));
        }
        match order.body {
            Decision::Adopt { remote } => give(&api, &caller, pair, &remote, dry_run).await,
            Decision::Retry {} => make(&api, &caller, pair, dry_run).await,
        }
    };
    order.once(&api, &caller, act).await
}

/// Provision an account now.
///
/// Instead of at the next sign-in: the app is told name and address again, and memberships are
/// looked at again. `If-Match` is needed.
#[utoipa::path(
    post, path = "/api/v1/accounts/{app}/{user}/provision", tag = "accounts", operation_id = "provision_account",
    params(("app" = String, Path), ("user" = uuid::Uuid, Path, description = "Our id."), DryRun, OneOrder),
    request_body = Nothing,
    responses(
        (status = 200, description = "It is theirs, up to date and settled.", body = AccountOutcome),
        NeedsPrecondition, AsksTheApp,
    ),
    security(("certificate" = ["users:write"]), ("bearer" = ["users:write"])),
)]
async fn provision(
    caller: Granted<WriteUsers>,
    State(api): State<Arc<Api>>,
    Path((app, user)): Path<(String, String)>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let dry_run = order.dry_run();
        let pair = Pair::of(&api, (&app, &user)).await?;
        let tag = pair.tag();
        if tag.is_none() {
            return Err(Code::ApiNotFound.into());
        }
        order.precondition.judge_required(tag.as_deref())?;
        make(&api, &caller, pair, dry_run).await
    };
    order.once(&api, &caller, act).await
}

async fn make(api: &Api, caller: &Caller, pair: Pair, dry_run: bool) -> Result<Done, Problem> {
    let Some(context) = api.apps.context(&pair.app, api.witness(caller)) else {
        let problem = Problem::new(Code::ApiConflict, "the app is configured no more");
        return Err(problem.detail("The app is configured no more."));
    };
    let outcome = AccountOutcome {
        dry_run,
        changed: true,
        app: pair.app.clone(),
        user: pair.user.id,
        state: None,
        ended_sessions: 0,
    };
    let user = pair.user.clone();
    let account = pair.account()?;
    if dry_run {
        return Ok(outcome.done(Some(account)));
    }
    let terms = api.terms.load();
    let desk = api.desk(&terms, caller);
    let made = desk.provision(&context, &user, account).await?;
    Ok(outcome.done(Some(made)))
}

//! `/api/v1/sessions`: who is signed in, and ending it.

use super::Routes;
use super::caller::Caller;
use super::granted::{Granted, Sessions};
use super::problem::Problem;
use super::rest::order::Tried;
use super::rest::{Asked, Done, DryRun, Limit, OneOrder, Order, accept, cursor, id, paged};
use super::rest::{Nothing, Page, answer, shown};
use super::state::Api;
use crate::error::Code;
use crate::store::{EndReason, Session, SessionFilter, Which as Ends};
use crate::types::{
    AccountId, AppId, IssuerId, RemoteId, SessionId, Sid, Subject, Timestamp, UserId,
};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, OpenApi, ToSchema};

/// What confirms the end of everybody's sessions.
const EVERYONE: &str = "everyone";

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/api/v1/sessions", get(list))
        .route("/api/v1/sessions/revoke", post(revoke))
        .route("/api/v1/sessions/{session}", get(one))
        .route("/api/v1/sessions/{session}/revoke", post(revoke_one))
        .layer(from_fn(accept::json))
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(list, one, revoke, revoke_one))]
pub(super) struct Documented;

/// One browser sign-in at one app. Neither its tokens nor its CSRF values are ever shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct Shown {
    /// Ours: 43 characters of base64url.
    #[schema(value_type = String)]
    id: SessionId,
    #[schema(value_type = String)]
    app: AppId,
    #[schema(value_type = String)]
    issuer: IssuerId,
    #[schema(value_type = String)]
    sub: Subject,
    #[schema(value_type = uuid::Uuid)]
    user: UserId,
    #[schema(value_type = uuid::Uuid)]
    account: AccountId,
    /// The app's own id of the account.
    #[schema(value_type = String)]
    remote: RemoteId,
    /// The sign-in's current sid.
    #[schema(value_type = String)]
    sid: Sid,
    /// Sids it had before.
    #[schema(value_type = Vec<String>)]
    former_sids: Vec<Sid>,
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// Absolute limit.
    #[schema(value_type = i64)]
    expires_at: Timestamp,
    /// Last assertion seen, on any replica, as last written down.
    #[schema(value_type = i64)]
    last_seen: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false)]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ShownReason>, nullable = false)]
    end_reason: Option<EndReason>,
    /// The browser, as it calls itself.
    agent: String,
}

/// Why a session ended.
#[derive(ToSchema)]
#[schema(as = EndReason, rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's form of `store::EndReason`")]
enum ShownReason {
    Logout,
    Revoked,
    EarlyDeath,
    UserDisabled,
    Expired,
    PolicyChanged,
    PersonChanged,
    AccountGone,
}

impl From<Session> for Shown {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            app: session.app,
            issuer: session.issuer,
            sub: session.subject,
            user: session.user,
            account: session.account,
            remote: session.remote,
            sid: session.sid,
            former_sids: session.former_sids,
            created_at: session.created_at,
            expires_at: session.expires_at,
            last_seen: session.last_seen,
            ended_at: session.ended_at,
            end_reason: session.end_reason,
            agent: session.agent,
        }
    }
}

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only of this person.
    #[param(value_type = Option<uuid::Uuid>, nullable = false)]
    user: Option<UserId>,
    /// Only at this app.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    app: Option<AppId>,
    /// Only with this current sid.
    #[param(value_type = Option<String>, nullable = false, min_length = 1, max_length = 255)]
    sid: Option<Sid>,
    /// Ended ones too, as long as they are remembered.
    #[serde(default)]
    #[param(default = false)]
    ended: bool,
    /// Entries of a page.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// Where to go on: as `next` says.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Sessions, newest first.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", operation_id = "list_sessions", params(Which),
    responses((status = 200, description = "A page of them.", body = Page<Shown>)),
    security(("certificate" = ["sessions"]), ("bearer" = ["sessions"])),
)]
async fn list(
    _: Granted<Sessions>,
    State(api): State<Arc<Api>>,
    Asked(which): Asked<Which>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.get()?;
    let filter = format!(
        "{:?} {:?} {:?} {:?}",
        which.user, which.app, which.sid, which.ended
    );
    let after = cursor::after(which.cursor.as_deref(), &filter)?;
    let page = SessionFilter {
        user: which.user,
        app: which.app,
        sid: which.sid,
        live: !which.ended,
        after,
        limit: limit as u32 + 1,
        ..SessionFilter::default()
    };
    let found = api.store.sessions(&page).await?;
    let behind = |s: &Session| cursor::behind(&(s.created_at, s.id), &filter);
    Ok(paged((&uri, &headers), limit, found, behind, Shown::from))
}

/// A session that must be there.
async fn known(api: &Api, session: &str) -> Result<Session, Problem> {
    let found = api.store.session(id(session)?).await?;
    found.ok_or_else(|| Code::ApiNotFound.into())
}

/// One session.
#[utoipa::path(
    get, path = "/api/v1/sessions/{session}", tag = "sessions", operation_id = "get_session",
    params(("session" = String, Path, description = "Our id: 43 characters of base64url.")),
    responses((status = 200, description = "The session, live or ended.", body = Shown)),
    security(("certificate" = ["sessions"]), ("bearer" = ["sessions"])),
)]
async fn one(
    _: Granted<Sessions>,
    State(api): State<Arc<Api>>,
    Path(session): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = known(&api, &session).await?;
    Ok(shown(&Shown::from(session), &headers))
}

/// What was ended, or would be.
#[derive(Debug, Serialize, ToSchema)]
struct RevokeOutcome {
    /// Whether it was only tried.
    dry_run: bool,
    /// Sessions that ended, or would.
    ended_sessions: usize,
}

/// Revoke one session.
///
/// It is cut within a second, on every replica, and its sign-in does not come back without a new one
/// at Pomerium. One that has ended already is none to end.
#[utoipa::path(
    post, path = "/api/v1/sessions/{session}/revoke", tag = "sessions", operation_id = "revoke_session",
    params(("session" = String, Path, description = "Our id: 43 characters of base64url."), DryRun, OneOrder),
    request_body = Nothing,
    responses((status = 200, description = "How many ended: one or none.", body = RevokeOutcome)),
    security(("certificate" = ["sessions"]), ("bearer" = ["sessions"])),
)]
async fn revoke_one(
    caller: Granted<Sessions>,
    State(api): State<Arc<Api>>,
    Path(session): Path<String>,
    order: Order<Nothing>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Nothing>| {
        let session = known(&api, &session).await?;
        let tag = answer::tag(&Shown::from(session.clone()));
        order.precondition.judge(Some(&tag))?;
        end(&api, &caller, &Ends::Session(session.id), order.dry_run()).await
    };
    order.once(&api, &caller, act).await
}

/// Whose sessions end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
enum Whose {
    /// A person's, at one app or at all.
    User {
        #[schema(value_type = uuid::Uuid)]
        user: UserId,
        /// Only at this app.
        #[schema(value_type = Option<String>)]
        app: Option<AppId>,
    },
    /// A sign-in's, whether or not a session lives: it does not come back.
    SignIn {
        #[schema(value_type = String)]
        app: AppId,
        #[schema(value_type = String)]
        issuer: IssuerId,
        #[schema(value_type = String, min_length = 1, max_length = 255)]
        sub: Subject,
        #[schema(value_type = String, min_length = 1, max_length = 255)]
        sid: Sid,
    },
    /// All at an app; `confirm` must be the app's id.
    App {
        #[schema(value_type = String)]
        app: AppId,
    },
    /// All there are; `confirm` must be `everyone`.
    Everyone {},
}

/// How it is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Confirmed {
    /// Only say what would be done.
    #[serde(default)]
    #[param(default = false)]
    dry_run: bool,
    /// Whose sessions end, said once more: the app's id, or `everyone`. Needed where many people are
    /// meant, unless it is only tried.
    #[param(nullable = false)]
    confirm: Option<String>,
}

impl Tried for Confirmed {
    fn dry_run(&self) -> bool {
        self.dry_run
    }
}

/// Revoke sessions.
///
/// All of a person, of a sign-in, of an app, or of everyone.
#[utoipa::path(
    post, path = "/api/v1/sessions/revoke", tag = "sessions", operation_id = "revoke_sessions",
    params(Confirmed, OneOrder),
    request_body = Whose,
    responses((status = 200, description = "How many ended.", body = RevokeOutcome)),
    security(("certificate" = ["sessions"]), ("bearer" = ["sessions"])),
)]
async fn revoke(
    caller: Granted<Sessions>,
    State(api): State<Arc<Api>>,
    order: Order<Whose, Confirmed>,
) -> Result<Response, Problem> {
    let act = async |order: Order<Whose, Confirmed>| {
        order.precondition.judge(None)?;
        let dry_run = order.dry_run();
        let confirm = order.query.confirm.as_deref();
        let (which, asked) = match order.body {
            Whose::User { user, app } => {
                if api.store.user(user).await?.is_none() {
                    let problem = Problem::new(Code::ApiInvalid, "nobody of this id");
                    return Err(problem.detail("There is no such user."));
                }
                (Ends::User(user, app), None)
            }
            Whose::SignIn {
                app,
                issuer,
                sub,
                sid,
            } => (Ends::Sid(app, issuer, sub, sid), None),
            Whose::App { app } => {
                let asked = app.to_string();
                (Ends::App(app), Some(asked))
            }
            Whose::Everyone {} => (Ends::All, Some(EVERYONE.to_owned())),
        };
        // A slip must not sign everybody out.
        if !dry_run && asked.is_some() && confirm != asked.as_deref() {
            let word = asked.unwrap_or_default();
            let problem = Problem::from(Code::ApiConfirmation);
            return Err(problem.detail(format!(
                "Many people would be signed out: say confirm={word}, or dry_run=true first."
            )));
        }
        end(&api, &caller, &which, dry_run).await
    };
    order.once(&api, &caller, act).await
}

async fn end(api: &Api, caller: &Caller, which: &Ends, dry_run: bool) -> Result<Done, Problem> {
    let terms = api.terms.load();
    let ended_sessions = api.desk(&terms, caller).revoke(which, dry_run).await?;
    let outcome = RevokeOutcome {
        dry_run,
        ended_sessions,
    };
    Ok(Done::new(StatusCode::OK, &outcome))
}

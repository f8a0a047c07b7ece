//! `/bridge/{app}`: a service passes a visitor's assertion on and asks what the app is to them.
//!
//! `GET` looks: no account is made, no session opened, no marks of life are written. `POST` prepares
//! the visit as the visitor's own first page would: it makes the account and opens the session; with
//! the scope `bridge:cookies` the answer has the cookies that page would have set.
//!
//! The assertion is the *subject* here, never the caller's credential. It must be for the app's very
//! host (T7), and the host must be listed for the client. Passing it on is no replay: it neither
//! counts as a use on the proxy listener nor is hindered by one there. But it is good for one client
//! only, and for four requests within 30 s. So a stolen one is of use to nobody but a client that is
//! listed for this very host, and what it gets by it, cookies, opens nothing without a fresh
//! assertion of the same person beside them.

use super::Routes;
use super::caller::Caller;
use super::granted::{ByHand, Granted};
use super::openapi::refusal;
use super::problem::Problem;
use super::state::Api;
use crate::error::{Code, Refusal};
use crate::telemetry::RequestId;
use crate::types::{AppId, ClientId, HostName, Scope, Timestamp, UserId};
use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::response::Json;
use axum::routing::get;
use http::HeaderMap;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoParams, IntoResponses, OpenApi, ToSchema};

pub(super) fn routes() -> Routes {
    Router::new().route("/bridge/{app}", get(look).post(prepare))
}

/// Proof that a caller may introduce visitors. Made only here, from the scope itself:
///
/// ```compile_fail,E0451
/// use auth_manager::api::{Granted, Introducer, granted::ByHand};
/// fn forge(granted: Granted<ByHand>) {
///     let _ = Introducer { granted, cookies: true };
/// }
/// ```
pub struct Introducer {
    granted: Granted<ByHand>,
    cookies: bool,
}

impl Introducer {
    fn of(caller: &Caller) -> Result<Self, Problem> {
        Ok(Self {
            granted: caller.require(&Scope::Bridge)?,
            cookies: caller.scopes().contains(&Scope::BridgeCookies),
        })
    }

    /// Which client.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        self.granted.id()
    }

    /// Whether it may pass on assertions of visitors of this host.
    #[must_use]
    pub fn may_speak_for(&self, host: &HostName) -> bool {
        self.granted.may_speak_for(host)
    }

    /// Whether it may have the cookies of the visit.
    #[must_use]
    pub fn may_have_cookies(&self) -> bool {
        self.cookies
    }
}

/// Whom a service introduces, and for what.
pub struct Introduction {
    /// To which app.
    pub app: AppId,
    /// The request's headers, among them the assertion.
    pub headers: HeaderMap,
    /// Whether the visit is to be prepared; else it is only looked at.
    pub prepare: bool,
    /// The request's id.
    pub request: RequestId,
}

/// What an app is to a visitor.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Introduced {
    /// Which app.
    #[schema(value_type = String)]
    pub app: AppId,
    /// Its host.
    #[schema(value_type = String)]
    pub host: HostName,
    /// In one word.
    pub state: VisitState,
    /// Why, when it is not `ready` or `new`: a code of the house's table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The code in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    /// Seconds after which asking again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The shadow user, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<ShownUser>,
    /// Their account in the app, once it is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<ShownAccount>,
    /// The session of this sign-in, if one lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<ShownSession>,
    /// Where the visitor goes from here; absent when there is nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// `Set-Cookie` texts for the app's host; only with the scope `bridge:cookies`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<String>,
}

/// What the visitor would meet now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VisitState {
    /// The app, with their account.
    Ready,
    /// The app, once their account is made: at the first page, or by `POST`.
    New,
    /// A page that asks for a moment's patience.
    Preparing,
    /// *Signed out*: only a new sign-in gets past it.
    SignedOut,
    /// A page that says why not.
    Refused,
}

/// Of a shadow user.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = VisitUser)]
pub struct ShownUser {
    /// Ours.
    #[schema(value_type = uuid::Uuid)]
    pub id: UserId,
    /// `active` or `disabled`.
    pub state: &'static str,
}

/// Of an account.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = VisitAccount)]
pub struct ShownAccount {
    /// `intent`, `linked` or `conflict`.
    pub state: &'static str,
    /// The app's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// What the app calls them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// Of a session: never its id, which is in the cookie.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = VisitSession)]
pub struct ShownSession {
    /// Born, in seconds since 1970.
    #[schema(value_type = i64)]
    pub since: Timestamp,
    /// Its absolute limit.
    #[schema(value_type = i64)]
    pub until: Timestamp,
}

/// Their part of the document.
#[derive(OpenApi)]
#[openapi(paths(look, prepare), tags((name = "visitors", description = "What an app is to a visitor.")))]
pub(super) struct Documented;

/// What has to come with either.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by the road, which verifies it")]
struct About {
    /// The visitor's assertion, for the app's very host.
    #[param(rename = "X-Pomerium-Jwt-Assertion")]
    assertion: String,
}

/// Of both.
struct Refused;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [
            refusal(&[Code::ApiScope, Code::ApiHost]),
            refusal(&[Code::ApiAssertion]),
            refusal(&[
                Code::StoreUnavailable,
                Code::Busy,
                Code::AssertionKeysUnavailable,
                Code::RevocationsStale,
            ]),
        ]
        .into()
    }
}

/// What an app is to a visitor now.
///
/// Changes nothing.
#[utoipa::path(
    get, path = "/bridge/{app}", tag = "visitors", operation_id = "look_at_visit",
    params(("app" = String, Path, description = "The app's id."), About),
    responses((status = 200, description = "What they would meet.", body = Introduced), Refused),
    security(("certificate" = ["bridge"]), ("bearer" = ["bridge"])),
)]
async fn look(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Path(app): Path<AppId>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Json<Introduced>, Problem> {
    introduce(&caller, &api, app, request, headers, false).await
}

/// Prepares a visit.
///
/// Makes the account and opens the session, as the visitor's own first page would. With the scope
/// `bridge:cookies` the answer has that page's cookies.
#[utoipa::path(
    post, path = "/bridge/{app}", tag = "visitors", operation_id = "prepare_visit",
    params(("app" = String, Path, description = "The app's id."), About),
    responses((status = 200, description = "What they meet.", body = Introduced), Refused),
    security(("certificate" = ["bridge"]), ("bearer" = ["bridge"])),
)]
async fn prepare(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Path(app): Path<AppId>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Json<Introduced>, Problem> {
    introduce(&caller, &api, app, request, headers, true).await
}

async fn introduce(
    caller: &Caller,
    api: &Api,
    app: AppId,
    request: RequestId,
    headers: HeaderMap,
    prepare: bool,
) -> Result<Json<Introduced>, Problem> {
    let who = Introducer::of(caller)?;
    let visitor = Introduction {
        app,
        headers,
        prepare,
        request,
    };
    let answer = api.road.introduce(who, visitor).await;
    answer.map(Json).map_err(about_the_visitor)
}

/// A 401 would be about the caller, whose credential was good.
fn about_the_visitor(refusal: Refusal) -> Problem {
    if !refusal.code.as_str().starts_with("assertion.") || refusal.code.status().is_server_error() {
        return refusal.into();
    }
    let (code, title) = (refusal.code.as_str(), refusal.code.title());
    Problem::new(Code::ApiAssertion, format!("{code}: {}", refusal.reason))
        .detail(format!("{code}: {title}"))
}

//! `/apps/{app}/…`: a service calls an app through the bridge, as its own bot, without ever holding
//! the bot's token. And what the api needs of the road, as a trait: `runtime` gives what implements
//! it, so that the api knows nothing of the road.
//!
//! What lives here: the proof that a caller may reach an app at all ([`AppCaller`]), and the way
//! there and back. What does not: which bot, which routes, the swap, the forwarder, the filter
//! (`proxy/service`).

use super::Routes;
use super::caller::Caller;
use super::finish::Verbatim;
use super::granted::{ByHand, Granted};
use super::problem::Problem;
use super::state::Api;
use super::visitors::{Introduced, Introducer, Introduction};
use crate::error::{Code, Refusal};
use crate::types::{AppId, ClientId, Scope};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use std::sync::Arc;

/// A body on its way through.
pub type Streamed = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// What the road does for the api.
#[async_trait]
pub trait Road: Send + Sync {
    /// Calls an app as the caller's bot.
    async fn call(&self, who: AppCaller, request: http::Request<Streamed>) -> Called;

    /// Says what an app is to a visitor whom a service introduces.
    ///
    /// # Errors
    /// When the assertion proves nothing, the service may not speak for this app's visitors, or the
    /// bridge can't tell. What is decided about the visitor is no error.
    async fn introduce(
        &self,
        who: Introducer,
        visitor: Introduction,
    ) -> Result<Introduced, Refusal>;
}

/// What came of a call.
pub struct Called {
    /// The rule that let it through.
    pub rule: Option<String>,
    /// The app's filtered answer, or why there is none.
    pub answer: Result<http::Response<Streamed>, Refusal>,
}

/// Proof that a caller was authenticated and has the scope `proxy:<app>` for this very app. Made
/// only here, from the scope itself; the road's fourth permit asks for it.
///
/// ```compile_fail,E0451
/// use auth_manager::api::{AppCaller, Granted, granted::ByHand};
/// fn forge(granted: Granted<ByHand>, app: auth_manager::types::AppId) {
///     let _ = AppCaller { granted, app };
/// }
/// ```
pub struct AppCaller {
    granted: Granted<ByHand>,
    app: AppId,
}

impl AppCaller {
    fn of(caller: &Caller, app: AppId) -> Result<Self, Problem> {
        let granted = caller.require(&Scope::Proxy(app.clone()))?;
        Ok(Self { granted, app })
    }

    /// Which client.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        self.granted.id()
    }

    /// Which app it may reach.
    #[must_use]
    pub fn app(&self) -> &AppId {
        &self.app
    }

    /// Whether what let it in still holds.
    #[must_use]
    pub fn still_stands(&self) -> bool {
        self.granted.stands()
    }
}

/// What the log line of a call says beside the usual.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) app: AppId,
    /// The rule that let it through.
    pub(super) rule: Option<String>,
}

/// Where they are.
const PREFIX: &str = "/apps/";

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/apps/{app}", any(call))
        .route("/apps/{app}/", any(call))
        .route("/apps/{app}/{*path}", any(call))
}

async fn call(caller: Caller, State(api): State<Arc<Api>>, request: Request) -> Response {
    // As it was sent: what decodes to an app's name is not its name (T14).
    let path = request.uri().path();
    let name = path
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split('/').next());
    let Some(app) = name.and_then(|name| AppId::new(name).ok()) else {
        return Problem::from(Code::ApiNotFound).into_response();
    };
    let mut noted = Noted {
        app: app.clone(),
        rule: None,
    };
    let outcome = match AppCaller::of(&caller, app) {
        Ok(who) => {
            let streamed = request.map(|body| body.map_err(Into::into).boxed_unsync());
            let called = api.road.call(who, streamed).await;
            noted.rule = called.rule;
            called.answer.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    let mut response = match outcome {
        Ok(answer) => {
            let mut response = answer.map(Body::new);
            response.extensions_mut().insert(Verbatim);
            response
        }
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(noted);
    response
}

//! `/hooks/authentik`: Authentik tells that something happened. A hint to ask it again, whatever it
//! says.
//!
//! # What is worth asking
//!
//! Whoever has the secret may lie, and whoever has `add_event` at Authentik makes it forge any event
//! (recordings, difference 17). So a body's content is never believed: it only says *whom* to ask
//! about, and at worst somebody is asked about for nothing, within the budget of reads.
//!
//! | event | read | why |
//! |---|---|---|
//! | `model_*` of a user | the person | created, renamed, disabled, enabled, deleted, put into groups: all the same word, in any order |
//! | `model_*` of a group | the group, who is and who was in it | the body does not say who came or went |
//! | `model_*` of a `groupparentagenode` | all groups | its key names neither end |
//! | `model_*` that can't be read, a newer form of body | what changed lately | better once too often |
//! | `user_write` with the person | the person | enrolment: no `model_updated` comes beside it |
//! | `login` with the person | the person, once in ten minutes | somebody whose change was silent (LDAP, bulk) is noticed when it matters; machines sign in all day |
//! | `model_*` of anything else | nothing | access is decided by people and groups alone |
//! | `logout` | nothing | says nothing about rights; sessions end by back-channel logout or the stale rule |
//! | `password_set` | nothing | changes no right; `model_updated` comes beside it |
//! | `login_failed`, `suspicious_request`, `invitation_used` | nothing | anybody may cause them, without an account |
//! | `authorize_application`, `impersonation_*`, `secret_*`, … | nothing | nobody's rights change |
//! | sentences without an action | nothing | events with a message: none is about rights (difference 11) |
//! | any other action | its user or group, if it has one as model | later versions |
//!
//! # The way of a delivery
//!
//! `admit` (the directory's own secret, constant time) → body, bounded in size and time, of any or
//! no content type → [`notice`] (what it says) → [`worth`] → [`book`] (on record, with others) → 202.
//! The same event again within 20 minutes is nothing new ([`recent`]); the default body names no
//! event, and two of one text may be two changes of one request, so those only coalesce. The first
//! hint about somebody is due at once, those within two seconds behind it two seconds later, in one
//! job. Without a store or with too many waiting the answer is 503, and Authentik tries again: 5
//! times within 15 minutes.
//!
//! Never a redirect: Authentik follows it with a GET without a body, and takes whatever that says
//! for success (difference 10).

mod book;
pub mod fuzz;
mod meaning;
mod notice;
mod recent;
mod repr;
mod sources;
mod watch;
mod worth;

pub use meaning::{Meaning, meaning};
pub use sources::{HookStore, Hooks, Recorder};

use super::Routes;
use super::granted::{self, Granted};
use super::problem::Problem;
use super::state::Api;
use crate::error::Code;
use crate::telemetry::metrics::HookOutcome;
use crate::types::SourceId;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::routing::post;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sources::Source;
use std::sync::Arc;
use std::time::Duration;
use utoipa::OpenApi;

/// Longest body in bytes. Authentik's have 500; a mapping that lists groups may have more.
const LONGEST: usize = 256 * 1024;
/// How long a body may take: Authentik sends it at once.
const SLOW: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/hooks/authentik", post(deliver))
        .route("/hooks/authentik/{directory}", post(deliver_for))
}

/// Its part of the document.
#[derive(OpenApi)]
#[openapi(paths(deliver, deliver_for))]
pub(super) struct Documented;

/// Take an event of Authentik's, from the directory whose secret is shown.
#[utoipa::path(
    post, path = "/hooks/authentik", tag = "hooks", operation_id = "deliver_hook",
    request_body(
        content = Object, content_type = "application/json",
        description = "Authentik's default body or that of the shipped mapping. The media type is not looked at.",
    ),
    responses((status = 202, description = "It is on record.")),
    security(("bearer" = ["hooks"]), ("certificate" = ["hooks"])),
)]
async fn deliver(
    caller: Granted<granted::Hooks>,
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<StatusCode, Problem> {
    take(&api, api.hooks.of(&caller, None)?, request.into_body()).await
}

/// The same, for a client that may speak for several directories.
#[utoipa::path(
    post, path = "/hooks/authentik/{directory}", tag = "hooks", operation_id = "deliver_hook_for",
    params(("directory" = String, Path, description = "The id of one of `[[directories]]`.")),
    request_body(
        content = Object, content_type = "application/json",
        description = "As above.",
    ),
    responses((status = 202, description = "It is on record.")),
    security(("bearer" = ["hooks"]), ("certificate" = ["hooks"])),
)]
async fn deliver_for(
    caller: Granted<granted::Hooks>,
    Path(directory): Path<String>,
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let source = api.hooks.of(&caller, Some(&directory))?;
    take(&api, source, request.into_body()).await
}

async fn take(api: &Api, source: &Source, body: Body) -> Result<StatusCode, Problem> {
    let body = match body_of(body).await {
        Ok(body) => body,
        Err(problem) => {
            let outcome = match problem.code() {
                Code::ApiTooLarge => HookOutcome::TooLarge,
                Code::ApiTimeout => HookOutcome::Slow,
                _ => HookOutcome::Garbage,
            };
            api.metrics.hook(&source.id, outcome);
            return Err(problem);
        }
    };
    api.hooks.take(source, &body).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn body_of(body: Body) -> Result<Bytes, Problem> {
    let whole = Limited::new(body, LONGEST).collect();
    match tokio::time::timeout(SLOW, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Code::ApiTooLarge.into()),
        Ok(Err(error)) => Err(Problem::new(Code::ApiMalformed, error.to_string())),
        Err(_) => Err(Problem::new(
            Code::ApiTimeout,
            "a webhook's body takes too long",
        )),
    }
}

impl Hooks {
    /// Whose delivery it is: the directory's whose secret was shown; of another client with the
    /// scope, the one it names, or the only one.
    fn of(
        &self,
        caller: &Granted<granted::Hooks>,
        named: Option<&str>,
    ) -> Result<&Source, Problem> {
        let id = match (caller.directory(), named) {
            (Some(own), None) => own.clone(),
            (Some(own), Some(named)) if own.as_str() == named => own.clone(),
            (Some(_), Some(_)) => {
                let reason = "the secret is another directory's than the one that is named";
                return Err(Problem::new(Code::ApiScope, reason));
            }
            (None, Some(named)) => SourceId::new(named).map_err(|_| Code::ApiNotFound)?,
            (None, None) => {
                let mut all = self.sources.values();
                return match (all.next(), all.next()) {
                    (Some(only), None) => Ok(only),
                    _ => Err(Code::ApiNotFound.into()),
                };
            }
        };
        self.sources
            .get(&id)
            .ok_or_else(|| Code::ApiNotFound.into())
    }
}

#[cfg(test)]
mod tests;

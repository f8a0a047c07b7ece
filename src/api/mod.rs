//! The api listener: what services ask of the bridge. Never a person: a visitor's assertion is
//! nobody's authentication here, and nothing that counts here counts on the proxy listener.
//!
//! # The way of a request
//!
//! `finish` (request id, headers, log, panics) → `admit` (who calls, [`Caller`]; how often) →
//! the endpoint (what it may do, [`Granted`]) → `finish` (problems become RFC 9457 documents).
//!
//! - [`caller`]: the proof of who calls, and how; made here alone.
//! - [`bearer`]: callers' tokens, verified.
//! - [`granted`]: the proof that a scope covers what is done; an endpoint can't be reached without.
//! - [`registry`]: the configured clients, found by their credentials.
//! - [`problem`]: how an endpoint says no. `finish` renders it.
//! - [`strangers`]: how many log lines the refusals of unknown callers are worth.
//! - [`state`]: what endpoints share; [`rest`]: what resources do alike.
//! - [`apps`], [`visitors`]: services at an app's door, on their own behalf and on a visitor's; both
//!   reach the road through the trait [`Road`], which `proxy` implements and `runtime` hands over.
//! - [`hooks`]: what directories tell; `directories`, `invitations`: what is ordered of them.
//! - [`openapi`]: the document, made from the endpoints.
//!
//! # Adding an endpoint
//!
//! 1. A file for the resource, `src/api/<resource>.rs`, with
//!    `pub(super) fn routes() -> Routes`, whose handlers take a [`Granted`] of one of the
//!    permissions in `granted.rs` (add one there if none fits) and answer
//!    `Result<…, Problem>`.
//! 2. One line in [`resources`] below. A route that must stream (no time limit, no body limit) goes
//!    into [`streams`], and marks answers that are not its own with [`Verbatim`].
//! 3. `#[utoipa::path]` above each handler, and one line in `openapi/mod.rs`.
//! 4. If it is an OAuth endpoint: one line in `metadata.rs`.
//!
//! Only the two documents in [`open`] are served to callers that nobody knows; everything else,
//! what does not exist included, is behind `admit` (a guard in `tests/guards.rs` reads this file).
//!
//! What does not live here: accepting connections (`runtime`), the road (`proxy`), pages
//! (`portal`). The api imports neither; of the api `proxy` imports the proofs that [`apps`] and
//! [`visitors`] make, and nothing else.

#![expect(
    unused_qualifications,
    reason = "what `utoipa::path` writes of its parameters"
)]

mod accounts;
mod admit;
pub mod apps;
pub mod bearer;
pub mod caller;
mod clients;
mod directories;
mod drift;
mod events;
mod explain;
mod finish;
pub mod granted;
pub mod hooks;
mod invitations;
mod jobs;
mod keys;
mod metadata;
mod oauth;
pub mod openapi;
mod plans;
pub mod problem;
mod rate;
pub mod registry;
mod rest;
pub mod scim;
mod sessions;
mod signing_keys;
pub mod state;
mod strangers;
mod users;
pub mod visitors;

pub use apps::{AppCaller, Road};
pub use bearer::{BearerIssuer, Bearers};
pub use caller::{Bearer, Caller, Trust};
pub use finish::{PeerAddress, Verbatim};
pub use granted::Granted;
pub use problem::Problem;
pub use registry::Clients;
pub use state::Api;
pub use strangers::Strangers;
pub use visitors::Introducer;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use std::sync::Arc;

/// Routes of one resource.
pub type Routes = Router<Arc<Api>>;

/// Served to everybody who reaches the listener: our public keys, and what there is.
fn open() -> Routes {
    Router::new()
        .merge(keys::routes())
        .merge(metadata::routes())
}

/// Served to known callers, within `listen.api.timeout` and `listen.api.body`.
fn resources() -> Routes {
    Router::new()
        .merge(openapi::routes())
        .merge(users::routes())
        .merge(explain::routes())
        .merge(accounts::routes())
        .merge(sessions::routes())
        .merge(signing_keys::routes())
        .merge(events::routes())
        .merge(jobs::routes())
        .merge(plans::routes())
        .merge(drift::routes())
        .merge(directories::routes())
        .merge(invitations::routes())
        .merge(clients::routes())
        .merge(visitors::routes())
        .merge(hooks::routes())
        .merge(oauth::routes())
        .merge(scim::routes())
}

/// Served to known callers for as long as it takes.
fn streams() -> Routes {
    Router::new().merge(apps::routes())
}

/// The listener's whole surface.
pub fn router(api: Arc<Api>) -> Router {
    assemble(api, resources(), streams())
}

fn assemble(api: Arc<Api>, resources: Routes, streams: Routes) -> Router {
    let resources = resources
        .fallback(async || Problem::from(crate::error::Code::ApiNotFound))
        .layer(DefaultBodyLimit::max(api.listener.body))
        .layer(from_fn_with_state(api.clone(), admit::in_time));
    let known = resources
        .merge(streams)
        .layer(from_fn_with_state(api.clone(), admit::admit));
    open()
        .merge(known)
        .layer(from_fn_with_state(api.clone(), finish::finish))
        .with_state(api)
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

//! `/scim/v2`: a SCIM 2.0 service provider (RFC 7643, RFC 7644), by which Authentik, Okta, Entra and
//! their like say who there is and who is in which group.
//!
//! What a client says is kept as it said it, in a room of its connection's own ([`connection`]), and
//! is then a word about a person like any directory's ([`word`], [`tell`]): access ends before the
//! answer is sent. Data stays: a deleted user is gone from SCIM, their account in an app is
//! deactivated, and who comes back with the same subject is the same person.
//!
//! # The way of a request
//!
//! `connection` (whose) → [`request`] (what) → [`resources`] → [`write`] (read, change, store, tell)
//! or [`list`] (search) → [`resource::show`] → [`projection`].
//!
//! - [`error`]: how SCIM says no; [`schema`]: what resources are made of.
//! - [`filter`], [`query`]: searches. Values and names go to the store as parameters alone.
//! - [`patch`]: partial changes, in memory; [`bulk`]: many requests in one.
//! - [`discovery`]: what there is.
//!
//! Everything is bounded (T31): bodies, filters, operations, pages, values of a resource, nesting.
//! Groups have one page of members: all of them.
//!
//! What does not live here: the tables (`store::scim`), what a word leads to (`directory`).

mod bulk;
pub mod connection;
mod discovery;
pub mod error;
pub mod filter;
pub mod fuzz;
mod list;
pub mod patch;
mod projection;
mod query;
mod request;
pub mod resource;
mod resources;
mod schema;
pub mod tell;
mod word;
mod write;

pub use connection::Connections;
pub use tell::Hearing;

use super::Routes;
use axum::Router;
use axum::response::Response;
use axum::routing::{any, get, post};
use connection::Connected;
use error::ScimError;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::error::Code;
use crate::store::ScimKind;

/// Where it is.
pub(super) const PATH: &str = "/scim/v2";

/// RFC 7644 §8.1.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json");

pub(super) fn routes() -> Routes {
    let at = |path: &str| format!("{PATH}{path}");
    Router::new()
        .merge(resources::routes(ScimKind::User))
        .merge(resources::routes(ScimKind::Group))
        .route(
            &at("/.search"),
            post(|connected: Connected, api, headers: HeaderMap, body| {
                resources::search_by_body(ScimKind::ALL.to_vec(), connected, api, headers, body)
            }),
        )
        .route(
            &at("/ServiceProviderConfig"),
            get(discovery::service_provider_config),
        )
        // As Authentik's mode "sfdc" asks.
        .route(
            &at("/ServiceProviderConfigs"),
            get(discovery::service_provider_config),
        )
        .route(&at("/ResourceTypes"), get(discovery::resource_types))
        .route(
            &at("/ResourceTypes/{id}"),
            get(discovery::one_resource_type),
        )
        .route(&at("/Schemas"), get(discovery::schemas))
        .route(&at("/Schemas/{urn}"), get(discovery::one_schema))
        .route(&at("/Bulk"), post(bulk::bulk))
        .route(&at("/Me"), any(me))
}

/// A client is nobody's user (RFC 7644 §3.11).
async fn me(_: Connected) -> ScimError {
    ScimError::new(
        Code::ScimNotImplemented,
        None,
        "A client is no user: there is no /Me.",
    )
}

/// Whether a request is answered in SCIM's words, even before it is known whose it is.
pub(super) fn is_below(path: &str) -> bool {
    let rest = path.strip_prefix(PATH);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The type of what is answered below it.
pub(super) const fn media_type() -> HeaderValue {
    MEDIA_TYPE
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    response
}

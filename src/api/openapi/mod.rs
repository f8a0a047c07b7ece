//! `/openapi.json`: what this listener serves, as OpenAPI 3.1, made from the endpoints themselves.
//!
//! An endpoint says what is its own: parameters, body, answer, scope. What all have in common, every
//! way to be refused included, is added from what it says ([`complete`]), so that none is forgotten.
//! `tests/data/openapi.json` holds the document, so that a change shows in review.
//!
//! Adding an endpoint: `#[utoipa::path]` above its handler, and its file's `Documented` in [`parts`].
//! A test finds a route that is not in the document.

mod complete;

use super::caller::Caller;
use super::problem::Document;
use super::state::Api;
use super::{
    Routes, accounts, clients, directories, drift, events, explain, hooks, invitations, jobs, keys,
    metadata, oauth, plans, sessions, signing_keys, users, visitors,
};
use crate::error::Code;
use axum::Router;
use axum::body::Bytes;
use axum::response::IntoResponse;
use axum::routing::get;
pub(super) use complete::refusal;
use complete::{Shared, complete};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoParams, IntoResponses, OpenApi};

const PATH: &str = "/openapi.json";
/// Bodies of several forms.
const STRICT: [&str; 2] = ["Decision", "Whose"];

/// The document, for any known caller: it says nothing that is not in the source.
pub(super) fn routes() -> Routes {
    let text = Bytes::from(document().to_string());
    let serve = async move |_: Caller| {
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "private, max-age=300"),
        ];
        (headers, text.clone()).into_response()
    };
    Router::<Arc<Api>>::new().route(PATH, get(serve))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "auth-manager",
        description = "What services ask of the bridge. Times are seconds since 1970. Refusals are \
                       problem documents (RFC 9457) whose `code` never changes its meaning. SCIM 2.0 \
                       is at /scim/v2 and says itself what it is: /scim/v2/ServiceProviderConfig, \
                       /scim/v2/Schemas.",
    ),
    paths(this),
    components(schemas(Document<'_>)),
    tags(
        (name = "users", description = "Shadow users: our records of people."),
        (name = "accounts", description = "Whose account in an app is whose."),
        (name = "sessions", description = "Who is signed in."),
        (name = "jobs", description = "Work that must happen surely."),
        (name = "plans", description = "What reconciliation found, and waits for a person's word."),
        (name = "drift", description = "What differs in apps."),
        (name = "directories", description = "What is ordered of directories by hand or by a CI job."),
        (name = "invitations", description = "Invitations of a directory."),
        (name = "keys", description = "Our signing keys."),
        (name = "events", description = "The audit trail: who did what."),
        (name = "clients", description = "Who may call."),
        (name = "hooks", description = "What directories tell."),
        (name = "oauth", description = "Whose a token is, and another one for it."),
        (name = "discovery", description = "What there is."),
    ),
)]
struct Base;

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "discovery", operation_id = "get_openapi",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json")),
    security(("certificate" = []), ("bearer" = [])),
)]
#[expect(dead_code, reason = "the document's form of `routes`")]
fn this() {}

/// Who has endpoints.
fn parts() -> [utoipa::openapi::OpenApi; 18] {
    [
        Base::openapi(),
        users::Documented::openapi(),
        explain::Documented::openapi(),
        accounts::Documented::openapi(),
        sessions::Documented::openapi(),
        signing_keys::Documented::openapi(),
        events::Documented::openapi(),
        jobs::Documented::openapi(),
        plans::Documented::openapi(),
        drift::Documented::openapi(),
        directories::Documented::openapi(),
        invitations::Documented::openapi(),
        clients::Documented::openapi(),
        visitors::Documented::openapi(),
        hooks::Documented::openapi(),
        keys::Documented::openapi(),
        metadata::Documented::openapi(),
        oauth::documented(),
    ]
}

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let parts = parts().into_iter().reduce(|mut all, part| {
        all.merge(part);
        all
    });
    let mut document = serde_json::to_value(parts).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "certificate": {
            "type": "mutualTLS",
            "description": "A certificate of an authority in `client_ca`, named in `[[clients]]`.",
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of one of `[[api_issuers]]`; for `hooks` and `scim` a static one.",
        },
    });
    let mut shared = Shared::new();
    if let Some(paths) = document["paths"].as_object_mut() {
        for operations in paths.values_mut().filter_map(Value::as_object_mut) {
            for (method, operation) in operations {
                complete(method, operation, &mut shared);
            }
        }
    }
    document["components"]["responses"] = shared.into();
    // Every body is read strictly; of the forms of an enum the macro does not say so.
    for schema in STRICT {
        let forms = document["components"]["schemas"][schema]["oneOf"].as_array_mut();
        for form in forms.into_iter().flatten() {
            form["additionalProperties"] = false.into();
        }
    }
    document
}

/// `If-None-Match` of a change that makes something.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by hand: see `rest::precondition`")]
pub(super) struct IfNone {
    /// `*`: only if there is none yet.
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
}

/// Of a change that must not be made blindly.
pub(super) struct NeedsPrecondition;

impl IntoResponses for NeedsPrecondition {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [refusal(&[Code::ApiPreconditionRequired])].into()
    }
}

/// Of what asks the app at once.
pub(super) struct AsksTheApp;

impl IntoResponses for AsksTheApp {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [
            refusal(&[
                Code::AppUnavailable,
                Code::AppBadAnswer,
                Code::AccountRefused,
            ]),
            refusal(&[Code::AppTimeout]),
        ]
        .into()
    }
}

/// Of what asks a directory at once.
pub(super) struct AsksTheDirectory;

impl IntoResponses for AsksTheDirectory {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [
            refusal(&[Code::DirectoryUnavailable]),
            refusal(&[Code::DirectoryTimeout]),
            refusal(&[Code::ApiScope, Code::DirectoryNotAllowed]),
            refusal(&[
                Code::ApiConflict,
                Code::DirectoryUnable,
                Code::ApiIdempotencyUnderWay,
            ]),
            refusal(&[Code::ApiNotFound]),
        ]
        .into()
    }
}

/// Of what names a directory in its body.
pub(super) struct NamesADirectory;

impl IntoResponses for NamesADirectory {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [refusal(&[Code::ApiNotFound])].into()
    }
}

#[cfg(test)]
mod tests;

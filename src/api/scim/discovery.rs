//! What there is (RFC 7644 §4): `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`. Read only,
//! never filtered. Authentik reads the first one strictly, and takes whatever it can't read for a
//! peer that can neither PATCH nor filter.

use super::answer;
use super::connection::{Connected, base};
use super::error::ScimError;
use super::list::complete;
use super::query::Query;
use super::resource::show::endpoint;
use super::schema::{self, documents};
use crate::api::state::Api;
use crate::error::Code;
use crate::store::ScimKind;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the service can.
pub(super) async fn service_provider_config(
    connected: Connected,
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ScimError> {
    unfiltered(query.as_deref())?;
    let connection = &connected.connection;
    let location = format!("{}/ServiceProviderConfig", base(&api));
    let document = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": {
            "supported": true,
            "maxOperations": connection.bulk_operations,
            "maxPayloadSize": connection.body,
        },
        "filter": { "supported": true, "maxResults": connection.page },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A bearer of a configured client, or its certificate.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": location },
    });
    Ok(answer(StatusCode::OK, &document))
}

/// Kinds of resources.
pub(super) async fn resource_types(
    _: Connected,
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ScimError> {
    unfiltered(query.as_deref())?;
    let base = base(&api);
    let all = ScimKind::ALL.iter().map(|kind| resource_type(*kind, &base));
    Ok(answer(StatusCode::OK, &complete(all.collect())))
}

/// One kind of resources.
pub(super) async fn one_resource_type(
    _: Connected,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ScimError> {
    unfiltered(query.as_deref())?;
    let mut kinds = ScimKind::ALL.iter();
    let kind = kinds.find(|kind| schema::of_kind(**kind).name.eq_ignore_ascii_case(&id));
    let kind = kind.ok_or_else(|| ScimError::not_found("resource type"))?;
    Ok(answer(StatusCode::OK, &resource_type(*kind, &base(&api))))
}

/// Schemas of resources.
pub(super) async fn schemas(
    _: Connected,
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ScimError> {
    unfiltered(query.as_deref())?;
    let base = base(&api);
    let all = documents::ALL
        .iter()
        .map(|schema| documents::document(schema, &base));
    Ok(answer(StatusCode::OK, &complete(all.collect())))
}

/// One schema, by URN.
pub(super) async fn one_schema(
    _: Connected,
    State(api): State<Arc<Api>>,
    Path(urn): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ScimError> {
    unfiltered(query.as_deref())?;
    let mut all = documents::ALL.iter();
    let found = all.find(|schema| schema.urn.eq_ignore_ascii_case(&urn));
    let schema = found.ok_or_else(|| ScimError::not_found("schema"))?;
    Ok(answer(
        StatusCode::OK,
        &documents::document(schema, &base(&api)),
    ))
}

/// RFC 7644 §4: a filter here is refused, so that nobody takes a part for the whole.
fn unfiltered(query: Option<&str>) -> Result<(), ScimError> {
    match Query::of_parameters(query)?.has_filter() {
        true => Err(ScimError::new(
            Code::ScimForbidden,
            None,
            "This is not filtered.",
        )),
        false => Ok(()),
    }
}

fn resource_type(kind: ScimKind, base: &str) -> Value {
    let schema = schema::of_kind(kind);
    let extensions: Vec<_> = (schema::extensions(kind).iter())
        .map(|extension| json!({ "schema": extension.urn, "required": false }))
        .collect();
    let mut document = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": schema.name,
        "name": schema.name,
        "description": schema.description,
        "endpoint": format!("/{}", endpoint(kind)),
        "schema": schema.urn,
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{base}/ResourceTypes/{}", schema.name),
        },
    });
    if let (false, Some(members)) = (extensions.is_empty(), document.as_object_mut()) {
        members.insert("schemaExtensions".to_owned(), extensions.into());
    }
    document
}

//! Searches and their answers; and resources as they are shown, memberships included.

use super::connection::base;
use super::error::ScimError;
use super::projection::Projection;
use super::query::Query;
use super::resource::show;
use crate::api::state::Api;
use crate::config::ScimConfig;
use crate::store::{ScimKind, ScimResource};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The schema of such an answer.
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// A list of these, which are all there are.
pub(super) fn complete(resources: Vec<Value>) -> Value {
    let count = resources.len();
    json!({
        "schemas": [LIST],
        "totalResults": count,
        "startIndex": 1,
        "itemsPerPage": count,
        "Resources": resources,
    })
}

/// What passes a query.
pub(super) async fn search(
    api: &Api,
    connection: &ScimConfig,
    kinds: &[ScimKind],
    query: &Query,
) -> Result<Value, ScimError> {
    let search = query.search(kinds, connection.page)?;
    let found = api.store.scim_search(&connection.id, &search).await?;
    let shown = all(api, connection, &found.resources, &query.projection).await?;
    Ok(json!({
        "schemas": [LIST],
        "totalResults": found.total,
        "startIndex": query.start(),
        "itemsPerPage": shown.len(),
        "Resources": shown,
    }))
}

/// One resource as it is shown.
pub(super) async fn one(
    api: &Api,
    connection: &ScimConfig,
    resource: &ScimResource,
    projection: &Projection,
) -> Result<Value, ScimError> {
    let resource = std::slice::from_ref(resource);
    let shown = all(api, connection, resource, projection).await?;
    Ok(shown.into_iter().next().unwrap_or(Value::Null))
}

/// Resources as they are shown. A group without members says so: clients heal what was lost only if
/// they see the list (recordings/authentik, difference 23).
async fn all(
    api: &Api,
    connection: &ScimConfig,
    resources: &[ScimResource],
    projection: &Projection,
) -> Result<Vec<Value>, ScimError> {
    let base = base(api);
    let ids = |kind: ScimKind, name: &str| -> Vec<String> {
        let of_kind = resources.iter().filter(|resource| resource.kind == kind);
        match projection.shows(kind, name) {
            true => of_kind.map(|resource| resource.id.clone()).collect(),
            false => Vec::new(),
        }
    };
    let (groups, users) = (
        ids(ScimKind::Group, "members"),
        ids(ScimKind::User, "groups"),
    );
    let (mut members, mut groups_of) = (HashMap::new(), HashMap::new());
    if !groups.is_empty() {
        for edge in api.store.scim_members(&connection.id, &groups).await? {
            let all: &mut Vec<_> = members.entry(edge.group.clone()).or_default();
            all.push(edge);
        }
    }
    if !users.is_empty() {
        for edge in api.store.scim_groups_of(&connection.id, &users).await? {
            let all: &mut Vec<_> = groups_of.entry(edge.member.clone()).or_default();
            all.push(edge);
        }
    }
    let shown = resources.iter().map(|resource| {
        let mut shown = show::whole(&base, resource);
        let id = &resource.id;
        let (name, value) = match resource.kind {
            ScimKind::User => {
                let all = groups_of.get(id).map(Vec::as_slice).unwrap_or_default();
                ("groups", show::groups(&base, all))
            }
            ScimKind::Group => {
                let all = members.get(id).map(Vec::as_slice).unwrap_or_default();
                ("members", show::members(&base, all))
            }
        };
        shown.insert(name.to_owned(), value);
        Value::Object(projection.of(resource.kind, shown))
    });
    Ok(shown.collect())
}

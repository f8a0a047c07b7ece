//! A resource as a client sees it: what it said itself, and what is ours to say.

use super::{Object, member};
use crate::api::scim::schema;
use crate::store::{ScimGroupOf, ScimKind, ScimMember, ScimResource};
use serde_json::{Value, json};

/// The version as an entity tag. Weak: what is shown may differ by what was asked for.
pub(in crate::api::scim) fn tag(resource: &ScimResource) -> String {
    format!("W/\"{}\"", resource.version)
}

/// Where a kind of resource lives.
pub(in crate::api::scim) const fn endpoint(kind: ScimKind) -> &'static str {
    match kind {
        ScimKind::User => "Users",
        ScimKind::Group => "Groups",
    }
}

/// Where a resource is; `base` is the address of the SCIM service.
pub(in crate::api::scim) fn location(base: &str, kind: ScimKind, id: &str) -> String {
    format!("{base}/{}/{id}", endpoint(kind))
}

/// Schemas of a resource: its kind's, and one for each extension that it has.
pub(in crate::api::scim) fn schemas(kind: ScimKind, body: &Object) -> Vec<String> {
    let mut urns = vec![schema::of_kind(kind).urn.to_owned()];
    let extensions = body
        .iter()
        .filter(|(key, value)| key.contains(':') && value.is_object());
    urns.extend(extensions.map(|(key, _)| key.clone()));
    urns
}

/// What the client said, as an object again.
pub(in crate::api::scim) fn body(resource: &ScimResource) -> Object {
    match serde_json::from_str(&resource.body) {
        Ok(Value::Object(body)) => body,
        // Written by us alone.
        _ => Object::new(),
    }
}

/// A resource in full, its memberships aside.
#[must_use]
pub fn whole(base: &str, resource: &ScimResource) -> Object {
    let mut shown = body(resource);
    let urns = schemas(resource.kind, &shown);
    shown.insert("schemas".to_owned(), urns.into());
    shown.insert("id".to_owned(), resource.id.clone().into());
    let meta = json!({
        "resourceType": schema::of_kind(resource.kind).name,
        "created": resource.created_at.to_string(),
        "lastModified": resource.updated_at.to_string(),
        "location": location(base, resource.kind, &resource.id),
        "version": tag(resource),
    });
    shown.insert("meta".to_owned(), meta);
    shown
}

/// Members of a group as it shows them.
pub(in crate::api::scim) fn members(base: &str, members: &[ScimMember]) -> Value {
    let shown = members.iter().map(|edge| {
        let mut shown = json!({ "value": edge.member });
        if let (Some(kind), Some(all)) = (edge.kind, shown.as_object_mut()) {
            all.insert("$ref".to_owned(), location(base, kind, &edge.member).into());
            all.insert("type".to_owned(), schema::of_kind(kind).name.into());
        }
        shown
    });
    Value::Array(shown.collect())
}

/// Groups of a user as they show them: those that they are in themselves.
pub(in crate::api::scim) fn groups(base: &str, groups: &[ScimGroupOf]) -> Value {
    let direct = groups.iter().filter(|edge| edge.direct);
    let shown = direct.map(|edge| {
        let mut shown = json!({
            "value": edge.group,
            "$ref": location(base, ScimKind::Group, &edge.group),
            "type": "direct",
        });
        let name = called(ScimKind::Group, &edge.body);
        if let (Some(name), Some(all)) = (name, shown.as_object_mut()) {
            all.insert("display".to_owned(), name.into());
        }
        shown
    });
    Value::Array(shown.collect())
}

/// What a resource is called.
pub(in crate::api::scim) fn called(kind: ScimKind, body: &str) -> Option<String> {
    let body: Object = serde_json::from_str(body).ok()?;
    let names: &[&str] = match kind {
        ScimKind::User => &["displayName", "userName"],
        ScimKind::Group => &["displayName"],
    };
    let mut found = names
        .iter()
        .filter_map(|name| member(&body, name)?.as_str());
    found.find(|name| !name.is_empty()).map(str::to_owned)
}

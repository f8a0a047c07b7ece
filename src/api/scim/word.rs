//! What a resource means: a word about a person or a group, as every directory says one. Nothing here
//! asks or writes anything.

use super::resource::{Object, member, show};
use crate::config::ScimConfig;
use crate::store::{DirectoryGroup, Person, ScimGroupOf, ScimKind, ScimResource};
use crate::types::Timestamp;
use serde_json::Value;

/// User types of those who are no people: Authentik's and what others write.
const NOT_HUMAN: &[&str] = &[
    "service_account",
    "internal_service_account",
    "service account",
    "service",
    "bot",
];

/// What is said of a person; `groups` are all that they are in.
pub(super) fn person(
    connection: &ScimConfig,
    resource: &ScimResource,
    groups: &[ScimGroupOf],
    now: Timestamp,
) -> Person {
    let body = show::body(resource);
    let text = |name: &str| {
        member(&body, name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let formatted = member(&body, "name")
        .and_then(Value::as_object)
        .and_then(|name| member(name, "formatted"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let name = match text("displayName").trim() {
        "" => formatted.trim(),
        name => name,
    };
    let locale = [text("locale"), text("preferredLanguage")]
        .into_iter()
        .find(|text| !text.is_empty());
    let user_type = text("userType").to_ascii_lowercase();
    let mut ids: Vec<String> = groups.iter().map(group_id_of).collect();
    ids.sort_unstable();
    ids.dedup();
    Person {
        source: connection.id.clone(),
        id: resource.id.clone(),
        aliases: aliases(resource, &body),
        issuer: connection.issuer.clone(),
        subject: resource.subject.clone(),
        username: text("userName").to_owned(),
        name: name.to_owned(),
        email: email(&body).to_owned(),
        // SCIM says nothing of whether an address was proven.
        email_verified: false,
        locale: locale.map(str::to_owned),
        active: resource.active && resource.deleted_at.is_none(),
        human: !NOT_HUMAN.contains(&user_type.as_str()),
        groups: ids,
        read_at: now,
        // DELETE says that somebody has no business here any more, not that they are no more: Authentik
        // sends it when they leave an application's scope. So a later POST of the same external id is the
        // same person, which nobody is whom a directory says to be gone.
        gone_at: None,
    }
}

/// What is said of a group that is in these itself.
pub(super) fn group(
    connection: &ScimConfig,
    resource: &ScimResource,
    groups: &[ScimGroupOf],
    now: Timestamp,
) -> DirectoryGroup {
    let mut parents: Vec<String> = (groups.iter())
        .filter(|edge| edge.direct)
        .map(group_id_of)
        .collect();
    parents.sort_unstable();
    DirectoryGroup {
        source: connection.id.clone(),
        id: group_id(&resource.id, external_id(resource).as_deref()),
        name: show::called(ScimKind::Group, &resource.body).unwrap_or_default(),
        parents,
        read_at: now,
        gone_at: resource.deleted_at,
    }
}

/// By which id the directory knows a group: the client's own, so that a rule that names Authentik's
/// UUID of a group holds however its membership is learnt; ours when it has none.
fn group_id(id: &str, external_id: Option<&str>) -> String {
    external_id.unwrap_or(id).to_owned()
}

fn group_id_of(edge: &ScimGroupOf) -> String {
    group_id(&edge.group, edge.external_id.as_deref())
}

/// The client's own id, which the column of a deleted resource has no longer.
fn external_id(resource: &ScimResource) -> Option<String> {
    let said = || {
        let body = show::body(resource);
        member(&body, "externalId")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    resource.external_id.clone().or_else(said)
}

fn aliases(resource: &ScimResource, body: &Object) -> Vec<String> {
    let external = external_id(resource);
    let name = member(body, "userName").and_then(Value::as_str);
    let external = external.map(|id| format!("external:{id}"));
    external
        .into_iter()
        .chain(name.map(|name| format!("username:{name}")))
        .collect()
}

/// The primary address, else one for work, else the first.
fn email(body: &Object) -> &str {
    let all = member(body, "emails").and_then(Value::as_array);
    let all = all.map(Vec::as_slice).unwrap_or_default();
    let is = |one: &Value, name: &str, wanted: &Value| {
        let parts = one.as_object();
        parts.and_then(|parts| member(parts, name)) == Some(wanted)
    };
    let primary = all
        .iter()
        .find(|one| is(one, "primary", &Value::Bool(true)));
    let work = all.iter().find(|one| is(one, "type", &Value::from("work")));
    let found = primary.or(work).or(all.first());
    found.and_then(address).unwrap_or_default()
}

fn address(one: &Value) -> Option<&str> {
    match one {
        Value::String(text) => Some(text),
        Value::Object(parts) => member(parts, "value").and_then(Value::as_str),
        _ => None,
    }
}

//! Users. Service accounts are shown to whoever asks for them by id, by name or in a group, and left
//! out of lists and counts.

use super::StandIn;
use super::answer::{Answer, Params, Refused, found, page, problem, says};
use super::groups::shown_of_user;
use super::state::Inner;
use super::token::forbidden;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

/// Members of a user that a brief list leaves out.
const NOT_BRIEF: [&str; 4] = [
    "totp",
    "disableableCredentialTypes",
    "requiredActions",
    "notBefore",
];
/// So many are listed when it is not said.
pub(super) const USUAL: usize = 100;

/// `GET /users`.
pub(super) async fn list(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Answer {
    let inner = app.admitted(&headers)?;
    if !inner.client.queries_users() {
        return Err(forbidden());
    }
    let mut all: Vec<&Value> = inner.users.values().collect();
    match params.get("username") {
        Some(name) => {
            let name = name.to_lowercase();
            let exact = says(&params, "exact", false);
            all.retain(|user| match exact {
                true => username(user) == name,
                false => username(user).contains(&name),
            });
        }
        None => all.retain(|user| !is_machine(&inner, user)),
    }
    if let Some(text) = params.get("search") {
        all.retain(|user| username(user).contains(text.as_str()));
    }
    if !inner.client.views() {
        all.clear();
    }
    let brief = says(&params, "briefRepresentation", false);
    let shown = sorted(all).map(|user| {
        let mut shown = listed(user, brief);
        shown["access"] = json!({ "manage": false });
        shown
    });
    Ok(page(shown.collect(), &params, USUAL, inner.longest_page))
}

/// `GET /users/count`.
pub(super) async fn count(State(app): State<StandIn>, headers: HeaderMap) -> Answer {
    let inner = app.admitted(&headers)?;
    if !inner.client.queries_users() {
        return Err(forbidden());
    }
    Ok(found(&json!(inner.users.len() - inner.machines.len())))
}

/// `GET /users/{id}`.
pub(super) async fn one(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer {
    let inner = app.admitted(&headers)?;
    let mut shown = visible(&inner, &id)?.clone();
    shown["access"] = json!({
        "manageGroupMembership": false, "resetPassword": false, "view": true,
        "mapRoles": false, "impersonate": false, "manage": false,
    });
    Ok(found(&shown))
}

/// `GET /users/{id}/groups`: the direct ones.
pub(super) async fn groups_of(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(params): Query<Params>,
) -> Answer {
    let inner = app.admitted(&headers)?;
    visible(&inner, &id)?;
    let of = inner.members.iter().filter(|(_, user)| *user == id);
    let mut all: Vec<_> = of
        .filter_map(|(id, _)| inner.groups.get_key_value(id))
        .collect();
    all.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let brief = says(&params, "briefRepresentation", true);
    let shown = all
        .into_iter()
        .map(|(id, group)| shown_of_user(&inner, id, group, brief));
    Ok(page(
        shown.collect(),
        &params,
        usize::MAX,
        inner.longest_page,
    ))
}

/// Whoever may ask is told that there is nobody; whoever may look sees them.
fn visible<'a>(inner: &'a Inner, id: &str) -> Result<&'a Value, Refused> {
    match inner.users.get(id) {
        Some(user) if inner.client.views() => Ok(user),
        None if inner.client.queries_users() => Err(Refused::of(problem(404, "User not found"))),
        _ => Err(forbidden()),
    }
}

/// A user in a list.
pub(super) fn listed(user: &Value, brief: bool) -> Value {
    let mut shown = user.clone();
    if let Some(members) = shown.as_object_mut()
        && brief
    {
        members.retain(|key, _| !NOT_BRIEF.contains(&key.as_str()));
    }
    shown
}

/// In the order of lists.
pub(super) fn sorted(mut users: Vec<&Value>) -> impl Iterator<Item = &Value> {
    users.sort_by_key(|user| username(user));
    users.into_iter()
}

fn username(user: &Value) -> &str {
    user["username"].as_str().unwrap_or_default()
}

fn is_machine(inner: &Inner, user: &Value) -> bool {
    user["id"]
        .as_str()
        .is_some_and(|id| inner.machines.contains(id))
}

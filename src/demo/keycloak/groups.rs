//! Groups: a tree, listed level by level. Those of organisations are not shown.

use super::StandIn;
use super::answer::{Answer, Params, Refused, found, page, problem, refusal, says};
use super::state::{Group, Inner};
use super::token::forbidden;
use super::users::{self, listed, sorted};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

/// So many children are listed when it is not said.
const USUAL_CHILDREN: usize = 10;

/// `GET /groups`: the top level.
pub(super) async fn list(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Answer {
    let inner = app.admitted(&headers)?;
    if !inner.client.queries_groups() {
        return Err(forbidden());
    }
    let mut all = below(&inner, None, &params);
    if !inner.client.views() {
        all.clear();
    }
    Ok(page(all, &params, usize::MAX, inner.longest_page))
}

/// `GET /groups/count`.
pub(super) async fn count(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Answer {
    let inner = app.admitted(&headers)?;
    if !inner.client.queries_groups() {
        return Err(forbidden());
    }
    let top = says(&params, "top", false);
    let counted = inner.groups.values();
    let counted = counted.filter(|group| !top || group.above.is_none());
    Ok(found(&json!({ "count": counted.count() })))
}

/// `GET /groups/{id}`.
pub(super) async fn one(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer {
    let inner = app.admitted(&headers)?;
    let mut shown = shown(&inner, &id, visible(&inner, &id)?);
    shown["attributes"] = json!({});
    shown["realmRoles"] = json!([]);
    shown["clientRoles"] = json!({});
    Ok(found(&shown))
}

/// `GET /groups/{id}/children`.
pub(super) async fn children(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(params): Query<Params>,
) -> Answer {
    let inner = app.admitted(&headers)?;
    visible(&inner, &id)?;
    let all = below(&inner, Some(&id), &params);
    Ok(page(all, &params, USUAL_CHILDREN, inner.longest_page))
}

/// `GET /groups/{id}/members`: the direct ones, service accounts among them.
pub(super) async fn members(
    State(app): State<StandIn>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(params): Query<Params>,
) -> Answer {
    let inner = app.admitted(&headers)?;
    visible(&inner, &id)?;
    let of = inner.members.iter().filter(|(group, _)| *group == id);
    let all = of.filter_map(|(_, user)| inner.users.get(user)).collect();
    let brief = says(&params, "briefRepresentation", false);
    let shown = sorted(all).map(|user| listed(user, brief));
    Ok(page(
        shown.collect(),
        &params,
        users::USUAL,
        inner.longest_page,
    ))
}

/// That there is no such group is said to everybody.
fn visible<'a>(inner: &'a Inner, id: &str) -> Result<&'a Group, Refused> {
    if inner.organisational.contains(id) {
        let why = "Cannot manage organization related group via non Organization API.";
        return Err(Refused::of(refusal(400, &json!({ "errorMessage": why }))));
    }
    match inner.groups.get(id) {
        Some(group) if inner.client.views() => Ok(group),
        Some(_) => Err(forbidden()),
        None => Err(Refused::of(problem(404, "Could not find group by id"))),
    }
}

fn below(inner: &Inner, above: Option<&str>, params: &Params) -> Vec<Value> {
    let mut all: Vec<_> = inner
        .groups
        .iter()
        .filter(|(_, group)| group.above.as_deref() == above)
        .collect();
    all.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let counted = says(params, "subGroupsCount", true);
    let shown = all.into_iter().map(|(id, group)| {
        let mut shown = shown(inner, id, group);
        if let Some(members) = shown.as_object_mut()
            && !counted
        {
            members.remove("subGroupCount");
        }
        shown
    });
    shown.collect()
}

fn shown(inner: &Inner, id: &str, group: &Group) -> Value {
    let below = inner
        .groups
        .values()
        .filter(|below| below.above.as_deref() == Some(id));
    let mut shown = bare(inner, id, group);
    shown["subGroupCount"] = json!(below.count());
    shown["access"] = json!({
        "view": true, "viewMembers": true, "manageMembers": false, "manage": false,
        "manageMembership": false,
    });
    shown
}

/// As it is shown among a user's.
pub(super) fn shown_of_user(inner: &Inner, id: &str, group: &Group, brief: bool) -> Value {
    let mut shown = bare(inner, id, group);
    if !brief {
        shown["attributes"] = json!({});
        shown["realmRoles"] = json!([]);
        shown["clientRoles"] = json!({});
    }
    shown
}

fn bare(inner: &Inner, id: &str, group: &Group) -> Value {
    let path = inner.path(group);
    let mut shown = json!({ "id": id, "name": group.name, "path": path, "subGroups": [] });
    if let Some(above) = &group.above {
        shown["parentId"] = json!(above);
    }
    shown
}

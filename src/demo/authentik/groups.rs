//! Reading groups.

use std::collections::HashMap;

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::ids::uuid_of;
use super::render::Family;
use super::state::{Group, State};
use super::{autocomplete, page, render};

/// The permission that shows them.
pub(super) const VIEW: &str = "authentik_core.view_group";

/// `GET /core/groups/`.
pub(super) async fn list(call: Call) -> Answer {
    let state = call.app.state();
    let sees = call.caller.sees(VIEW)?;
    let members: Vec<i64> = call
        .params("members_by_pk")
        .filter_map(|pk| pk.parse().ok())
        .collect();
    let names: Vec<i64> = call
        .params("members_by_username")
        .filter_map(|name| state.names.get(name).copied())
        .collect();
    let mut found: Vec<&Group> = state
        .groups
        .values()
        .filter(|group| sees.shows(&group.pk))
        .filter(|group| call.param("name").is_none_or(|name| group.name == name))
        .filter(|group| {
            let search = call.param("search").map(str::to_lowercase);
            search.is_none_or(|word| group.name.to_lowercase().contains(&word))
        })
        .filter(|group| {
            call.param("is_superuser")
                .is_none_or(|wanted| group.is_superuser == wanted.eq_ignore_ascii_case("true"))
        })
        .filter(|group| {
            call.param("members_by_pk").is_none()
                || members.iter().any(|pk| group.users.contains(pk))
        })
        .filter(|group| {
            call.param("members_by_username").is_none()
                || names.iter().any(|pk| group.users.contains(pk))
        })
        .collect();
    match call.param("ordering") {
        Some("pk") => found.sort_by(|a, b| a.pk.cmp(&b.pk)),
        Some("-pk") => found.sort_by(|a, b| b.pk.cmp(&a.pk)),
        Some("-name") => found.sort_by(|a, b| b.name.cmp(&a.name)),
        _ => found.sort_by(|a, b| a.name.cmp(&b.name)),
    }
    let children = children(&state);
    let family = family(&call);
    page::page(&call, &found, autocomplete::groups(), |group| {
        let below = children.get(group.pk.as_str());
        render::group(&state, group, below.map_or(&[], Vec::as_slice), family)
    })
}

/// `GET /core/groups/{pk}/`, with or without dashes.
pub(super) async fn get(call: Call) -> Answer {
    let state = call.app.state();
    let sees = call.caller.sees(VIEW)?;
    let pk = uuid_of(call.segment(2)).ok_or_else(Refusal::not_found)?;
    let group = state.groups.get(&pk).filter(|group| sees.shows(&group.pk));
    let group = group.ok_or_else(|| Refusal::no_match("Group"))?;
    Ok(Reply::ok(shown(&state, group, family(&call))))
}

/// One group, its children looked for.
pub(super) fn shown(state: &State, group: &Group, family: Family) -> serde_json::Value {
    let below: Vec<&Group> = state
        .groups
        .values()
        .filter(|child| child.parents.contains(&group.pk))
        .collect();
    render::group(state, group, &below, family)
}

fn family(call: &Call) -> Family {
    Family {
        users: !call.without("include_users"),
        parents: call.with("include_parents"),
        children: call.with("include_children"),
    }
}

fn children(state: &State) -> HashMap<&str, Vec<&Group>> {
    let mut found: HashMap<&str, Vec<&Group>> = HashMap::new();
    for group in state.groups.values() {
        for parent in &group.parents {
            found.entry(parent).or_default().push(group);
        }
    }
    found
}

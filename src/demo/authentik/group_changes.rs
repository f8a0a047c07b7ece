//! Making, changing and deleting groups, and who is in them, with the events of each (recorded: 02).
//! No event says who joined or left, and a user's `last_updated` stays as it was.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::groups;
use super::ids::{new_uuid, uuid_of};
use super::render::{self, Family};
use super::scim::Change;
use super::state::{Group, State};

const WHOLE: Family = Family {
    users: true,
    parents: false,
    children: false,
};

/// `POST /core/groups/`.
pub(super) async fn create(mut call: Call) -> Answer {
    call.caller.must("authentik_core.add_group")?;
    let body = call.json().await?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::field("name", "This field is required."));
    }
    let pk = new_uuid();
    let (shown, members, related) = {
        let mut state = call.app.state();
        let parents = parents_of(&state, &body)?.unwrap_or_default();
        let users = users_of(&state, &body)?.unwrap_or_default();
        let related = !parents.is_empty() || !users.is_empty();
        let group = Group {
            pk: pk.clone(),
            name: name.to_owned(),
            is_superuser: body
                .get("is_superuser")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            parents,
            attributes: body.get("attributes").cloned().unwrap_or_else(|| json!({})),
            roles: BTreeSet::new(),
            users: BTreeSet::new(),
        };
        if !state.insert_group(group) {
            return Err(Refusal::field("name", "This field must be unique."));
        }
        for user in &users {
            state.join(*user, &pk);
        }
        let members: Vec<i64> = users.into_iter().collect();
        (look(&state, &pk)?, members, related)
    };
    call.event_of_group("model_created", &pk);
    if related {
        call.event_of_group("model_updated", &pk);
    }
    call.app.changed(Change::Group(pk.clone()));
    if !members.is_empty() {
        call.app.changed(Change::Joined(pk, members));
    }
    Ok(Reply::json(201, shown))
}

/// `PATCH` and `PUT /core/groups/{pk}/`.
pub(super) async fn change(mut call: Call) -> Answer {
    call.caller.must("authentik_core.change_group")?;
    let pk = uuid_of(call.segment(2)).ok_or_else(Refusal::not_found)?;
    let body = call.json().await?;
    let (shown, joined, left, related) = {
        let mut state = call.app.state();
        let parents = parents_of(&state, &body)?;
        let users = users_of(&state, &body)?;
        let group = state
            .groups
            .get(&pk)
            .ok_or_else(|| Refusal::no_match("Group"))?;
        let (former, before) = (group.name.clone(), group.users.clone());
        let name = body
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or(&former)
            .to_owned();
        if name != former && (name.is_empty() || state.group_names.contains_key(&name)) {
            return Err(Refusal::field("name", "This field must be unique."));
        }
        state.group_names.remove(&former);
        state.group_names.insert(name.clone(), pk.clone());
        let related = parents.is_some() || users.is_some();
        if let Some(group) = state.groups.get_mut(&pk) {
            group.name = name;
            if let Some(parents) = parents {
                group.parents = parents;
            }
            if let Some(attributes) = body.get("attributes").filter(|value| value.is_object()) {
                group.attributes = attributes.clone();
            }
            if let Some(superuser) = body.get("is_superuser").and_then(Value::as_bool) {
                group.is_superuser = superuser;
            }
        }
        let users = users.unwrap_or_else(|| before.clone());
        let joined: Vec<i64> = users.difference(&before).copied().collect();
        let left: Vec<i64> = before.difference(&users).copied().collect();
        for user in &joined {
            state.join(*user, &pk);
        }
        for user in &left {
            state.leave(*user, &pk);
        }
        (look(&state, &pk)?, joined, left, related)
    };
    call.event_of_group("model_updated", &pk);
    if related {
        call.event_of_group("model_updated", &pk);
    }
    if !joined.is_empty() {
        call.app.changed(Change::Joined(pk.clone(), joined));
    }
    if !left.is_empty() {
        call.app.changed(Change::Left(pk.clone(), left));
    }
    call.app.changed(Change::Group(pk));
    Ok(Reply::ok(shown))
}

/// `DELETE /core/groups/{pk}/`: each parent makes an event of its own.
pub(super) async fn delete(call: Call) -> Answer {
    call.caller.must("authentik_core.delete_group")?;
    let pk = uuid_of(call.segment(2)).ok_or_else(Refusal::not_found)?;
    let removed = call.app.state().remove_group(&pk);
    let group = removed.ok_or_else(|| Refusal::no_match("Group"))?;
    for parent in &group.parents {
        let called = format!("Group Parentage Node from #{pk} to {parent}");
        let node = render::model(
            "authentik_core",
            "groupparentagenode",
            json!(new_uuid()),
            &called,
        );
        call.event_of_model("model_deleted", node);
    }
    let model = render::model("authentik_core", "group", json!(pk), &group.name);
    call.event_of_model("model_deleted", model);
    call.app.changed(Change::GroupGone(pk));
    Ok(Reply::empty())
}

/// `POST /core/groups/{pk}/add_user/`.
pub(super) async fn add(call: Call) -> Answer {
    member(call, "authentik_core.add_user_to_group", true).await
}

/// `POST /core/groups/{pk}/remove_user/`.
pub(super) async fn remove(call: Call) -> Answer {
    member(call, "authentik_core.remove_user_from_group", false).await
}

async fn member(mut call: Call, permission: &str, joins: bool) -> Answer {
    let group = uuid_of(call.segment(2)).ok_or_else(Refusal::not_found)?;
    call.caller.must_on(permission, &group)?;
    let body = call.json().await?;
    let user = body.get("pk").and_then(Value::as_i64).unwrap_or_default();
    // Who may not view somebody does not find them (from its source).
    let sees = call.caller.sees("authentik_core.view_user");
    let shown = sees.is_ok_and(|sees| sees.shows(&user.to_string()));
    let changed = {
        let mut state = call.app.state();
        if !state.groups.contains_key(&group) {
            return Err(Refusal::no_match("Group"));
        }
        if !shown || !state.users.contains_key(&user) {
            return Err(Refusal::not_found());
        }
        match joins {
            true => state.join(user, &group),
            false => state.leave(user, &group),
        }
    };
    if changed {
        call.event_of_group("model_updated", &group);
        call.app.changed(match joins {
            true => Change::Joined(group, vec![user]),
            false => Change::Left(group, vec![user]),
        });
    }
    Ok(Reply::empty())
}

fn look(state: &State, pk: &str) -> Result<Value, Refusal> {
    let group = state.groups.get(pk).ok_or_else(Refusal::not_found)?;
    Ok(groups::shown(state, group, WHOLE))
}

fn parents_of(state: &State, body: &Value) -> Result<Option<BTreeSet<String>>, Refusal> {
    let Some(given) = body.get("parents").and_then(Value::as_array) else {
        return Ok(None);
    };
    let mut parents = BTreeSet::new();
    for named in given {
        let named = named.as_str().unwrap_or_default();
        let pk = uuid_of(named).filter(|pk| state.groups.contains_key(pk));
        let text = format!("Invalid pk \"{named}\" - object does not exist.");
        parents.insert(pk.ok_or_else(|| Refusal::field("parents", text))?);
    }
    Ok(Some(parents))
}

fn users_of(state: &State, body: &Value) -> Result<Option<BTreeSet<i64>>, Refusal> {
    let Some(given) = body.get("users").and_then(Value::as_array) else {
        return Ok(None);
    };
    let mut users = BTreeSet::new();
    for pk in given {
        let known = pk.as_i64().filter(|pk| state.users.contains_key(pk));
        let text = format!("Invalid pk \"{pk}\" - object does not exist.");
        users.insert(known.ok_or_else(|| Refusal::field("users", text))?);
    }
    Ok(Some(users))
}

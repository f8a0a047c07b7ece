//! Users, groups, tokens, events and invitations as the API shows them.

use serde_json::{Value, json};

use super::ids::{hex, number, stamp};
use super::state::{Event, Group, Invitation, State, Token, User};

/// The picture of whoever has none; the real ones are drawn from initials.
const AVATAR: &str = "data:image/svg+xml;base64,PHN2Zy8+";

/// What of a user is shown.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub(super) groups: bool,
    pub(super) roles: bool,
}

/// Everything.
pub(super) const WHOLE: Shown = Shown {
    groups: true,
    roles: true,
};

/// A user.
pub(super) fn user(state: &State, user: &User, shown: Shown) -> Value {
    let groups: Vec<Value> = user
        .groups
        .iter()
        .filter_map(|pk| state.groups.get(pk))
        .map(|group| {
            json!({
                "pk": group.pk, "num_pk": number(&group.pk), "name": group.name,
                "is_superuser": group.is_superuser, "attributes": group.attributes,
            })
        })
        .collect();
    json!({
        "pk": user.pk,
        "username": user.username,
        "name": user.name,
        "is_active": user.is_active,
        "last_login": user.last_login.map(stamp),
        "date_joined": stamp(user.date_joined),
        "is_superuser": state.is_superuser(user),
        "groups": user.groups,
        "groups_obj": shown.groups.then_some(groups),
        "roles": user.roles,
        "roles_obj": shown.roles.then(|| roles(state, user.roles.iter())),
        "email": user.email,
        "avatar": user.avatar.as_deref().unwrap_or(AVATAR),
        "attributes": user.attributes,
        "uid": user.uid,
        "path": user.path,
        "type": user.kind,
        "uuid": user.uuid,
        "password_change_date": stamp(user.password_change_date),
        "last_updated": stamp(user.last_updated),
    })
}

/// The caller, as `/core/users/me/` shows them.
pub(super) fn me(state: &State, user: &User) -> Value {
    let all = state.all_groups(user);
    let groups: Vec<Value> = all
        .iter()
        .filter_map(|pk| state.groups.get(pk))
        .map(|group| json!({ "pk": group.pk, "name": group.name }))
        .collect();
    json!({ "user": {
        "pk": user.pk,
        "username": user.username,
        "name": user.name,
        "is_active": user.is_active,
        "is_superuser": state.is_superuser(user),
        "groups": groups,
        "roles": roles(state, user.roles.iter()),
        "email": user.email,
        "avatar": user.avatar.as_deref().unwrap_or(AVATAR),
        "uid": user.uid,
        "settings": user.attributes.get("settings").cloned().unwrap_or_else(|| json!({})),
        "type": user.kind,
        "system_permissions": [],
    } })
}

fn roles<'a>(state: &State, pks: impl Iterator<Item = &'a String>) -> Vec<Value> {
    pks.filter_map(|pk| Some((pk, state.roles.get(pk)?)))
        .map(|(pk, role)| json!({ "pk": pk, "name": role.name }))
        .collect()
}

/// What of a group is shown.
#[derive(Clone, Copy)]
pub(super) struct Family {
    pub(super) users: bool,
    pub(super) parents: bool,
    pub(super) children: bool,
}

/// A group. `children` are those that name it as a parent.
pub(super) fn group(state: &State, group: &Group, children: &[&Group], family: Family) -> Value {
    let brief = |group: &Group| {
        json!({
            "pk": group.pk, "name": group.name, "is_superuser": group.is_superuser,
            "attributes": group.attributes, "group_uuid": group.pk,
        })
    };
    let users = || -> Vec<Value> {
        let all = group.users.iter().filter_map(|pk| state.users.get(pk));
        all.map(|user| {
            json!({
                "pk": user.pk, "username": user.username, "name": user.name,
                "is_active": user.is_active, "last_login": user.last_login.map(stamp),
                "email": user.email, "attributes": user.attributes, "uid": user.uid,
            })
        })
        .collect()
    };
    let parents = || -> Vec<Value> {
        let all = group.parents.iter().filter_map(|pk| state.groups.get(pk));
        all.map(brief).collect()
    };
    json!({
        "pk": group.pk,
        "num_pk": number(&group.pk),
        "name": group.name,
        "is_superuser": group.is_superuser,
        "parents": group.parents,
        "parents_obj": family.parents.then(parents),
        "users": group.users,
        "users_obj": family.users.then(users),
        "attributes": group.attributes,
        "roles": group.roles,
        "roles_obj": roles(state, group.roles.iter()),
        "inherited_roles_obj": null,
        "children": children.iter().map(|child| &child.pk).collect::<Vec<_>>(),
        "children_obj": family.children.then(|| children.iter().map(|child| brief(child)).collect::<Vec<_>>()),
    })
}

/// A token; never its key.
pub(super) fn token(state: &State, token: &Token) -> Value {
    let owner = state.users.get(&token.user);
    json!({
        "pk": token.pk,
        "managed": null,
        "identifier": token.identifier,
        "intent": token.intent,
        "user": token.user,
        "user_obj": owner.map(|owner| user(state, owner, WHOLE)),
        "description": token.description,
        "expires": stamp(token.expires),
        "expiring": token.expiring,
    })
}

/// An event.
pub(super) fn event(event: &Event) -> Value {
    json!({
        "pk": event.pk,
        "user": event.user,
        "action": event.action,
        "app": event.app,
        "context": event.context,
        "client_ip": event.client_ip,
        "created": stamp(event.created),
        "expires": stamp(event.expires),
        "brand": event.brand,
    })
}

/// An invitation.
pub(super) fn invitation(state: &State, invitation: &Invitation) -> Value {
    let by = state.users.get(&invitation.created_by);
    json!({
        "pk": invitation.pk,
        "name": invitation.name,
        "expires": invitation.expires.map(stamp),
        "fixed_data": invitation.fixed_data,
        "created_by": by.map(|by| json!({
            "pk": by.pk, "username": by.username, "name": by.name, "is_active": by.is_active,
            "last_login": by.last_login.map(stamp), "email": by.email,
            "attributes": by.attributes, "uid": by.uid,
        })),
        "single_use": invitation.single_use,
        "flow": invitation.flow,
        "flow_obj": null,
    })
}

/// How events name an object of theirs.
pub(super) fn model(app: &str, name: &str, pk: Value, called: &str) -> Value {
    let pk = match pk {
        Value::String(uuid) => Value::String(hex(&uuid)),
        number => number,
    };
    json!({ "pk": pk, "app": app, "name": called, "model_name": name })
}

/// How events name who did it.
pub(super) fn actor(user: &User) -> Value {
    json!({ "pk": user.pk, "email": user.email, "username": user.username })
}

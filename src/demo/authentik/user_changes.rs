//! Making, changing and deleting users, with the events of each (recorded: 02).

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::ids::{new_key, new_uuid, now, uid, uuid_of};
use super::render;
use super::scim::Change;
use super::state::{State, Token, User};

/// `POST /core/users/`.
pub(super) async fn create(mut call: Call) -> Answer {
    call.caller.must("authentik_core.add_user")?;
    let body = call.json().await?;
    let username = text(&body, "username").unwrap_or_default();
    if username.is_empty() {
        return Err(Refusal::field("username", "This field is required."));
    }
    if body.get("name").is_none() {
        return Err(Refusal::field("name", "This field is required."));
    }
    let (shown, pk, groups) = {
        let mut state = call.app.state();
        let groups = groups_of(&state, &body)?.unwrap_or_default();
        let mut user = blank(&state, &call.app.options().install_id, &username);
        apply(&mut user, &body);
        let pk = user.pk;
        if !state.insert_user(user) {
            return Err(Refusal::field("username", "This field must be unique."));
        }
        for group in &groups {
            state.join(pk, group);
        }
        let user = state.users.get(&pk).ok_or_else(Refusal::not_found)?;
        (render::user(&state, user, render::WHOLE), pk, groups)
    };
    call.event_of_user("model_created", pk);
    call.event_of_user("model_updated", pk);
    if !groups.is_empty() {
        call.event_of_user("model_updated", pk);
    }
    call.app.changed(Change::User(pk));
    for group in groups {
        call.app.changed(Change::Joined(group, vec![pk]));
    }
    Ok(Reply::json(201, shown))
}

/// `PATCH` and `PUT /core/users/{pk}/`. Disabling ends the person's sessions (recorded: 02), and says
/// so in no event.
pub(super) async fn change(mut call: Call) -> Answer {
    call.caller.must("authentik_core.change_user")?;
    let pk: i64 = call.segment(2).parse().map_err(|_| Refusal::not_found())?;
    let body = call.json().await?;
    let (shown, joined, left) = {
        let mut state = call.app.state();
        let groups = groups_of(&state, &body)?;
        let user = state
            .users
            .get(&pk)
            .ok_or_else(|| Refusal::no_match("User"))?;
        let before = user.groups.clone();
        if let Some(name) = text(&body, "username")
            && name != user.username
        {
            if name.is_empty() || state.names.contains_key(&name) {
                return Err(Refusal::field("username", "This field must be unique."));
            }
            let former = user.username.clone();
            state.names.remove(&former);
            state.names.insert(name, pk);
        }
        let user = state.users.get_mut(&pk).ok_or_else(Refusal::not_found)?;
        apply(user, &body);
        user.last_updated = now();
        if !user.is_active {
            state.signed_in.remove(&pk);
        }
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        if let Some(groups) = groups {
            joined.extend(groups.iter().filter(|g| !before.contains(*g)).cloned());
            left.extend(before.iter().filter(|g| !groups.contains(g)).cloned());
        }
        for group in &joined {
            state.join(pk, group);
        }
        for group in &left {
            state.leave(pk, group);
        }
        let user = state.users.get(&pk).ok_or_else(Refusal::not_found)?;
        (render::user(&state, user, render::WHOLE), joined, left)
    };
    call.event_of_user("model_updated", pk);
    if !joined.is_empty() || !left.is_empty() {
        call.event_of_user("model_updated", pk);
    }
    call.app.changed(Change::User(pk));
    for group in joined {
        call.app.changed(Change::Joined(group, vec![pk]));
    }
    for group in left {
        call.app.changed(Change::Left(group, vec![pk]));
    }
    Ok(Reply::ok(shown))
}

/// `DELETE /core/users/{pk}/`. What the deleted one did is forgotten with them; a person who deletes
/// themselves is gone without a word (recorded: 07, 46).
pub(super) async fn delete(call: Call) -> Answer {
    let pk: i64 = call.segment(2).parse().map_err(|_| Refusal::not_found())?;
    if call.caller.user != pk {
        call.caller.must("authentik_core.delete_user")?;
    }
    let name = call
        .app
        .state()
        .users
        .get(&pk)
        .map(|user| user.name.clone());
    let name = name.ok_or_else(|| Refusal::no_match("User"))?;
    {
        let mut state = call.app.state();
        state.remove_user(pk);
        state
            .events
            .retain(|event| event.user.get("pk") != Some(&json!(pk)));
    }
    if call.caller.user != pk {
        let model = render::model("authentik_core", "user", json!(pk), &name);
        call.event_of_model("model_deleted", model);
    }
    call.app.changed(Change::UserGone(pk));
    Ok(Reply::empty())
}

/// `POST /core/users/{pk}/set_password/`.
pub(super) async fn set_password(mut call: Call) -> Answer {
    call.caller.must("authentik_core.reset_user_password")?;
    let pk: i64 = call.segment(2).parse().map_err(|_| Refusal::not_found())?;
    call.json().await?;
    {
        let mut state = call.app.state();
        let user = state
            .users
            .get_mut(&pk)
            .ok_or_else(|| Refusal::no_match("User"))?;
        user.password_change_date = now();
        user.last_updated = now();
    }
    // Whoever sets it, it is the user's own event (recorded: 02).
    call.event_by(pk, "password_set", "authentik.events.signals", json!({}));
    call.event_of_user("model_updated", pk);
    Ok(Reply::empty())
}

/// `POST /core/users/service_account/`. The token that it gives is an app password, which the API
/// does not take (recorded: 40, 41).
pub(super) async fn service_account(mut call: Call) -> Answer {
    call.caller.must("authentik_core.add_user")?;
    let body = call.json().await?;
    let name = text(&body, "name").unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::field("name", "This field is required."));
    }
    let expiring = body
        .get("expiring")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    let (answer, pk, token) = {
        let mut state = call.app.state();
        let mut user = blank(&state, &call.app.options().install_id, &name);
        user.name.clone_from(&name);
        user.kind = "service_account".into();
        user.path = "goauthentik.io/service-accounts".into();
        user.attributes = json!({ "goauthentik.io/user/token-expires": expiring });
        let (pk, user_uid) = (user.pk, user.uid.clone());
        if !state.insert_user(user) {
            return Err(Refusal::field("name", "This field must be unique."));
        }
        let token = Token {
            pk: new_uuid(),
            identifier: format!("service-account-{name}-password"),
            intent: "app_password".into(),
            user: pk,
            key: new_key(),
            description: String::new(),
            expires: body
                .get("expires")
                .and_then(Value::as_str)
                .and_then(super::ids::parse)
                .unwrap_or_else(|| now() + 360 * 86_400 * 1_000_000),
            expiring,
        };
        let answer = json!({
            "username": name, "user_uid": user_uid, "user_pk": pk, "token": token.key,
        });
        state.tokens.insert(token.identifier.clone(), token.clone());
        (answer, pk, token)
    };
    call.event_of_user("model_created", pk);
    call.event_of_user("model_updated", pk);
    call.event_of_model(
        "model_created",
        render::model(
            "authentik_core",
            "token",
            json!(token.pk),
            &token.identifier,
        ),
    );
    call.app.changed(Change::User(pk));
    Ok(Reply::ok(answer))
}

/// A user with nothing but a name.
pub(super) fn blank(state: &State, install_id: &str, username: &str) -> User {
    let pk = state.next_pk.max(1);
    let at = now();
    User {
        pk,
        username: username.to_owned(),
        name: String::new(),
        email: String::new(),
        is_active: true,
        last_login: None,
        date_joined: at,
        attributes: json!({}),
        uid: uid(pk, install_id),
        uuid: new_uuid(),
        path: "users".into(),
        kind: "internal".into(),
        password_change_date: at,
        last_updated: at,
        groups: Default::default(),
        roles: Default::default(),
        avatar: None,
    }
}

fn text(body: &Value, key: &str) -> Option<String> {
    body.get(key)?.as_str().map(str::to_owned)
}

/// The fields of a body that a user has; groups apart.
fn apply(user: &mut User, body: &Value) {
    let set = |field: &mut String, key| {
        if let Some(value) = text(body, key) {
            *field = value;
        }
    };
    set(&mut user.username, "username");
    set(&mut user.name, "name");
    set(&mut user.email, "email");
    set(&mut user.path, "path");
    set(&mut user.kind, "type");
    if let Some(active) = body.get("is_active").and_then(Value::as_bool) {
        user.is_active = active;
    }
    if let Some(attributes) = body.get("attributes").filter(|value| value.is_object()) {
        user.attributes = attributes.clone();
    }
}

fn groups_of(state: &State, body: &Value) -> Result<Option<Vec<String>>, Refusal> {
    let Some(given) = body.get("groups").and_then(Value::as_array) else {
        return Ok(None);
    };
    let mut groups = Vec::new();
    for named in given {
        let named = named.as_str().unwrap_or_default();
        let pk = uuid_of(named).filter(|pk| state.groups.contains_key(pk));
        let text = format!("Invalid pk \"{named}\" - object does not exist.");
        groups.push(pk.ok_or_else(|| Refusal::field("groups", text))?);
    }
    Ok(Some(groups))
}

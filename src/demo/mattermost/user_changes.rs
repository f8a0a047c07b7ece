//! Changing accounts: fields, roles, activity, ways to sign in (recordings 11, 12, 19, 25).

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::{Call, has_role};
use super::controls::StandIn;
use super::ids::now_ms;
use super::passwords::Verdict;
use super::users::{View, check_fields, check_unique, cloned, invalid, render};

/// `PUT /users/{id}/patch`.
pub(super) async fn patch(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    let body = call.json().await?;
    change(call, id, body).await
}

/// `PUT /users/{id}`: the whole object, of which the same fields are taken.
pub(super) async fn replace(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    let body = call.json().await?;
    if body.get("id").and_then(Value::as_str) != Some(&id) {
        return Err(Refusal::body_param("id"));
    }
    change(call, id, body).await
}

async fn change(call: Call, id: String, body: Value) -> Answer {
    let Value::Object(fields) = body else {
        return Err(Refusal::body_param("user"));
    };
    call.self_or_admin(&id)?;
    let app = call.app.clone();
    let before =
        cloned(&call, |user| user.id == id).ok_or_else(|| Refusal::body_param("user_id"))?;
    let mut user = before.clone();
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    for (name, field) in [
        ("nickname", &mut user.nickname),
        ("first_name", &mut user.first_name),
        ("last_name", &mut user.last_name),
        ("position", &mut user.position),
        ("locale", &mut user.locale),
    ] {
        if let Some(value) = text(name) {
            value.clone_into(field);
        }
    }
    if let Some(name) = text("username") {
        user.username = name.to_lowercase();
    }
    if let Some(email) = text("email") {
        user.email = email.to_lowercase();
    }
    if let Some(Value::Object(props)) = fields.get("props") {
        user.props = props.clone();
    }
    for (name, field) in [
        ("notify_props", &mut user.notify_props),
        ("timezone", &mut user.timezone),
    ] {
        if let Some(value @ Value::Object(_)) = fields.get(name) {
            *field = value.clone();
        }
    }
    if !before.auth_service.is_empty() {
        let names = user.first_name != before.first_name || user.last_name != before.last_name;
        let field = match () {
            () if user.username != before.username => Some("username"),
            () if names => Some("full name"),
            () => None,
        };
        if let Some(field) = field {
            let message = format!("Field '{field}' must be set through user's login provider.");
            let id = "api.user.patch_user.login_provider_attribute_set.app_error";
            return Err(Refusal::new(409, id, message));
        }
        // Recorded: 200, and the old address silently stays.
        user.email.clone_from(&before.email);
    }
    if user.email != before.email && call.caller()?.user_id == id {
        let password = text("password").unwrap_or_default().to_owned();
        let right = !password.is_empty()
            && matches!(
                app.verify(before.password.clone(), password).await,
                Verdict::Right { .. }
            );
        if !right {
            return Err(Refusal::body_param("password"));
        }
    }
    if user.email != before.email {
        user.email_verified = false;
    }
    let mut plain = user.clone();
    plain.password.clear();
    check_fields(&plain)?;
    check_unique(&app, &user)?;
    user.update_at = now_ms();
    if user.username != before.username && user.image.is_none() {
        // The generated picture shows the first letter of the name.
        user.last_picture_update = user.update_at;
    }
    let shown = render(&user, View::Own);
    let mut state = app.state();
    let slot = state.user_mut(&id).ok_or_else(Refusal::missing_user)?;
    *slot = user;
    Ok(Reply::json(200, &shown))
}

/// Deactivates or reactivates, with everything that follows. False when the call never ends: a
/// bot that owns itself while bots die with their owner (recording 25).
pub(super) fn set_active(app: &StandIn, id: &str, active: bool) -> Result<bool, Refusal> {
    let now = now_ms();
    let owned: Vec<String> = {
        let mut state = app.state();
        let user = state.user_mut(id).ok_or_else(Refusal::missing_user)?;
        if active == user.is_active() {
            return Ok(true);
        }
        user.delete_at = if active { 0 } else { now };
        user.update_at = now;
        if let Some(bot) = state.bots.iter_mut().find(|bot| bot.user_id == id) {
            bot.delete_at = if active { 0 } else { now };
            bot.update_at = now;
        }
        if !active {
            state.end_sessions(id);
        }
        state
            .bots
            .iter()
            .filter(|bot| bot.owner_id == id)
            .map(|bot| bot.user_id.clone())
            .collect()
    };
    if !active && app.flag("ServiceSettings", "DisableBotsWhenOwnerIsDeactivated") {
        for bot in owned {
            if bot == id || !set_active(app, &bot, false)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// `PUT /users/{id}/active`.
pub(super) async fn active(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    let body = call.json().await?;
    let active = body.get("active").and_then(Value::as_bool);
    let active = active.ok_or_else(|| Refusal::body_param("active"))?;
    let own = call.caller()?.user_id == id;
    if own
        && !active
        && !call.is_admin()
        && !call.app.flag("TeamSettings", "EnableUserDeactivation")
    {
        return Err(Refusal::new(
            401,
            "api.user.update_active.not_enable.app_error",
            "You cannot deactivate yourself because this feature is not enabled. Please contact your System Administrator.",
        ));
    }
    call.self_or_admin(&id)?;
    let person = cloned(&call, |user| user.id == id).ok_or_else(Refusal::missing_user)?;
    // Asked before whether anything changes: who is active is refused too (recording 30).
    if active && person.is_person() && call.app.at_user_limit() {
        return Err(invalid(
            "app.user.update_active.user_limit.exceeded",
            "Can't activate user. Server exceeds safe user limit. ERROR_SAFETY_LIMITS_EXCEEDED.",
        ));
    }
    settle(&call.app, &id, active).await
}

/// `DELETE /users/{id}`: deactivates.
pub(super) async fn delete(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    settle(&call.app, &id, false).await
}

async fn settle(app: &StandIn, id: &str, active: bool) -> Answer {
    if !active
        && let Some(user) = app.state().user_mut(id)
        && !user.is_active()
    {
        // Deactivating again moves the time.
        user.delete_at = now_ms();
        user.update_at = user.delete_at;
    }
    if !set_active(app, id, active)? {
        // The real server recurses without end and never answers.
        std::future::pending::<()>().await;
    }
    Ok(Reply::ok())
}

/// `PUT /users/{id}/roles`.
pub(super) async fn roles(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    let fields = call.strings().await?;
    let roles = fields.get("roles").cloned().unwrap_or_default();
    call.admin_only()?;
    let known = ["system_user", "system_admin", "system_guest"];
    if !has_role(&roles, "system_user") {
        return Err(Refusal::body_param("roles"));
    }
    if roles.split(' ').any(|role| !known.contains(&role)) {
        let message = "Custom Permission Schemes not supported by current license";
        return Err(invalid(
            "api.user.update_user_roles.license.app_error",
            message,
        ));
    }
    let mut state = call.app.state();
    let people = state
        .users
        .iter()
        .filter(|user| user.is_admin() && user.is_person() && user.is_active());
    let people = people.count();
    // 400 here, 404 everywhere else (recording 30).
    let missing = || Refusal {
        status_code: 400,
        ..Refusal::missing_user()
    };
    let user = state.user_mut(&id).ok_or_else(missing)?;
    // Recorded: bots do not count, and yet the check protects them too.
    if user.is_admin() && !has_role(&roles, "system_admin") && people <= 1 {
        let message = "Cannot demote last System Admin.";
        return Err(invalid("app.user.update.lastAdmin.app_error", message));
    }
    user.roles.clone_from(&roles);
    user.update_at = now_ms();
    for session in state
        .sessions
        .values_mut()
        .filter(|session| session.user_id == id)
    {
        session.roles.clone_from(&roles);
    }
    drop(state);
    let data = json!({"roles": roles, "user_id": id});
    call.app.publish_to_user("user_role_updated", &data, &id);
    Ok(Reply::ok())
}

/// `POST /users/{id}/reset_failed_attempts`.
pub(super) async fn reset_failed_attempts(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.admin_only()?;
    let mut state = call.app.state();
    let user = state.user_mut(&id).ok_or_else(Refusal::missing_user)?;
    if !["", "ldap"].contains(&user.auth_service.as_str()) {
        return Err(invalid(
            "api.user.reset_password_failed_attempts.ldap_and_email_only.app_error",
            "User auth service must be LDAP or Email.",
        ));
    }
    user.failed_attempts = 0;
    Ok(Reply::ok())
}

/// `POST /users/{id}/email/verify/member`.
pub(super) async fn verify_email(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.admin_only()?;
    let mut state = call.app.state();
    let user = state.user_mut(&id).ok_or_else(Refusal::missing_user)?;
    user.email_verified = true;
    user.update_at = now_ms();
    Ok(Reply::json(200, &render(user, View::Admin)))
}

/// `PUT /users/{id}/mfa`: only ever off.
pub(super) async fn mfa(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    let body = call.json().await?;
    call.self_or_admin(&id)?;
    match body.get("activate").and_then(Value::as_bool) {
        None => return Err(Refusal::body_param("activate")),
        Some(true) => {
            let message = "Multi-factor authentication has been disabled on this server.";
            return Err(Refusal::new(501, "mfa.mfa_disabled.app_error", message));
        }
        Some(false) => {}
    }
    let mut state = call.app.state();
    state
        .user_mut(&id)
        .ok_or_else(Refusal::missing_user)?
        .mfa_active = false;
    Ok(Reply::ok())
}

/// `PUT /users/{id}/auth`: any service name goes (recorded), the password is wiped.
pub(super) async fn auth(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    let fields = call.strings().await?;
    call.admin_only()?;
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (service, data) = (field("auth_service"), field("auth_data"));
    if service.is_empty() || data.is_empty() {
        let message = "Request is missing either AuthData or AuthService parameter.";
        return Err(invalid(
            "api.user.update_user_auth.invalid_request",
            message,
        ));
    }
    let mut state = call.app.state();
    let user = state.user_mut(&id).ok_or_else(Refusal::missing_user)?;
    user.password.clear();
    user.auth_service.clone_from(&service);
    user.auth_data = Some(data.clone());
    user.update_at = now_ms();
    Ok(Reply::json(
        200,
        &json!({"auth_data": data, "auth_service": service}),
    ))
}

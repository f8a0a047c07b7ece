//! Accounts: making, finding and changing them (recordings 01, 02, 12, 14, 19).

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::{is_id, new_id, now_ms};
use super::passwords::check_policy;
use super::state::User;

/// Languages the server ships; the list of 11.2.
const LOCALES: &[&str] = &[
    "de", "en", "en-AU", "es", "fr", "it", "hu", "nl", "pl", "pt-BR", "ro", "sv", "vi", "tr", "bg",
    "ru", "uk", "fa", "ko", "zh-CN", "zh-TW", "ja",
];

/// How much of an account the reader sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The answer to a login, a change or `/users/me`.
    Own,
    /// An administrator reads someone else.
    Admin,
    /// Anyone else.
    Stranger,
}

/// An account as JSON, in the order of the real server.
#[derive(Serialize)]
pub(super) struct UserJson {
    id: String,
    create_at: i64,
    update_at: i64,
    delete_at: i64,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_data: Option<String>,
    auth_service: String,
    email: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    email_verified: bool,
    nickname: String,
    first_name: String,
    last_name: String,
    position: String,
    roles: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    props: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notify_props: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_password_update: Option<i64>,
    #[serde(skip_serializing_if = "no_time")]
    last_picture_update: i64,
    #[serde(skip_serializing_if = "is_zero")]
    failed_attempts: u32,
    locale: String,
    timezone: Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    mfa_active: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_bot: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_id: Option<String>,
    disable_welcome_email: bool,
}

fn no_time(time: &i64) -> bool {
    *time == 0
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What this reader sees of this account.
pub(super) fn render(user: &User, view: View) -> UserJson {
    let stranger = view == View::Stranger;
    let own = view == View::Own;
    UserJson {
        id: user.id.clone(),
        create_at: user.create_at,
        update_at: user.update_at,
        delete_at: user.delete_at,
        username: user.username.clone(),
        auth_data: if stranger {
            Some(String::new())
        } else {
            user.auth_data.clone()
        },
        auth_service: if stranger {
            String::new()
        } else {
            user.auth_service.clone()
        },
        email: user.email.clone(),
        email_verified: own && user.email_verified,
        nickname: user.nickname.clone(),
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        position: user.position.clone(),
        roles: user.roles.clone(),
        props: user.props.clone(),
        notify_props: (!stranger).then(|| user.notify_props.clone()),
        last_password_update: own.then_some(user.last_password_update),
        last_picture_update: user.last_picture_update,
        failed_attempts: if stranger { 0 } else { user.failed_attempts },
        locale: user.locale.clone(),
        timezone: user.timezone.clone(),
        mfa_active: user.mfa_active,
        is_bot: user.is_bot,
        remote_id: user.remote_id.clone(),
        disable_welcome_email: false,
    }
}

/// The view of the caller on this account.
fn view_of(call: &Call, user_id: &str) -> View {
    match &call.caller {
        Some(session) if session.user_id == user_id => View::Own,
        _ if call.is_admin() => View::Admin,
        _ => View::Stranger,
    }
}

/// A blank account with the defaults of a new one.
pub(super) fn blank() -> User {
    let now = now_ms();
    User {
        id: new_id(),
        create_at: now,
        update_at: now,
        delete_at: 0,
        username: String::new(),
        password: String::new(),
        auth_service: String::new(),
        auth_data: None,
        email: String::new(),
        email_verified: false,
        nickname: String::new(),
        first_name: String::new(),
        last_name: String::new(),
        position: String::new(),
        roles: "system_user".into(),
        notify_props: json!({
            "channel": "true", "comments": "never", "desktop": "mention", "desktop_sound": "true",
            "desktop_threads": "all", "email": "true", "email_threads": "all", "first_name": "false",
            "mention_keys": "", "push": "mention", "push_status": "online", "push_threads": "all",
        }),
        props: Map::new(),
        last_password_update: now,
        last_picture_update: 0,
        failed_attempts: 0,
        locale: "en".into(),
        timezone: json!({
            "automaticTimezone": "", "manualTimezone": "", "useAutomaticTimezone": "true",
        }),
        mfa_active: false,
        is_bot: false,
        remote_id: Some(String::new()),
        image: None,
        active_at: 0,
        failed_ever: 0,
    }
}

pub(super) fn invalid(id: &'static str, message: &str) -> Refusal {
    Refusal::new(400, id, message)
}

/// `User.IsValid` as far as callers meet it.
pub(super) fn check_fields(user: &User) -> Result<(), Refusal> {
    let name = &user.username;
    let shape = name.len() <= 64
        && !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
    if !shape || ["all", "channel", "matterbot", "system"].contains(&name.as_str()) {
        return Err(invalid(
            "model.user.is_valid.username.app_error",
            "Username must begin with a letter, and contain between 3 to 22 lowercase characters made up of numbers, letters, and the symbols \".\", \"-\", and \"_\".",
        ));
    }
    if !is_email(&user.email) {
        return Err(invalid(
            "model.user.is_valid.email.app_error",
            "Invalid email.",
        ));
    }
    let long = |text: &str, most: usize| text.chars().count() > most;
    if long(&user.nickname, 64) {
        return Err(invalid(
            "model.user.is_valid.nickname.app_error",
            "Invalid nickname.",
        ));
    }
    if long(&user.position, 128) {
        let message = "Invalid position: must not be longer than 128 characters.";
        return Err(invalid("model.user.is_valid.position.app_error", message));
    }
    if long(&user.first_name, 64) {
        return Err(invalid(
            "model.user.is_valid.first_name.app_error",
            "Invalid first name.",
        ));
    }
    if long(&user.last_name, 64) {
        return Err(invalid(
            "model.user.is_valid.last_name.app_error",
            "Invalid last name.",
        ));
    }
    if user.auth_data.as_ref().is_some_and(|data| !data.is_empty()) && !user.password.is_empty() {
        return Err(invalid(
            "model.user.is_valid.auth_data_pwd.app_error",
            "Invalid user, password and auth data cannot both be set.",
        ));
    }
    if !user.locale.is_empty() && !LOCALES.contains(&user.locale.as_str()) {
        return Err(invalid(
            "model.user.is_valid.locale.app_error",
            "Invalid locale.",
        ));
    }
    Ok(())
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let bad = |c: char| c.is_whitespace() || "\"<>(),;:\\[]@".contains(c);
    text.len() <= 128
        && !local.is_empty()
        && !domain.is_empty()
        && !local.contains(bad)
        && !domain.contains(bad)
}

/// Unique names, e-mail addresses and external ids, deactivated accounts included.
pub(super) fn check_unique(app: &StandIn, user: &User) -> Result<(), Refusal> {
    let state = app.state();
    let others = || state.users.iter().filter(|other| other.id != user.id);
    if others().any(|other| other.username == user.username) {
        let message = "An account with that username already exists.";
        return Err(invalid("app.user.save.username_exists.app_error", message));
    }
    if others().any(|other| other.email == user.email) {
        let message = "An account with that email already exists.";
        return Err(invalid("app.user.save.email_exists.app_error", message));
    }
    if user.auth_data.is_some() && others().any(|other| other.auth_data == user.auth_data) {
        return Err(Refusal::new(
            500,
            "app.user.save.app_error",
            "Unable to save the account.",
        ));
    }
    Ok(())
}

/// Checks and keeps a new account; what the API and the controls of tests share.
pub(super) fn insert(app: &StandIn, user: User) -> Result<(), Refusal> {
    check_fields(&user)?;
    check_unique(app, &user)?;
    let mut state = app.state();
    state.created += 1;
    state.users.push(user);
    Ok(())
}

/// `POST /users`.
pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    let Value::Object(fields) = body else {
        return Err(Refusal::body_param("user"));
    };
    let app = call.app.clone();
    let text = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let first = app.state().users.iter().all(|user| user.is_bot);
    let admin = call.is_admin();
    if !admin && !first {
        if !app.flag("EmailSettings", "EnableSignUpWithEmail") {
            let message = "User sign-up with email is disabled.";
            let id = "api.user.create_user.signup_email_disabled.app_error";
            return Err(Refusal::new(501, id, message));
        }
        if !app.flag("TeamSettings", "EnableOpenServer") {
            return Err(Refusal::new(
                403,
                "api.user.create_user.no_open_server",
                "This server does not allow open signups.  Please speak with your Administrator to receive an invitation.",
            ));
        }
    }
    if app.at_user_limit() {
        return Err(invalid(
            "api.user.create_user.user_limits.exceeded",
            "Can't create user. Server exceeds safe user limit. Contact your administrator with: ERROR_SAFETY_LIMITS_EXCEEDED.",
        ));
    }
    let mut user = blank();
    user.username = text("username").to_lowercase();
    user.email = text("email").to_lowercase();
    user.nickname = text("nickname");
    user.first_name = text("first_name");
    user.last_name = text("last_name");
    user.position = text("position");
    user.roles = if first {
        "system_admin system_user".into()
    } else {
        "system_user".into()
    };
    if admin {
        user.email_verified = fields.get("email_verified") == Some(&Value::Bool(true));
        user.auth_service = text("auth_service");
        user.auth_data = Some(text("auth_data")).filter(|data| !data.is_empty());
    }
    if let Some(Value::Object(props)) = fields.get("props") {
        user.props = props.clone();
    }
    if let Some(zone @ Value::Object(_)) = fields.get("timezone") {
        user.timezone = zone.clone();
    }
    let locale = text("locale");
    if LOCALES.contains(&locale.as_str()) {
        user.locale = locale;
    }
    let domains = app.text("TeamSettings", "RestrictCreationToDomains");
    let domain = user
        .email
        .split_once('@')
        .map_or("", |(_, domain)| domain)
        .to_owned();
    let allowed = domains.split([',', ' ']).filter(|name| !name.is_empty());
    if !domains.is_empty()
        && !allowed
            .map(|name| name.trim_start_matches('@'))
            .any(|name| name == domain)
    {
        return Err(invalid(
            "api.user.create_user.accepted_domain.app_error",
            "The email you provided does not belong to an accepted domain. Please contact your administrator or sign up with a different email.",
        ));
    }
    if fields
        .get("id")
        .and_then(Value::as_str)
        .is_some_and(|id| !id.is_empty())
    {
        let message = "Must call update for existing user.";
        return Err(invalid("app.user.save.existing.app_error", message));
    }
    let password = text("password");
    user.password.clone_from(&password);
    check_fields(&user)?;
    if user.auth_service.is_empty() {
        check_policy(&app, &password)?;
        check_unique(&app, &user)?;
        user.password = app.hash(password).await;
    }
    insert(&app, user.clone())?;
    Ok(Reply::json(201, &render(&user, View::Own)))
}

/// Answers with one account, its ETag, and 304 when the ETag came back exactly (unquoted).
fn show(call: &Call, user: &User) -> Answer {
    let version = call.app.short_version();
    let etag = format!("{version}.{}.{}..0.true.true.0", user.id, user.update_at);
    if call.header("if-none-match") == etag {
        let reply = Reply::new(304, super::answer::Style::Api, "", "");
        return Ok(reply.with("etag", &etag));
    }
    Ok(Reply::json(200, &render(user, view_of(call, &user.id))).with("etag", &etag))
}

pub(super) fn cloned(call: &Call, test: impl Fn(&User) -> bool) -> Option<User> {
    call.app
        .state()
        .users
        .iter()
        .find(|user| test(user))
        .cloned()
}

/// `GET /users/{id}`.
pub(super) async fn get(call: Call) -> Answer {
    let id = call.user_id(1)?;
    let user = cloned(&call, |user| user.id == id).ok_or_else(Refusal::missing_user)?;
    show(&call, &user)
}

/// `GET /users/email/{email}`.
pub(super) async fn by_email(call: Call) -> Answer {
    let email = call.segment(2).to_lowercase();
    let user = cloned(&call, |user| user.email == email).ok_or_else(Refusal::missing_user)?;
    show(&call, &user)
}

/// `GET /users/username/{username}`.
pub(super) async fn by_username(call: Call) -> Answer {
    let name = call.segment(2).to_lowercase();
    let user = cloned(&call, |user| user.username == name).ok_or_else(|| {
        Refusal::new(
            404,
            "app.user.get_by_username.app_error",
            "Unable to find an existing account matching your username for this team. This team may require an invite from the team owner to join.",
        )
    })?;
    show(&call, &user)
}

/// `GET /users`.
pub(super) async fn list(call: Call) -> Answer {
    let number = |name: &str, default: usize| {
        call.param(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (page, size) = (number("page", 0), number("per_page", 60).clamp(1, 200));
    let state = call.app.state();
    let wanted = |user: &&User| match (call.param("active"), call.param("inactive")) {
        (Some("true"), _) => user.is_active(),
        (_, Some("true")) => !user.is_active(),
        _ => true,
    };
    let mut users: Vec<&User> = state.users.iter().filter(wanted).collect();
    users.sort_by(|a, b| a.username.cmp(&b.username));
    let view = |user: &User| render(user, view_of(&call, &user.id));
    let shown: Vec<_> = users
        .into_iter()
        .skip(page.saturating_mul(size))
        .take(size)
        .map(view)
        .collect();
    Ok(Reply::json(200, &shown))
}

async fn several(mut call: Call, test: fn(&User, &str) -> bool) -> Answer {
    let wanted: Vec<String> =
        serde_json::from_value(call.json().await?).map_err(|_| Refusal::body_param("user_ids"))?;
    let state = call.app.state();
    let found = state
        .users
        .iter()
        .filter(|user| wanted.iter().any(|text| test(user, text)));
    let shown: Vec<_> = found
        .map(|user| render(user, view_of(&call, &user.id)))
        .collect();
    Ok(Reply::json(200, &shown))
}

/// `POST /users/ids`.
pub(super) async fn by_ids(call: Call) -> Answer {
    several(call, |user, id| user.id == id).await
}

/// `POST /users/usernames`.
pub(super) async fn by_usernames(call: Call) -> Answer {
    several(call, |user, name| user.username == name).await
}

/// `POST /users/status/ids` and the like: everyone is online.
pub(super) async fn statuses(mut call: Call) -> Answer {
    let wanted: Vec<String> =
        serde_json::from_value(call.json().await?).map_err(|_| Refusal::body_param("user_ids"))?;
    if wanted.is_empty() || !wanted.iter().all(|id| is_id(id)) {
        return Err(Refusal::body_param("user_ids"));
    }
    let shown: Vec<Value> = wanted.iter().map(|id| status_json(&call.app, id)).collect();
    Ok(Reply::json(200, &shown))
}

/// `PUT` and `GET /users/{id}/status`.
pub(super) async fn status(call: Call) -> Answer {
    let id = call.user_id(1)?;
    Ok(Reply::json(200, &status_json(&call.app, &id)))
}

/// Somebody of whom nothing is known is offline, whether or not there is such an account (recorded).
fn status_json(app: &StandIn, id: &str) -> Value {
    let at = app.state().user(id).map_or(0, |user| user.active_at);
    let status = if now_ms() - at < AWAY_AFTER_MS {
        "online"
    } else {
        "offline"
    };
    json!({"user_id": id, "status": status, "manual": false, "last_activity_at": at, "dnd_end_time": 0})
}

/// Who did nothing for so long is not online any more, in milliseconds.
const AWAY_AFTER_MS: i64 = 5 * 60 * 1000;

//! `POST /users/login` (recordings 02, 03, 11, 12) and `POST /users/logout`.

use super::answer::{Answer, REMOVAL, Refusal, Reply};
use super::call::Call;
use super::ids::{is_id, now_ms};
use super::passwords::{Verdict, store};
use super::users::{View, render};

/// The most sessions of one user; the least recently used go first (recording 26).
const SESSIONS_PER_USER: usize = 500;

/// The error most failures are turned into.
fn masked(call: &Call) -> Refusal {
    let sso = [
        "GitLabSettings",
        "GoogleSettings",
        "Office365Settings",
        "OpenIdSettings",
        "SamlSettings",
    ]
    .iter()
    .any(|section| call.app.flag(section, "Enable"));
    let email = call.app.flag("EmailSettings", "EnableSignInWithEmail");
    let username = call.app.flag("EmailSettings", "EnableSignInWithUsername");
    let (id, message) = match (sso, email, username) {
        (true, ..) => (
            "api.user.login.invalid_credentials_sso",
            "Enter a valid email or username and/or password, or sign in using another method.",
        ),
        (_, true, true) => (
            "api.user.login.invalid_credentials_email_username",
            "Enter a valid email or username and/or password.",
        ),
        (_, _, true) => (
            "api.user.login.invalid_credentials_username",
            "Enter a valid username and/or password.",
        ),
        _ => (
            "api.user.login.invalid_credentials_email",
            "Enter a valid email and/or password.",
        ),
    };
    Refusal::new(401, id, message)
}

/// The masked refusal without looking at anything, for the fault that refuses logins.
pub(super) async fn refuse(call: Call) -> Answer {
    Err(masked(&call))
}

/// `POST /users/login`.
pub(super) async fn login(mut call: Call) -> Answer {
    let fields = call.strings().await?;
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let password = field("password");
    if password.is_empty() {
        let message = "Password field must not be blank";
        return Err(Refusal::new(
            400,
            "api.user.login.blank_pwd.app_error",
            message,
        ));
    }
    let app = call.app.clone();
    let user_id = find(&call, &field("id"), &field("login_id")).ok_or_else(|| masked(&call))?;

    // One login at a time per node, and the whole cost inside (recording 04).
    let gate = app.login_gate().await;
    tokio::time::sleep(app.options().login_cost).await;
    let user = app
        .state()
        .user(&user_id)
        .cloned()
        .ok_or_else(|| masked(&call))?;
    if !user.auth_service.is_empty() {
        return Err(masked(&call));
    }
    if !user.is_active() {
        return Err(Refusal::new(
            401,
            "api.user.login.inactive.app_error",
            "Login failed because your account has been deactivated.  Please contact an administrator.",
        ));
    }
    if user.is_bot {
        let message = "Bot login is forbidden.";
        return Err(Refusal::new(
            401,
            "api.user.login.bot_login_forbidden.app_error",
            message,
        ));
    }
    let most = app.number("ServiceSettings", "MaximumLoginAttempts");
    if i64::from(user.failed_attempts) >= most {
        return Err(Refusal::new(
            401,
            "api.user.check_user_login_attempts.too_many.app_error",
            "Your account is locked because of too many failed password attempts. Please reset your password.",
        ));
    }
    let rehash = match app.verify(user.password.clone(), password.clone()).await {
        Verdict::Right { rehash } => rehash,
        Verdict::Unparsable => return Err(masked(&call)),
        Verdict::Wrong => {
            if let Some(user) = app.state().user_mut(&user_id) {
                user.failed_attempts += 1;
                user.failed_ever += 1;
            }
            return Err(masked(&call));
        }
    };
    let rehashed = if rehash {
        Some(app.hash(password).await)
    } else {
        None
    };
    if app.flag("EmailSettings", "RequireEmailVerification") && !user.email_verified {
        let message = "Login failed because email address has not been verified.";
        return Err(Refusal::new(
            401,
            "api.user.login.not_verified.app_error",
            message,
        ));
    }
    if !user.is_person() {
        let message = "Login failed: remote users cannot log in.";
        return Err(Refusal::new(
            401,
            "api.user.login.remote_users.login.error",
            message,
        ));
    }
    let body = {
        let mut state = app.state();
        let user = state.user_mut(&user_id).ok_or_else(|| masked(&call))?;
        let body = render(user, View::Own);
        user.failed_attempts = 0;
        user.update_at = now_ms();
        if let Some(hash) = rehashed {
            store(user, hash);
        }
        state.logins += 1;
        let mut own: Vec<_> = state
            .sessions
            .values()
            .filter(|session| session.user_id == user_id)
            .collect();
        own.sort_by_key(|session| session.last_activity_at);
        let excess = (own.len() + 1).saturating_sub(SESSIONS_PER_USER);
        let old: Vec<String> = own
            .iter()
            .take(excess)
            .map(|session| session.token.clone())
            .collect();
        for token in old {
            state.sessions.remove(&token);
        }
        body
    };
    let session = app
        .new_session(&user_id, call.header("user-agent"), &field("device_id"))
        .ok_or_else(|| masked(&call))?;
    drop(gate);
    let mut reply = Reply::json(200, &body).with("token", &session.token);
    if call.header("x-requested-with") == "XMLHttpRequest" {
        reply = reply.with_cookies(&call.session_cookies(&session));
    }
    Ok(reply)
}

/// The account meant; a `login_id` must be of an enabled kind, an `id` need not.
fn find(call: &Call, id: &str, login_id: &str) -> Option<String> {
    let state = call.app.state();
    if !id.is_empty() {
        return is_id(id)
            .then(|| state.user(id))
            .flatten()
            .map(|user| user.id.clone());
    }
    let login_id = login_id.to_lowercase();
    let by = |setting: &str| call.app.flag("EmailSettings", setting);
    let (email, username) = (by("EnableSignInWithEmail"), by("EnableSignInWithUsername"));
    let found = state
        .users
        .iter()
        .find(|user| (email && user.email == login_id) || (username && user.username == login_id));
    found.map(|user| user.id.clone())
}

/// `POST /users/logout`: fine without a session; ends the row of an access token too, which the
/// token's next use brings back.
pub(super) async fn logout(call: Call) -> Answer {
    if let Some(session) = &call.caller {
        call.app.state().sessions.remove(&session.token);
    }
    Ok(Reply::ok().with("set-cookie", REMOVAL))
}

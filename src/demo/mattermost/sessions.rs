//! Sessions: making, listing, extending and ending them (recordings 06, 11, 26).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::{new_id, now_ms};
use super::state::{Session, State, TeamMember};

const HOUR: i64 = 3_600_000;
/// The life of an access token's session.
const HUNDRED_YEARS: i64 = 100 * 365 * 24 * HOUR;

impl StandIn {
    /// Opens a session as a login does; `None` when there is no such user.
    pub(super) fn new_session(&self, user_id: &str, agent: &str, device: &str) -> Option<Session> {
        let mobile = ["Mobile", "Android", "iOS", "iPhone", "iPad"]
            .iter()
            .any(|m| agent.contains(m));
        let setting = if mobile {
            "SessionLengthMobileInHours"
        } else {
            "SessionLengthWebInHours"
        };
        let length = self.number("ServiceSettings", setting) * HOUR;
        let mut props = BTreeMap::from([
            ("csrf".to_owned(), new_id()),
            ("isMobile".to_owned(), mobile.to_string()),
            ("isOAuthUser".to_owned(), "false".to_owned()),
            ("isSaml".to_owned(), "false".to_owned()),
            ("is_guest".to_owned(), "false".to_owned()),
        ]);
        let (browser, os, platform) = describe(agent);
        props.insert("browser".into(), browser.into());
        props.insert("os".into(), os.into());
        props.insert("platform".into(), platform.into());
        let mut state = self.state();
        let roles = state.user(user_id)?.roles.clone();
        let session = row(user_id, &new_id(), roles, length, device, props);
        state.issued.push(session.token.clone());
        state
            .sessions
            .insert(session.token.clone(), session.clone());
        Some(session)
    }

    /// The live session of a token; the first use of an access token makes one.
    pub(super) fn session_of_token(&self, token: &str) -> Option<Session> {
        let personal = self.flag("ServiceSettings", "EnableUserAccessTokens");
        let mut state = self.state();
        if let Some(session) = state.sessions.get(token) {
            let bot = session.props.contains_key("is_bot");
            let allowed = !session.is_access_token() || bot || personal;
            return (session.is_live() && allowed).then(|| session.clone());
        }
        let pat = state
            .access_tokens
            .iter()
            .find(|pat| pat.token == token && pat.is_active)?
            .clone();
        let user = state.user(&pat.user_id).filter(|user| user.is_active())?;
        if !user.is_bot && !personal {
            return None;
        }
        let mut props = BTreeMap::from([
            ("is_guest".to_owned(), "false".to_owned()),
            ("type".to_owned(), "UserAccessToken".to_owned()),
            ("user_access_token_id".to_owned(), pat.id.clone()),
        ]);
        if user.is_bot {
            props.insert("is_bot".into(), "true".into());
        }
        let session = row(
            &pat.user_id,
            token,
            user.roles.clone(),
            HUNDRED_YEARS,
            "",
            props,
        );
        state.sessions.insert(token.to_owned(), session.clone());
        Some(session)
    }

    /// `ExtendSessionExpiryIfNeeded`: true when the answer sets all three cookies again. The
    /// threshold is 1 % of the length, at least five minutes, at most a day.
    pub(super) fn extend(&self, session: &Session) -> bool {
        if session.is_access_token() {
            return false;
        }
        if self.always_extends() {
            return true;
        }
        if !self.flag("ServiceSettings", "ExtendSessionLengthWithActivity") {
            return false;
        }
        let length = self.number("ServiceSettings", "SessionLengthWebInHours") * HOUR;
        let threshold = (length / 100).clamp(HOUR / 12, 24 * HOUR);
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(&session.token) else {
            return false;
        };
        let expiry = now_ms() + length;
        if session.expires_at == 0 || expiry - session.expires_at < threshold {
            return false;
        }
        session.expires_at = expiry;
        true
    }
}

fn row(
    user_id: &str,
    token: &str,
    roles: String,
    length: i64,
    device: &str,
    props: BTreeMap<String, String>,
) -> Session {
    let now = now_ms();
    Session {
        id: new_id(),
        token: token.to_owned(),
        create_at: now,
        expires_at: now + length,
        last_activity_at: now,
        user_id: user_id.to_owned(),
        device_id: device.to_owned(),
        roles,
        is_oauth: false,
        expired_notify: false,
        props,
    }
}

/// Browser, system and platform of a User-Agent, coarsely.
fn describe(agent: &str) -> (&'static str, &'static str, &'static str) {
    let has = |name: &str| agent.contains(name);
    let browser = if has("Firefox/") {
        "Firefox"
    } else if has("Chrome/") {
        "Chrome"
    } else if has("Safari/") {
        "Safari/17.0"
    } else {
        "Unknown/0.0"
    };
    let (os, platform) = if has("iPhone") {
        ("iOS", "iPhone")
    } else if has("Android") {
        ("Android", "Linux")
    } else if has("Windows") {
        ("Windows", "Windows")
    } else if has("Macintosh") {
        ("Mac OS", "Macintosh")
    } else if has("Linux") {
        ("Linux", "Linux")
    } else {
        ("", "Unknown")
    };
    (browser, os, platform)
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    session: Session,
    team_members: Vec<TeamMember>,
    local: bool,
}

/// `GET /users/{id}/sessions`: newest first, expired ones too, the token blanked.
pub(super) async fn list(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    let state = call.app.state();
    let mut shown: Vec<Listed> = state
        .sessions
        .values()
        .filter(|session| session.user_id == id)
        .map(|session| Listed {
            session: Session {
                token: String::new(),
                ..session.clone()
            },
            team_members: teams_of(&state, &id),
            local: false,
        })
        .collect();
    shown.sort_by_key(|listed| std::cmp::Reverse(listed.session.last_activity_at));
    Ok(Reply::json(200, &shown))
}

fn teams_of(state: &State, user_id: &str) -> Vec<TeamMember> {
    let own = |member: &&TeamMember| member.user_id == user_id && member.delete_at == 0;
    state.team_members.iter().filter(own).cloned().collect()
}

/// `POST /users/{id}/sessions/revoke`.
pub(super) async fn revoke(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    let fields = call.strings().await?;
    let session_id = fields
        .get("session_id")
        .ok_or_else(|| Refusal::body_param("session_id"))?;
    let mut state = call.app.state();
    let found = state
        .sessions
        .values()
        .find(|session| session.id == *session_id)
        .cloned();
    let session = found.ok_or_else(|| {
        let message = "We encountered an error finding the session.";
        Refusal::new(400, "app.session.get.app_error", message)
    })?;
    if session.user_id != id {
        return Err(Refusal::url_param("user_id"));
    }
    state.sessions.remove(&session.token);
    Ok(Reply::ok())
}

/// `POST /users/{id}/sessions/revoke/all`.
pub(super) async fn revoke_all(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    call.app.state().end_sessions(&id);
    Ok(Reply::ok())
}

/// `POST /users/sessions/revoke/all`: everyone.
pub(super) async fn revoke_everyone(call: Call) -> Answer {
    call.admin_only()?;
    call.app.state().sessions.clear();
    Ok(Reply::ok())
}

/// `PUT /users/sessions/device`: the session cookie comes back when a device id was given.
pub(super) async fn attach_device(mut call: Call) -> Answer {
    let body = call.json().await?;
    let device = body
        .get("device_id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if device.is_empty() {
        return Ok(Reply::ok());
    }
    let token = call.caller()?.token.clone();
    if let Some(session) = call.app.state().sessions.get_mut(&token) {
        session.device_id = device;
    }
    let cookie = call.cookie_form().render("MMAUTHTOKEN", &token, true);
    Ok(Reply::ok().with("set-cookie", &cookie))
}

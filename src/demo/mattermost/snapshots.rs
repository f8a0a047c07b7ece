//! What tests see of accounts and sessions, and what they say to have an account made.

use super::call::has_role;
use super::state::{Session, State, User};

/// An account to be made without going through the API.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// Unique, lower-cased.
    pub username: String,
    /// Unique, lower-cased; `{username}@example.test` when empty.
    pub email: String,
    /// Plain; empty means that no password works.
    pub password: String,
    /// `gitlab`, `ldap`, … ; empty is an e-mail account.
    pub auth_service: String,
    /// The account's name at that service.
    pub auth_data: String,
    /// Blank-separated; `system_user` when empty.
    pub roles: String,
    /// Deactivated from the start.
    pub deactivated: bool,
    /// A user of another server, by that server's id; empty is one of this server.
    pub remote_id: String,
    /// A bot; owns itself.
    pub bot: bool,
    /// First and last name.
    pub first_name: String,
    /// First and last name.
    pub last_name: String,
}

/// An account as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Mattermost's own")]
pub struct UserSnapshot {
    pub id: String,
    pub username: String,
    pub email: String,
    pub email_verified: bool,
    pub first_name: String,
    pub last_name: String,
    pub nickname: String,
    pub position: String,
    pub locale: String,
    pub roles: String,
    pub auth_service: String,
    pub auth_data: Option<String>,
    pub is_bot: bool,
    pub remote_id: String,
    pub create_at: i64,
    pub update_at: i64,
    pub delete_at: i64,
    pub failed_attempts: u32,
    /// Names of the teams the user is in.
    pub teams: Vec<String>,
    /// `team/channel` of the channels the user is in.
    pub channels: Vec<String>,
}

/// A session as it is, token included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Mattermost's own")]
pub struct SessionSnapshot {
    pub id: String,
    pub token: String,
    pub csrf: String,
    pub user_id: String,
    pub create_at: i64,
    pub expires_at: i64,
    pub platform: String,
    pub os: String,
    pub browser: String,
}

impl UserSnapshot {
    /// Whether the account is a system administrator's.
    pub fn is_admin(&self) -> bool {
        has_role(&self.roles, "system_admin")
    }

    /// Whether the account is active.
    pub fn is_active(&self) -> bool {
        self.delete_at == 0
    }
}

pub(super) fn snapshot(state: &State, user: &User) -> UserSnapshot {
    let teams = state
        .teams
        .iter()
        .filter(|team| state.in_team(&team.id, &user.id));
    let channels = state
        .channels
        .iter()
        .filter(|channel| state.in_channel(&channel.id, &user.id));
    UserSnapshot {
        id: user.id.clone(),
        username: user.username.clone(),
        email: user.email.clone(),
        email_verified: user.email_verified,
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        nickname: user.nickname.clone(),
        position: user.position.clone(),
        locale: user.locale.clone(),
        roles: user.roles.clone(),
        auth_service: user.auth_service.clone(),
        auth_data: user.auth_data.clone(),
        is_bot: user.is_bot,
        remote_id: user.remote_id.clone().unwrap_or_default(),
        create_at: user.create_at,
        update_at: user.update_at,
        delete_at: user.delete_at,
        failed_attempts: user.failed_attempts,
        teams: teams.map(|team| team.name.clone()).collect(),
        channels: channels
            .map(|channel| {
                let team = state
                    .team(&channel.team_id)
                    .map_or("", |team| team.name.as_str());
                format!("{team}/{}", channel.name)
            })
            .collect(),
    }
}

pub(super) fn session_snapshot(session: &Session) -> SessionSnapshot {
    let prop = |name: &str| session.props.get(name).cloned().unwrap_or_default();
    SessionSnapshot {
        id: session.id.clone(),
        token: session.token.clone(),
        csrf: session.csrf().to_owned(),
        user_id: session.user_id.clone(),
        create_at: session.create_at,
        expires_at: session.expires_at,
        platform: prop("platform"),
        os: prop("os"),
        browser: prop("browser"),
    }
}

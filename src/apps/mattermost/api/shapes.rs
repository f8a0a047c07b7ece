//! The server's answers and bodies, as far as the bridge reads and writes them (recordings 01, 02,
//! 11, 13).

use crate::apps::Attribute;
use crate::types::{AppToken, SecretText};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An account as an administrator reads it (recordings 01). Fields that are empty may be absent.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct User {
    pub(in super::super) id: String,
    /// Milliseconds.
    #[serde(default)]
    pub(in super::super) create_at: i64,
    /// Milliseconds; 0: active.
    #[serde(default)]
    pub(in super::super) delete_at: i64,
    #[serde(default)]
    pub(in super::super) username: String,
    #[serde(default)]
    pub(in super::super) email: String,
    #[serde(default)]
    pub(in super::super) first_name: String,
    #[serde(default)]
    pub(in super::super) last_name: String,
    #[serde(default)]
    pub(in super::super) locale: String,
    #[serde(default)]
    pub(in super::super) roles: String,
    #[serde(default)]
    pub(in super::super) auth_service: String,
    #[serde(default)]
    pub(in super::super) auth_data: Option<String>,
    #[serde(default)]
    pub(in super::super) remote_id: Option<String>,
    #[serde(default)]
    pub(in super::super) is_bot: bool,
    #[serde(default)]
    pub(in super::super) failed_attempts: i64,
}

impl User {
    /// Whether the account has this role.
    pub(in super::super) fn has_role(&self, role: &str) -> bool {
        self.roles.split_whitespace().any(|r| r == role)
    }
}

/// A new account.
#[derive(Serialize)]
pub(in super::super) struct NewUser<'a> {
    pub(in super::super) username: &'a str,
    pub(in super::super) email: &'a str,
    #[serde(serialize_with = "exposed")]
    pub(in super::super) password: &'a SecretText,
    pub(in super::super) first_name: &'a str,
    pub(in super::super) last_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(in super::super) locale: &'a str,
    pub(in super::super) email_verified: bool,
    pub(in super::super) disable_welcome_email: bool,
}

/// The one place where a password becomes part of a body.
fn exposed<S: serde::Serializer>(secret: &SecretText, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

/// What changes; an empty patch would still move `update_at`, so it is not sent.
#[derive(Debug, Default, Clone, Serialize, PartialEq, Eq)]
pub(in super::super) struct Patch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) last_name: Option<String>,
}

impl Patch {
    /// What it changes.
    pub(in super::super) fn attributes(&self) -> Vec<Attribute> {
        let parts = [
            (Attribute::Username, &self.username),
            (Attribute::Email, &self.email),
            (Attribute::FirstName, &self.first_name),
            (Attribute::LastName, &self.last_name),
        ];
        let changed = parts.into_iter().filter(|(_, to)| to.is_some());
        changed.map(|(attribute, _)| attribute).collect()
    }
}

/// A session as listed: the token is blanked (recordings 11).
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Session {
    pub(in super::super) id: String,
    /// Milliseconds.
    #[serde(default)]
    pub(in super::super) create_at: i64,
    /// Milliseconds; 0: never.
    #[serde(default)]
    pub(in super::super) expires_at: i64,
    #[serde(default)]
    device_id: String,
    #[serde(default)]
    is_oauth: bool,
    #[serde(default)]
    pub(in super::super) props: Option<SessionProps>,
}

impl Session {
    /// Its CSRF value; empty when it has none.
    pub(in super::super) fn csrf(&self) -> &str {
        self.props
            .as_ref()
            .and_then(|p| p.csrf.as_deref())
            .unwrap_or("")
    }

    /// Whether it came of a password login in a browser, as ours do.
    pub(in super::super) fn is_of_a_login(&self) -> bool {
        let token = self.props.as_ref().is_some_and(|p| p.kind.is_some());
        !self.is_oauth && !token && self.device_id.is_empty()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct SessionProps {
    csrf: Option<String>,
    /// `UserAccessToken` of such a one.
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// A team.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Team {
    pub(in super::super) id: String,
    #[serde(default)]
    pub(in super::super) delete_at: i64,
}

/// A membership.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Member {
    pub(in super::super) user_id: String,
    #[serde(default)]
    pub(in super::super) delete_at: i64,
}

/// A team's size.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct TeamStats {
    /// Counts deactivated members too: the larger number, so that a warning comes early.
    #[serde(default)]
    pub(in super::super) total_member_count: u64,
}

/// `GET /bots/{id}`.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Bot {
    pub(in super::super) user_id: String,
    #[serde(default)]
    pub(in super::super) owner_id: String,
    /// Milliseconds; 0: enabled.
    #[serde(default)]
    pub(in super::super) delete_at: i64,
}

/// An access token; `token` only where it was just made (recordings 21).
#[derive(Clone, Deserialize)]
pub(in super::super) struct AccessToken {
    pub(in super::super) id: String,
    #[serde(default)]
    pub(in super::super) token: String,
    #[serde(default)]
    pub(in super::super) user_id: String,
    #[serde(default)]
    pub(in super::super) description: String,
}

/// `GET /limits/server`, read by an administrator (zeros for others).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct ServerLimits {
    pub(in super::super) max_users_hard_limit: u64,
    pub(in super::super) active_user_count: u64,
    pub(in super::super) post_history_limit: u64,
}

/// `GET /license/client?format=old`: every value is a text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in super::super) struct License {
    pub(in super::super) is_licensed: String,
    pub(in super::super) sku_short_name: String,
}

/// A login that succeeded.
pub(in super::super) struct Login {
    pub(in super::super) user: User,
    pub(in super::super) token: AppToken,
    /// From `Set-Cookie`; empty when the server set none.
    pub(in super::super) csrf: String,
    /// `Max-Age` of the session cookie.
    pub(in super::super) max_age: Option<Duration>,
}

//! Mattermost's error ids as ours: one table. Which call it was matters nowhere, since an id means
//! the same everywhere but in two cases, which their callers look at first (`username_exists`,
//! `email_exists`).

use crate::apps::AppError;
use std::time::Duration;

/// How a call ended that did not end well.
#[derive(Debug, Clone)]
pub(super) enum ApiError {
    /// The server's own error shape.
    Answer {
        /// HTTP status.
        status: u16,
        /// `id`: what it is.
        id: String,
        /// `message`: English, for people.
        message: String,
    },
    /// 429: wait so long.
    RateLimited(Duration),
    /// Something else than the API answered: an HTML page, a redirect, garbage.
    Foreign(String),
    /// No connection: nothing was sent.
    NotSent(String),
    /// It may have been done: the connection broke or time ran out after sending.
    Ambiguous {
        /// Whether time ran out.
        timeout: bool,
        /// What happened.
        text: String,
    },
}

impl ApiError {
    /// The server's id, empty when it gave none.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Answer { id, .. } => id,
            _ => "",
        }
    }

    /// Whether the call may have taken effect although it failed: a gateway's or the server's own
    /// failure after it got the request counts too.
    pub(super) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Ambiguous { .. } | Self::Foreign(_) => true,
            Self::Answer { status, .. } => *status >= 500 && *status != 501,
            Self::RateLimited(_) | Self::NotSent(_) => false,
        }
    }

    /// 404 of the endpoint's own kind, or the answer to an id that can't exist.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Answer { status: 404, .. })
    }
}

impl From<ApiError> for AppError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Answer {
                status,
                id,
                message,
            } => from_answer(status, &id, &message),
            ApiError::RateLimited(wait) => Self::RateLimited(wait),
            ApiError::Foreign(text) | ApiError::NotSent(text) => Self::Unavailable(text),
            ApiError::Ambiguous {
                timeout: true,
                text,
            } => Self::Timeout(text),
            ApiError::Ambiguous { text, .. } => Self::Unavailable(text),
        }
    }
}

fn from_answer(status: u16, id: &str, message: &str) -> AppError {
    let said = |what: &str| format!("{what} ({id})");
    match id {
        // Only the bot asks with a session, so these are about the bot. Before it is an
        // administrator, creating says *no open server* (recordings 01).
        "api.context.session_expired.app_error" => AppError::Credential(said(
            "the bot's token is not accepted: it is wrong, disabled or revoked, or the bot is disabled",
        )),
        "api.context.permissions.app_error"
        | "api.user.update_password.context.app_error"
        | "api.user.create_user.no_open_server"
        | "api.user.create_user.signup_email_disabled.app_error" => AppError::Credential(said(
            "the bot lacks the role system_admin (mmctl --local roles system-admin <bot>)",
        )),

        "api.user.create_user.user_limits.exceeded"
        | "app.user.update_active.user_limit.exceeded" => {
            AppError::NoSeat(said("the server's limit of active users is reached"))
        }
        "app.team.join_user_to_team.save_member.max_accounts.app_error"
        | "app.team.join_user_to_team.max_accounts.app_error" => {
            AppError::TeamFull(said("TeamSettings.MaxUsersPerTeam is reached: raise it"))
        }

        // Bots do not count, and yet the check protects them too (recordings, difference 31).
        "app.user.update.lastAdmin.app_error" => {
            AppError::LastAdmin(said("make another person an administrator first"))
        }
        "api.user.update_active.permissions.app_error" => AppError::Credential(said(
            "the bot lacks the role system_admin (mmctl --local roles system-admin <bot>)",
        )),
        "api.user.update_active.cannot_modify_status_when_user_is_managed_by_ldap.app_error" => {
            AppError::NotOurs(said("its directory manages it"))
        }
        "api.user.update_user_roles.license.app_error" => AppError::Refused(said(
            "the server gives this role with a licence only: system_admin is the one it gives without",
        )),
        "store.sql_bot.get.missing.app_error" => AppError::Gone,
        "app.team.get.find.app_error" => AppError::Refused(said("the team is gone")),
        "app.channel.get.existing.app_error" => AppError::Refused(said("the channel is gone")),

        "app.user.missing_account.const" => AppError::Gone,
        // The second: a membership of somebody who was deactivated meanwhile.
        "api.user.login.inactive.app_error" | "app.channel.add_member.deleted_user.app_error" => {
            AppError::Deactivated
        }
        "api.user.check_user_login_attempts.too_many.app_error" => AppError::Locked,
        "api.user.login.bot_login_forbidden.app_error" => AppError::NotOurs("it is a bot".into()),
        "api.user.login.remote_users.login.error" => {
            AppError::NotOurs("it belongs to another server (shared channel)".into())
        }
        "api.user.check_user_mfa.bad_code.app_error"
        | "mfa.validate_token.authenticate.app_error" => AppError::NotOurs(said(
            "multi-factor authentication is active for it: set ServiceSettings.EnableMultifactorAuthentication to false, or remove it from the account",
        )),
        "api.user.login.not_verified.app_error" => AppError::Refused(said(
            "the account's e-mail is not verified: set EmailSettings.RequireEmailVerification to false",
        )),

        "api.user.create_user.accepted_domain.app_error" => AppError::Refused(said(
            "TeamSettings.RestrictCreationToDomains does not list this person's e-mail domain",
        )),
        "api.team.join_user_to_team.allowed_domains.app_error" => AppError::Refused(said(
            "the team's allowed domains do not list this person's e-mail domain",
        )),
        "api.team.add_members.user_denied" => AppError::Refused(said(
            "the team is bound to groups and the person is in none of them",
        )),
        "api.user.update_password.magic_link.app_error" => {
            AppError::NotOurs("it signs in by magic link".into())
        }

        // *Wrong password*, *unknown id* and *another sign-in method* look the same (facts §1a):
        // the strategy finds out which it was.
        masked if is_masked(masked) => AppError::WrongPassword,

        // 501 is Mattermost's word for "switched off".
        _ if status >= 500 && status != 501 => {
            AppError::Unavailable(format!("it answers {status} {id}"))
        }
        _ => AppError::Refused(format!("{status} {id}: {message}")),
    }
}

/// The ids behind which every other cause of a failed login hides.
fn is_masked(id: &str) -> bool {
    id.strip_prefix("api.user.login.invalid_credentials")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, id: &str) -> AppError {
        ApiError::Answer {
            status,
            id: id.into(),
            message: "text".into(),
        }
        .into()
    }

    #[test]
    fn ids_of_the_recordings_become_what_they_mean() {
        assert!(matches!(
            answer(401, "api.context.session_expired.app_error"),
            AppError::Credential(_)
        ));
        assert!(matches!(
            answer(403, "api.user.create_user.no_open_server"),
            AppError::Credential(_)
        ));
        assert!(matches!(
            answer(400, "api.user.create_user.user_limits.exceeded"),
            AppError::NoSeat(_)
        ));
        assert!(matches!(
            answer(
                400,
                "app.team.join_user_to_team.save_member.max_accounts.app_error"
            ),
            AppError::TeamFull(_)
        ));
        assert!(matches!(
            answer(403, "app.channel.add_member.deleted_user.app_error"),
            AppError::Deactivated
        ));
        for masked in ["_email_username", "_username", "_email", "_sso"] {
            let id = format!("api.user.login.invalid_credentials{masked}");
            assert!(matches!(answer(401, &id), AppError::WrongPassword));
        }
        assert!(matches!(
            answer(503, "api.context.server_busy.app_error"),
            AppError::Unavailable(_)
        ));
        assert!(matches!(
            answer(501, "app.user_access_token.disabled"),
            AppError::Refused(_)
        ));
        assert!(matches!(
            answer(400, "model.user.is_valid.pwd_min_length.app_error"),
            AppError::Refused(_)
        ));
    }

    #[test]
    fn what_may_have_happened_is_told_from_what_did_not() {
        let error = |status| ApiError::Answer {
            status,
            id: String::new(),
            message: String::new(),
        };
        assert!(error(500).is_ambiguous() && !error(501).is_ambiguous());
        assert!(!error(400).is_ambiguous());
        assert!(!ApiError::NotSent(String::new()).is_ambiguous());
        assert!(ApiError::Foreign(String::new()).is_ambiguous());
    }
}

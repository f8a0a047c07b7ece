//! Opens, ends and probes sessions. The password login of one node runs one at a time up to 11.8
//! (facts §1a), so logins wait in a fair queue of ours instead of the server's.

use super::Mattermost;
use super::api::{Login, Session};
use super::connector::check_same;
use super::kind::foreign;
use crate::apps::{AppError, AppSession, Liveness, OpenSession, SignIn, Strategy};
use crate::types::{RemoteId, Timestamp};
use async_trait::async_trait;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

/// How long a session counts as good for when the server says nothing about its end.
const UNKNOWN_LENGTH: Duration = Duration::from_secs(3600);

#[async_trait]
impl Strategy for Mattermost {
    async fn sign_in(&self, who: &SignIn<'_>) -> Result<AppSession, AppError> {
        if self.resets.is_stuck(who.remote, self.clock.now()) {
            return Err(AppError::Refused(
                "a password that was just set is not accepted: not trying again for 5 minutes, \
                 since ten failures lock the account"
                    .into(),
            ));
        }
        let deadline = Instant::now() + self.login_timeout;
        let turn = self.login_turn().await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let login = self
            .api
            .login(
                who.remote.as_str(),
                who.password,
                who.user_agent,
                who.client,
                left,
            )
            .await;
        drop(turn);
        let login = match login.map_err(AppError::from) {
            Ok(login) => login,
            Err(AppError::WrongPassword) => {
                let error = self.unmask(who.remote).await?;
                if matches!(error, AppError::WrongPassword | AppError::Locked) {
                    self.resets.refused(who.remote, self.clock.now());
                }
                return Err(error);
            }
            Err(other) => return Err(other),
        };
        if let Err(error) = check_same(who.remote.as_str(), &login.user.id) {
            let _ = self.api.logout(&login.token).await;
            return Err(error);
        }
        Ok(self.session_of(who.remote, login).await)
    }

    async fn sign_out(&self, session: &AppSession) -> Result<(), AppError> {
        let refused = match &session.id {
            Some(id) => match self.end_session(&session.remote, id).await {
                Ok(()) => return Ok(()),
                Err(error) => Some(error),
            },
            None => None,
        };
        // Without the bot, the session can still end itself.
        match self.api.logout(&session.token).await {
            Ok(()) => Ok(()),
            Err(error) => Err(refused.unwrap_or_else(|| error.into())),
        }
    }

    async fn probe(&self, session: &AppSession) -> Result<Liveness, AppError> {
        let user = self.api.user(session.remote.as_str()).await?;
        if user.delete_at != 0 {
            return Ok(Liveness::Deactivated);
        }
        let now = self.clock.now();
        let listed = if session.id.is_none() && session.csrf.is_empty() {
            // Nothing to find it by in the list.
            if self.api.session_lives(&session.token).await? {
                return Ok(Liveness::Alive);
            }
            None
        } else {
            let all = self.api.sessions(session.remote.as_str()).await?;
            all.into_iter().find(|s| is_same(s, session))
        };
        Ok(match listed {
            Some(found) if expiry(&found).is_none_or(|end| end > now) => Liveness::Alive,
            Some(_) => Liveness::Expired,
            None if session.expires_at <= now => Liveness::Expired,
            None => Liveness::EndedEarly,
        })
    }

    async fn open_sessions(&self, remote: &RemoteId) -> Result<Vec<OpenSession>, AppError> {
        let all = self.api.sessions(remote.as_str()).await?;
        let ours = all.into_iter().filter(Session::is_of_a_login);
        Ok(ours
            .map(|s| OpenSession {
                created_at: Timestamp(s.create_at / 1000),
                id: s.id,
            })
            .collect())
    }

    async fn end_session(&self, remote: &RemoteId, id: &str) -> Result<(), AppError> {
        match self.api.revoke_session(remote.as_str(), id).await {
            Ok(()) => Ok(()),
            // Gone already (recordings 11), or the whole account is.
            Err(error) if error.id() == "app.session.get.app_error" || error.is_missing() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Mattermost {
    /// Waits for a turn to log in.
    pub(super) async fn login_turn(&self) -> Result<SemaphorePermit<'_>, AppError> {
        let deadline = Instant::now() + self.login_timeout;
        match timeout_at(deadline, self.logins.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(AppError::Unavailable("the login queue is closed".into())),
            Err(_) => Err(AppError::Timeout("too many logins are waiting".into())),
        }
    }

    /// What is behind a masked 401: a wrong password, an unknown id and another sign-in method look
    /// the same (facts §1a).
    async fn unmask(&self, remote: &RemoteId) -> Result<AppError, AppError> {
        let user = self.api.user(remote.as_str()).await?;
        Ok(if user.delete_at != 0 {
            AppError::Deactivated
        } else if let Some(special) = foreign(&user) {
            AppError::NotOurs(special.why().into())
        } else if user.failed_attempts >= self.max_attempts.load(Ordering::Relaxed) {
            AppError::Locked
        } else {
            AppError::WrongPassword
        })
    }

    /// Completes a login with what only the session list says: the id (by the CSRF value, since the
    /// token is blanked there) and the end.
    async fn session_of(&self, remote: &RemoteId, login: Login) -> AppSession {
        let listed = match self.api.sessions(remote.as_str()).await {
            Ok(all) if !login.csrf.is_empty() => all.into_iter().find(|s| s.csrf() == login.csrf),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(?error, %remote, "the new session could not be looked up");
                None
            }
        };
        let by_cookie = self.clock.now() + login.max_age.unwrap_or(UNKNOWN_LENGTH);
        AppSession {
            remote: remote.clone(),
            token: login.token,
            csrf: login.csrf,
            expires_at: listed.as_ref().and_then(expiry).unwrap_or(by_cookie),
            id: listed.map(|s| s.id),
        }
    }
}

/// When a session ends by itself; `None`: never.
fn expiry(session: &Session) -> Option<Timestamp> {
    (session.expires_at > 0).then_some(Timestamp(session.expires_at / 1000))
}

fn is_same(listed: &Session, ours: &AppSession) -> bool {
    match &ours.id {
        Some(id) => listed.id == *id,
        None => listed.csrf() == ours.csrf,
    }
}

#[cfg(test)]
mod tests;

//! Makes accounts and memberships. Each step can be repeated; whose account is whose is decided here
//! and nowhere else in the folder.
//!
//! An account is *theirs* when its id is known from before, when this call created it, when the derived
//! password opens it after an interrupted try (T36), when an operator said so, or, only with
//! `link = "verified-email"`, when the verified e-mail is its own. Everything else that is in the way is
//! a conflict with its reason (T33).

use super::api::{NewUser, Patch, User};
use super::errors::ApiError;
use super::kind::{foreign, special};
use super::{Mattermost, names};
use crate::apps::{AppError, Connector, Ensured, Facts, Profile, WantedAccount, WantedProfile};
use crate::config::LinkPolicy;
use crate::keys::phc;
use crate::types::{RemoteId, SecretText};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A stranger's account locks at ten wrong passwords, without time-out (facts §1a): a proof is tried
/// only while so few are counted, whoever caused them.
const MAX_PROOFS: i64 = 3;

const EMAIL_EXISTS: &str = "app.user.save.email_exists.app_error";
const USERNAME_EXISTS: &str = "app.user.save.username_exists.app_error";

#[async_trait]
impl Connector for Mattermost {
    async fn ensure_account(&self, wanted: &WantedAccount) -> Result<Ensured, AppError> {
        if let Some(remote) = &wanted.remote {
            let user = self.api.user(remote.as_str()).await?;
            check_same(remote.as_str(), &user.id)?;
            if user.delete_at != 0 {
                return Err(AppError::Deactivated);
            }
            if let Some(special) = foreign(&user) {
                return Err(AppError::NotOurs(special.why().into()));
            }
            return theirs(&user, false);
        }
        if let Some(remote) = &wanted.adopt {
            return self.adopt(remote).await;
        }
        let plan = Plan::of(wanted);
        if let Some(found) = self.api.user_by_email(&plan.email).await? {
            return self
                .judge_found(&found, wanted, &plan, wanted.earlier_try)
                .await;
        }
        self.create(wanted, &plan).await
    }

    async fn update_account(
        &self,
        remote: &RemoteId,
        wanted: &WantedProfile,
    ) -> Result<Ensured, AppError> {
        let user = self.api.user(remote.as_str()).await?;
        check_same(remote.as_str(), &user.id)?;
        if user.delete_at != 0 {
            return Err(AppError::Deactivated);
        }
        // An account that became an administrator's or another method's stays as it is.
        if special(&user).is_some() {
            return theirs(&user, false);
        }
        let mut patch = differences(&profile_of(&user), wanted);
        if patch == Patch::default() {
            return theirs(&user, false);
        }
        let mut answer = self.api.patch_user(&user.id, &patch).await;
        if answer.as_ref().is_err_and(|e| e.id() == USERNAME_EXISTS) {
            // Somebody has our former name now: the account keeps the one it got.
            tracing::warn!(remote = %remote, "the former user name is taken: not restored");
            patch.username = None;
            answer = self.api.patch_user(&user.id, &patch).await;
        }
        match answer {
            Ok(now) => {
                check_same(&user.id, &now.id)?;
                if patch
                    .email
                    .as_ref()
                    .is_some_and(|wanted| *wanted != now.email)
                {
                    // Recordings, difference 28: 200 with the old e-mail.
                    tracing::warn!(
                        remote = %remote,
                        "the app kept the old e-mail: is EmailSettings.RequireEmailVerification on?"
                    );
                }
                theirs(&now, false)
            }
            Err(error) if error.id() == EMAIL_EXISTS => {
                let holder = match &patch.email {
                    Some(email) => self.api.user_by_email(email).await?,
                    None => None,
                };
                Ok(Ensured::Conflict {
                    remote: holder.and_then(|h| RemoteId::new(h.id).ok()),
                    why: "the person's new e-mail belongs to another account; theirs keeps the old one"
                        .into(),
                })
            }
            Err(error) => Err(missing_is_gone(error)),
        }
    }

    async fn ensure_memberships(&self, remote: &RemoteId) -> Result<(), AppError> {
        let Some(name) = &self.team else {
            return Ok(());
        };
        let team = self.team_id(name).await?;
        let member = match self.api.add_member(&team, remote.as_str()).await {
            Err(error) if error.id() == "app.team.get.find.app_error" => {
                // The team we knew is gone; perhaps another has its name now.
                self.team_id.store(None);
                let team = self.team_id(name).await?;
                self.api.add_member(&team, remote.as_str()).await?
            }
            other => other?,
        };
        check_same(remote.as_str(), &member.user_id)?;
        if member.delete_at != 0 {
            return Err(AppError::Refused(format!(
                "the membership of team {name} was made but is deleted"
            )));
        }
        Ok(())
    }

    async fn reset_password(
        &self,
        remote: &RemoteId,
        password: &SecretText,
    ) -> Result<(), AppError> {
        // Hash first, so that the account is looked at right before its password is set.
        let password = password.clone();
        let phc = tokio::task::spawn_blocking(move || phc::hash(&password))
            .await
            .map_err(|_| AppError::Unavailable("hashing was cut short".into()))?
            .map_err(|_| AppError::Unavailable("no randomness for a salt".into()))?;
        let user = self.api.user(remote.as_str()).await?;
        check_same(remote.as_str(), &user.id)?;
        if user.delete_at != 0 {
            return Err(AppError::Deactivated);
        }
        if let Some(special) = special(&user) {
            return Err(AppError::NotOurs(special.why().into()));
        }
        self.api.set_password_hash(&user.id, &phc).await?;
        self.resets.done(remote, self.clock.now());
        Ok(())
    }

    async fn facts(&self) -> Result<Facts, AppError> {
        self.read_facts().await
    }
}

/// What would be created: computed once, the same at every try.
struct Plan {
    usernames: Vec<String>,
    email: String,
    /// The asserted address, when it is a plain one; never the stand-in.
    own_email: Option<String>,
    first_name: String,
    last_name: String,
    locale: &'static str,
}

impl Plan {
    fn of(wanted: &WantedAccount) -> Self {
        let own_email = names::email(&wanted.email);
        if own_email.is_none() && !wanted.email.is_empty() {
            tracing::warn!("the asserted e-mail is not a plain address: a stand-in is used");
        }
        let (first_name, last_name) = names::first_and_last(&wanted.name);
        Self {
            usernames: names::usernames(
                wanted.preferred_username.as_deref(),
                own_email.as_deref(),
                &wanted.name,
                &wanted.fallback_email,
            ),
            email: own_email
                .clone()
                .unwrap_or_else(|| wanted.fallback_email.to_ascii_lowercase()),
            own_email,
            first_name,
            last_name,
            locale: wanted
                .locale
                .as_deref()
                .and_then(names::locale)
                .unwrap_or(""),
        }
    }
}

impl Mattermost {
    /// The operator's word for this very account. It does not cover what is never adopted.
    async fn adopt(&self, remote: &RemoteId) -> Result<Ensured, AppError> {
        let user = self.api.user(remote.as_str()).await?;
        check_same(remote.as_str(), &user.id)?;
        if self.link == LinkPolicy::Never {
            return conflict(
                &user,
                "link = \"never\" allows no adoption: set link = \"operator\"",
            );
        }
        match special(&user) {
            Some(special) => conflict(&user, special.why()),
            None => theirs(&user, false),
        }
    }

    /// Decides about an account that has the person's e-mail, or may be a former try's.
    async fn judge_found(
        &self,
        found: &User,
        wanted: &WantedAccount,
        plan: &Plan,
        may_be_ours: bool,
    ) -> Result<Ensured, AppError> {
        if let Some(special) = special(found) {
            return conflict(found, special.why());
        }
        if may_be_ours && self.proves(found, wanted).await? {
            return theirs(found, true);
        }
        let same_email = plan.own_email.as_deref() == Some(found.email.as_str());
        if self.link == LinkPolicy::VerifiedEmail && wanted.email_verified && same_email {
            return theirs(found, false);
        }
        let why = match self.link {
            LinkPolicy::Never => "an account has the person's e-mail, and link = \"never\"",
            LinkPolicy::Operator => {
                "an account has the person's e-mail: an operator may link it (accounts link)"
            }
            LinkPolicy::VerifiedEmail => {
                "an account has the person's e-mail, which the identity provider does not call verified"
            }
        };
        conflict(found, why)
    }

    /// Whether the derived password opens this account: then an earlier try of ours made it. The
    /// session that proves it is ended again.
    async fn proves(&self, found: &User, wanted: &WantedAccount) -> Result<bool, AppError> {
        if found.failed_attempts >= MAX_PROOFS {
            return Ok(false);
        }
        let _turn = self.login_turn().await?;
        let login = self
            .api
            .login(&found.id, &wanted.password, None, None, self.login_timeout)
            .await;
        match login {
            Ok(login) => {
                if let Err(error) = self.api.logout(&login.token).await {
                    tracing::warn!(?error, "the session of a proof could not be ended");
                }
                check_same(&found.id, &login.user.id)?;
                Ok(true)
            }
            Err(error) => match AppError::from(error) {
                AppError::WrongPassword | AppError::Locked | AppError::NotOurs(_) => Ok(false),
                other => Err(other),
            },
        }
    }

    async fn create(&self, wanted: &WantedAccount, plan: &Plan) -> Result<Ensured, AppError> {
        self.first_person().await?;
        let mut earlier = wanted.earlier_try;
        for username in &plan.usernames {
            let new = NewUser {
                username,
                email: &plan.email,
                password: &wanted.password,
                first_name: &plan.first_name,
                last_name: &plan.last_name,
                locale: plan.locale,
                email_verified: true,
                disable_welcome_email: true,
            };
            let error = match self.api.create_user(&new).await {
                Ok(user) => return self.created(&user).await,
                Err(error) => error,
            };
            if error.id() == USERNAME_EXISTS {
                // With both taken the server names the user name only (recordings 02), and the
                // e-mail was free a moment ago. A former try under another e-mail has this name.
                if std::mem::take(&mut earlier)
                    && let Some(found) = self.api.user_by_username(username).await?
                    && special(&found).is_none()
                    && found.failed_attempts == 0
                    && (&found.first_name, &found.last_name) == (&plan.first_name, &plan.last_name)
                    && self.proves(&found, wanted).await?
                {
                    return theirs(&found, true);
                }
                continue;
            }
            let ambiguous = error.is_ambiguous();
            if !ambiguous && error.id() != EMAIL_EXISTS {
                return Err(error.into());
            }
            // Either a race of two tries of ours (or with a stranger), or it may have been created.
            return match self.api.user_by_email(&plan.email).await? {
                Some(found) => {
                    let ours = ambiguous || wanted.earlier_try;
                    self.judge_found(&found, wanted, plan, ours).await
                }
                None => Err(error.into()),
            };
        }
        Ok(Ensured::Conflict {
            remote: None,
            why: format!(
                "all planned user names are taken: {}",
                plan.usernames.join(", ")
            ),
        })
    }

    /// The first person of an empty server becomes its administrator, and bots don't count (facts §4):
    /// that must not be a visitor.
    async fn first_person(&self) -> Result<(), AppError> {
        if self.has_people.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.api.limits().await?.active_user_count == 0 {
            return Err(AppError::Refused(
                "the server has no person's account: the first would become its administrator. Make an administrator first (mmctl --local user create … --system-admin)"
                    .into(),
            ));
        }
        self.has_people.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn created(&self, user: &User) -> Result<Ensured, AppError> {
        if let Some(special) = special(user) {
            return Err(AppError::NotOurs(format!(
                "the account was created, but {}",
                special.why()
            )));
        }
        // Tours and hints of a first visit, in place of which the organisation may have its own
        // (tried for real, 25). Nothing depends on them.
        let quiet = [
            ("tutorial_step", user.id.as_str(), "999"),
            ("recommended_next_steps", "hide", "true"),
            ("onboarding_task_list", "onboarding_task_list_show", "false"),
            ("onboarding_task_list", "onboarding_task_list_open", "false"),
        ];
        if let Err(error) = self.api.set_preferences(&user.id, &quiet).await {
            tracing::warn!(?error, remote = %user.id, "preferences of a new account could not be set");
        }
        theirs(user, true)
    }

    /// The team's id: known, found, or made.
    async fn team_id(&self, name: &str) -> Result<String, AppError> {
        if let Some(id) = self.team_id.load_full() {
            return Ok((*id).clone());
        }
        let team = match self.api.team_by_name(name).await? {
            Some(team) => team,
            None if self.create_team => match self.api.create_team(name).await {
                Ok(team) => team,
                Err(error) if error.id() == "store.sql_team.save_team.existing.app_error" => self
                    .api
                    .team_by_name(name)
                    .await?
                    .ok_or_else(|| AppError::Refused(format!("team {name} can't be read")))?,
                Err(error) => return Err(error.into()),
            },
            None => {
                return Err(AppError::Refused(format!(
                    "there is no team {name}: make it, or set create_team = true"
                )));
            }
        };
        if team.delete_at != 0 {
            return Err(AppError::Refused(format!("team {name} is archived")));
        }
        self.team_id.store(Some(Arc::new(team.id.clone())));
        Ok(team.id)
    }
}

/// What a patch must change. The locale is a person's own choice after creation: not touched.
pub(super) fn differences(now: &Profile, wanted: &WantedProfile) -> Patch {
    let (first_name, last_name) = names::first_and_last(&wanted.name);
    let differs = |now: &str, then: String| (now != then).then_some(then);
    let named = !first_name.is_empty();
    let username = wanted.username.clone().filter(|name| !name.is_empty());
    Patch {
        username: username.and_then(|name| differs(&now.username, name)),
        // Without an asserted address the account keeps what it has.
        email: names::email(&wanted.email).and_then(|email| differs(&now.email, email)),
        first_name: differs(&now.first_name, first_name).filter(|_| named),
        last_name: differs(&now.last_name, last_name).filter(|_| named),
    }
}

pub(super) fn profile_of(user: &User) -> Profile {
    Profile {
        username: user.username.clone(),
        email: user.email.clone(),
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        locale: user.locale.clone(),
    }
}

fn theirs(user: &User, created: bool) -> Result<Ensured, AppError> {
    Ok(Ensured::Theirs {
        remote: remote_id(user)?,
        profile: profile_of(user),
        created,
    })
}

fn conflict(user: &User, why: &str) -> Result<Ensured, AppError> {
    Ok(Ensured::Conflict {
        remote: Some(remote_id(user)?),
        why: why.into(),
    })
}

fn remote_id(user: &User) -> Result<RemoteId, AppError> {
    RemoteId::new(user.id.clone()).map_err(|e| AppError::Unavailable(e.to_string()))
}

/// The server answered about the account that was asked for.
pub(super) fn check_same(asked: &str, answered: &str) -> Result<(), AppError> {
    if asked == answered {
        Ok(())
    } else {
        Err(AppError::Unavailable(
            "it answers about another account than was asked for".into(),
        ))
    }
}

/// A patch of an unknown id says 400 (recordings 19).
fn missing_is_gone(error: ApiError) -> AppError {
    match &error {
        ApiError::Answer {
            status: 400, id, ..
        } if id == "api.context.invalid_body_param.app_error" => AppError::Gone,
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;

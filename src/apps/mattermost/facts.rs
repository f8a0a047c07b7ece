//! What the server says of itself: version, edition, seats, the bot's state and the settings that
//! bite.

use super::Mattermost;
use super::api::{License, ServerLimits, User};
use super::errors::ApiError;
use super::settings::{Expected, Settings, error, note, warning};
use crate::apps::{AppError, Facts, Finding};
use std::sync::atomic::Ordering;

/// The role that the bot needs: no lesser one can be assigned without a licence (facts §8).
const ADMIN: &str = "system_admin";

impl Mattermost {
    /// Asks as the bot. A bot that is refused is a finding of severity *error*, and then nothing else
    /// is known: the lengths are zero.
    pub(super) async fn read_facts(&self) -> Result<Facts, AppError> {
        let mut facts = Facts::default();
        let (me, version) = match self.api.me().await {
            Ok(found) => found,
            Err(refused) => {
                facts.findings.push(refused_bot(refused)?);
                return Ok(facts);
            }
        };
        facts.version = version_of(&version);
        facts.findings.extend(of_version(&facts.version));
        facts.findings.extend(of_bot(&me));
        if !me.has_role(ADMIN) {
            // What follows is for administrators.
            return Ok(facts);
        }

        let settings: Settings = match self.api.config().await {
            Ok(settings) => settings,
            Err(refused) => {
                facts.findings.push(refused_bot(refused)?);
                return Ok(facts);
            }
        };
        // Only a bot has this record; a person's token was found above.
        let self_owned_bot = self
            .api
            .bot(&me.id)
            .await
            .ok()
            .map(|bot| bot.owner_id == bot.user_id);
        facts.findings.extend(settings.findings(&Expected {
            site_url: &self.site_url,
            absolute: self.absolute,
            self_owned_bot,
        }));
        facts.session_length = settings.session_length();
        let service = &settings.service_settings;
        facts.extends = service.extend_session_length_with_activity.unwrap_or(false);
        facts.strict_csrf = service
            .experimental_strict_csrf_enforcement
            .unwrap_or(false);
        if let Some(attempts) = service.maximum_login_attempts.filter(|n| *n > 0) {
            self.max_attempts.store(attempts, Ordering::Relaxed);
        }

        let limits = self.api.limits().await?;
        facts.seats = (limits.max_users_hard_limit > 0)
            .then_some((limits.active_user_count, limits.max_users_hard_limit));
        facts.findings.extend(of_limits(&limits));
        facts
            .findings
            .extend(of_license(&self.api.license().await?, &limits));
        let team_limit = settings.team_settings.max_users_per_team;
        facts.findings.extend(self.of_team(team_limit).await?);
        Ok(facts)
    }

    async fn of_team(&self, limit: Option<u64>) -> Result<Option<Finding>, AppError> {
        let Some(name) = &self.team else {
            return Ok(Some(note(
                "team",
                "none is configured: new people land on the app's page for choosing a team",
            )));
        };
        let Some(team) = self.api.team_by_name(name).await? else {
            let text = format!("{name} does not exist");
            return Ok(Some(if self.create_team {
                note("team", format!("{text}: it is made at the first sign-in"))
            } else {
                error(
                    "team",
                    format!("{text}: make it, or set create_team = true"),
                )
            }));
        };
        if team.delete_at != 0 {
            return Ok(Some(error("team", format!("{name} is archived"))));
        }
        // A convenience: without the numbers there is no warning in advance.
        let Ok(stats) = self.api.team_stats(&team.id).await else {
            return Ok(None);
        };
        let members = stats.total_member_count;
        Ok(limit
            .filter(|limit| members.saturating_mul(10) >= limit.saturating_mul(9))
            .map(|limit| {
                warning(
                    "TeamSettings.MaxUsersPerTeam",
                    format!("team {name} has {members} members of at most {limit}: raise it"),
                )
            }))
    }
}

/// The bot's own trouble as a finding; everything else stays an error.
fn refused_bot(refused: ApiError) -> Result<Finding, AppError> {
    match AppError::from(refused) {
        AppError::Credential(text) => Ok(error("bot", text)),
        other => Err(other),
    }
}

fn of_bot(me: &User) -> Vec<Finding> {
    let mut out = Vec::new();
    if !me.has_role(ADMIN) {
        out.push(error(
            "bot",
            format!(
                "{} lacks the role system_admin: mmctl --local roles system-admin {0}",
                me.username
            ),
        ));
    }
    if !me.is_bot {
        out.push(warning(
            "bot",
            format!(
                "{} is a person's account: its token counts as a session, takes a seat and needs EnableUserAccessTokens. Use a bot",
                me.username
            ),
        ));
    }
    out
}

fn of_limits(limits: &ServerLimits) -> Vec<Finding> {
    let (used, hard) = (limits.active_user_count, limits.max_users_hard_limit);
    let mut out = Vec::new();
    if used == 0 {
        out.push(error(
            "seats",
            "the server has no person's account: the first one becomes administrator, so the bridge makes none. Make an administrator first (mmctl --local user create … --system-admin)",
        ));
    }
    if hard > 0 && used >= hard {
        out.push(error(
            "seats",
            format!("{used} of {hard} users are active: nobody new can get an account"),
        ));
    } else if hard > 0 && used.saturating_mul(10) >= hard.saturating_mul(9) {
        out.push(warning(
            "seats",
            format!("{used} of {hard} users are active: deactivate those who left"),
        ));
    }
    out
}

/// Team Edition has no licence and no limit of history. The enterprise package without a licence runs
/// as *Entry*.
fn of_license(license: &License, limits: &ServerLimits) -> Vec<Finding> {
    let entry = license.sku_short_name.eq_ignore_ascii_case("entry");
    if entry || limits.post_history_limit > 0 {
        return vec![warning(
            "edition",
            "this is Mattermost Entry (the enterprise package), which hides older messages: install the team edition's package or image",
        )];
    }
    if license.is_licensed == "true" {
        return vec![note(
            "edition",
            "the server is licensed: its own single sign-on is an alternative to the bridge",
        )];
    }
    Vec::new()
}

/// `11.2.0` of `11.2.0.11.2.0-lab.0aaa….false`.
fn version_of(version_id: &str) -> String {
    let parts: Vec<&str> = version_id
        .split('.')
        .take(3)
        .take_while(|p| !p.is_empty() && p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    parts.join(".")
}

fn of_version(version: &str) -> Option<Finding> {
    let mut parts = version.split('.').map(|p| p.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else {
        return Some(warning("version", "the server does not say its version"));
    };
    match (major, minor) {
        (11, 2..) => None,
        (12.., _) => Some(note(
            "version",
            format!("{version} is newer than what was tested (11.2 and later 11)"),
        )),
        (11, _) => Some(warning(
            "version",
            format!("{version} was not tested: use 11.2 or later, 11.7 (ESR) for choice"),
        )),
        (10, 11..) => Some(warning(
            "version",
            format!(
                "{version} is legacy: it can't read the password hashes that the bridge sets, so that only accounts which the bridge created sign in. Use 11.7 (ESR) or later"
            ),
        )),
        _ => Some(error(
            "version",
            format!("{version} is too old: use 11.7 (ESR) or later"),
        )),
    }
}

#[cfg(test)]
mod tests;

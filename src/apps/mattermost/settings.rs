//! The server's settings that decide how the bridge fares, and what is wrong with each (facts §8;
//! recordings, differences 1, 2, 26, 28, 32; tried for real, 23 and 25). Pure: a configuration in,
//! findings out. A setting that the server doesn't name gives no finding.

use crate::apps::{Finding, Severity};
use serde::Deserialize;
use std::time::Duration;

/// `GET /config`, as far as it matters.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Settings {
    pub(super) service_settings: Service,
    pub(super) team_settings: TeamSettings,
    pub(super) email_settings: Email,
    pub(super) password_settings: Password,
    pub(super) rate_limit_settings: Enabled,
    pub(super) git_lab_settings: Enabled,
    pub(super) google_settings: Enabled,
    pub(super) office365_settings: Enabled,
    pub(super) open_id_settings: Enabled,
    pub(super) ldap_settings: Enabled,
    pub(super) saml_settings: Enabled,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Service {
    #[serde(rename = "SiteURL")]
    pub(super) site_url: Option<String>,
    #[serde(rename = "TrustedProxyIPHeader")]
    pub(super) trusted_proxy_ip_header: Option<Vec<String>>,
    pub(super) extend_session_length_with_activity: Option<bool>,
    pub(super) session_length_web_in_hours: Option<u64>,
    pub(super) session_idle_timeout_in_minutes: Option<u64>,
    pub(super) enable_multifactor_authentication: Option<bool>,
    pub(super) enable_user_access_tokens: Option<bool>,
    pub(super) enable_bot_account_creation: Option<bool>,
    pub(super) disable_bots_when_owner_is_deactivated: Option<bool>,
    pub(super) enable_desktop_landing_page: Option<bool>,
    #[serde(rename = "ExperimentalStrictCSRFEnforcement")]
    pub(super) experimental_strict_csrf_enforcement: Option<bool>,
    pub(super) maximum_login_attempts: Option<i64>,
    pub(super) enable_tutorial: Option<bool>,
    pub(super) enable_onboarding_flow: Option<bool>,
    pub(super) allow_cookies_for_subdomains: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct TeamSettings {
    pub(super) max_users_per_team: Option<u64>,
    pub(super) enable_open_server: Option<bool>,
    pub(super) restrict_creation_to_domains: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Email {
    pub(super) enable_sign_up_with_email: Option<bool>,
    pub(super) require_email_verification: Option<bool>,
    pub(super) send_email_notifications: Option<bool>,
    pub(super) enable_preview_mode_banner: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Password {
    pub(super) enable_forgot_link: Option<bool>,
    pub(super) minimum_length: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Enabled {
    pub(super) enable: Option<bool>,
}

/// What the settings are compared with.
pub(super) struct Expected<'a> {
    /// Origin and base path of the app as configured here.
    pub(super) site_url: &'a str,
    /// Longest our sessions live.
    pub(super) absolute: Duration,
    /// Whether the bot owns itself; `None` when it is not known.
    pub(super) self_owned_bot: Option<bool>,
}

impl Settings {
    /// Length of a session in a browser. The default of a server that wrote its own configuration is
    /// 4,320 h, of the packaged one 720 h (recordings, difference 1).
    pub(super) fn session_length(&self) -> Duration {
        let hours = self.service_settings.session_length_web_in_hours;
        Duration::from_secs(hours.unwrap_or(720).saturating_mul(3600))
    }

    /// Whether a sign-in method beside e-mail is on.
    fn other_sign_in(&self) -> Vec<&'static str> {
        [
            ("GitLabSettings.Enable", &self.git_lab_settings),
            ("GoogleSettings.Enable", &self.google_settings),
            ("Office365Settings.Enable", &self.office365_settings),
            ("OpenIdSettings.Enable", &self.open_id_settings),
            ("LdapSettings.Enable", &self.ldap_settings),
            ("SamlSettings.Enable", &self.saml_settings),
        ]
        .into_iter()
        .filter_map(|(name, setting)| (setting.enable == Some(true)).then_some(name))
        .collect()
    }

    /// What bites, in the order of facts §8.
    pub(super) fn findings(&self, expected: &Expected<'_>) -> Vec<Finding> {
        let mut out = Vec::new();
        self.of_the_address(expected, &mut out);
        self.of_sessions(expected, &mut out);
        self.of_the_bot(expected, &mut out);
        self.of_accounts(&mut out);
        self.of_the_page(&mut out);
        out
    }

    fn of_the_address(&self, expected: &Expected<'_>, out: &mut Vec<Finding>) {
        let service = &self.service_settings;
        match service.site_url.as_deref().map(|u| u.trim_end_matches('/')) {
            None => {}
            Some("") => out.push(error(
                "ServiceSettings.SiteURL",
                format!("is empty: set it to {}", expected.site_url),
            )),
            Some(url) if !url.eq_ignore_ascii_case(expected.site_url) => out.push(error(
                "ServiceSettings.SiteURL",
                format!(
                    "is {url}, but visitors use {}: WebSockets, cookies and links follow it",
                    expected.site_url
                ),
            )),
            Some(_) => {}
        }
        let headers = service.trusted_proxy_ip_header.as_deref();
        if headers.is_some_and(|h| !h.iter().any(|h| h.eq_ignore_ascii_case("X-Forwarded-For"))) {
            out.push(note(
                "ServiceSettings.TrustedProxyIPHeader",
                "lacks X-Forwarded-For: the app's audit log shows the bridge's address instead of visitors'",
            ));
        }
        if service.allow_cookies_for_subdomains == Some(true) {
            out.push(warning(
                "ServiceSettings.AllowCookiesForSubdomains",
                "is on: the app means its cookies for other hosts too, and the bridge sets them for its own only. Set it to false",
            ));
        }
    }

    fn of_sessions(&self, expected: &Expected<'_>, out: &mut Vec<Finding>) {
        let service = &self.service_settings;
        if self.session_length() < expected.absolute {
            out.push(note(
                "ServiceSettings.SessionLengthWebInHours",
                "is shorter than the bridge's own sessions (session.absolute): they are renewed more often",
            ));
        }
        if service.extend_session_length_with_activity == Some(false) {
            let minutes = service.session_idle_timeout_in_minutes.unwrap_or(0);
            let idle = Duration::from_secs(minutes.saturating_mul(60));
            if minutes > 0 && idle < expected.absolute {
                out.push(warning(
                    "ServiceSettings.SessionIdleTimeoutInMinutes",
                    "ends idle sessions earlier than the bridge's own, which then looks as if somebody had revoked them: set ExtendSessionLengthWithActivity to true, or raise it",
                ));
            } else {
                out.push(note(
                    "ServiceSettings.ExtendSessionLengthWithActivity",
                    "is off: app sessions end at a fixed time and are renewed then. Advised: true",
                ));
            }
        }
        if service.enable_multifactor_authentication == Some(true) {
            out.push(warning(
                "ServiceSettings.EnableMultifactorAuthentication",
                "is on: whoever has it active can't be signed in by the bridge. The identity provider asks for the second factor; set it to false",
            ));
        }
        if self.rate_limit_settings.enable == Some(true) {
            out.push(warning(
                "RateLimitSettings.Enable",
                "is on: all logins come from the bridge's address and share one bucket, and so do requests unless TrustedProxyIPHeader is set. Set it to false",
            ));
        }
        for name in self.other_sign_in() {
            out.push(warning(
                name,
                "is on: people could get accounts beside the bridge, and accounts of that method can't be signed in by it. Set it to false",
            ));
        }
    }

    fn of_the_bot(&self, expected: &Expected<'_>, out: &mut Vec<Finding>) {
        let service = &self.service_settings;
        let name = "ServiceSettings.DisableBotsWhenOwnerIsDeactivated";
        if service.disable_bots_when_owner_is_deactivated == Some(true) {
            match expected.self_owned_bot {
                Some(true) => out.push(warning(
                    name,
                    "is on and the bridge's bot owns itself (converted from a person): deactivating it would make the server recurse until it is restarted. Set it to false at once",
                )),
                _ => out.push(warning(
                    name,
                    "is on: when the owner of the bridge's bot is deactivated, the bot dies with it and nobody can sign in. Set it to false",
                )),
            }
        }
        if service.enable_bot_account_creation == Some(true) {
            out.push(note(
                "ServiceSettings.EnableBotAccountCreation",
                "is on: it is needed only while the bridge's bot is made",
            ));
        }
        if service.enable_user_access_tokens == Some(true) {
            out.push(note(
                "ServiceSettings.EnableUserAccessTokens",
                "is on: existing personal access tokens outlive sign-out and the bridge's sessions; bots don't need it",
            ));
        }
    }

    fn of_accounts(&self, out: &mut Vec<Finding>) {
        let (team, email) = (&self.team_settings, &self.email_settings);
        if let Some(limit) = team.max_users_per_team.filter(|limit| *limit <= 50) {
            out.push(warning(
                "TeamSettings.MaxUsersPerTeam",
                format!("is {limit}: one person more gets an account but no team. Raise it, to 250 for example"),
            ));
        }
        if team.enable_open_server == Some(true) {
            out.push(warning(
                "TeamSettings.EnableOpenServer",
                "is on: whoever reaches the server without the bridge can sign up. Set it to false",
            ));
        }
        if team
            .restrict_creation_to_domains
            .as_deref()
            .is_some_and(|domains| !domains.trim().is_empty())
        {
            out.push(warning(
                "TeamSettings.RestrictCreationToDomains",
                "is set and binds the bridge too: people of other domains, or without an e-mail, get no account",
            ));
        }
        if email.enable_sign_up_with_email == Some(true) {
            out.push(note(
                "EmailSettings.EnableSignUpWithEmail",
                "is on: not needed, the bridge makes accounts. Set it to false (and EnableSignInWithEmail to true explicitly)",
            ));
        }
        if email.require_email_verification == Some(true) {
            out.push(warning(
                "EmailSettings.RequireEmailVerification",
                "is on: a changed e-mail is silently kept back until its owner confirms. The identity provider verified it; set it to false",
            ));
        }
        if self
            .password_settings
            .minimum_length
            .is_some_and(|n| n > 40)
        {
            out.push(warning(
                "PasswordSettings.MinimumLength",
                "is longer than the bridge's derived passwords may be: accounts can't be created",
            ));
        }
        if self.password_settings.enable_forgot_link == Some(true) {
            out.push(note(
                "PasswordSettings.EnableForgotLink",
                "is on: it leads to a page that the bridge closes",
            ));
        }
    }

    fn of_the_page(&self, out: &mut Vec<Finding>) {
        let (service, email) = (&self.service_settings, &self.email_settings);
        if service.enable_desktop_landing_page == Some(true) {
            out.push(warning(
                "ServiceSettings.EnableDesktopLandingPage",
                "is on: the first link into a channel shows \"Where would you like to view this?\" instead of it. Set it to false",
            ));
        }
        if email.enable_preview_mode_banner == Some(true)
            && email.send_email_notifications == Some(false)
        {
            out.push(warning(
                "EmailSettings.EnablePreviewModeBanner",
                "is on while e-mail is off: every page shows a \"Preview Mode\" banner. Set it to false",
            ));
        }
        for (name, value) in [
            ("ServiceSettings.EnableTutorial", service.enable_tutorial),
            (
                "ServiceSettings.EnableOnboardingFlow",
                service.enable_onboarding_flow,
            ),
        ] {
            if value == Some(true) {
                out.push(note(
                    name,
                    "is on: the bridge switches it off for each new account; advised: false",
                ));
            }
        }
    }
}

pub(super) fn note(about: &str, text: impl Into<String>) -> Finding {
    finding(Severity::Note, about, text)
}

pub(super) fn warning(about: &str, text: impl Into<String>) -> Finding {
    finding(Severity::Warning, about, text)
}

pub(super) fn error(about: &str, text: impl Into<String>) -> Finding {
    finding(Severity::Error, about, text)
}

fn finding(severity: Severity, about: &str, text: impl Into<String>) -> Finding {
    Finding {
        severity,
        about: about.to_owned(),
        text: text.into(),
    }
}

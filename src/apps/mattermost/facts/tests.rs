//! What is found about a server.

use super::super::fake::Fake;
use super::*;
use crate::apps::{Connector, Severity};

const BOT: &str = "644uqso38jyb3nsdm8hsbipg6e";
const CONFIG: &str = "GET /api/v4/config";

/// A server as advised; each test spoils what it is about.
struct Server {
    me: String,
    bot: String,
    config: serde_json::Value,
    limits: String,
    license: String,
    members: u64,
    version: &'static str,
}

fn advised() -> Server {
    Server {
        me: format!(
            r#"{{"id":"{BOT}","username":"pomerium-bridge","auth_service":"","email":"pomerium-bridge@localhost","roles":"system_user system_admin","is_bot":true}}"#
        ),
        bot: format!(r#"{{"user_id":"{BOT}","owner_id":"q47p1dk8gjymie6pj38arqjrsh","delete_at":0}}"#),
        config: serde_json::json!({
            "ServiceSettings": {
                "SiteURL": "https://chat.example.test",
                "TrustedProxyIPHeader": ["X-Forwarded-For"],
                "ExtendSessionLengthWithActivity": true,
                "SessionLengthWebInHours": 720,
                "SessionIdleTimeoutInMinutes": 43200,
                "EnableMultifactorAuthentication": false,
                "EnableUserAccessTokens": false,
                "EnableBotAccountCreation": false,
                "DisableBotsWhenOwnerIsDeactivated": false,
                "EnableDesktopLandingPage": false,
                "ExperimentalStrictCSRFEnforcement": true,
                "MaximumLoginAttempts": 7,
                "EnableTutorial": false,
                "EnableOnboardingFlow": false,
                "AllowCookiesForSubdomains": false,
            },
            "TeamSettings": { "MaxUsersPerTeam": 250, "EnableOpenServer": false, "RestrictCreationToDomains": "" },
            "EmailSettings": {
                "EnableSignUpWithEmail": false, "RequireEmailVerification": false,
                "SendEmailNotifications": false, "EnablePreviewModeBanner": false,
            },
            "PasswordSettings": { "EnableForgotLink": false, "MinimumLength": 8 },
            "RateLimitSettings": { "Enable": false },
            "GitLabSettings": { "Enable": false },
        }),
        limits: r#"{"maxUsersLimit":200,"maxUsersHardLimit":250,"activeUserCount":2,"postHistoryLimit":0,"lastAccessiblePostTime":0}"#.into(),
        license: r#"{"IsLicensed":"false"}"#.into(),
        members: 3,
        version: "11.7.1.11.7.1-lab.0aaa.false",
    }
}

impl Server {
    async fn facts(&self) -> Facts {
        let fake = Fake::start().await;
        let team = "frx5tsu93igjdku6hk4byi4mua";
        fake.with(
            "GET /api/v4/users/me",
            200,
            &format!(
                "Content-Type: application/json\r\nX-Version-Id: {}\r\n",
                self.version
            ),
            &self.me,
        )
        .on(
            &format!("GET /api/v4/bots/{BOT}?include_deleted=true"),
            200,
            &self.bot,
        )
        .on(CONFIG, 200, self.config.to_string())
        .on("GET /api/v4/limits/server", 200, &self.limits)
        .on("GET /api/v4/license/client?format=old", 200, &self.license)
        .on(
            "GET /api/v4/teams/name/alpha",
            200,
            format!(r#"{{"id":"{team}","delete_at":0}}"#),
        )
        .on(
            &format!("GET /api/v4/teams/{team}/stats"),
            200,
            format!(
                r#"{{"team_id":"{team}","total_member_count":{}}}"#,
                self.members
            ),
        );
        fake.app(|_, _| ()).facts().await.unwrap()
    }

    async fn only_finding(&self) -> Finding {
        let mut found = self.facts().await.findings;
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }
}

#[tokio::test]
async fn a_server_as_advised_has_no_findings() {
    let facts = advised().facts().await;
    assert_eq!(facts.findings, []);
    assert_eq!(facts.version, "11.7.1");
    assert_eq!(facts.session_length.as_secs(), 720 * 3600);
    assert!(facts.extends && facts.strict_csrf);
    assert_eq!(facts.seats, Some((2, 250)));
}

#[tokio::test]
async fn every_setting_that_bites_is_named() {
    use Severity::{Error, Note, Warning};
    let cases = [
        ("ServiceSettings", "SiteURL", "\"\"", Error),
        (
            "ServiceSettings",
            "SiteURL",
            "\"http://chat.example.test\"",
            Error,
        ),
        ("ServiceSettings", "TrustedProxyIPHeader", "[]", Note),
        (
            "ServiceSettings",
            "ExtendSessionLengthWithActivity",
            "false",
            Note,
        ),
        ("ServiceSettings", "SessionLengthWebInHours", "2", Note),
        (
            "ServiceSettings",
            "EnableMultifactorAuthentication",
            "true",
            Warning,
        ),
        ("ServiceSettings", "EnableUserAccessTokens", "true", Note),
        ("ServiceSettings", "EnableBotAccountCreation", "true", Note),
        (
            "ServiceSettings",
            "DisableBotsWhenOwnerIsDeactivated",
            "true",
            Warning,
        ),
        (
            "ServiceSettings",
            "EnableDesktopLandingPage",
            "true",
            Warning,
        ),
        ("ServiceSettings", "EnableTutorial", "true", Note),
        ("ServiceSettings", "EnableOnboardingFlow", "true", Note),
        (
            "ServiceSettings",
            "AllowCookiesForSubdomains",
            "true",
            Warning,
        ),
        ("TeamSettings", "MaxUsersPerTeam", "50", Warning),
        ("TeamSettings", "EnableOpenServer", "true", Warning),
        (
            "TeamSettings",
            "RestrictCreationToDomains",
            "\"corp.example\"",
            Warning,
        ),
        ("EmailSettings", "EnableSignUpWithEmail", "true", Note),
        ("EmailSettings", "RequireEmailVerification", "true", Warning),
        ("EmailSettings", "EnablePreviewModeBanner", "true", Warning),
        ("PasswordSettings", "EnableForgotLink", "true", Note),
        ("PasswordSettings", "MinimumLength", "72", Warning),
        ("RateLimitSettings", "Enable", "true", Warning),
        ("GitLabSettings", "Enable", "true", Warning),
    ];
    for (section, key, value, severity) in cases {
        let mut server = advised();
        server.config[section][key] = serde_json::from_str(value).unwrap();
        let finding = server.only_finding().await;
        assert_eq!(finding.about, format!("{section}.{key}"));
        assert_eq!(finding.severity, severity, "{key}");
    }
}

#[tokio::test]
async fn idle_sessions_that_die_early_are_warned_of() {
    let mut server = advised();
    server.config["ServiceSettings"]["ExtendSessionLengthWithActivity"] = false.into();
    server.config["ServiceSettings"]["SessionIdleTimeoutInMinutes"] = 60.into();
    let finding = server.only_finding().await;
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.about.ends_with("SessionIdleTimeoutInMinutes"));
}

#[tokio::test]
async fn a_bot_that_owns_itself_is_dangerous_with_the_default() {
    let mut server = advised();
    server.bot = format!(r#"{{"user_id":"{BOT}","owner_id":"{BOT}"}}"#);
    assert_eq!(server.facts().await.findings, []);
    server.config["ServiceSettings"]["DisableBotsWhenOwnerIsDeactivated"] = true.into();
    assert!(server.only_finding().await.text.contains("recurse"));
}

#[tokio::test]
async fn a_bot_without_its_role_or_a_person_in_its_place_is_named() {
    let mut server = advised();
    server.me = server.me.replace(" system_admin", "");
    let finding = server.only_finding().await;
    assert_eq!(
        (finding.severity, &*finding.about),
        (Severity::Error, "bot")
    );

    let mut server = advised();
    server.me = server.me.replace(",\"is_bot\":true", "");
    assert_eq!(server.only_finding().await.severity, Severity::Warning);
}

#[tokio::test]
async fn a_refused_token_is_a_finding_not_a_riddle() {
    let fake = Fake::start().await;
    fake.refuses(
        "GET /api/v4/users/me",
        401,
        "api.context.session_expired.app_error",
    );
    let found = fake.app(|_, _| ()).facts().await.unwrap().findings;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].severity, &*found[0].about),
        (Severity::Error, "bot")
    );

    let fake = Fake::start().await;
    fake.with(
        "GET /api/v4/users/me",
        200,
        "Content-Type: text/html\r\n",
        "<html>",
    );
    let error = fake.app(|_, _| ()).facts().await.unwrap_err();
    assert!(error.to_string().contains("HTML"), "{error}");
}

#[tokio::test]
async fn seats_teams_and_editions_are_watched() {
    let mut server = advised();
    server.limits = server.limits.replace(":2,", ":225,");
    assert_eq!(server.only_finding().await.severity, Severity::Warning);
    server.limits = server.limits.replace(":225,", ":250,");
    assert_eq!(server.only_finding().await.severity, Severity::Error);
    server.limits = server.limits.replace(":250,\"p", ":0,\"p");
    assert_eq!(server.only_finding().await.severity, Severity::Error);

    let mut server = advised();
    server.members = 225;
    assert_eq!(
        server.only_finding().await.about,
        "TeamSettings.MaxUsersPerTeam"
    );

    let mut server = advised();
    server.license = r#"{"IsLicensed":"true","SkuShortName":"entry"}"#.into();
    assert!(server.only_finding().await.text.contains("Entry"));
    let mut server = advised();
    server.limits = server
        .limits
        .replace("\"postHistoryLimit\":0", "\"postHistoryLimit\":10000");
    assert!(server.only_finding().await.text.contains("Entry"));
}

#[test]
fn versions_are_judged() {
    assert_eq!(
        version_of("11.2.0.11.2.0-lab.0aaa2103511051b234d2fd6a3b77.false"),
        "11.2.0"
    );
    assert_eq!(version_of("evil\u{7}.1"), "");
    let severity = |version: &str| of_version(version).map(|f| f.severity);
    assert_eq!(severity("11.2.0"), None);
    assert_eq!(severity("11.10.3"), None);
    assert_eq!(severity("11.1.0"), Some(Severity::Warning));
    assert_eq!(severity("10.11.4"), Some(Severity::Warning));
    assert_eq!(severity("10.5.0"), Some(Severity::Error));
    assert_eq!(severity("12.0.0"), Some(Severity::Note));
    assert_eq!(severity(""), Some(Severity::Warning));
}

//! The server's configuration and what clients are told of it.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::options::Options;

const DEFAULTS: &str = include_str!("data/config.json");
/// Recording 16: what anyone is told, and what a session is told.
const CLIENT_LIMITED: &str = include_str!("data/client_config_limited.json");
const CLIENT_FULL: &str = include_str!("data/client_config_full.json");

/// The configuration a stand-in starts with.
pub(super) fn initial(options: &Options) -> Value {
    let mut config: Value = serde_json::from_str(DEFAULTS).unwrap_or(Value::Null);
    merge(
        &mut config,
        &json!({
            "ServiceSettings": {
                "SiteURL": options.site_url,
                "ExperimentalStrictCSRFEnforcement": options.strict_csrf,
                "SessionLengthWebInHours": options.session_length_hours,
                "SessionLengthMobileInHours": options.session_length_hours,
                "ExtendSessionLengthWithActivity": options.extend_session,
                "MaximumLoginAttempts": options.max_login_attempts,
                "TerminateSessionsOnPasswordChange": options.terminate_sessions_on_password_change,
                "DisableBotsWhenOwnerIsDeactivated": options.disable_bots_when_owner_is_deactivated,
            },
            "TeamSettings": { "MaxUsersPerTeam": options.max_users_per_team },
            "PluginSettings": { "Enable": options.plugins },
        }),
    );
    config
}

/// Lays one tree of settings over another.
pub(super) fn merge(config: &mut Value, patch: &Value) {
    match (config, patch) {
        (Value::Object(config), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(config.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (config, patch) => *config = patch.clone(),
    }
}

impl StandIn {
    fn setting(&self, section: &str, name: &str) -> Value {
        self.config_value()
            .get(section)
            .and_then(|part| part.get(name))
            .cloned()
            .unwrap_or_default()
    }

    /// A setting that is true or false; unknown is false.
    pub(super) fn flag(&self, section: &str, name: &str) -> bool {
        self.setting(section, name).as_bool().unwrap_or_default()
    }

    /// A setting that is a number; unknown is 0.
    pub(super) fn number(&self, section: &str, name: &str) -> i64 {
        self.setting(section, name).as_i64().unwrap_or_default()
    }

    /// A setting that is a text; unknown is empty.
    pub(super) fn text(&self, section: &str, name: &str) -> String {
        self.setting(section, name)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// `GET /config`.
pub(super) async fn get(call: Call) -> Answer {
    call.admin_only()?;
    let config = call.app.config_value().clone();
    Ok(Reply::json(200, &config).with("cache-control", "no-cache, no-store, must-revalidate"))
}

/// `PUT /config/patch`.
pub(super) async fn patch(mut call: Call) -> Answer {
    let patch = call.json().await?;
    call.admin_only()?;
    if !patch.is_object() {
        return Err(Refusal::body_param("config"));
    }
    merge(&mut call.app.config_value(), &patch);
    let config = call.app.config_value().clone();
    Ok(Reply::json(200, &config).with("cache-control", "no-cache, no-store, must-revalidate"))
}

/// `GET /config/client`.
pub(super) async fn client(call: Call) -> Answer {
    let text = if call.caller.is_some() {
        CLIENT_FULL
    } else {
        CLIENT_LIMITED
    };
    let mut shown: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let accounts = call.app.state().users.iter().any(|user| !user.is_bot);
    let mut set = |name: &str, value: String| shown.insert(name.to_owned(), Value::String(value));
    set("NoAccounts", (!accounts).to_string());
    set("SiteURL", call.app.text("ServiceSettings", "SiteURL"));
    set("Version", call.app.short_version());
    for (section, name) in [
        ("ServiceSettings", "EnableBotAccountCreation"),
        ("ServiceSettings", "EnableDesktopLandingPage"),
        ("TeamSettings", "EnableOpenServer"),
    ] {
        set(name, call.app.flag(section, name).to_string());
    }
    set(
        "PluginsEnabled",
        call.app.flag("PluginSettings", "Enable").to_string(),
    );
    Ok(Reply::json(200, &shown))
}

/// `GET /license/client`.
pub(super) async fn license(call: Call) -> Answer {
    if call.param("format") != Some("old") {
        return Err(Refusal::new(
            400,
            "api.license.client.old_format.app_error",
            "New format for the client license is not supported yet. Please specify format=old in the query string.",
        ));
    }
    Ok(Reply::json(200, &json!({"IsLicensed": "false"})))
}

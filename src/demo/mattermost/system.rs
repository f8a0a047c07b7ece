//! Health, limits, and the small calls a web app makes besides (recordings 01, 05, 14, 16).

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, Reply, Style};
use super::call::Call;
use super::ids::{new_id, now_ms};

/// `GET /system/ping`.
pub(super) async fn ping(call: Call) -> Answer {
    let mut shown = Map::new();
    for name in [
        "AndroidLatestVersion",
        "AndroidMinVersion",
        "IosLatestVersion",
        "IosMinVersion",
    ] {
        shown.insert(name.into(), json!(""));
    }
    shown.insert("ActiveSearchBackend".into(), json!("database"));
    shown.insert("status".into(), json!("OK"));
    if call.param("device_id").is_some() {
        shown.insert("CanReceiveNotifications".into(), json!("false"));
    }
    if call.param("get_server_status") != Some("true") {
        return Ok(Reply::json(200, &shown));
    }
    shown.insert("database_status".into(), json!("OK"));
    shown.insert("filestore_status".into(), json!("OK"));
    if call.is_admin() {
        shown.insert("root_status".into(), json!(true));
    }
    let reply = Reply::json(200, &shown);
    Ok(reply
        .with("database_status", "OK")
        .with("filestore_status", "OK")
        .with("status", "OK"))
}

/// `GET /limits/server`: zeros for everyone but administrators.
pub(super) async fn limits(call: Call) -> Answer {
    let admin = call.is_admin();
    let shown = |number: usize| if admin { number } else { 0 };
    let hard = call.app.options().user_hard_limit as usize;
    let active = call.app.state().active_people();
    let body = json!({
        "maxUsersLimit": shown(200.min(hard)), "maxUsersHardLimit": shown(hard),
        "activeUserCount": shown(active), "postHistoryLimit": 0, "lastAccessiblePostTime": 0,
    });
    Ok(Reply::json(200, &body))
}

/// `POST /client_perf`: measurements of the web app, dropped.
pub(super) async fn client_perf(_call: Call) -> Answer {
    Ok(Reply::new(200, Style::Api, "application/json", ""))
}

/// `POST /roles/names`.
pub(super) async fn roles(mut call: Call) -> Answer {
    let wanted: Vec<String> =
        serde_json::from_value(call.json().await?).map_err(|_| Refusal::body_param("rolenames"))?;
    let now = now_ms();
    let shown: Vec<Value> = wanted
        .iter()
        .map(|name| {
            json!({
                "id": new_id(), "name": name,
                "display_name": format!("authentication.roles.{name}.name"),
                "description": format!("authentication.roles.{name}.description"),
                "create_at": now, "update_at": now, "delete_at": 0, "permissions": [],
                "scheme_managed": true, "built_in": true,
            })
        })
        .collect();
    Ok(Reply::json(200, &shown))
}

/// Answers `[]`: preferences, drafts, categories and whatever else the stand-in has none of.
pub(super) async fn nothing(_call: Call) -> Answer {
    Ok(Reply::json(200, &json!([])))
}

/// Answers `{"status":"OK"}` and does nothing.
pub(super) async fn fine(_call: Call) -> Answer {
    Ok(Reply::ok())
}

/// `GET /users/stats`.
pub(super) async fn user_stats(call: Call) -> Answer {
    Ok(Reply::json(
        200,
        &json!({"total_users_count": call.app.state().active_people()}),
    ))
}

/// `GET /plugins/webapp`.
pub(super) async fn webapp_plugins(call: Call) -> Answer {
    if call.app.flag("PluginSettings", "Enable") {
        return Ok(Reply::json(200, &json!([])));
    }
    let message = "Plugins have been disabled. Please check your logs for details.";
    Err(Refusal::new(501, "app.plugin.disabled.app_error", message))
}

/// `GET /brand/image`: there is none, said without a body.
pub(super) async fn brand(_call: Call) -> Answer {
    Ok(Reply::new(404, Style::Api, "application/json", ""))
}

/// What only a licence opens.
pub(super) async fn unlicensed(_call: Call) -> Answer {
    Err(Refusal::new(
        501,
        "api.license_error",
        "api endpoint requires a license",
    ))
}

/// What only an administrator may ask, and then gets nothing.
pub(super) async fn audits(call: Call) -> Answer {
    call.admin_only()?;
    Ok(Reply::json(200, &json!([])))
}

/// `GET /users/logout`: the path reads as a user id, and a bad one.
pub(super) async fn bad_user_id(_call: Call) -> Answer {
    Err(Refusal::url_param("user_id"))
}

/// `POST /users/login/switch` without what it needs.
pub(super) async fn switch_login(_call: Call) -> Answer {
    Err(Refusal::body_param("switch_request"))
}

/// `POST /users/login/desktop_token`: no token is ever good.
pub(super) async fn desktop_token(_call: Call) -> Answer {
    let message = "Token is not valid or is expired";
    let refusal = Refusal::new(401, "app.desktop_token.validate.invalid", message);
    let request = Refusal {
        request_id: Some(new_id()),
        ..refusal
    };
    let reply = Reply::json(401, &request);
    Ok(reply
        .with("x-ratelimit-limit", "2")
        .with("x-ratelimit-remaining", "1")
        .with("x-ratelimit-reset", "1"))
}

/// `POST /users/login/sso/code-exchange` without what it needs.
pub(super) async fn code_exchange(_call: Call) -> Answer {
    Err(Refusal::body_param("login_code | code_verifier | state"))
}

/// `GET /.well-known/oauth-authorization-server`.
pub(super) async fn oauth_metadata(call: Call) -> Answer {
    let site = call.app.text("ServiceSettings", "SiteURL");
    let body = json!({
        "issuer": site, "authorization_endpoint": format!("{site}/oauth/authorize"),
        "token_endpoint": format!("{site}/oauth/access_token"), "response_types_supported": ["code"],
        "scopes_supported": ["user"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    });
    Ok(Reply::json(200, &body))
}

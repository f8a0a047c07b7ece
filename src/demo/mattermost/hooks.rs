//! Incoming webhooks: the machine route without any session (recording 15).

use serde_json::Value;

use super::answer::{Answer, Refusal, Reply, Style};
use super::call::Call;
use super::ids::{new_id, now_ms};
use super::state::Hook;

/// `POST /api/v4/hooks/incoming`.
pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    call.admin_only()?;
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let now = now_ms();
    let mut state = call.app.state();
    let channel = state.channel(&text("channel_id")).cloned();
    let channel = channel.ok_or_else(|| Refusal::body_param("channel_id"))?;
    let hook = Hook {
        id: new_id(),
        create_at: now,
        update_at: now,
        delete_at: 0,
        user_id: call.caller()?.user_id.clone(),
        channel_id: channel.id,
        team_id: channel.team_id,
        display_name: text("display_name"),
        description: text("description"),
        username: String::new(),
        icon_url: String::new(),
        channel_locked: false,
    };
    state.hooks.push(hook.clone());
    Ok(Reply::json(201, &hook))
}

/// `POST /hooks/{id}`: every failure has the same id (recorded).
pub(super) async fn incoming(mut call: Call) -> Answer {
    let id = call.segment(1).to_owned();
    let kind = call
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned();
    let bytes = call.bytes(300_000).await?;
    let refuse = |status| {
        let message =
            format!("Failed to handle the payload of media type {kind} for incoming webhook {id}.");
        Refusal::new(status, "web.incoming_webhook.general.app_error", message)
    };
    if !call.app.flag("ServiceSettings", "EnableIncomingWebhooks") {
        return Err(refuse(501));
    }
    let payload: Value = if kind == "application/x-www-form-urlencoded" {
        url::form_urlencoded::parse(&bytes)
            .find(|(name, _)| name == "payload")
            .and_then(|(_, text)| serde_json::from_str(&text).ok())
            .unwrap_or(Value::Null)
    } else {
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    };
    let hook = call
        .app
        .state()
        .hooks
        .iter()
        .find(|hook| hook.id == id)
        .cloned();
    let text = payload
        .get("text")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let (Some(hook), false) = (hook, text.is_empty()) else {
        return Err(refuse(400));
    };
    call.app
        .write_post(&hook.user_id, &hook.channel_id, text, Vec::new(), "");
    Ok(Reply::new(200, Style::Api, "text/plain", "ok"))
}

//! Notification transports over the API: looked at, and tested (recorded: 01).

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::hooks::{BodyKind, Hook};
use super::ids::{new_uuid, now, uuid_of};
use super::state::Event;
use super::{autocomplete, body, page, render};

/// `GET /events/transports/`.
pub(super) async fn list(call: Call) -> Answer {
    call.caller
        .sees("authentik_events.view_notificationtransport")?;
    let found: Vec<Hook> = call
        .app
        .hooks()
        .all
        .lock()
        .iter()
        .filter(|hook| call.param("name").is_none_or(|name| hook.name == name))
        .cloned()
        .collect();
    page::page(&call, &found, autocomplete::none(), |hook| {
        let mapped = |there: bool| there.then(new_uuid);
        json!({
            "pk": hook.id, "name": hook.name, "mode": "webhook", "mode_verbose": "Generic Webhook",
            "webhook_url": hook.url, "send_once": hook.recipients == 1,
            "webhook_mapping_body": mapped(hook.body == BodyKind::Mapped),
            "webhook_mapping_headers": mapped(!hook.headers.is_empty()),
        })
    })
}

/// `POST /events/transports/{uuid}/test/`: one delivery at once, whose end is the answer, and an
/// event that goes through the rules as well. Whoever tests must be able to change the transport and,
/// since it is a POST, to add one; on this transport is enough (recorded: 58).
pub(super) async fn test(call: Call) -> Answer {
    let id = uuid_of(call.segment(2)).ok_or_else(Refusal::not_found)?;
    for permission in ["change", "add"] {
        let permission = format!("authentik_events.{permission}_notificationtransport");
        call.caller.must_on(&permission, &id.to_string())?;
    }
    let hook = call
        .app
        .hooks()
        .all
        .lock()
        .iter()
        .find(|hook| hook.id == id)
        .cloned();
    let hook = hook.ok_or_else(|| Refusal::no_match("NotificationTransport"))?;
    let caller = call.app.state().users.get(&call.caller.user).cloned();
    let caller = caller.ok_or_else(Refusal::bad_token)?;
    let context = json!({ "user": render::actor(&caller), "context": { "foo": "bar" } });
    let unsaved = Event {
        pk: new_uuid(),
        user: json!({}),
        action: "custom_notification_test".into(),
        app: "authentik.events.api.notification_transports".into(),
        context: context.clone(),
        client_ip: None,
        created: now(),
        expires: now(),
        brand: Value::Null,
    };
    let body = body::of_test(&hook, &caller, &unsaved);
    let outgoing = hook.outgoing(body, &call.app.options().version);
    let answer = call.app.send(&outgoing, 1).await;
    call.app.event(None, &unsaved.action, &unsaved.app, context);
    match answer {
        Ok(answer) if answer.status < 400 => {
            let status = match answer.body.is_empty() {
                true => json!(answer.status),
                false => json!(answer.status.to_string()),
            };
            Ok(Reply::ok(json!({ "messages": [status, answer.body] })))
        }
        Ok(answer) => {
            let side = if answer.status < 500 {
                "Client"
            } else {
                "Server"
            };
            let reason = http::StatusCode::from_u16(answer.status).ok();
            let reason = reason
                .and_then(|status| status.canonical_reason())
                .unwrap_or_default();
            let text = format!(
                "{} {side} Error: {reason} for url: {}",
                answer.status, hook.url
            );
            Ok(Reply::json(500, json!(text)))
        }
        Err(error) => Ok(Reply::json(500, json!(error.to_string()))),
    }
}

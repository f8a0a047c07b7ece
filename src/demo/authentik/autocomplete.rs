//! What lists say beside their results: the fields that the query language knows. Constant, and only
//! here so that answers are whole.

use serde_json::Value;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// Of users.
pub(super) fn users() -> Value {
    parsed(USERS)
}

/// Of groups.
pub(super) fn groups() -> Value {
    parsed(GROUPS)
}

/// Of events.
pub(super) fn events() -> Value {
    parsed(EVENTS)
}

/// Of what has none.
pub(super) fn none() -> Value {
    parsed("{}")
}

const USERS: &str = r#"{"current_model": "authentik_core.user", "models": {"authentik_core.user": {"username":
{"type": "str", "nullable": false, "options": null}, "name": {"type": "str", "nullable":
false, "options": null}, "email": {"type": "str", "nullable": false, "options": null},
"path": {"type": "str", "nullable": false, "options": null}, "is_active": {"type": "bool",
"nullable": true, "options": null}, "type": {"type": "str", "nullable": false, "options":
["internal", "external", "service_account", "internal_service_account"]}, "attributes":
{"type": "relation", "nullable": false, "options": null, "relation":
"authentik_core.user_attributes"}}}}"#;

const GROUPS: &str = r#"{"current_model": "authentik_core.group", "models": {"authentik_core.group": {"name":
{"type": "str", "nullable": false, "options": null}, "is_superuser": {"type": "bool",
"nullable": true, "options": null}, "attributes": {"type": "relation", "nullable": false,
"options": null, "relation": "authentik_core.group_attributes"}}}}"#;

const EVENTS: &str = r#"{"current_model": "authentik_events.event", "models": {"authentik_events.event": {"action":
{"type": "str", "nullable": false, "options": ["login", "login_failed", "logout",
"user_write", "suspicious_request", "password_set", "secret_view", "secret_rotate",
"invitation_used", "authorize_application", "source_linked", "impersonation_started",
"impersonation_ended", "flow_execution", "policy_execution", "policy_exception",
"property_mapping_exception", "system_task_execution", "system_task_exception",
"system_exception", "configuration_error", "configuration_warning", "model_created",
"model_updated", "model_deleted", "email_sent", "update_available", "export_ready",
"review_initiated", "review_overdue", "review_attested", "review_completed", "custom_"]},
"event_uuid": {"type": "str", "nullable": false, "options": null}, "app": {"type": "str",
"nullable": false, "options": ["authentik.core.api.tokens",
"authentik.events.api.notification_transports", "authentik.events.middleware",
"authentik.events.signals", "lab"]}, "client_ip": {"type": "str", "nullable": false,
"options": null}, "user": {"type": "relation", "nullable": false, "options": null,
"relation": "authentik_events.event_user"}, "brand": {"type": "relation", "nullable": false,
"options": null, "relation": "authentik_events.event_brand"}, "context": {"type":
"relation", "nullable": false, "options": null, "relation":
"authentik_events.event_context"}, "created": {"type": "datetime", "nullable": false,
"options": []}}, "authentik_events.event_user": {"pk": {"type": "int", "nullable": false,
"options": null}, "username": {"type": "str", "nullable": false, "options": null}, "email":
{"type": "str", "nullable": false, "options": null}}, "authentik_events.event_brand": {"pk":
{"type": "str", "nullable": false, "options": null}, "app": {"type": "str", "nullable":
false, "options": null}, "name": {"type": "str", "nullable": false, "options": null},
"model_name": {"type": "str", "nullable": false, "options": null}},
"authentik_events.event_context": {"http_request": {"type": "relation", "nullable": false,
"options": null, "relation": "authentik_events.event_context_http_request"}},
"authentik_events.event_context_http_request": {"args": {"type": "relation", "nullable":
false, "options": null, "relation": "authentik_events.event_context_http_request_args"},
"path": {"type": "str", "nullable": false, "options": null}, "method": {"type": "str",
"nullable": false, "options": null}, "request_id": {"type": "str", "nullable": false,
"options": null}, "user_agent": {"type": "str", "nullable": false, "options": null}}}}"#;

//! Tokens of the API. Whoever owns one may look at it, though not at its key (recorded: 47).

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::ids::{new_key, new_uuid, now};
use super::state::Token;
use super::{autocomplete, page, render};

const VIEW: &str = "authentik_core.view_token";
/// What an expiring API token lives, whatever was asked for (recorded: 56).
const LIFE: i64 = 30 * 60 * 1_000_000;

/// `GET /core/tokens/`. From the source, not recorded: without the permission, one's own.
pub(super) async fn list(call: Call) -> Answer {
    let state = call.app.state();
    let all = call.caller.may(VIEW);
    let found: Vec<&Token> = state
        .tokens
        .values()
        .filter(|token| all || token.user == call.caller.user)
        .filter(|token| {
            call.param("intent")
                .is_none_or(|intent| token.intent == intent)
        })
        .filter(|token| {
            call.param("identifier")
                .is_none_or(|name| token.identifier == name)
        })
        .filter(|token| {
            call.param("user__username")
                .is_none_or(|name| state.names.get(name) == Some(&token.user))
        })
        .collect();
    page::page(&call, &found, autocomplete::none(), |token| {
        render::token(&state, token)
    })
}

/// `POST /core/tokens/`.
pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    let identifier = body
        .get("identifier")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if identifier.is_empty() {
        return Err(Refusal::field("identifier", "This field is required."));
    }
    let user = body
        .get("user")
        .and_then(Value::as_i64)
        .unwrap_or(call.caller.user);
    if user != call.caller.user {
        call.caller.must("authentik_core.add_token")?;
    }
    let intent = body.get("intent").and_then(Value::as_str).unwrap_or("api");
    let token = Token {
        pk: new_uuid(),
        identifier: identifier.to_owned(),
        intent: intent.to_owned(),
        user,
        key: new_key(),
        description: String::new(),
        expires: now() + LIFE,
        expiring: body
            .get("expiring")
            .and_then(Value::as_bool)
            .unwrap_or(true),
    };
    let shown = {
        let mut state = call.app.state();
        if state.tokens.contains_key(identifier) {
            return Err(Refusal::field("identifier", "This field must be unique."));
        }
        state.tokens.insert(token.identifier.clone(), token.clone());
        render::token(&state, &token)
    };
    let model = render::model(
        "authentik_core",
        "token",
        json!(token.pk),
        &token.identifier,
    );
    call.event_of_model("model_created", model);
    Ok(Reply::json(201, shown))
}

/// `GET /core/tokens/{identifier}/`.
pub(super) async fn get(call: Call) -> Answer {
    let state = call.app.state();
    let token = state.tokens.get(call.segment(2));
    let seen = token.filter(|token| token.user == call.caller.user || call.caller.may(VIEW));
    let token = seen.ok_or_else(|| Refusal::no_match("Token"))?;
    Ok(Reply::ok(render::token(&state, token)))
}

/// `DELETE /core/tokens/{identifier}/`.
pub(super) async fn delete(call: Call) -> Answer {
    let owner = call
        .app
        .state()
        .tokens
        .get(call.segment(2))
        .map(|token| token.user);
    if owner != Some(call.caller.user) {
        call.caller.must("authentik_core.delete_token")?;
    }
    let removed = call.app.state().tokens.remove(call.segment(2));
    removed.ok_or_else(|| Refusal::no_match("Token"))?;
    Ok(Reply::empty())
}

/// `GET /core/tokens/{identifier}/view_key/`.
pub(super) async fn view_key(call: Call) -> Answer {
    call.caller.must("authentik_core.view_token_key")?;
    let key = {
        let state = call.app.state();
        let token = state.tokens.get(call.segment(2));
        token.ok_or_else(|| Refusal::no_match("Token"))?.key.clone()
    };
    call.event("secret_view", "authentik.core.api.tokens", json!({}));
    Ok(Reply::ok(json!({ "key": key })))
}

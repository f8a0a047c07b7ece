//! Personal access tokens and bots' tokens (recordings 01, 21, 25).

use serde_json::json;

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::new_id;
use super::state::AccessToken;

impl StandIn {
    /// Gives a user an access token.
    pub(super) fn new_access_token(&self, user_id: &str, description: &str) -> AccessToken {
        let token = AccessToken {
            id: new_id(),
            token: new_id(),
            user_id: user_id.to_owned(),
            description: description.to_owned(),
            is_active: true,
        };
        let mut state = self.state();
        state.issued.push(token.token.clone());
        state.access_tokens.push(token.clone());
        token
    }
}

fn disabled() -> Refusal {
    Refusal::new(
        501,
        "app.user_access_token.disabled",
        "Personal access tokens are disabled on this server. Please contact your system administrator for details.",
    )
}

/// `POST /users/{id}/tokens`: shown once; bots are exempt from the setting.
pub(super) async fn create(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    let fields = call.strings().await?;
    let description = fields.get("description").cloned().unwrap_or_default();
    if description.is_empty() {
        return Err(Refusal::body_param("description"));
    }
    call.self_or_admin(&id)?;
    let bot = {
        let state = call.app.state();
        state.user(&id).ok_or_else(Refusal::missing_user)?.is_bot
    };
    if !bot && !call.app.flag("ServiceSettings", "EnableUserAccessTokens") {
        return Err(disabled());
    }
    if !call.is_admin() {
        return Err(Refusal::permissions());
    }
    Ok(Reply::json(
        200,
        &call.app.new_access_token(&id, &description),
    ))
}

/// `GET /users/{id}/tokens`: without the tokens themselves.
pub(super) async fn list(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    let state = call.app.state();
    let own = state
        .access_tokens
        .iter()
        .filter(|token| token.user_id == id);
    let shown: Vec<_> = own
        .map(|token| {
            json!({"id": token.id, "user_id": token.user_id, "description": token.description, "is_active": token.is_active})
        })
        .collect();
    Ok(Reply::json(200, &shown))
}

/// `POST /users/tokens/revoke`, `…/disable` and `…/enable`: the word is in the path.
pub(super) async fn change(mut call: Call) -> Answer {
    let fields = call.strings().await?;
    let id = fields
        .get("token_id")
        .ok_or_else(|| Refusal::body_param("token_id"))?;
    let mut state = call.app.state();
    let found = state
        .access_tokens
        .iter()
        .find(|token| token.id == *id)
        .cloned();
    let token = found.ok_or_else(|| {
        let message = "Unable to get the personal access tokens by user.";
        Refusal::new(404, "app.user_access_token.get_by_user.app_error", message)
    })?;
    drop(state);
    call.self_or_admin(&token.user_id)?;
    state = call.app.state();
    let enable = call.segment(2) == "enable";
    if call.segment(2) == "revoke" {
        state.access_tokens.retain(|other| other.id != token.id);
    }
    if let Some(kept) = state
        .access_tokens
        .iter_mut()
        .find(|other| other.id == token.id)
    {
        kept.is_active = enable;
    }
    if !enable {
        state.sessions.remove(&token.token);
    }
    Ok(Reply::ok())
}

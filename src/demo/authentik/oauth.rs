//! `POST /application/o/token/` for service accounts (recorded: 48): user name and app password give
//! an access token, which the API takes when it has the scope for it. No JWT: nobody here reads it.

use serde_json::json;

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::ids::new_key;

const SCOPE: &str = "goauthentik.io/api";

/// `grant_type=client_credentials`.
pub(super) async fn token(mut call: Call) -> Answer {
    let text = call.text().await?;
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&text).into_owned().collect();
    let field = |name: &str| {
        let found = form.iter().find(|(have, _)| have == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let wrong = |code: &str| Refusal {
        status: 400,
        body: json!({ "error": code, "error_description": "The request is wrong" }),
    };
    if field("grant_type") != "client_credentials" {
        return Err(wrong("unsupported_grant_type"));
    }
    let mut state = call.app.state();
    let user = state
        .user_by_name(field("username"))
        .filter(|user| user.is_active);
    let user = user
        .map(|user| user.pk)
        .ok_or_else(|| wrong("invalid_grant"))?;
    let good = state.tokens.values().any(|token| {
        token.user == user && token.intent == "app_password" && token.key == field("password")
    });
    if !good {
        return Err(wrong("invalid_grant"));
    }
    let (access, scope) = (
        format!("{}.{}.{}", new_key(), new_key(), new_key()),
        field("scope"),
    );
    let api = scope.split(' ').any(|word| word == SCOPE);
    state.access_tokens.insert(access.clone(), (user, api));
    let body = json!({
        "access_token": access, "token_type": "Bearer", "scope": scope, "expires_in": 3600,
        "id_token": format!("{}.{}.{}", new_key(), new_key(), new_key()),
    });
    Ok(Reply::ok(body)
        .with("cache-control", "no-store")
        .with("pragma", "no-cache"))
}

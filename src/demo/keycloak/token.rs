//! Who may ask: access tokens of the client's service account.

use super::answer::{Params, Refused, of_token, problem};
use super::state::Inner;
use super::{CLIENT, REALM, StandIn};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use parking_lot::MutexGuard;
use serde_json::json;

/// How long a token lives, in seconds.
const LIFE: u64 = 300;

/// `POST …/token` with the grant `client_credentials`.
pub(super) async fn grant(
    State(app): State<StandIn>,
    Path(realm): Path<String>,
    body: String,
) -> Response {
    let mut inner = app.0.lock();
    if let Some(status) = inner.broken {
        return problem(status, "unknown_error");
    }
    if realm != REALM {
        return problem(404, "Realm does not exist");
    }
    let form: Params = url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    if let Some((status, error, why)) = refused(&inner, &form) {
        let body = json!({ "error": error, "error_description": why });
        return of_token(status, &body);
    }
    let token = uuid::Uuid::new_v4().to_string();
    let full = inner.client.full_scope;
    inner.tokens.insert(token.clone(), full);
    inner.granted += 1;
    let body = json!({
        "access_token": token, "expires_in": LIFE, "refresh_expires_in": 0, "token_type": "Bearer",
        "not-before-policy": 0, "scope": "email profile",
    });
    of_token(200, &body)
}

fn refused(inner: &Inner, form: &Params) -> Option<(u16, &'static str, String)> {
    const UNKNOWN: &str = "Invalid client or Invalid client credentials";
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let client = &inner.client;
    let (status, error, why) = if inner.https_demanded {
        (403, "invalid_request", "HTTPS required")
    } else if !inner.realm_enabled {
        (403, "access_denied", "Realm not enabled")
    } else if field("grant_type") != "client_credentials" {
        (400, "unsupported_grant_type", "Unsupported grant_type")
    } else if field("client_id") != CLIENT.0 || !client.enabled {
        (401, "invalid_client", UNKNOWN)
    } else if client.public {
        let why = "Public client not allowed to retrieve service account";
        (401, "unauthorized_client", why)
    } else if field("client_secret") != client.secret {
        (401, "unauthorized_client", UNKNOWN)
    } else if !client.service_accounts {
        let why = "Client not enabled to retrieve service account";
        (401, "unauthorized_client", why)
    } else if !client.account_enabled {
        let why = format!("User 'service-account-{}' disabled", CLIENT.0);
        return Some((401, "invalid_request", why));
    } else {
        return None;
    };
    Some((status, error, why.to_owned()))
}

impl StandIn {
    /// The realm, for whoever has a token that is taken. One without its roles sees nothing.
    pub(super) fn admitted(&self, headers: &HeaderMap) -> Result<MutexGuard<'_, Inner>, Refused> {
        let inner = self.0.lock();
        if let Some(status) = inner.broken {
            return Err(Refused::of(problem(status, "unknown_error")));
        }
        let line = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let token = line.and_then(|line| line.strip_prefix("Bearer "));
        let known = token.and_then(|token| inner.tokens.get(token));
        let alive = inner.client.enabled && inner.client.account_enabled;
        match known {
            Some(true) if alive => Ok(inner),
            Some(false) if alive => Err(forbidden()),
            _ => Err(Refused::of(problem(401, "HTTP 401 Unauthorized"))),
        }
    }
}

/// A role lacks.
pub(super) fn forbidden() -> Refused {
    Refused::of(problem(403, "HTTP 403 Forbidden"))
}

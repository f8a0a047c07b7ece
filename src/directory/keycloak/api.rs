//! Asking Keycloak: the token of the client's service account, and what refusals mean.

use super::Keycloak;
use crate::directory::http::{Answer, printable};
use crate::directory::source::SourceError;
use crate::types::SecretText;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A token is not used in its last seconds.
const MARGIN: u64 = 10;

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

#[derive(Deserialize)]
struct Wrong {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Keycloak {
    /// `GET /admin/realms/{realm}/{path}`; `None` when it says that there is no such thing.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Option<T>, SourceError> {
        let mut answer = self.ask(path, query).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            // Its key or the session ended: asked once more with a new one.
            *self.access.lock().await = None;
            answer = self.ask(path, query).await?;
        }
        match answer.status {
            StatusCode::OK => answer.parse().map(Some),
            StatusCode::NOT_FOUND => match error(&answer)?.as_str() {
                "User not found" | "Could not find group by id" => Ok(None),
                other => Err(nowhere(answer.status, other)),
            },
            StatusCode::UNAUTHORIZED => Err(SourceError::Credential(
                "the access token that it gave is not taken".into(),
            )),
            StatusCode::FORBIDDEN => Err(SourceError::Permission(
                "the client's service account lacks view-users of realm-management".into(),
            )),
            StatusCode::BAD_REQUEST => Err(SourceError::Refused(
                "it does not understand the question (400)".into(),
            )),
            status if status.is_server_error() => Err(SourceError::Unavailable(format!(
                "it answers {}",
                status.as_u16()
            ))),
            _ => Err(answer.foreign()),
        }
    }

    async fn ask(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, SourceError> {
        let access = self.access_token().await?;
        let mut segments = vec!["admin", "realms", self.own.realm.as_str()];
        segments.extend(path);
        let url = self.http.url(&segments, query)?;
        let line = HeaderValue::from_str(&format!("Bearer {}", access.expose_secret()));
        let mut line = line.map_err(|_| SourceError::Unavailable("its token is none".into()))?;
        line.set_sensitive(true);
        self.http
            .send(|client| {
                client
                    .get(url)
                    .header(ACCEPT, "application/json")
                    .header(AUTHORIZATION, line)
            })
            .await
    }

    /// The service account's token; one at a time asks for it.
    async fn access_token(&self) -> Result<Arc<SecretText>, SourceError> {
        let mut kept = self.access.lock().await;
        if let Some((token, until)) = &*kept
            && Instant::now() < *until
        {
            return Ok(Arc::clone(token));
        }
        let segments = [
            "realms",
            &self.own.realm,
            "protocol",
            "openid-connect",
            "token",
        ];
        let url = self.http.url(&segments, &[])?;
        let secret = self.secret.get()?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.own.client_id.as_str()),
            ("client_secret", secret.expose_secret()),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let asked = Instant::now();
        let answer = self
            .http
            .send(|client| {
                client
                    .post(url)
                    .header(ACCEPT, "application/json")
                    .header(
                        http::header::CONTENT_TYPE,
                        "application/x-www-form-urlencoded",
                    )
                    .body(body)
            })
            .await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                let why = error(&answer)?;
                // Said by the Admin API alone.
                if why.starts_with("HTTP 401") {
                    return Err(nowhere(answer.status, &why));
                }
                return Err(SourceError::Credential(format!(
                    "its token endpoint refuses client {:?}: {why}",
                    self.own.client_id,
                )));
            }
            StatusCode::NOT_FOUND => return Err(nowhere(answer.status, &error(&answer)?)),
            // The realm is disabled, or HTTPS is demanded of us.
            StatusCode::FORBIDDEN => {
                return Err(SourceError::Unavailable(format!(
                    "its token endpoint answers 403 ({})",
                    error(&answer)?
                )));
            }
            status if status.is_server_error() => {
                return Err(SourceError::Unavailable(format!(
                    "it answers {}",
                    status.as_u16()
                )));
            }
            _ => return Err(answer.foreign()),
        }
        let granted: Granted = answer.parse()?;
        let life = Duration::from_secs(granted.expires_in.saturating_sub(MARGIN).min(3600));
        let token = Arc::new(SecretText::from(granted.access_token));
        *kept = Some((Arc::clone(&token), asked + life));
        Ok(token)
    }
}

fn nowhere(status: StatusCode, error: &str) -> SourceError {
    SourceError::Unavailable(format!(
        "it answers {} ({error}): is `realm` right, and `url` without /admin?",
        status.as_u16()
    ))
}

/// What it says is wrong.
fn error(answer: &Answer) -> Result<String, SourceError> {
    let wrong: Wrong = answer.parse().map_err(|_| answer.foreign())?;
    let text = match wrong.error_description.is_empty() {
        true => wrong.error,
        false => format!("{}: {}", wrong.error, wrong.error_description),
    };
    Ok(printable(&text, 200))
}

//! The server's API as the bridge uses it: one method per endpoint, nothing decided here.
//!
//! No redirect is followed, no cookie kept or sent (a live one would turn a login into a 401:
//! recordings, difference 5), no proxy of the environment used. Bodies and times are bounded. What is
//! not JSON is not the API.

mod provision;
mod shapes;

pub(super) use provision::{Membership, Of, PAGE};
pub(super) use shapes::{
    AccessToken, Bot, License, Login, Member, NewUser, Patch, ServerLimits, Session, Team,
    TeamStats, User,
};

use super::errors::ApiError;
use crate::apps::AppError;
use crate::config::AppConfig;
use crate::tls::HttpClient;
use crate::types::{AppToken, SecretText};
use arc_swap::ArcSwap;
use http::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE, USER_AGENT,
};
use http::{HeaderMap, Method};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest answer that is read, in bytes. The longest that is asked for is the configuration, about
/// 20 kB; sessions are about 600 bytes each and at most 500.
const MAX_BODY: usize = 4 << 20;
/// Whole call, the first byte to the last. Creating an account costs the server one hash.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Below the server's keep-alive limit of 60 s (facts §6).
const IDLE: Duration = Duration::from_secs(45);

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
const VERSION_ID: HeaderName = HeaderName::from_static("x-version-id");

/// With whose credential a call is made.
enum As<'a> {
    Bot,
    Nobody,
    Session(&'a AppToken),
}

/// The client of one server.
pub(super) struct Api {
    client: HttpClient,
    /// `…/api/v4`.
    base: Url,
    /// The public host: the server builds links from it (facts §6).
    host: HeaderValue,
    bot: ArcSwap<SecretText>,
}

impl Api {
    pub(super) fn new(
        app: &AppConfig,
        bot_token: SecretText,
        tls: Option<Arc<ArcSwap<rustls::ClientConfig>>>,
    ) -> Result<Self, AppError> {
        let refused = |what: &str| AppError::Refused(format!("{what} can't be used"));
        check_token(&bot_token)?;
        let mut base = app.upstream.clone();
        base.set_query(None);
        base.set_fragment(None);
        base.path_segments_mut()
            .map_err(|()| refused("upstream"))?
            .clear()
            .extend(app.base_path.split('/').filter(|s| !s.is_empty()))
            .extend(["api", "v4"]);
        let host = app
            .origin
            .split_once("://")
            .map_or(app.host.as_str(), |(_, host)| host.trim_end_matches('/'));
        let tls = match tls {
            Some(config) => config,
            None => Arc::new(ArcSwap::from_pointee(public_tls()?)),
        };
        let client = HttpClient::new(tls, |client| {
            client
                .http1_only()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(CALL_TIMEOUT)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(8)
        })
        .map_err(|_| refused("the TLS configuration"))?;
        Ok(Self {
            client,
            base,
            host: HeaderValue::from_str(host).map_err(|_| refused("origin"))?,
            bot: ArcSwap::from_pointee(bot_token),
        })
    }

    pub(super) fn set_bot_token(&self, token: SecretText) -> Result<(), AppError> {
        check_token(&token)?;
        self.bot.store(Arc::new(token));
        Ok(())
    }

    // -- users -----------------------------------------------------------------------------

    /// `GET /users/me`, and the server's `X-Version-Id`.
    pub(super) async fn me(&self) -> Result<(User, String), ApiError> {
        let call = self.call(Method::GET, &["users", "me"], &As::Bot)?;
        let (headers, body) = self.send(call).await?;
        let version = headers
            .get(VERSION_ID)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("");
        Ok((parse(&body)?, version.to_owned()))
    }

    /// `GET /users/me` as a session: whether its token is accepted.
    pub(super) async fn session_lives(&self, token: &AppToken) -> Result<bool, ApiError> {
        let call = self.call(Method::GET, &["users", "me"], &As::Session(token))?;
        match self.send(call).await {
            Ok(_) => Ok(true),
            Err(ApiError::Answer { status: 401, .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// `GET /users/{id}`.
    pub(super) async fn user(&self, id: &str) -> Result<User, ApiError> {
        self.get(&["users", checked(id)?]).await
    }

    /// `GET /users/email/{email}`; deactivated accounts are found too.
    pub(super) async fn user_by_email(&self, email: &str) -> Result<Option<User>, ApiError> {
        found(self.get(&["users", "email", email]).await)
    }

    /// `GET /users/username/{name}`; deactivated accounts are found too.
    pub(super) async fn user_by_username(&self, name: &str) -> Result<Option<User>, ApiError> {
        found(self.get(&["users", "username", name]).await)
    }

    /// `POST /users`.
    pub(super) async fn create_user(&self, new: &NewUser<'_>) -> Result<User, ApiError> {
        self.post(&["users"], new).await
    }

    /// `PUT /users/{id}/patch`: the answer may keep the old e-mail (recordings, difference 28).
    pub(super) async fn patch_user(&self, id: &str, patch: &Patch) -> Result<User, ApiError> {
        let path = ["users", checked(id)?, "patch"];
        self.json(Method::PUT, &path, patch).await
    }

    /// `PUT /users/{id}/password` with a hash. `already_hashed` must be a *text*: with a JSON `true`
    /// the hash itself would become the password (recordings, difference 3).
    pub(super) async fn set_password_hash(
        &self,
        id: &str,
        phc: &SecretText,
    ) -> Result<(), ApiError> {
        let phc = phc.expose_secret();
        let body = serde_json::json!({ "already_hashed": "true", "new_password": phc });
        let path = ["users", checked(id)?, "password"];
        self.json::<serde_json::Value>(Method::PUT, &path, &body)
            .await
            .map(drop)
    }

    /// `PUT /users/{id}/preferences`: (category, name, value).
    pub(super) async fn set_preferences(
        &self,
        id: &str,
        preferences: &[(&str, &str, &str)],
    ) -> Result<(), ApiError> {
        let body: Vec<_> = preferences
            .iter()
            .map(|(category, name, value)| {
                serde_json::json!({ "user_id": id, "category": category, "name": name, "value": value })
            })
            .collect();
        let path = ["users", checked(id)?, "preferences"];
        self.json::<serde_json::Value>(Method::PUT, &path, &body)
            .await
            .map(drop)
    }

    // -- sessions --------------------------------------------------------------------------

    /// `POST /users/login` by id, within `limit`. `X-Requested-With` makes the server set its
    /// cookies, which is how the CSRF value is learnt in the same call (facts §1a).
    pub(super) async fn login(
        &self,
        id: &str,
        password: &SecretText,
        user_agent: Option<&str>,
        client: Option<IpAddr>,
        limit: Duration,
    ) -> Result<Login, ApiError> {
        let body = serde_json::json!({ "id": checked(id)?, "password": password.expose_secret() });
        let mut call = self
            .call(Method::POST, &["users", "login"], &As::Nobody)?
            .timeout(limit)
            .header(REQUESTED_WITH, "XMLHttpRequest")
            .json(&body);
        // An absent User-Agent is better than ours: the page *active sessions* would show it.
        if let Some(agent) = user_agent {
            call = call.header(USER_AGENT, agent);
        }
        if let Some(client) = client {
            call = call.header(FORWARDED_FOR, &client.to_string());
        }
        let (headers, body) = self.send(call).await?;
        let user: User = parse(&body)?;
        let token = headers
            .get("token")
            .and_then(|t| t.to_str().ok())
            .filter(|t| is_id(t))
            .ok_or_else(|| ApiError::Foreign("the login's answer has no token".into()))?;
        let session_cookie = cookie(&headers, "MMAUTHTOKEN");
        Ok(Login {
            user,
            token: AppToken::new(token.to_owned()),
            csrf: cookie(&headers, "MMCSRF")
                .map(|c| c.value().to_owned())
                .filter(|v| is_id(v))
                .unwrap_or_default(),
            max_age: session_cookie
                .and_then(|c| c.max_age())
                .and_then(|age| Duration::try_from(age).ok()),
        })
    }

    /// `GET /users/{id}/sessions`.
    pub(super) async fn sessions(&self, id: &str) -> Result<Vec<Session>, ApiError> {
        self.get(&["users", checked(id)?, "sessions"]).await
    }

    /// `POST /users/{id}/sessions/revoke`.
    pub(super) async fn revoke_session(&self, id: &str, session: &str) -> Result<(), ApiError> {
        let path = ["users", checked(id)?, "sessions", "revoke"];
        let body = serde_json::json!({ "session_id": session });
        self.post::<serde_json::Value>(&path, &body).await.map(drop)
    }

    /// `POST /users/logout` as the session itself. 200 also when it is gone.
    pub(super) async fn logout(&self, token: &AppToken) -> Result<(), ApiError> {
        let call = self.call(Method::POST, &["users", "logout"], &As::Session(token))?;
        self.send(call).await.map(drop)
    }

    // -- teams -----------------------------------------------------------------------------

    /// `GET /teams/name/{name}`.
    pub(super) async fn team_by_name(&self, name: &str) -> Result<Option<Team>, ApiError> {
        found(self.get(&["teams", "name", name]).await)
    }

    /// `POST /teams`: by invitation only; the bot joins as its creator.
    pub(super) async fn create_team(&self, name: &str) -> Result<Team, ApiError> {
        let body = serde_json::json!({ "name": name, "display_name": name, "type": "I" });
        self.post(&["teams"], &body).await
    }

    /// `POST /teams/{id}/members`; a member already is fine.
    pub(super) async fn add_member(&self, team: &str, user: &str) -> Result<Member, ApiError> {
        let body = serde_json::json!({ "team_id": team, "user_id": user });
        self.post(&["teams", checked(team)?, "members"], &body)
            .await
    }

    /// `GET /teams/{id}/stats`.
    pub(super) async fn team_stats(&self, team: &str) -> Result<TeamStats, ApiError> {
        self.get(&["teams", checked(team)?, "stats"]).await
    }

    // -- the server ------------------------------------------------------------------------

    /// `GET /config`.
    pub(super) async fn config<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        self.get(&["config"]).await
    }

    /// `GET /bots/{id}`, disabled ones too.
    pub(super) async fn bot(&self, id: &str) -> Result<Bot, ApiError> {
        self.get_with(&["bots", checked(id)?], "include_deleted=true")
            .await
    }

    /// `POST /users/{id}/tokens`: the token is shown this once.
    pub(super) async fn create_token(
        &self,
        id: &str,
        description: &str,
    ) -> Result<AccessToken, ApiError> {
        let body = serde_json::json!({ "description": description });
        let issued: AccessToken = self.post(&["users", checked(id)?, "tokens"], &body).await?;
        if is_id(&issued.id) && is_id(&issued.token) {
            return Ok(issued);
        }
        Err(ApiError::Foreign(
            "a new token is none of Mattermost's".into(),
        ))
    }

    /// `GET /users/{id}/tokens`: without the tokens themselves; at most 200, the server's largest
    /// page.
    pub(super) async fn tokens(&self, id: &str) -> Result<Vec<AccessToken>, ApiError> {
        self.get_with(&["users", checked(id)?, "tokens"], "page=0&per_page=200")
            .await
    }

    /// `POST /users/tokens/revoke`: ends its session, too (recordings 21).
    pub(super) async fn revoke_token(&self, id: &str) -> Result<(), ApiError> {
        let body = serde_json::json!({ "token_id": checked(id)? });
        self.post::<serde_json::Value>(&["users", "tokens", "revoke"], &body)
            .await
            .map(drop)
    }

    /// `GET /users/me` with a token: whose it is; `None` when it is not accepted.
    pub(super) async fn whose(&self, token: &AppToken) -> Result<Option<User>, ApiError> {
        let call = self.call(Method::GET, &["users", "me"], &As::Session(token))?;
        match self.send(call).await {
            Ok((_, body)) => parse(&body).map(Some),
            Err(ApiError::Answer { status: 401, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// `GET /limits/server`.
    pub(super) async fn limits(&self) -> Result<ServerLimits, ApiError> {
        self.get(&["limits", "server"]).await
    }

    /// `GET /license/client`.
    pub(super) async fn license(&self) -> Result<License, ApiError> {
        self.get_with(&["license", "client"], "format=old").await
    }

    // -- the wire --------------------------------------------------------------------------

    async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, ApiError> {
        let call = self.call(Method::GET, path, &As::Bot)?;
        parse(&self.send(call).await?.1)
    }

    async fn get_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &'static str,
    ) -> Result<T, ApiError> {
        let mut url = self.url(path)?;
        url.set_query(Some(query));
        let call = self.call_url(Method::GET, url, &As::Bot)?;
        parse(&self.send(call).await?.1)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.json(Method::POST, path, body).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, ApiError> {
        let call = self.call(method, path, &As::Bot)?.json(body);
        parse(&self.send(call).await?.1)
    }

    fn url(&self, path: &[&str]) -> Result<Url, ApiError> {
        let mut url = self.base.clone();
        // `extend` encodes each segment and ignores `.` and `..`: then a segment would be missing.
        if path.iter().any(|s| matches!(*s, "" | "." | "..")) {
            return Err(impossible("a part of the path is empty or a dot"));
        }
        url.path_segments_mut()
            .map_err(|()| impossible("the address has no path"))?
            .extend(path);
        Ok(url)
    }

    fn call(&self, method: Method, path: &[&str], who: &As<'_>) -> Result<Call, ApiError> {
        self.call_url(method, self.url(path)?, who)
    }

    fn call_url(&self, method: Method, url: Url, who: &As<'_>) -> Result<Call, ApiError> {
        let mut call = self
            .client
            .current()
            .request(method, url)
            .header(HOST, self.host.clone())
            .header(FORWARDED_PROTO, "https");
        let token = match who {
            As::Nobody => None,
            As::Bot => Some(SecretText::clone(&self.bot.load())),
            As::Session(token) => Some(token.expose().to_owned().into()),
        };
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .map_err(|_| impossible("the token holds what no header may"))?;
            value.set_sensitive(true);
            call = call.header(AUTHORIZATION, value);
        }
        Ok(Call(call))
    }

    /// Sends and reads everything; only a 2xx with a JSON body is `Ok`.
    async fn send(&self, call: Call) -> Result<(HeaderMap, Vec<u8>), ApiError> {
        let mut answer = call.0.send().await.map_err(from_transport)?;
        let status = answer.status();
        let headers = answer.headers().clone();
        if status == http::StatusCode::TOO_MANY_REQUESTS {
            return Err(ApiError::RateLimited(wait(&headers)));
        }
        if !is_json(&headers) {
            let kind = headers
                .get(CONTENT_TYPE)
                .and_then(|v| v.to_str().ok())
                .and_then(|v| v.split(';').next())
                .unwrap_or("without a type");
            let what = match kind {
                "text/html" => "HTML",
                other => other,
            };
            return Err(ApiError::Foreign(format!(
                "it answers {what} with status {}: is `upstream` the Mattermost server, and `base_path` right?",
                status.as_u16()
            )));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(from_transport)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(ApiError::Foreign("its answer is too long".into()));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok((headers, body));
        }
        #[derive(Deserialize)]
        struct Shape {
            id: String,
            #[serde(default)]
            message: String,
        }
        let shape: Shape = serde_json::from_slice(&body).map_err(|_| {
            ApiError::Foreign(format!(
                "it answers {} in a shape that is not Mattermost's",
                status.as_u16()
            ))
        })?;
        Err(ApiError::Answer {
            status: status.as_u16(),
            id: printable(&shape.id, 120),
            message: printable(&shape.message, 300),
        })
    }
}

/// A request with its credential in it, not yet sent.
struct Call(reqwest::RequestBuilder);

impl Call {
    /// Adds a header; a value that no header may hold is left out.
    fn header(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => Self(self.0.header(name, value)),
            Err(_) => self,
        }
    }

    fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        Self(self.0.json(body))
    }

    fn timeout(self, limit: Duration) -> Self {
        Self(self.0.timeout(limit))
    }
}

fn found<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|_| ApiError::Foreign("its answer lacks what Mattermost's has".into()))
}

fn from_transport(error: reqwest::Error) -> ApiError {
    // The address is configured and holds no secret, but says nothing that the operator can't see.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if error.is_connect() || error.is_builder() {
        ApiError::NotSent(text)
    } else {
        ApiError::Ambiguous {
            timeout: error.is_timeout(),
            text,
        }
    }
}

/// How long a 429 asks to wait: the general limiter sends `X-Ratelimit-Reset` and no `Retry-After`
/// (recordings, difference 8), the login bucket both (facts §1a). At most a minute.
fn wait(headers: &HeaderMap) -> Duration {
    [RETRY_AFTER.as_str(), "x-ratelimit-reset"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok()?.trim().parse().ok())
        .map_or(Duration::from_secs(1), |seconds: u64| {
            Duration::from_secs(seconds.clamp(1, 60))
        })
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<cookie::Cookie<'static>> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|v| cookie::Cookie::parse(v.to_str().ok()?.to_owned()).ok())
        .find(|c| c.name() == name && !c.value().is_empty())
}

/// Whether a text is one of Mattermost's own random values: 26 of its own base32, shorter than 50
/// (where the server cuts tokens). It goes into paths, headers and cookies, so nothing else may pass.
fn is_id(text: &str) -> bool {
    (1..=50).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn checked(id: &str) -> Result<&str, ApiError> {
    if is_id(id) {
        Ok(id)
    } else {
        Err(impossible("the id is none of Mattermost's"))
    }
}

fn impossible(why: &str) -> ApiError {
    ApiError::NotSent(format!("the call can't be made: {why}"))
}

fn check_token(token: &SecretText) -> Result<(), AppError> {
    if is_id(token.expose_secret()) {
        Ok(())
    } else {
        Err(AppError::Refused(
            "the bot token is not one of Mattermost's: 26 letters and digits, no line feed".into(),
        ))
    }
}

fn printable(text: &str, limit: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(limit)
        .collect()
}

/// Public authorities, for an `https://` upstream without an authority of its own.
fn public_tls() -> Result<rustls::ClientConfig, AppError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| AppError::Refused("TLS can't be set up".into()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

//! Apps: one folder each. An app is five things, and each is a trait: a **connector** (makes
//! accounts), a **provisioner** (what becomes of them later: deactivated, in teams, in roles), a
//! **strategy** (opens and ends the app's sessions), **bots** (for services, which call the app as
//! one) and **rules** (what its requests and answers mean on the road).
//!
//! Nothing here knows the road, the store or another app. Adding an app touches this folder and
//! one line of the registry in `runtime`.

pub mod mattermost;
mod model;
mod provisioner;

pub use model::*;
pub use provisioner::*;

use crate::error::{Code, Refusal};
use crate::types::{AppToken, RemoteId, SecretText};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Manages accounts in an app. Every step can be repeated: a crash or a time-out between two steps
/// heals by asking again.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Makes sure that the account exists and is theirs: by the known id, else found by what an
    /// earlier, interrupted try left behind (`wanted.earlier_try`), else created.
    ///
    /// # Errors
    /// Whatever the app answers that is not an outcome.
    async fn ensure_account(&self, wanted: &WantedAccount) -> Result<Ensured, AppError>;

    /// Brings names and e-mail up to date; the language is a person's own choice after creation. A
    /// new e-mail that another account has is `Ensured::Conflict`: the account keeps the old one.
    ///
    /// # Errors
    /// As above.
    async fn update_account(
        &self,
        remote: &RemoteId,
        wanted: &WantedProfile,
    ) -> Result<Ensured, AppError>;

    /// Makes sure that the account has a place to land: Mattermost's default team.
    ///
    /// # Errors
    /// `AppError::TeamFull` and whatever the app answers.
    async fn ensure_memberships(&self, remote: &RemoteId) -> Result<(), AppError>;

    /// Sets the derived password, at most once a sign-in (after a masked 401).
    ///
    /// # Errors
    /// `AppError::NotOurs` when the account is an administrator, a bot, remote or uses another
    /// sign-in method, `AppError::Deactivated` when it is that: such accounts are never touched.
    async fn reset_password(
        &self,
        remote: &RemoteId,
        password: &SecretText,
    ) -> Result<(), AppError>;

    /// Reads the settings that decide how sessions behave, and names what bites.
    ///
    /// # Errors
    /// As above.
    async fn facts(&self) -> Result<Facts, AppError>;
}

/// Opens and ends the app's sessions.
#[async_trait]
pub trait Strategy: Send + Sync {
    /// Opens a session as this account. Waits its turn in the app's login queue.
    ///
    /// # Errors
    /// `AppError::WrongPassword` (masked 401), `AppError::Deactivated`, `AppError::Locked`, …
    async fn sign_in(&self, who: &SignIn<'_>) -> Result<AppSession, AppError>;

    /// Ends a session; a session that is gone already is fine.
    ///
    /// # Errors
    /// When the app could not be asked.
    async fn sign_out(&self, session: &AppSession) -> Result<(), AppError>;

    /// What became of a session whose token was refused: asks the app as the bot.
    ///
    /// # Errors
    /// When the app could not be asked.
    async fn probe(&self, session: &AppSession) -> Result<Liveness, AppError>;

    /// The account's sessions that came of a login like ours: no access tokens, no OAuth, no
    /// devices.
    ///
    /// # Errors
    /// When the app could not be asked.
    async fn open_sessions(&self, remote: &RemoteId) -> Result<Vec<OpenSession>, AppError>;

    /// Ends a session by the app's own id of it; one that is gone already is fine.
    ///
    /// # Errors
    /// When the app could not be asked.
    async fn end_session(&self, remote: &RemoteId, id: &str) -> Result<(), AppError>;
}

/// Finds bots and makes their access tokens, for the services that call the app as one.
#[async_trait]
pub trait Bots: Send + Sync {
    /// The account of this user name, whatever it is.
    ///
    /// # Errors
    /// Whatever the app answers that is not an outcome.
    async fn find_bot(&self, username: &str) -> Result<Option<BotAccount>, AppError>;

    /// Makes an access token for a bot. Called twice it makes two: `description` finds a lost one
    /// again.
    ///
    /// # Errors
    /// As above.
    async fn issue_token(
        &self,
        remote: &RemoteId,
        description: &str,
    ) -> Result<IssuedToken, AppError>;

    /// The access tokens of a bot, without the tokens themselves.
    ///
    /// # Errors
    /// As above.
    async fn tokens(&self, remote: &RemoteId) -> Result<Vec<TokenRecord>, AppError>;

    /// Revokes an access token by the app's own id of it; one that is gone already is fine.
    ///
    /// # Errors
    /// As above.
    async fn revoke_token(&self, id: &str) -> Result<(), AppError>;

    /// The account of a token; `None` when the app does not accept it.
    ///
    /// # Errors
    /// When the app could not be asked.
    async fn account_of(&self, token: &AppToken) -> Result<Option<BotAccount>, AppError>;

    /// Whether the app accepts a token, and as this bot's.
    ///
    /// # Errors
    /// When the app could not be asked.
    async fn is_accepted(&self, token: &AppToken, remote: &RemoteId) -> Result<bool, AppError>;
}

/// What an app's requests and answers mean on the road. Pure and cheap: no I/O, called on every
/// request.
pub trait Rules: Send + Sync {
    /// The app's cookies that the bridge owns.
    fn cookies(&self) -> &Cookies;

    /// What the request is. `path` is canonical and below the app's base path (begins with `/`).
    fn classify(&self, method: &Method, path: &str) -> Route;

    /// Whether the path is one of the app's API, where refusals speak the app's dialect and 401
    /// must be used with care.
    fn is_api(&self, path: &str) -> bool;

    /// Whether a response header may leave towards the browser (`Token` may not).
    fn releases(&self, name: &HeaderName) -> bool;

    /// Whether an answer says that the app session is not accepted. The forwarder then asks
    /// `Strategy::probe`, since expiry and a failed CSRF check look the same.
    fn refused_session(&self, status: http::StatusCode, headers: &HeaderMap) -> bool;

    /// Whether the body of such an answer speaks of the session (an app has other 401s too).
    fn is_session_refusal(&self, body: &[u8]) -> bool;

    /// A refusal in the app's own error shape: content type and body.
    fn render(&self, refusal: &Refusal, message: &str, request_id: &str) -> (&'static str, Bytes);

    /// Judges the body of a `Route::Identity` request: `Err` when it changes what the identity
    /// provider owns. `known` is what we last wrote to the app.
    ///
    /// # Errors
    /// `Code::IdentityField`.
    fn judge_identity(&self, body: &[u8], known: &Profile) -> Result<(), Code>;

    /// Judges a complete text or binary message of the browser on a WebSocket: `false` cuts the
    /// socket (Mattermost's `authentication_challenge`).
    fn admits_message(&self, message: &[u8]) -> bool;

    /// The cookie pair that carries the app's credential upstream: `MMAUTHTOKEN=…; MMCSRF=…` text
    /// without anything of the browser's.
    fn credential_cookie(&self, token: &AppToken, csrf: &str, remote: &RemoteId) -> String;

    /// The header that carries CSRF values, browser and app side.
    fn csrf_header(&self) -> &HeaderName;

    /// Whether a request gives power over accounts or the server: a service's bot may make none
    /// but those that the operator names one by one. Of what is in doubt: true.
    fn is_powerful(&self, method: &Method, path: &str) -> bool;

    /// The header that carries a bot's token upstream; `None` for a token that none can carry.
    fn bot_credential(&self, token: &AppToken) -> Option<(HeaderName, HeaderValue)>;
}

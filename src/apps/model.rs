//! What connectors, strategies and rules talk about.

use crate::types::{AppToken, RemoteId, SecretText, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// What a person is called, as the identity provider says it and as the app should.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The app's user name; empty while not known.
    pub username: String,
    /// E-mail address, lower case; empty when the assertion has none.
    pub email: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// BCP 47 tag, empty when unknown.
    pub locale: String,
}

/// A part of a profile that the bridge keeps up to date. The language, the nickname, the position and
/// whatever else an app has are a person's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// The user name: only ever put back to the one that the account was given.
    Username,
    /// The e-mail address.
    Email,
    /// The given name.
    FirstName,
    /// The family name.
    LastName,
}

impl Attribute {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Email => "email",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
        }
    }
}

impl Profile {
    /// What it says of this.
    #[must_use]
    pub fn says(&self, attribute: Attribute) -> &str {
        match attribute {
            Attribute::Username => &self.username,
            Attribute::Email => &self.email,
            Attribute::FirstName => &self.first_name,
            Attribute::LastName => &self.last_name,
        }
    }
}

/// What an account that exists is to be called: all of it that is brought up to date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedProfile {
    /// The user name we last wrote or found: restored when the app's has become another one. `None`
    /// when not known.
    pub username: Option<String>,
    /// Display name as asserted; empty leaves the app's.
    pub name: String,
    /// E-mail as asserted; empty leaves the app's.
    pub email: String,
}

/// The account that should exist.
pub struct WantedAccount {
    /// The app's id when it is known already.
    pub remote: Option<RemoteId>,
    /// Whether an earlier try may have got as far as creating it (an intent was on record): then an
    /// account that is in the way is theirs if the derived password opens it, which no stranger's
    /// account does (T36). Never tried otherwise, since a wrong password counts.
    pub earlier_try: bool,
    /// Preferred user name, display name and e-mail, as asserted.
    pub preferred_username: Option<String>,
    /// Display name as asserted; may be empty.
    pub name: String,
    /// E-mail as asserted; may be empty.
    pub email: String,
    /// Whether the assertion says that it was verified.
    pub email_verified: bool,
    /// Locale as asserted.
    pub locale: Option<String>,
    /// Address to use when the assertion has none: `<id>@<host>.invalid` style.
    pub fallback_email: String,
    /// The derived password, set at creation.
    pub password: SecretText,
    /// Set by an operator's `accounts link`: this very account may be adopted.
    pub adopt: Option<RemoteId>,
}

/// How ensuring an account ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// It is theirs.
    Theirs {
        /// The app's id.
        remote: RemoteId,
        /// What the app now says they are called.
        profile: Profile,
        /// Whether this call made it (then the password is set already).
        created: bool,
    },
    /// Something is in the way: who, and why it is not adopted. For the operator.
    Conflict {
        /// The account in the way.
        remote: Option<RemoteId>,
        /// Why.
        why: String,
    },
}

/// A login.
pub struct SignIn<'a> {
    /// As whom.
    pub remote: &'a RemoteId,
    /// The derived password.
    pub password: &'a SecretText,
    /// The visitor's own User-Agent: the app shows it in *active sessions* and derives the
    /// session's length from it.
    pub user_agent: Option<&'a str>,
    /// The visitor's address, for the app's audit log.
    pub client: Option<IpAddr>,
}

/// A session of the app.
#[derive(Debug, Clone)]
pub struct AppSession {
    /// As whom.
    pub remote: RemoteId,
    /// The credential.
    pub token: AppToken,
    /// The app's current CSRF value; empty when it has none.
    pub csrf: String,
    /// The app's own id of the session.
    pub id: Option<String>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// A session as the app lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// The app's own id of it.
    pub id: String,
    /// When it was opened, by the app's clock.
    pub created_at: Timestamp,
}

/// An account that should be a bot's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotAccount {
    /// The app's id.
    pub remote: RemoteId,
    /// Its user name.
    pub username: String,
    /// Whether it is a bot's, and no person's.
    pub is_bot: bool,
    /// Whether it is neither disabled nor deactivated.
    pub active: bool,
    /// Whether it has no role beyond everybody's.
    pub ordinary: bool,
    /// Whether it is the bridge's own.
    pub own: bool,
}

/// An access token that was just made.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The app's own id of it.
    pub id: String,
    /// The token: shown this once.
    pub token: AppToken,
}

/// An access token as the app lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The app's own id of it.
    pub id: String,
    /// What whoever made it said of it.
    pub description: String,
}

/// What became of an app session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It lives: the 401 was about something else (CSRF).
    Alive,
    /// It is gone and its time was not over: somebody ended it.
    EndedEarly,
    /// It is gone and its time was over.
    Expired,
    /// The account is deactivated.
    Deactivated,
}

/// What an app's server says of itself.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// Length of a session in a browser.
    pub session_length: Duration,
    /// Whether activity extends sessions.
    pub extends: bool,
    /// Whether strict CSRF is on.
    pub strict_csrf: bool,
    /// Users active and the hard limit, when the server has one.
    pub seats: Option<(u64, u64)>,
    /// Settings that bite: key, what is wrong, remedy.
    pub findings: Vec<Finding>,
}

/// One thing an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What it is about: a setting's name, `bot`, `version`.
    pub about: String,
    /// What is wrong and what to do.
    pub text: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It will bite.
    Warning,
    /// It does not work this way.
    Error,
}

/// What a request is to the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Nothing special.
    Plain,
    /// A file of the app's that needs neither account nor session.
    Static,
    /// The WebSocket endpoint.
    Socket,
    /// The app's logout: the bridge answers it.
    Logout,
    /// Owned by the identity provider: refused in the app's dialect.
    Blocked,
    /// A page of the app's own sign-in: redirected to the app's root.
    SignInPage,
    /// May change names or e-mail: its body is judged.
    Identity,
    /// Sent by `sendBeacon`: carries no CSRF header.
    Beacon,
    /// Ends app sessions on the user's order: the bridge looks afterwards which of its own died.
    EndsSessions,
}

/// Names of the cookies that the bridge puts its own values into.
#[derive(Debug, Clone)]
pub struct Cookies {
    /// The session cookie (HttpOnly): `MMAUTHTOKEN`.
    pub session: &'static str,
    /// The readable account id: `MMUSERID`.
    pub user_id: &'static str,
    /// The readable CSRF value: `MMCSRF`.
    pub csrf: &'static str,
}

/// Why an app did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppError {
    /// It does not answer, or answers with what is not its API (HTML, 5xx). Trying again may help.
    #[error("the app does not answer: {0}")]
    Unavailable(String),
    /// It answers too slowly.
    #[error("the app takes too long: {0}")]
    Timeout(String),
    /// Our bot's token is not accepted, or lacks `system_admin`.
    #[error("the bridge's credential is refused: {0}")]
    Credential(String),
    /// The app's user limit.
    #[error("the app has no seat left: {0}")]
    NoSeat(String),
    /// The team's member limit (`MaxUsersPerTeam`).
    #[error("the team is full: {0}")]
    TeamFull(String),
    /// It would leave the app without an administrator.
    #[error("the app would have no administrator left: {0}")]
    LastAdmin(String),
    /// The account is deactivated.
    #[error("the account is deactivated")]
    Deactivated,
    /// The derived password is not accepted (masked 401).
    #[error("the password is not accepted")]
    WrongPassword,
    /// Too many failed logins: the account is locked.
    #[error("the account is locked")]
    Locked,
    /// An administrator's, bot's, remote or foreign-sign-in account: never touched.
    #[error("the account must not be touched: {0}")]
    NotOurs(String),
    /// The account we knew is gone.
    #[error("the account is gone")]
    Gone,
    /// Too many requests; wait so long.
    #[error("the app limits our rate")]
    RateLimited(Duration),
    /// It answered, with an error that no trying again mends.
    #[error("the app refused: {0}")]
    Refused(String),
}

impl AppError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Timeout(_) | Self::RateLimited(_)
        )
    }
}

//! What an operator or a service orders about people, accounts and sessions: the decisions, whoever
//! asks. `cli` and `api` only say them in their own words.
//!
//! - [`people`]: turning a person away, letting them in again.
//! - [`accounts`]: whose account in an app is whose, and making it right now.
//! - [`sessions`]: ending what is signed in.
//!
//! Each order can be tried first (`dry_run`): it then looks, decides, and writes nothing. What was
//! read before is handed in, and what was changed by somebody else since is [`OrderError::Changed`],
//! decided in the store's transaction.

pub mod accounts;
pub mod people;
pub mod sessions;

use crate::error::Refusal;
use crate::store::{By, Store, StoreError};
use crate::types::{AppId, Timestamp, UserId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where orders are taken.
pub struct Desk<'a> {
    /// The records.
    pub store: &'a dyn Store,
    /// What the configuration says.
    pub terms: &'a Terms,
    /// The time.
    pub now: Timestamp,
    /// Who orders: whom the audit trail names.
    pub by: By,
}

/// What the configuration says about an app, as far as orders depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// How long a revoked sign-in stays out (`tombstone`).
    pub tombstone: Duration,
    /// Whether an existing account may be adopted at all (`link` is not `"never"`).
    pub adopts: bool,
}

/// The same, of all apps.
#[derive(Debug, Clone, Default)]
pub struct Terms(BTreeMap<AppId, Term>);

impl FromIterator<(AppId, Term)> for Terms {
    fn from_iter<I: IntoIterator<Item = (AppId, Term)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl Terms {
    /// Those of a configured app.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn of(&self, app: &AppId) -> Result<&Term, OrderError> {
        self.0
            .get(app)
            .ok_or_else(|| OrderError::NoApp(app.clone()))
    }

    /// The configured apps.
    pub fn apps(&self) -> impl Iterator<Item = &AppId> {
        self.0.keys()
    }

    /// The longest time that a tombstone of any app stands.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let all = self.0.values().map(|term| term.tombstone);
        all.max().unwrap_or(Duration::ZERO)
    }
}

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// No such app is configured.
    #[error("there is no app {0}")]
    NoApp(AppId),
    /// The app's configuration says `link = "never"`.
    #[error("the configuration of {0} says link = \"never\": no account is ever adopted")]
    AdoptsNone(AppId),
    /// The account is another person's.
    #[error("the account belongs to the person {0}")]
    Held(UserId),
    /// The same, since a moment ago.
    #[error("the account belongs to another person meanwhile")]
    Taken,
    /// The person has an account already, another one.
    #[error("the person has another account in {0}")]
    HasAnother(AppId),
    /// A directory turns the person away: by whom and why.
    #[error("a directory turns the person away ({0})")]
    Denied(String),
    /// The person is disabled: nothing is made for them.
    #[error("the person is disabled")]
    Disabled,
    /// Somebody else changed what was read.
    #[error("it was changed meanwhile")]
    Changed,
    /// The app would not.
    #[error("{}", .0.reason)]
    Refused(Refusal),
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for OrderError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Changed => Self::Changed,
            StoreError::Taken(_) => Self::Taken,
            other => Self::Store(other),
        }
    }
}

impl From<Refusal> for OrderError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

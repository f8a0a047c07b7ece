//! A directory that can be asked: the one interface that Authentik's and Keycloak's readers have.
//! Nothing here knows the store.

use crate::store::{DirectoryGroup, Person};
use crate::types::{SourceId, Timestamp};
use async_trait::async_trait;
use std::time::Duration;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// Where the next one begins; `None`: this was the last.
    pub next: Option<String>,
    /// How many there are in all, when the directory says so.
    pub total: Option<u64>,
}

/// Why a directory gave no answer that can be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// It does not answer, or with what is not its API.
    #[error("the directory does not answer: {0}")]
    Unavailable(String),
    /// It answers too slowly.
    #[error("the directory takes too long: {0}")]
    Timeout(String),
    /// Our token is not accepted.
    #[error("the bridge's token is refused: {0}")]
    Credential(String),
    /// The token may not read this: what it shows is no whole picture.
    #[error("the bridge's token may not read all that it must: {0}")]
    Permission(String),
    /// It limits our rate; wait so long.
    #[error("the directory limits our rate")]
    RateLimited(Duration),
    /// It answered with what no trying again mends.
    #[error("the directory refused: {0}")]
    Refused(String),
}

impl SourceError {
    /// Whether the same question may be answered later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Timeout(_) | Self::RateLimited(_)
        )
    }
}

/// What changed since a mark: hints, as webhooks are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent {
    /// Ids of people to read again.
    pub people: Vec<String>,
    /// Ids of groups to read again.
    pub groups: Vec<String>,
    /// The mark to go on from; `None`: the directory knows none.
    pub high_water: Option<String>,
    /// Whether this is all that the directory can tell; if not, only a sweep finds the rest.
    pub whole: bool,
}

/// What a directory is found to lack; for `check`, the log and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Whether it makes what we read unreliable.
    pub serious: bool,
    /// What it is about: `token`, `permission`, `version` …
    pub about: &'static str,
    /// What is wrong and what to do.
    pub text: String,
}

/// A directory that can be asked. An answer `Ok(None)` is the directory's own clear word that the
/// asked-for does not exist; whatever is unclear is an error, so that nobody loses access by it.
#[async_trait]
pub trait Source: Send + Sync {
    /// Which one.
    fn id(&self) -> &SourceId;

    /// One person by the source's own id, with inherited groups.
    ///
    /// # Errors
    /// When there is no clear answer.
    async fn person(&self, id: &str) -> Result<Option<Person>, SourceError>;

    /// One person by user name, for what an operator types.
    ///
    /// # Errors
    /// As above.
    async fn person_by_username(&self, username: &str) -> Result<Option<Person>, SourceError>;

    /// All people, in an order that does not change, from a page on.
    ///
    /// # Errors
    /// As above.
    async fn people(&self, from: Option<&str>) -> Result<Page<Person>, SourceError>;

    /// One group by the source's own id.
    ///
    /// # Errors
    /// As above.
    async fn group(&self, id: &str) -> Result<Option<DirectoryGroup>, SourceError>;

    /// All groups, from a page on.
    ///
    /// # Errors
    /// As above.
    async fn groups(&self, from: Option<&str>) -> Result<Page<DirectoryGroup>, SourceError>;

    /// Ids of the people who are in a group directly.
    ///
    /// # Errors
    /// As above.
    async fn members(&self, group: &str) -> Result<Vec<String>, SourceError>;

    /// Who and what changed since the mark of an earlier answer. The default knows nothing, so that
    /// everything is read.
    ///
    /// # Errors
    /// As above.
    async fn recent(&self, _mark: Option<&str>) -> Result<Recent, SourceError> {
        Ok(Recent::default())
    }

    /// Looks whether the token lives on and may read all that it must.
    ///
    /// # Errors
    /// When the directory does not answer at all.
    async fn look(&self) -> Result<Vec<Remark>, SourceError>;

    /// When the newest change to a person or group happened that the directory's own event log has,
    /// and that a webhook should have told us of; `None` when it keeps none, or it is empty. Compared
    /// with what was heard, it shows that webhooks no longer arrive.
    ///
    /// # Errors
    /// As above.
    async fn newest_change(&self) -> Result<Option<Timestamp>, SourceError> {
        Ok(None)
    }
}

//! What directories say of people and groups, as the store keeps it: one record a source and person,
//! beside (never in) the shadow user. What lives here: the records and the trait that both engines
//! implement. What does not: what follows from them (`directory::standing`), and how they are read
//! (`directory::authentik` …).
//!
//! A **source** is a configured directory (`[[directories]]`) or SCIM connection. Each keeps its own
//! word about a person; several words are joined only when a decision is made, and then a word that
//! denies wins.

use super::{By, Result};
use crate::types::{IssuerId, SourceId, Subject, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What one source says of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who says it.
    pub source: SourceId,
    /// The source's own immutable id of them: Authentik's `pk`, Keycloak's `id`, the SCIM `id`.
    pub id: String,
    /// Other ids that the source has for them, to be found by: `uid:…`, `uuid:…`, `external:…`.
    pub aliases: Vec<String>,
    /// Who vouches for the subject.
    pub issuer: IssuerId,
    /// Whom assertions name, by the source's subject rule; `None` when it can't be known (yet).
    pub subject: Option<Subject>,
    /// User name; an attribute, never a key.
    pub username: String,
    /// Display name; may be empty.
    pub name: String,
    /// E-mail address; may be empty.
    pub email: String,
    /// Whether the source vouches for the address.
    pub email_verified: bool,
    /// BCP 47 tag.
    pub locale: Option<String>,
    /// Whether they may sign in at all.
    pub active: bool,
    /// Whether it is a person; service accounts get no account.
    pub human: bool,
    /// Ids of the groups they are in, inherited ones included, sorted.
    pub groups: Vec<String>,
    /// When the source was asked, or told us. An older word never replaces a newer one.
    pub read_at: Timestamp,
    /// Since when the source has said that they do not exist (any more).
    pub gone_at: Option<Timestamp>,
}

/// What one source says of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryGroup {
    /// Who says it.
    pub source: SourceId,
    /// The source's own immutable id: UUID with dashes where it is one.
    pub id: String,
    /// Its name, which may change and be used again.
    pub name: String,
    /// Ids of the groups it is in, directly.
    pub parents: Vec<String>,
    /// When the source was asked.
    pub read_at: Timestamp,
    /// Since when it has been gone.
    pub gone_at: Option<Timestamp>,
}

/// How a source is doing; kept so that a restart goes on where it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceState {
    /// When the last complete sweep began.
    pub swept_at: Option<Timestamp>,
    /// When anything was last read successfully.
    pub answered_at: Option<Timestamp>,
    /// When the last webhook or SCIM request arrived ([`DirectoryStore::heard`]).
    pub heard_at: Option<Timestamp>,
    /// When the transport test last arrived ([`DirectoryStore::heard`]).
    pub tested_at: Option<Timestamp>,
    /// Where an interrupted sweep goes on; the reader's own text.
    pub cursor: Option<String>,
    /// The newest event of the source's own log that was looked at.
    pub high_water: Option<String>,
    /// What went wrong last; empty when nothing.
    pub error: String,
}

/// What became of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It was new or said something else: what was there before.
    Changed(Option<Box<Person>>),
    /// It said what was known; its time is kept.
    Same,
    /// It is older than what is known, and was dropped.
    Older,
}

/// A page of people, by id.
#[derive(Debug, Clone, Default)]
pub struct PersonFilter {
    /// Only what this source says.
    pub source: Option<SourceId>,
    /// Only who is in this group.
    pub group: Option<String>,
    /// Only whose word is older than this.
    pub read_before: Option<Timestamp>,
    /// Whether those who are gone are left out.
    pub present: bool,
    /// After this (source, id).
    pub after: Option<(SourceId, String)>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

/// What directories say.
#[async_trait]
pub trait DirectoryStore: Send + Sync {
    /// Takes in a word. When it says something else than what was known, appends `Revoked::Person`
    /// of its subject (and of the subject it had before) to the log in the same transaction, so that
    /// every replica judges anew.
    async fn put_person(&self, person: &Person, now: Timestamp, by: &By) -> Result<Put>;

    /// What a source says of one person.
    async fn person(&self, source: &SourceId, id: &str) -> Result<Option<Person>>;

    /// The same, by another id of theirs; `None` as well when two people have it.
    async fn person_by_alias(&self, source: &SourceId, alias: &str) -> Result<Option<Person>>;

    /// All that is said of a subject.
    async fn people_of(&self, issuer: &IssuerId, subject: &Subject) -> Result<Vec<Person>>;

    /// A page of people.
    async fn people(&self, filter: &PersonFilter) -> Result<Vec<Person>>;

    /// Forgets a word; appends to the log as [`Self::put_person`] does.
    async fn forget_person(
        &self,
        source: &SourceId,
        id: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<()>;

    /// Takes in a group; gives what was known when it says something else. Another name, other
    /// parents or its end append `Revoked::Groups` to the log.
    async fn put_group(
        &self,
        group: &DirectoryGroup,
        now: Timestamp,
    ) -> Result<Option<Option<DirectoryGroup>>>;

    /// All groups of a source, gone ones included, by id.
    async fn groups(&self, source: &SourceId) -> Result<Vec<DirectoryGroup>>;

    /// How a source is doing; the default when nothing is known.
    async fn source_state(&self, source: &SourceId) -> Result<SourceState>;

    /// Writes it back, but for `heard_at` and `tested_at`: whoever reads and whoever listens write at
    /// the same time, and neither undoes the other.
    async fn put_source_state(&self, source: &SourceId, state: &SourceState) -> Result<()>;

    /// Something arrived from a source, the transport test if `tested`. Never moves back.
    async fn heard(&self, source: &SourceId, at: Timestamp, tested: bool) -> Result<()>;
}

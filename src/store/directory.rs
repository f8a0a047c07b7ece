//! What directories say of people and groups, as the store keeps it: one record a source and person,
//! beside (never in) the shadow user. What lives here: the records and the trait that both engines
//! implement. What does not: what follows from them (`directory::standing`), and how they are read
//! (`directory::authentik` …).
//!
//! A **source** is a configured directory (`[[directories]]`) or SCIM connection. Each keeps its own
//! word about a person; several words are joined only when a decision is made, and then a word that
//! denies wins.

use super::jobs::CLOCKS_DIFFER;
use super::rules::plain;
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

impl Person {
    /// Whether the word turns its subject away: they may not sign in, or are gone.
    #[must_use]
    pub const fn denies(&self) -> bool {
        !self.active || self.gone_at.is_some()
    }

    /// As the store keeps it: lists sorted, none twice, and nothing that an engine can't hold. Being
    /// told again that somebody is gone moves no date.
    pub(crate) fn as_kept(&self, before: Option<&Self>) -> Self {
        let text = |text: &String| plain(text).into_owned();
        let set = |texts: &[String]| {
            let mut texts: Vec<String> = texts.iter().map(text).collect();
            texts.sort_unstable();
            texts.dedup();
            texts
        };
        let known = before.and_then(|before| before.gone_at);
        Self {
            id: text(&self.id),
            aliases: set(&self.aliases),
            username: text(&self.username),
            name: text(&self.name),
            email: text(&self.email),
            locale: self.locale.as_ref().map(text),
            groups: set(&self.groups),
            gone_at: self.gone_at.map(|at| known.unwrap_or(at)),
            ..self.clone()
        }
    }

    /// Whether two words say the same, whenever they were said.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        let read_at = other.read_at;
        Self {
            read_at,
            ..self.clone()
        } == *other
    }
}

/// A word as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Word {
    /// What was said.
    #[serde(flatten)]
    pub person: Person,
    /// Since when it has turned them away without a break, by our clock; `None`: it does not.
    pub denied_since: Option<Timestamp>,
    /// Raised whenever it says something else.
    pub number: i64,
    /// Whether what follows from it was done ([`DirectoryStore::settle`]).
    pub settled: bool,
}

/// All that decides about a subject, of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidOf {
    /// Who vouches.
    pub issuer: IssuerId,
    /// Whom for.
    pub subject: Subject,
    /// What directories say, by source and id.
    pub words: Vec<Word>,
    /// When an operator last let them in again: what was denied before is forgiven.
    pub pardoned_at: Option<Timestamp>,
}

impl SaidOf {
    /// Whether an operator has forgiven what was denied since then. What came in the very second of
    /// their order is not: it may have come after it.
    #[must_use]
    pub fn forgives(&self, since: Timestamp) -> bool {
        self.pardoned_at.is_some_and(|at| since < at)
    }

    /// Words that turn them away and that nobody has forgiven.
    pub fn denials(&self) -> impl Iterator<Item = &Word> {
        let stands = |word: &&Word| word.person.denies() && !self.forgives(word.since());
        self.words.iter().filter(stands)
    }
}

impl Word {
    /// Since when it has said what it says of their coming in, by our clock.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.denied_since.unwrap_or(self.person.read_at)
    }

    /// The word that follows on what was known, if it is a newer one.
    pub(super) fn after(before: Option<&Self>, said: &Person, now: Timestamp) -> Next {
        let person = said.as_kept(before.map(|word| &word.person));
        let Some(before) = before else {
            return Next::Says(Self {
                denied_since: person.denies().then_some(now),
                person,
                number: 1,
                settled: false,
            });
        };
        if is_older(person.read_at, before.person.read_at, now) {
            return Next::Older;
        }
        if person.says_as(&before.person) {
            return Next::Same;
        }
        // Another reason to turn somebody away begins anew: an operator who forgave the former one
        // did not forgive this.
        let same_denial = before.person.active == person.active
            && before.person.gone_at.is_some() == person.gone_at.is_some();
        let since = if same_denial {
            before.denied_since
        } else {
            None
        };
        Next::Says(Self {
            denied_since: person.denies().then(|| since.unwrap_or(now)),
            person,
            number: before.number + 1,
            settled: false,
        })
    }
}

/// Whether something was said before what is known was. What is known of a time that has not come yet
/// was written down by a clock that was ahead: it must not keep newer words out until that time comes.
fn is_older(said: Timestamp, known: Timestamp, now: Timestamp) -> bool {
    said < known && !ahead(known, Some(now))
}

/// Whether a time has not come yet, and by more than clocks differ.
fn ahead(at: Timestamp, now: Option<Timestamp>) -> bool {
    now.is_some_and(|now| at.0 > now.0.saturating_add(CLOCKS_DIFFER))
}

/// What a word is to what was known.
#[expect(
    clippy::large_enum_variant,
    reason = "made and taken apart in one transaction, never kept"
)]
pub(super) enum Next {
    /// It says this.
    Says(Word),
    /// The same.
    Same,
    /// It is older.
    Older,
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

impl DirectoryGroup {
    /// As [`Person::as_kept`].
    pub(crate) fn as_kept(&self, before: Option<&Self>) -> Self {
        let mut parents: Vec<String> = self.parents.iter().map(|p| plain(p).into_owned()).collect();
        parents.sort_unstable();
        parents.dedup();
        let known = before.and_then(|before| before.gone_at);
        Self {
            id: plain(&self.id).into_owned(),
            name: plain(&self.name).into_owned(),
            parents,
            gone_at: self.gone_at.map(|at| known.unwrap_or(at)),
            ..self.clone()
        }
    }

    /// Whether it comes too late.
    pub(super) fn is_older(&self, before: &Self, now: Timestamp) -> bool {
        is_older(self.read_at, before.read_at, now)
    }

    /// Whether it says what `before` said, or comes too late.
    pub(super) fn adds_nothing(&self, before: &Self, now: Timestamp) -> bool {
        let read_at = before.read_at;
        self.is_older(before, now)
            || Self {
                read_at,
                ..self.clone()
            } == *before
    }
}

/// How a source is doing; kept so that a restart goes on where it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceState {
    /// When the last complete sweep began: every word of the source that stands was said or
    /// confirmed then or later.
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

impl SourceState {
    /// What is kept when a reader writes this over `before`. Whoever says when they were answered says
    /// what time it is: later times are a clock's that was ahead.
    pub(super) fn after(&self, before: &Self) -> Self {
        let swept_at = before.swept_at.filter(|at| !ahead(*at, self.answered_at));
        let answered_at = before
            .answered_at
            .filter(|at| !ahead(*at, self.answered_at));
        Self {
            swept_at: self.swept_at.max(swept_at),
            answered_at: self.answered_at.max(answered_at),
            heard_at: before.heard_at,
            tested_at: before.tested_at,
            ..self.clone()
        }
    }

    /// What is kept once something arrived.
    pub(super) fn having_heard(&self, at: Timestamp, tested: bool) -> Self {
        let believed = |known: Option<Timestamp>| known.filter(|known| !ahead(*known, Some(at)));
        Self {
            heard_at: believed(self.heard_at).max(Some(at)),
            tested_at: if tested {
                believed(self.tested_at).max(Some(at))
            } else {
                self.tested_at
            },
            ..self.clone()
        }
    }
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
    /// Only words from which not all that follows was done.
    pub unsettled: bool,
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

    /// All that decides about each of these subjects, in their order.
    async fn said_of(&self, whom: &[(IssuerId, Subject)]) -> Result<Vec<SaidOf>>;

    /// What followed from these words was done, as far as they still are what was read (their
    /// numbers).
    async fn settle(&self, words: &[Word]) -> Result<()>;

    /// A page of words.
    async fn words(&self, filter: &PersonFilter) -> Result<Vec<Word>>;

    /// A page of people.
    async fn people(&self, filter: &PersonFilter) -> Result<Vec<Person>> {
        let words = self.words(filter).await?;
        Ok(words.into_iter().map(|word| word.person).collect())
    }

    /// Forgets a word; appends to the log as [`Self::put_person`] does.
    async fn forget_person(
        &self,
        source: &SourceId,
        id: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<()>;

    /// Takes in a group; gives what was known when it says something else. Another name, other
    /// parents or its end append `Revoked::Groups` to the log, and unsettle the words that name it.
    async fn put_group(
        &self,
        group: &DirectoryGroup,
        now: Timestamp,
    ) -> Result<Option<Option<DirectoryGroup>>>;

    /// All groups of a source, gone ones included, by id.
    async fn groups(&self, source: &SourceId) -> Result<Vec<DirectoryGroup>>;

    /// The groups of all sources, by source and id.
    async fn all_groups(&self) -> Result<Vec<DirectoryGroup>>;

    /// How a source is doing; the default when nothing is known.
    async fn source_state(&self, source: &SourceId) -> Result<SourceState>;

    /// The sources that anything is known of, with how they are doing.
    async fn source_states(&self) -> Result<Vec<(SourceId, SourceState)>>;

    /// Writes it back, but for `heard_at` and `tested_at`: whoever reads and whoever listens write at
    /// the same time, and neither undoes the other. Its times never go back, but for those of a clock that was ahead. A later `swept_at`
    /// appends `Revoked::Groups` to the log: what the source said is fresh again.
    async fn put_source_state(&self, source: &SourceId, state: &SourceState) -> Result<()>;

    /// Something arrived from a source, the transport test if `tested`. Never moves back.
    async fn heard(&self, source: &SourceId, at: Timestamp, tested: bool) -> Result<()>;
}

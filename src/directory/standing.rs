//! What follows from all that directories say about a subject: whether they are turned away, and
//! which groups they are in by whose word and how fresh. Pure: no store, no clock.
//!
//! - A word that denies (inactive, gone, an id that moved) turns the subject away, however old it is
//!   and whatever another source or the newest assertion says (T10). Only its own source takes it
//!   back, by a newer word about the same id; or an operator, who forgives what was denied until then.
//! - Of one id that is gone its subject stays gone: another id with the same subject is another
//!   person, whom an operator must let in (T33).
//! - Words that do not deny count while they are fresh: confirmed within the maximum age.

use super::index::{GroupNumber, Index, SourceNumber};
use crate::store::SaidOf;
use crate::types::{SourceId, Timestamp};
use serde::Serialize;

/// How far replicas' clocks may differ, in seconds.
const CLOCKS_DIFFER: i64 = 60;

/// The alias that marks a word whose id stands for another subject than the one it is kept under.
pub(super) const MOVED: &str = "moved-to:";

/// Why a directory turns somebody away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// They may not sign in at the moment.
    Inactive,
    /// They do not exist any more.
    Gone,
    /// Their id stands for another subject now: whose accounts are whose, an operator must say.
    Moved,
}

impl Why {
    /// For the record of a state, and for lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive in the directory",
            Self::Gone => "gone from the directory",
            Self::Moved => "the directory's id stands for another subject",
        }
    }
}

/// A directory's *no*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// Whose.
    pub source: SourceId,
    /// Why.
    pub why: Why,
    /// Since when, by our clock.
    pub since: Timestamp,
}

/// What directories say of somebody as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// None knows them.
    Unknown,
    /// At least one says that they are there and may sign in, and none denies it.
    Present,
    /// Turned away.
    Denied(Box<Denial>),
}

/// One word that counts: of a source that says that they are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) source: SourceNumber,
    pub(super) read_at: Timestamp,
    /// Sorted.
    pub(super) groups: Box<[GroupNumber]>,
}

/// What follows from all words about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// As a whole.
    pub verdict: Verdict,
    /// Whether every word is about a person: a service account gets no account.
    pub human: bool,
    pub(super) said: Box<[Said]>,
}

impl Standing {
    /// What follows from these words. Groups that were never heard of get a number.
    #[must_use]
    pub fn of(said: &SaidOf, index: &mut Index) -> Self {
        let mut denial: Option<Denial> = None;
        let mut present = Vec::new();
        for word in &said.words {
            let person = &word.person;
            if person.denies() {
                let since = word.since();
                let why = match person.gone_at {
                    _ if person.aliases.iter().any(|a| a.starts_with(MOVED)) => Why::Moved,
                    Some(_) => Why::Gone,
                    None => Why::Inactive,
                };
                let forgiven = said.forgives(since);
                let worse = |known: &Denial| why == Why::Gone && known.why != Why::Gone;
                if !forgiven && denial.as_ref().is_none_or(worse) {
                    denial = Some(Denial {
                        source: person.source.clone(),
                        why,
                        since,
                    });
                }
                continue;
            }
            let source = index.source(&person.source);
            let mut groups: Vec<_> = person
                .groups
                .iter()
                .map(|id| index.number(source, id))
                .collect();
            groups.sort_unstable();
            present.push(Said {
                source,
                read_at: person.read_at,
                groups: groups.into(),
            });
        }
        let verdict = match denial {
            Some(denial) => Verdict::Denied(Box::new(denial)),
            None if present.is_empty() => Verdict::Unknown,
            None => Verdict::Present,
        };
        Self {
            verdict,
            human: said.words.iter().all(|word| word.person.human),
            said: present.into(),
        }
    }

    /// Who turns them away, if somebody does.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match &self.verdict {
            Verdict::Denied(denial) => Some(denial),
            Verdict::Unknown | Verdict::Present => None,
        }
    }

    /// Whether this source says that they are there and may sign in.
    #[must_use]
    pub fn is_present_at(&self, source: &SourceId, index: &Index) -> bool {
        let of = |said: &Said| {
            index
                .known_source(said.source)
                .is_some_and(|s| s.id == *source)
        };
        self.said.iter().any(of)
    }

    /// Each word that counts, with the names of its groups: for whoever asks why.
    #[must_use]
    pub fn shown(&self, index: &Index, now: Timestamp) -> Vec<ShownWord> {
        let said = self.said.iter().filter_map(|said| {
            let source = index.known_source(said.source)?;
            let groups = said.groups.iter().filter_map(|number| {
                let group = index.group(*number)?;
                Some(ShownGroup {
                    id: group.id.to_string(),
                    name: group.name.to_string(),
                    gone: group.gone,
                })
            });
            Some(ShownWord {
                source: source.id.clone(),
                read_at: said.confirmed_at(index),
                age: now.since(said.confirmed_at(index)).as_secs(),
                groups: groups.collect(),
            })
        });
        said.collect()
    }
}

/// A word as it is explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownWord {
    /// Whose.
    pub source: SourceId,
    /// When it was said or last confirmed.
    pub read_at: Timestamp,
    /// How old that is, in seconds.
    pub age: u64,
    /// In which groups they are.
    pub groups: Vec<ShownGroup>,
}

/// A group as it is explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownGroup {
    /// The source's own id.
    pub id: String,
    /// Its name; empty when only the id was heard of.
    pub name: String,
    /// Whether the source says that it exists no more.
    pub gone: bool,
}

#[cfg(test)]
impl Standing {
    /// Bytes beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        let said = self.said.iter().map(|said| size_of_val(&*said.groups));
        size_of_val(&*self.said) + said.sum::<usize>()
    }
}

impl Said {
    /// When it was said, or all words of its source were confirmed.
    pub(super) fn confirmed_at(&self, index: &Index) -> Timestamp {
        let swept = index.known_source(self.source).and_then(|s| s.swept_at);
        swept.map_or(self.read_at, |at| at.max(self.read_at))
    }

    /// Whether it bears a time that has not come yet: a clock that was ahead wrote it. How old it is
    /// can't be told, so it gives nothing; what it denies, it denies.
    pub(super) fn is_ahead(&self, index: &Index, now: Timestamp) -> bool {
        self.confirmed_at(index).0 > now.0.saturating_add(CLOCKS_DIFFER)
    }

    /// Whether its source only tells, and can't be asked.
    pub(super) fn is_pushed(&self, index: &Index) -> bool {
        index
            .known_source(self.source)
            .is_some_and(|source| source.pushes)
    }

    pub(super) fn is_in(&self, group: GroupNumber) -> bool {
        self.groups.binary_search(&group).is_ok()
    }
}

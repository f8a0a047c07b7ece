//! Reads all that a directory says. A list is no proof that somebody is gone: it may be partial, and
//! who moved from page to page while it was read is on none. So whoever is on record and missing in
//! the list is asked for by themselves, and only the directory's own word that there is no such
//! person counts.

use crate::directory::source::{Source, SourceError};
use crate::store::{DirectoryGroup, DirectoryStore, Person, PersonFilter, StoreError};
use crate::types::{Clock, SourceId, Timestamp};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::BTreeMap;

/// Questions about single people at once.
const AT_ONCE: usize = 4;
/// Pages of a list that are read before it is believed to have no end.
const MOST_PAGES: usize = 10_000;
/// Words read from the store at once.
const STORE_PAGE: u32 = 500;

/// People and groups by the directory's own ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    /// People; whoever is gone has a word that says so.
    pub people: BTreeMap<String, Person>,
    /// Groups, likewise.
    pub groups: BTreeMap<String, DirectoryGroup>,
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many groups were read.
    Groups(u64),
    /// So many people were read, of so many when the directory says how many there are.
    People(u64, Option<u64>),
    /// So many of those whom the list lacks were asked for, of so many.
    Missing(u64, u64),
    /// So many steps of the plan were carried out, of so many.
    Steps(u64, u64),
}

/// Told how far a sweep is.
pub type Teller<'a> = &'a (dyn Fn(Progress) + Sync);

/// Why a sweep ended without a plan.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The directory gave no clear answer: nothing follows from it.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl World {
    /// What is on record of a source.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn known(store: &dyn DirectoryStore, source: &SourceId) -> Result<Self, StoreError> {
        let mut known = Self::default();
        let mut filter = PersonFilter {
            source: Some(source.clone()),
            limit: STORE_PAGE,
            ..PersonFilter::default()
        };
        loop {
            let page = store.people(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some((last.source.clone(), last.id.clone()));
            known.people.extend(page.into_iter().map(by_id));
        }
        for group in store.groups(source).await? {
            known.groups.insert(group.id.clone(), group);
        }
        Ok(known)
    }

    /// What the directory says now, of everybody it lists and everybody in `known`.
    ///
    /// # Errors
    /// When any answer is missing or unclear: half a picture is none.
    pub async fn read(
        source: &dyn Source,
        known: &Self,
        clock: &dyn Clock,
        tell: Teller<'_>,
    ) -> Result<Self, SourceError> {
        let mut world = Self::default();
        // Groups first: whoever joined one meanwhile is read after it.
        let mut from: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = source.groups(from.as_deref()).await?;
            for mut group in page.items {
                group.read_at = listed_at(group.read_at);
                world.groups.insert(group.id.clone(), group);
            }
            tell(Progress::Groups(count(world.groups.len())));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        ended(&from, "groups")?;
        for _ in 0..MOST_PAGES {
            let page = source.people(from.as_deref()).await?;
            let listed = page.items.into_iter().map(|person| Person {
                read_at: listed_at(person.read_at),
                ..person
            });
            world.people.extend(listed.map(by_id));
            tell(Progress::People(count(world.people.len()), page.total));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        ended(&from, "people")?;
        world.ask_for_missing(source, known, clock, tell).await?;
        Ok(world)
    }

    async fn ask_for_missing(
        &mut self,
        source: &dyn Source,
        known: &Self,
        clock: &dyn Clock,
        tell: Teller<'_>,
    ) -> Result<(), SourceError> {
        for (id, group) in &known.groups {
            if self.groups.contains_key(id) {
                continue;
            }
            let now = clock.now();
            let found = match group.gone_at {
                Some(_) => None,
                None => source.group(id).await?,
            };
            let word = found.unwrap_or_else(|| group_gone(group, now));
            self.groups.insert(id.clone(), word);
        }
        let missing: Vec<&Person> = (known.people.iter())
            .filter(|(id, _)| !self.people.contains_key(*id))
            .map(|(_, person)| person)
            .collect();
        let of = count(missing.iter().filter(|p| p.gone_at.is_none()).count());
        let mut asked = 0;
        let mut questions = Vec::with_capacity(missing.len());
        for person in missing {
            questions.push(ask_for(source, person, clock));
        }
        let mut answers = stream::iter(questions).buffer_unordered(AT_ONCE);
        while let Some(word) = answers.try_next().await? {
            if of > 0 && asked < of {
                asked += 1;
                tell(Progress::Missing(asked, of));
            }
            self.people.insert(word.id.clone(), word);
        }
        Ok(())
    }
}

/// What the directory says of one person on record.
async fn ask_for(
    source: &dyn Source,
    person: &Person,
    clock: &dyn Clock,
) -> Result<Person, SourceError> {
    let now = clock.now();
    let found = match person.gone_at {
        // Who is gone does not come back under the same id, unless the list says so.
        Some(_) => None,
        None => source.person(&person.id).await?,
    };
    Ok(found.unwrap_or_else(|| gone(person, now)))
}

/// The word about somebody whom the directory says it does not have.
#[must_use]
pub fn gone(before: &Person, now: Timestamp) -> Person {
    Person {
        active: false,
        groups: Vec::new(),
        read_at: now,
        gone_at: before.gone_at.or(Some(now)),
        ..before.clone()
    }
}

/// The same about a group.
#[must_use]
pub fn group_gone(before: &DirectoryGroup, now: Timestamp) -> DirectoryGroup {
    DirectoryGroup {
        parents: Vec::new(),
        read_at: now,
        gone_at: before.gone_at.or(Some(now)),
        ..before.clone()
    }
}

fn ended(next: &Option<String>, what: &str) -> Result<(), SourceError> {
    match next {
        None => Ok(()),
        Some(_) => Err(SourceError::Refused(format!(
            "its list of {what} has no end after {MOST_PAGES} pages"
        ))),
    }
}

/// When a list is taken to have been read. Times are whole seconds, and a list is carried out long after
/// it was asked for: what was asked about one by one in the same second is newer, so that nobody is let
/// in by a page that was printed just before they were turned away.
fn listed_at(asked_at: Timestamp) -> Timestamp {
    Timestamp(asked_at.0.saturating_sub(1))
}

fn by_id(person: Person) -> (String, Person) {
    (person.id.clone(), person)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(in crate::reconcile) mod tests;

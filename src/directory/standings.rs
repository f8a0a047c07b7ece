//! The standings of this replica: what directories say of everybody, in memory, read from the store
//! at start and kept current by the revocation log. The road looks here on every request: one
//! look-up, no allocation, never the store.

use super::gate::View;
use super::index::Index;
use super::standing::{Standing, Verdict};
use crate::store::{PersonFilter, Result, SaidOf, Store};
use crate::types::{IssuerId, Subject};
use parking_lot::RwLock;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Words read at once.
const PAGE: u32 = 500;

/// See the module.
#[derive(Debug, Default)]
pub struct Standings(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    index: Index,
    people: HashMap<IssuerId, HashMap<Subject, Arc<Standing>>>,
}

impl Inner {
    fn set(&mut self, said: &SaidOf) {
        let standing = Standing::of(said, &mut self.index);
        let people = self.people.entry(said.issuer.clone()).or_default();
        // Whoever nobody speaks of takes no room.
        if standing.verdict == Verdict::Unknown {
            people.remove(&said.subject);
        } else {
            people.insert(said.subject.clone(), Arc::new(standing));
        }
    }
}

impl Standings {
    /// Asks something about a subject. Called on every request: whatever is asked must be quick.
    pub fn ask<T>(
        &self,
        issuer: &IssuerId,
        subject: &Subject,
        question: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let inner = self.0.read();
        let people = inner.people.get(issuer);
        let standing = people.and_then(|people| people.get(subject));
        question(&View {
            standing: standing.map(|standing| &**standing),
            index: &inner.index,
        })
    }

    /// How many people directories speak of.
    pub fn count(&self) -> usize {
        self.0.read().people.values().map(HashMap::len).sum()
    }

    /// Reads everything anew. What was known before stays until all is read.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn load(&self, store: &dyn Store) -> Result<()> {
        let mut fresh = Inner {
            index: read_index(store).await?,
            people: HashMap::new(),
        };
        let mut filter = PersonFilter {
            limit: PAGE,
            ..PersonFilter::default()
        };
        // Those with more than one word, or one that an operator may have forgiven, are read whole.
        let mut once = HashSet::new();
        let mut whole = HashSet::new();
        loop {
            let page = store.words(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some((last.person.source.clone(), last.person.id.clone()));
            for word in page {
                let Some(subject) = word.person.subject.clone() else {
                    continue;
                };
                let whom = (word.person.issuer.clone(), subject);
                if word.person.denies() || !once.insert(whom.clone()) {
                    whole.insert(whom);
                    continue;
                }
                fresh.set(&SaidOf {
                    issuer: whom.0,
                    subject: whom.1,
                    words: vec![word],
                    pardoned_at: None,
                });
            }
        }
        drop(once);
        let whole: Vec<_> = whole.into_iter().collect();
        for some in whole.chunks(PAGE as usize) {
            for said in store.said_of(some).await? {
                fresh.set(&said);
            }
        }
        *self.0.write() = fresh;
        Ok(())
    }

    /// Reads what is said of these subjects anew.
    ///
    /// # Errors
    /// When the store does not answer: what was known stays.
    pub async fn refresh(&self, store: &dyn Store, whom: &[(IssuerId, Subject)]) -> Result<()> {
        for some in whom.chunks(PAGE as usize) {
            let all = store.said_of(some).await?;
            let mut inner = self.0.write();
            for said in &all {
                inner.set(said);
            }
        }
        Ok(())
    }

    /// Reads groups, and how fresh the sources' words are, anew.
    ///
    /// # Errors
    /// When the store does not answer: what was known stays.
    pub async fn refresh_groups(&self, store: &dyn Store) -> Result<()> {
        let (groups, states) = (store.all_groups().await?, store.source_states().await?);
        self.0.write().index.update(&groups, &states);
        Ok(())
    }
}

/// What the store knows of groups and sources.
pub(super) async fn read_index(store: &dyn Store) -> Result<Index> {
    let (groups, states) = (store.all_groups().await?, store.source_states().await?);
    Ok(Index::of(&groups, &states))
}

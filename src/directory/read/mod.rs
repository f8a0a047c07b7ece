//! Carries out `read` jobs: asks a directory again about what a hint named, and hands its word over.
//!
//! Nothing but the directory's own clear word says that somebody is gone: a list that lacks them is a
//! reason to ask, one by one. A directory that does not answer, or whose answer can't be trusted,
//! changes nothing for anybody: the job is tried again later, however long that takes when it is our
//! token that lacks something, and an alarm says so.
//!
//! Many people are never read within one job: each gets a wish of their own, which is durable, joined
//! by others about the same person, and as urgent as this one. How many questions a directory is asked
//! at once is the reader's own limit (`reads`).
//!
//! `groups` reads groups and finds whom that concerns, `outcome` says what a failure means for a job.

mod groups;
mod outcome;
#[cfg(test)]
mod tests;

use super::intake::{Intake, Took};
use super::source::{Source, SourceError};
use super::sources::Sources;
use crate::jobs::wish::{self, ToRead};
use crate::jobs::{Handler, Outcome};
use crate::store::{DirectoryGroup, Job, NewJob, Person, Priority, Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::types::{Clock, SourceId, Timestamp};
use async_trait::async_trait;
use outcome::Failure;
pub(crate) use outcome::counted;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Wishes put on record together.
const BATCH: usize = 500;
/// When somebody is asked about again whose word came behind a newer one.
const OVERTAKEN: Duration = Duration::from_secs(5);
/// How often it is written down that a directory answers.
const TELL: Duration = Duration::from_secs(30);

/// Where words go: what follows from them is decided there.
#[async_trait]
pub trait TakesIn: Send + Sync {
    /// Takes in a word about a person; `false` when it was dropped, since a newer one is known.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn person(&self, word: Person, why: &str) -> Result<bool, StoreError>;

    /// Takes in a group; whether it says something else than before.
    ///
    /// # Errors
    /// As above.
    async fn group(&self, group: &DirectoryGroup, why: &str) -> Result<bool, StoreError>;

    /// Does again what follows from a word that is on record.
    ///
    /// # Errors
    /// As above.
    async fn again(&self, word: &Person, why: &str) -> Result<(), StoreError>;
}

#[async_trait]
impl TakesIn for Intake {
    async fn person(&self, word: Person, why: &str) -> Result<bool, StoreError> {
        let taken = self.take_in(word, why).await?;
        Ok(taken.took != Took::Older)
    }

    async fn group(&self, group: &DirectoryGroup, why: &str) -> Result<bool, StoreError> {
        Ok(self.take_in_group(group, why).await?.changed)
    }

    async fn again(&self, word: &Person, why: &str) -> Result<(), StoreError> {
        match &word.subject {
            Some(subject) => self.recheck(&word.issuer, subject, why).await,
            // About nobody: nothing follows.
            None => Ok(()),
        }
    }
}

/// See the module.
pub struct Reader {
    sources: Arc<Sources>,
    store: Arc<dyn Store>,
    intake: Arc<dyn TakesIn>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// What was last written down of each directory: when it answered, what went wrong.
    told: Mutex<HashMap<SourceId, (Timestamp, String)>>,
}

impl Reader {
    /// Asks these, hands over there.
    #[must_use]
    pub fn new(
        sources: Arc<Sources>,
        store: Arc<dyn Store>,
        intake: Arc<dyn TakesIn>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self {
            sources,
            store,
            intake,
            clock,
            metrics,
            told: Mutex::default(),
        }
    }

    async fn read(&self, source: &dyn Source, job: &Job, what: &ToRead) -> Result<(), Failure> {
        let task = Task {
            reader: self,
            source,
            priority: job.priority,
            why: &job.why,
        };
        match what {
            ToRead::Person { id } => task.person(id).await,
            ToRead::Group { id } => task.group(id).await,
            ToRead::Groups => task.groups().await,
            ToRead::Recent => task.recent().await,
        }
    }

    /// Puts on record how a directory is doing, when that is news.
    async fn tell(&self, source: &SourceId, error: &str) {
        let now = self.clock.now();
        let news = {
            let mut told = self.told.lock();
            let known = told.get(source);
            let news = known.is_none_or(|(at, was)| {
                was != error || (error.is_empty() && now.since(*at) >= TELL)
            });
            if news {
                told.insert(source.clone(), (now, error.to_owned()));
            }
            news
        };
        if !news {
            return;
        }
        let written = async {
            let mut state = self.store.source_state(source).await?;
            if error.is_empty() {
                state.answered_at = Some(now);
            }
            error.clone_into(&mut state.error);
            self.store.put_source_state(source, &state).await
        };
        if let Err(error) = written.await {
            // Said again at the next job.
            self.told.lock().remove(source);
            tracing::warn!(%source, %error, "how the directory is doing can't be written down");
        }
    }
}

#[async_trait]
impl Handler for Reader {
    async fn run(&self, job: &Job) -> Outcome {
        let never = |error: &str| Outcome::Never {
            error: error.to_owned(),
        };
        let Some(id) = &job.source else {
            return never("it names no directory");
        };
        let Ok(what) = serde_json::from_str::<ToRead>(&job.payload) else {
            return never("what it is to read is not known to this version");
        };
        let Some(source) = self.sources.of(id) else {
            return never("no directory is configured under this id (any more)");
        };
        match self.read(&*source, job, &what).await {
            Ok(()) => {
                self.metrics.directory_answered(id, self.clock.now());
                self.tell(id, "").await;
                Outcome::Done
            }
            Err(Failure::Source(error)) => {
                outcome::told(&self.metrics, id, &error);
                self.tell(id, &error.to_string()).await;
                outcome::of(&error)
            }
            Err(Failure::Overtaken) => Outcome::Later {
                after: OVERTAKEN,
                error: "a newer word was known".to_owned(),
                counts: false,
            },
            Err(Failure::Store(error)) => Outcome::of_store(&error),
        }
    }
}

/// One attempt at one job.
struct Task<'a> {
    reader: &'a Reader,
    source: &'a dyn Source,
    priority: Priority,
    why: &'a str,
}

impl Task<'_> {
    /// A person, or the directory's word that there is none (any more).
    async fn person(&self, id: &str) -> Result<(), Failure> {
        let asked_at = self.reader.clock.now();
        let word = match self.source.person(id).await? {
            Some(person) => person,
            // Nobody we ever heard of: nothing follows.
            None => match self.reader.store.person(self.source.id(), id).await? {
                None => return Ok(()),
                Some(known) => Person {
                    gone_at: Some(known.gone_at.unwrap_or(asked_at)),
                    read_at: asked_at,
                    ..known
                },
            },
        };
        match self.reader.intake.person(word, self.why).await? {
            true => Ok(()),
            // What is known was read later, by another clock if not in truth: asked again, so that
            // nothing is lost to a clock that is a little behind.
            false => Err(Failure::Overtaken),
        }
    }

    /// What the directory's own log has since we last looked; a sweep where it has not all.
    async fn recent(&self) -> Result<(), Failure> {
        let id = self.source.id();
        let state = self.reader.store.source_state(id).await?;
        let recent = self.source.recent(state.high_water.as_deref()).await?;
        let now = self.reader.clock.now();
        let people = recent.people.into_iter().map(|id| ToRead::Person { id });
        let groups = recent.groups.into_iter().map(|id| ToRead::Group { id });
        let mut wishes: Vec<NewJob> = people
            .chain(groups)
            .map(|what| wish::read(id, &what, self.priority, now, self.why))
            .collect();
        if !recent.whole {
            wishes.push(wish::sweep(id, now, self.why));
        }
        self.wish(&wishes).await?;
        // Only then: who dies before looks again from where they were.
        if recent.high_water.is_some() && recent.high_water != state.high_water {
            let mut state = self.reader.store.source_state(id).await?;
            state.high_water = recent.high_water;
            self.reader.store.put_source_state(id, &state).await?;
        }
        Ok(())
    }

    /// Everybody of these is read again, by a wish each.
    async fn wish_people(&self, people: BTreeSet<String>) -> Result<(), Failure> {
        let now = self.reader.clock.now();
        let wishes: Vec<NewJob> = people
            .into_iter()
            .map(|id| ToRead::Person { id })
            .map(|what| wish::read(self.source.id(), &what, self.priority, now, self.why))
            .collect();
        self.wish(&wishes).await
    }

    async fn wish(&self, wishes: &[NewJob]) -> Result<(), Failure> {
        for some in wishes.chunks(BATCH) {
            self.reader
                .store
                .enqueue(some, self.reader.clock.now())
                .await?;
        }
        Ok(())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

//! Who carries a kind of job out: the one interface that everything durable has.

use crate::store::{Job, JobKind, StoreError};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// When it is tried again after the store did not do its part.
pub const STORE_AWAY: Duration = Duration::from_secs(3);

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What the job is about is as it should be.
    Done,
    /// Not yet: to be tried again.
    Later {
        /// Not sooner than this; zero: when the pause of the job's attempts is over.
        after: Duration,
        /// Why, for the operator; without secrets and without what a person is called.
        error: String,
        /// Whether it is a failure: of the job, which has so many attempts, and of the app or
        /// directory that was asked, whose breaker it may open. What only waits for something else
        /// (an approval, another job) is none.
        counts: bool,
    },
    /// The app or directory wants to be left alone for a while (429, `Retry-After`): nothing of it
    /// is begun before. Costs no attempt.
    Wait {
        /// For so long.
        after: Duration,
        /// What it said.
        error: String,
    },
    /// No trying again mends it: for an operator.
    Never {
        /// Why, likewise.
        error: String,
    },
}

impl Outcome {
    /// A failure that another attempt may mend.
    pub fn failed(error: impl Into<String>) -> Self {
        Self::Later {
            after: Duration::ZERO,
            error: error.into(),
            counts: true,
        }
    }

    /// The store did not do its part. When that passes it is no failure of the job, which would die of
    /// it, nor of the app or directory that was asked, whose breaker would open for it.
    #[must_use]
    pub fn of_store(error: &StoreError) -> Self {
        Self::Later {
            after: STORE_AWAY,
            error: format!("the store: {error}"),
            counts: !error.passes(),
        }
    }
}

/// Carries out jobs of one kind.
///
/// An attempt may be dropped at any `await` (a lost lease, a shutdown, something more urgent for the
/// same person), may run twice, and may run after the process died in the middle of one: it reads
/// what should be, and makes it so. A panic is a failed attempt.
#[async_trait]
pub trait Handler: Send + Sync {
    /// One attempt.
    async fn run(&self, job: &Job) -> Outcome;

    /// How long one attempt may take. What takes longer is dropped, and has failed.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// Who carries out which kind. A kind that nobody does waits in the queue.
#[derive(Clone, Default)]
pub struct Handlers(BTreeMap<&'static str, (JobKind, Arc<dyn Handler>)>);

impl Handlers {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Jobs of this kind are carried out by this one.
    #[must_use]
    pub fn with(mut self, kind: JobKind, handler: Arc<dyn Handler>) -> Self {
        self.0.insert(kind.as_str(), (kind, handler));
        self
    }

    /// The kinds there is somebody for.
    #[must_use]
    pub fn kinds(&self) -> Vec<JobKind> {
        self.0.values().map(|(kind, _)| *kind).collect()
    }

    /// Who carries out this kind.
    #[must_use]
    pub fn of(&self, kind: JobKind) -> Option<Arc<dyn Handler>> {
        self.0
            .get(kind.as_str())
            .map(|(_, handler)| handler.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_is_nobodys_failure_and_one_that_is_broken_is() {
        let counts = |error: StoreError| match Outcome::of_store(&error) {
            Outcome::Later { after, counts, .. } => {
                assert_eq!(after, STORE_AWAY);
                counts
            }
            other => panic!("{other:?}"),
        };
        assert!(!counts(StoreError::Unavailable("it restarts".into())));
        assert!(!counts(StoreError::Changed) && !counts(StoreError::Busy));
        assert!(counts(StoreError::Inconsistent("a row".into())));
    }
}

//! Carries out `sweep` jobs, and wishes for them on schedule.

use super::plan::Judge;
use super::sweep::{Sweep, Swept};
use super::world::{Progress, SweepError};
use crate::config::ReconcileConfig;
use crate::directory::read::TakesIn;
use crate::directory::source::{Source, SourceError};
use crate::directory::sources::Sources;
use crate::jobs::{Handler, Outcome, wish};
use crate::store::{Job, Store, StoreError};
use crate::types::{Clock, SourceId};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a sweep is due.
const LOOK: Duration = Duration::from_secs(5);
/// How long a sweep may take: then it begins anew.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How often a sweep that is not let in is tried again.
const LOCKED_OUT: Duration = Duration::from_secs(300);

/// How often each directory is read whole, and when what follows is held.
pub type Settings = BTreeMap<SourceId, ReconcileConfig>;

/// See the module.
pub struct Sweeper {
    /// Who can be asked.
    pub sources: Arc<Sources>,
    /// What was said before, and where held plans wait.
    pub store: Arc<dyn Store>,
    /// What follows for apps.
    pub judge: Arc<dyn Judge>,
    /// Who takes words in.
    pub to: Arc<dyn TakesIn>,
    /// The configuration's, which a reload replaces.
    pub settings: Arc<ArcSwap<Settings>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Sweeper {
    /// A sweep of this directory, to be looked at or run.
    #[must_use]
    pub fn of<'a>(&'a self, source: &'a dyn Source) -> Sweep<'a> {
        let settings = self.settings.load();
        let brake = settings.get(source.id()).map(|own| own.brake);
        Sweep {
            source,
            directory: &*self.store,
            plans: &*self.store,
            judge: &*self.judge,
            to: &*self.to,
            brake: brake.unwrap_or_default(),
            clock: &*self.clock,
        }
    }

    /// One sweep of a directory.
    ///
    /// # Errors
    /// As [`Sweep::run`].
    pub async fn sweep(&self, source: &dyn Source) -> Result<Swept, SweepError> {
        let sweep = self.of(source);
        let tell = |progress: Progress| {
            if let Progress::People(n, _) | Progress::Steps(n, _) = progress
                && n % 1000 == 0
            {
                tracing::info!(source = %source.id(), ?progress, "sweeping");
            }
        };
        sweep.run(&tell).await
    }

    /// Wishes for a sweep of each directory whose time has come, until told to end. Several replicas
    /// wish for the same job.
    pub async fn schedule(self: Arc<Self>, end: CancellationToken) {
        loop {
            if let Err(error) = self.wish_for_due().await {
                tracing::warn!(%error, "it could not be looked whether a directory must be read whole");
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Wishes for what is due now; gives how many.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn wish_for_due(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let mut wishes = Vec::new();
        for (source, settings) in self.settings.load().iter() {
            let swept_at = self.store.source_state(source).await?.swept_at;
            // A clock that was set back must not stop it for as long as it was set back.
            let due = swept_at.is_none_or(|at| at + settings.every <= now || at > now);
            if due {
                wishes.push(wish::sweep(source, now, "its time has come"));
            }
        }
        if !wishes.is_empty() {
            self.store.enqueue(&wishes, now).await?;
        }
        Ok(wishes.len())
    }
}

#[async_trait]
impl Handler for Sweeper {
    async fn run(&self, job: &Job) -> Outcome {
        let Some(id) = &job.source else {
            return Outcome::Never {
                error: "it names no directory".into(),
            };
        };
        let Some(source) = self.sources.of(id) else {
            return Outcome::Never {
                error: format!("no directory {id} is configured"),
            };
        };
        match self.sweep(&*source).await {
            Ok(_) => Outcome::Done,
            Err(SweepError::Source(SourceError::RateLimited(after))) => Outcome::Wait {
                after,
                error: "the directory limits our rate".into(),
            },
            // However long it takes: an operator mends it, and nobody loses anything meanwhile.
            Err(SweepError::Source(
                error @ (SourceError::Credential(_) | SourceError::Permission(_)),
            )) => {
                tracing::error!(source = %id, %error, "a directory can't be read whole");
                Outcome::Later {
                    after: LOCKED_OUT,
                    error: error.to_string(),
                    counts: false,
                }
            }
            Err(SweepError::Store(error)) => Outcome::of_store(&error),
            Err(error) => {
                tracing::warn!(source = %id, %error, "a directory could not be read whole");
                Outcome::failed(error.to_string())
            }
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

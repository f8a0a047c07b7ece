//! When directories are read whole and apps looked at: each in its time. Several replicas wish for the
//! same jobs.

use super::handler::Sweeper;
use crate::jobs::wish;
use crate::store::{JobFilter, JobKind, JobState, NewJob, StoreError};
use crate::types::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a sweep is due.
const LOOK: Duration = Duration::from_secs(5);

impl Sweeper {
    /// Wishes for a sweep of each directory, and a look at each app, whose time has come, until told
    /// to end.
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
        let settings = self.settings.load_full();
        let mut wishes: Vec<(NewJob, Duration)> = Vec::new();
        for (source, own) in &settings.directories {
            let swept_at = self.store.source_state(source).await?.swept_at;
            if is_due(swept_at, own.every, now) {
                wishes.push((wish::sweep(source, now, "its time has come"), own.every));
            }
            self.metrics.sweep_due(source, swept_at, own.every);
        }
        let every = settings.apps_every();
        let looks: BTreeMap<_, _> = self.store.looks().await?.into_iter().collect();
        // Nobody's word to compare apps with: none can differ from it.
        let compared = !settings.directories.is_empty() || !settings.scim.is_empty();
        for side in self.apps.all().iter().filter(|_| compared) {
            let app = &side.terms.id;
            if is_due(looks.get(app).copied(), every, now) {
                wishes.push((wish::look(app, now, "its time has come"), every));
            }
        }
        let known = settings.directories.keys().chain(settings.scim.keys());
        self.metrics
            .plans_held(known, &self.store.held_plans().await?);
        let wishes = self.not_wished_for(wishes, now).await?;
        if !wishes.is_empty() {
            self.store.enqueue(&wishes, now).await?;
        }
        Ok(wishes.len())
    }

    /// Those that nobody is at already. A wish that joined a job would end the pause after its failure,
    /// and begin a dead one anew every few seconds: it pauses, and a dead one is an operator's, until as
    /// much time has passed as between two of its kind.
    async fn not_wished_for(
        &self,
        wishes: Vec<(NewJob, Duration)>,
        now: Timestamp,
    ) -> Result<Vec<NewJob>, StoreError> {
        if wishes.is_empty() {
            return Ok(Vec::new());
        }
        let mut open = HashMap::new();
        let mut filter = JobFilter {
            states: vec![JobState::Pending, JobState::Running, JobState::Dead],
            kind: Some(JobKind::Sweep),
            ..JobFilter::default()
        };
        loop {
            let page = self.store.jobs(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            open.extend(page.into_iter().map(|job| (job.key.clone(), job)));
        }
        let due = |(wish, every): (NewJob, Duration)| match open.get(&wish.key) {
            None => Some(wish),
            Some(job) if job.state == JobState::Running => None,
            Some(job) => is_due(Some(job.updated_at), every, now).then_some(wish),
        };
        Ok(wishes.into_iter().filter_map(due).collect())
    }
}

/// A clock that was set back must not stop it for as long as it was set back.
fn is_due(last: Option<Timestamp>, every: Duration, now: Timestamp) -> bool {
    last.is_none_or(|at| at + every <= now || at > now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Audit, Settings as AuditSettings};
    use crate::config::{Brake, ReconcileConfig};
    use crate::directory::sources::Sources;
    use crate::directory::{Intake, Terms};
    use crate::reconcile::drift::{AppSide, Apps};
    use crate::reconcile::handler::Settings;
    use crate::reconcile::judge::ByRules;
    use crate::store::{Job, JobClaim, JobEnd, JobStore as _, Priority, SqliteStore};
    use crate::telemetry::metrics::Metrics;
    use crate::types::{ManualClock, SourceId};
    use arc_swap::ArcSwap;

    struct NoApps;

    impl Apps for NoApps {
        fn all(&self) -> Vec<AppSide> {
            Vec::new()
        }
    }

    const EVERY: Duration = Duration::from_secs(900);

    fn sweeper(store: Arc<SqliteStore>, clock: Arc<ManualClock>) -> Sweeper {
        let audit = Arc::new(Audit::new(clock.clone(), AuditSettings::default()));
        let terms = Arc::new(ArcSwap::from_pointee(Terms::default()));
        let intake = Intake::new(store.clone(), audit.clone(), clock.clone(), terms.clone());
        let own = ReconcileConfig {
            every: EVERY,
            brake: Brake::default(),
        };
        let idp = SourceId::new("idp").unwrap();
        Sweeper {
            sources: Arc::new(Sources::new(Vec::new())),
            store,
            judge: Arc::new(ByRules(terms)),
            to: Arc::new(intake),
            apps: Arc::new(NoApps),
            settings: Arc::new(ArcSwap::from_pointee(Settings {
                directories: BTreeMap::from([(idp, own)]),
                scim: BTreeMap::new(),
            })),
            clock,
            audit,
            metrics: Metrics::new(Default::default()),
        }
    }

    /// Carries the one job out, to this end.
    async fn ends(store: &SqliteStore, end: JobEnd, now: Timestamp) {
        let claim = JobClaim {
            holder: "somebody".into(),
            lease: Duration::from_secs(60),
            limit: 1,
            kinds: JobKind::ALL.into(),
            least: Priority::Background,
            without_apps: Vec::new(),
            without_sources: Vec::new(),
            busy: Vec::new(),
        };
        let job = store.claim_jobs(&claim, now).await.unwrap().remove(0);
        assert!(
            store
                .finish_job(job.id, "somebody", &end, now)
                .await
                .unwrap()
        );
    }

    async fn the_job(store: &SqliteStore) -> Job {
        store.jobs(&JobFilter::default()).await.unwrap().remove(0)
    }

    #[tokio::test]
    async fn a_dead_sweep_is_an_operators_until_the_next_time() {
        let began = Timestamp(1_000_000);
        let (store, clock) = (
            Arc::new(SqliteStore::in_memory().unwrap()),
            Arc::new(ManualClock::at(began)),
        );
        let sweeper = sweeper(store.clone(), clock.clone());
        assert_eq!(sweeper.wish_for_due().await.unwrap(), 1);
        // Not again while it waits or runs.
        assert_eq!(sweeper.wish_for_due().await.unwrap(), 0);

        // The pause after a failure is not cut short.
        let pause = began + Duration::from_secs(300);
        let again = JobEnd::Retry {
            at: pause,
            error: "away".into(),
            counts: true,
        };
        ends(&store, again, began).await;
        clock.set(began + LOOK);
        assert_eq!(sweeper.wish_for_due().await.unwrap(), 0);
        let job = the_job(&store).await;
        assert_eq!((job.state, job.due_at), (JobState::Pending, pause));

        let dead = JobEnd::Dead {
            error: "refused".into(),
        };
        ends(&store, dead, pause).await;
        clock.set(pause + LOOK);
        assert_eq!(sweeper.wish_for_due().await.unwrap(), 0);
        assert_eq!(the_job(&store).await.state, JobState::Dead);
        clock.set(pause + EVERY);
        assert_eq!(sweeper.wish_for_due().await.unwrap(), 1);
        assert_eq!(the_job(&store).await.state, JobState::Pending);
    }
}

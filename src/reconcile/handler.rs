//! Carries out `sweep` jobs (a directory, an app, a plan that was approved), and wishes for them on
//! schedule.

use super::drift::{self, Apps, Brakes, LookError};
use super::plan::Judge;
use super::sweep::{PlanError, Sweep, Swept, waiting};
use super::world::{Progress, SweepError, Teller};
use crate::apps::AppError;
use crate::audit::{Actor, Audit, Kind};
use crate::config::{ReconcileConfig, ScimBrake};
use crate::directory::read::{TakesIn, counted};
use crate::directory::source::{Source, SourceError};
use crate::directory::sources::Sources;
use crate::jobs::wish::{self, ToCarryOut};
use crate::jobs::{Handler, Outcome};
use crate::store::{Job, SourceState, Store, StoreError, StoredPlan};
use crate::telemetry::metrics::{AppLooked, Metrics, Reconciled};
use crate::types::{AppId, Clock, SourceId, Timestamp};
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
/// How often apps are looked at when no directory says how often it is read.
const EVERY: Duration = Duration::from_secs(900);
/// Under which name it is remembered when apps were looked at. No directory's: those have a kind.
const LOOKS: &str = "auth-manager-looks";

/// How often everything is read whole, and when what follows is held.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Of directories.
    pub directories: BTreeMap<SourceId, ReconcileConfig>,
    /// Of SCIM clients, whose words come by themselves.
    pub scim: BTreeMap<SourceId, ScimBrake>,
}

impl Settings {
    /// How often apps are looked at: as often as the directory that is read most often.
    #[must_use]
    pub fn apps_every(&self) -> Duration {
        let all = self.directories.values().map(|own| own.every);
        all.min().unwrap_or(EVERY)
    }
}

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
    /// The apps.
    pub apps: Arc<dyn Apps>,
    /// The configuration's, which a reload replaces.
    pub settings: Arc<ArcSwap<Settings>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where it is written down that a plan waits, and what was decided.
    pub audit: Arc<Audit>,
    /// Counters.
    pub metrics: Metrics,
}

impl Sweeper {
    /// A sweep of this directory, to be looked at or run.
    #[must_use]
    pub fn of<'a>(&'a self, source: &'a dyn Source) -> Sweep<'a> {
        let settings = self.settings.load();
        let brake = settings.directories.get(source.id()).map(|own| own.brake);
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

    /// One sweep of a directory; says once what waits.
    ///
    /// # Errors
    /// As [`Sweep::run`].
    pub async fn sweep(&self, source: &dyn Source, tell: Teller<'_>) -> Result<Swept, SweepError> {
        let began = tokio::time::Instant::now();
        let swept = match self.of(source).run(tell).await {
            Ok(swept) => swept,
            Err(error) => {
                // A directory that notifies nobody is read by sweeps alone: theirs is the alarm.
                if let SweepError::Source(error) = &error {
                    counted(&self.metrics, source.id(), error);
                }
                return Err(error);
            }
        };
        self.metrics
            .directory_answered(source.id(), self.clock.now());
        if let Some(held) = &swept.held {
            self.tell_held(held, &swept.plan, swept.anew).await;
        }
        let sum = swept.plan.summary();
        let told = Reconciled {
            duration: began.elapsed(),
            people: swept.read.0,
            groups: swept.read.1,
            differences: [
                ("losing", sum.losing),
                ("gaining", sum.gaining),
                ("new", sum.new),
                ("other", sum.other),
                ("groups", sum.groups),
            ],
        };
        self.metrics.reconciled(source.id(), &told);
        Ok(swept)
    }

    /// Looks at an app, and wishes for what differs; says once what waits.
    ///
    /// # Errors
    /// When app or store gave no clear answer.
    pub async fn look(
        &self,
        side: &drift::AppSide,
        tell: drift::Read<'_>,
    ) -> Result<(drift::Report, drift::Healed), LookError> {
        let now = self.clock.now();
        let began = tokio::time::Instant::now();
        let mut report = drift::look(side, &*self.store, now, tell).await?;
        let healed = drift::heal(&mut report, &*self.store, self, now).await?;
        for (held, anew) in &healed.held {
            if let Ok(plan) = super::sweep::read_plan(&held.body) {
                self.tell_held(held, &plan, *anew).await;
            }
        }
        let kinds = drift::Drifted::ALL.iter();
        self.metrics.app_looked(&AppLooked {
            app: &report.app,
            at: report.looked_at,
            duration: began.elapsed(),
            accounts: report.accounts,
            strangers: report.strangers,
            differences: kinds
                .map(|what| (what.as_str(), report.count(*what)))
                .collect(),
        });
        self.note_look(&side.terms.id, now).await?;
        tracing::info!(
            app = %report.app,
            accounts = report.accounts,
            differences = report.differences.len(),
            queued = healed.queued,
            held = healed.held.len(),
            "an app was looked at whole"
        );
        Ok((report, healed))
    }

    /// Says that a plan waits: loudly the first time, and no more while it is the same.
    async fn tell_held(&self, held: &StoredPlan, plan: &super::plan::Plan, anew: bool) {
        let app = held.app.as_ref().map_or("", AppId::as_str);
        if !anew {
            tracing::debug!(source = %held.source, app, plan = %held.id, state = %held.state, "the plan stands as it was");
            return;
        }
        tracing::error!(
            source = %held.source,
            app,
            plan = %held.id,
            why = held.why.as_str(),
            "reconciliation is held: nobody loses anything until somebody says so (`auth-manager reconcile plans`)"
        );
        let bridge = self.audit.by(Actor::Bridge);
        let desk = self.desk((&bridge, ""));
        if let Err(error) = desk.account(plan, Kind::PlanHeld).await {
            tracing::error!(%error, "the audit trail does not have it that a plan is held");
        }
    }

    /// Wishes for a sweep of each directory, and a look at each app, whose time has come, until told
    /// to end. Several replicas wish for the same jobs.
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
        let mut wishes = Vec::new();
        for (source, own) in &settings.directories {
            let swept_at = self.store.source_state(source).await?.swept_at;
            if is_due(swept_at, own.every, now) {
                wishes.push(wish::sweep(source, now, "its time has come"));
            }
            self.metrics.sweep_due(source, swept_at, own.every);
        }
        let every = settings.apps_every();
        let looks = self.looks().await?;
        // Nobody's word to compare apps with: none can differ from it.
        let compared = !settings.directories.is_empty() || !settings.scim.is_empty();
        for side in self.apps.all().iter().filter(|_| compared) {
            let app = &side.terms.id;
            let looked_at = looks.get(app).copied().map(Timestamp);
            if is_due(looked_at, every, now) {
                wishes.push(wish::look(app, now, "its time has come"));
            }
        }
        let known = settings.directories.keys().chain(settings.scim.keys());
        self.metrics
            .plans_held(known, &self.store.held_plans().await?);
        if !wishes.is_empty() {
            self.store.enqueue(&wishes, now).await?;
        }
        Ok(wishes.len())
    }

    /// When each app was last looked at, in seconds since 1970.
    async fn looks(&self) -> Result<BTreeMap<AppId, i64>, StoreError> {
        let Ok(name) = SourceId::new(LOOKS) else {
            return Ok(BTreeMap::new());
        };
        let known = self.store.source_state(&name).await?.cursor;
        // What can't be read is from another version: everything is due then.
        Ok(known
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default())
    }

    async fn note_look(&self, app: &AppId, at: Timestamp) -> Result<(), StoreError> {
        let Ok(name) = SourceId::new(LOOKS) else {
            return Ok(());
        };
        let mut looks = self.looks().await?;
        looks.insert(app.clone(), at.0);
        let state = SourceState {
            cursor: serde_json::to_string(&looks).ok(),
            ..SourceState::default()
        };
        self.store.put_source_state(&name, &state).await
    }

    async fn carry_out_job(&self, job: &Job, what: &ToCarryOut) -> Outcome {
        let Some(id) = what.plan else {
            return Outcome::Never {
                error: "it names no plan".into(),
            };
        };
        let plan = match waiting(&*self.store, id).await {
            Ok(plan) => plan,
            // It was carried out by an earlier attempt, or somebody decided otherwise since.
            Err(PlanError::Ended(..)) => return Outcome::Done,
            Err(error @ (PlanError::Unknown(_) | PlanError::Unreadable(_))) => {
                return Outcome::Never {
                    error: error.to_string(),
                };
            }
            Err(error) => return Outcome::failed(error.to_string()),
        };
        let bridge = self.audit.by(Actor::Bridge).reason(&job.why);
        let by = (&bridge, what.by.as_str());
        match self.carry_out(&plan, Some(id), by, &|_| ()).await {
            Ok(Ok(_)) => Outcome::Done,
            Ok(Err(moved)) => Outcome::Never {
                error: format!(
                    "{} steps are not as the plan says: nothing was done. The next sweep makes a new plan",
                    moved.len()
                ),
            },
            Err(PlanError::Sweep(error)) => of_sweep(&job.key, error),
            Err(error) => Outcome::Never {
                error: error.to_string(),
            },
        }
    }

    async fn look_job(&self, app: &AppId) -> Outcome {
        let Some(side) = self.apps.of(app) else {
            return Outcome::Never {
                error: format!("there is no app {app} in the configuration"),
            };
        };
        match self.look(&side, &|_| ()).await {
            Ok(_) => Outcome::Done,
            Err(LookError::App(AppError::RateLimited(after))) => Outcome::Wait {
                after,
                error: "the app limits our rate".into(),
            },
            Err(LookError::Store(error)) => Outcome::of_store(&error),
            Err(error) => Outcome::failed(error.to_string()),
        }
    }
}

/// A clock that was set back must not stop it for as long as it was set back.
fn is_due(last: Option<Timestamp>, every: Duration, now: Timestamp) -> bool {
    last.is_none_or(|at| at + every <= now || at > now)
}

fn of_sweep(about: &str, error: SweepError) -> Outcome {
    match error {
        SweepError::Source(SourceError::RateLimited(after)) => Outcome::Wait {
            after,
            error: "the directory limits our rate".into(),
        },
        // However long it takes: an operator mends it, and nobody loses anything meanwhile.
        SweepError::Source(error @ (SourceError::Credential(_) | SourceError::Permission(_))) => {
            tracing::error!(about, %error, "a directory can't be read whole");
            Outcome::Later {
                after: LOCKED_OUT,
                error: error.to_string(),
                counts: false,
            }
        }
        SweepError::Store(error) => Outcome::of_store(&error),
        error => {
            tracing::warn!(about, %error, "a directory could not be read whole");
            Outcome::failed(error.to_string())
        }
    }
}

#[async_trait]
impl Brakes for Sweeper {
    async fn holds(
        &self,
        source: &SourceId,
        losing: u64,
        present: u64,
    ) -> Result<Option<String>, StoreError> {
        let settings = self.settings.load_full();
        if let Some(brake) = settings.scim.get(source) {
            // More went than these: the first few were let through before anybody could know.
            let since = self.clock.now() - brake.window;
            let count = self.store.scim_count(source, since).await?;
            let of_now = (
                i64::try_from(losing),
                i64::try_from(present - losing.min(present)),
            );
            let crowd = brake.holds(count.ended, count.active)
                || matches!(of_now, (Ok(gone), Ok(left)) if brake.holds(gone, left));
            return Ok(crowd.then(|| {
                format!(
                    "the accounts of {losing} of {present} people would be deactivated, after {} went by SCIM at once (brake)",
                    count.ended
                )
            }));
        }
        let own = settings.directories.get(source).map(|own| own.brake);
        Ok(own.unwrap_or_default().holds(losing, present))
    }
}

#[async_trait]
impl Handler for Sweeper {
    async fn run(&self, job: &Job) -> Outcome {
        if let Some(app) = &job.app {
            return self.look_job(app).await;
        }
        let what: ToCarryOut = serde_json::from_str(&job.payload).unwrap_or_default();
        if what.plan.is_some() {
            return self.carry_out_job(job, &what).await;
        }
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
        let tell = |progress: Progress| {
            if let Progress::People(n, _) | Progress::Steps(n, _) = progress
                && n % 1000 == 0
            {
                tracing::info!(source = %id, ?progress, "sweeping");
            }
        };
        match self.sweep(&*source, &tell).await {
            Ok(_) => Outcome::Done,
            Err(error) => of_sweep(id.as_str(), error),
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

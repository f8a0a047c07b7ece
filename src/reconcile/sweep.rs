//! One sweep: read, compare, carry out or hold. The same whether a schedule, a command or a service
//! asked for it.

use super::apply::{self, Applied};
use super::plan::{Judge, Plan};
use super::world::{SweepError, Teller, World};
use crate::config::Brake;
use crate::directory::read::TakesIn;
use crate::directory::source::Source;
use crate::store::{DirectoryStore, PlanState, PlanStore, SourceState, StoreError, StoredPlan};
use crate::types::{Clock, SourceId, Timestamp};
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::Write as _;
use uuid::Uuid;

/// What a sweep works with.
pub struct Sweep<'a> {
    /// Who is asked.
    pub source: &'a dyn Source,
    /// What was said before.
    pub directory: &'a dyn DirectoryStore,
    /// Where a held plan waits.
    pub plans: &'a dyn PlanStore,
    /// What follows for apps.
    pub judge: &'a dyn Judge,
    /// Who takes words in.
    pub to: &'a dyn TakesIn,
    /// When a plan is held.
    pub brake: Brake,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// What came of a sweep.
#[derive(Debug, Clone)]
pub struct Swept {
    /// What differed.
    pub plan: Plan,
    /// What was carried out.
    pub applied: Applied,
    /// The plan that waits, when it is held.
    pub held: Option<StoredPlan>,
    /// Whether it waits since now: nobody was told of it yet.
    pub anew: bool,
    /// People whom the directory has, and groups.
    pub read: (u64, u64),
}

impl Sweep<'_> {
    /// Reads and compares; changes nothing.
    ///
    /// # Errors
    /// When directory or store gave no clear answer.
    pub async fn look(&self, tell: Teller<'_>) -> Result<(Plan, World), SweepError> {
        let known = World::known(self.directory, self.source.id()).await?;
        let world = World::read(self.source, &known, self.clock, tell).await?;
        let plan = Plan::compute(
            self.source.id(),
            self.clock.now(),
            &known,
            &world,
            self.judge,
            &self.brake,
        );
        Ok((plan, world))
    }

    /// Reads and compares, and puts what would follow on record as a proposed plan of this id, for
    /// whoever asked; changes nothing else.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub async fn propose(&self, id: Uuid, by: &str, tell: Teller<'_>) -> Result<Plan, SweepError> {
        let (plan, _) = self.look(tell).await?;
        let plan = Plan { id, ..plan };
        let why = plan.held.as_deref().unwrap_or_default();
        let proposed = StoredPlan {
            state: PlanState::Proposed,
            by: by.to_owned(),
            ..on_record(&plan, why)?
        };
        self.plans.propose_plan(&proposed).await?;
        Ok(plan)
    }

    /// Reads, compares, and carries out; what is held is put on record first.
    ///
    /// # Errors
    /// As above; what was carried out by then stays, and the next sweep goes on.
    pub async fn run(&self, tell: Teller<'_>) -> Result<Swept, SweepError> {
        let began = self.clock.now();
        let outcome = self.carry_out(tell).await;
        self.note(began, &outcome).await?;
        outcome
    }

    async fn carry_out(&self, tell: Teller<'_>) -> Result<Swept, SweepError> {
        let (plan, world) = self.look(tell).await?;
        let held = match &plan.held {
            Some(why) => {
                let waits = on_record(&plan.waiting(), why)?;
                Some(self.plans.hold_plan(&waits).await?)
            }
            None => {
                let now = self.clock.now();
                self.plans.supersede_plans(&plan.source, None, now).await?;
                None
            }
        };
        let anew = held.as_ref().is_some_and(|held| held.id == plan.id);
        let applied = apply::now(&plan, &world, self.source, self.to, tell).await?;
        let summary = plan.summary();
        tracing::info!(
            source = %plan.source,
            people = world.people.len(),
            groups = world.groups.len(),
            losing = summary.losing,
            gaining = summary.gaining,
            new = summary.new,
            other = summary.other,
            done = applied.done,
            held = applied.held,
            "a directory was read whole"
        );
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let there = world.people.values().filter(|p| p.gone_at.is_none());
        Ok(Swept {
            read: (count(there.count()), count(world.groups.len())),
            plan,
            applied,
            held,
            anew,
        })
    }

    /// Writes down how the source is doing.
    async fn note(
        &self,
        began: Timestamp,
        outcome: &Result<Swept, SweepError>,
    ) -> Result<(), StoreError> {
        let before = self.directory.source_state(self.source.id()).await?;
        let state = match outcome {
            Ok(_) => SourceState {
                swept_at: Some(began),
                answered_at: Some(self.clock.now()),
                error: String::new(),
                ..before
            },
            Err(error) => SourceState {
                error: error.to_string(),
                ..before
            },
        };
        self.directory
            .put_source_state(self.source.id(), &state)
            .await
    }
}

/// A held plan as it is kept.
pub(super) fn on_record(plan: &Plan, why: &str) -> Result<StoredPlan, StoreError> {
    let odd = |error: serde_json::Error| StoreError::Inconsistent(error.to_string());
    let steps = serde_json::to_vec(&(&plan.groups, &plan.people)).map_err(odd)?;
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, &steps).as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(StoredPlan {
        id: plan.id,
        source: plan.source.clone(),
        app: plan.app.clone(),
        state: PlanState::Held,
        digest: hex,
        why: why.to_owned(),
        body: serde_json::to_string(plan).map_err(odd)?,
        made_at: plan.made_at,
        state_since: plan.made_at,
        by: String::new(),
    })
}

/// Why a plan on record can't be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is none of this id.
    #[error("there is no plan {0}")]
    Unknown(Uuid),
    /// It does not wait any more.
    #[error("the plan {0} is {1}: only a held or a proposed one can be decided about")]
    Ended(Uuid, PlanState),
    /// Nothing waits for it.
    #[error("the plan {0} is only proposed: nothing of it happens unless it is approved")]
    Proposed(Uuid),
    /// Its directory is not configured (any more).
    #[error("there is no directory {0}: it is not configured (any more)")]
    NoDirectory(SourceId),
    /// Somebody else decided about it in the same moment.
    #[error("somebody else decided about the plan meanwhile")]
    Raced,
    /// It is of another version, or no plan.
    #[error("this is no plan that this version can read: {0}")]
    Unreadable(String),
    /// Directory or store gave no clear answer.
    #[error(transparent)]
    Sweep(#[from] SweepError),
}

impl From<StoreError> for PlanError {
    fn from(error: StoreError) -> Self {
        Self::Sweep(error.into())
    }
}

/// Reads a plan that was written down.
///
/// # Errors
/// When it is none, or of another version.
pub fn read_plan(text: &str) -> Result<Plan, PlanError> {
    let plan: Plan =
        serde_json::from_str(text).map_err(|error| PlanError::Unreadable(error.to_string()))?;
    if plan.version != super::plan::VERSION {
        let why = format!("its version is {}", plan.version);
        return Err(PlanError::Unreadable(why));
    }
    Ok(plan)
}

/// A plan that may be carried out: one that waits, or is proposed.
///
/// # Errors
/// When there is none, or it was decided about.
pub async fn waiting(plans: &dyn PlanStore, id: Uuid) -> Result<Plan, PlanError> {
    let stored = plans.plan(id).await?.ok_or(PlanError::Unknown(id))?;
    match stored.state {
        PlanState::Held | PlanState::Proposed => read_plan(&stored.body),
        ended => Err(PlanError::Ended(id, ended)),
    }
}

/// A plan that waits, to be dismissed.
///
/// # Errors
/// As [`waiting`], or when it is only proposed.
pub async fn held(plans: &dyn PlanStore, id: Uuid) -> Result<Plan, PlanError> {
    let stored = plans.plan(id).await?.ok_or(PlanError::Unknown(id))?;
    match stored.state {
        PlanState::Held => read_plan(&stored.body),
        PlanState::Proposed => Err(PlanError::Proposed(id)),
        ended => Err(PlanError::Ended(id, ended)),
    }
}

#[cfg(test)]
mod tests;

//! A person's word about a plan: carried out as it was shown, or dismissed. The same code whether a
//! command says so, or a service, whose yes a job carries out.

use super::apply::{self, Applied, Moved, Words};
use super::handler::Sweeper;
use super::plan::Plan;
use super::sweep::{PlanError, held, waiting};
use super::world::Teller;
use crate::audit::{Audit, Kind, Witness};
use crate::jobs::wish;
use crate::store::{Enqueued, PlanState, Store, StoreError};
use crate::types::Timestamp;
use uuid::Uuid;

/// Where it is decided.
pub struct Desk<'a> {
    /// The plans.
    pub store: &'a dyn Store,
    /// Where it is written down, before it is done.
    pub audit: &'a Audit,
    /// The time.
    pub now: Timestamp,
    /// Who decides, for the audit trail, ...
    pub by: &'a Witness,
    /// ... and what they are called on the plan.
    pub who: &'a str,
}

impl Desk<'_> {
    /// Says yes to a plan that waits or is proposed: a job carries it out, exactly as it was shown or not at all.
    ///
    /// # Errors
    /// When there is none, or it waits no more.
    pub async fn approve(&self, id: Uuid) -> Result<Option<Enqueued>, PlanError> {
        let plan = waiting(self.store, id).await?;
        self.account(&plan, Kind::PlanApproved).await?;
        let wish = wish::carry_out(&plan.source, id, self.who, self.now);
        let jobs = self.store.enqueue(&[wish], self.now).await?;
        Ok(jobs.into_iter().next())
    }

    /// Says no to a held plan.
    ///
    /// # Errors
    /// When there is none, it waits no more or was only proposed, or somebody else was faster.
    pub async fn dismiss(&self, id: Uuid) -> Result<Plan, PlanError> {
        let plan = held(self.store, id).await?;
        self.account(&plan, Kind::PlanDismissed).await?;
        let ended = (self.store).end_plan(id, PlanState::Dismissed, self.who, self.now);
        if !ended.await? {
            return Err(PlanError::Raced);
        }
        Ok(plan)
    }

    /// Writes down what is done with a plan, before it is.
    pub(super) async fn account(&self, plan: &Plan, kind: Kind) -> Result<(), StoreError> {
        let mut event = (self.by.event(kind))
            .detail("plan", plan.id.to_string())
            .detail("directory", plan.source.as_str())
            .detail("losing", plan.summary().losing);
        if let Some(app) = &plan.app {
            event = event.app(app);
        }
        if !self.who.is_empty() {
            event = event.detail("decided_by", self.who);
        }
        if let Some(why) = plan.held.as_deref().filter(|_| kind == Kind::PlanHeld) {
            event = event.reason(why);
        }
        self.audit.record(self.store, event).await?;
        Ok(())
    }
}

impl Sweeper {
    /// Where it is decided for this one.
    pub(super) fn desk<'a>(&'a self, (by, who): (&'a Witness, &'a str)) -> Desk<'a> {
        Desk {
            store: &*self.store,
            audit: &self.audit,
            now: self.clock.now(),
            by,
            who,
        }
    }

    /// Looks whether a plan can be carried out as it was shown; changes nothing.
    ///
    /// # Errors
    /// When its directory is not configured, or directory or store give no clear answer.
    pub async fn check(
        &self,
        plan: &Plan,
        tell: Teller<'_>,
    ) -> Result<Result<Words, Vec<Moved>>, PlanError> {
        if plan.app.is_some() {
            return Ok(apply::check_app(plan, &*self.store).await?);
        }
        let source = self.sources.of(&plan.source);
        let source = source.ok_or_else(|| PlanError::NoDirectory(plan.source.clone()))?;
        Ok(apply::check(plan, &*source, &*self.store, &*self.clock, tell).await?)
    }

    /// Carries out a plan exactly as it was shown, or nothing of it; one `on_record` is over then.
    ///
    /// # Errors
    /// As [`Self::check`]; what was carried out by then stays, and the same call goes on.
    pub async fn carry_out(
        &self,
        plan: &Plan,
        on_record: Option<Uuid>,
        by: (&Witness, &str),
        tell: Teller<'_>,
    ) -> Result<Result<Applied, Vec<Moved>>, PlanError> {
        let words = match self.check(plan, tell).await? {
            Ok(words) => words,
            Err(moved) => return Ok(Err(moved)),
        };
        self.desk(by).account(plan, Kind::PlanApplied).await?;
        let now = self.clock.now();
        let end = |id| self.store.end_plan(id, PlanState::Applied, by.1, now);
        if plan.app.is_some() {
            // First: while it is held, no job touches the accounts. Whoever a crash then leaves behind
            // goes by the next look, which finds that somebody said yes.
            let held = end(on_record.unwrap_or(plan.id)).await?;
            if on_record.is_some() && !held {
                return Err(PlanError::Raced);
            }
            return Ok(Ok(words.take_in(plan, &*self.to, tell).await?));
        }
        let applied = words.take_in(plan, &*self.to, tell).await?;
        if let Some(id) = on_record {
            end(id).await?;
        }
        Ok(Ok(applied))
    }
}

//! Plans that wait for a person's word, as the store keeps them. What lives here: the records and the
//! trait that both engines implement. What does not: what a plan says (`reconcile::plan`); here its
//! body is a text.

use super::Result;
use crate::types::{AppId, SourceId, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

stored_words! {
    /// Where a plan is in its life.
    PlanState {
        /// Somebody asked to see it: nothing follows unless it is approved. One a directory; another
        /// takes its place.
        Proposed = "proposed",
        /// It waits.
        Held = "held",
        /// It was carried out.
        Applied = "applied",
        /// Somebody said no: nothing of it happens, and an equal one is not held again.
        Dismissed = "dismissed",
        /// The directory says something else by now.
        Superseded = "superseded",
    }
}

/// A plan on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredPlan {
    /// Its own; UUIDv7, so that ids sort by age.
    pub id: Uuid,
    /// Of which directory.
    pub source: SourceId,
    /// In which app alone: what the directory has said already, and what was not done there; `None`:
    /// what the directory says now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// Where it is.
    pub state: PlanState,
    /// SHA-256 of its steps, in hex: two plans with the same are the same.
    pub digest: String,
    /// Why it is held; for the operator.
    pub why: String,
    /// All it says; empty in a page of plans, since it may be much.
    #[serde(skip)]
    pub body: String,
    /// First made.
    pub made_at: Timestamp,
    /// When it entered its state.
    pub state_since: Timestamp,
    /// Who brought it there: who asked for one that is proposed; empty while it is held.
    pub by: String,
}

/// A page of plans, oldest first.
#[derive(Debug, Clone, Default)]
pub struct PlanFilter {
    /// Only of this directory.
    pub source: Option<SourceId>,
    /// Only in this state.
    pub state: Option<PlanState>,
    /// After this one.
    pub after: Option<Uuid>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

/// Plans.
#[async_trait]
pub trait PlanStore: Send + Sync {
    /// Keeps a plan that is held; other held ones of its directory and app are superseded. Gives the
    /// one that stands: an equal one that is held, or was dismissed as the last word about these, stays, so that nobody approves of a plan that is made anew every quarter of an hour.
    async fn hold_plan(&self, plan: &StoredPlan) -> Result<StoredPlan>;

    /// Keeps a plan that is proposed in place of the former one of its directory. The same again, by
    /// its id, takes the place of itself while it is proposed; one that was decided about stays.
    async fn propose_plan(&self, plan: &StoredPlan) -> Result<()>;

    /// The held plan of a directory (and app) is superseded: nothing of it is left to do.
    async fn supersede_plans(
        &self,
        source: &SourceId,
        app: Option<&AppId>,
        now: Timestamp,
    ) -> Result<()>;

    /// How many plans are held, by directory; those that have none are left out.
    async fn held_plans(&self) -> Result<Vec<(SourceId, i64)>>;

    /// One plan.
    async fn plan(&self, id: Uuid) -> Result<Option<StoredPlan>>;

    /// A page of plans, without what they say.
    async fn plans(&self, filter: &PlanFilter) -> Result<Vec<StoredPlan>>;

    /// Ends a held plan, or one that is proposed by carrying it out; `false`, and nothing happens, when
    /// it is neither (any more).
    async fn end_plan(&self, id: Uuid, to: PlanState, by: &str, now: Timestamp) -> Result<bool>;
}

/// The plan that stands instead of a new one, given the last one that was held or dismissed.
pub(super) fn stands(last: StoredPlan, new: &StoredPlan) -> Option<StoredPlan> {
    (last.digest == new.digest).then_some(last)
}

//! What provisioning remembers: which memberships are the bridge's own doing, and how many seats were
//! taken when. What lives here: the records and the trait that both engines implement. What does not:
//! what follows from them (`identity::converge`, `identity::seats`).
//!
//! The bridge takes away only what it gave: a membership that was there before it looked has no record
//! here. The intent is put on record before the app is asked, so that a crash in between leaves no
//! membership whose giver nobody knows.

use super::{By, Result};
use crate::types::{AppId, MembershipKind, RemoteId, Timestamp, UserId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

stored_words! {
    /// Why the bridge deactivated an account.
    DeactivatedFor {
        /// The directory says that they are not there, or may not.
        Absent = "absent",
        /// Their seat was needed: an operator reclaimed it.
        Idle = "idle",
    }
}

/// That the bridge deactivated an account, or is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Deactivation {
    /// Why.
    pub why: DeactivatedFor,
    /// When; of a planned one, when it will be.
    pub at: Timestamp,
    /// How far it is.
    pub stage: DeactivationStage,
}

/// How far a deactivation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeactivationStage {
    /// Its time has not come: the app was not asked.
    Planned,
    /// The app was, or is about to be, asked; it did not answer yet.
    Asked,
    /// It is done, at this time by the app's own count: an account that was deactivated at another
    /// time was deactivated by somebody else.
    Done(i64),
}

impl Deactivation {
    /// The app's own time of it, once it is done.
    #[must_use]
    pub const fn done_at(&self) -> Option<i64> {
        match self.stage {
            DeactivationStage::Done(at) => Some(at),
            DeactivationStage::Planned | DeactivationStage::Asked => None,
        }
    }
}

stored_words! {
    /// How far a membership is.
    MembershipState {
        /// It was not there, and the app is about to be asked for it.
        Intent = "intent",
        /// The bridge gave it.
        Granted = "granted",
    }
}

/// A membership that is the bridge's doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// In which app.
    pub app: AppId,
    /// Whose.
    pub user: UserId,
    /// Their account there; another account of theirs has memberships of its own.
    pub remote: RemoteId,
    /// What kind.
    pub kind: MembershipKind,
    /// The app's own id of it, or a role's name.
    pub target: String,
    /// What it was called when it was given.
    pub name: String,
    /// How far it is.
    pub state: MembershipState,
    /// Since when.
    pub since: Timestamp,
}

/// How a membership ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipEnd {
    /// The bridge took it away.
    Withdrawn,
    /// It is not there any more, by somebody else's doing or with the account: nothing is the bridge's
    /// to take.
    Forgotten,
}

/// How many seats of an app were taken on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeatCount {
    /// Days since 1970-01-01, in UTC.
    pub day: i64,
    /// How many were taken, when last looked at that day.
    pub used: i64,
    /// How many there were; `None`: no limit.
    pub total: Option<i64>,
}

/// What provisioning remembers.
#[async_trait]
pub trait ProvisionStore: Send + Sync {
    /// The memberships that are the bridge's doing, of a person in an app, by kind and target.
    async fn memberships(&self, app: &AppId, user: UserId) -> Result<Vec<Membership>>;

    /// A page of those of everybody in an app, by person, kind and target, after the last one of the
    /// page before; at most so many.
    async fn memberships_of(
        &self,
        app: &AppId,
        after: Option<&Membership>,
        limit: u32,
    ) -> Result<Vec<Membership>>;

    /// Puts a membership on record as an intent; one that is on record stays as it is.
    async fn intend_membership(&self, membership: &Membership) -> Result<()>;

    /// The app gave it: the record says so, and the audit trail. `false`, and nothing happens, when
    /// it is not on record, or was given already.
    async fn membership_granted(
        &self,
        membership: &Membership,
        now: Timestamp,
        by: &By,
    ) -> Result<bool>;

    /// Forgets a membership; the audit trail has it when it was given and is withdrawn. `false` when
    /// it is not on record.
    async fn end_membership(
        &self,
        membership: &Membership,
        end: MembershipEnd,
        by: &By,
    ) -> Result<bool>;

    /// Writes how many seats are taken today, over what was counted today before.
    async fn put_seat_count(&self, app: &AppId, count: &SeatCount) -> Result<()>;

    /// The counts of an app since a day, in order; at most 400.
    async fn seat_counts(&self, app: &AppId, since: i64) -> Result<Vec<SeatCount>>;
}

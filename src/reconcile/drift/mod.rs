//! Drift in an app: what was changed there past the bridge, and what the bridge owes it still. The app
//! is read whole and paged, compared with what directories and records say, and a `converge` job is
//! wished for exactly those who differ. When nobody does, the app is only read.
//!
//! [`expected`] who should have what, by the records · [`compare`] what the app has · [`crowd`] whose
//! accounts wait for a person's word · [`heal`] what is done about the rest · [`kept`] what was found, for
//! whoever asks later. What does not live here:
//! making it so (`identity::converge`), which looks again at each person before it writes: a list that
//! moved while it was read costs a look, never a write; what an account is to be called
//! (`identity::Called`).
//!
//! What somebody gave by hand is never drift: only what the bridge gave, or should have given, is. Nor
//! is what people say of themselves (nickname, position, language).

mod compare;
mod crowd;
mod expected;
mod heal;
mod kept;
#[cfg(test)]
mod tests;

pub use crowd::{Brakes, Leave, held_by};
pub use heal::{Healed, heal};
pub use kept::{keep, last};

use super::plan::Plan;
use crate::apps::{AppError, Attribute, Place, Provisioner};
use crate::config::{DirectoryRules, ProvisionConfig};
use crate::directory::AppTerms;
use crate::store::{Store, StoreError};
use crate::types::{AppId, RemoteId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Strangers whose names a report has.
const NAMED: usize = 100;

/// What looking at an app needs.
#[derive(Clone)]
pub struct AppSide {
    /// Whose subjects use it, and who may.
    pub terms: AppTerms,
    /// What the operator configured of its accounts.
    pub policy: ProvisionConfig,
    /// How words are weighed.
    pub rules: DirectoryRules,
    /// Whom to ask.
    pub provisioner: Arc<dyn Provisioner>,
}

/// The apps as they are configured now.
pub trait Apps: Send + Sync {
    /// All of them.
    fn all(&self) -> Vec<AppSide>;

    /// One.
    fn of(&self, id: &AppId) -> Option<AppSide> {
        self.all().into_iter().find(|side| side.terms.id == *id)
    }
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drifted {
    /// They may not use the app, and their account is active.
    Active,
    /// A membership that the bridge gave, and that is no longer theirs, is still there.
    Keeps,
    /// They should have an account, and the app has none.
    Missing,
    /// The bridge deactivated their account, and they are back.
    Inactive,
    /// The bridge deactivated their account, and somebody activated it.
    ActivatedByHand,
    /// They may use the app, and somebody deactivated their account there.
    DeactivatedByHand,
    /// A membership that should be theirs is not there.
    Lacks,
    /// The app calls them otherwise than the bridge would: name or e-mail address.
    Profile,
    /// An account is in the way of theirs, until an operator says whose it is.
    Conflict,
}

impl Drifted {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Keeps => "keeps",
            Self::Missing => "missing",
            Self::Inactive => "inactive",
            Self::ActivatedByHand => "activated_by_hand",
            Self::DeactivatedByHand => "deactivated_by_hand",
            Self::Lacks => "lacks",
            Self::Profile => "profile",
            Self::Conflict => "conflict",
        }
    }

    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Active,
        Self::Keeps,
        Self::Missing,
        Self::Inactive,
        Self::ActivatedByHand,
        Self::DeactivatedByHand,
        Self::Lacks,
        Self::Profile,
        Self::Conflict,
    ];
}

/// Whose doing a difference is, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The bridge had made it as it should be: somebody changed it in the app.
    App,
    /// The bridge did not make it so yet.
    Bridge,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Care {
    /// A job mends it.
    Mend,
    /// A job for it waits for its time already, or runs.
    Waits,
    /// The job for it died: an operator's (`jobs retry`).
    Dead,
    /// It would take too much at once: a plan waits for a person's word.
    Held,
    /// It stays so: somebody else's doing, or somebody said no to the plan.
    Left,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Whose account or membership.
    pub user: UserId,
    /// The account, if there is one on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteId>,
    /// What.
    pub what: Drifted,
    /// Which membership.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What of their profile; never what it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// Whose doing.
    pub whose: Whose,
    /// What becomes of it.
    pub care: Care,
}

/// What an app looks like, beside what it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which.
    pub app: AppId,
    /// When it was read.
    pub looked_at: Timestamp,
    /// Accounts that the app has, deactivated ones and bots included.
    pub accounts: u64,
    /// Active accounts that are people's of ours.
    pub present: u64,
    /// Active accounts of people whom nobody here knows; they are never touched.
    pub strangers: u64,
    /// The user names of some of them.
    pub some_strangers: Vec<String>,
    /// How much differs, by what; what does not is left out.
    pub counts: BTreeMap<Drifted, u64>,
    /// What differs: by what, then by person.
    pub differences: Vec<Difference>,
    /// How many of them are not here: a report that is kept is bounded.
    #[serde(default, skip_serializing_if = "is_none_left_out")]
    pub left_out: u64,
    /// Teams, channels and roles that could not be compared, and why.
    pub problems: Vec<String>,
}

impl Report {
    /// How many differ in this way.
    #[must_use]
    pub fn count(&self, what: Drifted) -> u64 {
        let these = self.differences.iter().filter(|d| d.what == what);
        these.count() as u64
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
const fn is_none_left_out(left_out: &u64) -> bool {
    *left_out == 0
}

/// Why an app could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It gave no clear answer: nothing follows.
    #[error(transparent)]
    App(#[from] AppError),
    /// The records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a look found.
#[derive(Debug, Clone)]
pub struct Looked {
    /// All that differs, and what becomes of it.
    pub report: Report,
    /// What of it waits for a person's word, a plan for each source.
    pub plans: Vec<Plan>,
}

/// Told how many of its accounts were read.
pub type Read<'a> = &'a (dyn Fn(u64) + Sync);

/// Reads an app and compares, and says what would be done about it; changes nothing.
///
/// # Errors
/// When app or store gave no clear answer: half a picture is none.
pub async fn look(
    side: &AppSide,
    store: &dyn Store,
    brakes: &dyn Brakes,
    now: Timestamp,
    tell: Read<'_>,
) -> Result<Looked, LookError> {
    let expected = expected::read(side, store, now).await?;
    let mut report = Report {
        app: side.terms.id.clone(),
        looked_at: now,
        accounts: 0,
        present: 0,
        strangers: 0,
        some_strangers: Vec::new(),
        counts: BTreeMap::new(),
        differences: Vec::new(),
        left_out: 0,
        problems: Vec::new(),
    };
    let leaving = compare::compare(side, expected, &mut report, tell).await?;
    heal::judge(&mut report, store).await?;
    let plans = crowd::hold(&mut report, &leaving, store, brakes, now).await?;
    report.differences.sort_by_key(|d| (d.what, d.user));
    report.count_all();
    Ok(Looked { report, plans })
}

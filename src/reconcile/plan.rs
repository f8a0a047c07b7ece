//! What differs between the records and the directory, and what follows from it. A plan can be shown,
//! kept, and carried out later exactly as it was shown: each step knows what the record was and what
//! the directory said, as digests, so that it holds nobody's name or address.

use super::world::World;
use crate::config::Brake;
use crate::store::{DirectoryGroup, Person};
use crate::types::{AppId, SourceId, Timestamp};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The form of a plan that this version writes and reads.
pub const VERSION: u32 = 1;

/// Which apps a word admits to; none for whoever is not active.
pub type Admits<'a> = Box<dyn FnMut(&Person) -> BTreeSet<AppId> + Send + 'a>;

/// The configuration's rules.
pub trait Judge: Send + Sync {
    /// What they say of words, with these groups.
    fn with<'a>(&'a self, groups: &'a BTreeMap<String, DirectoryGroup>) -> Admits<'a>;
}

/// What happens to a person or group, for whoever reads a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Not in the directory any more.
    Gone,
    /// May not sign in any more.
    Deactivated,
    /// Not on record before.
    New,
    /// In the directory again.
    Returned,
    /// May sign in again.
    Reactivated,
    /// In other groups than before, or the groups themselves changed.
    Groups,
    /// Name, address or other attributes.
    Profile,
}

/// One person of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonStep {
    /// The directory's own id.
    pub id: String,
    /// What happens.
    pub what: What,
    /// Apps that they may use afterwards and not before.
    pub gains: Vec<AppId>,
    /// Apps that they may use before and not afterwards.
    pub loses: Vec<AppId>,
    /// Digest of what was on record; `None`: nothing was.
    pub before: Option<String>,
    /// Digest of what the directory said.
    pub after: String,
}

impl PersonStep {
    /// Whether somebody loses anything by it.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        !self.loses.is_empty() || matches!(self.what, What::Gone | What::Deactivated)
    }

    /// Whether it changes what is on record of them, and not only what follows from a group.
    #[must_use]
    pub fn changes_the_word(&self) -> bool {
        self.before.as_deref() != Some(&self.after)
    }
}

/// One group of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStep {
    /// The directory's own id.
    pub id: String,
    /// Its name: groups are nobody's personal data.
    pub name: String,
    /// What happens.
    pub what: What,
    /// Digest of what was on record; `None`: nothing was.
    pub before: Option<String>,
    /// Digest of what the directory said.
    pub after: String,
}

/// The difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// Its own.
    pub id: Uuid,
    /// Of which directory.
    pub source: SourceId,
    /// In which app alone: what its directory has said already, and what was not done there. Its
    /// steps change no record (`before` and `after` are the same), and no directory is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// When the directory had been read.
    pub made_at: Timestamp,
    /// People on record who may sign in, before.
    pub present: u64,
    /// Groups, by id.
    pub groups: Vec<GroupStep>,
    /// People: who loses something first, then by id.
    pub people: Vec<PersonStep>,
    /// Why it waits for a person's word; `None`: it does not.
    pub held: Option<String>,
}

/// A plan in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// People who lose something.
    pub losing: u64,
    /// People who gain an app and lose none.
    pub gaining: u64,
    /// People not on record before.
    pub new: u64,
    /// People whose word changes otherwise.
    pub other: u64,
    /// Groups that change.
    pub groups: u64,
}

impl Plan {
    /// What differs.
    #[must_use]
    pub fn compute(
        source: &SourceId,
        now: Timestamp,
        known: &World,
        world: &World,
        judge: &dyn Judge,
        brake: &Brake,
    ) -> Self {
        let mut groups: Vec<GroupStep> = Vec::new();
        for (id, after) in &world.groups {
            let before = known.groups.get(id);
            if before.is_none() && after.gone_at.is_some() {
                continue;
            }
            let step = GroupStep {
                id: id.clone(),
                name: after.name.clone(),
                what: group_change(before, after),
                before: before.map(digest_of_group),
                after: digest_of_group(after),
            };
            if step.before.as_deref() != Some(&step.after) {
                groups.push(step);
            }
        }
        let mut people: Vec<PersonStep> = Vec::new();
        let (mut then, mut now_admits) = (judge.with(&known.groups), judge.with(&world.groups));
        for (id, after) in &world.people {
            let before = known.people.get(id);
            let had = before.map_or_else(BTreeSet::new, &mut then);
            let has = now_admits(after);
            let step = PersonStep {
                id: id.clone(),
                what: change(before, after),
                gains: has.difference(&had).cloned().collect(),
                loses: had.difference(&has).cloned().collect(),
                before: before.map(digest_of),
                after: digest_of(after),
            };
            if step.changes_the_word() || !step.gains.is_empty() || !step.loses.is_empty() {
                people.push(step);
            }
        }
        people.sort_by(|a, b| (!a.takes_away(), &a.id).cmp(&(!b.takes_away(), &b.id)));
        let present = known.people.values().filter(|p| is_present(p)).count();
        let mut plan = Self {
            version: VERSION,
            id: Uuid::now_v7(),
            source: source.clone(),
            app: None,
            made_at: now,
            present: u64::try_from(present).unwrap_or(u64::MAX),
            groups,
            people,
            held: None,
        };
        plan.held = brake.holds(plan.summary().losing, plan.present);
        plan
    }

    /// In numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut sum = Summary {
            groups: u64::try_from(self.groups.len()).unwrap_or(u64::MAX),
            ..Summary::default()
        };
        for step in &self.people {
            if step.takes_away() {
                sum.losing += 1;
            } else if step.what == What::New {
                sum.new += 1;
            } else if !step.gains.is_empty() {
                sum.gaining += 1;
            } else {
                sum.other += 1;
            }
        }
        sum
    }

    /// What waits while the plan is held: all that takes away, and the groups by which it would. What
    /// is on record of a held plan is this, so that carrying out the rest does not make it another.
    #[must_use]
    pub fn waiting(&self) -> Self {
        let mut waits = self.clone();
        waits.groups.retain(|step| step.what != What::New);
        waits.people.retain(PersonStep::takes_away);
        waits
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.groups.is_empty()
    }
}

fn is_present(person: &Person) -> bool {
    person.active && person.gone_at.is_none()
}

fn change(before: Option<&Person>, after: &Person) -> What {
    let Some(before) = before else {
        return What::New;
    };
    match (before.gone_at, after.gone_at) {
        (None, Some(_)) => return What::Gone,
        (Some(_), None) => return What::Returned,
        _ => {}
    }
    match (before.active, after.active) {
        (true, false) => What::Deactivated,
        (false, true) => What::Reactivated,
        _ if before.groups != after.groups => What::Groups,
        _ if digest_of(before) == digest_of(after) => What::Groups,
        _ => What::Profile,
    }
}

fn group_change(before: Option<&DirectoryGroup>, after: &DirectoryGroup) -> What {
    match before {
        None => What::New,
        Some(before) if before.gone_at.is_none() && after.gone_at.is_some() => What::Gone,
        Some(before) if before.gone_at.is_some() && after.gone_at.is_none() => What::Returned,
        Some(before) if before.parents != after.parents => What::Groups,
        Some(_) => What::Profile,
    }
}

/// What a word says, whenever it was said.
#[must_use]
pub fn digest_of(person: &Person) -> String {
    // As the store keeps it: the same word has the same digest before and after it was kept.
    let kept = person.as_kept(None);
    let said = Person {
        read_at: Timestamp(0),
        gone_at: kept.gone_at.map(|_| Timestamp(0)),
        ..kept
    };
    hex(&said)
}

/// The same of a group.
#[must_use]
pub fn digest_of_group(group: &DirectoryGroup) -> String {
    let kept = group.as_kept(None);
    let said = DirectoryGroup {
        read_at: Timestamp(0),
        gone_at: kept.gone_at.map(|_| Timestamp(0)),
        ..kept
    };
    hex(&said)
}

fn hex(value: &impl Serialize) -> String {
    use std::fmt::Write as _;
    // Records of plain fields: they always have a JSON form.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut out = String::with_capacity(64);
    for byte in digest(&SHA256, &text).as_ref() {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
pub(in crate::reconcile) mod tests;

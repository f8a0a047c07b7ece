//! Carries a plan out. What takes access away goes first, so that it never waits behind a thousand
//! new accounts; a held plan waits with all that takes away, and with the groups by which it would.
//!
//! What was shown is what is done: [`exactly`] asks the directory again about every step, and does
//! nothing at all when any answer or any record is not what the plan says.

use super::plan::{GroupStep, PersonStep, Plan, What, digest_of, digest_of_group};
use super::world::{Progress, SweepError, Teller, World, gone, group_gone};
use crate::directory::read::TakesIn;
use crate::directory::source::Source;
use crate::store::{DirectoryGroup, DirectoryStore, Person, StoreError};
use crate::types::Clock;

/// What came of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Steps that were carried out.
    pub done: u64,
    /// Steps that wait, since the plan is held.
    pub held: u64,
}

/// Carries out a plan that was just made of `world`; of a held one only what takes nothing away. Whoever
/// was asked about meanwhile is asked about once more.
///
/// # Errors
/// When a word could not be put on record, or somebody not asked about: what came before was done.
pub async fn now(
    plan: &Plan,
    world: &World,
    source: &dyn Source,
    to: &dyn TakesIn,
    tell: Teller<'_>,
) -> Result<Applied, SweepError> {
    let held = plan.held.is_some();
    let groups = (plan.groups.iter()).filter(|step| !held || step.what == What::New);
    let people = (plan.people.iter()).filter(|step| !held || !step.takes_away());
    let groups: Vec<_> = groups
        .filter_map(|step| world.groups.get(&step.id))
        .cloned()
        .collect();
    let people: Vec<_> = people
        .filter_map(|step| world.people.get(&step.id))
        .cloned()
        .collect();
    let all = plan.groups.len() + plan.people.len();
    const WHY: &str = "a sweep found it";
    let (done, overtaken) = take_in(groups, people, WHY, to, tell).await?;
    for id in overtaken {
        // Whoever is not there any more is the next sweep's to confirm.
        if let Some(word) = source.person(&id).await? {
            to.person(word, WHY).await?;
        }
    }
    Ok(Applied {
        done,
        held: u64::try_from(all).unwrap_or(u64::MAX) - done,
    })
}

/// A step that is not as the plan says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// `person` or `group`.
    pub what: &'static str,
    /// The directory's own id.
    pub id: String,
    /// What is not as it was.
    pub why: &'static str,
}

/// What a plan's steps say, asked for again and found as shown.
pub struct Words {
    groups: Vec<DirectoryGroup>,
    people: Vec<Person>,
    /// Whose words stand, and are to be followed in apps.
    again: Vec<Person>,
}

/// Looks whether a plan can be carried out as it was shown: asks the directory again about every
/// step, and changes nothing.
///
/// # Errors
/// When the directory or the store does not answer.
pub async fn check(
    plan: &Plan,
    source: &dyn Source,
    store: &dyn DirectoryStore,
    clock: &dyn Clock,
    tell: Teller<'_>,
) -> Result<Result<Words, Vec<Moved>>, SweepError> {
    let mut moved = Vec::new();
    let known = store.groups(&plan.source).await?;
    let mut groups = Vec::new();
    for step in &plan.groups {
        let before = known.iter().find(|group| group.id == step.id);
        match group_again(step, before, source, clock).await? {
            Ok(group) => groups.push(group),
            Err(why) => moved.push(Moved {
                what: "group",
                id: step.id.clone(),
                why,
            }),
        }
    }
    let of = u64::try_from(plan.people.len()).unwrap_or(u64::MAX);
    let mut people = Vec::new();
    for (asked, step) in (1..).zip(&plan.people) {
        let before = store.person(&plan.source, &step.id).await?;
        match person_again(step, before.as_ref(), source, clock).await? {
            Ok(person) => people.push(person),
            Err(why) => moved.push(Moved {
                what: "person",
                id: step.id.clone(),
                why,
            }),
        }
        tell(Progress::Missing(asked, of));
    }
    Ok(match moved.is_empty() {
        true => Ok(Words {
            groups,
            people,
            again: Vec::new(),
        }),
        false => Err(moved),
    })
}

/// The same of a plan of one app: the directory has said what it said, so only the records are asked.
///
/// # Errors
/// When the store does not answer.
pub async fn check_app(
    plan: &Plan,
    store: &dyn DirectoryStore,
) -> Result<Result<Words, Vec<Moved>>, SweepError> {
    let (mut again, mut moved) = (Vec::new(), Vec::new());
    for step in &plan.people {
        let known = store.person(&plan.source, &step.id).await?;
        match known.filter(|known| Some(digest_of(known)) == step.before) {
            Some(known) => again.push(known),
            None => moved.push(Moved {
                what: "person",
                id: step.id.clone(),
                why: RECORD,
            }),
        }
    }
    Ok(match moved.is_empty() {
        true => Ok(Words {
            groups: Vec::new(),
            people: Vec::new(),
            again,
        }),
        false => Err(moved),
    })
}

impl Words {
    /// How many steps they are.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.groups.len() + self.people.len() + self.again.len()
    }

    /// Carries out the plan that they were asked for.
    ///
    /// # Errors
    /// When a word could not be put on record: those before it were.
    pub async fn take_in(
        self,
        plan: &Plan,
        to: &dyn TakesIn,
        tell: Teller<'_>,
    ) -> Result<Applied, StoreError> {
        let why = format!("by the plan {}", plan.id);
        let (mut done, _) = take_in(self.groups, self.people, &why, to, tell).await?;
        for person in &self.again {
            to.again(person, &why).await?;
            done += 1;
        }
        Ok(Applied { done, held: 0 })
    }
}

/// Carries out a plan as it was shown, or nothing of it.
///
/// # Errors
/// When the directory or the store does not answer.
pub async fn exactly(
    plan: &Plan,
    source: &dyn Source,
    store: &dyn DirectoryStore,
    to: &dyn TakesIn,
    clock: &dyn Clock,
    tell: Teller<'_>,
) -> Result<Result<Applied, Vec<Moved>>, SweepError> {
    match check(plan, source, store, clock, tell).await? {
        Ok(words) => Ok(Ok(words.take_in(plan, to, tell).await?)),
        Err(moved) => Ok(Err(moved)),
    }
}

const RECORD: &str = "the record is not what it was";
const DIRECTORY: &str = "the directory says something else now";

async fn person_again(
    step: &PersonStep,
    before: Option<&Person>,
    source: &dyn Source,
    clock: &dyn Clock,
) -> Result<Result<Person, &'static str>, SweepError> {
    if before.map(digest_of) != step.before {
        return Ok(Err(RECORD));
    }
    let now = clock.now();
    let said = source.person(&step.id).await?;
    let word = said.or_else(|| before.map(|before| gone(before, now)));
    Ok(word
        .filter(|word| digest_of(word) == step.after)
        .ok_or(DIRECTORY))
}

async fn group_again(
    step: &GroupStep,
    before: Option<&DirectoryGroup>,
    source: &dyn Source,
    clock: &dyn Clock,
) -> Result<Result<DirectoryGroup, &'static str>, SweepError> {
    if before.map(digest_of_group) != step.before {
        return Ok(Err(RECORD));
    }
    let now = clock.now();
    let said = source.group(&step.id).await?;
    let word = said.or_else(|| before.map(|before| group_gone(before, now)));
    Ok(word
        .filter(|word| digest_of_group(word) == step.after)
        .ok_or(DIRECTORY))
}

/// Groups before people, and people in the plan's order: who loses something first. Gives how many that
/// were, and of whom something newer was known.
async fn take_in(
    groups: Vec<DirectoryGroup>,
    people: Vec<Person>,
    why: &str,
    to: &dyn TakesIn,
    tell: Teller<'_>,
) -> Result<(u64, Vec<String>), StoreError> {
    let of = u64::try_from(groups.len() + people.len()).unwrap_or(u64::MAX);
    let (mut done, mut overtaken) = (0, Vec::new());
    for group in groups {
        to.group(&group, why).await?;
        done += 1;
        tell(Progress::Steps(done, of));
    }
    for person in people {
        let id = person.id.clone();
        if !to.person(person, why).await? {
            overtaken.push(id);
        }
        done += 1;
        tell(Progress::Steps(done, of));
    }
    Ok((done, overtaken))
}

#[cfg(test)]
mod tests;

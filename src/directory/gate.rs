//! Who may use an app: its access rule, by what the assertion and the directories say. Pure, and
//! without an allocation: the road asks it on every request.
//!
//! Each group of a rule is a gate, judged by itself:
//!
//! | a fresh directory says | the assertion says | the gate |
//! |---|---|---|
//! | no | whatever | is shut |
//! | yes | yes | is open |
//! | yes | no | is open, if directories may grant, to whoever's assertion names any group at all |
//! | nothing, or too long ago | yes / no | is open / shut |
//!
//! A SCIM connection says who is in a group and never who is not: groups come before their members,
//! a membership may get lost on its way, and who is in a group by another one is not mentioned. So
//! where a directory is asked about whomever a connection names (`reread`), and says *yes*, the
//! connection's *no* does not count, unless the directory was not heard of since for too long.
//!
//! Words of a source that can't be asked, but tells of its own accord (SCIM), are fresh for as long as
//! they stand: its silence says that nothing changed. Once it is not configured any more nobody could
//! take them back, and neither its yes nor its no counts.
//!
//! An assertion without any group may be a Pomerium service account's that bears a person's id, name
//! and address (recordings/pomerium, difference 30): it is never given more than it says.
//!
//! A gate bound to an id is open to the members of that very group, whatever it is called now; its
//! name counts only where no directory has a word. Of several sources that know a gate's group one
//! *no* shuts it. A source knows a group by the gate's id or name; when none does, those that speak
//! of groups at all say no: a group that was deleted admits nobody.

use super::index::{Index, Known};
use super::standing::{Denial, Said, Standing, Verdict};
use crate::config::{AccessRule, DirectoryRules, Gate};
use crate::error::Code;
use crate::types::{GroupName, SourceId, Timestamp};
use serde::Serialize;
use std::time::Duration;

/// How long a SCIM connection's *no* waits for the directory that is asked about it, when that has
/// said *yes* before.
const TO_ANSWER: Duration = Duration::from_secs(300);

/// What directories say of one group and person, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// They are in it.
    Yes,
    /// They are not.
    No,
    /// No directory has a word that counts.
    Nothing,
}

/// Somebody, as directories see them.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// `None`: nobody ever said anything about them.
    pub standing: Option<&'a Standing>,
    /// What is known of groups.
    pub index: &'a Index,
}

impl View<'_> {
    /// Who turns them away, if somebody does.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        self.standing.and_then(Standing::denial)
    }

    /// The words that count now.
    pub(super) fn fresh(
        &self,
        rules: &DirectoryRules,
        now: Timestamp,
    ) -> impl Iterator<Item = &Said> {
        let present = self.standing.filter(|s| s.verdict == Verdict::Present);
        let said = present.map_or(&[][..], |standing| &standing.said);
        said.iter()
            .filter(move |said| match said.is_pushed(self.index) {
                true => self.connection(said, rules).is_some(),
                false => now.since(said.confirmed_at(self.index)) <= rules.max_age,
            })
    }

    /// The SCIM connection that said it, while it is configured.
    fn connection<'r>(
        &self,
        said: &Said,
        rules: &'r DirectoryRules,
    ) -> Option<&'r (SourceId, Option<SourceId>)> {
        let source = self.index.known_source(said.source)?;
        let mut all = rules.connections.iter();
        all.find(|(connection, _)| *connection == source.id)
    }

    /// Whether any directory has said or confirmed within the maximum age that they are there.
    #[must_use]
    pub fn is_fresh(&self, rules: &DirectoryRules, now: Timestamp) -> bool {
        self.fresh(rules, now).next().is_some()
    }

    /// Whether they are in a gate's group, by the directories' words of the maximum age.
    #[must_use]
    pub fn says(&self, gate: &Gate, rules: &DirectoryRules, now: Timestamp) -> Says {
        let mut says = Says::Nothing;
        let mut speaks = false;
        for said in self.fresh(rules, now) {
            match self.one_says(said, gate) {
                Some(false) if self.is_a_gap(said, gate, rules, now) => {}
                Some(false) => return Says::No,
                Some(true) if said.is_ahead(self.index, now) => {}
                Some(true) => says = Says::Yes,
                None => speaks |= self.speaks(said),
            }
        }
        match says {
            Says::Nothing if speaks => Says::No,
            other => other,
        }
    }

    /// Whether a connection's *no* only means that it was not told: the directory that is asked about
    /// whomever it names says *yes*, and has said so since, or may still do.
    fn is_a_gap(&self, said: &Said, gate: &Gate, rules: &DirectoryRules, now: Timestamp) -> bool {
        let Some(asked) = self.asked_about(said, rules, now) else {
            return false;
        };
        let confirmed = asked.confirmed_at(self.index);
        // Each word of the connection begins the wait anew: a directory that can't be asked for long, and
        // whoever has themselves mentioned again and again, must not stretch it.
        let waits = !said.is_ahead(self.index, now)
            && now.since(said.read_at) < TO_ANSWER
            && now.since(confirmed) <= rules.admin_max_age;
        (confirmed >= said.read_at || waits)
            && !asked.is_ahead(self.index, now)
            && self.one_says(asked, gate) == Some(true)
    }

    /// The fresh word of the directory that is asked about whomever this one's source names.
    pub(super) fn asked_about(
        &self,
        said: &Said,
        rules: &DirectoryRules,
        now: Timestamp,
    ) -> Option<&Said> {
        let (_, directory) = self.connection(said, rules)?;
        let directory = directory.as_ref()?;
        self.fresh(rules, now).find(|other| {
            let of = self.index.known_source(other.source);
            of.is_some_and(|of| of.id == *directory)
        })
    }

    /// Whether a word says that its person is not in the group that another source tells of.
    pub(super) fn is_out_of(&self, said: &Said, group: &Known) -> bool {
        let same = match self.index.by_id(said.source, &group.id) {
            Some(number) => Some(number),
            None => self
                .index
                .by_name(&group.name)
                .iter()
                .copied()
                .find(|number| {
                    let known = self.index.group(*number);
                    known.is_some_and(|known| known.source == said.source)
                }),
        };
        same.is_some_and(|number| !said.is_in(number))
    }

    /// Whether a source's silence about a group means something.
    fn speaks(&self, said: &Said) -> bool {
        let source = self.index.known_source(said.source);
        !said.groups.is_empty() || source.is_some_and(|source| source.speaks)
    }

    /// What one source says; `None` when it does not know the group.
    fn one_says(&self, said: &Said, gate: &Gate) -> Option<bool> {
        if let Some(id) = &gate.id {
            let number = self.index.by_id(said.source, id)?;
            let group = self.index.group(number)?;
            return Some(!group.gone && said.is_in(number));
        }
        let named = self.index.by_name(gate.name.as_str()).iter();
        let mut own = named
            .filter(|number| {
                let group = self.index.group(**number);
                group.is_some_and(|group| group.source == said.source)
            })
            .map(|number| said.is_in(*number))
            .peekable();
        own.peek()?;
        Some(own.any(|is_in| is_in))
    }
}

/// Who opened or shut a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// A directory.
    Directory,
    /// The assertion: no directory has a word, or directories may not grant this.
    Assertion,
}

/// Whether a gate is open to somebody whose assertion names these groups.
fn holds(
    gate: &Gate,
    asserted: &[GroupName],
    view: &View<'_>,
    rules: &DirectoryRules,
    now: Timestamp,
) -> (bool, DecidedBy) {
    let asserts = asserted.contains(&gate.name);
    match view.says(gate, rules, now) {
        Says::No => (false, DecidedBy::Directory),
        Says::Yes => {
            let given = rules.may_grant && (rules.grant_to_empty || !asserted.is_empty());
            match asserts || given {
                true => (true, DecidedBy::Directory),
                false => (false, DecidedBy::Assertion),
            }
        }
        Says::Nothing => (asserts, DecidedBy::Assertion),
    }
}

/// Judges a rule gate by gate.
fn by_gates(rule: &AccessRule, mut open: impl FnMut(&Gate) -> bool) -> Result<(), Code> {
    if rule.validated.as_ref().is_some_and(|gate| !open(gate)) {
        return Err(Code::AccessPending);
    }
    let any = rule.any_of.is_empty() || rule.any_of.iter().any(&mut open);
    let all = rule.all_of.iter().all(&mut open);
    // Neither "everyone" nor a group to ask for: a rule that says nothing admits nobody.
    let says_something = rule.everyone || !rule.any_of.is_empty() || !rule.all_of.is_empty();
    if any && all && says_something {
        Ok(())
    } else {
        Err(Code::AccessNotGranted)
    }
}

/// Whether somebody whose assertion names these groups may use the app now.
///
/// # Errors
/// `access.disabled`, `access.pending`, `access.not_granted`.
pub fn judge(
    rule: &AccessRule,
    asserted: &[GroupName],
    view: &View<'_>,
    rules: &DirectoryRules,
    now: Timestamp,
) -> Result<(), Code> {
    if view.denial().is_some() {
        return Err(Code::AccessDisabled);
    }
    by_gates(rule, |gate| holds(gate, asserted, view, rules, now).0)
}

/// What directories alone say of somebody and an app: what may give or take accounts and
/// memberships, which an assertion never does. `None`: they don't say enough to do either.
#[must_use]
pub fn by_directories(
    rule: &AccessRule,
    view: &View<'_>,
    rules: &DirectoryRules,
    now: Timestamp,
) -> Option<Result<(), Code>> {
    if view.denial().is_some() {
        return Some(Err(Code::AccessDisabled));
    }
    if !view.is_fresh(rules, now) {
        return None;
    }
    let says = |gate: &Gate| view.says(gate, rules, now);
    // What would be decided if all that is not said were in their favour, and if it were not: where
    // both agree, it does not matter.
    let best = by_gates(rule, |gate| says(gate) != Says::No);
    let worst = by_gates(rule, |gate| says(gate) == Says::Yes);
    match (best, worst) {
        (Err(code), _) => Some(Err(code)),
        (Ok(()), Ok(())) => Some(Ok(())),
        (Ok(()), Err(_)) => None,
    }
}

/// What one source says of one gate's group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceSays {
    /// Which.
    pub source: SourceId,
    /// Whether they are in it.
    pub is_in: bool,
}

/// A gate as it is explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedGate {
    /// Which key of the rule names it: `validated`, `any_of`, `all_of`.
    pub key: &'static str,
    /// The group's name in the rule.
    pub name: String,
    /// The id it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What directories say as a whole.
    pub directories: Says,
    /// What each says whose word is fresh; those that do not know the group are not named.
    pub sources: Vec<SourceSays>,
    /// Whether the newest assertion names it.
    pub assertion: bool,
    /// Whether it is open.
    pub open: bool,
    /// By whose word.
    pub decided_by: DecidedBy,
}

/// Each gate of a rule, and what opens or shuts it.
#[must_use]
pub fn explain(
    rule: &AccessRule,
    asserted: &[GroupName],
    view: &View<'_>,
    rules: &DirectoryRules,
    now: Timestamp,
) -> Vec<ExplainedGate> {
    let validated = rule.validated.iter().map(|gate| ("validated", gate));
    let any = rule.any_of.iter().map(|gate| ("any_of", gate));
    let all = rule.all_of.iter().map(|gate| ("all_of", gate));
    let explained = |(key, gate): (&'static str, &Gate)| {
        let (open, decided_by) = holds(gate, asserted, view, rules, now);
        let sources = view.fresh(rules, now).filter_map(|said| {
            let source = view.index.known_source(said.source)?;
            Some(SourceSays {
                source: source.id.clone(),
                is_in: view.one_says(said, gate)?,
            })
        });
        ExplainedGate {
            key,
            name: gate.name.to_string(),
            id: gate.id.as_deref().map(str::to_owned),
            directories: view.says(gate, rules, now),
            sources: sources.collect(),
            assertion: asserted.contains(&gate.name),
            open,
            decided_by,
        }
    };
    validated.chain(any).chain(all).map(explained).collect()
}

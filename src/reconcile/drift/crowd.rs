//! Whose accounts would be deactivated, and when that are too many at once: those whom a SCIM client
//! ended in a crowd, those whose grace ends on one day, those whom a changed configuration concerns.
//! They are kept out all the same; only their accounts wait, in a plan that is decided about like any
//! other. Changes nothing: [`super::heal`] puts plans on record.
//!
//! Who is still within the grace waits with the others: the plan is there while there is time, and when
//! the grace is over they stay as they are until it was decided.

use super::{Care, Drifted, Report};
use crate::reconcile::plan::{PersonStep, Plan, VERSION, What, digest_of};
use crate::reconcile::sweep::read_plan;
use crate::store::{
    Person, PlanFilter, PlanState, SaidOf, StateBy, Store, StoreError, StoredPlan, User, Word,
};
use crate::types::{AppId, IssuerId, SourceId, Subject, Timestamp, UserId};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// Records read at once.
const PAGE: usize = 200;

/// When what a source has said waits for a person's word.
#[async_trait]
pub trait Brakes: Send + Sync {
    /// Why the accounts of so many of so many active ones are not deactivated now; `None`: they are.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn holds(
        &self,
        source: &SourceId,
        losing: Leave,
        present: u64,
    ) -> Result<Option<String>, StoreError>;
}

/// How many would lose their accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leave {
    /// Now.
    pub now: u64,
    /// When their grace is over.
    pub later: u64,
}

/// Somebody whose account would be deactivated.
struct Losing {
    user: UserId,
    /// Whether now, or when their grace is over.
    now: bool,
    /// Since when a directory has turned them away.
    denied_since: Option<Timestamp>,
    step: PersonStep,
}

/// The plans that are to wait; says in the report whose accounts do.
pub(super) async fn hold(
    report: &mut Report,
    leaving: &[UserId],
    store: &dyn Store,
    brakes: &dyn Brakes,
    now: Timestamp,
) -> Result<Vec<Plan>, StoreError> {
    let mut care = HashMap::new();
    let mut plans = Vec::new();
    for (source, mut losing) in losing(report, leaving, store).await? {
        let decided = Decided::read(store, &source, &report.app, &losing).await?;
        losing.retain(|one| {
            let left = decided.dismissed.contains(&key(&one.step));
            if left {
                care.insert(one.user, Care::Left);
            }
            !left && !decided.applied(one)
        });
        let waits = losing.iter().any(|one| decided.held.contains(&one.step.id));
        let due = losing.iter().filter(|one| one.now).count() as u64;
        let leave = Leave {
            now: due,
            later: losing.len() as u64 - due,
        };
        let why = match brakes.holds(&source, leave, report.present).await? {
            Some(why) => Some(why),
            // Who was held once is held until somebody says so, however few are left.
            None if waits => Some(format!(
                "the accounts of {} people wait since more went at once",
                losing.len()
            )),
            None => None,
        };
        let Some(why) = why.filter(|_| !losing.is_empty()) else {
            continue;
        };
        care.extend(losing.iter().map(|one| (one.user, Care::Held)));
        plans.push(plan(report, &source, losing, why, now));
    }
    for difference in &mut report.differences {
        if difference.what == Drifted::Active
            && let Some(care) = care.get(&difference.user)
        {
            difference.care = *care;
        }
    }
    Ok(plans)
}

/// Whose accounts would be deactivated, by the source whose word it is. An operator's own order is
/// nobody's word: it waits for nothing.
async fn losing(
    report: &Report,
    leaving: &[UserId],
    store: &dyn Store,
) -> Result<BTreeMap<SourceId, Vec<Losing>>, StoreError> {
    let mut all: BTreeMap<SourceId, Vec<Losing>> = BTreeMap::new();
    let active = report
        .differences
        .iter()
        .filter(|d| d.what == Drifted::Active && d.care == Care::Mend);
    let now = active.map(|d| (d.user, true));
    let ids: Vec<_> = now
        .chain(leaving.iter().map(|user| (*user, false)))
        .collect();
    for some in ids.chunks(PAGE) {
        let mut users: Vec<(User, bool)> = Vec::with_capacity(some.len());
        for (id, now) in some {
            let user = store.user(*id).await?;
            users.extend(user.map(|user| (user, *now)));
        }
        let whom: Vec<_> = users.iter().map(|(user, _)| subject_of(user)).collect();
        for ((user, now), said) in users.iter().zip(store.said_of(&whom).await?) {
            let Some(by) = word_against(user, &said) else {
                continue;
            };
            let word = &by.person;
            let digest = digest_of(word);
            let step = PersonStep {
                id: word.id.clone(),
                what: match (word.gone_at, word.active) {
                    (Some(_), _) => What::Gone,
                    (None, false) => What::Deactivated,
                    (None, true) => What::Groups,
                },
                gains: Vec::new(),
                loses: vec![report.app.clone()],
                before: Some(digest.clone()),
                after: digest,
            };
            let of = all.entry(word.source.clone()).or_default();
            of.push(Losing {
                user: user.id,
                now: *now,
                denied_since: by.denied_since,
                step,
            });
        }
    }
    Ok(all)
}

fn subject_of(user: &User) -> (IssuerId, Subject) {
    (user.issuer.clone(), user.subject.clone())
}

/// By whose word somebody has no account any more; nobody's when an operator said so.
fn word_against<'a>(user: &User, said: &'a SaidOf) -> Option<&'a Word> {
    if user.state.denies() && user.state_by == StateBy::Operator {
        return None;
    }
    let denies = said.words.iter().find(|word| word.person.denies());
    match denies {
        Some(word) => Some(word),
        None if user.state.denies() => None,
        None => said.words.first(),
    }
}

/// The plan that holds somebody's account, if one does: it is left as it is until that was decided
/// about, whoever asks, and whatever is said of them meanwhile.
///
/// # Errors
/// When the store does not answer.
pub async fn held_by(
    user: &User,
    app: &AppId,
    store: &dyn Store,
) -> Result<Option<Uuid>, StoreError> {
    let said = store.said_of(&[subject_of(user)]).await?;
    let Some(word) = said.first().and_then(|said| word_against(user, said)) else {
        return Ok(None);
    };
    let Person { source, id, .. } = &word.person;
    let held = last(store, source, PlanState::Held, app).await?;
    let holds = held.filter(|plan| plan.people.iter().any(|step| step.id == *id));
    Ok(holds.map(|plan| plan.id))
}

fn key(step: &PersonStep) -> (String, String) {
    (step.id.clone(), step.after.clone())
}

/// What was decided about a source's people in an app.
struct Decided {
    /// Who waits, whatever is said of them meanwhile.
    held: HashSet<String>,
    /// Who stays, as long as the same is said of them.
    dismissed: HashSet<(String, String)>,
    /// Who goes by a plan that somebody approved, and since when it is carried out.
    applied: HashMap<(String, String), Timestamp>,
}

impl Decided {
    async fn read(
        store: &dyn Store,
        source: &SourceId,
        app: &AppId,
        losing: &[Losing],
    ) -> Result<Self, StoreError> {
        let held = last(store, source, PlanState::Held, app).await?;
        let dismissed = last(store, source, PlanState::Dismissed, app).await?;
        let steps = |plan: Option<Plan>| plan.map(|plan| plan.people).unwrap_or_default();
        let mut decided = Self {
            held: steps(held).into_iter().map(|step| step.id).collect(),
            dismissed: steps(dismissed).iter().map(key).collect(),
            applied: HashMap::new(),
        };
        // Plans that may be about what is going on: not those from before anybody of them went.
        let Some(first) = losing.iter().filter_map(|one| one.denied_since).min() else {
            return Ok(decided);
        };
        for plan in in_state(store, source, PlanState::Applied).await? {
            let concerns = plan.app.as_ref().is_none_or(|of| of == app);
            if !concerns || plan.state_since < first {
                continue;
            }
            for step in steps(whole(store, plan.id).await?) {
                decided.applied.insert(key(&step), plan.state_since);
            }
        }
        Ok(decided)
    }

    /// Whether somebody said yes to just this: it is not asked a second time, when the grace is over or
    /// a job was lost. Who came back since and went again is another matter.
    fn applied(&self, one: &Losing) -> bool {
        let approved = self.applied.get(&key(&one.step));
        matches!((approved, one.denied_since), (Some(at), Some(since)) if since <= *at)
    }
}

async fn in_state(
    store: &dyn Store,
    source: &SourceId,
    state: PlanState,
) -> Result<Vec<StoredPlan>, StoreError> {
    let filter = PlanFilter {
        source: Some(source.clone()),
        state: Some(state),
        limit: 1_000,
        ..PlanFilter::default()
    };
    store.plans(&filter).await
}

/// The last plan of a source and app in this state.
async fn last(
    store: &dyn Store,
    source: &SourceId,
    state: PlanState,
    app: &AppId,
) -> Result<Option<Plan>, StoreError> {
    let of_app = |plan: &StoredPlan| plan.app.as_ref() == Some(app);
    let plans = in_state(store, source, state).await?;
    match plans.into_iter().rfind(of_app) {
        Some(last) => whole(store, last.id).await,
        None => Ok(None),
    }
}

/// All that a plan says; one of another version says nothing: the brake judges them anew.
async fn whole(store: &dyn Store, id: Uuid) -> Result<Option<Plan>, StoreError> {
    let stored = store.plan(id).await?;
    Ok(stored.and_then(|stored| read_plan(&stored.body).ok()))
}

fn plan(
    report: &Report,
    source: &SourceId,
    losing: Vec<Losing>,
    why: String,
    now: Timestamp,
) -> Plan {
    let mut people: Vec<PersonStep> = losing.into_iter().map(|one| one.step).collect();
    people.sort_by(|a, b| a.id.cmp(&b.id));
    Plan {
        version: VERSION,
        id: Uuid::now_v7(),
        source: source.clone(),
        app: Some(report.app.clone()),
        made_at: now,
        present: report.present,
        groups: Vec::new(),
        people,
        held: Some(why),
    }
}

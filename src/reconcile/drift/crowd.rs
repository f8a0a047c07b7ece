//! Whose accounts would be deactivated, and when that are too many at once: those whom a SCIM client
//! ended in a crowd, for one. They are kept out all the same; only their accounts wait, in a plan that
//! is decided about like any other. Changes nothing: [`super::heal`] puts plans on record.

use super::{Care, Drifted, Report};
use crate::reconcile::plan::{PersonStep, Plan, VERSION, What, digest_of};
use crate::reconcile::sweep::read_plan;
use crate::store::{PlanFilter, PlanState, Store, StoreError, StoredPlan, User};
use crate::types::{AppId, SourceId, Timestamp, UserId};
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
        losing: u64,
        present: u64,
    ) -> Result<Option<String>, StoreError>;
}

/// Somebody whose account would be deactivated.
struct Losing {
    user: UserId,
    step: PersonStep,
}

/// The plans that are to wait; says in the report whose accounts do.
pub(super) async fn hold(
    report: &mut Report,
    store: &dyn Store,
    brakes: &dyn Brakes,
    now: Timestamp,
) -> Result<Vec<Plan>, StoreError> {
    let mut care = HashMap::new();
    let mut plans = Vec::new();
    for (source, mut losing) in losing(report, store).await? {
        let [held, dismissed] = decided(store, &source, &report.app).await?;
        losing.retain(|one| {
            let left = dismissed.contains(&key(&one.step));
            if left {
                care.insert(one.user, Care::Left);
            }
            !left
        });
        let waits = losing.iter().any(|one| held.contains(&key(&one.step)));
        let why = match brakes
            .holds(&source, losing.len() as u64, report.present)
            .await?
        {
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
    store: &dyn Store,
) -> Result<BTreeMap<SourceId, Vec<Losing>>, StoreError> {
    let mut all: BTreeMap<SourceId, Vec<Losing>> = BTreeMap::new();
    let active = report
        .differences
        .iter()
        .filter(|d| d.what == Drifted::Active && d.care == Care::Mend);
    let ids: Vec<UserId> = active.map(|d| d.user).collect();
    for some in ids.chunks(PAGE) {
        let mut users: Vec<User> = Vec::with_capacity(some.len());
        for id in some {
            users.extend(store.user(*id).await?);
        }
        let whom: Vec<_> = users
            .iter()
            .map(|user| (user.issuer.clone(), user.subject.clone()))
            .collect();
        for (user, said) in users.iter().zip(store.said_of(&whom).await?) {
            let words = || said.words.iter().map(|word| &word.person);
            let denies = words().find(|word| word.denies());
            let by = match denies {
                Some(word) => Some(word),
                None if user.state.denies() => None,
                None => words().next(),
            };
            let Some(word) = by else { continue };
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
            let user = user.id;
            let of = all.entry(word.source.clone()).or_default();
            of.push(Losing { user, step });
        }
    }
    Ok(all)
}

fn key(step: &PersonStep) -> (String, String) {
    (step.id.clone(), step.after.clone())
}

/// The steps of the plan that is held, and of the last that was dismissed.
async fn decided(
    store: &dyn Store,
    source: &SourceId,
    app: &AppId,
) -> Result<[HashSet<(String, String)>; 2], StoreError> {
    let mut steps = [HashSet::new(), HashSet::new()];
    for (steps, state) in steps
        .iter_mut()
        .zip([PlanState::Held, PlanState::Dismissed])
    {
        let filter = PlanFilter {
            source: Some(source.clone()),
            state: Some(state),
            limit: 1_000,
            ..PlanFilter::default()
        };
        let of_app = |plan: &StoredPlan| plan.app.as_ref() == Some(app);
        let last = store.plans(&filter).await?.into_iter().rfind(of_app);
        let last = match last {
            Some(last) => store.plan(last.id).await?,
            None => None,
        };
        // One of another version holds nobody: the brake judges them anew.
        if let Some(Ok(plan)) = last.map(|last| read_plan(&last.body)) {
            steps.extend(plan.people.iter().map(key));
        }
    }
    Ok(steps)
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

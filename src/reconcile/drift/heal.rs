//! What is done about drift: a job for each who differs and has none yet. The **brake** holds what
//! would deactivate too many accounts at once: those whom a SCIM client ended in a crowd, for one.
//! They are kept out all the same; only their accounts wait, in a plan that is decided about like
//! any other.

use super::{Care, Drifted, Report};
use crate::jobs::wish;
use crate::reconcile::plan::{PersonStep, Plan, VERSION, What, digest_of};
use crate::reconcile::sweep::{on_record, read_plan};
use crate::store::{
    JobFilter, JobKind, JobState, PlanFilter, PlanState, Priority, Store, StoreError, StoredPlan,
    User,
};
use crate::types::{AppId, SourceId, Timestamp, UserId};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// Records read or written at once.
const PAGE: u32 = 200;

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

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Healed {
    /// For so many people jobs were wished for.
    pub queued: u64,
    /// Plans that wait, and whether this made them.
    pub held: Vec<(StoredPlan, bool)>,
}

/// Who is cared for already: jobs that wait or run are waited for, dead ones are an operator's.
pub(super) async fn judge(report: &mut Report, store: &dyn Store) -> Result<(), StoreError> {
    if report.differences.is_empty() {
        return Ok(());
    }
    let mut jobs: HashMap<UserId, Care> = HashMap::new();
    let mut filter = JobFilter {
        states: vec![JobState::Pending, JobState::Running, JobState::Dead],
        kind: Some(JobKind::Converge),
        app: Some(report.app.clone()),
        limit: PAGE,
        ..JobFilter::default()
    };
    loop {
        let page = store.jobs(&filter).await?;
        let Some(last) = page.last() else { break };
        filter.after = Some(last.id);
        for job in &page {
            let care = match job.state {
                JobState::Dead => Care::Dead,
                _ => Care::Waits,
            };
            if let Some(user) = job.user {
                jobs.insert(user, care);
            }
        }
    }
    for difference in &mut report.differences {
        if difference.care == Care::Mend
            && let Some(care) = jobs.get(&difference.user)
        {
            difference.care = *care;
        }
    }
    Ok(())
}

/// Wishes for the jobs, but for what waits for a person's word; says in the report which that is.
///
/// # Errors
/// When the store does not answer: what was wished for stays, the next look goes on.
pub async fn heal(
    report: &mut Report,
    store: &dyn Store,
    brakes: &dyn Brakes,
    now: Timestamp,
) -> Result<Healed, StoreError> {
    let mut healed = Healed::default();
    brake(report, store, brakes, now, &mut healed).await?;
    let mut wishes: BTreeMap<UserId, Priority> = BTreeMap::new();
    for difference in &report.differences {
        if difference.care != Care::Mend {
            continue;
        }
        let urgent = match difference.what {
            Drifted::Active | Drifted::Keeps => Priority::Deny,
            _ => Priority::Background,
        };
        let wish = wishes.entry(difference.user).or_insert(urgent);
        *wish = (*wish).min(urgent);
    }
    let mut jobs: Vec<_> = wishes
        .into_iter()
        .map(|(user, priority)| {
            wish::converge(&report.app, user, priority, now, "a sweep found drift")
        })
        .collect();
    jobs.sort_by_key(|job| job.priority);
    for some in jobs.chunks(PAGE as usize) {
        store.enqueue(some, now).await?;
        healed.queued += some.len() as u64;
    }
    Ok(healed)
}

/// Somebody whose account would be deactivated.
struct Losing {
    user: UserId,
    step: PersonStep,
}

async fn brake(
    report: &mut Report,
    store: &dyn Store,
    brakes: &dyn Brakes,
    now: Timestamp,
    healed: &mut Healed,
) -> Result<(), StoreError> {
    let losing = losing(report, store).await?;
    let mut care = HashMap::new();
    let mut sources: HashSet<SourceId> = losing.keys().cloned().collect();
    for (source, mut losing) in losing {
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
        let plan = plan(report, &source, losing, why.clone(), now);
        let stored = store.hold_plan(&on_record(&plan, &why)?).await?;
        sources.remove(&source);
        let new = stored.id == plan.id;
        healed.held.push((stored, new));
    }
    // Nothing of their plans is left to do; nor of those of sources that nobody differs by any more.
    let filter = PlanFilter {
        state: Some(PlanState::Held),
        limit: 1_000,
        ..PlanFilter::default()
    };
    let standing: Vec<Uuid> = healed.held.iter().map(|(plan, _)| plan.id).collect();
    for plan in store.plans(&filter).await? {
        if plan.app.as_ref() == Some(&report.app) && !standing.contains(&plan.id) {
            sources.insert(plan.source);
        }
    }
    for source in sources {
        store
            .supersede_plans(&source, Some(&report.app), now)
            .await?;
    }
    for difference in &mut report.differences {
        if difference.what == Drifted::Active
            && let Some(care) = care.get(&difference.user)
        {
            difference.care = *care;
        }
    }
    Ok(())
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
    for some in ids.chunks(PAGE as usize) {
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

//! What is done about drift: a job for each who differs and has none yet. What would deactivate too
//! many accounts at once is put on record as a plan instead ([`super::crowd`]).

use super::{Care, Drifted, Looked, Report};
use crate::jobs::wish;
use crate::reconcile::sweep::on_record;
use crate::store::{
    JobFilter, JobKind, JobState, PlanFilter, PlanState, Priority, Store, StoreError, StoredPlan,
};
use crate::types::{Timestamp, UserId};
use std::collections::{BTreeMap, HashMap};

/// Records read or written at once.
const PAGE: u32 = 200;

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

/// Puts plans that wait on record, and wishes for the jobs of everybody else.
///
/// # Errors
/// When the store does not answer: what was wished for stays, the next look goes on.
pub async fn heal(
    looked: &Looked,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Healed, StoreError> {
    let report = &looked.report;
    let mut healed = Healed {
        held: hold(looked, store, now).await?,
        ..Healed::default()
    };
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

async fn hold(
    looked: &Looked,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Vec<(StoredPlan, bool)>, StoreError> {
    let mut held = Vec::new();
    for plan in &looked.plans {
        let why = plan.held.as_deref().unwrap_or_default();
        let stored = store.hold_plan(&on_record(plan, why)?).await?;
        let new = stored.id == plan.id;
        held.push((stored, new));
    }
    // Plans of which nothing is left to do: nobody differs by what their source says any more.
    let filter = PlanFilter {
        state: Some(PlanState::Held),
        limit: 1_000,
        ..PlanFilter::default()
    };
    let app = Some(&looked.report.app);
    for plan in store.plans(&filter).await? {
        if plan.app.as_ref() == app && !looked.plans.iter().any(|own| own.source == plan.source) {
            store.supersede_plans(&plan.source, app, now).await?;
        }
    }
    Ok(held)
}

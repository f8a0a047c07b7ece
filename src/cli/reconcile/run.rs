//! `reconcile run` and `reconcile report`: directories are read whole, then the apps beside what
//! directories and records say.

use super::teller::Teller;
use super::{drift, names, sweeper, tell_applied, tell_plan};
use crate::cli::out::{json, print};
use crate::cli::stage::Stage;
use crate::directory::source::Source;
use crate::reconcile::drift::{AppSide, Report, last as last_look};
use crate::reconcile::handler::Sweeper;
use crate::reconcile::plan::Plan;
use crate::store::PlanState;
use crate::types::{AppId, SourceId};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

const DRY_RUN: &str = "Nothing was changed: this was a dry run.";

/// Whether something waits for somebody's word.
pub(super) async fn run(
    stage: &Stage,
    only: Option<&SourceId>,
    dry_run: bool,
    out: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<bool> {
    let (sweeper, sources) = sweeper(stage)?;
    // SCIM clients are not asked, but apps may differ from what they said.
    let sources = match sources.is_empty() && only.is_none() && !stage.config.scim.is_empty() {
        true => sources,
        false => chosen(sources, only)?,
    };
    if out.is_some() && sources.len() != 1 {
        bail!("a plan is of one directory: say --source");
    }
    if !dry_run {
        stage.as_owner()?;
    }
    let mut held = false;
    let mut plans = Vec::new();
    for source in &sources {
        let (plan, waits) = sweep(stage, &sweeper, &**source, dry_run, as_json).await?;
        if let Some(path) = out {
            write(path, &plan)?;
        }
        held |= waits;
        plans.push(plan);
    }
    let mut reports = Vec::new();
    // Of one directory alone nothing is known to be missing in an app.
    if only.is_none() {
        for side in sweeper.apps.all() {
            let (report, waits) = look(stage, &sweeper, &side, dry_run, as_json).await?;
            held |= waits;
            reports.push(report);
        }
    }
    match as_json {
        true => json(&json!({ "plans": plans, "apps": reports }))?,
        false if dry_run => print(DRY_RUN)?,
        false => {}
    }
    Ok(held)
}

/// One directory: its plan, and whether that waits.
async fn sweep(
    stage: &Stage,
    sweeper: &Sweeper,
    source: &dyn Source,
    dry_run: bool,
    as_json: bool,
) -> anyhow::Result<(Plan, bool)> {
    let teller = Teller::new();
    let tell = |progress| teller.tell(progress);
    if dry_run {
        let (plan, world) = sweeper.of(source).look(&tell).await?;
        if !as_json {
            tell_plan(&plan, &names(stage, &plan, Some(&world)).await?)?;
        }
        let waits = plan.held.is_some();
        return Ok((plan, waits));
    }
    let swept = sweeper.sweep(source, &tell).await?;
    if !as_json {
        tell_plan(&swept.plan, &names(stage, &swept.plan, None).await?)?;
        tell_applied(&swept.applied, swept.held.as_ref())?;
    }
    Ok((swept.plan, swept.held.is_some()))
}

/// One app: what differs there, and whether some of that waits. A dry run compares it with what
/// directories had said before.
async fn look(
    stage: &Stage,
    sweeper: &Sweeper,
    side: &AppSide,
    dry_run: bool,
    as_json: bool,
) -> anyhow::Result<(Report, bool)> {
    let teller = Teller::new();
    let tell = |n| teller.tell_accounts(n);
    if dry_run {
        let looked = sweeper.see(side, &tell).await?;
        if !as_json {
            drift::tell(stage, &looked.report).await?;
            drift::tell_waiting(&looked.plans)?;
        }
        return Ok((looked.report, !looked.plans.is_empty()));
    }
    let (report, healed) = sweeper.look(side, &tell).await?;
    if !as_json {
        drift::tell(stage, &report).await?;
        drift::tell_healed(&healed)?;
    }
    let waits = (healed.held.iter()).any(|(plan, _)| plan.state == PlanState::Held);
    Ok((report, waits))
}

/// Apps as they are now, or as they were when they were last looked at.
pub(super) async fn report(
    stage: &Stage,
    only: Option<&AppId>,
    last: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    if let Some(id) = only {
        stage.app(id)?;
    }
    let meant = |app: &AppId| only.is_none_or(|only| app == only);
    let mut all = Vec::new();
    if last {
        for app in stage.config.apps.iter().filter(|app| meant(&app.id)) {
            let Some(report) = last_look(&app.id, &*stage.store).await? else {
                eprintln!("{} was not looked at yet", app.id);
                continue;
            };
            if !as_json {
                print(format!("As of {}:", report.looked_at))?;
                drift::tell(stage, &report).await?;
            }
            all.push(report);
        }
        return if as_json { json(&all) } else { Ok(()) };
    }
    let (sweeper, _) = sweeper(stage)?;
    for side in sweeper.apps.all() {
        if meant(&side.terms.id) {
            let (report, _) = look(stage, &sweeper, &side, true, as_json).await?;
            all.push(report);
        }
    }
    match as_json {
        true => json(&all),
        false => print("Nothing was changed."),
    }
}

fn chosen(
    all: Vec<Arc<dyn Source>>,
    only: Option<&SourceId>,
) -> anyhow::Result<Vec<Arc<dyn Source>>> {
    let Some(id) = only else {
        if all.is_empty() {
            bail!("no directory is configured: add [[directories]]");
        }
        return Ok(all);
    };
    let ids: Vec<_> = all.iter().map(|source| source.id().to_string()).collect();
    let found = all.into_iter().find(|source| source.id() == id);
    let found = found
        .with_context(|| format!("there is no directory {id}; configured: {}", ids.join(", ")))?;
    Ok(vec![found])
}

fn write(path: &Path, plan: &Plan) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(plan)?;
    std::fs::write(path, text + "\n")
        .with_context(|| format!("{} can't be written", path.display()))
}

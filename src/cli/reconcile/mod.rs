//! `auth-manager reconcile`: reads directories whole, now, beside a running bridge or without one.
//! What is carried out here is what a running bridge's own sweeps do; accounts follow by its jobs.

mod drift;
mod run;
mod teller;

use super::ConfigFile;
use super::out::{Table, clean, json, print};
use super::stage::{Stage, on_store};
use crate::directory::source::Source;
use crate::reconcile::apply::{Applied, Moved};
use crate::reconcile::decide::Desk;
use crate::reconcile::handler::Sweeper;
use crate::reconcile::plan::{PersonStep, Plan, What};
use crate::reconcile::sweep::{held, read_plan, waiting};
use crate::reconcile::world::World;
use crate::runtime;
use crate::store::{PlanFilter, PlanState, StoredPlan};
use crate::types::{AppId, SourceId, SystemClock, Timestamp};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// What a command exits with when a plan waits for somebody's word.
const HELD: u8 = 3;
/// Steps that are listed; JSON has all.
const SHOWN: usize = 50;

/// Directories read whole, and what follows.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Reconcile {
    /// Read everything now, directories and then apps, and do what follows; exits with 3 when that is
    /// held.
    Run {
        /// Only this directory, and no app.
        #[arg(long)]
        source: Option<SourceId>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Write the directory's plan to this file, for `apply`; only with --dry-run and one directory.
        #[arg(long, value_name = "FILE", requires = "dry_run")]
        out: Option<PathBuf>,
        /// As JSON: the plans of directories, and what differs in apps.
        #[arg(long)]
        json: bool,
    },
    /// Read the apps now, and say who differs in what there, and whose doing that is. Changes nothing.
    Report {
        /// Only this app.
        #[arg(long)]
        app: Option<AppId>,
        /// What the last sweep found, without reading the apps.
        #[arg(long)]
        last: bool,
        /// As JSON: all of it; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Do exactly what a plan says, or nothing when directory or records say something else by now.
    Apply {
        /// A file that `run --dry-run --out` wrote, or the id of a plan that is held or proposed.
        plan: String,
        /// Only look whether it could be carried out.
        #[arg(long)]
        dry_run: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Plans that wait for somebody's word.
    Plans {
        /// Also those that were decided about, and those that a service asked to see.
        #[arg(long)]
        all: bool,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// What a plan on record says.
    Show {
        /// Its id.
        plan: Uuid,
        /// As JSON: a plan that `apply` takes.
        #[arg(long)]
        json: bool,
    },
    /// Say no to a held plan: nothing of it is done, and an equal one is not held again.
    Dismiss {
        /// Its id.
        plan: Uuid,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// When each directory was last read whole, and what went wrong.
    Status {
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
}

impl Reconcile {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        let mut code = 0;
        let done = on_store(file, async |stage| {
            match self {
                Self::Run {
                    source,
                    dry_run,
                    out,
                    json,
                } => {
                    let held =
                        run::run(stage, source.as_ref(), dry_run, out.as_deref(), json).await?;
                    code = if held { HELD } else { 0 };
                }
                Self::Report { app, last, json } => {
                    run::report(stage, app.as_ref(), last, json).await?;
                }
                Self::Apply {
                    plan,
                    dry_run,
                    json,
                } => apply(stage, &plan, dry_run, json).await?,
                Self::Plans { all, json } => plans(stage, all, json).await?,
                Self::Show { plan, json } => show(stage, plan, json).await?,
                Self::Dismiss { plan, dry_run } => dismiss(stage, plan, dry_run).await?,
                Self::Status { json } => status(stage, json).await?,
            }
            Ok(())
        })?;
        Ok(done.max(code))
    }
}

async fn apply(stage: &Stage, which: &str, dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let (plan, id) = match Uuid::parse_str(which) {
        Ok(id) => (waiting(&*stage.store, id).await?, Some(id)),
        Err(_) => {
            let text = std::fs::read_to_string(which)
                .with_context(|| format!("{} is neither a plan's id nor a file", clean(which)))?;
            (read_plan(&text)?, None)
        }
    };
    let (sweeper, _) = sweeper(stage)?;
    let teller = teller::Teller::new();
    let tell = |progress| teller.tell(progress);
    if !dry_run {
        stage.as_owner()?;
    }
    if dry_run {
        let steps = match sweeper.check(&plan, &tell).await? {
            Ok(words) => words.steps(),
            Err(moved) => return refuse(&moved, as_json),
        };
        return match as_json {
            true => json(&json!({ "applicable": true, "steps": steps })),
            false => print(format!(
                "It can be carried out: {steps} steps. Nothing was changed: this was a dry run."
            )),
        };
    }
    let (witness, who) = (stage.witness(), super::operator::name());
    let by = (&witness, who.as_str());
    let applied = match sweeper.carry_out(&plan, id, by, &tell).await? {
        Ok(applied) => applied,
        Err(moved) => return refuse(&moved, as_json),
    };
    match as_json {
        true => json(&json!({ "applied": applied.done })),
        false => tell_applied(&applied, None),
    }
}

/// Says what is not as the plan says.
fn refuse(moved: &[Moved], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let moved: Vec<_> = moved
            .iter()
            .map(|step| json!({ "what": step.what, "id": step.id, "why": step.why }))
            .collect();
        json(&json!({ "applicable": false, "moved": moved }))?;
    } else {
        let mut table = Table::new(&["WHAT", "ID", "WHY"]);
        for step in moved.iter().take(SHOWN) {
            table.row([step.what.into(), step.id.clone(), step.why.into()]);
        }
        print(table.text(""))?;
    }
    bail!(
        "{} steps are not as the plan says: nothing was done. Make a new plan",
        moved.len()
    )
}

async fn plans(stage: &Stage, all: bool, as_json: bool) -> anyhow::Result<()> {
    let filter = PlanFilter {
        state: (!all).then_some(PlanState::Held),
        limit: 1_000,
        ..PlanFilter::default()
    };
    let plans = stage.store.plans(&filter).await?;
    if as_json {
        return json(&plans);
    }
    let mut table = Table::new(&["PLAN", "DIRECTORY", "APP", "STATE", "SINCE", "BY", "WHY"]);
    for plan in plans {
        table.row([
            plan.id.to_string(),
            plan.source.to_string(),
            plan.app.map(|app| app.to_string()).unwrap_or_default(),
            plan.state.to_string(),
            plan.state_since.to_string(),
            plan.by,
            plan.why,
        ]);
    }
    print(table.text("No plan waits."))
}

async fn show(stage: &Stage, id: Uuid, as_json: bool) -> anyhow::Result<()> {
    let stored = stage.store.plan(id).await?;
    let stored = stored.with_context(|| format!("there is no plan {id}"))?;
    let plan = read_plan(&stored.body)?;
    if as_json {
        return json(&plan);
    }
    print(format!("{} since {}", stored.state, stored.state_since))?;
    tell_plan(&plan, &names(stage, &plan, None).await?)
}

async fn dismiss(stage: &Stage, id: Uuid, dry_run: bool) -> anyhow::Result<()> {
    let plan = held(&*stage.store, id).await?;
    if dry_run {
        let losing = plan.summary().losing;
        return print(format!(
            "{losing} people would keep what they have, whatever {} says. Nothing was changed: this was a dry run.",
            plan.source
        ));
    }
    stage.as_owner()?;
    let (witness, who) = (stage.witness(), super::operator::name());
    let desk = Desk {
        store: &*stage.store,
        audit: &stage.audit(),
        now: stage.now,
        by: &witness,
        who: &who,
    };
    desk.dismiss(id).await?;
    print("Dismissed.")
}

async fn status(stage: &Stage, as_json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for directory in &stage.config.directories {
        let state = stage.store.source_state(&directory.id).await?;
        rows.push((directory, state));
    }
    if as_json {
        let all: Vec<_> = rows
            .iter()
            .map(|(directory, state)| {
                json!({
                    "directory": directory.id,
                    "every": directory.reconcile.every.as_secs(),
                    "state": state,
                })
            })
            .collect();
        return json(&all);
    }
    let shown = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let mut table = Table::new(&["DIRECTORY", "READ WHOLE", "ANSWERED", "HEARD", "ERROR"]);
    for (directory, state) in rows {
        table.row([
            directory.id.to_string(),
            shown(state.swept_at),
            shown(state.answered_at),
            shown(state.heard_at),
            state.error,
        ]);
    }
    print(table.text("No directory is configured ([[directories]])."))
}

fn sweeper(stage: &Stage) -> anyhow::Result<(Sweeper, Vec<Arc<dyn Source>>)> {
    let (store, audit) = (stage.store.clone(), stage.audit());
    let clock = Arc::new(SystemClock);
    Ok(runtime::sweeper_of(&stage.config, store, audit, clock)?)
}

/// What people of a plan are called, as far as it is known.
async fn names(
    stage: &Stage,
    plan: &Plan,
    world: Option<&World>,
) -> anyhow::Result<HashMap<String, String>> {
    let mut names = HashMap::new();
    for step in plan.people.iter().take(SHOWN) {
        let read = world.and_then(|world| world.people.get(&step.id));
        let name = match read {
            Some(person) => Some(person.username.clone()),
            None => {
                let known = stage.store.person(&plan.source, &step.id).await?;
                known.map(|person| person.username)
            }
        };
        names.extend(name.map(|name| (step.id.clone(), name)));
    }
    Ok(names)
}

fn tell_plan(plan: &Plan, names: &HashMap<String, String>) -> anyhow::Result<()> {
    let sum = plan.summary();
    let of = match &plan.app {
        Some(app) => format!("{} in {app}", plan.source),
        None => plan.source.to_string(),
    };
    print(format!(
        "{of}: of {} people {} would lose something, {} gain an app, {} are new, {} change otherwise; {} groups change.",
        plan.present, sum.losing, sum.gaining, sum.new, sum.other, sum.groups
    ))?;
    if let Some(why) = &plan.held {
        print(format!("HELD: {why}"))?;
    }
    let mut table = Table::new(&["WHO", "ID", "WHAT", "GAINS", "LOSES"]);
    for step in plan.people.iter().take(SHOWN) {
        table.row(row(step, names));
    }
    for step in plan.groups.iter().take(SHOWN) {
        table.row([
            step.name.clone(),
            step.id.clone(),
            format!("group {}", word(step.what)),
            String::new(),
            String::new(),
        ]);
    }
    if !plan.is_empty() {
        print(table.text(""))?;
    }
    let more = plan.people.len().saturating_sub(SHOWN);
    match more {
        0 => Ok(()),
        more => print(format!("… and {more} people more (--json has all)")),
    }
}

fn row(step: &PersonStep, names: &HashMap<String, String>) -> [String; 5] {
    let apps = |all: &[AppId]| {
        let all: Vec<_> = all.iter().map(|app| app.as_str()).collect();
        all.join(" ")
    };
    [
        names.get(&step.id).cloned().unwrap_or_default(),
        step.id.clone(),
        word(step.what).to_owned(),
        apps(&step.gains),
        apps(&step.loses),
    ]
}

const fn word(what: What) -> &'static str {
    match what {
        What::Gone => "gone",
        What::Deactivated => "deactivated",
        What::New => "new",
        What::Returned => "returned",
        What::Reactivated => "reactivated",
        What::Groups => "groups",
        What::Profile => "profile",
    }
}

fn tell_applied(applied: &Applied, held: Option<&StoredPlan>) -> anyhow::Result<()> {
    print(format!("{} steps done.", applied.done))?;
    match held {
        Some(plan) if plan.state == PlanState::Held => print(format!(
            "{} steps wait: `auth-manager reconcile apply {}` does them, `dismiss` drops them.",
            applied.held, plan.id
        )),
        Some(plan) => print(format!(
            "{} steps are not done: the plan {} was dismissed.",
            applied.held, plan.id
        )),
        None => Ok(()),
    }
}

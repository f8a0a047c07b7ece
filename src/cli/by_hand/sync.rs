//! `auth-manager sync`: has a person, or all of a directory, read again by the running bridge.

use super::super::ConfigFile;
use super::super::out::{json, print};
use super::super::stage::{Stage, on_store};
use super::wait::{self, Wait};
use super::{Person, hand_of, shown_job};
use crate::directory::by_hand::sync::{Synced, ToSync};
use crate::store::{PlanFilter, PlanState};
use anyhow::bail;
use serde_json::json;

/// Have a directory read again, by the running bridge; accounts follow.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Sync {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    person: Person,
    /// Everybody: of one directory, or of all.
    #[arg(long, conflicts_with_all = ["who", "id"])]
    all: bool,
    #[command(flatten)]
    wait: Wait,
    /// Only say what would be done.
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Sync {
    pub(in crate::cli) fn run(self) -> anyhow::Result<u8> {
        on_store(&self.file, async |stage| self.order(stage).await)
    }

    async fn order(&self, stage: &Stage) -> anyhow::Result<()> {
        let what = match (self.all, self.person.whom()) {
            (true, _) => ToSync::Everybody,
            (false, Some(whom)) => ToSync::Person(whom),
            (false, None) => bail!("say whom, or --all"),
        };
        if !self.dry_run {
            stage.as_owner()?;
        }
        let (hand, by) = (hand_of(stage)?, stage.witness());
        let directory = self.person.directory.as_ref();
        let synced = hand.sync(&what, directory, &by, self.dry_run).await?;
        if self.wait.wait {
            let jobs = synced.iter().filter_map(|one| one.job.as_ref());
            let done = async {
                for job in jobs {
                    wait::job_ends(stage, job).await?;
                }
                Ok(())
            };
            self.wait.for_("reading", done).await?;
        }
        if self.json {
            let one = |one: &Synced| {
                json!({
                    "directory": one.source,
                    "person": one.person,
                    "queued": shown_job(one.job.as_ref()),
                })
            };
            let items: Vec<_> = synced.iter().map(one).collect();
            return json(&json!({ "dry_run": self.dry_run, "items": items }));
        }
        for one in &synced {
            print(self.told(one))?;
            self.held(stage, one).await?;
        }
        Ok(())
    }

    fn told(&self, one: &Synced) -> String {
        let whom = match &one.person {
            Some(id) => format!("person {id} of {}", one.source),
            None => format!("everybody of {}", one.source),
        };
        match &one.job {
            None => format!("{whom} would be read again"),
            Some(_) if self.wait.wait => format!("{whom} was read again"),
            Some(job) => format!("{whom} is read again: job {}", job.id),
        }
    }

    /// After a reading of everybody that was waited for: whether what follows waits for a word.
    async fn held(&self, stage: &Stage, one: &Synced) -> anyhow::Result<()> {
        if !self.wait.wait || one.person.is_some() {
            return Ok(());
        }
        let filter = PlanFilter {
            source: Some(one.source.clone()),
            state: Some(PlanState::Held),
            ..PlanFilter::default()
        };
        match stage.store.plans(&filter).await?.first() {
            Some(plan) => print(format!(
                "what follows is held, since too many would lose access: `auth-manager reconcile show {}`",
                plan.id
            )),
            None => Ok(()),
        }
    }
}

//! `auth-manager users validate`: puts somebody into the directory's groups that are listed for it, so
//! that their accounts are there before they first come. For the operator's CI job.

use super::super::out::{clean, json, print};
use super::super::stage::Stage;
use super::wait::{self, Wait};
use super::{Person, hand_of, shown_job, shown_stand};
use crate::directory::by_hand::stands::Stand;
use crate::directory::by_hand::validate::{Validated, Validation};
use crate::types::AppId;
use anyhow::bail;
use serde_json::json;

/// Whom to give what.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Validate {
    #[command(flatten)]
    person: Person,
    /// This group, of those that [directories.write] lists; may be said several times. Default: the
    /// first of them, or what --app asks for.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// So that they may use this app.
    #[arg(long)]
    app: Option<AppId>,
    #[command(flatten)]
    wait: Wait,
    /// Only say what would be done.
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Validate {
    pub(in crate::cli) async fn run(&self, stage: &Stage) -> anyhow::Result<()> {
        let Some(whom) = self.person.whom() else {
            bail!("say whom: the directory's user name, our id, or --id");
        };
        if !self.dry_run {
            stage.as_owner()?;
        }
        let (hand, by) = (hand_of(stage)?, stage.witness());
        let order = Validation {
            whom,
            source: self.person.directory.clone(),
            groups: self.groups.clone(),
            app: self.app.clone(),
        };
        let mut done = hand.validate(&order, &by, self.dry_run).await?;
        if let Some(job) = &done.job
            && self.wait.wait
        {
            let waited = async {
                wait::job_ends(stage, job).await?;
                let read = stage.store.person(&done.source, &done.person).await?;
                let whom = read.and_then(|read| Some((read.issuer, read.subject?)));
                let Some((issuer, subject)) = whom else {
                    bail!("the directory names no subject for them: they have no account");
                };
                wait::accounts_stand(stage, &hand, (&issuer, &subject), self.app.as_ref()).await
            };
            done.stands = self.wait.for_("their account", waited).await?;
        }
        match self.json {
            true => json(&self.shown(&done)),
            false => self.tell(&done),
        }
    }

    fn shown(&self, done: &Validated) -> serde_json::Value {
        let groups = done
            .groups
            .iter()
            .map(|group| json!({ "name": group.name, "id": group.id, "already": group.already }));
        json!({
            "dry_run": self.dry_run,
            "changed": done.groups.iter().any(|group| !group.already),
            "directory": done.source,
            "person": done.person,
            "user": done.user,
            "groups": groups.collect::<Vec<_>>(),
            "queued": shown_job(done.job.as_ref()),
            "apps": done.stands.iter().map(shown_stand).collect::<Vec<_>>(),
        })
    }

    fn tell(&self, done: &Validated) -> anyhow::Result<()> {
        for group in &done.groups {
            let name = clean(&group.name);
            print(match (group.already, self.dry_run) {
                (true, _) => format!("they are in {name} already"),
                (false, true) => format!("they would be put into {name}"),
                (false, false) => format!("they were put into {name}"),
            })?;
        }
        if let (Some(job), false) = (&done.job, self.wait.wait) {
            return print(format!(
                "they are read again: job {}; --wait follows until the account is there",
                job.id
            ));
        }
        if self.dry_run {
            return Ok(());
        }
        for stand in &done.stands {
            print(told(stand))?;
        }
        match done.stands.iter().any(Stand::is_there) {
            true => Ok(()),
            false => print(
                "no account is made ahead of a first visit: theirs is made at their first sign-in",
            ),
        }
    }
}

fn told(stand: &Stand) -> String {
    let app = &stand.app;
    match (stand.wanted, stand.is_there(), stand.ahead) {
        (false, ..) => format!("{app}: not theirs ({})", clean(&stand.decided_by)),
        (true, true, _) => format!("{app}: the account is there"),
        (true, false, true) => format!("{app}: the account is under way"),
        (true, false, false) => {
            format!("{app}: theirs; the account is made at their first sign-in")
        }
    }
}

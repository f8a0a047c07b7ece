//! `auth-manager jobs`: durable work, what waits, and what waits for an operator.

use super::out::{Table, clean, count, json, print, record, roughly};
use super::stage::{Stage, on_store};
use super::{ConfigFile, person};
use crate::store::{Job, JobFilter, JobKind, JobState};
use crate::types::{AppId, SourceId, Timestamp};
use anyhow::{Context as _, bail};
use uuid::Uuid;

/// Jobs of one look into the store.
const PAGE: u32 = 500;

/// Durable work. A running bridge notices what is changed here within a second.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Jobs {
    /// What is not done, oldest first.
    List {
        #[command(flatten)]
        which: Which,
        /// Only what is dead: it waits for you.
        #[arg(long, conflicts_with_all = ["state", "all"])]
        dead: bool,
        /// Only in this state: pending, running, dead, cancelled, done.
        #[arg(long, value_parser = state)]
        state: Option<JobState>,
        /// What is done or cancelled, too, as long as it is remembered.
        #[arg(long, conflicts_with = "state")]
        all: bool,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// One job, with all that is known of it.
    Show {
        /// Its id.
        id: Uuid,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Make jobs due now, with their attempts forgotten.
    #[command(group = clap::ArgGroup::new("what").required(true))]
    Retry {
        /// This one.
        #[arg(group = "what", conflicts_with_all = ["kind", "app", "source", "user"])]
        id: Option<Uuid>,
        /// All that are dead.
        #[arg(long, group = "what")]
        dead: bool,
        #[command(flatten)]
        which: Which,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take a job out that is dead or waits. What it would have brought up to date stays as it is,
    /// until something wishes for it again.
    Cancel {
        /// Its id.
        id: Uuid,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Some of them.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only of this kind: read, converge, sweep, mail.
    #[arg(long, value_parser = kind)]
    kind: Option<JobKind>,
    /// Only of this app.
    #[arg(long)]
    app: Option<AppId>,
    /// Only of this directory.
    #[arg(long)]
    source: Option<SourceId>,
    /// Only about this person: id, sub, e-mail address or user name.
    #[arg(long, value_name = "PERSON")]
    user: Option<String>,
}

fn kind(word: &str) -> Result<JobKind, String> {
    JobKind::from_word(word).ok_or_else(|| "read, converge, sweep or mail".to_owned())
}

fn state(word: &str) -> Result<JobState, String> {
    JobState::from_word(word).ok_or_else(|| "pending, running, dead, cancelled or done".to_owned())
}

impl Jobs {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::List {
                which,
                dead,
                state,
                all,
                json,
            } => {
                let states = match (dead, state, all) {
                    (true, ..) => vec![JobState::Dead],
                    (_, Some(state), _) => vec![state],
                    (.., true) => Vec::new(),
                    _ => vec![JobState::Pending, JobState::Running, JobState::Dead],
                };
                list(stage, which.filter(stage, states).await?, json).await
            }
            Self::Show { id, json } => show(stage, id, json).await,
            Self::Retry {
                id,
                which,
                dry_run,
                json,
                ..
            } => {
                let jobs = match id {
                    Some(id) => vec![waiting(stage, id).await?],
                    None => every(stage, which.filter(stage, vec![JobState::Dead]).await?).await?,
                };
                retry(stage, &jobs, dry_run, json).await
            }
            Self::Cancel { id, dry_run, json } => cancel(stage, id, dry_run, json).await,
        })
    }
}

impl Which {
    async fn filter(self, stage: &Stage, states: Vec<JobState>) -> anyhow::Result<JobFilter> {
        let user = match self.user {
            Some(who) => Some(person::find(stage, &who).await?.id),
            None => None,
        };
        Ok(JobFilter {
            states,
            kind: self.kind,
            app: self.app,
            source: self.source,
            user,
            after: None,
            limit: PAGE,
        })
    }
}

/// All pages.
async fn every(stage: &Stage, mut filter: JobFilter) -> anyhow::Result<Vec<Job>> {
    let mut all = Vec::new();
    loop {
        let page = stage.store.jobs(&filter).await?;
        filter.after = page.last().map(|job| job.id);
        let last = page.len() < PAGE as usize;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

fn when(job: &Job, now: Timestamp) -> String {
    let away = job.due_at.0.saturating_sub(now.0);
    match job.state {
        JobState::Pending if away > 0 => format!("in {}", roughly(away)),
        JobState::Pending => format!("due for {}", roughly(away)),
        JobState::Running => format!("for {}", roughly(now.0.saturating_sub(job.updated_at.0))),
        JobState::Dead | JobState::Cancelled | JobState::Done => {
            format!("{} ago", roughly(now.0.saturating_sub(job.updated_at.0)))
        }
    }
}

/// Where: the app, else the directory.
fn place(job: &Job) -> String {
    let app = job.app.as_ref().map(ToString::to_string);
    let source = job.source.as_ref().map(ToString::to_string);
    app.or(source).unwrap_or_default()
}

async fn list(stage: &Stage, filter: JobFilter, as_json: bool) -> anyhow::Result<()> {
    let jobs = every(stage, filter).await?;
    if as_json {
        return json(&jobs);
    }
    let mut table = Table::new(&[
        "ID",
        "KIND",
        "WHERE",
        "STATE",
        "WHEN",
        "ATTEMPTS",
        "WHY",
        "LAST ERROR",
    ]);
    for job in &jobs {
        table.row([
            job.id.to_string(),
            job.kind.to_string(),
            place(job),
            job.state.to_string(),
            when(job, stage.now),
            job.attempts.to_string(),
            job.why.clone(),
            job.error.clone(),
        ]);
    }
    print(table.text("None."))
}

async fn known(stage: &Stage, id: Uuid) -> anyhow::Result<Job> {
    let found = stage.store.job(id).await?;
    found.with_context(|| format!("there is no job {id}: `auth-manager jobs list` shows them"))
}

async fn waiting(stage: &Stage, id: Uuid) -> anyhow::Result<Job> {
    let job = known(stage, id).await?;
    match job.state {
        JobState::Pending | JobState::Dead => Ok(job),
        JobState::Running => bail!("job {id} is running: wait for its end"),
        state @ (JobState::Cancelled | JobState::Done) => {
            bail!("job {id} is {state}: the next wish for the same is a new one")
        }
    }
}

async fn show(stage: &Stage, id: Uuid, as_json: bool) -> anyhow::Result<()> {
    let job = known(stage, id).await?;
    if as_json {
        return json(&job);
    }
    let user = match job.user {
        Some(id) => stage.store.user(id).await?,
        None => None,
    };
    let text = |text: Option<String>| text.unwrap_or_default();
    print(record(&[
        ("id", job.id.to_string()),
        ("kind", job.kind.to_string()),
        ("state", format!("{}, {}", job.state, when(&job, stage.now))),
        ("app", text(job.app.as_ref().map(ToString::to_string))),
        (
            "directory",
            text(job.source.as_ref().map(ToString::to_string)),
        ),
        (
            "person",
            user.as_ref().map(person::name).unwrap_or_default(),
        ),
        ("why", job.why.clone()),
        ("attempts", job.attempts.to_string()),
        ("last error", job.error.clone()),
        ("due", job.due_at.to_string()),
        ("held by", text(job.holder.clone())),
        ("until", text(job.leased_until.map(|at| at.to_string()))),
        ("of one thing", job.key.clone()),
        ("in turn with", job.lane.clone()),
        ("says", job.payload.clone()),
        ("since", job.created_at.to_string()),
        ("last changed", job.updated_at.to_string()),
    ]))
}

async fn retry(stage: &Stage, jobs: &[Job], dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let mut retried = Vec::new();
    for job in jobs {
        if dry_run {
            retried.push(job.clone());
            continue;
        }
        // None: somebody was faster.
        retried.extend(
            stage
                .store
                .retry_job(job.id, stage.now, &stage.by())
                .await?,
        );
    }
    if as_json {
        return json(&retried);
    }
    let jobs = count(retried.len(), "job");
    print(match dry_run {
        true => format!("{jobs} would be due now"),
        false => format!("{jobs} due now"),
    })
}

async fn cancel(stage: &Stage, id: Uuid, dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let job = waiting(stage, id).await?;
    let done = match dry_run {
        true => job,
        false => {
            let done = stage.store.cancel_job(id, stage.now, &stage.by()).await?;
            done.with_context(|| format!("job {id} was begun meanwhile"))?
        }
    };
    if as_json {
        return json(&done);
    }
    let what = format!("job {id} ({}, {})", done.kind, clean(&done.why));
    print(match dry_run {
        true => format!("{what} would be taken out"),
        false => format!("{what} is taken out"),
    })
}

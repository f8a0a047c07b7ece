//! Waiting for what a running bridge makes of an order, by looking at the records. Whoever waits too
//! long is told where it stands; what was ordered goes on all the same.

use super::super::stage::Stage;
use crate::config::units::parse_duration;
use crate::directory::ByHand;
use crate::directory::by_hand::Queued;
use crate::directory::by_hand::stands::Stand;
use crate::store::{AccountState, JobFilter, JobKind, JobState, User};
use crate::types::{AppId, IssuerId, Subject, UserId};
use anyhow::bail;
use std::time::Duration;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);

/// How long to wait.
#[derive(Debug, clap::Args)]
pub(super) struct Wait {
    /// Wait until it is done, or can't be; exits with 1 when it is not.
    #[arg(long)]
    pub(super) wait: bool,
    /// For so long at most.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = length, requires = "wait")]
    pub(super) timeout: Duration,
}

fn length(text: &str) -> Result<Duration, String> {
    let known = parse_duration(text).filter(|length| !length.is_zero());
    known.ok_or_else(|| "a length of time, like 30s or 5m".to_owned())
}

impl Wait {
    /// Waits for `done`, within the time.
    pub(super) async fn for_<T>(
        &self,
        what: &str,
        done: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        match tokio::time::timeout(self.timeout, done).await {
            Ok(done) => done,
            Err(_) => bail!(
                "{what} is not done yet: it goes on as long as a bridge runs; `auth-manager jobs list` \
                 shows what waits"
            ),
        }
    }
}

/// Waits for the end of a job.
pub(super) async fn job_ends(stage: &Stage, queued: &Queued) -> anyhow::Result<()> {
    loop {
        let Some(job) = stage.store.job(queued.id).await? else {
            return Ok(());
        };
        match job.state {
            JobState::Done => return Ok(()),
            JobState::Dead => bail!(
                "job {} is dead: {}. `auth-manager jobs retry {}` tries it again",
                job.id,
                job.error,
                job.id
            ),
            JobState::Cancelled => bail!("job {} was cancelled", job.id),
            JobState::Pending | JobState::Running => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Waits until somebody who was read has every account that is made ahead of their first visit, `app`'s
/// if one is named. Gives where they stand.
///
/// # Errors
/// When something is in the way, or the app is not theirs.
pub(super) async fn accounts_stand(
    stage: &Stage,
    hand: &ByHand,
    (issuer, subject): (&IssuerId, &Subject),
    app: Option<&AppId>,
) -> anyhow::Result<Vec<Stand>> {
    loop {
        let user = stage.store.user_by_subject(issuer, subject).await?;
        let stands = hand.stands(user.as_ref(), app).await?;
        if settled(stage, user.as_ref(), &stands, app).await? {
            return Ok(stands);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn settled(
    stage: &Stage,
    user: Option<&User>,
    stands: &[Stand],
    app: Option<&AppId>,
) -> anyhow::Result<bool> {
    let ahead = stage.config.apps.iter().any(|own| {
        let named = app.is_none_or(|app| own.id == *app);
        named && own.provision.when == crate::config::ProvisionWhen::OnAssignment
    });
    let Some(user) = user else {
        // They were read, and nothing came of it: no account is theirs ahead of a visit.
        if let Some(app) = app.filter(|_| ahead) {
            bail!("{app} is not theirs, by what the directory says of them");
        }
        return Ok(true);
    };
    let mut all = true;
    for stand in stands {
        if app.is_some() && !stand.wanted {
            bail!("{} is not theirs: {}", stand.app, stand.decided_by);
        }
        if !stand.wanted || !stand.ahead {
            continue;
        }
        if stand.account == Some(AccountState::Conflict) {
            bail!(
                "{}: the account is in conflict: {}",
                stand.app,
                stand.detail
            );
        }
        all &= stand.is_there();
    }
    if !all {
        dead(stage, user.id, app).await?;
    }
    Ok(all)
}

/// Complains of work about somebody that was given up.
async fn dead(stage: &Stage, user: UserId, app: Option<&AppId>) -> anyhow::Result<()> {
    let filter = JobFilter {
        states: vec![JobState::Dead],
        kind: Some(JobKind::Converge),
        user: Some(user),
        app: app.cloned(),
        ..JobFilter::default()
    };
    if let Some(job) = stage.store.jobs(&filter).await?.first() {
        bail!(
            "job {} is dead: {}. `auth-manager jobs retry {}` tries it again",
            job.id,
            job.error,
            job.id
        );
    }
    Ok(())
}

//! Durable work of a running bridge: who carries out which kind, and what is shown of the queue.

use super::directory::Directory;
use super::provision;
use crate::config::Config;
use crate::jobs::{Dice, Handler, Handlers, Settings, Worker};
use crate::keys::random;
use crate::proxy::Bridge;
use crate::reconcile::handler::Sweeper;
use crate::store::{JobKind, JobState};
use crate::telemetry::metrics::JobsCounted;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often the queue is looked at without a hint: at most so late is what became due by itself.
const LOOK: Duration = Duration::from_secs(1);
/// How long an app or directory that fails again and again is left alone at first.
const REST: Duration = Duration::from_secs(5);
/// How often the queue is counted.
const COUNT: Duration = Duration::from_secs(10);
/// How often what is done is forgotten.
const FORGET: Duration = Duration::from_secs(600);

/// Who carries out which kind of job: one line a kind.
pub(super) fn handlers(
    bridge: &Arc<Bridge>,
    directory: &Directory,
    sweeper: Arc<Sweeper>,
    letters: Option<Arc<dyn Handler>>,
) -> Handlers {
    let converging = provision::converging(bridge, letters.is_some());
    let handlers = Handlers::new()
        .with(JobKind::Read, Arc::new(directory.reader(bridge)))
        .with(JobKind::Sweep, sweeper)
        .with(JobKind::Converge, converging);
    match letters {
        Some(letters) => handlers.with(JobKind::Mail, letters),
        None => handlers,
    }
}

/// The worker of this process.
pub(super) fn worker(
    bridge: &Arc<Bridge>,
    config: &Config,
    replica: &str,
    handlers: Handlers,
) -> Worker {
    let jobs = config.jobs;
    Worker {
        store: bridge.store.clone(),
        handlers,
        settings: Settings {
            attempts: jobs.attempts,
            concurrency: jobs.concurrency,
            lease: jobs.lease,
            app_rate: jobs.app_rate,
            source_rate: jobs.source_rate,
            rest: REST,
            look: LOOK,
        },
        clock: bridge.clock.clone(),
        metrics: bridge.metrics.clone(),
        dice: dice(),
        // Another one at each start: what the former held is not ours.
        holder: format!("{replica}/{}", Uuid::new_v4()),
    }
}

fn dice() -> Dice {
    Arc::new(|| match random::bytes() {
        Ok(bytes) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        // Only how long a pause is hangs on it.
        Err(_) => 0.5,
    })
}

/// Counts what is in the queue, and forgets what has been done for long enough.
pub(super) async fn watch(bridge: Arc<Bridge>, keep: Duration, end: CancellationToken) {
    let mut forgot: Option<Instant> = None;
    loop {
        if let Err(error) = count(&bridge).await {
            bridge.metrics.store_error(error.trouble());
        }
        if forgot.is_none_or(|at| at.elapsed() >= FORGET) {
            forgot = Some(Instant::now());
            if let Err(error) = forget(&bridge, keep, &end).await {
                bridge.metrics.store_error(error.trouble());
            }
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(COUNT) => {}
        }
    }
}

async fn count(bridge: &Bridge) -> crate::store::Result<()> {
    let counts = bridge.store.count_jobs().await?;
    let counted: Vec<_> = counts
        .iter()
        .map(|count| JobsCounted {
            kind: count.kind.as_str(),
            app: count.app.as_ref().map_or("", |app| app.as_str()),
            state: count.state.as_str(),
            waits: count.state == JobState::Pending,
            count: count.count,
            oldest_due: count.oldest_due,
        })
        .collect();
    let now = bridge.clock.now();
    bridge.metrics.jobs_counted(&counted, now);
    Ok(())
}

async fn forget(
    bridge: &Bridge,
    keep: Duration,
    end: &CancellationToken,
) -> crate::store::Result<()> {
    let before = bridge.clock.now() - keep;
    while !end.is_cancelled() && bridge.store.forget_jobs(before).await? > 0 {}
    Ok(())
}

//! Being here, and noticing who is not any more: a job of a process that was killed need not wait for
//! the end of its lease.
//!
//! Whoever takes jobs holds a lock that the store gives back when they die, however they die: no clock
//! is asked. On a server it is lost with the connection, too. So whoever finds that it is lost stops
//! what they do at once ([`ASK`] and [`ANSWER`] bound *at once*), and others believe only an absence
//! that lasted longer ([`JobStore::absence`]). Two never work at one thing.

use crate::store::{JobStore, LockGuard};
use crate::telemetry::metrics::Metrics;
use crate::types::Clock;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How often a holder asks whether they are still here, and who is not.
const ASK: Duration = Duration::from_secs(1);
/// What takes longer is a no.
const ANSWER: Duration = Duration::from_secs(2);
/// A look that comes so much later than the one before has missed who was back in between.
const MISSED: Duration = Duration::from_secs(3);

/// The presence of this process at the queue, until dropped.
pub(super) struct Presence {
    period: watch::Receiver<Option<CancellationToken>>,
    _task: AbortOnDropHandle<()>,
}

struct Keeper {
    store: Arc<dyn JobStore>,
    holder: String,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Presence {
    /// Of this holder, as soon as the store answers.
    pub(super) fn of(
        store: Arc<dyn JobStore>,
        holder: String,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let keeper = Keeper {
            store,
            holder,
            clock,
            metrics,
        };
        let (tell, period) = watch::channel(None);
        let task = tokio::spawn(async move {
            tokio::join!(keeper.stay(tell), keeper.look());
        });
        Self {
            period,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The time since when they have been here, which ends when they are not any more; `None`: they
    /// are not, and take nothing.
    pub(super) fn period(&self) -> Option<CancellationToken> {
        self.period.borrow().clone()
    }

    /// Ends when that is another one.
    pub(super) async fn changed(&mut self) {
        if self.period.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Keeper {
    async fn stay(&self, tell: watch::Sender<Option<CancellationToken>>) {
        loop {
            match self.store.be_here(&self.holder).await {
                Ok(guard) => {
                    let period = CancellationToken::new();
                    tell.send_replace(Some(period.clone()));
                    still_here(&guard).await;
                    tell.send_replace(None);
                    period.cancel();
                    tracing::warn!(
                        "the store has lost sight of this process: what it works at is given back"
                    );
                }
                Err(error) => {
                    self.metrics.store_error(error.trouble());
                    tracing::debug!(%error, "no jobs are taken yet");
                    sleep(ASK).await;
                }
            }
        }
    }

    /// Gives back what those held who are gone.
    async fn look(&self) {
        let mut absent: HashMap<String, Instant> = HashMap::new();
        let mut looked = Instant::now();
        loop {
            let found = self.store.absent_holders().await;
            if looked.elapsed() > MISSED {
                absent.clear();
            }
            looked = Instant::now();
            match found {
                Ok(found) => {
                    absent.retain(|holder, _| found.contains(holder));
                    for holder in found {
                        let since = *absent.entry(holder.clone()).or_insert(looked);
                        if since.elapsed() >= self.store.absence() {
                            self.relieve(&holder).await;
                        }
                    }
                }
                Err(error) => {
                    // Not knowing is no absence.
                    absent.clear();
                    self.metrics.store_error(error.trouble());
                }
            }
            sleep(ASK).await;
        }
    }

    async fn relieve(&self, holder: &str) {
        match self.store.relieve(holder, self.clock.now()).await {
            Ok(0) => {}
            Ok(jobs) => {
                tracing::info!(
                    holder,
                    jobs,
                    "a process is gone: its jobs are taken up again"
                );
            }
            Err(error) => self.metrics.store_error(error.trouble()),
        }
    }
}

/// Ends when the lock is lost, or it can't be said that it is not.
async fn still_here(guard: &LockGuard) {
    loop {
        sleep(ASK).await;
        if timeout(ANSWER, guard.stands()).await != Ok(true) {
            return;
        }
    }
}

//! Keys that change while the bridge runs: signing keys by their schedule, and everything that a
//! former master key sealed. Replicas do it together and need no word about it.

use super::wire::{self, StartError};
use crate::audit::{Actor, Event, Kind, Witness};
use crate::config::{Config, LONGEST_TOKEN};
use crate::keys::master::MasterKey;
use crate::keys::rewrap::{self, Census, Progress};
use crate::keys::schedule::{self, Due, Schedule};
use crate::proxy::Bridge;
use crate::store::{KeyKind, SealedKind, StoreError};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the schedule is looked at, at most and at least.
const SLOWEST: Duration = Duration::from_secs(10);
const FASTEST: Duration = Duration::from_millis(250);
/// How often it is looked for what replicas with the former master key have sealed since.
const AGAIN: Duration = Duration::from_secs(600);
/// A replica that finds another at work comes back.
const TURN: Duration = Duration::from_secs(1);
/// How often the log tells how far it is.
const TELL: Duration = Duration::from_secs(5);

/// When signing keys change, by the configuration.
#[must_use]
pub fn schedule_of(config: &Config) -> Schedule {
    let cookies = config.apps.iter().map(|app| app.session.absolute).max();
    let longest = |kind| match kind {
        // A cookie ends with its session, at most so long after it was minted.
        KeyKind::Session => cookies,
        // Whatever its audience says now, it was exchanged under this.
        KeyKind::AccessToken => Some(LONGEST_TOKEN),
        KeyKind::Introspection => Some(ANSWER),
    };
    Schedule {
        announce: config.keys.announce,
        rotate_every: config.keys.rotate_every,
        longest: (KeyKind::ALL.into_iter())
            .filter_map(|kind| Some((kind, longest(kind)?)))
            .collect(),
    }
}

/// Whoever keeps a signed answer about a token keeps it for so long at most.
const ANSWER: Duration = Duration::from_secs(3600);

/// The master key of a new configuration, if everything in the store opens with it.
pub(super) async fn master_for(
    config: &Config,
    bridge: &Bridge,
) -> Result<Arc<MasterKey>, StartError> {
    let master = wire::master_of(&config.keys)?;
    wire::must_open(&*bridge.store, &master).await?;
    Ok(Arc::new(master))
}

/// See the module.
pub(super) struct KeyKeeper {
    bridge: Arc<Bridge>,
    schedule: ArcSwap<Schedule>,
    /// As announced at the start: never shorter without a restart.
    announce: Duration,
    changed: Notify,
}

impl KeyKeeper {
    pub(super) fn new(bridge: Arc<Bridge>, schedule: Schedule) -> Arc<Self> {
        Arc::new(Self {
            bridge,
            announce: schedule.announce,
            schedule: ArcSwap::from_pointee(schedule),
            changed: Notify::new(),
        })
    }

    /// Takes over what a new configuration says.
    pub(super) fn take(&self, master: Arc<MasterKey>, mut schedule: Schedule) {
        let former = self.bridge.master.swap(master.clone());
        if former.id() != master.id() {
            tracing::info!(master_key = %master.id(), former = %former.id(), "another master key seals from now on");
        }
        // Who keeps our public keys was told for how long at the start.
        schedule.announce = schedule.announce.max(self.announce);
        self.schedule.store(Arc::new(schedule));
        self.changed.notify_one();
    }

    /// How long others may keep our JWK set.
    pub(super) fn jwks_max_age(&self) -> Duration {
        crate::config::jwks_max_age(self.schedule.load().announce)
    }

    /// Changes signing keys when they are due.
    pub(super) async fn rotate(self: Arc<Self>, end: CancellationToken) {
        loop {
            let schedule = self.schedule.load_full();
            let look = (schedule.announce / 4).clamp(FASTEST, SLOWEST);
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(look) => {}
            }
            let now = self.bridge.clock.now();
            // What is known here is good enough to see that nothing is due.
            if schedule.due(&self.bridge.ring.load(), now).is_none() {
                continue;
            }
            let master = self.bridge.master.load_full();
            let by = self.bridge.audit.bridge();
            match schedule::step(&*self.bridge.store, &master, &schedule, now, &by).await {
                Ok(None) => {}
                Ok(Some(Due::Announce(kind))) => {
                    tracing::info!(%kind, "a new signing key is announced");
                }
                Ok(Some(Due::Promote(kind, kid))) => {
                    tracing::info!(%kind, %kid, "a new key signs from now on");
                }
                Ok(Some(Due::Forget(kind, kid))) => {
                    tracing::info!(%kind, %kid, "a key that has outlived what it signed is forgotten");
                }
                Err(error) => tracing::error!(%error, "the signing keys could not be changed"),
            }
        }
    }

    /// Seals anew what a former master key sealed, as long as there is one.
    pub(super) async fn rewrap(self: Arc<Self>, end: CancellationToken) {
        loop {
            let master = self.bridge.master.load_full();
            let wait = match master.former().next() {
                None => None,
                Some(_) => Some(match self.round(&master).await {
                    Ok(wait) => wait,
                    Err(error) => {
                        tracing::error!(%error, "what a former master key sealed could not be sealed anew; it is tried again");
                        SLOWEST
                    }
                }),
            };
            tokio::select! {
                () = end.cancelled() => return,
                () = self.changed.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// One round; gives when the next one comes.
    async fn round(&self, master: &MasterKey) -> Result<Duration, rewrap::Failed> {
        let store = &*self.bridge.store;
        let _turn = match store.lock(LOCK, TURN).await {
            Err(StoreError::Busy) => return Ok(SLOWEST),
            other => other?,
        };
        let before = self.count(master).await?;
        let left: u64 = SealedKind::ALL
            .iter()
            .map(|k| before.left(master, *k))
            .sum();
        if left > 0 {
            tracing::info!(left, master_key = %master.id(), "sealing anew what a former master key sealed");
            let mut told = Instant::now();
            let mut tell = |progress: &Progress| {
                if told.elapsed() > TELL {
                    told = Instant::now();
                    tracing::info!(
                        done = progress.done,
                        left = left.saturating_sub(progress.done),
                        "sealing anew"
                    );
                }
            };
            let progress = rewrap::rewrap(store, master, &mut tell).await?;
            if progress.done > 0 {
                let event = rewrapped(&self.bridge.audit.by(Actor::Bridge), master, &progress);
                self.bridge.audit.record(store, event).await?;
            }
            tracing::info!(
                done = progress.done,
                overtaken = progress.overtaken,
                refused = progress.refused,
                "sealed anew"
            );
            for refusal in &progress.refusals {
                tracing::error!(
                    what = refusal.as_str(),
                    "does not open, and stays under the former master key"
                );
            }
        }
        let after = self.count(master).await?;
        for former in master.former() {
            let hanging = after.under(former);
            match hanging.total() {
                0 => {
                    tracing::info!(former = %former, "nothing is sealed under this former master key any more: it may be taken out of keys.former_master_keys")
                }
                _ => {
                    tracing::warn!(former = %former, %hanging, "still sealed under a former master key")
                }
            }
        }
        Ok(AGAIN)
    }

    async fn count(&self, master: &MasterKey) -> Result<Census, StoreError> {
        let census = Census::take(&*self.bridge.store).await?;
        for kind in SealedKind::ALL {
            let left = census.left(master, kind);
            self.bridge.metrics.sealed_under_former(kind.as_str(), left);
        }
        Ok(census)
    }

    /// Says how old the keys are and when they change.
    pub(super) fn observe(&self) {
        let (ring, schedule) = (self.bridge.ring.load(), self.schedule.load());
        for kind in KeyKind::ALL {
            if let Ok(key) = ring.signing(kind) {
                let next = schedule.next(&ring, kind);
                self.bridge
                    .metrics
                    .signing_key(kind.as_str(), key.state_since(), next);
            }
        }
    }
}

/// What the audit trail says of it. What was sealed says the same as before, so that a crash before
/// this is written loses a note and nothing else.
#[must_use]
pub fn rewrapped(witness: &Witness, master: &MasterKey, progress: &Progress) -> Event {
    witness
        .event(Kind::KeyRewrapped)
        .detail("master_key", master.id().to_string())
        .detail("done", progress.done)
        .detail("refused", progress.refused)
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// The name of the store's lock.
const LOCK: &str = "rewrap";

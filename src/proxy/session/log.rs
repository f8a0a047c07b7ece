//! Following the revocation log: what another replica or the command line ended, ends here within a
//! second, and a replica that can't read the log refuses (design §4).

use super::end;
use crate::error::{Code, Refusal};
use crate::proxy::bridge::Bridge;
use crate::proxy::forward::Cut;
use crate::store::{EndReason, Revocation, Revoked, StoreError, UserFilter, UserState};
use crate::types::{IssuerId, Subject, Timestamp};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The log is read at least this often: nothing else tells a bridge on SQLite what a command in
/// another process revoked, and ten thousand sockets must be closed within a second of it
/// (`tests/load/sockets`).
const EVERY: Duration = Duration::from_millis(250);
/// A replica that could not read the log for so long refuses and cuts: long enough for a database
/// that restarts, short enough that "within seconds" stays true.
const TTL: i64 = 15;
/// Entries a read.
const BATCH: u32 = 500;

/// How far the log was read, and when.
#[derive(Debug)]
pub struct LogState {
    number: AtomicI64,
    read_at: AtomicI64,
    /// The same by the steady clock, in seconds since `born`: a wall clock that is set back must not
    /// make an old reading look like a new one (T35).
    read_after: AtomicI64,
    born: Instant,
    /// When the store last answered or refused: by the steady clock, for the watchdog.
    tried_at: Mutex<Option<Instant>>,
}

impl Default for LogState {
    fn default() -> Self {
        Self {
            number: AtomicI64::default(),
            read_at: AtomicI64::default(),
            read_after: AtomicI64::default(),
            born: Instant::now(),
            tried_at: Mutex::default(),
        }
    }
}

impl LogState {
    /// Refuses when the log could not be read for too long.
    ///
    /// # Errors
    /// `bridge.revocations_stale`.
    pub fn must_be_fresh(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.is_fresh(now) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::RevocationsStale,
            "the revocation log could not be read for 15 s",
        ))
    }

    /// Whether the log was read lately, by the wall clock and by the steady one: the first counts the
    /// time that a machine sleeps, the second is never set back.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.0 - self.read_at.load(Ordering::Relaxed) <= TTL
            && self.steady() - self.read_after.load(Ordering::Relaxed) <= TTL
    }

    fn steady(&self) -> i64 {
        i64::try_from(self.born.elapsed().as_secs()).unwrap_or(i64::MAX)
    }

    /// It was read whole at this time: that of the question, not of the answer.
    fn was_read(&self, at: Timestamp, steady: i64) {
        self.read_at.store(at.0, Ordering::Relaxed);
        self.read_after.store(steady, Ordering::Relaxed);
    }

    /// Whether whoever follows the log got an answer of the store, be it an error, within so long.
    /// Every call of the store has an end: silence means that the follower itself is stuck.
    pub fn is_followed(&self, within: Duration) -> bool {
        self.tried_at
            .lock()
            .is_some_and(|at| at.elapsed() <= within)
    }

    fn tried(&self) {
        *self.tried_at.lock() = Some(Instant::now());
    }

    /// The last number read.
    pub fn number(&self) -> i64 {
        self.number.load(Ordering::Relaxed)
    }
}

/// Reads the state of the log before the first request is served: who is disabled, and from which
/// number to follow.
///
/// # Errors
/// When the store does not answer.
async fn begin(bridge: &Bridge) -> Result<(), StoreError> {
    // The number first: what is appended while the list is read is then replayed, which is harmless.
    let number = bridge.store.newest_revocation().await?;
    let mut denied = Vec::new();
    for state in UserState::ALL.into_iter().filter(|state| state.denies()) {
        let mut filter = UserFilter {
            state: Some(state),
            limit: 1000,
            ..UserFilter::default()
        };
        loop {
            let page = bridge.store.users(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            denied.extend(page.into_iter().map(|u| (u.issuer, u.subject)));
        }
    }
    bridge.sessions.denied.replace(denied);
    bridge.standings.load(&*bridge.store).await?;
    bridge.reload_bots().await?;
    bridge.sessions.log.number.store(number, Ordering::Relaxed);
    let log = &bridge.sessions.log;
    log.was_read(bridge.clock.now(), log.steady());
    Ok(())
}

/// Follows the log until told to stop. `ready` is told once the beginning was read.
pub async fn follow(
    bridge: Arc<Bridge>,
    ready: tokio::sync::oneshot::Sender<()>,
    stop: CancellationToken,
) {
    while let Err(error) = begin(&bridge).await {
        bridge.sessions.log.tried();
        tracing::error!(%error, "the store can't be read yet");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    bridge.sessions.log.tried();
    let _ = ready.send(());
    let mut cut = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = bridge.store.wait_for_revocation(EVERY) => {}
        }
        let replayed = replay(&bridge).await;
        bridge.sessions.log.tried();
        match replayed {
            Ok(()) => cut = false,
            Err(error) => {
                bridge.metrics.store_error(error.trouble());
                if !bridge.sessions.log.is_fresh(bridge.clock.now()) && !cut {
                    cut = true;
                    let sockets = bridge.tunnels.cut_all(Cut::Restart);
                    tracing::error!(%error, sockets, "the revocation log can't be read: refusing everyone, sockets cut");
                }
                // Not in a tight loop while the store is away.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn replay(bridge: &Arc<Bridge>) -> Result<(), StoreError> {
    let log = &bridge.sessions.log;
    loop {
        let (read_at, steady) = (bridge.clock.now(), log.steady());
        let asked = Instant::now();
        let entries = bridge.store.revocations_after(log.number(), BATCH).await?;
        bridge.metrics.store_answered(asked.elapsed());
        if entries
            .first()
            .is_some_and(|e| e.number != log.number() + 1)
        {
            // Entries were purged before this replica read them: everything it knows is in doubt.
            tracing::warn!(
                "the revocation log has moved on without this replica: reading all state anew"
            );
            for live in bridge.sessions.table.all() {
                bridge.sessions.table.remove(&live.id);
                bridge.tunnels.cut_session(&live.id, Cut::Restart);
            }
            bridge.reload_ring().await?;
            return begin(bridge).await;
        }
        judge_anew(bridge, &entries).await?;
        for entry in &entries {
            apply(bridge, entry).await?;
            log.number.store(entry.number, Ordering::Relaxed);
            log.tried();
        }
        if entries.len() < BATCH as usize {
            log.was_read(read_at, steady);
            bridge.metrics.revocations_read(read_at);
            return Ok(());
        }
    }
}

/// What directories say, as far as these entries tell that it changed: read together, since a sweep
/// may tell of thousands, and before anything else is applied, since it may turn somebody away.
async fn judge_anew(bridge: &Bridge, entries: &[Revocation]) -> Result<(), StoreError> {
    let mut whom: HashSet<(IssuerId, Subject)> = HashSet::new();
    let mut groups = false;
    for entry in entries {
        match &entry.what {
            Revoked::Person(issuer, subject) => {
                whom.insert((issuer.clone(), subject.clone()));
            }
            Revoked::Groups => groups = true,
            // An operator may have forgiven what a directory denied.
            Revoked::User(id) => {
                if let Some(user) = bridge.store.user(*id).await? {
                    whom.insert((user.issuer, user.subject));
                }
            }
            _ => {}
        }
    }
    if groups {
        bridge.standings.refresh_groups(&*bridge.store).await?;
    }
    if !whom.is_empty() {
        let list: Vec<_> = whom.iter().cloned().collect();
        bridge.standings.refresh(&*bridge.store, &list).await?;
    }
    if groups {
        bridge.sessions.mute_shut_out(bridge, None);
    } else if !whom.is_empty() {
        bridge.sessions.mute_shut_out(bridge, Some(&whom));
    }
    Ok(())
}

async fn apply(bridge: &Arc<Bridge>, entry: &Revocation) -> Result<(), StoreError> {
    let reason = entry.reason.unwrap_or(EndReason::Revoked);
    match &entry.what {
        Revoked::Session(id) => end::forget(bridge, id, reason),
        Revoked::Sid(app, issuer, subject, sid) => {
            if let Some(live) = bridge.sessions.table.find(app, issuer, subject, sid) {
                end::forget(bridge, &live.id, reason);
            }
        }
        Revoked::User(id) => {
            let Some(user) = bridge.store.user(*id).await? else {
                return Ok(());
            };
            let disabled = user.state.denies();
            bridge
                .sessions
                .denied
                .set(&user.issuer, &user.subject, disabled);
            if disabled {
                for live in bridge.sessions.table.of_user(*id) {
                    end::forget(bridge, &live.id, EndReason::UserDisabled);
                }
            }
        }
        Revoked::All => {
            for live in bridge.sessions.table.all() {
                end::forget(bridge, &live.id, reason);
            }
        }
        Revoked::Keys => bridge.reload_ring().await?,
        Revoked::Bots => bridge.reload_bots().await?,
        Revoked::Admission(id) => {
            // Nobody's session ended: the row says whether it vouches for its person still.
            let Some(live) = bridge.sessions.table.get(id) else {
                return Ok(());
            };
            let Some(stored) = bridge.store.session(*id).await? else {
                return Ok(());
            };
            if live.heard(stored.admission) {
                // Whoever was refused on another replica must not go on listening on this one (T26).
                bridge.tunnels.cut_session(id, Cut::SessionEnded);
            }
            return Ok(());
        }
        // Taken over before, with all others of their batch.
        Revoked::Person(..) | Revoked::Groups => {}
    }
    bridge.wake_keeper();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn t35_a_reading_of_the_log_is_no_newer_for_a_clock_that_is_set_back() {
        let log = LogState::default();
        let now = Timestamp(1_800_000_000);
        let back = now - Duration::from_secs(3600);
        log.was_read(now, log.steady());
        assert!(log.is_fresh(now) && log.is_fresh(back));
        tokio::time::advance(Duration::from_secs(16)).await;
        assert!(!log.is_fresh(now) && !log.is_fresh(back));
        log.was_read(back, log.steady());
        assert!(log.is_fresh(back));
        // A machine that slept: the steady clock stood still.
        assert!(!log.is_fresh(back + Duration::from_secs(16)));
    }
}

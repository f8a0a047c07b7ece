//! What keeps the trail: denials are written, checkpoints signed, what is too old is removed.
//!
//! Nothing is signed that was not walked: from the last signed record to the end, each time. A trail
//! that is not as it was gets no checkpoint any more, an error in the log and a metric, until somebody
//! has looked.

use super::chain::{Fault, Mark};
use super::checkpoints;
use super::verify::{self, VerifyError};
use super::{Actor, Audit};
use crate::keys::{AuditKey, Statement};
use crate::store::{MarkKind, Store, TrailHead};
use crate::telemetry::metrics::{AuditTrouble, Metrics};
use crate::types::{Clock, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often denials are written and the end is looked at.
pub const FLUSH: Duration = Duration::from_secs(10);
/// How often the beginning is looked at.
const PRUNE: Duration = Duration::from_secs(3_600);
/// Records removed at once, at most.
const AT_ONCE: i64 = 10_000;
/// Checkpoints looked at to find where to cut.
const PAGE: u32 = 100;

/// When to sign, and what to keep.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A checkpoint after so many records ...
    pub records: i64,
    /// ... or, when there is any, after so long.
    pub every: Duration,
    /// Records are kept so long.
    pub keep: Duration,
    /// Where checkpoints are written to as well.
    pub folder: Option<PathBuf>,
    /// Which replica this is, for the files' names.
    pub replica: String,
}

/// See the module.
pub struct Keeper {
    /// Where denials are counted.
    pub audit: Arc<Audit>,
    /// The trail.
    pub store: Arc<dyn Store>,
    /// What signs.
    pub key: AuditKey,
    /// When.
    pub plan: Plan,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
}

/// What this replica remembers from one look to the next.
#[derive(Default)]
struct Memory {
    /// The last mark that was good: a store that knows less has lost its end.
    last: Option<Mark>,
    /// What was wrong when it was said last.
    said: Option<Fault>,
}

impl Keeper {
    /// Keeps the trail until told to stop; then writes what is left and signs the end.
    pub async fn run(self, stop: CancellationToken) {
        let mut memory = Memory::default();
        let mut pruned: Option<Instant> = None;
        while !stop.is_cancelled() {
            self.round(&mut memory, false).await;
            if pruned.is_none_or(|at| at.elapsed() > PRUNE) && memory.said.is_none() {
                pruned = Some(Instant::now());
                let done = self.prune().await;
                self.say(&mut memory, done.map(drop));
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(FLUSH) => {}
            }
        }
        self.round(&mut memory, true).await;
    }

    async fn round(&self, memory: &mut Memory, last: bool) {
        match self
            .audit
            .write_denials(&*self.store, &self.key, last)
            .await
        {
            Ok(flushed) => {
                if flushed.dropped > 0 {
                    self.metrics.audit_dropped(flushed.dropped);
                    tracing::warn!(
                        dropped = flushed.dropped,
                        "more denials than the audit trail takes: some are only counted"
                    );
                }
            }
            Err(error) => {
                self.metrics.audit_trouble(AuditTrouble::Append);
                tracing::warn!(%error, "denials could not be written into the audit trail yet");
            }
        }
        let signed = self.sign(memory, last).await;
        self.say(memory, signed);
    }

    fn say(&self, memory: &mut Memory, done: Result<(), VerifyError>) {
        match done {
            Ok(()) => {
                memory.said = None;
                self.metrics.audit_broken(false);
            }
            Err(VerifyError::Store(error)) => {
                self.metrics.audit_trouble(AuditTrouble::Sign);
                tracing::warn!(%error, "the audit trail could not be read: it is signed later");
            }
            Err(VerifyError::Fault(fault)) => {
                self.metrics.audit_broken(true);
                if memory.said.as_ref() != Some(&fault) {
                    tracing::error!(%fault, "the audit trail is not as it was: it gets no checkpoint until somebody has looked (`auth-manager audit verify`)");
                }
                memory.said = Some(fault);
            }
        }
    }

    /// Signs the end when it is time.
    async fn sign(&self, memory: &mut Memory, at_once: bool) -> Result<(), VerifyError> {
        let from = self.last(memory).await?;
        let head = self.store.trail_head().await?;
        self.metrics.audit_reached(head.number, from.number);
        let now = self.clock.now();
        let fresh = head.number - from.number;
        if fresh < 0 {
            return Err(lost(head, &from).into());
        }
        let due = fresh >= self.plan.records || now.since(from.time) >= self.plan.every;
        if fresh == 0 || !(at_once || due) {
            return Ok(());
        }
        let head = verify::since(&*self.store, from.head()).await?;
        let mark = Mark::of(head, now);
        let token = mark.sign(&self.key, Statement::Checkpoint);
        self.store.put_checkpoint(mark.number, &token).await?;
        memory.last = Some(mark);
        self.metrics.audit_reached(head.number, mark.number);
        if let Some(folder) = self.plan.folder.clone() {
            let replica = self.plan.replica.clone();
            let written = tokio::task::spawn_blocking(move || {
                checkpoints::append(&folder, &replica, &token, now)
            });
            if !matches!(written.await, Ok(Ok(()))) {
                self.metrics.audit_trouble(AuditTrouble::File);
                tracing::error!(folder = ?self.plan.folder, "a checkpoint of the audit trail could not be written to its folder");
            }
        }
        Ok(())
    }

    /// The newest record that something signed vouches for: what this replica signed itself, else
    /// what the store has.
    async fn last(&self, memory: &mut Memory) -> Result<Mark, VerifyError> {
        let mut newest = None;
        for (kind, what) in [
            (MarkKind::Anchor, Statement::Anchor),
            (MarkKind::Checkpoint, Statement::Checkpoint),
        ] {
            if let Some(seal) = self.store.newest_trail_mark(kind).await? {
                let name = || format!("the {kind} of record {}", seal.number);
                let mark = Mark::read(self.key.public(), what, &seal.token, name)?;
                if mark.number != seal.number {
                    return Err(Fault::Contradicted {
                        number: seal.number,
                        witness: name(),
                    }
                    .into());
                }
                if newest.is_none_or(|known: Mark| known.number <= mark.number) {
                    newest = Some(mark);
                }
            }
        }
        let none = Mark::of(super::chain::Walk::from_genesis().at(), Timestamp(0));
        let newest = newest.unwrap_or(none);
        match memory.last {
            Some(own) if own.number > newest.number => Err(Fault::Truncated {
                last: newest.number,
                known: own.number,
                witness: "a checkpoint that this replica signed".into(),
            }
            .into()),
            Some(own) if own.number == newest.number && own.hash != newest.hash => {
                Err(Fault::Contradicted {
                    number: own.number,
                    witness: "a checkpoint that this replica signed".into(),
                }
                .into())
            }
            _ => {
                memory.last = Some(newest);
                Ok(newest)
            }
        }
    }

    /// Removes what is older than it must be, up to a checkpoint, and leaves a signed anchor.
    ///
    /// # Errors
    /// When the store does not answer, or what is to go is not as it was: then it stays.
    pub async fn prune(&self) -> Result<u64, VerifyError> {
        let mut removed = 0;
        while let Some((from, to)) = self.cut().await? {
            // Once more, and for the last time.
            verify::between(&*self.store, from, to.head()).await?;
            let now = self.clock.now();
            let anchor = Mark { time: now, ..to }.sign(&self.key, Statement::Anchor);
            let by = self.audit.by(Actor::Bridge).by();
            let went = self.store.prune_trail(to.number, &anchor, &by).await?;
            if went == 0 {
                break;
            }
            removed += went;
            tracing::info!(
                removed = went,
                up_to = to.number,
                "old records of the audit trail removed"
            );
        }
        Ok(removed)
    }

    /// Where the trail begins, and the newest checkpoint that is old enough to begin behind.
    async fn cut(&self) -> Result<Option<(TrailHead, Mark)>, VerifyError> {
        let public = self.key.public();
        let mut from = super::chain::Walk::from_genesis().at();
        if let Some(seal) = self.store.newest_trail_mark(MarkKind::Anchor).await? {
            let name = || "the anchor".to_owned();
            from = Mark::read(public, Statement::Anchor, &seal.token, name)?.head();
        }
        let before = self.clock.now() - self.plan.keep;
        let mut found = None;
        let seals = self
            .store
            .trail_marks(MarkKind::Checkpoint, from.number, PAGE)
            .await?;
        for seal in seals {
            let name = || format!("the checkpoint of record {}", seal.number);
            let mark = Mark::read(public, Statement::Checkpoint, &seal.token, name)?;
            let far = mark.number - from.number > AT_ONCE && found.is_some();
            if mark.time >= before || far {
                break;
            }
            found = Some(mark);
        }
        Ok(found.map(|to| (from, to)))
    }
}

fn lost(head: TrailHead, from: &Mark) -> Fault {
    Fault::Truncated {
        last: head.number,
        known: from.number,
        witness: format!("the checkpoint of record {}", from.number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::checkpoints::Checkpoints;
    use crate::audit::{Kind, Settings};
    use crate::store::{SqliteStore, TrailFilter};
    use crate::types::ManualClock;

    const DAY: i64 = 24 * 3600;
    const T0: Timestamp = Timestamp(1_800_000_000);

    struct Bed {
        keeper: Keeper,
        clock: Arc<ManualClock>,
        folder: tempfile::TempDir,
        memory: Memory,
    }

    impl Bed {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::at(T0));
            let store = SqliteStore::open(folder.path().join("x.db")).await.unwrap();
            let keeper = Keeper {
                audit: Arc::new(Audit::new(clock.clone(), Settings::default())),
                store: Arc::new(store),
                key: AuditKey::from_seed(&[7; 32]).unwrap(),
                plan: Plan {
                    records: 5,
                    every: Duration::from_secs(600),
                    keep: Duration::from_secs(30 * DAY as u64),
                    folder: Some(folder.path().to_owned()),
                    replica: "one".into(),
                },
                clock: clock.clone(),
                metrics: Metrics::new(Default::default()),
            };
            Self {
                keeper,
                clock,
                folder,
                memory: Memory::default(),
            }
        }

        async fn write(&self, records: u32) {
            for _ in 0..records {
                let event = self.keeper.audit.by(Actor::Bridge).event(Kind::ApiWrite);
                let store = &*self.keeper.store;
                self.keeper.audit.record(store, event).await.unwrap();
            }
        }

        async fn round(&mut self, last: bool) {
            self.keeper.round(&mut self.memory, last).await;
        }

        async fn signed(&self) -> i64 {
            let newest = self.keeper.store.newest_trail_mark(MarkKind::Checkpoint);
            newest.await.unwrap().map_or(0, |mark| mark.number)
        }

        fn sql(&self, sql: &str) {
            let db = rusqlite::Connection::open(self.folder.path().join("x.db")).unwrap();
            db.execute_batch(sql).unwrap();
        }

        fn broken(&self) -> bool {
            let metrics = self.keeper.metrics.encode();
            metrics.contains("auth_manager_audit_broken 1")
        }
    }

    #[tokio::test]
    async fn the_end_is_signed_by_number_by_time_and_at_the_end() {
        let mut bed = Bed::new().await;
        bed.write(1).await;
        bed.round(false).await;
        assert_eq!(bed.signed().await, 1, "nothing was signed for long");
        bed.write(4).await;
        bed.round(false).await;
        assert_eq!(bed.signed().await, 1);
        bed.write(1).await;
        bed.round(false).await;
        assert_eq!(bed.signed().await, 6, "five more");
        bed.write(1).await;
        bed.round(false).await;
        assert_eq!(bed.signed().await, 6);
        bed.clock.set(T0 + Duration::from_secs(600));
        bed.round(false).await;
        assert_eq!(bed.signed().await, 7, "ten minutes");
        bed.write(1).await;
        bed.round(true).await;
        assert_eq!(bed.signed().await, 8, "the end");
        let kept = Checkpoints::read(bed.folder.path(), bed.keeper.key.public());
        assert_eq!(kept.unwrap().unwrap().len(), 4);
        assert!(!bed.broken());
    }

    #[tokio::test]
    async fn what_is_too_old_goes_up_to_a_checkpoint_and_the_rest_can_be_verified() {
        let mut bed = Bed::new().await;
        bed.write(5).await;
        bed.round(false).await;
        bed.write(2).await;
        bed.clock.set(Timestamp(T0.0 + 29 * DAY));
        bed.round(false).await;
        assert_eq!(bed.keeper.prune().await.unwrap(), 0);
        bed.clock.set(Timestamp(T0.0 + 31 * DAY));
        assert_eq!(bed.keeper.prune().await.unwrap(), 5);
        assert_eq!(bed.keeper.prune().await.unwrap(), 0);
        bed.round(true).await;
        assert!(!bed.broken());
        let (store, public) = (&*bed.keeper.store, bed.keeper.key.public());
        let verdict = verify::store(store, public, &Checkpoints::default()).await;
        let verdict = verdict.unwrap();
        assert_eq!(
            (verdict.begins_behind, verdict.first, verdict.last),
            (5, 6, 8)
        );
        assert_eq!(verdict.covered, 8);
    }

    #[tokio::test]
    async fn what_was_changed_is_neither_removed_nor_signed() {
        let mut bed = Bed::new().await;
        bed.write(5).await;
        bed.round(false).await;
        bed.write(1).await;
        bed.clock.set(Timestamp(T0.0 + 31 * DAY));
        bed.sql("UPDATE audit_records SET body = replace(body, 'write', 'wrote') WHERE number = 2");
        let refused = bed.keeper.prune().await;
        assert!(
            matches!(refused, Err(VerifyError::Fault(Fault::Changed(2)))),
            "{refused:?}"
        );
        let all = bed
            .keeper
            .store
            .trail(&TrailFilter::default())
            .await
            .unwrap();
        assert_eq!(all.len(), 6);

        bed.sql("UPDATE audit_records SET body = replace(body, 'write', 'wrote') WHERE number = 6");
        bed.round(true).await;
        assert!(bed.broken());
        assert_eq!(bed.signed().await, 5);
        // Repaired, it is signed again.
        bed.sql("UPDATE audit_records SET body = replace(body, 'wrote', 'write') WHERE number = 6");
        bed.round(true).await;
        assert!(!bed.broken());
        assert_eq!(bed.signed().await, 6);
    }

    #[tokio::test]
    async fn a_running_replica_notices_an_end_cut_off_with_its_checkpoints() {
        let mut bed = Bed::new().await;
        bed.write(5).await;
        bed.round(true).await;
        bed.write(5).await;
        bed.round(true).await;
        bed.sql(
            "DELETE FROM audit_records WHERE number > 7;
             DELETE FROM audit_marks WHERE number > 5;
             UPDATE audit_head SET number = 7,
                 hash = (SELECT hash FROM audit_records WHERE number = 7)",
        );
        bed.round(true).await;
        assert!(bed.broken());
        assert!(
            matches!(bed.memory.said, Some(Fault::Truncated { known: 10, .. })),
            "{:?}",
            bed.memory.said
        );
        assert_eq!(bed.signed().await, 5);
    }
}

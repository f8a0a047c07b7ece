//! "Something may have been appended to the revocation log", "a job may have been wished": what
//! wakes a replica early.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A counter of hints, and how many of them the last reading (of the log, of the queue) has covered.
///
/// A hint that comes between the reading and the waiting is thus not lost. With several readers
/// one may miss a hint the other has covered: they then wait for their time-out, as the trait
/// allows.
#[derive(Debug)]
pub(super) struct Signal {
    hints: watch::Sender<u64>,
    covered: AtomicU64,
}

impl Signal {
    pub(super) fn new() -> Self {
        Self {
            hints: watch::Sender::new(0),
            covered: AtomicU64::new(0),
        }
    }

    /// There may be something new.
    pub(super) fn hint(&self) {
        self.hints.send_modify(|n| *n += 1);
    }

    /// It is about to be read.
    pub(super) fn reading(&self) {
        self.covered.store(*self.hints.borrow(), Ordering::SeqCst);
    }

    /// Waits for a hint that no reading has covered, at most `at_most`.
    pub(super) async fn wait(&self, at_most: Duration) {
        let covered = self.covered.load(Ordering::SeqCst);
        let mut hints = self.hints.subscribe();
        let hint = hints.wait_for(|n| *n != covered);
        if let Ok(Ok(n)) = tokio::time::timeout(at_most, hint).await {
            // So that a caller that never reads does not spin.
            self.covered.store(*n, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hint_between_reading_and_waiting_is_not_lost() {
        let signal = Signal::new();
        let day = Duration::from_secs(86_400);
        signal.reading();
        signal.hint();
        let start = tokio::time::Instant::now();
        signal.wait(day).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        signal.wait(day).await;
        assert_eq!(start.elapsed(), day);
    }
}

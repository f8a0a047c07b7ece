//! How often a client may ask: a token bucket (as GCRA, ITU-T I.371 annex A), one word a client.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// One client's allowance.
#[derive(Debug)]
pub(super) struct Bucket {
    since: Instant,
    /// Nanoseconds that one request costs.
    cost: u64,
    /// How far ahead of time a client may be.
    ahead: u64,
    /// When, in nanoseconds after `since`, all that was taken is paid for.
    paid: AtomicU64,
}

impl Bucket {
    /// `rate` requests a second for long, `burst` at once.
    pub(super) fn new(rate: u32, burst: u32) -> Self {
        let cost = 1_000_000_000 / u64::from(rate.max(1));
        Self {
            since: Instant::now(),
            cost,
            ahead: cost * u64::from(burst.max(1)),
            paid: AtomicU64::new(0),
        }
    }

    /// Takes one request's worth.
    ///
    /// # Errors
    /// How long to wait, when there is none.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let now = now.saturating_duration_since(self.since).as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let paid = self
            .paid
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
                let next = paid.max(now) + self.cost;
                (next - now <= self.ahead).then_some(next)
            });
        match paid {
            Ok(_) => Ok(()),
            Err(paid) => {
                let over = (paid.max(now) + self.cost).saturating_sub(now + self.ahead);
                Err(Duration::from_nanos(over))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_says_how_long_to_wait() {
        let bucket = Bucket::new(10, 3);
        let now = bucket.since;
        for _ in 0..3 {
            assert_eq!(bucket.take(now), Ok(()));
        }
        let wait = bucket.take(now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert!(bucket.take(now + wait / 2).is_err());
        assert_eq!(bucket.take(now + wait), Ok(()));
        assert!(bucket.take(now + wait).is_err());
        // A long rest earns no more than the burst.
        let later = now + Duration::from_secs(3600);
        assert_eq!((0..10).filter(|_| bucket.take(later).is_ok()).count(), 3);
    }
}

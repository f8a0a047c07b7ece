//! A line now and then, where strangers could fill the log: Authentik with a wrong secret sends each
//! event six times, for as long as nobody looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// One line in so long.
const EVERY: Duration = Duration::from_secs(10);

/// Says which lines are written.
#[derive(Debug)]
pub(super) struct Hush {
    since: Instant,
    /// When, in milliseconds after `since`, the next line may be written.
    next: AtomicU64,
    unsaid: AtomicU64,
}

impl Hush {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            next: AtomicU64::new(0),
            unsaid: AtomicU64::new(0),
        }
    }

    /// How many lines were left out before this one, if this one is to be written.
    pub(super) fn speak(&self, now: Instant) -> Option<u64> {
        let now = now.saturating_duration_since(self.since).as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let every = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
        let turn = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                (now >= next).then(|| now.saturating_add(every))
            });
        match turn {
            Ok(_) => Some(self.unsaid.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.unsaid.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_says_how_many_there_would_have_been() {
        let hush = Hush::new();
        let at = |seconds| hush.since + Duration::from_secs(seconds);
        assert_eq!(hush.speak(at(1)), Some(0));
        for _ in 0..500 {
            assert_eq!(hush.speak(at(10)), None);
        }
        assert_eq!(hush.speak(at(11)), Some(500));
        assert_eq!(hush.speak(at(12)), None);
        assert_eq!(hush.speak(at(60)), Some(1));
    }
}

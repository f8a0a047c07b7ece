//! How many jobs of an app or directory are begun: a token bucket, on the monotonic clock.

use std::time::Duration;
use tokio::time::Instant;

/// Of one app or directory.
#[derive(Debug)]
pub struct Budget {
    /// Jobs a second, for long.
    rate: f64,
    /// Jobs at once.
    most: f64,
    left: f64,
    /// Jobs that what is urgent may spend ahead of their time.
    credit: f64,
    at: Instant,
    /// Spent, and not yet worth coming back for.
    spent: bool,
}

impl Budget {
    /// `rate` jobs a second for long, and as many at once.
    #[must_use]
    pub fn new(rate: u32, now: Instant) -> Self {
        let most = f64::from(rate.max(1));
        Self {
            rate: most,
            most,
            left: most,
            credit: 0.0,
            at: now,
            spent: false,
        }
    }

    /// What is urgent may spend what will be earned in this time; everything else waits until it was.
    #[must_use]
    pub fn with_credit(self, of: Duration) -> Self {
        Self {
            credit: self.rate * of.as_secs_f64(),
            ..self
        }
    }

    /// Whether there is some left. For what is not urgent not before a quarter is there again:
    /// else each job would be looked for on its own.
    pub fn may(&mut self, urgent: bool, now: Instant) -> bool {
        self.earn(now);
        let worth = match self.spent && !urgent {
            true => (self.most / 4.0).max(1.0),
            false => 1.0,
        };
        self.left + self.credit_of(urgent) >= worth
    }

    /// Whether one job's worth is left, were it the last.
    pub fn has(&mut self, urgent: bool, now: Instant) -> bool {
        self.earn(now);
        self.left + self.credit_of(urgent) >= 1.0
    }

    fn credit_of(&self, urgent: bool) -> f64 {
        match urgent {
            true => self.credit,
            false => 0.0,
        }
    }

    /// Spends one job's worth; `false` when there is none.
    pub fn take(&mut self, urgent: bool, now: Instant) -> bool {
        if !self.has(urgent, now) {
            self.spent = true;
            return false;
        }
        self.left -= 1.0;
        true
    }

    fn earn(&mut self, now: Instant) {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.left = (self.left + passed.as_secs_f64() * self.rate).min(self.most);
        self.at = self.at.max(now);
        if self.left >= self.most / 4.0 {
            self.spent = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spent_at_once_and_earned_over_time() {
        let now = Instant::now();
        let mut budget = Budget::new(8, now);
        assert_eq!((0..20).filter(|_| budget.take(false, now)).count(), 8);
        assert!(!budget.may(true, now) && !budget.may(false, now));
        // An eighth of a second is one job: worth it for what is urgent only.
        let then = now + Duration::from_millis(130);
        assert!(budget.may(true, then) && !budget.may(false, then));
        let then = now + Duration::from_millis(260);
        assert!(budget.may(false, then) && budget.take(false, then));
        // A long rest earns no more than the most.
        let later = now + Duration::from_secs(86_400);
        assert_eq!((0..20).filter(|_| budget.take(false, later)).count(), 8);
        // A second after it, eight.
        let then = later + Duration::from_secs(1);
        assert_eq!((0..20).filter(|_| budget.take(false, then)).count(), 8);
    }

    #[test]
    fn what_is_urgent_spends_ahead_and_everything_else_pays_it_back() {
        let now = Instant::now();
        let mut budget = Budget::new(10, now).with_credit(Duration::from_secs(3));
        assert_eq!((0..99).filter(|_| budget.take(true, now)).count(), 40);
        assert!(!budget.has(true, now));
        // What is not urgent waits for all of it.
        let then = now + Duration::from_secs(3);
        assert!(!budget.has(false, then) && budget.has(true, then));
        let then = now + Duration::from_millis(3_200);
        assert!(budget.has(false, then) && !budget.may(false, then));
        assert!(budget.may(false, now + Duration::from_millis(3_300)));
    }
}

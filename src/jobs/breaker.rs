//! Leaves an app or directory alone that fails again and again, and asks now and then whether it is
//! back. A pure state machine: time is handed in, and is the monotonic one, which no change of the
//! clock moves (T35).

use std::time::Duration;
use tokio::time::Instant;

/// Failures one after the other that open it.
const FAILURES: u32 = 5;
/// The longest it stays open, in its first times.
const LONGEST: u32 = 12;

/// Of one app or directory.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    /// How long it stays open first; twice as long after each probe that failed.
    first: Duration,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, pause: Duration },
    Probing { pause: Duration },
}

/// What it is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// All may pass.
    Closed,
    /// Nobody may.
    Open,
    /// One is under way, or may be.
    HalfOpen,
}

/// What an attempt said about the app or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered.
    Answered,
    /// It failed.
    Failed,
    /// Nothing: it was not asked, or the attempt was stopped.
    Silent,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(first: Duration) -> Self {
        Self {
            state: State::Closed { failures: 0 },
            first,
        }
    }

    fn longer(&self, pause: Duration) -> Duration {
        (pause * 2).min(self.first * LONGEST)
    }

    /// Whether somebody may pass now.
    #[must_use]
    pub fn may(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until, .. } => until <= now,
            State::Probing { .. } => false,
        }
    }

    /// Somebody passes, who [`Self::may`]. `Some`: as the probe; if they fail, it stays open so long.
    pub fn pass(&mut self, now: Instant) -> Option<Duration> {
        let State::Open { until, pause } = self.state else {
            return None;
        };
        if until > now {
            return None;
        }
        self.state = State::Probing { pause };
        Some(self.longer(pause))
    }

    /// Somebody who passed is back.
    pub fn back(&mut self, probe: bool, verdict: Verdict, now: Instant) {
        match (&mut self.state, verdict) {
            // Whoever it was: it answers.
            (state, Verdict::Answered) => *state = State::Closed { failures: 0 },
            (State::Closed { failures }, Verdict::Failed) => {
                *failures += 1;
                if *failures >= FAILURES {
                    self.state = State::Open {
                        until: now + self.first,
                        pause: self.first,
                    };
                }
            }
            (State::Probing { pause }, Verdict::Failed) if probe => {
                let pause = *pause;
                let pause = self.longer(pause);
                self.state = State::Open {
                    until: now + pause,
                    pause,
                };
            }
            // The next one is the probe.
            (State::Probing { pause }, Verdict::Silent) if probe => {
                let pause = *pause;
                self.state = State::Open { until: now, pause };
            }
            // Who began before it opened says nothing new.
            (State::Open { .. } | State::Probing { .. }, Verdict::Failed)
            | (_, Verdict::Silent) => {}
        }
    }

    /// What it is now.
    #[must_use]
    pub fn position(&self, now: Instant) -> Position {
        match self.state {
            State::Closed { .. } => Position::Closed,
            State::Open { until, .. } if until > now => Position::Open,
            State::Open { .. } | State::Probing { .. } => Position::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(seconds(5));
        for n in 0..FAILURES {
            assert!(breaker.may(now), "{n} failures do not open it");
            assert_eq!(breaker.pass(now), None);
            breaker.back(false, Verdict::Failed, now);
        }
        breaker
    }

    #[test]
    fn failures_one_after_the_other_open_it_and_one_answer_between_does_not() {
        let now = Instant::now();
        let breaker = opened(now);
        assert!(!breaker.may(now) && !breaker.may(now + seconds(4)));
        assert_eq!(breaker.position(now), Position::Open);
        let mut breaker = Breaker::new(seconds(5));
        for n in 0..40 {
            let verdict = match n % 5 {
                4 => Verdict::Answered,
                _ => Verdict::Failed,
            };
            breaker.back(false, verdict, now);
        }
        assert!(breaker.may(now));
    }

    #[test]
    fn one_probe_closes_it_or_opens_it_for_longer() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let mut at = now;
        for pause in [5, 10, 20, 40, 60, 60] {
            assert!(!breaker.may(at + seconds(pause) - Duration::from_millis(1)));
            at += seconds(pause);
            assert!(breaker.may(at));
            assert_eq!(breaker.position(at), Position::HalfOpen);
            let next = breaker.pass(at);
            assert_eq!(next, Some(seconds((pause * 2).min(60))));
            // One at a time.
            assert!(!breaker.may(at) && !breaker.may(at + seconds(3_600)));
            assert_eq!(breaker.pass(at), None);
            breaker.back(true, Verdict::Failed, at);
        }
        at += seconds(60);
        assert!(breaker.pass(at).is_some());
        breaker.back(true, Verdict::Answered, at);
        assert_eq!(breaker.position(at), Position::Closed);
        // And it takes as many failures as before.
        breaker.back(false, Verdict::Failed, at);
        assert!(breaker.may(at));
    }

    #[test]
    fn a_probe_that_says_nothing_is_followed_by_another_at_once() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let at = now + seconds(5);
        assert!(breaker.pass(at).is_some());
        breaker.back(true, Verdict::Silent, at);
        assert!(breaker.may(at));
        assert_eq!(
            breaker.pass(at),
            Some(seconds(10)),
            "its pause is as it was"
        );
    }

    #[test]
    fn who_began_before_it_opened_neither_lengthens_it_nor_is_ignored_when_it_answers() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.back(false, Verdict::Failed, now + seconds(4));
        breaker.back(false, Verdict::Silent, now + seconds(4));
        assert!(breaker.may(now + seconds(5)));
        assert!(breaker.pass(now + seconds(5)).is_some());
        breaker.back(false, Verdict::Failed, now + seconds(5));
        assert!(
            !breaker.may(now + seconds(6)),
            "the probe is still under way"
        );
        breaker.back(false, Verdict::Answered, now + seconds(6));
        assert!(breaker.may(now + seconds(6)));
    }
}

//! How long a job waits after a failure: twice as long each time, up to a limit, and never all at
//! the same moment.

use crate::store::Priority;
use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(2);
/// The longest, for somebody who waits to be let in, and for what nobody waits for.
const LONGEST: Duration = Duration::from_secs(600);
/// The longest for what takes access away.
const LONGEST_DENY: Duration = Duration::from_secs(30);

/// The pause after so many attempts. `dice` is between 0 and 1: the pause is between half and all of
/// what it may be. In whole seconds, at least one: the queue's times are no finer.
#[must_use]
pub fn pause(attempts: i64, priority: Priority, dice: f64) -> Duration {
    let longest = match priority {
        Priority::Deny => LONGEST_DENY,
        Priority::Grant | Priority::Background => LONGEST,
    };
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    let full = FIRST.saturating_mul(1 << doublings).min(longest);
    let part = full.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
    Duration::from_secs(whole(part).max(1))
}

/// Whole seconds, rounded up.
pub(super) fn whole(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_doubles_up_to_its_limit() {
        let of = |attempts| pause(attempts, Priority::Grant, 1.0).as_secs();
        assert_eq!([of(1), of(2), of(3), of(9)], [2, 4, 8, 512]);
        assert_eq!([of(10), of(1_000), of(i64::MAX)], [600; 3]);
        assert_eq!(pause(50, Priority::Deny, 1.0).as_secs(), 30);
    }

    proptest! {
        #[test]
        fn it_is_never_nothing_and_never_more_than_its_limit(
            attempts in any::<i64>(),
            dice in any::<f64>(),
        ) {
            // A not-a-number is clamped to one.
            let dice = if dice.is_nan() { 1.0 } else { dice };
            let deny = pause(attempts, Priority::Deny, dice);
            let grant = pause(attempts, Priority::Grant, dice);
            prop_assert!(deny >= Duration::from_secs(1) && deny <= LONGEST_DENY);
            prop_assert!(grant >= deny && grant <= LONGEST);
        }

        #[test]
        fn two_that_failed_together_do_not_come_back_together(dice in 0.0..0.4_f64) {
            let one = pause(9, Priority::Grant, dice);
            let other = pause(9, Priority::Grant, dice + 0.5);
            prop_assert!(other >= one + Duration::from_secs(60));
        }
    }
}

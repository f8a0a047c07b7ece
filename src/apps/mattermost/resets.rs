//! Passwords that were set and are refused all the same: then trying stops for a while, since each
//! try counts and ten lock the account (facts §1a, T32).

use crate::types::{RemoteId, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Seconds without another try after a password that was just set was refused.
const REST: i64 = 300;
/// Accounts remembered; passwords are hardly ever set.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Resets(Mutex<HashMap<RemoteId, Reset>>);

#[derive(Debug)]
struct Reset {
    at: Timestamp,
    /// Whether a login was refused afterwards.
    refused: bool,
}

impl Resets {
    /// A password was set.
    pub(super) fn done(&self, remote: &RemoteId, now: Timestamp) {
        let mut resets = self.0.lock();
        if resets.len() >= MOST {
            resets.retain(|_, reset| now.0 - reset.at.0 < REST);
        }
        let reset = Reset {
            at: now,
            refused: false,
        };
        resets.insert(remote.clone(), reset);
    }

    /// A login was refused.
    pub(super) fn refused(&self, remote: &RemoteId, now: Timestamp) {
        if let Some(reset) = self.0.lock().get_mut(remote)
            && now.0 - reset.at.0 < REST
        {
            reset.refused = true;
        }
    }

    /// Whether another try is of no use yet.
    pub(super) fn is_stuck(&self, remote: &RemoteId, now: Timestamp) -> bool {
        let resets = self.0.lock();
        let reset = resets.get(remote);
        reset.is_some_and(|reset| reset.refused && now.0 - reset.at.0 < REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t32_a_password_that_was_just_set_and_refused_is_not_tried_again_for_a_while() {
        let resets = Resets::default();
        let remote: RemoteId = "a".repeat(26).parse().unwrap();
        let now = Timestamp(1_000);
        resets.refused(&remote, now);
        assert!(!resets.is_stuck(&remote, now), "nothing was set");
        resets.done(&remote, now);
        assert!(!resets.is_stuck(&remote, now), "nothing was refused");
        resets.refused(&remote, now);
        assert!(resets.is_stuck(&remote, Timestamp(now.0 + REST - 1)));
        assert!(!resets.is_stuck(&remote, Timestamp(now.0 + REST)));
    }
}

//! What was there a short while ago, in bounded memory: events that came already, people who were
//! wished for.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// Keys and when each was last noted; the oldest are forgotten first.
#[derive(Debug)]
pub(super) struct Recent<K> {
    window: Duration,
    most: usize,
    at: HashMap<K, Instant>,
    /// Each key once, by when it was noted first; one that was noted again is moved when its turn
    /// comes.
    order: VecDeque<(Instant, K)>,
}

impl<K: Clone + Eq + Hash> Recent<K> {
    /// At most `most` keys, each for `window`.
    pub(super) fn new(window: Duration, most: usize) -> Self {
        Self {
            window,
            most,
            at: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether the key was noted within the window.
    pub(super) fn has(&self, key: &K, now: Instant) -> bool {
        self.at
            .get(key)
            .is_some_and(|at| now.saturating_duration_since(*at) < self.window)
    }

    /// Notes it.
    pub(super) fn note(&mut self, key: K, now: Instant) {
        if self.at.insert(key.clone(), now).is_none() {
            self.order.push_back((now, key));
        }
        while let Some((at, _)) = self.order.front() {
            let over = now.saturating_duration_since(*at) >= self.window;
            if !over && self.order.len() <= self.most {
                break;
            }
            let Some((at, key)) = self.order.pop_front() else {
                break;
            };
            match self.at.get(&key) {
                Some(again) if *again > at => self.order.push_back((*again, key)),
                _ => drop(self.at.remove(&key)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_known_for_the_window_and_never_more_than_there_is_room_for() {
        let mut recent = Recent::new(Duration::from_secs(10), 3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        recent.note("a", at(0));
        assert!(recent.has(&"a", at(9)) && !recent.has(&"a", at(10)) && !recent.has(&"b", at(0)));
        // Noted again, it is known for longer.
        recent.note("a", at(5));
        recent.note("b", at(12));
        assert!(recent.has(&"a", at(14)));
        for key in ["c", "d", "e"] {
            recent.note(key, at(13));
        }
        assert!(!recent.has(&"a", at(13)) && recent.has(&"e", at(13)));
        // Who is noted all the time pushes nobody out.
        for second in 13..20 {
            recent.note("e", at(second));
        }
        assert!(recent.at.len() == 3 && recent.order.len() == 3);
        assert!(recent.has(&"c", at(20)) && recent.has(&"e", at(28)));
        recent.note("f", at(24));
        assert!(!recent.has(&"c", at(24)) && recent.has(&"e", at(24)) && recent.at.len() == 2);
    }
}

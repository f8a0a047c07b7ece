//! Client assertions that were used: each is good once (T18: Hydra GHSA-3p3g).
//!
//! The table is this process's own: it refuses most replays without asking anybody, and bounds what
//! a client can make the store remember. What other replicas took, and what was taken before this
//! process began, the store knows (`caller.rs`).
//!
//! A full table refuses: forgetting a used assertion would make it good again. Only whoever signs
//! valid ones can fill it.

use crate::types::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;

/// What was used, until it expires by itself.
pub(super) struct Used {
    most: usize,
    entries: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl Used {
    /// A table of at most `most` assertions, about 64 bytes each.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            entries: Mutex::default(),
        }
    }

    /// Uses up the `jti` of this hash, which may be forgotten after `dies`.
    pub(super) fn take(
        &self,
        key: [u8; 32],
        now: Timestamp,
        dies: Timestamp,
    ) -> Result<(), &'static str> {
        let mut entries = self.entries.lock();
        if entries.contains_key(&key) {
            return Err("its jti was used before");
        }
        if entries.len() >= self.most {
            entries.retain(|_, dies| *dies > now);
        }
        if entries.len() >= self.most {
            return Err("the table of used assertions is full: raise jti_entries");
        }
        entries.insert(key, dies);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp(1_795_247_678);

    #[test]
    fn t18_a_jti_is_good_once_and_a_full_table_refuses() {
        let used = Used::new(2);
        let dies = NOW + Duration::from_secs(60);
        assert_eq!(used.take([b'a'; 32], NOW, dies), Ok(()));
        assert!(used.take([b'a'; 32], NOW, dies).is_err());
        // A clock that jumps back makes nothing good again.
        assert!(
            used.take([b'a'; 32], NOW - Duration::from_secs(999), dies)
                .is_err()
        );
        assert_eq!(used.take([b'b'; 32], NOW, dies), Ok(()));
        assert!(used.take([b'c'; 32], NOW, dies).is_err());
        // Once the first have died there is room.
        assert_eq!(
            used.take([b'c'; 32], dies, dies + Duration::from_secs(60)),
            Ok(())
        );
        assert!(used.take([b'c'; 32], dies, dies).is_err());
    }
}

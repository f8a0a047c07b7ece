//! Client assertions that were used: each is good once (T18: Hydra GHSA-3p3g).
//!
//! The table is this process's own. What was used before it started is not in it, so assertions
//! from before the start are refused; what another replica took is not in it either, so that an
//! assertion's life (`max_lifetime`, 5 minutes by default) bounds what a thief could do there.
//!
//! A full table refuses: forgetting a used assertion would make it good again. Only whoever signs
//! valid ones can fill it.

use crate::types::Timestamp;
use aws_lc_rs::digest::{SHA256, digest};
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

    /// Uses up `jti`, which may be forgotten after `dies`.
    pub(super) fn take(
        &self,
        jti: &str,
        now: Timestamp,
        dies: Timestamp,
    ) -> Result<(), &'static str> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, jti.as_bytes()).as_ref());
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
        assert_eq!(used.take("a", NOW, dies), Ok(()));
        assert!(used.take("a", NOW, dies).is_err());
        // A clock that jumps back makes nothing good again.
        assert!(
            used.take("a", NOW - Duration::from_secs(999), dies)
                .is_err()
        );
        assert_eq!(used.take("b", NOW, dies), Ok(()));
        assert!(used.take("c", NOW, dies).is_err());
        // Once the first have died there is room.
        assert_eq!(used.take("c", dies, dies + Duration::from_secs(60)), Ok(()));
        assert!(used.take("c", dies, dies).is_err());
    }
}

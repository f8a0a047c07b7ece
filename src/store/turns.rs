//! Turns by name within one process: what both engines' locks wait in first, so that waiters here
//! are woken, not polled, and at most one of them asks outside.

use super::{Result, StoreError};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

/// The locks of one process on one database.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Weak<Turn<()>>>>);

impl Turns {
    /// Waits for the turn of `name` within this process.
    pub(super) async fn take(&self, name: &str, until: Instant) -> Result<OwnedMutexGuard<()>> {
        let turn = {
            let mut turns = self.0.lock();
            // Names nobody holds or waits for are forgotten, so that the map stays as large as
            // what is going on.
            turns.retain(|_, turn| turn.strong_count() > 0);
            match turns.get(name).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::new(Turn::new(()));
                    turns.insert(name.to_owned(), Arc::downgrade(&turn));
                    turn
                }
            }
        };
        timeout_at(until, turn.lock_owned())
            .await
            .map_err(|_| StoreError::Busy)
    }
}

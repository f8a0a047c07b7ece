//! What arrived and what was sent: the newest of both.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path with its query, undecoded.
    pub target: String,
    /// The value of `Authorization`, empty when there is none.
    pub authorization: String,
    /// The answer's status; 0 while there is none.
    pub status: u16,
}

/// A webhook or SCIM request that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Header lines in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// What was answered; `None` when nothing usable came.
    pub status: Option<u16>,
    /// Which attempt it was, from 1.
    pub attempt: u32,
}

/// A bounded list.
pub(super) struct Journal<T> {
    capacity: usize,
    entries: Mutex<VecDeque<T>>,
}

impl<T: Clone> Journal<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Mutex::default(),
        }
    }

    pub(super) fn note(&self, entry: T) {
        if self.capacity == 0 {
            return;
        }
        let mut entries = self.entries.lock();
        while entries.len() >= self.capacity {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    pub(super) fn entries(&self) -> Vec<T> {
        self.entries.lock().iter().cloned().collect()
    }

    pub(super) fn clear(&self) {
        self.entries.lock().clear();
    }
}

//! `[directories.reconcile]`: how often a directory is read whole, and when what follows is held.

use super::reader::Table;
use super::sections::{hours, seconds};
use std::time::Duration;

/// When a plan is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake {
    /// Held when more people than this would lose access, and more than the share.
    pub number: u64,
    /// In percent of those who are present.
    pub share: u64,
    /// Held when more people than this would lose access, whatever the share.
    pub most: u64,
}

impl Default for Brake {
    /// More than 5 and more than 10 %, or more than 100.
    fn default() -> Self {
        Self {
            number: 5,
            share: 10,
            most: 100,
        }
    }
}

/// `[directories.reconcile]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconcileConfig {
    /// How often everything is read. Default 15 min: that long, at most, somebody keeps what they
    /// lost when every notification was lost.
    pub every: Duration,
    /// When a plan waits for a person's word.
    pub brake: Brake,
}

/// `[directories.reconcile]`, with its defaults.
pub(super) fn reconcile(table: &Table<'_>) -> ReconcileConfig {
    let brake = Brake::default();
    let number = table.count("brake_number", as_count(brake.number), 0..=1_000_000);
    let share = table.count("brake_share", as_count(brake.share), 0..=100);
    let most = table.count("brake_most", as_count(brake.most), 1..=1_000_000);
    if most < number {
        table.complain(
            "brake_most",
            format!("It is smaller than brake_number, {number}, which then says nothing."),
            "Raise it, or lower brake_number.",
        );
    }
    ReconcileConfig {
        every: table.duration("every", seconds(900), seconds(10)..=hours(24)),
        brake: Brake {
            number: number as u64,
            share: share as u64,
            most: most as u64,
        },
    }
}

fn as_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

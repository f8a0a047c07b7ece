//! `[jobs]`: how durable work is carried out; its keys, defaults and bounds.

use super::reader::Table;
use super::sections::{hours, seconds};
use std::time::Duration;

/// `[jobs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobsConfig {
    /// Attempts that a job has before it is dead and waits for an operator. Default 10: about an
    /// hour.
    pub attempts: u32,
    /// Jobs at once, on each replica. A quarter of the places is kept for what takes access away.
    /// Default 16.
    pub concurrency: usize,
    /// How long a job belongs to a replica that says nothing any more. Default 60 s.
    pub lease: Duration,
    /// How long what is done is remembered. Default one day.
    pub keep: Duration,
    /// Jobs of one app that a replica begins in a second. Default 20.
    pub app_rate: u32,
    /// Jobs of one directory that a replica begins in a second. Default 20.
    pub source_rate: u32,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            attempts: 10,
            concurrency: 16,
            lease: seconds(60),
            keep: hours(24),
            app_rate: 20,
            source_rate: 20,
        }
    }
}

/// `[jobs]`.
pub(super) fn jobs(table: &Table<'_>) -> JobsConfig {
    let default = JobsConfig::default();
    let count = |key, default: u32, most| {
        let count = table.count(key, default as usize, 1..=most);
        u32::try_from(count).unwrap_or(default)
    };
    JobsConfig {
        attempts: count("attempts", default.attempts, 100),
        concurrency: table.count("concurrency", default.concurrency, 3..=256),
        // The queue's times are whole seconds, and a lease is renewed three times in its length.
        lease: table.duration("lease", default.lease, seconds(10)..=seconds(600)),
        keep: table.duration("keep", default.keep, hours(1)..=hours(365 * 24)),
        app_rate: count("app_rate", default.app_rate, 10_000),
        source_rate: count("source_rate", default.source_rate, 10_000),
    }
}

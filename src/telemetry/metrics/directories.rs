//! How directories are doing.

use super::labels::{DirectoryTrouble, SourceLabel, SourceWord};
use super::{Metrics, family};
use crate::types::{SourceId, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// By directory.
pub(super) struct Directories {
    answered_at: Family<SourceLabel, Gauge>,
    errors: Family<SourceWord, Counter>,
}

impl Directories {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            answered_at: family(
                to,
                "directory_answered_timestamp_seconds",
                "When a directory last gave an answer that could be used, in seconds since 1970",
            ),
            errors: family(
                to,
                "directory_errors",
                "Questions to a directory without an answer that could be used, by kind",
            ),
        }
    }
}

impl Metrics {
    /// A directory answered.
    pub fn directory_answered(&self, source: &SourceId, now: Timestamp) {
        let source = Arc::from(source.as_str());
        let gauges = &self.families().directories.answered_at;
        gauges.get_or_create(&SourceLabel { source }).set(now.0);
    }

    /// A directory did not, or not usefully.
    pub fn directory_failed(&self, source: &SourceId, kind: DirectoryTrouble) {
        let label = SourceWord {
            source: Arc::from(source.as_str()),
            kind: kind.as_str(),
        };
        self.families()
            .directories
            .errors
            .get_or_create(&label)
            .inc();
    }
}

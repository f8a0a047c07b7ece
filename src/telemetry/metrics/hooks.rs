//! What is counted of webhooks, by directory.

use super::labels::{DirectoryLabel, DirectoryWord, HookOutcome};
use super::{Metrics, family};
use crate::types::{SourceId, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub(super) struct HookFamilies {
    deliveries: Family<DirectoryWord, Counter>,
    heard_at: Family<DirectoryLabel, Gauge>,
    silent: Family<DirectoryLabel, Gauge>,
}

impl HookFamilies {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            deliveries: family(to, "hooks", "Webhooks that arrived, by what became of them"),
            heard_at: family(
                to,
                "hooks_heard_timestamp_seconds",
                "When a webhook last arrived, at any replica, in seconds since 1970; 0: never",
            ),
            silent: family(
                to,
                "hooks_silent",
                "Whether webhooks no longer arrive, although something happened: 1 or 0",
            ),
        }
    }
}

impl Metrics {
    /// A directory sends webhooks: each outcome begins at 0, so that its first time is a rise.
    pub fn hooks_of(&self, directory: &SourceId) {
        for outcome in HookOutcome::ALL {
            let _ = self.deliveries(directory, outcome);
        }
    }

    /// A webhook arrived.
    pub fn hook(&self, directory: &SourceId, outcome: HookOutcome) {
        self.deliveries(directory, outcome).inc();
    }

    /// When a directory was last heard, and whether it should have been since.
    pub fn hooks_heard(&self, directory: &SourceId, at: Option<Timestamp>, silent: bool) {
        let label = DirectoryLabel {
            directory: directory.as_str().into(),
        };
        let families = &self.families().hooks;
        let at = at.unwrap_or_default();
        families.heard_at.get_or_create(&label).set(at.0);
        families.silent.get_or_create(&label).set(i64::from(silent));
    }

    fn deliveries(&self, directory: &SourceId, outcome: HookOutcome) -> Counter {
        let label = DirectoryWord {
            directory: directory.as_str().into(),
            kind: outcome.as_str(),
        };
        self.families().hooks.deliveries.get_or_create_owned(&label)
    }
}

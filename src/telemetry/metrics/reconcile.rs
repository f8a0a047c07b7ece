//! What reconciliation finds. Labels are configured ids and words of our own.

use super::labels::{AppWord, SourceLabel, SourceWord};
use super::{AppLabel, Metrics, family};
use crate::types::{AppId, SourceId, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

type Seconds = Gauge<f64, AtomicU64>;

/// What a sweep of a directory found.
#[derive(Debug, Clone, Copy)]
pub struct Reconciled {
    /// How long it took.
    pub duration: Duration,
    /// People whom the directory has.
    pub people: u64,
    /// Its groups.
    pub groups: u64,
    /// What differed, by kind.
    pub differences: [(&'static str, u64); 5],
}

/// What a look at an app found.
#[derive(Debug, Clone)]
pub struct AppLooked<'a> {
    /// Which.
    pub app: &'a AppId,
    /// When.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Accounts that it has.
    pub accounts: u64,
    /// Accounts of people whom nobody knows.
    pub strangers: u64,
    /// What differed, by kind.
    pub differences: Vec<(&'static str, u64)>,
}

pub(super) struct ReconcileFamilies {
    swept_at: Family<SourceLabel, Gauge>,
    due_at: Family<SourceLabel, Gauge>,
    duration: Family<SourceLabel, Seconds>,
    people: Family<SourceLabel, Gauge>,
    groups: Family<SourceLabel, Gauge>,
    differences: Family<SourceWord, Gauge>,
    held: Family<SourceLabel, Gauge>,
    looked_at: Family<AppLabel, Gauge>,
    look_duration: Family<AppLabel, Seconds>,
    accounts: Family<AppLabel, Gauge>,
    strangers: Family<AppLabel, Gauge>,
    drift: Family<AppWord, Gauge>,
    drifted: Family<AppWord, Counter>,
}

impl ReconcileFamilies {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            swept_at: family(
                to,
                "reconcile_swept_timestamp_seconds",
                "When the last whole reading of a directory began, in seconds since 1970; the same on every replica",
            ),
            due_at: family(
                to,
                "reconcile_due_timestamp_seconds",
                "When the next is due; the same on every replica",
            ),
            duration: family(
                to,
                "reconcile_duration_seconds",
                "How long the last sweep of a directory by this replica took, with what followed",
            ),
            people: family(
                to,
                "reconcile_people",
                "People whom a directory had when it was last swept by this replica",
            ),
            groups: family(
                to,
                "reconcile_groups",
                "Groups which a directory had when it was last swept by this replica",
            ),
            differences: family(
                to,
                "reconcile_differences",
                "What differed when a directory was last swept by this replica, by kind",
            ),
            held: family(
                to,
                "reconcile_held_plans",
                "Plans that wait for a person's word; the same on every replica",
            ),
            looked_at: family(
                to,
                "reconcile_app_looked_timestamp_seconds",
                "When this replica last looked at an app whole, in seconds since 1970",
            ),
            look_duration: family(
                to,
                "reconcile_app_duration_seconds",
                "How long the last look at an app by this replica took",
            ),
            accounts: family(
                to,
                "reconcile_app_accounts",
                "Accounts that an app had when this replica last looked",
            ),
            strangers: family(
                to,
                "reconcile_app_strangers",
                "Active accounts of people whom nobody here knows, when this replica last looked",
            ),
            drift: family(
                to,
                "reconcile_app_drift",
                "What differed in an app when this replica last looked, by kind",
            ),
            drifted: family(
                to,
                "reconcile_app_drifted",
                "Differences in an app that were ever found by this replica, by kind",
            ),
        }
    }
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn of(source: &SourceId) -> SourceLabel {
    SourceLabel {
        source: Arc::from(source.as_str()),
    }
}

impl Metrics {
    /// A directory was read whole, and compared.
    pub fn reconciled(&self, source: &SourceId, found: &Reconciled) {
        let families = &self.families().reconcile;
        let label = of(source);
        families
            .duration
            .get_or_create(&label)
            .set(found.duration.as_secs_f64());
        families
            .people
            .get_or_create(&label)
            .set(number(found.people));
        families
            .groups
            .get_or_create(&label)
            .set(number(found.groups));
        for (kind, n) in found.differences {
            let label = SourceWord {
                source: label.source.clone(),
                kind,
            };
            families.differences.get_or_create(&label).set(number(n));
        }
    }

    /// When a directory was last read whole, by whichever replica, and how often it is.
    pub fn sweep_due(&self, source: &SourceId, swept_at: Option<Timestamp>, every: Duration) {
        let families = &self.families().reconcile;
        let Some(at) = swept_at else { return };
        families.swept_at.get_or_create(&of(source)).set(at.0);
        families
            .due_at
            .get_or_create(&of(source))
            .set((at + every).0);
    }

    /// How many plans wait, of these sources and no others.
    pub fn plans_held<'a>(
        &self,
        known: impl Iterator<Item = &'a SourceId>,
        held: &[(SourceId, i64)],
    ) {
        let families = &self.families().reconcile;
        for source in known {
            let count = held.iter().find(|(of, _)| of == source);
            let count = count.map_or(0, |(_, count)| *count);
            families.held.get_or_create(&of(source)).set(count);
        }
    }

    /// An app was looked at whole.
    pub fn app_looked(&self, found: &AppLooked<'_>) {
        let families = &self.families().reconcile;
        let app: Arc<str> = found.app.as_str().into();
        let label = AppLabel { app: app.clone() };
        families.looked_at.get_or_create(&label).set(found.at.0);
        families
            .look_duration
            .get_or_create(&label)
            .set(found.duration.as_secs_f64());
        families
            .accounts
            .get_or_create(&label)
            .set(number(found.accounts));
        families
            .strangers
            .get_or_create(&label)
            .set(number(found.strangers));
        for (kind, n) in &found.differences {
            let label = AppWord {
                app: app.clone(),
                kind,
            };
            families.drift.get_or_create(&label).set(number(*n));
            families.drifted.get_or_create(&label).inc_by(*n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_waits_no_more_is_shown_as_none() {
        let metrics = Metrics::new(Counter::default());
        let home = SourceId::new("home").unwrap();
        let held = r#"auth_manager_reconcile_held_plans{source="home"}"#;
        metrics.plans_held([&home].into_iter(), &[(home.clone(), 1)]);
        assert!(metrics.encode().contains(&format!("{held} 1")));
        metrics.plans_held([&home].into_iter(), &[]);
        assert!(metrics.encode().contains(&format!("{held} 0")));
    }
}

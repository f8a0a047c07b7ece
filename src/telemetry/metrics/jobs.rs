//! What is counted of durable work. Labels are kinds of job and configured ids.

use super::labels::{BreakerLabel, JobLabel, JobWord, LagLabel, OutcomeLabel};
use super::{Metrics, family};
use crate::types::Timestamp;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::{HashMap, HashSet};

/// So many jobs of one kind, app and state.
#[derive(Debug, Clone, Copy)]
pub struct JobsCounted<'a> {
    /// The kind's word.
    pub kind: &'static str,
    /// The app's id; empty for none.
    pub app: &'a str,
    /// The state's word.
    pub state: &'static str,
    /// Whether the oldest waits for its turn: its age is the queue's lag.
    pub waits: bool,
    /// How many.
    pub count: i64,
    /// Since when the oldest is due.
    pub oldest_due: Timestamp,
}

pub(super) struct JobFamilies {
    jobs: Family<JobLabel, Gauge>,
    lag: Family<LagLabel, Gauge>,
    attempts: Family<OutcomeLabel, Counter>,
    breakers: Family<BreakerLabel, Gauge>,
    /// What is shown, to be shown as none when there is none any more.
    shown: Mutex<(HashSet<JobLabel>, HashSet<LagLabel>)>,
}

impl JobFamilies {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            jobs: family(
                to,
                "jobs",
                "Jobs that are not done, by kind, app and state; the same on every replica",
            ),
            lag: family(
                to,
                "jobs_lag_seconds",
                "For how long the oldest job that is due has waited; the same on every replica",
            ),
            attempts: family(
                to,
                "job_attempts",
                "Attempts at jobs that ended, by kind and how",
            ),
            breakers: family(
                to,
                "job_breaker",
                "What is done about an app or directory that fails: 0 nothing, 1 it is asked whether it is back, 2 it is left alone",
            ),
            shown: Mutex::default(),
        }
    }
}

impl Metrics {
    /// An attempt at a job ended.
    pub fn job_attempt(&self, kind: &'static str, outcome: JobWord) {
        let outcome = outcome.as_str();
        let label = OutcomeLabel { kind, outcome };
        let families = &self.families().jobs;
        families.attempts.get_or_create(&label).inc();
    }

    /// The breaker of an app or directory is closed (0), half open (1) or open (2).
    pub fn job_breaker(&self, about: &'static str, name: &str, open: i64) {
        let name = name.into();
        let label = BreakerLabel { about, name };
        let families = &self.families().jobs;
        families.breakers.get_or_create(&label).set(open);
    }

    /// All that is in the queue and not done.
    pub fn jobs_counted(&self, all: &[JobsCounted<'_>], now: Timestamp) {
        let mut jobs = HashMap::new();
        let mut lags: HashMap<LagLabel, i64> = HashMap::new();
        for counted in all {
            let (kind, state) = (counted.kind, counted.state);
            let app = counted.app.into();
            jobs.insert(JobLabel { kind, app, state }, counted.count);
            if counted.waits {
                let app = counted.app.into();
                let waited = now.since(counted.oldest_due).as_secs();
                let waited = i64::try_from(waited).unwrap_or(i64::MAX);
                lags.insert(LagLabel { kind, app }, waited);
            }
        }
        let families = &self.families().jobs;
        let mut shown = families.shown.lock();
        shown.0.extend(jobs.keys().cloned());
        shown.1.extend(lags.keys().cloned());
        for label in &shown.0 {
            let count = jobs.get(label).copied().unwrap_or(0);
            families.jobs.get_or_create(label).set(count);
        }
        for label in &shown.1 {
            let lag = lags.get(label).copied().unwrap_or(0);
            families.lag.get_or_create(label).set(lag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_from_the_queue_is_shown_as_none() {
        let metrics = Metrics::new(Counter::default());
        let mut counted = JobsCounted {
            kind: "converge",
            app: "chat",
            state: "pending",
            waits: true,
            count: 3,
            oldest_due: Timestamp(100),
        };
        let dead = JobsCounted {
            state: "dead",
            waits: false,
            count: 1,
            oldest_due: Timestamp(0),
            ..counted
        };
        metrics.jobs_counted(&[counted, dead], Timestamp(160));
        let text = metrics.encode();
        let name = r#"auth_manager_jobs{kind="converge",app="chat",state="pending"} 3"#;
        assert!(text.contains(name), "{text}");
        let lag = r#"auth_manager_jobs_lag_seconds{kind="converge",app="chat"}"#;
        // Of what waits, not of the dead.
        assert!(text.contains(&format!("{lag} 60")), "{text}");
        // What is not due yet is not late.
        counted.oldest_due = Timestamp(500);
        metrics.jobs_counted(&[counted], Timestamp(160));
        assert!(metrics.encode().contains(&format!("{lag} 0")));
        metrics.jobs_counted(&[], Timestamp(160));
        let text = metrics.encode();
        assert!(text.contains(r#"app="chat",state="dead"} 0"#), "{text}");
        assert!(text.contains(r#"app="chat",state="pending"} 0"#), "{text}");
        metrics.job_attempt("read", JobWord::Dead);
        metrics.job_breaker("app", "chat", 2);
        let text = metrics.encode();
        assert!(text.contains(r#"job_attempts_total{kind="read",outcome="dead"} 1"#));
        assert!(
            text.contains(r#"job_breaker{about="app",name="chat"} 2"#),
            "{text}"
        );
    }
}

//! The counters of one app.

use super::labels::{
    AccountOutcome, AppLabel, AppWord, By, DurationLabel, LoginOutcome, RequestLabel, SessionEvent,
};
use super::{Families, Metrics};
use crate::error::Code;
use crate::types::AppId;
use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The counters of one app; those of the hot path are plain atomics. Cheap to clone.
#[derive(Clone)]
pub struct AppMetrics(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    app: Arc<str>,
    /// Requests by the proxy listener that were served, by status class.
    served: [Counter; CLASSES.len()],
    duration: Histogram,
    opened: Counter,
    reused: Counter,
    sockets_open: Gauge,
    sessions_live: Gauge,
    logins_in_flight: Gauge,
    login_queue: Gauge,
}

impl AppMetrics {
    pub(super) fn new(metrics: Metrics, app: &AppId) -> Self {
        let app: Arc<str> = app.as_str().into();
        let families = metrics.families();
        let label = AppLabel {
            app: Arc::clone(&app),
        };
        let connections = |kind| {
            let label = AppWord {
                app: Arc::clone(&app),
                kind,
            };
            families.upstream_connections.get_or_create_owned(&label)
        };
        let inner = Inner {
            served: CLASSES.map(|status| {
                let app = Arc::clone(&app);
                let label = RequestLabel {
                    app,
                    listener: By::Proxy.as_str(),
                    code: "ok",
                    status,
                };
                families.requests.get_or_create_owned(&label)
            }),
            duration: families.durations.get_or_create_owned(&DurationLabel {
                app: Arc::clone(&app),
                listener: By::Proxy.as_str(),
            }),
            opened: connections("opened"),
            reused: connections("reused"),
            sockets_open: families.sockets_open.get_or_create_owned(&label),
            sessions_live: families.sessions_live.get_or_create_owned(&label),
            logins_in_flight: families.logins_in_flight.get_or_create_owned(&label),
            login_queue: families.login_queue.get_or_create_owned(&label),
            app: Arc::clone(&app),
            metrics: metrics.clone(),
        };
        Self(Arc::new(inner))
    }

    /// A request by the proxy listener was answered: served (`None`) or refused with a code, which is counted among all
    /// refusals too.
    pub fn request(&self, refused: Option<Code>, status: StatusCode, took: Duration) {
        self.0.duration.observe(took.as_secs_f64());
        let class = class(status);
        let Some(code) = refused else {
            self.0.served[class].inc();
            return;
        };
        self.0.metrics.refused(code);
        self.count(By::Proxy, code.as_str(), class);
    }

    /// A service's call was answered: served (`None`) or refused with a code, which the api counts
    /// among all refusals itself.
    pub fn call(&self, refused: Option<Code>, status: StatusCode, took: Duration) {
        let label = DurationLabel {
            app: Arc::clone(&self.0.app),
            listener: By::Api.as_str(),
        };
        let durations = self.families().durations.get_or_create_owned(&label);
        durations.observe(took.as_secs_f64());
        let code = refused.map_or("ok", Code::as_str);
        self.count(By::Api, code, class(status));
    }

    fn count(&self, by: By, code: &'static str, class: usize) {
        let label = RequestLabel {
            app: Arc::clone(&self.0.app),
            listener: by.as_str(),
            code,
            status: CLASSES[class],
        };
        self.families().requests.get_or_create(&label).inc();
    }

    /// A session was born, renewed or carried over.
    pub fn session(&self, kind: SessionEvent) {
        self.families()
            .sessions
            .get_or_create(&self.word(kind.as_str()))
            .inc();
    }

    /// A session ended; `reason` is the word of `store::EndReason`.
    pub fn session_ended(&self, reason: &'static str) {
        self.families()
            .sessions_ended
            .get_or_create(&self.word(reason))
            .inc();
    }

    /// A sign-in ended.
    pub fn login(&self, outcome: LoginOutcome) {
        self.families()
            .logins
            .get_or_create(&self.word(outcome.as_str()))
            .inc();
    }

    /// A sign-in is under way until the guard is dropped.
    #[must_use]
    pub fn login_in_flight(&self) -> Counted {
        Counted::new(&self.0.logins_in_flight)
    }

    /// A sign-in waits for its turn until the guard is dropped.
    #[must_use]
    pub fn login_queued(&self) -> Counted {
        Counted::new(&self.0.login_queue)
    }

    /// Something became of an account.
    pub fn account(&self, outcome: AccountOutcome) {
        self.families()
            .accounts
            .get_or_create(&self.word(outcome.as_str()))
            .inc();
    }

    /// A request got a connection to the app: a new one, or one from the pool.
    pub fn upstream_connection(&self, reused: bool) {
        if reused {
            self.0.reused.inc();
        } else {
            self.0.opened.inc();
        }
    }

    /// So many sessions are in memory.
    pub fn sessions_live(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.0.sessions_live.set(count);
    }

    /// Whether the app answered when its settings were read.
    pub fn reachable(&self, answered: bool) {
        let label = self.label();
        let gauge = self.families().app_reachable.get_or_create_owned(&label);
        gauge.set(i64::from(answered));
    }

    /// How many seats are taken, and how many there are.
    pub fn seats(&self, used: u64, limit: u64) {
        let (label, families) = (self.label(), self.families());
        let number = |n| i64::try_from(n).unwrap_or(i64::MAX);
        let seats = families.seats_used.get_or_create_owned(&label);
        seats.set(number(used));
        let seats = families.seats_limit.get_or_create_owned(&label);
        seats.set(number(limit));
    }

    /// A WebSocket is open until the guard is dropped.
    #[must_use]
    pub fn websocket(&self) -> Counted {
        Counted::new(&self.0.sockets_open)
    }

    /// The bridge cut a WebSocket.
    pub fn websocket_cut(&self, reason: &'static str) {
        self.families()
            .sockets_cut
            .get_or_create(&self.word(reason))
            .inc();
    }

    fn label(&self) -> AppLabel {
        AppLabel {
            app: Arc::clone(&self.0.app),
        }
    }

    fn word(&self, kind: &'static str) -> AppWord {
        AppWord {
            app: Arc::clone(&self.0.app),
            kind,
        }
    }

    fn families(&self) -> &Families {
        self.0.metrics.families()
    }
}

impl fmt::Debug for AppMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppMetrics({})", self.0.app)
    }
}

/// Counts as one until dropped, whatever way that happens.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// An index into [`CLASSES`].
fn class(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

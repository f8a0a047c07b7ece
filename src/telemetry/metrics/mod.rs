//! Metrics: a Prometheus registry per bridge (no global one, so that tests run side by side).
//!
//! Labels come from closed sets: configured ids, words of our own enums, the code table. Nothing a
//! visitor sends becomes a label. What happens on every request is counted through [`AppMetrics`],
//! whose counters were looked up once, when the configuration was loaded.

mod app;
mod directories;
mod hooks;
mod jobs;
mod labels;
mod reconcile;

pub use app::{AppMetrics, Counted};
pub use jobs::JobsCounted;
pub use labels::{
    AccountOutcome, AuditTrouble, By, ConnectionTrouble, DirectoryTrouble, FetchOutcome,
    HookOutcome, JobWord, LoginOutcome, ReplayKind, SessionEvent, StoreTrouble,
};
pub use reconcile::{AppLooked, Reconciled};

use crate::error::Code;
use crate::types::{AppId, IssuerId, Timestamp};
use labels::{
    AppLabel, AppWord, BuildLabel, CertificateLabel, CodeLabel, DurationLabel, IssuerFetch,
    IssuerLabel, ListenerLabel, ListenerWord, RequestLabel, ScimLabel, Word,
};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is counted. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
    /// In the order of `Code::ALL`.
    refusals: Vec<Counter>,
}

type Durations = Family<DurationLabel, Histogram>;

struct Families {
    requests: Family<RequestLabel, Counter>,
    durations: Durations,
    assertion_failures: Family<CodeLabel, Counter>,
    jwks_fetched_at: Family<IssuerLabel, Gauge>,
    jwks_fetches: Family<IssuerFetch, Counter>,
    replays: Family<Word, Counter>,
    sessions: Family<AppWord, Counter>,
    sessions_ended: Family<AppWord, Counter>,
    logins: Family<AppWord, Counter>,
    logins_in_flight: Family<AppLabel, Gauge>,
    login_queue: Family<AppLabel, Gauge>,
    accounts: Family<AppWord, Counter>,
    upstream_connections: Family<AppWord, Counter>,
    sockets_open: Family<AppLabel, Gauge>,
    sockets_cut: Family<AppWord, Counter>,
    sessions_live: Family<AppLabel, Gauge>,
    app_reachable: Family<AppLabel, Gauge>,
    seats_used: Family<AppLabel, Gauge>,
    seats_limit: Family<AppLabel, Gauge>,
    scim_braked: Family<ScimLabel, Counter>,
    scim_due: Family<ScimLabel, Gauge>,
    insecure_settings: Gauge,
    connections_open: Family<ListenerLabel, Gauge>,
    connections_refused: Family<ListenerWord, Counter>,
    certificates: Family<CertificateLabel, Gauge>,
    signing_since: Family<Word, Gauge>,
    signing_until: Family<Word, Gauge>,
    sealed_under_former: Family<Word, Gauge>,
    store_reads: Histogram,
    store_errors: Family<Word, Counter>,
    revocation_lag: Gauge,
    revocation_number: Gauge,
    audit_number: Gauge,
    audit_checkpoint: Gauge,
    audit_broken: Gauge,
    audit_dropped: Counter,
    audit_troubles: Family<Word, Counter>,
    revocation_read_at: Gauge,
    directories: directories::Directories,
    jobs: jobs::JobFamilies,
    hooks: hooks::HookFamilies,
    reconcile: reconcile::ReconcileFamilies,
}

impl Metrics {
    /// The media type of [`Metrics::encode`].
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// A new registry. `log_lines_dropped` is the log's own counter
    /// ([`super::LogHandle::dropped`]).
    #[must_use]
    pub fn new(log_lines_dropped: Counter) -> Self {
        let mut registry = Registry::with_prefix("auth_manager");
        let build = BuildLabel {
            version: env!("CARGO_PKG_VERSION"),
        };
        registry.register("build", "What runs", Info::new(build));
        registry.register(
            "log_lines_dropped",
            "Log lines dropped because the output blocked",
            log_lines_dropped,
        );
        let refusals =
            family::<CodeLabel, Counter>(&mut registry, "refusals", "Requests refused, by code");
        // All of them, so that a code that never came shows as 0 and its first time as a rise.
        let refusals = Code::ALL
            .iter()
            .map(|code| {
                refusals.get_or_create_owned(&CodeLabel {
                    code: code.as_str(),
                })
            })
            .collect();
        let families = Families::register(&mut registry);
        Self(Arc::new(Inner {
            registry,
            families,
            refusals,
        }))
    }

    /// The counters of an app, looked up: keep them with the app.
    #[must_use]
    pub fn app(&self, app: &AppId) -> AppMetrics {
        AppMetrics::new(self.clone(), app)
    }

    /// A request was refused, with or without an app.
    pub fn refused(&self, code: Code) {
        if let Some(counter) = self.0.refusals.get(code as usize) {
            counter.inc();
        }
    }

    /// People who went by SCIM were kept out, but their accounts left as they are: too many at once.
    pub fn scim_braked(&self, connection: &str) {
        let label = ScimLabel {
            connection: connection.to_owned(),
        };
        self.families().scim_braked.get_or_create(&label).inc();
    }

    /// So much of what a SCIM client has said the directory must still be told.
    pub fn scim_due(&self, connection: &str, due: i64) {
        let label = ScimLabel {
            connection: connection.to_owned(),
        };
        self.families().scim_due.get_or_create(&label).set(due);
    }

    /// An assertion did not verify; `code` is one of `assertion.*`.
    pub fn assertion_failed(&self, code: Code) {
        let label = CodeLabel {
            code: code.as_str(),
        };
        self.families()
            .assertion_failures
            .get_or_create(&label)
            .inc();
    }

    /// The keys of an issuer were fetched, or not.
    pub fn jwks_fetched(&self, issuer: &IssuerId, outcome: FetchOutcome, now: Timestamp) {
        let issuer: Arc<str> = issuer.as_str().into();
        if outcome == FetchOutcome::Ok {
            let label = IssuerLabel {
                issuer: Arc::clone(&issuer),
            };
            self.families()
                .jwks_fetched_at
                .get_or_create(&label)
                .set(now.0);
        }
        let label = IssuerFetch {
            issuer,
            outcome: outcome.as_str(),
        };
        self.families().jwks_fetches.get_or_create(&label).inc();
    }

    /// An assertion came again.
    pub fn replay(&self, kind: ReplayKind) {
        self.families()
            .replays
            .get_or_create(&Word {
                kind: kind.as_str(),
            })
            .inc();
    }

    /// The store did not do what was asked.
    pub fn store_error(&self, kind: StoreTrouble) {
        self.families()
            .store_errors
            .get_or_create(&Word {
                kind: kind.as_str(),
            })
            .inc();
    }

    /// So many insecure settings are active.
    pub fn insecure(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.families().insecure_settings.set(count);
    }

    /// The store answered the read that every replica makes all the time.
    pub fn store_answered(&self, took: Duration) {
        self.families().store_reads.observe(took.as_secs_f64());
    }

    /// The revocation log was read to its end.
    pub fn revocations_read(&self, at: Timestamp) {
        self.families().revocation_read_at.set(at.0);
    }

    /// When the first certificate of a file ends. `about` is a listener or peer of the
    /// configuration, `role` what the file is for.
    pub fn certificate(&self, about: &str, role: &'static str, until: Timestamp) {
        let about = about.into();
        let label = CertificateLabel { about, role };
        self.families()
            .certificates
            .get_or_create(&label)
            .set(until.0);
    }

    /// That file is not used any more.
    pub fn certificate_gone(&self, about: &str, role: &'static str) {
        let about = about.into();
        let label = CertificateLabel { about, role };
        self.families().certificates.remove(&label);
    }

    /// Since when a key of a kind signs, and when the next one takes over; 0: nobody knows.
    pub fn signing_key(&self, kind: &'static str, since: Timestamp, next: Option<Timestamp>) {
        let label = Word { kind };
        let families = self.families();
        families.signing_since.get_or_create(&label).set(since.0);
        let next = next.unwrap_or_default();
        families.signing_until.get_or_create(&label).set(next.0);
    }

    /// Records of a kind that hang on a former master key.
    pub fn sealed_under_former(&self, kind: &'static str, left: u64) {
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        let label = Word { kind };
        self.families()
            .sealed_under_former
            .get_or_create(&label)
            .set(left);
    }

    /// A connection is open on a listener until the guard is dropped.
    #[must_use]
    pub fn connection(&self, listener: &'static str) -> Counted {
        let open = &self.families().connections_open;
        Counted::new(&open.get_or_create(&ListenerLabel { listener }))
    }

    /// A connection was turned away before its first request.
    pub fn connection_refused(&self, listener: &'static str, why: ConnectionTrouble) {
        let kind = why.as_str();
        let label = ListenerWord { listener, kind };
        self.families()
            .connections_refused
            .get_or_create(&label)
            .inc();
    }

    /// How far this replica has read the revocation log: the number it has reached, and how many
    /// entries it knows to be behind.
    pub fn revocations(&self, reached: i64, behind: i64) {
        self.families().revocation_number.set(reached);
        self.families().revocation_lag.set(behind);
    }

    /// How far the audit trail is, and how far it is signed.
    pub fn audit_reached(&self, number: i64, checkpoint: i64) {
        self.families().audit_number.set(number);
        self.families().audit_checkpoint.set(checkpoint);
    }

    /// Whether the audit trail was found to be other than it was.
    pub fn audit_broken(&self, broken: bool) {
        self.families().audit_broken.set(i64::from(broken));
    }

    /// Denials that are counted, but not recorded.
    pub fn audit_dropped(&self, count: u64) {
        self.families().audit_dropped.inc_by(count);
    }

    /// The audit trail's keeper could not do something yet.
    pub fn audit_trouble(&self, kind: AuditTrouble) {
        self.families()
            .audit_troubles
            .get_or_create(&Word {
                kind: kind.as_str(),
            })
            .inc();
    }

    /// Everything, as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        // Writing into a string can't fail.
        let _ = text::encode(&mut out, &self.0.registry);
        out
    }

    fn families(&self) -> &Families {
        &self.0.families
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Families {
    fn register(to: &mut Registry) -> Self {
        let durations = Durations::new_with_constructor(|| Histogram::new(BUCKETS));
        to.register(
            "request_duration_seconds",
            "From the request's head to the answer's head",
            durations.clone(),
        );
        let store_reads = Histogram::new(BUCKETS);
        to.register(
            "store_read_seconds",
            "How long the store takes to answer the read of the revocation log",
            store_reads.clone(),
        );
        Self {
            durations,
            store_reads,
            requests: family(
                to,
                "requests",
                "Requests answered, by app, listener, decision and status class",
            ),
            assertion_failures: family(to, "assertion_failures", "Assertions that did not verify"),
            jwks_fetched_at: family(
                to,
                "jwks_fetched_timestamp_seconds",
                "When an issuer's keys were last fetched, in seconds since 1970",
            ),
            jwks_fetches: family(to, "jwks_fetches", "Fetches of an issuer's keys"),
            replays: family(to, "replays", "Assertions that came again"),
            sessions: family(to, "sessions", "Sessions born, renewed and carried over"),
            sessions_ended: family(to, "sessions_ended", "Sessions ended, by reason"),
            logins: family(to, "logins", "Sign-ins to an app"),
            logins_in_flight: family(to, "logins_in_flight", "Sign-ins to an app under way"),
            login_queue: family(
                to,
                "login_queue",
                "Sign-ins to an app that wait for their turn",
            ),
            accounts: family(to, "accounts", "What became of accounts in an app"),
            upstream_connections: family(
                to,
                "upstream_connections",
                "Connections to an app, opened or reused for a request",
            ),
            sockets_open: family(to, "websockets_open", "WebSockets open now"),
            sockets_cut: family(
                to,
                "websockets_cut",
                "WebSockets that the bridge cut, by reason",
            ),
            sessions_live: family(
                to,
                "sessions_live",
                "Sessions in the memory of this replica",
            ),
            app_reachable: family(
                to,
                "app_reachable",
                "Whether the app answered when its settings were last read: 1 or 0",
            ),
            seats_used: family(
                to,
                "seats_used",
                "Accounts that count towards the app's user limit, as last read",
            ),
            scim_braked: family(
                to,
                "scim_braked",
                "Times that the brake of a SCIM connection held accounts back",
            ),
            scim_due: family(
                to,
                "scim_due",
                "Resources of a SCIM connection that the directory must still be told of",
            ),
            seats_limit: family(to, "seats_limit", "The app's user limit, as last read"),
            insecure_settings: single(
                to,
                "insecure_settings",
                "Active settings that begin with insecure_",
            ),
            connections_open: family(
                to,
                "connections_open",
                "Connections open on a listener, sockets included",
            ),
            connections_refused: family(
                to,
                "connections_refused",
                "Connections turned away before their first request, by reason",
            ),
            certificates: family(
                to,
                "certificate_expires_timestamp_seconds",
                "When the first certificate of a file ends, in seconds since 1970",
            ),
            signing_since: family(
                to,
                "signing_key_since_timestamp_seconds",
                "Since when the key of a kind signs, in seconds since 1970",
            ),
            signing_until: family(
                to,
                "signing_key_next_timestamp_seconds",
                "When the next key of a kind takes over, in seconds since 1970; 0: not planned",
            ),
            sealed_under_former: family(
                to,
                "sealed_under_former_master_key",
                "Records that must be sealed anew before a former master key may go",
            ),
            store_errors: family(to, "store_errors", "What the store did not do"),
            revocation_lag: single(
                to,
                "revocation_lag",
                "Entries of the revocation log this replica has not read yet",
            ),
            revocation_number: single(
                to,
                "revocation_number",
                "Number of the newest entry of the revocation log this replica has read",
            ),
            audit_number: single(
                to,
                "audit_number",
                "Number of the audit trail's newest record",
            ),
            audit_checkpoint: single(
                to,
                "audit_checkpoint_number",
                "Number of the newest record of the audit trail that a checkpoint was signed for",
            ),
            audit_broken: single(
                to,
                "audit_broken",
                "Whether the audit trail was changed past the bridge, and gets no checkpoint",
            ),
            audit_dropped: single(
                to,
                "audit_denials_dropped",
                "Denials that are counted but not recorded: there were too many kinds of them",
            ),
            audit_troubles: family(
                to,
                "audit_troubles",
                "What the audit trail's keeper could not do, and tries again",
            ),
            revocation_read_at: single(
                to,
                "revocation_read_timestamp_seconds",
                "When this replica last read the revocation log to its end, in seconds since 1970",
            ),
            directories: directories::Directories::register(to),
            reconcile: reconcile::ReconcileFamilies::register(to),
            jobs: jobs::JobFamilies::register(to),
            hooks: hooks::HookFamilies::register(to),
        }
    }
}

fn family<L, M>(to: &mut Registry, name: &str, help: &str) -> Family<L, M>
where
    L: Clone + Hash + Eq + EncodeLabelSet + fmt::Debug + Send + Sync + 'static,
    M: Default + 'static,
    Family<L, M>: Metric + Clone,
{
    single(to, name, help)
}

fn single<M: Metric + Clone + Default>(to: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    to.register(name, help, metric.clone());
    metric
}

/// Seconds. What the bridge itself adds is in the first few; what an app takes in the others.
const BUCKETS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

#[cfg(test)]
mod tests;

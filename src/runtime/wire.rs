//! From a checked configuration to the shared state. The registry of apps is here: one line a kind.

use super::certificates::Certificates;
use crate::apps::Rules;
use crate::apps::mattermost::Mattermost;
use crate::audit::{self, Audit};
use crate::config::{
    AppConfig, AppKind, AuditConfig, BotSource, Config, IssuerConfig, JwksSource, KeysConfig,
    LinkPolicy, StoreConfig,
};
use crate::identity::orders::{Term, Terms};
use crate::jwks::KeySource;
use crate::keys::derive::PasswordRoot;
use crate::keys::master::MasterKey;
use crate::keys::rewrap::Census;
use crate::keys::rotation;
use crate::proxy::assertion::{ALGORITHMS, ReplayTable, Verifier};
use crate::proxy::forward::{Pool, Target};
use crate::proxy::route::{Site, Sites};
use crate::proxy::{Bridge, Parts};
use crate::store::archive::Place;
use crate::store::{PostgresOptions, PostgresStore, Schema, SqliteStore, Store};
use crate::telemetry::metrics::{AppMetrics, Metrics};
use crate::telemetry::traces::{TraceOptions, Traces};
use crate::tls::{ClientFiles, HttpClient};
use crate::types::{AppToken, ClientId, Clock, IssuerId, SecretText};
use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why the bridge does not start: what is wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct StartError {
    /// What could not be had.
    pub what: String,
    /// Why.
    pub why: String,
}

impl StartError {
    /// For whatever can't be had.
    pub fn new(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self {
            what: what.into(),
            why: why.to_string(),
        }
    }
}

/// Opens the store.
///
/// # Errors
/// When it can't be opened or its schema can't be used.
pub async fn store_of(config: &StoreConfig) -> Result<Arc<dyn Store>, StartError> {
    store_with(config, &Certificates::default()).await
}

async fn store_with(
    config: &StoreConfig,
    certificates: &Certificates,
) -> Result<Arc<dyn Store>, StartError> {
    match config {
        StoreConfig::Sqlite { path } => match SqliteStore::open(path).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(StartError::new(format!("store {}", path.display()), error)),
        },
        StoreConfig::Postgres {
            url,
            max_connections,
            tls,
            ca,
        } => {
            let options = postgres_options(url, *max_connections, *tls, ca.as_ref(), certificates)?;
            match PostgresStore::connect(&options).await {
                Ok(store) => Ok(Arc::new(store)),
                Err(error) => Err(StartError::new("store (PostgreSQL)", error)),
            }
        }
    }
}

/// Where the store is, for what works on its tables: backup, restore, a person's data.
///
/// # Errors
/// When an authority of the server's certificate can't be read.
pub fn place_of(config: &StoreConfig) -> Result<Place, StartError> {
    Ok(match config {
        StoreConfig::Sqlite { path } => Place::Sqlite(path.clone()),
        StoreConfig::Postgres {
            url,
            max_connections,
            ca,
            tls,
        } => {
            let none = Certificates::default();
            Place::Postgres(postgres_options(
                url,
                *max_connections,
                *tls,
                ca.as_ref(),
                &none,
            )?)
        }
    })
}

/// How far the store's tables are; changes nothing.
///
/// # Errors
/// When the store can't be reached.
pub async fn schema_of(config: &StoreConfig) -> Result<Schema, StartError> {
    match config {
        StoreConfig::Sqlite { path } => SqliteStore::schema(path)
            .await
            .map_err(|error| StartError::new(format!("store {}", path.display()), error)),
        StoreConfig::Postgres {
            url,
            max_connections,
            tls,
            ca,
        } => {
            let none = Certificates::default();
            let options = postgres_options(url, *max_connections, *tls, ca.as_ref(), &none)?;
            let schema = PostgresStore::schema(&options).await;
            schema.map_err(|error| StartError::new("store (PostgreSQL)", error))
        }
    }
}

fn postgres_options(
    url: &SecretText,
    max_connections: usize,
    tls: bool,
    ca: Option<&PathBuf>,
    certificates: &Certificates,
) -> Result<PostgresOptions, StartError> {
    let mut options = PostgresOptions::new(url.clone());
    options.max_connections = max_connections;
    if tls {
        options.tls = Some(certificates.client("store", &believing(ca))?);
    }
    Ok(options)
}

/// Reads the master key and its predecessors.
///
/// # Errors
/// When one is missing or unusable.
pub fn master_of(config: &KeysConfig) -> Result<MasterKey, StartError> {
    let read = |source: &crate::config::SecretSource| {
        let bytes = source
            .read_bytes()
            .map_err(|e| StartError::new("master key", e))?;
        MasterKey::from_bytes(&bytes).map_err(|e| StartError::new("master key", e))
    };
    let mut master = read(&config.master)?;
    for former in &config.former_masters {
        master = master.with_previous(read(former)?);
    }
    if let Some(next) = &config.next_master {
        master = master.with_next(read(next)?);
    }
    Ok(master)
}

/// Where everything that must be accounted for begins.
#[must_use]
pub fn audit_of(config: &Config, clock: Arc<dyn Clock>) -> Audit {
    let settings = audit::Settings {
        email: config.audit.email,
        client_address: config.audit.client_address,
        replica: replica_of(&config.audit),
    };
    Audit::new(clock, settings)
}

/// How this replica is called in the audit trail.
pub fn replica_of(config: &AuditConfig) -> String {
    let named = config.replica.clone();
    named.unwrap_or_else(|| {
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .unwrap_or_default()
    })
}

/// What orders about people depend on.
#[must_use]
pub fn terms_of(config: &Config) -> Terms {
    let term = |app: &AppConfig| {
        let AppKind::Mattermost(mattermost) = &app.kind;
        let term = Term {
            tombstone: app.session.tombstone,
            adopts: mattermost.link != LinkPolicy::Never,
        };
        (app.id.clone(), term)
    };
    config.apps.iter().map(term).collect()
}

/// A client without a certificate of its own.
pub(super) fn believing(ca: Option<&PathBuf>) -> ClientFiles {
    ClientFiles {
        ca: ca.cloned(),
        identity: None,
        h2: false,
    }
}

/// TLS towards an app; `None` when its upstream is plain HTTP.
fn upstream_tls(
    app: &AppConfig,
    certificates: &Certificates,
) -> Result<Option<Arc<ArcSwap<rustls::ClientConfig>>>, StartError> {
    if app.upstream.scheme() != "https" {
        return Ok(None);
    }
    let files = believing(app.upstream_ca.as_ref());
    certificates
        .client(&format!("app {}", app.id), &files)
        .map(Some)
}

/// Every master key that something in the store hangs on must be configured: a former one that was
/// taken out too early would end sessions one by one, where it is not noticed.
///
/// # Errors
/// The key that is missing, and what hangs on it.
pub async fn must_open(store: &dyn Store, master: &MasterKey) -> Result<(), StartError> {
    let census = Census::take(store).await;
    census
        .map_err(|e| StartError::new("store", e))?
        .must_open(master)
        .map_err(|e| StartError::new("master key", e))
}

/// The driver of an app.
///
/// # Errors
/// When its token can't be read or its address can't be used.
pub fn driver_of(app: &AppConfig, clock: Arc<dyn Clock>) -> Result<Arc<Mattermost>, StartError> {
    driver_with(app, &Certificates::default(), clock)
}

fn driver_with(
    app: &AppConfig,
    certificates: &Certificates,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Mattermost>, StartError> {
    let AppKind::Mattermost(mattermost) = &app.kind;
    let what = format!("app {}", app.id);
    let token = mattermost
        .bot_token
        .read()
        .map_err(|e| StartError::new(&what, e))?;
    let tls = upstream_tls(app, certificates)?;
    Mattermost::new(app, mattermost, token, tls, clock).map_err(|e| StartError::new(what, e))
}

/// What lives as long as the process, whatever the configuration becomes: the key sources and the
/// replay tables, which must not forget on a reload.
pub(super) struct Issuers {
    pub sources: HashMap<IssuerId, Arc<KeySource>>,
    pub replays: HashMap<IssuerId, Arc<ReplayTable>>,
    passed_on: HashMap<IssuerId, Arc<ReplayTable>>,
    verifiers: HashMap<IssuerId, Arc<Verifier>>,
}

pub(super) fn issuers_of(
    config: &Config,
    certificates: &Certificates,
    clock: &Arc<dyn Clock>,
) -> Result<Issuers, StartError> {
    let mut all = Issuers {
        sources: HashMap::new(),
        replays: HashMap::new(),
        passed_on: HashMap::new(),
        verifiers: HashMap::new(),
    };
    for issuer in &config.issuers {
        let tls = match &issuer.jwks {
            JwksSource::Url { ca, .. } => {
                let about = format!("issuer {}", issuer.id);
                Some(certificates.client(&about, &believing(ca.as_ref()))?)
            }
            JwksSource::File(_) => None,
        };
        let source = KeySource::new(issuer, ALGORITHMS, tls, clock.clone())
            .map_err(|e| StartError::new(format!("issuer {}", issuer.id), e))?;
        add(&mut all, config, issuer, source, clock);
    }
    Ok(all)
}

fn add(
    all: &mut Issuers,
    config: &Config,
    issuer: &IssuerConfig,
    source: Arc<KeySource>,
    clock: &Arc<dyn Clock>,
) {
    let verifier = Verifier::new(
        issuer,
        source.clone(),
        clock.clone(),
        config.limits.assertion,
    );
    let table = || {
        Arc::new(ReplayTable::new(
            issuer.replay,
            issuer.replay_entries,
            issuer.leeway,
        ))
    };
    all.passed_on.insert(issuer.id.clone(), table());
    all.sources.insert(issuer.id.clone(), source);
    all.replays.insert(issuer.id.clone(), table());
    all.verifiers.insert(issuer.id.clone(), Arc::new(verifier));
}

/// The apps of a configuration.
pub(super) fn sites_of(
    config: &Config,
    issuers: &Issuers,
    metrics: &Metrics,
    certificates: &Certificates,
    clock: &Arc<dyn Clock>,
) -> Result<Sites, StartError> {
    let mut sites = Vec::new();
    for app in &config.apps {
        let what = format!("app {}", app.id);
        let driver = driver_with(app, certificates, clock.clone())?;
        let (Some(verifier), Some(replay), Some(passed_on)) = (
            issuers.verifiers.get(&app.issuer),
            issuers.replays.get(&app.issuer),
            issuers.passed_on.get(&app.issuer),
        ) else {
            return Err(StartError::new(
                what,
                format!("issuer {} is not configured", app.issuer),
            ));
        };
        let (scheme, authority) = app
            .origin
            .split_once("://")
            .unwrap_or(("https", &app.origin));
        let header = |text: &str| {
            HeaderValue::from_str(text).map_err(|e| StartError::new(&what, format!("origin: {e}")))
        };
        sites.push(Arc::new(Site {
            connector: driver.clone(),
            strategy: driver.clone(),
            bot_tokens: services_of(app, &*driver)?,
            bots: driver.clone(),
            provisioner: driver.clone(),
            rules: driver,
            verifier: verifier.clone(),
            replay: replay.clone(),
            passed_on: passed_on.clone(),
            pool: pool_of(app, metrics.app(&app.id), certificates)?,
            authority: header(authority)?,
            scheme: header(scheme)?,
            metrics: metrics.app(&app.id),
            facts: ArcSwapOption::empty(),
            config: app.clone(),
        }));
    }
    Ok(Sites::new(config.proxy.health_path.clone(), sites))
}

/// The tokens of an app's services that are not managed bots, by client. Refuses rules that could
/// never let anything through.
fn services_of(
    app: &AppConfig,
    rules: &dyn Rules,
) -> Result<HashMap<ClientId, AppToken>, StartError> {
    let mut tokens = HashMap::new();
    for service in &app.services {
        let key = format!("apps[{}].services[{}]", app.id, service.client);
        for rule in &service.allow {
            if rules.is_powerful(&rule.method, &rule.example()) {
                return Err(StartError::new(
                    format!("{key}.allow"),
                    format!(
                        "\"{rule}\" gives power over accounts or the server, which allow never does: \
                         take it out, or name it in insecure_allow"
                    ),
                ));
            }
        }
        let BotSource::Token(source) = &service.bot else {
            continue;
        };
        let what = format!("{key}.bot_token");
        let token = source.read().map_err(|e| StartError::new(&what, e))?;
        let token = AppToken::from(token);
        if rules.bot_credential(&token).is_none() {
            return Err(StartError::new(what, "it is no token: one line, no blanks"));
        }
        tokens.insert(service.client.clone(), token);
    }
    Ok(tokens)
}

fn pool_of(
    app: &AppConfig,
    metrics: AppMetrics,
    certificates: &Certificates,
) -> Result<Arc<Pool>, StartError> {
    let what = format!("app {}: upstream", app.id);
    let host = app
        .upstream
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let port = app.upstream.port_or_known_default().unwrap_or(80);
    let tls = match upstream_tls(app, certificates)? {
        Some(config) => {
            let name = rustls_pki_types::ServerName::try_from(host.clone())
                .map_err(|e| StartError::new(what, e))?;
            Some((config, name))
        }
        None => None,
    };
    Ok(Pool::new(
        Target {
            authority: (host, port),
            tls,
        },
        app.response_timeout,
        metrics,
    ))
}

/// Traces, when the configuration asks for them.
fn traces_of(config: &Config, certificates: &Certificates) -> Result<Traces, StartError> {
    let Some(traces) = &config.traces else {
        return Ok(Traces::default());
    };
    let what = "telemetry.traces";
    let tls = certificates.client(what, &believing(traces.ca.as_ref()))?;
    let client = HttpClient::new(tls, |client| {
        client
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TRACES)
    })
    .map_err(|e| StartError::new(what, e))?;
    let options = TraceOptions {
        endpoint: traces.endpoint.clone(),
        authorization: match &traces.authorization {
            Some(source) => Some(source.read().map_err(|e| StartError::new(what, e))?),
            None => None,
        },
        one_in: traces.one_in,
        client: Box::new(move || client.current()),
        instance: traces.instance.clone(),
    };
    Traces::new(options).map_err(|e| StartError::new(what, e))
}

/// Longest time that the collector may take to answer.
const TRACES: Duration = Duration::from_secs(10);

/// Makes a bridge: opens the store, reads the keys, makes the apps. Binds nothing, asks no peer.
///
/// # Errors
/// What is missing or unusable.
pub(super) async fn bridge_of(
    config: &Config,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    certificates: &Certificates,
) -> Result<(Arc<Bridge>, Issuers), StartError> {
    let store = store_with(&config.store, certificates).await?;
    let master = Arc::new(master_of(&config.keys)?);
    must_open(&*store, &master).await?;
    let unsealed = |e: &dyn std::fmt::Display| StartError::new("keys", e.to_string());
    let audit = Arc::new(audit_of(config, clock.clone()));
    let ring = rotation::ensure(&*store, &master, clock.now(), &audit.bridge())
        .await
        .map_err(|e| unsealed(&e))?;
    let root = PasswordRoot::load(&*store, &master)
        .await
        .map_err(|e| unsealed(&e))?;
    let issuers = issuers_of(config, certificates, &clock)?;
    let sites = sites_of(config, &issuers, &metrics, certificates, &clock)?;
    let bridge = Bridge::new(Parts {
        clock,
        store,
        sites,
        ring,
        master,
        root: Arc::new(root),
        portal: config.portal.clone(),
        directory: config.directory.clone(),
        limits: config.limits.clone(),
        metrics,
        audit,
        traces: traces_of(config, certificates)?,
    });
    Ok((bridge, issuers))
}

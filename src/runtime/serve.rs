//! A running bridge: listeners, background work, reload on SIGHUP, drain on SIGTERM.

use super::accept::{self, ListenerTls, Server};
use super::account;
use super::api::ApiServer;
use super::certificates::Certificates;
use super::directory::Directory;
use super::jobs;
use super::keys::{self, KeyKeeper};
use super::mail;
use super::ops;
use super::reconcile;
use super::scim;
use super::services;
use super::systemd::{self, Sockets};
use super::wire::{self, StartError};
use crate::apps::Severity;
use crate::audit::Kind;
use crate::config::{AppConfig, Config, ProxyTls};
use crate::identity::seats;
use crate::jwks::{FetchError, KeySource};
use crate::proxy::Bridge;
use crate::proxy::forward::Cut;
use crate::proxy::session;
use crate::reconcile::handler::Sweeper;
use crate::telemetry::log::LogHandle;
use crate::telemetry::metrics::{FetchOutcome, Metrics};
use crate::tls::{ClientCertificates, PinnedNames, ServerFiles};
use crate::types::{Clock, IssuerId};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often files that may change are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How often an app's settings are read.
const FACTS: Duration = Duration::from_secs(600);

/// The proxy listener.
type ProxyServer = Server<Arc<Bridge>>;

/// How to run.
pub struct Options {
    /// The configuration file, read again on SIGHUP.
    pub path: PathBuf,
    /// As read.
    pub config: Config,
    /// What systemd handed over; listeners it has none for are bound as configured.
    pub sockets: Sockets,
    /// The time. Nobody below reads a clock of their own, so that a test can let hours pass.
    pub clock: Arc<dyn Clock>,
    /// Ends the bridge as SIGTERM does.
    pub stop: CancellationToken,
    /// Told the proxy listener's address once it accepts.
    pub ready: Option<tokio::sync::oneshot::Sender<std::net::SocketAddr>>,
}

/// Runs a bridge until it is told to stop.
///
/// # Errors
/// When it can't start; a running bridge does not give up.
pub async fn serve(options: Options, log: &LogHandle) -> Result<(), StartError> {
    let Options {
        path,
        config,
        mut sockets,
        clock,
        stop,
        ready,
    } = options;
    for key in &config.insecure {
        tracing::warn!(setting = key.as_str(), "an insecure setting is active");
    }
    systemd::starting("opening the store");
    let metrics = Metrics::new(log.dropped());
    metrics.insecure(config.insecure.len());
    let certificates = Arc::new(Certificates::default());
    let (bridge, issuers) = wire::bridge_of(&config, clock.clone(), metrics, &certificates).await?;
    let background = TaskTracker::new();
    let end = CancellationToken::new();
    let replica = wire::replica_of(&config.audit);
    let accountant = account::keeper(&bridge, &config, &replica).await?;
    let master = bridge.master.load().id();
    account::configuration(&bridge, &config, Kind::ConfigStarted, master, &replica)
        .await
        .map_err(|e| StartError::new("the audit trail", e))?;
    background.spawn(accountant.run(end.clone()));

    let directory = Directory::of(&config, &bridge, &certificates)?;
    let api = match &config.api {
        Some(listener) => {
            let (api, recorder) =
                ApiServer::new(&config, listener, &bridge, &directory, &certificates)?;
            background.spawn(recorder.run(end.clone()));
            background.spawn(
                api.api
                    .hooks
                    .clone()
                    .keep(directory.sources.clone(), end.clone()),
            );
            Some(api)
        }
        None => None,
    };
    let services = api.as_ref().map(ApiServer::sources).unwrap_or_default();
    let mut all = issuers.sources.clone();
    all.extend(services.clone());
    systemd::starting("reading the issuers' keys and the revocation log");
    for source in issuers.sources.values() {
        // A start with the issuer away is a start all the same: it says so, and tries on.
        if let Err(error) = source.refresh().await {
            tracing::error!(%error, "the issuer's keys can't be read yet");
        }
        background.spawn(source.clone().run(end.clone()));
    }
    // Visitors do not wait for those who sign services' tokens.
    for source in services.values() {
        background.spawn(source.clone().run(end.clone()));
    }
    let (followed, following) = tokio::sync::oneshot::channel();
    background.spawn(session::follow(bridge.clone(), followed, end.clone()));
    let _ = following.await;
    background.spawn(session::keep(bridge.clone(), end.clone()));
    background.spawn(session::tell(bridge.clone(), end.clone()));
    background.spawn(learn(bridge.clone(), end.clone()));
    let keeper = KeyKeeper::new(bridge.clone(), keys::schedule_of(&config));
    background.spawn(keeper.clone().rotate(end.clone()));
    background.spawn(keeper.clone().rewrap(end.clone()));
    background.spawn(services::settle(bridge.clone(), end.clone()));
    let tending = (directory.intake.clone(), end.clone());
    background.spawn(async move { tending.0.keep(tending.1).await });
    let working = end.child_token();
    let sweeper = reconcile::sweeper(&directory, &bridge, &config);
    background.spawn(sweeper.clone().schedule(end.clone()));
    let letters = mail::letters(&bridge, &config)?;
    let handlers = jobs::handlers(&bridge, &directory, sweeper.clone(), letters);
    let worker = jobs::worker(&bridge, &config, &replica, handlers);
    background.spawn(worker.run(working.clone()));
    background.spawn(jobs::watch(bridge.clone(), config.jobs.keep, end.clone()));
    if let Some(api) = &api {
        background.spawn(scim::keep_telling(api.api.clone(), end.clone()));
    }
    background.spawn(observe(
        bridge.clone(),
        all,
        certificates.clone(),
        keeper.clone(),
        end.clone(),
    ));

    let proxies = listeners(&mut sockets, "proxy", config.proxy.address).await?;
    may_be_plain(&config, "proxy", config.proxy.tls.is_some(), &proxies)?;
    let address = match proxies.first() {
        Some(first) => first.local_addr(),
        None => Ok(config.proxy.address),
    };
    let address = address.map_err(|e| StartError::new("listen.proxy.address", e))?;
    let tls = match &config.proxy.tls {
        Some(tls) => Some(listener_tls(tls, config.proxy.http2, &certificates)?),
        None => None,
    };
    let server = Arc::new(server_of(&config, &bridge, tls));
    let watching = end.child_token();
    let mut accepting = Vec::new();
    if let Some(api) = &api {
        let listener = &api.api.listener;
        let sockets = listeners(&mut sockets, "api", listener.address).await?;
        may_be_plain(&config, "api", listener.tls.is_some(), &sockets)?;
        for socket in sockets {
            accepting.push(
                background
                    .spawn(api.server.clone().run(socket))
                    .abort_handle(),
            );
        }
    }
    if let Some(ops_address) = config.ops.address {
        let services = Arc::new(services);
        for listener in listeners(&mut sockets, "ops", ops_address).await? {
            let ops = ops::Ops {
                bridge: bridge.clone(),
                keys: Arc::new(issuers.sources.clone()),
                services: services.clone(),
                insecure: Arc::new(config.insecure.clone()),
                keeper: keeper.clone(),
            };
            background.spawn(serve_ops(listener, ops, end.clone()));
        }
    }
    sockets.all_taken()?;
    for proxy in proxies {
        accepting.push(background.spawn(server.clone().run(proxy)).abort_handle());
    }
    if let Some(ready) = ready {
        let _ = ready.send(address);
    }

    let mut hangup = signal(SignalKind::hangup()).map_err(|e| StartError::new("SIGHUP", e))?;
    let mut term = signal(SignalKind::terminate()).map_err(|e| StartError::new("SIGTERM", e))?;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|e| StartError::new("SIGINT", e))?;
    systemd::ready(&bridge);
    background.spawn(systemd::watch(bridge.clone(), accepting, watching.clone()));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                systemd::reloading();
                let running = Running {
                    bridge: &bridge,
                    api: api.as_ref(),
                    issuers: &issuers,
                    certificates: &certificates,
                    keeper: &keeper,
                    directory: &directory,
                    sweeper: &sweeper,
                    replica: &replica,
                };
                reload(&path, &running, &clock).await;
                certificates.refresh(true);
                systemd::ready(&bridge);
            }
            () = tokio::time::sleep(LOOK) => certificates.refresh(false),
        }
    }
    bridge.leave();
    let notice = config.limits.notice;
    systemd::stopping(notice + config.limits.drain);
    if !notice.is_zero() {
        tracing::info!(
            seconds = notice.as_secs_f32(),
            "leaving: the health path says so, and everything is still served"
        );
        tokio::select! {
            // Told twice: at once, then.
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(notice) => {}
        }
    }
    // The accept loops end now, and are meant to; what jobs run is given back.
    watching.cancel();
    working.cancel();
    drain(&bridge, &server, api.as_ref(), config.limits.drain).await;
    end.cancel();
    background.close();
    let _ = tokio::time::timeout(Duration::from_secs(5), background.wait()).await;
    let traces = bridge.traces.clone();
    let _ = tokio::task::spawn_blocking(move || traces.finish(Duration::from_secs(5))).await;
    tracing::info!("stopped");
    log.flush();
    Ok(())
}

/// The sockets of a listener: systemd's, else one bound here.
async fn listeners(
    sockets: &mut Sockets,
    name: &'static str,
    address: std::net::SocketAddr,
) -> Result<Vec<TcpListener>, StartError> {
    let what = || format!("listen.{name}.address {address}");
    let handed = sockets.take(name)?;
    for listener in &handed {
        let address = listener
            .local_addr()
            .map_err(|e| StartError::new(what(), e))?;
        tracing::info!(listener = name, %address, "listening");
    }
    if !handed.is_empty() {
        return Ok(handed);
    }
    let bound = accept::bind(name, address).await;
    Ok(vec![bound.map_err(|e| StartError::new(what(), e))?])
}

/// The configuration's rule about plain HTTP, for addresses that systemd chose.
fn may_be_plain(
    config: &Config,
    name: &str,
    tls: bool,
    listeners: &[TcpListener],
) -> Result<(), StartError> {
    let said = format!("listen.{name}.insecure_plain_http");
    if tls || config.insecure.contains(&said) {
        return Ok(());
    }
    for listener in listeners {
        let address = listener.local_addr();
        let address = address.map_err(|e| StartError::new(format!("the socket {name}"), e))?;
        if !address.ip().is_loopback() {
            return Err(StartError::new(
                format!("the socket {name} at {address}"),
                format!(
                    "plain HTTP beyond loopback: anyone on the network could read and pose. Add \
                     [listen.{name}.tls], or set ListenStream= to 127.0.0.1"
                ),
            ));
        }
    }
    Ok(())
}

fn server_of(config: &Config, bridge: &Arc<Bridge>, tls: Option<ListenerTls>) -> ProxyServer {
    Server {
        name: "proxy",
        door: bridge.clone(),
        tls,
        metrics: bridge.metrics.clone(),
        http2: config.proxy.http2,
        // Pomerium keeps its connections for an hour and more, and all its visitors share them.
        age: None,
        head: config.limits.head,
        head_timeout: config.limits.head_timeout,
        connections: Arc::new(Semaphore::new(config.limits.connections)),
        tracker: TaskTracker::new(),
        drain: CancellationToken::new(),
    }
}

/// What the proxy listener's certificates are called, in the log and in metrics.
const PROXY_TLS: &str = "listen.proxy.tls";

fn listener_tls(
    tls: &ProxyTls,
    http2: bool,
    certificates: &Certificates,
) -> Result<ListenerTls, StartError> {
    let files = ServerFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        clients: match &tls.client_ca {
            Some(ca) => ClientCertificates::Required { ca: ca.clone() },
            None => ClientCertificates::Ignored,
        },
        h2: http2,
    };
    let pinned = tls.client_ca.as_ref().map(|_| {
        let names = tls.client_names.iter().cloned();
        let (uri, dns) = names.partition(|n| n.contains("://"));
        PinnedNames {
            dns,
            uri,
            spki_sha256: Vec::new(),
        }
    });
    Ok(ListenerTls {
        config: certificates.server(PROXY_TLS, &files, || ())?,
        pinned,
        // Pomerium's connections carry all its visitors, and outlast its certificates.
        over: Arc::new(ArcSwap::from_pointee(CancellationToken::new())),
    })
}

/// What a reload changes.
struct Running<'a> {
    bridge: &'a Arc<Bridge>,
    api: Option<&'a ApiServer>,
    issuers: &'a wire::Issuers,
    certificates: &'a Certificates,
    keeper: &'a KeyKeeper,
    directory: &'a Directory,
    sweeper: &'a Sweeper,
    replica: &'a str,
}

/// Reads the configuration again: apps, pages, rules, the master key and the schedule of keys change
/// at once; listeners, store and issuers need a restart, and say so.
async fn reload(path: &std::path::Path, running: &Running<'_>, clock: &Arc<dyn Clock>) {
    let Running {
        bridge,
        api,
        issuers,
        certificates,
        keeper,
        directory,
        sweeper,
        replica,
    } = *running;
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(errors) => {
            tracing::error!(%errors, "the new configuration can't be used: nothing changed");
            return;
        }
    };
    let master = match keys::master_for(&config, bridge).await {
        Ok(master) => master,
        Err(error) => {
            tracing::error!(%error, "the new configuration can't be used: nothing changed");
            return;
        }
    };
    match wire::sites_of(&config, issuers, &bridge.metrics, certificates, clock) {
        Ok(sites) => {
            // On record first, or not at all.
            let recorded =
                account::configuration(bridge, &config, Kind::ConfigReloaded, master.id(), replica);
            if let Err(error) = recorded.await {
                tracing::error!(%error, "the new configuration can't be recorded in the audit trail: nothing changed");
                return;
            }
            keeper.take(master, keys::schedule_of(&config));
            // The new rules first: whoever is cut comes back at once and must meet them.
            let sites = Arc::new(sites);
            let formers = bridge.sites.swap(sites.clone());
            directory.reload(&config, certificates, clock);
            reconcile::reload(sweeper, &config);
            let rules = bridge.directory.swap(Arc::new(config.directory.clone()));
            let weighed_otherwise = *rules != config.directory;
            for former in formers.iter() {
                let now = sites.by_host(&former.config.host);
                let changed = now.is_none_or(|s| s.config.access != former.config.access);
                if changed || weighed_otherwise {
                    bridge
                        .sessions
                        .judge_anew(&former.config.id, &bridge.tunnels);
                }
            }
            certificates.retain(|about| {
                about
                    .strip_prefix("app ")
                    .is_none_or(|id| sites.iter().any(|site| site.config.id.as_str() == id))
            });
            if let Some(api) = api {
                let then = api.clients();
                api.reload(&config);
                let now = config.clients.as_slice();
                services::cut_changed(bridge, (&formers, &sites), (&then, now));
            }
            bridge.portal.store(Arc::new(config.portal));
            tracing::info!(
                "configuration read again: apps, clients, pages and keys are current; listeners, store and issuers change with a restart"
            );
        }
        Err(error) => {
            tracing::error!(%error, "the new configuration can't be used: nothing changed")
        }
    }
}

async fn serve_ops(listener: TcpListener, ops: ops::Ops, end: CancellationToken) {
    let served = axum::serve(listener, ops::router(ops))
        .with_graceful_shutdown(end.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the ops listener ended");
    }
}

/// Lets requests end, tells sockets to come back.
async fn drain(
    bridge: &Arc<Bridge>,
    server: &ProxyServer,
    api: Option<&ApiServer>,
    at_most: Duration,
) {
    tracing::info!(sockets = bridge.tunnels.open(), "draining");
    server.drain.cancel();
    if let Some(api) = api {
        api.server.drain.cancel();
        api.server.tracker.close();
    }
    bridge.tunnels.cut_all(Cut::Restart);
    server.tracker.close();
    bridge.tasks.close();
    let done = async {
        server.tracker.wait().await;
        if let Some(api) = api {
            api.server.tracker.wait().await;
        }
        bridge.tasks.wait().await;
    };
    if tokio::time::timeout(at_most, done).await.is_err() {
        tracing::warn!("some requests were still open at the end of the drain");
    }
}

/// For the forecast, and a warning before the last seat is gone.
async fn count_seats(bridge: &Bridge, app: &AppConfig, used: u64, limit: u64) {
    let now = bridge.clock.now();
    if let Err(error) = seats::count(&*bridge.store, &app.id, used, Some(limit), now).await {
        tracing::warn!(app = %app.id, %error, "today's seats could not be counted");
    }
    let warn_at = app.provision.seats.warn_at;
    if seats::is_warning(used, Some(limit), warn_at) {
        tracing::warn!(app = %app.id, used, limit, warn_at, "seats are running out: auth-manager seats idle");
    }
}

/// Reads the apps' settings, at start and then now and again, and names what bites.
async fn learn(bridge: Arc<Bridge>, end: CancellationToken) {
    loop {
        let mut wait = FACTS;
        for site in bridge.sites.load_full().iter() {
            let app = site.config.id.as_str();
            match site.connector.facts().await {
                Ok(facts) => {
                    site.metrics.reachable(true);
                    if let Some((used, limit)) = facts.seats {
                        site.metrics.seats(used, limit);
                        count_seats(&bridge, &site.config, used, limit).await;
                    }
                    let known = site.facts.load_full();
                    for finding in &facts.findings {
                        if known.as_ref().is_some_and(|k| k.findings.contains(finding)) {
                            continue;
                        }
                        let (about, text) = (finding.about.as_str(), finding.text.as_str());
                        match finding.severity {
                            Severity::Note => tracing::info!(app, about, text, "setting"),
                            Severity::Warning => tracing::warn!(app, about, text, "setting"),
                            Severity::Error => tracing::error!(app, about, text, "setting"),
                        }
                    }
                    site.facts.store(Some(Arc::new(facts)));
                }
                Err(error) => {
                    site.metrics.reachable(false);
                    tracing::warn!(app, %error, "the app's settings can't be read yet");
                    wait = Duration::from_secs(30);
                }
            }
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Puts into metrics what nobody counts on the way: fetches of keys, the lag of the revocation log,
/// when certificates and keys end.
async fn observe(
    bridge: Arc<Bridge>,
    sources: HashMap<IssuerId, Arc<KeySource>>,
    certificates: Arc<Certificates>,
    keeper: Arc<KeyKeeper>,
    end: CancellationToken,
) {
    let mut counted: HashMap<IssuerId, u64> = HashMap::new();
    loop {
        for (id, source) in &sources {
            let status = source.status();
            let before = counted.insert(id.clone(), status.fetches).unwrap_or(0);
            let outcome = match &status.last_error {
                None => FetchOutcome::Ok,
                Some(FetchError::Keys(_)) => FetchOutcome::Unusable,
                Some(_) => FetchOutcome::Unreachable,
            };
            for _ in before..status.fetches {
                let at = status.good_at.unwrap_or_default();
                bridge.metrics.jwks_fetched(id, outcome, at);
            }
        }
        certificates.observe(&bridge.metrics);
        keeper.observe();
        for site in bridge.sites.load().iter() {
            let live = bridge.sessions.table.count_of(&site.config.id);
            site.metrics.sessions_live(live);
        }
        match bridge.store.newest_revocation().await {
            Ok(newest) => {
                let reached = bridge.sessions.log.number();
                bridge.metrics.revocations(reached, newest - reached);
            }
            Err(error) => bridge.metrics.store_error(error.trouble()),
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

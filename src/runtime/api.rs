//! What the api listener serves: the api's router, told who is at the other end.

use super::accept::{Door, ListenerTls, Server};
use super::certificates::Certificates;
use super::directory::{self, Directory};
use super::scim::Heard;
use super::wire::{StartError, believing, terms_of};
use crate::api::hooks::{Hooks, Recorder};
use crate::api::scim::Connections;
use crate::api::{self, Api, BearerIssuer, Bearers, Clients, PeerAddress, Trust};
use crate::audit::Witness;
use crate::config::{ApiListener, ApiTls, ClientConfig, Config, JwksSource, jwks_max_age};
use crate::identity;
use crate::jwks::KeySource;
use crate::proxy::Bridge;
use crate::proxy::edge::Turn;
use crate::proxy::forward::{Cut, Tunnels};
use crate::proxy::service::ServiceRoad;
use crate::tls::{ClientCertificates, Peer, ServerFiles};
use crate::types::{AppId, IssuerId};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// Oldest age of a connection: certificates expire, and are looked at in the handshake only.
const AGE: Duration = Duration::from_secs(3600);
/// What its certificates are called, in the log and in metrics.
const TLS: &str = "listen.api.tls";

/// The api listener while it runs.
pub(super) struct ApiServer {
    pub api: Arc<Api>,
    pub server: Arc<Server<Router>>,
}

impl ApiServer {
    /// The listener of a configuration that has one; the second half is run beside.
    pub(super) fn new(
        config: &Config,
        listener: &ApiListener,
        bridge: &Arc<Bridge>,
        directories: &Directory,
        certificates: &Certificates,
    ) -> Result<(Self, Recorder), StartError> {
        let (hooks, recorder) = hooks_of(config, bridge);
        let api = Arc::new(Api {
            strangers: Default::default(),
            clock: bridge.clock.clone(),
            store: bridge.store.clone(),
            ring: bridge.ring.clone(),
            master: bridge.master.clone(),
            road: Arc::new(ServiceRoad::new(bridge.clone())),
            clients: ArcSwap::from_pointee(Clients::new(
                &config.clients,
                &config.directories,
                listener,
            )),
            audiences: ArcSwap::from_pointee(config.audiences.clone()),
            visitors: Arc::new(bridge.clone()),
            pairwise: bridge
                .pairwise()
                .map_err(|e| StartError::new("pairwise subjects", e))?,
            bearers: bearers(config, listener, bridge, certificates)?,
            terms: ArcSwap::from_pointee(terms_of(config)),
            directory: Arc::new(ArcSwap::from_pointee(directory::terms_of(config))),
            apps: Arc::new(Served(bridge.clone())),
            scim: ArcSwap::from_pointee(Connections::new(&config.scim)),
            hearing: Arc::new(Heard::new(bridge.clone(), directories.intake.clone())),
            scim_behind: Arc::default(),
            listener: listener.clone(),
            // Whoever asked just before a key was announced must ask again before it signs.
            jwks_age: jwks_max_age(config.keys.announce),
            metrics: bridge.metrics.clone(),
            hooks: Arc::new(hooks),
            hand: directories.hand.clone(),
            audit: bridge.audit.clone(),
        });
        let tls = match &listener.tls {
            Some(tls) => Some(listener_tls(tls, certificates, &bridge.tunnels)?),
            None => None,
        };
        let server = Arc::new(Server {
            name: "api",
            door: api::router(api.clone()),
            tls,
            metrics: bridge.metrics.clone(),
            // Without TLS; with it, ALPN says.
            http2: false,
            age: Some(AGE),
            head: config.limits.head,
            head_timeout: config.limits.head_timeout,
            connections: Arc::new(Semaphore::new(listener.connections)),
            tracker: TaskTracker::new(),
            drain: CancellationToken::new(),
        });
        Ok((Self { api, server }, recorder))
    }

    /// The clients of now.
    pub(super) fn clients(&self) -> Vec<ClientConfig> {
        let clients = self.api.clients.load();
        clients.iter().map(|client| client.config.clone()).collect()
    }

    /// The keys of those who sign callers' tokens, to be kept fresh.
    pub(super) fn sources(&self) -> HashMap<IssuerId, Arc<KeySource>> {
        let issuers = self.api.bearers.iter();
        let named = issuers.map(|issuer| (issuer.config().id.clone(), issuer.keys().clone()));
        named.collect()
    }

    /// Takes the clients, audiences and terms of a new configuration. The listener itself changes
    /// with a restart.
    pub(super) fn reload(&self, config: &Config) {
        let clients = Clients::new(&config.clients, &config.directories, &self.api.listener);
        let clients = Arc::new(clients);
        let formers = self.api.clients.swap(clients.clone());
        formers.give_way(&clients);
        let audiences = Arc::new(config.audiences.clone());
        self.api.audiences.store(audiences);
        self.api.terms.store(Arc::new(terms_of(config)));
        let directory = Arc::new(directory::terms_of(config));
        self.api.directory.store(directory);
        self.api
            .scim
            .store(Arc::new(Connections::new(&config.scim)));
    }
}

/// Where webhooks go in. Their secrets follow a reload, as clients do; which directories send any
/// changes with a restart.
fn hooks_of(config: &Config, bridge: &Bridge) -> (Hooks, Recorder) {
    let sources = config.directories.iter().filter_map(|directory| {
        let hooks = directory.hooks.as_ref()?;
        Some((directory.id.clone(), hooks.silent_after))
    });
    Hooks::new(
        sources,
        Arc::new(bridge.store.clone()),
        bridge.clock.clone(),
        bridge.metrics.clone(),
    )
}

/// The issuers of callers' tokens; like those of people they change with a restart.
fn bearers(
    config: &Config,
    listener: &ApiListener,
    bridge: &Bridge,
    certificates: &Certificates,
) -> Result<Bearers, StartError> {
    let clock = &bridge.clock;
    let mut issuers = Vec::new();
    for issuer in &config.api_issuers {
        let about = format!("api issuer {}", issuer.id);
        let tls = match &issuer.jwks {
            JwksSource::Url { ca, .. } => {
                Some(certificates.client(&about, &believing(ca.as_ref()))?)
            }
            JwksSource::File(_) => None,
        };
        let algorithms = BearerIssuer::algorithms(issuer);
        let keys = KeySource::new(issuer, &algorithms, tls, clock.clone())
            .map_err(|e| StartError::new(about, e))?;
        issuers.push(BearerIssuer::new(issuer.clone(), keys));
    }
    Ok(Bearers::new(
        issuers,
        listener.audience.clone(),
        clock.clone(),
    ))
}

/// Certificates, authorities and revocation lists. When they change, open connections are asked to
/// end after the request they carry: what let them in may no longer hold.
fn listener_tls(
    tls: &ApiTls,
    certificates: &Certificates,
    tunnels: &Arc<Tunnels>,
) -> Result<ListenerTls, StartError> {
    let files = ServerFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        clients: match &tls.client_ca {
            Some(ca) => ClientCertificates::Optional {
                ca: ca.clone(),
                crl: tls.client_crl.clone(),
            },
            None => ClientCertificates::Ignored,
        },
        h2: true,
    };
    let over = Arc::new(ArcSwap::from_pointee(CancellationToken::new()));
    let (end, tunnels) = (over.clone(), tunnels.clone());
    let config = certificates.server(TLS, &files, move || {
        end.swap(Arc::new(CancellationToken::new())).cancel();
        // A socket has left its connection, but came in by it.
        tunnels.cut_services(Cut::Restart);
    })?;
    Ok(ListenerTls {
        config,
        // Who it is decides what it may do: that is the api's to ask.
        pinned: None,
        over,
    })
}

/// The apps as the road serves them now.
struct Served(Arc<Bridge>);

impl api::state::Apps for Served {
    fn context(&self, app: &AppId, witness: Witness) -> Option<identity::Context> {
        let site = self.0.site(app)?;
        Some(self.0.identity(&site, witness))
    }
}

impl Door for Router {
    type Body = Body;
    type Service = Connection;

    fn service(
        &self,
        from: Option<IpAddr>,
        peer: Option<Arc<Peer>>,
        turn: Turn,
        over: &CancellationToken,
    ) -> Connection {
        Connection {
            router: self.clone(),
            from,
            peer,
            trust: Trust(over.clone()),
            turn,
        }
    }
}

/// The api for one connection.
#[derive(Clone)]
pub(super) struct Connection {
    router: Router,
    from: Option<IpAddr>,
    peer: Option<Arc<Peer>>,
    trust: Trust,
    turn: Turn,
}

impl Service<Request<Incoming>> for Connection {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let turn = self.turn.clone();
        turn.request();
        let mut request = request.map(Body::new);
        if let Some(from) = self.from {
            request.extensions_mut().insert(PeerAddress(from));
        }
        // Nothing but the handshake says who the peer is.
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        request.extensions_mut().insert(self.trust.clone());
        let answer = self.router.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                turn.answered();
            }
            Ok(answer)
        })
    }
}

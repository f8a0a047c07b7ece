//! Connections to one app: HTTP/1.1, kept alive, last in first out.
//!
//! The app closes idle connections after 60 s (recordings/mattermost, difference 41), so ours are
//! given up before. A connection that died while idle is noticed when the request could not be
//! written: nothing was sent, so the request goes out again on another one. Nothing else is ever
//! sent twice.

use super::upstream_error;
use crate::error::{Code, Refusal};
use crate::proxy::body::UpstreamBody;
use crate::telemetry::metrics::AppMetrics;
use arc_swap::ArcSwap;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// Idle connections are used for at most so long: below the app's own 60 s.
const IDLE: Duration = Duration::from_secs(45);
/// At most so many idle connections are kept.
const MOST_IDLE: usize = 256;
/// Time to connect, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Most header lines of an answer that are read. Envoy, in front of us, gives up at 100.
const HEADERS: usize = 128;

/// Where the app is and how to get there.
pub struct Target {
    /// Host name or address, and port.
    pub authority: (String, u16),
    /// TLS, when the upstream is `https://`, as it is when a connection is made.
    pub tls: Option<(Arc<ArcSwap<rustls::ClientConfig>>, ServerName<'static>)>,
}

/// The connections to one app.
pub struct Pool {
    target: Target,
    idle: Mutex<Vec<Idle>>,
    response_timeout: Duration,
    metrics: AppMetrics,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Pool({}:{})",
            self.target.authority.0, self.target.authority.1
        )
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection, and the TLS that it was made with.
pub(super) struct Connection {
    pub(super) sender: SendRequest<UpstreamBody>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// A connection in use; goes back to its pool when its answer was read to the end.
pub struct Lease {
    connection: Connection,
    pool: Arc<Pool>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

impl Lease {
    /// Puts the connection back.
    pub fn give_back(self) {
        if self.connection.sender.is_closed() || !self.pool.is_current(&self.connection) {
            return;
        }
        let now = Instant::now();
        let mut idle = self.pool.idle.lock();
        // The oldest lie at the bottom: what has idled too long there goes first.
        let stale = idle.iter().take_while(|c| now - c.since > IDLE).count();
        idle.drain(..stale);
        if idle.len() < MOST_IDLE {
            idle.push(Idle {
                connection: self.connection,
                since: now,
            });
        }
    }
}

impl Pool {
    /// A pool for one app.
    pub fn new(target: Target, response_timeout: Duration, metrics: AppMetrics) -> Arc<Self> {
        Arc::new(Self {
            target,
            idle: Mutex::new(Vec::new()),
            response_timeout,
            metrics,
        })
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock();
        loop {
            let last = idle.pop()?;
            if last.since.elapsed() > IDLE {
                // The newest has idled too long, so all have.
                idle.clear();
                return None;
            }
            if self.is_current(&last.connection) {
                return Some(last.connection);
            }
        }
    }

    /// Whether a connection was made with the certificates of now: whom we believed before, we may
    /// believe no longer. The request that is on it ends as it began.
    fn is_current(&self, connection: &Connection) -> bool {
        match (&self.target.tls, &connection.tls) {
            (Some((now, _)), Some(then)) => Arc::ptr_eq(&now.load(), then),
            _ => true,
        }
    }

    /// A fresh connection, outside the pool when it is for an upgrade.
    pub(super) async fn connect(&self) -> Result<Connection, Refusal> {
        let connect = async {
            let (host, port) = &self.target.authority;
            let tcp = TcpStream::connect((host.as_str(), *port)).await?;
            tcp.set_nodelay(true)?;
            let mut builder = http1::Builder::new();
            builder.max_headers(HEADERS);
            let (sender, tls) = match &self.target.tls {
                None => {
                    let (sender, connection) = builder
                        .handshake(TokioIo::new(tcp))
                        .await
                        .map_err(std::io::Error::other)?;
                    tokio::spawn(connection.with_upgrades());
                    (sender, None)
                }
                Some((newest, name)) => {
                    let config = newest.load_full();
                    let connector = TlsConnector::from(config.clone());
                    let tls = connector.connect(name.clone(), tcp).await?;
                    let (sender, connection) = builder
                        .handshake(TokioIo::new(tls))
                        .await
                        .map_err(std::io::Error::other)?;
                    tokio::spawn(connection.with_upgrades());
                    (sender, Some(config))
                }
            };
            std::io::Result::Ok(Connection { sender, tls })
        };
        self.metrics.upstream_connection(false);
        match tokio::time::timeout(CONNECT, connect).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Refusal::new(
                Code::AppUnavailable,
                format!("connecting to the app: {error}"),
            )),
            Err(_) => Err(Refusal::new(
                Code::AppUnavailable,
                "connecting to the app took 10 s",
            )),
        }
    }

    /// Sends a request and gives the head of the answer with the lease of its connection.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<UpstreamBody>,
    ) -> Result<(Response<Incoming>, Lease), Refusal> {
        loop {
            let (mut connection, fresh) = match self.take_idle() {
                Some(connection) => (connection, false),
                // Boxed: most requests find a connection.
                None => (Box::pin(self.connect()).await?, true),
            };
            if connection.sender.ready().await.is_err() {
                if fresh {
                    return Err(Refusal::new(
                        Code::AppUnavailable,
                        "the app closed a fresh connection",
                    ));
                }
                continue;
            }
            let sent = connection.sender.try_send_request(request);
            match tokio::time::timeout(self.response_timeout, sent).await {
                Ok(Ok(response)) => {
                    if !fresh {
                        self.metrics.upstream_connection(true);
                    }
                    return Ok((
                        response,
                        Lease {
                            connection,
                            pool: self.clone(),
                        },
                    ));
                }
                Ok(Err(mut error)) => match error.take_message() {
                    // Never written: it may go out again, on another connection.
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(upstream_error(error.into_error())),
                },
                Err(_) => return Err(Code::AppTimeout.into()),
            }
        }
    }
}

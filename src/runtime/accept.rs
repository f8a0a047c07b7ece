//! Accepting connections: limits, TLS, the peer's name, HTTP, drain. What is served on them is a
//! [`Door`]'s: the road (`road.rs`) or the api (`api.rs`), each a tower service below hyper's
//! connections.

use crate::proxy::edge::{Patient, Place, Turn};
use crate::telemetry::metrics::{ConnectionTrouble, Metrics};
use crate::tls::{Peer, PinnedNames, peer};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapResponse;

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Header lines of a request: as many as Pomerium takes (recordings/pomerium, difference 34).
const HEADERS: usize = 1000;
/// h2: streams at once, resets that are waited for, header list size.
const STREAMS: u32 = 256;
const RESETS: usize = 64;

/// How long a connection that is silent when the bridge ends is still listened to: a request may be
/// on its way that its sender, having been accepted, has every right to see answered.
const LINGER: Duration = Duration::from_secs(1);

/// What a listener serves.
pub(super) trait Door: Send + Sync + 'static {
    /// Of its answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// Answers the requests of one connection.
    type Service: tower::Service<
            Request<Incoming>,
            Response = Response<Self::Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static;

    /// The service for a connection of this peer, from this address; `turn` must be told of heads and
    /// answers, and `over` is cancelled when the trust that let it in is.
    fn service(
        &self,
        from: Option<IpAddr>,
        peer: Option<Arc<Peer>>,
        turn: Turn,
        over: &CancellationToken,
    ) -> Self::Service;
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// TLS of a listener.
pub(super) struct ListenerTls {
    /// Replaced when its files change.
    pub config: Arc<ArcSwap<rustls::ServerConfig>>,
    /// Whom the connection itself must be from; `None` when that is not asked here.
    pub pinned: Option<PinnedNames>,
    /// Cancelled, and replaced, when connections that were let in before must be asked again.
    pub over: Arc<ArcSwap<CancellationToken>>,
}

/// A listener and its settings.
pub(super) struct Server<D> {
    /// For the log.
    pub name: &'static str,
    pub door: D,
    pub tls: Option<ListenerTls>,
    pub metrics: Metrics,
    pub http2: bool,
    /// Oldest age of a connection, so that who comes over it is asked again.
    pub age: Option<Duration>,
    pub head: usize,
    pub head_timeout: Duration,
    pub connections: Arc<Semaphore>,
    /// Connections under way: waited for at the end.
    pub tracker: TaskTracker,
    /// Asks connections to end after the request they carry.
    pub drain: CancellationToken,
}

impl<D: Door> Server<D> {
    /// Accepts until told to stop.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            let permit = tokio::select! {
                () = self.drain.cancelled() => return,
                permit = self.connections.clone().acquire_owned() => permit,
            };
            let accepted = tokio::select! {
                () = self.drain.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let server = self.clone();
                    let Ok(permit) = permit else { return };
                    let place = Place::new(permit, self.metrics.connection(self.name));
                    self.tracker
                        .spawn(async move { server.connection(stream, place).await });
                }
                Err(error) => {
                    // Out of file handles, most likely: let some go first.
                    tracing::error!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(&self, stream: TcpStream, place: Place) {
        let _ = stream.set_nodelay(true);
        let from = stream.peer_addr().ok();
        let Some(tls) = &self.tls else {
            let never = CancellationToken::new();
            return self
                .http(stream, self.http2, (from, None), (never, place))
                .await;
        };
        // In this order: a change in between closes one connection too many, never one too few.
        let over = CancellationToken::clone(&tls.over.load());
        let acceptor = TlsAcceptor::from(tls.config.load_full());
        let listener = self.name;
        let refused = |why| self.metrics.connection_refused(listener, why);
        let peer_address = from.map(tracing::field::display);
        let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            // Pomerium shows a refused certificate only as `connection_termination`
            // (recordings/pomerium, difference 31): the reason is said here or nowhere.
            Ok(Err(error)) => {
                refused(ConnectionTrouble::Tls);
                tracing::warn!(listener, peer_address, %error, "TLS with a peer failed");
                return;
            }
            Err(_) => {
                refused(ConnectionTrouble::Tls);
                tracing::warn!(listener, peer_address, "TLS with a peer took 10 s");
                return;
            }
        };
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().unwrap_or_default();
        if let Some(pinned) = &tls.pinned
            && let Err(error) = peer::admitted(chain, pinned)
        {
            refused(ConnectionTrouble::Name);
            tracing::warn!(listener, peer_address, %error, "a peer with another name was turned away");
            return;
        }
        let peer = match Peer::of(chain) {
            Ok(peer) => peer.map(Arc::new),
            Err(error) => {
                refused(ConnectionTrouble::Name);
                tracing::warn!(listener, peer_address, %error, "a peer was turned away");
                return;
            }
        };
        let h2 = session.alpn_protocol() == Some(b"h2");
        self.http(stream, h2, (from, peer), (over, place)).await;
    }

    async fn http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        h2: bool,
        (from, peer): (Option<SocketAddr>, Option<Arc<Peer>>),
        (over, place): (CancellationToken, Place),
    ) {
        let turn = Turn::default();
        let ending = self.drain.clone();
        // Said, not only done: a client that was told sends its next request elsewhere. HTTP/2 has
        // its own word for it.
        let say_so = move |mut answer: Response<D::Body>| {
            if !h2 && ending.is_cancelled() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            answer
        };
        let from = from.map(|from| from.ip());
        let service = self.door.service(from, peer, turn.clone(), &over);
        let service = MapResponse::new(service, say_so);
        let service = TowerToHyperService::new(service);
        let ended = if h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_pending_accept_reset_streams(RESETS)
                .max_local_error_reset_streams(RESETS)
                .max_header_list_size(u32::try_from(self.head).unwrap_or(u32::MAX))
                .keep_alive_interval(Duration::from_secs(60));
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let ended = self
                .drive(connection, over, |c| c.graceful_shutdown())
                .await;
            drop(place);
            ended
        } else {
            let mut builder = http1::Builder::new();
            // The patience below takes the place of hyper's own header timeout.
            builder
                .header_read_timeout(None)
                .max_headers(HEADERS)
                .max_buf_size(self.head.max(8192));
            let stream = Patient::new(stream, turn, self.head_timeout).holding(place);
            let connection = builder
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            self.drive(connection, over, |c| c.graceful_shutdown())
                .await
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended in an error");
        }
    }

    /// Runs a connection to its end: the peer's, the drain's, a new trust's, or that of old age.
    async fn drive<C>(
        &self,
        connection: C,
        over: CancellationToken,
        shut_down: impl Fn(Pin<&mut C>),
    ) -> hyper::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        let old = async {
            match self.age {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = &mut connection => return ended,
            () = self.drain.cancelled() => {
                if let Ok(ended) = tokio::time::timeout(LINGER, connection.as_mut()).await {
                    return ended;
                }
            }
            () = over.cancelled() => {}
            () = old => {}
        }
        shut_down(connection.as_mut());
        connection.await
    }
}

/// Binds a listener and says where.
pub(super) async fn bind(name: &'static str, address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(listener = name, address = %listener.local_addr()?, "listening");
    Ok(listener)
}

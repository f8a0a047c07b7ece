//! Accepting connections: limits, TLS, the peer's name, HTTP, drain.
//!
//! The proxy listener is a tower service below hyper's connections, so that a layer can stand in
//! front of the road without the road knowing.

use crate::proxy::edge::{Patient, Turn};
use crate::proxy::{self, Body, Bridge};
use crate::tls::{PinnedNames, peer};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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

/// The road as a tower service.
#[derive(Clone)]
pub(super) struct Road {
    pub bridge: Arc<Bridge>,
    /// Whether the bridge is ending.
    pub drain: CancellationToken,
    /// Whose turn it is on this connection.
    pub turn: Turn,
}

impl tower::Service<Request<Incoming>> for Road {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let Self {
            bridge,
            drain,
            turn,
        } = self.clone();
        turn.request();
        Box::pin(async move {
            let http1 = request.version() < http::Version::HTTP_2;
            let mut answer = proxy::handle(bridge, request).await;
            // Said, not only done: a client that was told sends its next request elsewhere.
            if http1 && drain.is_cancelled() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                let close = http::HeaderValue::from_static("close");
                answer.headers_mut().insert(http::header::CONNECTION, close);
            }
            // After a 101 no head ever comes again.
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                turn.answered();
            }
            Ok(answer)
        })
    }
}

/// TLS of the listener: replaced as a whole on reload.
pub(super) struct ListenerTls {
    pub acceptor: TlsAcceptor,
    /// `None` only with `insecure_no_client_certificate`.
    pub pinned: Option<PinnedNames>,
}

/// The proxy listener's settings.
pub(super) struct ProxyServer {
    pub bridge: Arc<Bridge>,
    pub tls: Option<arc_swap::ArcSwap<ListenerTls>>,
    pub http2: bool,
    pub head: usize,
    pub head_timeout: Duration,
    pub connections: Arc<Semaphore>,
    /// Connections under way: waited for at the end.
    pub tracker: TaskTracker,
    /// Asks connections to end after the request they carry.
    pub drain: CancellationToken,
}

impl ProxyServer {
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
                    self.tracker.spawn(async move {
                        server.connection(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file handles, most likely: let some go first.
                    tracing::error!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.http(stream, self.http2).await;
        };
        let tls = tls.load_full();
        let peer_address = stream.peer_addr().ok();
        let shaken = tokio::time::timeout(HANDSHAKE, tls.acceptor.accept(stream)).await;
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            // Pomerium shows a refused certificate only as `connection_termination`
            // (recordings/pomerium, difference 31): the reason is said here or nowhere.
            Ok(Err(error)) => {
                tracing::warn!(?peer_address, %error, "TLS with a peer failed");
                return;
            }
            Err(_) => {
                tracing::warn!(?peer_address, "TLS with a peer took 10 s");
                return;
            }
        };
        let (_, session) = stream.get_ref();
        if let Some(pinned) = &tls.pinned {
            let chain = session.peer_certificates().unwrap_or_default();
            if let Err(error) = peer::admitted(chain, pinned) {
                tracing::warn!(?peer_address, %error, "a peer with another name was turned away");
                return;
            }
        }
        let h2 = session.alpn_protocol() == Some(b"h2");
        self.http(stream, h2).await;
    }

    async fn http(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, h2: bool) {
        let turn = Turn::default();
        let road = Road {
            bridge: self.bridge.clone(),
            drain: self.drain.clone(),
            turn: turn.clone(),
        };
        let service = TowerToHyperService::new(road);
        let ended = if h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_pending_accept_reset_streams(RESETS)
                .max_local_error_reset_streams(RESETS)
                .max_header_list_size(u32::try_from(self.head).unwrap_or(u32::MAX))
                .keep_alive_interval(Duration::from_secs(60));
            self.drive(
                builder.serve_connection(TokioIo::new(stream), service),
                |c| c.graceful_shutdown(),
            )
            .await
        } else {
            let mut builder = http1::Builder::new();
            // The patience below takes the place of hyper's own header timeout.
            builder
                .header_read_timeout(None)
                .max_headers(HEADERS)
                .max_buf_size(self.head.max(8192));
            let stream = Patient::new(stream, turn, self.head_timeout);
            let connection = builder
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            self.drive(connection, |c| c.graceful_shutdown()).await
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended in an error");
        }
    }

    async fn drive<C>(&self, connection: C, shut_down: impl Fn(Pin<&mut C>)) -> hyper::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = &mut connection => return ended,
            () = self.drain.cancelled() => {}
        }
        // Answers say `Connection: close` from now on (`Road`); who is silent is given a moment.
        if let Ok(ended) = tokio::time::timeout(LINGER, connection.as_mut()).await {
            return ended;
        }
        shut_down(connection.as_mut());
        connection.await
    }
}

/// Binds a listener and says where.
pub(super) async fn bind(
    name: &'static str,
    address: std::net::SocketAddr,
) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(listener = name, address = %listener.local_addr()?, "listening");
    Ok(listener)
}

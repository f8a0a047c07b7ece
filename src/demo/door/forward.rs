//! The road from the door to the upstream: one connection a request, bodies streamed both ways, and
//! after a 101 a tunnel of bytes. (Real Envoy pools connections across people; the end-to-end test
//! through Envoy covers that.)

use super::head::is_websocket;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Any body the door sends.
pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// A body that is all there.
pub(super) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed()
}

/// No body.
pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// Why the upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    #[error("upstream connect error")]
    Connect(#[source] std::io::Error),
    #[error("upstream connection termination")]
    Exchange(#[source] hyper::Error),
}

/// Sends `request`, whose head is final, and gives the answer as it streams in. A tunnel lives on
/// `tasks` until either side or `cancel` ends it: nothing else does, a sign-out least of all
/// (recording 05).
pub(super) async fn forward(
    mut request: Request<Incoming>,
    upstream: SocketAddr,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<Response<Body>, ForwardError> {
    let wants_tunnel = is_websocket(request.headers());
    let client_side = wants_tunnel.then(|| hyper::upgrade::on(&mut request));
    let stream = TcpStream::connect(upstream)
        .await
        .map_err(ForwardError::Connect)?;
    // Small frames are latency, not throughput; failing to set this only costs time.
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ForwardError::Exchange)?;
    let ending = cancel.clone();
    tasks.spawn(async move {
        // The error is that of the exchange itself, which sees it too.
        let _ = ending.run_until_cancelled(connection.with_upgrades()).await;
    });
    let mut response = sender
        .send_request(request)
        .await
        .map_err(ForwardError::Exchange)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upstream_side = hyper::upgrade::on(&mut response);
        if let Some(client_side) = client_side {
            let ending = cancel.clone();
            tasks.spawn(async move {
                let tunnel = async {
                    let (client, upstream) = tokio::try_join!(client_side, upstream_side)?;
                    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
                    // How a tunnel ends is between its two ends.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
                    Ok::<_, hyper::Error>(())
                };
                let _ = ending.run_until_cancelled(tunnel).await;
            });
        }
        let (parts, _) = response.into_parts();
        return Ok(Response::from_parts(parts, empty()));
    }
    // Framing is the server's own on the way down.
    let headers = response.headers_mut();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    Ok(response.map(BodyExt::boxed))
}

//! What the proxy listener serves: the road, as a tower service, so that a layer can stand in front
//! of it without the road knowing.

use super::accept::Door;
use crate::proxy::edge::Turn;
use crate::proxy::{self, Body, Bridge};
use crate::tls::Peer;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio_util::sync::CancellationToken;

impl Door for Arc<Bridge> {
    type Body = Body;
    type Service = Road;

    fn service(
        &self,
        _: Option<IpAddr>,
        _: Option<Arc<Peer>>,
        turn: Turn,
        _: &CancellationToken,
    ) -> Road {
        let bridge = self.clone();
        Road { bridge, turn }
    }
}

/// The road as a tower service.
#[derive(Clone)]
pub(super) struct Road {
    pub bridge: Arc<Bridge>,
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
        let Self { bridge, turn } = self.clone();
        turn.request();
        Box::pin(async move {
            let answer = proxy::handle(bridge, request).await;
            // After a 101 no head ever comes again.
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                turn.answered();
            }
            Ok(answer)
        })
    }
}

//! Station 8, forward: takes an upstream request, gives the app's answer or a tunnel.
//!
//! What lives here: the connection pool of an app, the WebSocket handshake and tunnels, the map of
//! open sockets. What does not: deciding anything. Nothing reaches this folder without a permit,
//! since only the swap station can make an `UpstreamRequest`.

mod frames;
mod pool;
mod tunnel;
mod tunnels;
pub(in crate::proxy) mod upgrade;

pub use pool::{Lease, Pool, Target};
pub use tunnels::{Cord, Cut, Registration, Tunnels};

use super::swap::UpstreamRequest;
use crate::error::{Code, Refusal};
use bytes::Bytes;
use http::response::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::Response;
use hyper::body::Incoming;
use std::sync::Arc;

/// An answer of the app that has not passed the filter: nothing of it can be read but by the filter
/// station and the renewal that a 401 may need.
#[derive(Debug)]
pub struct UpstreamResponse {
    pub(in crate::proxy) head: Parts,
    pub(in crate::proxy) body: Answer,
}

/// The body of an answer.
#[derive(Debug)]
pub(in crate::proxy) enum Answer {
    /// As it comes.
    Streamed(Incoming, Option<Lease>),
    /// Read already, because it had to be looked at.
    Gathered(Bytes),
}

/// Longest body that is gathered to be looked at: an error in the app's shape.
const LOOKED_AT: usize = 64 << 10;

impl UpstreamResponse {
    pub(in crate::proxy) fn streamed(response: Response<Incoming>, lease: Option<Lease>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            head,
            body: Answer::Streamed(body, lease),
        }
    }

    /// Reads a short body, so that it can be looked at and still be passed on.
    pub(in crate::proxy) async fn gather(self) -> Result<Self, Refusal> {
        let Self { head, body } = self;
        let Answer::Streamed(incoming, lease) = body else {
            return Ok(Self { head, body });
        };
        let gathered = Limited::new(incoming, LOOKED_AT).collect().await;
        let bytes = gathered
            .map_err(|e| Refusal::new(Code::AppBadAnswer, format!("reading the app's error: {e}")))?
            .to_bytes();
        if let Some(lease) = lease {
            lease.give_back();
        }
        Ok(Self {
            head,
            body: Answer::Gathered(bytes),
        })
    }
}

/// Sends a request and waits for the head of the answer.
///
/// # Errors
/// When the app does not answer, or not with HTTP.
pub async fn send(pool: &Arc<Pool>, request: UpstreamRequest) -> Result<UpstreamResponse, Refusal> {
    let (response, lease) = pool.send(request.into_http()).await?;
    Ok(UpstreamResponse::streamed(response, Some(lease)))
}

/// What an error of the upstream connection means to the visitor.
fn upstream_error(error: hyper::Error) -> Refusal {
    if error.is_parse() || error.is_incomplete_message() {
        Refusal::new(
            Code::AppBadAnswer,
            format!("the app's answer is no HTTP: {error}"),
        )
    } else if error.is_user() {
        // The browser's own body failed: it hung up or broke its framing.
        Refusal::new(
            Code::RequestMalformed,
            format!("the request body ended early: {error}"),
        )
    } else {
        Refusal::new(Code::AppUnavailable, format!("the app hung up: {error}"))
    }
}

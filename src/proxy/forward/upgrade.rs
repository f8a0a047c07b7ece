//! The WebSocket handshake through the bridge: a connection of its own to the app, a tunnel only
//! after a 101 that answers our very handshake (T27), registered before its first byte.

use super::tunnel;
use super::tunnels::{Cut, Registration};
use super::{Pool, upstream_error};
use crate::apps::Rules;
use crate::error::{Code, Refusal};
use crate::proxy::body::UpstreamBody;
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, UPGRADE,
};
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use std::sync::Arc;
use std::time::Duration;

/// Appended to the key before hashing (RFC 6455 §4.2.2).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Time for the app's answer to an upgrade.
const ANSWER: Duration = Duration::from_secs(30);

/// The `Sec-WebSocket-Accept` that answers `key`.
#[must_use]
fn accept_for(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    STANDARD.encode(context.finish())
}

/// How an upgrade went.
pub(in crate::proxy) enum Upgrade {
    /// The app switched: here is its answer, and what carries the socket once the browser's side
    /// has switched too.
    Switched(Response<()>, Carry),
    /// The app answered otherwise: an ordinary answer, its connection closes behind it.
    Answered(Response<Incoming>),
}

/// What carries an upgraded socket.
pub(in crate::proxy) struct Carry {
    app: OnUpgrade,
}

impl Carry {
    /// Waits for both sides and carries the socket to its end.
    pub(in crate::proxy) async fn run(
        self,
        browser: OnUpgrade,
        registration: Registration,
        rules: Arc<dyn Rules>,
    ) -> Option<Cut> {
        let (Ok(browser), Ok(app)) = tokio::join!(browser, self.app) else {
            return None;
        };
        tunnel::carry(browser, app, registration, rules).await
    }
}

/// Puts the handshake's own headers back, which hygiene takes out of every request.
pub(in crate::proxy) fn prepare(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // The app negotiates none (recordings/mattermost, 23); without an offer frames have no reserved
    // bits, and what a browser says can be judged.
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
}

/// Sends the handshake.
pub(in crate::proxy) async fn send(
    pool: &Pool,
    request: Request<UpstreamBody>,
    key: &HeaderValue,
) -> Result<Upgrade, Refusal> {
    let mut connection = pool.connect().await?;
    let sent = connection.sender.send_request(request);
    let sent = tokio::time::timeout(ANSWER, sent).await;
    let mut response = match sent {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(upstream_error(error)),
        Err(_) => return Err(Code::AppTimeout.into()),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Upgrade::Answered(response));
    }
    let accepted = response
        .headers()
        .get(SEC_WEBSOCKET_ACCEPT)
        .is_some_and(|a| a.as_bytes() == accept_for(key.as_bytes()).as_bytes());
    let websocket = response
        .headers()
        .get(UPGRADE)
        .is_some_and(|u| u.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !accepted || !websocket || response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err(Refusal::new(
            Code::AppBadAnswer,
            "the app's 101 does not answer our handshake",
        ));
    }
    let app = hyper::upgrade::on(&mut response);
    let (parts, _) = response.into_parts();
    Ok(Upgrade::Switched(
        Response::from_parts(parts, ()),
        Carry { app },
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_accept_of_the_rfc() {
        // RFC 6455 §1.3.
        assert_eq!(
            super::accept_for(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}

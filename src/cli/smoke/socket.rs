//! A WebSocket, as far as a walk needs one: the handshake and the first message (RFC 6455).

use super::visitor::Visitor;
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest wait for anything of it.
const PATIENCE: Duration = Duration::from_secs(15);
/// A close frame of a client's, code 1000, masked with zeroes.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

/// What came of it.
pub(super) enum Opened {
    /// The first text that came.
    Text(String),
    /// Another answer than 101.
    Refused(StatusCode),
}

/// Opens the app's socket with this `Origin`, waits for its first message, and closes.
pub(super) async fn open(visitor: &Visitor, path: &str, origin: &str) -> anyhow::Result<Opened> {
    let opened = connect(visitor, path, origin);
    tokio::time::timeout(PATIENCE, opened)
        .await
        .context("no answer within 15 s")?
}

async fn connect(visitor: &Visitor, path: &str, origin: &str) -> anyhow::Result<Opened> {
    let (host, port, tls) = visitor.place().context("the address names no host")?;
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    if !tls {
        return shake(visitor, stream, path, origin).await;
    }
    let mut config = rustls::ClientConfig::clone(&visitor.tls);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host)?;
    let connector = TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector.connect(name, stream).await?;
    shake(visitor, stream, path, origin).await
}

async fn shake(
    visitor: &Visitor,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    path: &str,
    origin: &str,
) -> anyhow::Result<Opened> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::get(path).body(Empty::<bytes::Bytes>::new())?;
    *request.headers_mut() = visitor.headers();
    let key = STANDARD.encode(uuid::Uuid::new_v4().as_bytes());
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", &key),
        ("origin", origin),
    ] {
        let value = HeaderValue::from_str(value)?;
        request
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    let mut response = sender.send_request(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Opened::Refused(response.status()));
    }
    let mut socket = TokioIo::new(hyper::upgrade::on(&mut response).await?);
    loop {
        let (kind, bytes) = frame(&mut socket).await?;
        match kind {
            1 => {
                let _ = socket.write_all(&CLOSE).await;
                return Ok(Opened::Text(String::from_utf8_lossy(&bytes).into_owned()));
            }
            8 => bail!("it was closed before it said anything"),
            _ => {}
        }
    }
}

/// One frame of the server's: its opcode and what is in it.
async fn frame(from: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<(u8, Vec<u8>)> {
    let head = from.read_u16().await?.to_be_bytes();
    let length = match head[1] & 0x7f {
        126 => usize::from(from.read_u16().await?),
        127 => bail!("its first message is longer than 64 KiB"),
        short => usize::from(short),
    };
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok((head[0] & 0x0f, bytes))
}

//! A WebSocket client that is not ours, on a stream that keeps what it reads.

use super::PATIENCE;
use super::taint::Taint;
use super::wire::{Response, read_head};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// An open socket.
pub struct Socket {
    stream: WebSocketStream<Recording>,
    /// The head of the 101.
    pub head: Response,
}

/// How a socket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By a close frame with this code; `None`: without one.
    Closed(Option<u16>),
    /// Without a close frame.
    Dropped,
}

impl Socket {
    /// Sends the handshake `request`.
    ///
    /// # Errors
    /// The answer, when it is not 101.
    pub async fn open(address: SocketAddr, request: &[u8], taint: Taint) -> Result<Self, Response> {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the server listens");
        stream.write_all(request).await.expect("the server reads");
        let mut raw = Vec::new();
        let head = tokio::time::timeout(PATIENCE, read_head(&mut stream, &mut raw))
            .await
            .expect("an answer in time")
            .expect("an answer");
        taint.downstream("the answer to an upgrade", &raw);
        if head.status != 101 {
            let length = head
                .header("content-length")
                .and_then(|length| length.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            let _ = stream.read_exact(&mut body).await;
            taint.downstream("the body of a refused upgrade", &body);
            return Err(Response { body, ..head });
        }
        let stream = Recording { stream, taint };
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Ok(Self { stream, head })
    }

    /// Sends a message of the app's own protocol.
    pub async fn send(&mut self, message: &Value) {
        let text = message.to_string();
        self.stream
            .send(Message::text(text))
            .await
            .expect("an open socket");
    }

    /// The first message that `wanted` accepts; others are passed over.
    pub async fn message(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let search = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let value: Value = serde_json::from_str(&text).expect("JSON");
                        if wanted(&value) {
                            return value;
                        }
                    }
                    Some(Ok(Message::Close(frame))) => panic!("closed before {what}: {frame:?}"),
                    Some(Ok(_)) => {}
                    other => panic!("ended before {what}: {other:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .unwrap_or_else(|_| panic!("no {what}"))
    }

    /// The next event of this name.
    pub async fn event(&mut self, name: &str) -> Value {
        self.message(name, |message| message["event"] == name).await
    }

    /// Waits for the end and says how it came.
    pub async fn ended(mut self) -> End {
        let wait = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Close(frame))) => {
                        return End::Closed(frame.map(|frame| frame.code.into()));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return End::Dropped,
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the socket ends")
    }
}

/// A stream that shows the taint scan all it reads.
struct Recording {
    stream: TcpStream,
    taint: Taint,
}

impl AsyncRead for Recording {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.taint.downstream("a socket", &buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recording {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

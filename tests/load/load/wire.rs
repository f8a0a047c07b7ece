//! The browser's side: what is sent through Pomerium, and how answers are read.

use crate::sign::{HOST, Signer};
use anyhow::{Context, bail};
use rustls_pki_types::ServerName;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Everybody's cookies, and a token for each request to come.
pub(crate) struct Visitor {
    cookies: Vec<String>,
    tokens: Vec<String>,
}

impl Visitor {
    pub(crate) fn load(keys: &str, cookies: &str, count: usize) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(cookies).with_context(|| cookies.to_owned())?;
        let cookies: Vec<String> = text.lines().map(str::to_owned).collect();
        anyhow::ensure!(!cookies.is_empty(), "no cookies yet");
        let signer = Signer::load(Path::new(keys))?;
        let tokens: Result<Vec<_>, _> = (0..count)
            .map(|number| signer.assertion(number % cookies.len()))
            .collect();
        Ok(Self {
            tokens: tokens?,
            cookies,
        })
    }

    fn head(&self, number: usize, path: &str, more: &str) -> Vec<u8> {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
             Accept: */*\r\nAccept-Language: en\r\nX-Requested-With: XMLHttpRequest\r\n\
             X-Forwarded-For: 192.0.2.10\r\nX-Forwarded-Proto: https\r\n\
             X-Request-Id: 7c1f64a0-7a1c-4f0e-9c54-3d1c5f8f2a11\r\nSec-Fetch-Site: same-origin\r\n\
             {more}Cookie: {}\r\nX-Pomerium-Jwt-Assertion: {}\r\n\r\n",
            self.cookies[number % self.cookies.len()],
            // Beyond what was made a token goes out again: few enough to be a retry.
            self.tokens[number % self.tokens.len()],
        )
        .into_bytes()
    }

    pub(crate) fn request(&self, number: usize, path: &str) -> Vec<u8> {
        self.head(number, path, "")
    }

    pub(crate) fn upgrade(&self, number: usize) -> Vec<u8> {
        let more = format!(
            "Origin: https://{HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        self.head(number, "/api/v4/websocket", &more)
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) length: usize,
}

/// What bytes go over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

pub(crate) struct Connection {
    io: Box<dyn Io>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> anyhow::Result<Self> {
        let io = TcpStream::connect(("127.0.0.1", port)).await?;
        io.set_nodelay(true)?;
        let io: Box<dyn Io> = match std::env::var_os("LOAD_TLS") {
            None => Box::new(io),
            Some(folder) => {
                let connector = TlsConnector::from(Arc::new(client(Path::new(&folder))?));
                let name = ServerName::try_from("localhost")?;
                Box::new(connector.connect(name, io).await?)
            }
        };
        let buffer = Vec::with_capacity(16 << 10);
        Ok(Self { io, buffer })
    }

    /// An upgraded connection, nothing of whose frames has been read.
    pub(crate) async fn upgrade(port: u16, request: &[u8]) -> anyhow::Result<Box<dyn Io>> {
        let mut connection = Self::open(port).await?;
        connection.io.write_all(request).await?;
        let (status, _, body) = connection.head().await?;
        anyhow::ensure!(
            status == 101 && body == connection.buffer.len(),
            "status {status}"
        );
        Ok(connection.io)
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn get(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.io.write_all(request).await?;
        let (status, length, body) = self.head().await?;
        let mut have = self.buffer.len() - body;
        let mut rest = [0; 64 << 10];
        while have < length {
            match self.io.read(&mut rest).await? {
                0 => bail!("the answer ends early"),
                n => have += n,
            }
        }
        self.buffer.clear();
        Ok(Answer { status, length })
    }

    /// Reads a head: status, content length, and where the body begins in the buffer.
    async fn head(&mut self) -> anyhow::Result<(u16, usize, usize)> {
        self.buffer.clear();
        loop {
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                bail!("hung up");
            }
            let mut lines = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Response::new(&mut lines);
            if let httparse::Status::Complete(body) = head.parse(&self.buffer)? {
                let length = head
                    .headers
                    .iter()
                    .find(|h| h.name.eq_ignore_ascii_case("content-length"))
                    .and_then(|h| std::str::from_utf8(h.value).ok()?.parse().ok())
                    .unwrap_or(0);
                return Ok((head.code.unwrap_or(0), length, body));
            }
        }
    }
}

/// What Pomerium would show and believe, as its files say now.
fn client(folder: &Path) -> anyhow::Result<rustls::ClientConfig> {
    let file = |name: &str| folder.join(name);
    let files = auth_manager::tls::ClientFiles {
        ca: Some(file("ca.pem")),
        identity: Some((file("client.pem"), file("client-key.pem"))),
        h2: false,
    };
    Ok(files.load()?)
}

/// A masked text frame there and back.
pub(crate) async fn echo(socket: &mut Box<dyn Io>) -> anyhow::Result<()> {
    const SENT: [u8; 8] = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    socket.write_all(&SENT).await?;
    let mut back = [0; 4];
    socket.read_exact(&mut back).await?;
    anyhow::ensure!(back == [0x81, 2, b'h', b'i'], "{back:?} is no echo");
    Ok(())
}

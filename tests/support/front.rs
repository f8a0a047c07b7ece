//! What stands before the stand-in: plays an app that answers strangely at chosen paths, and lets
//! everything else through. Also moves the app below a base path.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A request as it arrived; its body is still in the stream.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub target: String,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// The first value of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }
}

type Playing = Pin<Box<dyn Future<Output = ()> + Send>>;
type Play = Arc<dyn Fn(Asked, TcpStream) -> Playing + Send + Sync>;

/// Parts to play, by path.
#[derive(Clone, Default)]
pub struct Front {
    parts: HashMap<String, Play>,
    base: String,
}

impl Front {
    /// Takes over a connection whose request is for exactly this path (its query aside).
    pub fn play<F>(
        mut self,
        path: &str,
        part: impl Fn(Asked, TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let part: Play = Arc::new(move |asked, stream| Box::pin(part(asked, stream)));
        self.parts.insert(path.into(), part);
        self
    }

    /// Answers with these bytes, then closes.
    pub fn answer(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        self.play(path, move |_, mut stream| {
            let bytes = Arc::clone(&bytes);
            async move {
                stream.write_all(&bytes).await.ok();
                stream.shutdown().await.ok();
                // A reset would take away what the other side has not read yet.
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.ok();
            }
        })
    }

    /// The app is below this path, `/chat`; nothing is there without it.
    pub fn below(mut self, base: &str) -> Self {
        self.base = base.into();
        self
    }

    /// Starts it before the server at `app`.
    pub async fn start(self, app: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let front = self.clone();
                tokio::spawn(async move { front.serve(stream, app).await });
            }
        });
        address
    }

    async fn serve(self, mut stream: TcpStream, app: SocketAddr) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let (line, fields) = text.trim_end().split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let asked = Asked {
            method: method.into(),
            target: target.into(),
            headers: fields
                .split("\r\n")
                .filter_map(|field| field.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into()))
                .collect(),
        };
        let path = target.split('?').next()?;
        if let Some(part) = self.parts.get(path) {
            part(asked, stream).await;
            return Some(());
        }
        let Some(below) = target.strip_prefix(&self.base) else {
            let answer =
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return stream.write_all(answer).await.ok();
        };
        // One request a connection, so that each one passes here; a socket keeps its own word.
        let close = match asked.header("upgrade") {
            None => "Connection: close\r\n",
            Some(_) => "",
        };
        let fields: Vec<&str> = fields
            .split("\r\n")
            .filter(|f| close.is_empty() || !f.to_ascii_lowercase().starts_with("connection:"))
            .collect();
        let below = if below.is_empty() { "/" } else { below };
        let head = format!(
            "{method} {below} HTTP/1.1\r\n{close}{}\r\n\r\n",
            fields.join("\r\n")
        );
        let mut server = TcpStream::connect(app).await.ok()?;
        server.write_all(head.as_bytes()).await.ok()?;
        copy_bidirectional(&mut stream, &mut server).await.ok()?;
        Some(())
    }
}

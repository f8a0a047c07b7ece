//! HTTP/1.1 as bytes: what is sent is exactly what the test wrote, what is read is kept whole.

use super::PATIENCE;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without transfer coding.
    pub body: Vec<u8>,
    /// As received, coding included.
    pub raw: Vec<u8>,
}

impl Response {
    /// The first value of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {} {}", self.status, self.text()))
    }
}

/// One request on a connection of its own. Panics when nothing comes back.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    stream.write_all(request).await.expect("the server reads");
    let head_only = request.starts_with(b"HEAD ");
    read_response(&mut stream, head_only)
        .await
        .expect("the server answers")
}

/// Everything the other side says until it closes, for requests that deserve no good answer.
pub async fn exchange_raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    // A server may close before it has read all; what it said is what counts.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("the server closes").ok();
    answer
}

/// Reads one response; `None` when the connection ends before a whole one.
pub async fn read_response(
    stream: &mut (impl AsyncRead + Unpin),
    head_only: bool,
) -> Option<Response> {
    let read = async {
        let mut raw = Vec::new();
        let mut response = read_head(stream, &mut raw).await?;
        let bodyless = head_only || matches!(response.status, 100..=199 | 204 | 304);
        if bodyless {
        } else if response
            .header("transfer-encoding")
            .is_some_and(|value| value.contains("chunked"))
        {
            response.body = read_chunks(stream, &mut raw).await?;
        } else if let Some(length) = response.header("content-length") {
            let length: usize = length.parse().ok()?;
            response.body = vec![0; length];
            stream.read_exact(&mut response.body).await.ok()?;
            raw.extend_from_slice(&response.body);
        } else {
            stream.read_to_end(&mut response.body).await.ok()?;
            raw.extend_from_slice(&response.body);
        }
        response.raw = raw;
        Some(response)
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("an answer in time")
}

/// Reads a head only and leaves the stream right behind it.
pub async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    raw: &mut Vec<u8>,
) -> Option<Response> {
    let start = raw.len();
    while !raw[start..].ends_with(b"\r\n\r\n") {
        raw.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&raw[start..]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Response {
        status,
        headers,
        body: Vec::new(),
        raw: raw[start..].to_vec(),
    })
}

async fn read_chunks(stream: &mut (impl AsyncRead + Unpin), raw: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let start = raw.len();
        while !raw[start..].ends_with(b"\r\n") {
            raw.push(stream.read_u8().await.ok()?);
        }
        let line = String::from_utf8_lossy(&raw[start..raw.len() - 2]).into_owned();
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        // The last chunk ends with an empty line; nobody here sends trailers.
        stream.read_exact(&mut chunk).await.ok()?;
        raw.extend_from_slice(&chunk);
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

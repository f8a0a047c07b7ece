//! HTTP/1.1 by hand: recordings are about the letter case and the order of header lines, which a
//! client library would hide.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer of the stand-in takes this long.
const LIMIT: Duration = Duration::from_secs(20);

/// A request as it goes out.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer as it came in.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(to: SocketAddr, request: &Request) -> Response {
    let mut stream = TcpStream::connect(to).await.expect("the stand-in listens");
    let chunked = request
        .headers
        .iter()
        .any(|(name, _)| name == "Transfer-Encoding");
    let mut bytes = head(request, chunked);
    if chunked {
        for chunk in request.body.chunks(1_000) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
    } else {
        bytes.extend(&request.body);
    }
    let (mut reading, mut writing) = stream.split();
    // An early 413 may close the connection under the upload: not our failure.
    let upload = async { drop(writing.write_all(&bytes).await) };
    let download = receive(&mut reading, request.method == "HEAD");
    let both = async { tokio::join!(upload, download).1 };
    tokio::time::timeout(LIMIT, both)
        .await
        .expect("an answer in time")
}

fn head(request: &Request, chunked: bool) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        if name != "Content-Length" {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let bodied = !request.body.is_empty() || ["POST", "PUT"].contains(&request.method.as_str());
    if bodied && !chunked {
        text.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

async fn receive(from: &mut (impl AsyncReadExt + Unpin), bodiless: bool) -> Response {
    let (mut response, mut rest) = receive_head(from).await;
    if bodiless || [101, 204, 304].contains(&response.status) {
        return response;
    }
    let length = response
        .header("Content-Length")
        .or_else(|| response.header("content-length"))
        .and_then(|text| text.parse::<usize>().ok());
    let mut buffer = [0u8; 16_384];
    while length.is_none_or(|length| rest.len() < length) {
        if length.is_none() && rest.ends_with(b"0\r\n\r\n") {
            break;
        }
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => rest.extend(&buffer[..count]),
        }
    }
    response.body = if length.is_none() && response.header("Transfer-Encoding").is_some() {
        unchunk(&rest)
    } else {
        rest
    };
    response
}

/// Reads a head; what came behind it is given back beside.
pub(crate) async fn receive_head(from: &mut (impl AsyncReadExt + Unpin)) -> (Response, Vec<u8>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match from.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(error) => panic!("no whole head came back: {error}"),
        }
    };
    let text = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .expect("a status line");
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let status = status.parse().expect("a status");
    (
        Response {
            status,
            headers,
            body: Vec::new(),
        },
        bytes[end + 4..].to_vec(),
    )
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let size = usize::from_str_radix(&size, 16).expect("a chunk size");
        if size == 0 {
            break;
        }
        body.extend(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    body
}

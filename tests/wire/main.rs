//! Attack tables on raw bytes: what hyper and station 1 together make of a head.

mod smuggling;

use auth_manager::config::Limits;
use auth_manager::proxy::edge;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMITS: Limits = Limits {
    head: 196_608,
    assertion: 65_536,
    head_timeout: Duration::from_secs(30),
    connections: 20_000,
    drain: Duration::from_secs(30),
    notice: Duration::ZERO,
};

/// What came of some bytes on one connection.
#[derive(Debug)]
struct Outcome {
    /// `METHOD target body` of each request that would have been forwarded.
    forwarded: Vec<String>,
    /// The first answer's status, if there was one.
    status: Option<u16>,
}

/// Sends raw bytes down one connection and closes its writing side.
async fn send(bytes: &[u8]) -> Outcome {
    let forwarded = Arc::new(Mutex::new(Vec::new()));
    let seen = forwarded.clone();
    let service = service_fn(move |request| answer(request, seen.clone()));
    let (mut client, server) = tokio::io::duplex(1 << 20);
    // Half-closed, so that whatever it takes for a second request is served, too.
    let serve = http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let talk = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A connection that hyper aborts is an answer, too.
        let _ = client.read_to_end(&mut answer).await;
        answer
    };
    let (_, answer) = tokio::join!(serve, talk);
    let answer = String::from_utf8_lossy(&answer);
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .map(|rest| rest[..3].parse().unwrap());
    let forwarded = forwarded.lock().unwrap().clone();
    Outcome { forwarded, status }
}

async fn answer(
    request: Request<Incoming>,
    forwarded: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let clean = match edge::clean(parts, &LIMITS) {
        Ok(clean) => clean,
        Err(refusal) => return Ok(status(refusal.code.status())),
    };
    let Ok(body) = body.collect().await else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let line = format!("{} {} {body}", clean.method(), clean.target());
    forwarded.lock().unwrap().push(line.trim_end().to_owned());
    Ok(status(StatusCode::OK))
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}

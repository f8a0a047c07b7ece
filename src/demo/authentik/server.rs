//! Accepts connections and takes each request through journal, faults, checks and handler.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Refusal, finish};
use super::call::Call;
use super::controls::StandIn;
use super::credential::{self, Caller};
use super::faults::Fault;
use super::ids::new_uuid;
use super::journal::Seen;
use super::{remote, route};

const IDLE: Duration = Duration::from_secs(60);

/// The connection is closed instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct Dropped;

impl StandIn {
    /// Serves until `shutdown`; then every connection is dropped, and it returns.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    tasks.spawn(connection(self.clone(), stream, shutdown.clone()));
                }
                // Out of descriptors, or a peer gone before it was taken: others go on.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// As [`Self::serve`], for one connection that somebody else has accepted (over TLS, say).
    pub async fn serve_stream<S>(&self, stream: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let app = self.clone();
        let service = service_fn(move |request| answer(app.clone(), request));
        // Whatever broke, the connection is over and nobody is left to tell.
        let _ = http1::Builder::new()
            .title_case_headers(true)
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

async fn connection(app: StandIn, stream: TcpStream, shutdown: CancellationToken) {
    let _ = stream.set_nodelay(true);
    tokio::select! {
        () = app.serve_stream(stream) => {}
        () = shutdown.cancelled() => {}
    }
}

async fn answer(app: StandIn, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let authorization = parts.headers.get("authorization");
    let mut seen = Seen {
        method: parts.method.to_string(),
        authorization: authorization
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        target,
        status: 0,
    };
    let ours = parts.uri.path().starts_with("/-/");
    let fault = match ours {
        true => Fault::None,
        false => app.faults().take(parts.uri.path()),
    };
    let mut drop_after = false;
    match fault {
        Fault::None => {}
        Fault::Hang => {
            app.seen_journal().note(seen);
            std::future::pending::<()>().await;
            return Err(Dropped);
        }
        Fault::CloseBefore => return Err(Dropped),
        Fault::DropAfter => drop_after = true,
        Fault::Slow(time) => tokio::time::sleep(time).await,
        other => {
            let response = wrong(other);
            seen.status = response.status().as_u16();
            app.seen_journal().note(seen);
            return Ok(response);
        }
    }
    let response = handle(&app, parts, Body::new(body)).await;
    if !ours {
        seen.status = response.status().as_u16();
        app.seen_journal().note(seen);
    }
    if drop_after {
        return Err(Dropped);
    }
    Ok(response)
}

async fn handle(app: &StandIn, parts: http::request::Parts, body: Body) -> Response<Body> {
    let path = parts.uri.path().to_owned();
    let method = parts.method.as_str().to_owned();
    let below = path
        .strip_prefix("/api/v3/")
        .map(|rest| rest.trim_end_matches('/'));
    let segments: Vec<String> = below
        .map(|rest| rest.split('/').map(str::to_owned).collect())
        .unwrap_or_default();
    let borrowed: Vec<&str> = segments.iter().map(String::as_str).collect();
    let found = match below {
        Some(_) => route::api(&method, &borrowed),
        None => route::web(&method, &path),
    };
    let mut call = Call {
        app: app.clone(),
        segments,
        query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        method: parts.method,
        headers: parts.headers,
        caller: Caller::nobody(),
        body,
        path,
        request_id: new_uuid(),
    };
    if call.path == "/-/do" {
        let answer = match call.text().await {
            Ok(text) => remote::order(app, &text),
            Err(refusal) => Err(refusal),
        };
        return finish(answer, "POST");
    }
    let Some(route) = found else {
        return finish(Err(Refusal::not_found()), "");
    };
    if !route.open {
        let checked = credential::check(&mut app.state(), &call.headers);
        match checked {
            Ok(caller) => call.caller = caller,
            Err(refusal) => return finish(Err(refusal), route.allow),
        }
    }
    finish((route.run)(call).await, route.allow)
}

/// What is answered instead.
fn wrong(fault: Fault) -> Response<Body> {
    let (status, kind, text) = match &fault {
        Fault::Status(status, text) if text.starts_with('{') => {
            (*status, "application/json", text.clone())
        }
        Fault::Status(status, text) => (*status, "text/plain; charset=utf-8", text.clone()),
        Fault::RateLimited(_) => (
            429,
            "application/json",
            "{\"detail\":\"Request was throttled.\"}".into(),
        ),
        Fault::Html => (
            502,
            "text/html",
            "<html><body><h1>502 Bad Gateway</h1></body></html>\n".into(),
        ),
        _ => (200, "application/json", String::new()),
    };
    let body = match fault {
        Fault::CloseMidBody => Body::from_stream(stream::unfold(0, |sent| async move {
            if sent == 0 {
                return Some((Ok(Bytes::from_static(b"0123456789")), 1));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Err(Dropped), 2))
        })),
        Fault::Endless => Body::from_stream(stream::repeat_with(|| {
            Ok::<_, Dropped>(Bytes::from_static(&[b' '; 65_536]))
        })),
        _ => Body::from(text),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(kind));
    match fault {
        Fault::CloseMidBody => {
            headers.insert("content-length", HeaderValue::from_static("1000"));
        }
        Fault::RateLimited(seconds) => {
            headers.insert("retry-after", HeaderValue::from(seconds));
        }
        Fault::Redirect(to) => {
            *response.status_mut() = StatusCode::FOUND;
            if let Ok(to) = HeaderValue::from_str(&to) {
                response.headers_mut().insert("location", to);
            }
        }
        _ => {}
    }
    response
}

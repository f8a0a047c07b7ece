//! Accepts connections and takes each request through journal, faults, checks and handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, Refusal, Reply, Style, finish, no_such_route};
use super::call::Call;
use super::controls::StandIn;
use super::credential::check;
use super::faults::Fault;
use super::files::SHORTEST_GZIP;
use super::gzip;
use super::journal::{Done, Seen};
use super::{pages, route};

/// Idle keep-alive connections end after this time (recorded: 60.0 s).
const IDLE: Duration = Duration::from_secs(60);

/// The connection is closed instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct Dropped;

/// Counts a connection for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl StandIn {
    /// Serves until `shutdown`; then every connection and socket is dropped, and it returns.
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
}

async fn connection(app: StandIn, stream: TcpStream, shutdown: CancellationToken) {
    let _counted = Counted::new(app.connection_count());
    let _ = stream.set_nodelay(true);
    let service = {
        let shutdown = shutdown.clone();
        service_fn(move |request| answer(app.clone(), request, shutdown.clone()))
    };
    let serving = http1::Builder::new()
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // Whatever broke, the connection is over and nobody is left to tell.
        _ = serving => {}
        () = shutdown.cancelled() => {}
    }
}

async fn answer(
    app: StandIn,
    request: Request<Incoming>,
    shutdown: CancellationToken,
) -> Result<Response<Body>, Dropped> {
    let (mut parts, body) = request.into_parts();
    app.journal_of_requests().note(Seen::of(&parts));
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let fault = app.faults().take(parts.method.as_str(), parts.uri.path());
    let mut refuse_login = false;
    let mut drop_after = false;
    match fault {
        Fault::None => {}
        Fault::Hang => std::future::pending().await,
        Fault::CloseBefore => return Err(Dropped),
        Fault::CloseMidBody => return Ok(cut_short()),
        Fault::Status(status, text) => {
            let json = text.starts_with('{');
            let kind = if json {
                "application/json"
            } else {
                "text/plain; charset=utf-8"
            };
            let reply = Reply::new(status, Style::Naked, kind, text);
            return Ok(finish(Ok(reply), false, &app.options().version));
        }
        Fault::RateLimited(seconds) => {
            let done = Done::new(&parts.method, parts.uri.path(), 429);
            app.journal_of_done().note(done);
            let text = "{\"id\":\"api.context.rate_limit.app_error\",\"message\":\"limit exceeded\",\"status_code\":429}";
            let reply = Reply::new(429, Style::Naked, "application/json", text)
                .with("retry-after", &seconds.to_string());
            return Ok(finish(Ok(reply), false, &app.options().version));
        }
        Fault::Html => {
            let text = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n";
            let reply = Reply::new(502, Style::Naked, "text/html", text);
            return Ok(finish(Ok(reply), false, &app.options().version));
        }
        Fault::Slow(time) | Fault::SlowCreate(time) | Fault::SlowLogin(time) => {
            tokio::time::sleep(time).await;
        }
        Fault::RefuseLogin => refuse_login = true,
        Fault::DropAfter | Fault::DropAfterCreate => drop_after = true,
    }

    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let squeeze = parts
        .headers
        .get("accept-encoding")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let longest =
        usize::try_from(app.number("ServiceSettings", "MaximumURLLength")).unwrap_or(2048);
    let result = if target.len() > longest {
        Ok(too_long())
    } else if let Some(early) = canonical(parts.uri.path(), parts.uri.query()) {
        Ok(early)
    } else {
        let call = Call {
            app: app.clone(),
            path: percent_decode(parts.uri.path()).unwrap_or_default(),
            segments: Vec::new(),
            query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
            method: parts.method,
            headers: parts.headers,
            caller: None,
            body: Body::new(body),
            upgrade,
            shutdown,
        };
        dispatch(call, refuse_login).await
    };
    if method != Method::GET && method != Method::HEAD {
        let status = match &result {
            Ok(reply) => reply.status.as_u16(),
            Err(refusal) => refusal.status_code,
        };
        app.journal_of_done()
            .note(Done::new(&method, &path, status));
    }
    if drop_after {
        return Err(Dropped);
    }
    let result = if squeeze {
        compress(result).await
    } else {
        result
    };
    let mut response = finish(result, method == Method::GET, &app.options().version);
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    Ok(response)
}

async fn dispatch(mut call: Call, refuse_login: bool) -> Answer {
    let shutdown = call.shutdown.clone();
    let path = call.path.clone();
    let all: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let method = call.method.as_str();
    let found = match all.as_slice() {
        ["api", "v4", "websocket", ""] if method == "GET" => route::api(method, &["websocket"]),
        ["api", "v4", rest @ ..] => route::api(method, rest),
        ["api", ..] => None,
        _ => route::web(method, &all),
    };
    let Some(route) = found else {
        return Ok(if all.first() == Some(&"api") {
            no_such_route(&path)
        } else {
            pages::not_found()
        });
    };
    call.caller = check(
        &call.app,
        &call.method,
        &call.headers,
        &call.query,
        route.demands,
    )?;
    let skipped = if route.api { 2 } else { 0 };
    call.segments = all
        .iter()
        .skip(skipped)
        .map(|segment| (*segment).to_owned())
        .collect();
    let run = if refuse_login {
        route::refused_login()
    } else {
        route.run
    };
    tokio::select! {
        answer = run(call) => answer,
        () = shutdown.cancelled() => Err(Refusal::new(503, "api.context.server_busy.app_error", "Server is busy.")),
    }
}

/// Malformed, doubled and dotted paths, which Go's router answers itself (recording 16).
fn canonical(path: &str, query: Option<&str>) -> Option<Reply> {
    let Some(decoded) = percent_decode(path) else {
        let reply = Reply::new(
            400,
            Style::Naked,
            "text/plain; charset=utf-8",
            "400 Bad Request",
        );
        return Some(reply.with("connection", "close"));
    };
    let mut kept: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    if decoded.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    if clean == decoded || !path.starts_with('/') {
        return None;
    }
    let location = query.map_or_else(|| clean.clone(), |query| format!("{clean}?{query}"));
    Some(Reply::new(301, Style::Naked, "", "").with("location", &location))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn too_long() -> Reply {
    let refusal = Refusal::new(
        414,
        "basic_security_check.url.too_long_error",
        "URL is too long",
    );
    let refusal = Refusal {
        request_id: Some(super::ids::new_id()),
        ..refusal
    };
    let reply = Reply::json(414, &refusal);
    Reply {
        style: Style::Early,
        ..reply
    }
}

/// JSON of some length is compressed for those who accept it.
async fn compress(answer: Answer) -> Answer {
    let reply = answer?;
    let json = reply
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/json");
    let long = reply.body.size_hint().lower() >= SHORTEST_GZIP as u64;
    if reply.style != Style::Api || !json || !long {
        return Ok(reply);
    }
    // The bodies of handlers are in memory already, and cannot fail to be read.
    let bytes = reply
        .body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let reply = Reply {
        body: Body::from(gzip::wrap(&bytes)),
        ..reply
    };
    Ok(reply.with("content-encoding", "gzip"))
}

/// Promises 1,000 bytes and breaks off after ten, which have left by then.
fn cut_short() -> Response<Body> {
    let body = stream::unfold(0, |sent| async move {
        if sent == 0 {
            return Some((Ok(Bytes::from_static(b"0123456789")), 1));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Err(Dropped), 2))
    });
    let mut response = Response::new(Body::from_stream(body));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/json"),
    );
    headers.insert("content-length", http::HeaderValue::from_static("1000"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_as_go_cleans_them() {
        let target =
            |path| canonical(path, None).and_then(|reply| reply.headers.get("location").cloned());
        assert_eq!(target("//evil.example/x").unwrap(), "/evil.example/x");
        assert_eq!(
            target("/a/../api/v4/system/ping").unwrap(),
            "/api/v4/system/ping"
        );
        for clean in ["/", "/a/b", "/a/", "/static/", "/a%20b"] {
            assert!(target(clean).is_none(), "{clean}");
        }
        assert_eq!(
            canonical("/%zz", None).unwrap().status,
            StatusCode::BAD_REQUEST
        );
    }
}

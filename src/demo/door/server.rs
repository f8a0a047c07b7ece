//! Connections, and what becomes of each request.

use super::accept::prefers_json;
use super::forward::{Body, empty, forward, full};
use super::head::{COOKIE_NAME, Facts, is_websocket, session_handle, upstream};
use super::mint::{Claims, MintError, Minter};
use super::pages::{Chooser, Notice};
use super::people::Person;
use super::sessions::{Sessions, SignedIn};
use askama::Template;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LOCATION, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const HTML: &str = "text/html; charset=UTF-8";
const JSON: &str = "application/json";
/// The chooser's form: a subject and a path.
const FORM_LIMIT: usize = 16 * 1024;

/// How visitors reach the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS, on loopback: the demo on this machine. The door's own cookie is then not
    /// `Secure`.
    Http,
    /// Said to the upstream as `X-Forwarded-Proto`, though the door itself never speaks TLS: for
    /// tests, which speak to it in place of a TLS terminator.
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What a door is made of.
#[derive(Clone, Debug)]
pub struct DoorOptions {
    /// The bridge.
    pub upstream: SocketAddr,
    /// The only host that routes, without port; any other gets 404, as from Pomerium.
    pub host: String,
    /// Who may be chosen.
    pub people: Vec<Person>,
    /// How visitors reach the door.
    pub scheme: Scheme,
}

/// A simulated Pomerium in front of one app.
pub struct Door {
    options: DoorOptions,
    minter: Arc<Minter>,
    sessions: Sessions,
}

impl Door {
    /// A door with a signing key of its own.
    ///
    /// # Errors
    /// [`MintError`] when the system has no randomness.
    pub fn new(options: DoorOptions) -> Result<Self, MintError> {
        Ok(Self::with_signer(options, Arc::new(Minter::generate()?)))
    }

    /// A door that signs with a key made elsewhere: the bridge may then have its public half before
    /// the door knows where the bridge is.
    #[must_use]
    pub fn with_signer(options: DoorOptions, minter: Arc<Minter>) -> Self {
        Self {
            options,
            minter,
            sessions: Sessions::default(),
        }
    }

    /// The signing key, for minting what a running door would not.
    #[must_use]
    pub fn signer(&self) -> &Arc<Minter> {
        &self.minter
    }

    /// The key set it serves.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.minter.jwks()
    }

    /// Signs `person` in behind the chooser's back and gives the value of the `_pomerium` cookie.
    ///
    /// # Errors
    /// [`MintError`] when the system has no randomness.
    pub fn sign_in(&self, person: Person) -> Result<String, MintError> {
        self.sessions.open(person)
    }

    /// The session id of a `_pomerium` cookie, while it lives.
    #[must_use]
    pub fn sid(&self, handle: &str) -> Option<String> {
        self.sessions.find(handle).map(|session| session.sid)
    }

    /// Serves until `cancel`, then drops every connection.
    ///
    /// # Errors
    /// When the listener itself breaks; a failed connection is only that.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        cancel: CancellationToken,
    ) -> std::io::Result<()> {
        let tasks = TaskTracker::new();
        while let Some(accepted) = cancel.run_until_cancelled(listener.accept()).await {
            let (stream, peer) = accepted?;
            // Small frames are latency, not throughput; failing to set this only costs time.
            let _ = stream.set_nodelay(true);
            let connection =
                Arc::clone(&self).connection(stream, peer, tasks.clone(), cancel.clone());
            tasks.spawn(connection);
        }
        tasks.close();
        tasks.wait().await;
        Ok(())
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) {
        let service = hyper::service::service_fn(|request| {
            let (door, tasks, cancel) = (Arc::clone(&self), tasks.clone(), cancel.clone());
            async move { Ok::<_, Infallible>(door.answer(request, peer, &tasks, &cancel).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .preserve_header_case(true)
            // Pomerium accepts 1000 header lines and 128 KiB; hyper's default is 100 lines.
            .max_headers(1000)
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // A client that goes away is no news.
        let _ = cancel.run_until_cancelled(connection).await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Response<Body> {
        let request_id = Uuid::new_v4().to_string();
        let request = origin_form(request);
        let mut response = match self.own(request, &request_id).await {
            Ok(response) => response,
            Err((request, session)) => {
                self.pass(request, &session, peer, &request_id, tasks, cancel)
                    .await
            }
        };
        let headers = response.headers_mut();
        headers.insert("x-frame-options", HeaderValue::from_static("SAMEORIGIN"));
        headers.insert(
            "x-xss-protection",
            HeaderValue::from_static("1; mode=block"),
        );
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            headers.insert("x-request-id", id);
        }
        response
    }

    /// The door's own answer, or the request back with the session it may pass under.
    async fn own(
        &self,
        request: Request<Incoming>,
        request_id: &str,
    ) -> Result<Response<Body>, (Request<Incoming>, SignedIn)> {
        let headers = request.headers();
        let path = request.uri().path();
        if headers.keys().any(|name| name.as_str().contains('_')) || has_escaped_slash(path) {
            return Ok(plain(StatusCode::BAD_REQUEST, "text/plain", ""));
        }
        if !hostname(headers).eq_ignore_ascii_case(&self.options.host) {
            let notice = Notice::new("404 Not Found", "No route of the door has this host.");
            return Ok(page(StatusCode::NOT_FOUND, &notice));
        }
        let get = request.method() == Method::GET;
        match path {
            "/ping" | "/healthz" if get => return Ok(plain(StatusCode::OK, "text/plain", "OK\n")),
            "/.well-known/pomerium/jwks.json" if get => return Ok(self.serve_keys(headers)),
            "/.well-known/pomerium" | "/.well-known/pomerium/" if get => {
                return Ok(self.discovery(headers));
            }
            "/.pomerium/sign_in" => return Ok(self.sign_in_page(request).await),
            "/.pomerium/sign_out" if get || request.method() == Method::POST => {
                return Ok(self.sign_out(headers));
            }
            "/.pomerium/signed_out" if get => {
                return Ok(page(StatusCode::OK, &Notice::signed_out()));
            }
            _ if path == "/.pomerium"
                || path.starts_with("/.pomerium/")
                || path.starts_with("/.well-known/pomerium") =>
            {
                let notice = Notice::new("404 Not Found", "The door has no such page.");
                return Ok(page(StatusCode::NOT_FOUND, &notice));
            }
            _ => {}
        }
        match session_handle(headers).and_then(|handle| self.sessions.find(handle)) {
            Some(session) => {
                let upgrade = headers.contains_key(http::header::UPGRADE);
                if upgrade && !is_websocket(headers) {
                    return Ok(plain(StatusCode::FORBIDDEN, "text/plain", ""));
                }
                Err((request, session))
            }
            None => Ok(unauthenticated(&request, request_id)),
        }
    }

    async fn pass(
        &self,
        request: Request<Incoming>,
        session: &SignedIn,
        peer: SocketAddr,
        request_id: &str,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Response<Body> {
        let json = prefers_json(text(request.headers(), &ACCEPT));
        let claims = Claims::new(&session.person, &session.sid, hostname(request.headers()));
        let Ok(assertion) = self.minter.mint(&claims) else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "");
        };
        let verified = session
            .person
            .email_verified
            .map(|verified| verified.to_string());
        let facts = Facts {
            peer: &peer.ip().to_canonical().to_string(),
            proto: self.options.scheme.name(),
            request_id,
            assertion: &assertion,
            email_verified: verified.as_deref().unwrap_or_default(),
            username: session.person.username.as_deref().unwrap_or_default(),
        };
        let (mut parts, body) = request.into_parts();
        parts.headers = upstream(&parts.headers, &facts);
        let request = Request::from_parts(parts, body);
        match forward(request, self.options.upstream, tasks, cancel).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(%error, "door: upstream failed");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                if json {
                    let body = serde_json::json!({
                        "requestId": request_id, "status": "503", "statusText": error.to_string(),
                    });
                    plain(status, JSON, &body.to_string())
                } else {
                    page(
                        status,
                        &Notice::new("503 Service Unavailable", &error.to_string()),
                    )
                }
            }
        }
    }

    fn serve_keys(&self, headers: &HeaderMap) -> Response<Body> {
        // The key never changes, so its own id is as good an ETag as a hash.
        let tag = format!("\"{}\"", self.minter.kid().get(..16).unwrap_or_default());
        let same = text(headers, &IF_NONE_MATCH) == Some(&tag);
        let mut response = if same {
            plain(StatusCode::NOT_MODIFIED, JSON, "")
        } else {
            plain(StatusCode::OK, JSON, &self.jwks())
        };
        set(&mut response, &CACHE_CONTROL, "max-age=60");
        set(&mut response, &ETAG, &tag);
        response
    }

    fn discovery(&self, headers: &HeaderMap) -> Response<Body> {
        let host = text(headers, &HOST).unwrap_or_default();
        let origin = format!("{}://{host}", self.options.scheme.name());
        let body = serde_json::json!({
            "issuer": format!("{origin}/"),
            "jwks_uri": format!("{origin}/.well-known/pomerium/jwks.json"),
            "frontchannel_logout_uri": format!("{origin}/.pomerium/sign_out"),
        });
        plain(StatusCode::OK, JSON, &body.to_string())
    }

    async fn sign_in_page(&self, request: Request<Incoming>) -> Response<Body> {
        if request.method() == Method::GET {
            let query = request.uri().query().unwrap_or_default();
            let back = field(query.as_bytes(), "pomerium_redirect_uri").unwrap_or_default();
            return page(
                StatusCode::OK,
                &Chooser::new(&self.options.people, local(&back)),
            );
        }
        if request.method() != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "");
        }
        let Ok(form) = Limited::new(request.into_body(), FORM_LIMIT)
            .collect()
            .await
        else {
            return plain(StatusCode::BAD_REQUEST, "text/plain", "");
        };
        let form = form.to_bytes();
        let chosen = field(&form, "person").unwrap_or_default();
        let Some(person) = self
            .options
            .people
            .iter()
            .find(|person| person.sub == chosen)
        else {
            return plain(
                StatusCode::BAD_REQUEST,
                "text/plain",
                "nobody of that name\n",
            );
        };
        let Ok(handle) = self.sessions.open(person.clone()) else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "");
        };
        let back = field(&form, "pomerium_redirect_uri").unwrap_or_default();
        let mut response = redirect(StatusCode::SEE_OTHER, local(&back));
        // Pomerium's own cookie has no SameSite and lives 14 hours.
        self.set_session_cookie(&mut response, &handle, 14 * 3600);
        response
    }

    fn sign_out(&self, headers: &HeaderMap) -> Response<Body> {
        if let Some(handle) = session_handle(headers) {
            self.sessions.close(handle);
        }
        let mut response = redirect(StatusCode::FOUND, "/.pomerium/signed_out");
        self.set_session_cookie(&mut response, "", 0);
        response
    }

    fn set_session_cookie(&self, response: &mut Response<Body>, handle: &str, max_age: u32) {
        let secure = match self.options.scheme {
            Scheme::Https => "; Secure",
            Scheme::Http => "",
        };
        let cookie = format!("{COOKIE_NAME}={handle}; Path=/; Max-Age={max_age}; HttpOnly{secure}");
        set(response, &SET_COOKIE, &cookie);
        set(response, &CACHE_CONTROL, "no-store");
    }
}

/// A 401 for who prefers JSON, a redirect to the chooser for everyone else, sockets included
/// (recording 03c).
fn unauthenticated(request: &Request<Incoming>, request_id: &str) -> Response<Body> {
    if prefers_json(text(request.headers(), &ACCEPT)) {
        let body = format!(r#"{{"error":"Unauthenticated","request_id":"{request_id}"}}"#);
        return plain(StatusCode::UNAUTHORIZED, JSON, &body);
    }
    let wanted = request
        .uri()
        .path_and_query()
        .map_or("/", |wanted| wanted.as_str());
    let back: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    let target = format!("/.pomerium/sign_in?pomerium_redirect_uri={back}");
    let mut response = redirect(StatusCode::FOUND, &target);
    set(&mut response, &CACHE_CONTROL, "no-store");
    response
}

/// An absolute-form target overrides `Host` (recordings/pomerium README, difference 20).
fn origin_form(mut request: Request<Incoming>) -> Request<Incoming> {
    if let Some(authority) = request.uri().authority().cloned() {
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            request.headers_mut().insert(HOST, host);
        }
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map_or_else(Default::default, Into::into);
    }
    request
}

/// A path of this host, or `/`: the chooser redirects nowhere else.
fn local(back: &str) -> &str {
    let elsewhere = back.starts_with("//") || back.contains(['\\', '\r', '\n']);
    if back.starts_with('/') && !elsewhere {
        back
    } else {
        "/"
    }
}

/// The request's host without port, letter case kept (recording 01, mixed-case Host).
fn hostname(headers: &HeaderMap) -> &str {
    let host = text(headers, &HOST).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// `path_with_escaped_slashes_action: REJECT`, Pomerium's default since 0.33.
fn has_escaped_slash(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    path.contains("%2f") || path.contains("%5c")
}

fn field(form: &[u8], wanted: &str) -> Option<String> {
    url::form_urlencoded::parse(form)
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn set(response: &mut Response<Body>, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn plain(status: StatusCode, kind: &'static str, body: &str) -> Response<Body> {
    let body = if body.is_empty() {
        empty()
    } else {
        full(body.to_owned())
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set(&mut response, &CONTENT_TYPE, kind);
    response
}

fn page(status: StatusCode, template: &impl Template) -> Response<Body> {
    // Writing into a String fails for no template of ours.
    let mut response = plain(status, HTML, &template.render().unwrap_or_default());
    set(&mut response, &CACHE_CONTROL, "no-cache, must-revalidate");
    set(
        &mut response,
        &HeaderName::from_static("x-pomerium-intercepted-response"),
        "true",
    );
    response
}

fn redirect(status: StatusCode, target: &str) -> Response<Body> {
    let mut response = plain(status, HTML, "");
    set(&mut response, &LOCATION, target);
    set(
        &mut response,
        &HeaderName::from_static("x-pomerium-intercepted-response"),
        "true",
    );
    response
}

#[cfg(test)]
mod tests;

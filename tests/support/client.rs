//! A browser's HTTP behaviour by hand, behind a Pomerium that mints for it: what the bridge sees
//! of a visitor, and a record of every byte the visitor sees of the bridge.

use super::socket::Socket;
use super::taint::Taint;
use super::wire::{Response, exchange};
use auth_manager::demo::door::{Claims, Minter, Person};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use uuid::Uuid;

/// One browser.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub host: String,
    pub origin: String,
    pub person: Person,
    /// Pomerium's session id.
    pub sid: String,
    /// Name → value.
    pub cookies: BTreeMap<String, String>,
    pub language: String,
    pub minter: Arc<Minter>,
    pub taint: Taint,
}

/// A request to be sent; [`Client::page`] and [`Client::api`] give the usual ones.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Beside host, cookies, assertion and framing.
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// Values of `X-Pomerium-Jwt-Assertion` lines; `None`: one fresh genuine one.
    pub assertions: Option<Vec<String>>,
    /// The `Cookie` line; `None`: the jar's.
    pub cookie: Option<String>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: None,
            assertions: None,
            cookie: None,
        }
    }

    /// Adds a header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Takes a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// These assertion lines instead of a genuine one.
    pub fn assertions(mut self, values: &[&str]) -> Self {
        self.assertions = Some(values.iter().map(|value| (*value).into()).collect());
        self
    }

    /// This `Cookie` line instead of the jar's.
    pub fn cookie(mut self, line: &str) -> Self {
        self.cookie = Some(line.into());
        self
    }
}

impl Client {
    pub fn new(
        address: SocketAddr,
        host: &str,
        person: Person,
        minter: Arc<Minter>,
        taint: Taint,
    ) -> Self {
        Self {
            address,
            host: host.into(),
            origin: format!("https://{host}"),
            person,
            sid: Uuid::new_v4().to_string(),
            cookies: BTreeMap::new(),
            language: "en".into(),
            minter,
            taint,
        }
    }

    /// The same browser after signing in at Pomerium anew as `person`: cookies stay.
    pub fn signs_in_as(&mut self, person: Person) {
        self.person = person;
        self.sid = Uuid::new_v4().to_string();
    }

    /// The claims Pomerium would send now.
    pub fn claims(&self) -> Claims {
        Claims::new(&self.person, &self.sid, &self.host)
    }

    /// A navigation in the address bar.
    pub fn page(&self, target: &str) -> Request {
        Request::new("GET", target)
            .header(
                "Accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            )
            .header("Accept-Language", &self.language)
            .header("Sec-Fetch-Site", "none")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
            .header("Upgrade-Insecure-Requests", "1")
    }

    /// A call of the web app: as its client writes it.
    pub fn api(&self, method: &str, target: &str) -> Request {
        let mut request = Request::new(method, target)
            .header("Accept", "*/*")
            .header("Accept-Language", &self.language)
            .header("X-Requested-With", "XMLHttpRequest")
            .header("Sec-Fetch-Site", "same-origin")
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Dest", "empty")
            .header(
                "Referer",
                &format!("{}/demo/channels/town-square", self.origin),
            );
        if method != "GET" {
            request = request.header("Origin", &self.origin);
            if let Some(csrf) = self.cookies.get("MMCSRF") {
                request = request.header("X-CSRF-Token", csrf);
            }
        }
        request
    }

    /// Sends a request and keeps the cookies it sets.
    pub async fn send(&mut self, request: Request) -> Response {
        let bytes = self.bytes(&request);
        let response = exchange(self.address, &bytes).await;
        let what = format!("the answer to {} {}", request.method, request.target);
        self.taint.downstream(&what, &response.raw);
        self.keeps(&response);
        response
    }

    /// Opens a page as a browser does: follows redirects, at most ten.
    pub async fn open(&mut self, target: &str) -> Response {
        let mut target = target.to_owned();
        for _ in 0..10 {
            let response = self.send(self.page(&target)).await;
            let Some(location) = response.header("location") else {
                return response;
            };
            if !(300..400).contains(&response.status) || location.starts_with("/.pomerium/") {
                return response;
            }
            target = location
                .strip_prefix(&self.origin)
                .unwrap_or(location)
                .to_owned();
            assert!(target.starts_with('/'), "a redirect elsewhere: {location}");
        }
        panic!("ten redirects, the last to {target}");
    }

    pub async fn get(&mut self, target: &str) -> Response {
        self.send(self.api("GET", target)).await
    }

    /// A JSON call of the web app.
    pub async fn post(&mut self, target: &str, body: &serde_json::Value) -> Response {
        let request = self
            .api("POST", target)
            .header("Content-Type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// The app's own opinion of who this is.
    pub async fn me(&mut self) -> serde_json::Value {
        let response = self.get("/api/v4/users/me").await;
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    /// A handshake as the web app makes it.
    pub fn upgrade(&self) -> Request {
        Request::new(
            "GET",
            "/api/v4/websocket?connection_id=&sequence_number=0&posted_ack=true",
        )
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Origin", &self.origin)
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// Opens the web app's socket.
    ///
    /// # Errors
    /// The answer, when it is not 101.
    pub async fn socket(&self) -> Result<Socket, Response> {
        self.socket_by(self.upgrade()).await
    }

    /// Opens a socket by a handshake of the test's own.
    pub async fn socket_by(&self, request: Request) -> Result<Socket, Response> {
        Socket::open(self.address, &self.bytes(&request), self.taint.clone()).await
    }

    /// The request as Pomerium would forward it.
    pub fn bytes(&self, request: &Request) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
        let mut line = |name: &str, value: &str| {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        };
        let has = |name: &str| {
            request
                .headers
                .iter()
                .any(|(have, _)| have.eq_ignore_ascii_case(name))
        };
        if !has("host") {
            line("Host", &self.host);
        }
        for (name, value) in &request.headers {
            line(name, value);
        }
        if let Some(body) = &request.body
            && !has("content-length")
            && !has("transfer-encoding")
        {
            line("Content-Length", &body.len().to_string());
        }
        line("x-forwarded-for", "192.0.2.10");
        line("x-forwarded-proto", "https");
        line("x-envoy-internal", "true");
        line("x-request-id", &Uuid::new_v4().to_string());
        match &request.assertions {
            None => {
                let token = self.minter.mint(&self.claims()).expect("a working key");
                self.taint
                    .private(token.rsplit('.').next().unwrap_or_default());
                line("x-pomerium-jwt-assertion", &token);
            }
            Some(values) => {
                for value in values {
                    self.taint
                        .private(value.rsplit('.').next().unwrap_or_default());
                    line("x-pomerium-jwt-assertion", value);
                }
            }
        }
        match &request.cookie {
            Some(cookie) => line("Cookie", cookie),
            None => {
                let pairs: Vec<String> = self
                    .cookies
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                // Empty, as Pomerium leaves it when its own cookie was alone.
                line("Cookie", &pairs.join("; "));
            }
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());
        bytes
    }

    /// Keeps the cookies that an answer sets.
    pub fn keeps(&mut self, response: &Response) {
        for line in response.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let attributes = attributes.to_ascii_lowercase();
            let gone = value.is_empty()
                || attributes.contains("max-age=0")
                || attributes.contains("expires=thu, 01 jan 1970");
            if gone {
                self.cookies.remove(name);
            } else {
                if name == "MMAUTHTOKEN" {
                    self.taint
                        .private(value.rsplit('.').next().unwrap_or_default());
                }
                self.cookies.insert(name.into(), value.into());
            }
        }
    }
}

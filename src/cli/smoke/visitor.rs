//! A browser, as far as a walk needs one: cookies of one host, no redirect followed by itself.

use anyhow::{Context as _, bail};
use http::header::{COOKIE, HOST, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest body that is looked at, in bytes.
const LOOKED_AT: usize = 1 << 20;

/// See the module.
pub(super) struct Visitor {
    /// Where visitors go, without a path.
    pub(super) origin: String,
    /// Where requests are sent.
    target: Url,
    host: HeaderValue,
    client: reqwest::Client,
    pub(super) tls: Arc<rustls::ClientConfig>,
    assertion: Option<HeaderValue>,
    pub(super) cookies: BTreeMap<String, String>,
    /// `Set-Cookie` lines of all answers, for what is said about them.
    pub(super) set: Vec<String>,
    /// Names of headers that no answer may have.
    pub(super) leaked: Vec<String>,
}

/// An answer, read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    /// Where it sends on to.
    pub(super) fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION)?.to_str().ok()
    }
}

impl Visitor {
    pub(super) fn new(
        url: &Url,
        bridge: Option<&Url>,
        tls: rustls::ClientConfig,
    ) -> anyhow::Result<Self> {
        let origin = url.origin();
        if !origin.is_tuple() || !matches!(url.scheme(), "http" | "https") {
            bail!("{url} is no http:// or https:// address");
        }
        let origin = origin.ascii_serialization();
        let authority = origin.split_once("://").map_or("", |(_, host)| host);
        let mut target = bridge.unwrap_or(url).clone();
        target.set_query(None);
        target.set_fragment(None);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .context("no HTTP client can be made")?;
        Ok(Self {
            host: HeaderValue::from_str(authority)?,
            origin,
            target,
            client,
            tls: Arc::new(tls),
            assertion: None,
            cookies: BTreeMap::new(),
            set: Vec::new(),
            leaked: Vec::new(),
        })
    }

    /// Takes over a browser's `Cookie` line.
    pub(super) fn takes_cookies(&mut self, line: &str) {
        let line = line.trim();
        let line = line.strip_prefix("Cookie:").unwrap_or(line);
        let pairs = line
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='));
        self.cookies
            .extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    /// Shows this assertion with every request, in Pomerium's place.
    pub(super) fn shows_assertion(&mut self, assertion: &str) -> anyhow::Result<()> {
        let mut value = HeaderValue::from_str(assertion).context("that is no assertion")?;
        value.set_sensitive(true);
        self.assertion = Some(value);
        Ok(())
    }

    /// Where requests go: host, port, and whether by TLS.
    pub(super) fn place(&self) -> Option<(String, u16, bool)> {
        let host = self.target.host_str()?.trim_matches(['[', ']']).to_owned();
        let port = self.target.port_or_known_default()?;
        Some((host, port, self.target.scheme() == "https"))
    }

    /// The headers of a request of this browser.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, self.host.clone());
        if let Some(assertion) = &self.assertion {
            let name = HeaderName::from_static("x-pomerium-jwt-assertion");
            headers.insert(name, assertion.clone());
        }
        let pairs: Vec<String> = (self.cookies.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if let Ok(mut line) = HeaderValue::from_str(&pairs.join("; "))
            && !pairs.is_empty()
        {
            line.set_sensitive(true);
            headers.insert(COOKIE, line);
        }
        headers
    }

    /// Sends a request and keeps the cookies that the answer sets.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        more: &[(&'static str, &str)],
        body: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let mut headers = self.headers();
        for (name, value) in more {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        let url = self.target.join(path)?;
        let mut request = self.client.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_owned());
        }
        let mut response = request.send().await.map_err(told)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(told)? {
            if bytes.len() + chunk.len() > LOOKED_AT {
                break;
            }
            bytes.extend_from_slice(&chunk);
        }
        self.keep(&headers);
        Ok(Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    fn keep(&mut self, headers: &HeaderMap) {
        if headers.contains_key("token") {
            self.leaked.push("Token".into());
        }
        for line in headers.get_all(SET_COOKIE) {
            let Ok(line) = line.to_str() else { continue };
            let Ok(cookie) = cookie::Cookie::parse(line.to_owned()) else {
                continue;
            };
            let gone =
                cookie.value().is_empty() || cookie.max_age().is_some_and(|age| !age.is_positive());
            if gone {
                self.cookies.remove(cookie.name());
            } else {
                let value = cookie.value().to_owned();
                self.cookies.insert(cookie.name().to_owned(), value);
            }
            self.set.push(line.to_owned());
        }
    }
}

/// The innermost cause names the mistake.
fn told(error: reqwest::Error) -> anyhow::Error {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    anyhow::anyhow!("{cause}")
}

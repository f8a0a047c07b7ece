//! [`CleanRequest`]: what station 1 gives to the stations after it.

use super::cookies::{CookieView, Cookies};
use super::forwarded;
use super::strip::Captured;
use crate::error::{Code, Refusal};
use crate::proxy::assertion::RawAssertion;
use crate::types::HostName;
use http::header::{HeaderName, HeaderValue, ORIGIN};
use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, Method, Version};
use std::fmt;
use std::net::IpAddr;

/// A request head without smuggling shapes, foreign identity or credentials.
///
/// Only [`super::clean`] makes one; its body travels separately.
///
/// ```compile_fail
/// // The fields are private and there is no constructor.
/// let _ = auth_manager::proxy::edge::CleanRequest { method: http::Method::GET };
/// ```
pub struct CleanRequest {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) target: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) extensions: Extensions,
    pub(super) host: HostName,
    pub(super) assertion: Option<RawAssertion>,
    pub(super) captured: Captured,
    pub(super) upgrade: bool,
}

/// A [`CleanRequest`] taken apart, for the station that builds the upstream request.
pub struct CleanParts {
    /// The method.
    pub method: Method,
    /// Path as judged, and the query without credentials.
    pub target: PathAndQuery,
    /// Clean headers: no Host, no Cookie, no Authorization, no CSRF token, no forwarding headers.
    /// An upgrade keeps `Connection: Upgrade` and `Upgrade: websocket`.
    pub headers: HeaderMap,
    /// hyper's own extensions, among them the pending upgrade.
    pub extensions: Extensions,
    /// What the request's `Authorization` was: only an explicit machine route may give it back.
    pub authorization: Option<HeaderValue>,
    /// The cookies, of which only [`Cookies::forwardable`] may go on.
    pub cookies: Cookies,
    /// The client's address as Pomerium saw it.
    pub client_ip: Option<IpAddr>,
    /// The request's id, checked.
    pub request_id: Option<HeaderValue>,
}

impl CleanRequest {
    /// The method; never TRACE or CONNECT.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// HTTP/1.1 or HTTP/2, as the request came.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The canonical path: rules judge it, and these very bytes are forwarded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The query without credential parameters, otherwise as the client wrote it.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// The same request below another path: `prefix` is taken away and `base` put in its place.
    /// Both are canonical, and so is what comes out, since whole segments move.
    ///
    /// # Errors
    /// When the path is not below `prefix`.
    pub(in crate::proxy) fn mounted(self, prefix: &str, base: &str) -> Result<Self, Refusal> {
        let below = match self.path().strip_prefix(prefix) {
            Some("") => "/",
            Some(below) if below.starts_with('/') => below,
            _ => return Err(Code::RouteNotFound.into()),
        };
        let base = base.trim_end_matches('/');
        let target = match self.query() {
            Some(query) => format!("{base}{below}?{query}"),
            None => format!("{base}{below}"),
        };
        let target = PathAndQuery::try_from(target)
            .map_err(|_| Refusal::new(Code::RequestPath, "the target can't be written again"))?;
        Ok(Self { target, ..self })
    }

    /// Path and query as they may be forwarded.
    #[must_use]
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// The host that the request names, no port.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The clean headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The identity assertion, unverified. An empty one is there too: it is a finding of its own.
    #[must_use]
    pub fn assertion(&self) -> Option<&RawAssertion> {
        self.assertion.as_ref()
    }

    /// `Authorization` as the client sent it: taken out, not in [`Self::headers`].
    #[must_use]
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.captured.authorization.as_ref()
    }

    /// `X-CSRF-Token` as the client sent it: taken out, not in [`Self::headers`]. `Some("")` when
    /// it is not readable, so that it can't pass for an absent one.
    #[must_use]
    pub fn csrf_token(&self) -> Option<&str> {
        self.captured.csrf_token.as_ref().map(text)
    }

    /// All cookies.
    #[must_use]
    pub fn cookies(&self) -> &Cookies {
        &self.captured.cookies
    }

    /// The one readable cookie of this name; none when there are several.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        match self.captured.cookies.get(name) {
            CookieView::One(value) => Some(value),
            _ => None,
        }
    }

    /// See [`Cookies::forwardable`].
    #[must_use]
    pub fn forwardable_cookies(&self, drop_names: &[&str]) -> Option<HeaderValue> {
        self.captured.cookies.forwardable(drop_names)
    }

    /// The client's address: the last `X-Forwarded-For` element, which Pomerium appended.
    #[must_use]
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.captured.client_ip
    }

    /// The request's id if it is fit for a log line; a label, never a key.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id_line().and_then(forwarded::believable)
    }

    /// The line that it stands in.
    #[must_use]
    pub fn request_id_line(&self) -> Option<&HeaderValue> {
        self.captured.request_id.as_ref()
    }

    /// Whether this is a well-formed WebSocket upgrade.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.upgrade
    }

    /// `Origin`; `Some("")` when it is not readable, so that it can't pass for an absent one.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.headers.get(ORIGIN).map(text)
    }

    /// `Sec-Fetch-Site`; `Some("")` when it is not readable.
    #[must_use]
    pub fn sec_fetch_site(&self) -> Option<&str> {
        self.headers.get(SEC_FETCH_SITE).map(text)
    }

    /// `Sec-Fetch-Mode`; `Some("")` when it is not readable.
    #[must_use]
    pub fn sec_fetch_mode(&self) -> Option<&str> {
        self.headers.get(SEC_FETCH_MODE).map(text)
    }

    /// `Sec-Fetch-Dest`; `Some("")` when it is not readable.
    #[must_use]
    pub fn sec_fetch_dest(&self) -> Option<&str> {
        self.headers.get(SEC_FETCH_DEST).map(text)
    }

    /// Takes the request apart; the assertion stays behind.
    #[must_use]
    pub fn into_parts(self) -> CleanParts {
        CleanParts {
            method: self.method,
            target: self.target,
            headers: self.headers,
            extensions: self.extensions,
            authorization: self.captured.authorization,
            cookies: self.captured.cookies,
            client_ip: self.captured.client_ip,
            request_id: self.captured.request_id,
        }
    }
}

/// Method and path only: everything else may hold something personal or secret.
impl fmt::Debug for CleanRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleanRequest")
            .field("method", &self.method)
            .field("host", &self.host)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("")
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

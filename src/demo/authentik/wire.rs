//! The HTTP client behind webhooks and SCIM: header lines in Authentik's order and letter case, its
//! time limit, and what it does about redirects (recorded: 01, 08, 10).

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Most of an answer that is read, in bytes.
const LONGEST: usize = 4 << 20;
/// Redirects that are followed.
const HOPS: usize = 30;

/// A request to be sent. `headers` come between the client's own and the length.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) accept: &'static str,
    /// Before `Content-Length`.
    pub(super) early: Vec<(String, String)>,
    /// After it.
    pub(super) late: Vec<(String, String)>,
    pub(super) body: Option<String>,
    pub(super) user_agent: String,
}

/// What was answered.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(String);

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}

impl Outgoing {
    /// All header lines as they go out.
    pub(super) fn lines(&self) -> Vec<(String, String)> {
        let uri: Uri = self.url.parse().unwrap_or_default();
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut lines = vec![
            own("Host", host),
            own("User-Agent", &self.user_agent),
            own("Accept-Encoding", "gzip, deflate, zstd"),
            own("Accept", self.accept),
            own("Connection", "keep-alive"),
        ];
        lines.extend(self.early.iter().cloned());
        // A GET says nothing about a body; everything else does, even without one (recorded: 10).
        if self.body.is_some() || self.method != Method::GET {
            let length = self.body.as_ref().map_or(0, String::len).to_string();
            lines.push(own("Content-Length", &length));
        }
        lines.extend(self.late.iter().cloned());
        lines
    }

    /// Sends it, within `limit`; follows redirects as Python's requests does: 302 becomes a `GET`
    /// without a body, 307 stays as it is, another host gets no `Authorization`.
    pub(super) async fn send(
        &self,
        tls: Option<&Arc<rustls::ClientConfig>>,
        limit: Duration,
    ) -> Result<Incoming, Failed> {
        let mut now = self.clone();
        for _ in 0..HOPS {
            let sent = tokio::time::timeout(limit, now.once(tls)).await;
            let (answer, location) = sent.map_err(|_| failed("Read timed out"))??;
            let (Some(location), 301 | 302 | 303 | 307 | 308) = (location, answer.status) else {
                return Ok(answer);
            };
            let from = url::Url::parse(&now.url).map_err(failed)?;
            let to = from.join(&location).map_err(failed)?;
            if to.host_str() != from.host_str() {
                now.early.retain(|(name, _)| name != "Authorization");
                now.late.retain(|(name, _)| name != "Authorization");
            }
            now.url = to.to_string();
            if answer.status < 307 && now.method != Method::HEAD {
                now.method = Method::GET;
                now.body = None;
                now.early.retain(|(name, _)| name != "Content-Type");
                now.late.retain(|(name, _)| name != "Content-Type");
            }
        }
        Err(failed("Exceeded 30 redirects"))
    }

    async fn once(
        &self,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Result<(Incoming, Option<String>), Failed> {
        let uri: Uri = self.url.parse().map_err(failed)?;
        let host = uri.host().ok_or_else(|| failed("no host"))?.to_owned();
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let bare = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let stream = TcpStream::connect((bare.as_str(), port))
            .await
            .map_err(failed)?;
        let request = self.request(&uri)?;
        if !secure {
            return exchange(TokioIo::new(stream), request).await;
        }
        let config = tls.ok_or_else(|| failed("certificate verify failed"))?;
        let name = ServerName::try_from(bare).map_err(failed)?;
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await;
        exchange(TokioIo::new(stream.map_err(failed)?), request).await
    }

    fn request(&self, uri: &Uri) -> Result<Request<Body>, Failed> {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let body = self.body.clone().map_or_else(Body::empty, Body::from);
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target.parse().map_err(failed)?;
        for (name, value) in self.lines() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(failed)?;
            let value = HeaderValue::from_str(&value).map_err(failed)?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

async fn exchange<S>(
    stream: TokioIo<S>,
    request: Request<Body>,
) -> Result<(Incoming, Option<String>), Failed>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .handshake(stream)
        .await
        .map_err(failed)?;
    let driving = tokio::spawn(connection);
    let answer = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (parts, body) = answer.into_parts();
        let read = Limited::new(body, LONGEST)
            .collect()
            .await
            .map_err(failed)?;
        let bytes: Bytes = read.to_bytes();
        let location = parts
            .headers
            .get("location")
            .and_then(|value| value.to_str().ok());
        let incoming = Incoming {
            status: parts.status.as_u16(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        };
        Ok((incoming, location.map(str::to_owned)))
    }
    .await;
    driving.abort();
    answer
}

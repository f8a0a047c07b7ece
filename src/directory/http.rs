//! How directories are called: one client, so many questions at once, bounded times and bodies, no
//! redirect, no proxy of the environment. What an answer means is each directory's own business.

use super::source::SourceError;
use crate::tls::HttpClient;
use arc_swap::ArcSwap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// Longest answer that is read, in bytes: a page of 100 users with pictures in their attributes.
const MAX_BODY: usize = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(45);
/// Longest pause that a directory may ask for.
const LONGEST_PAUSE: u64 = 600;

/// A client of one directory.
pub(super) struct Http {
    client: HttpClient,
    base: Url,
    turns: Semaphore,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    /// Whether it says that it is JSON.
    pub(super) json: bool,
    /// `text/html` …, for messages.
    pub(super) kind: String,
}

impl Http {
    /// `base` ends in a slash; `reads` questions at once.
    pub(super) fn new(
        base: &Url,
        reads: usize,
        timeout: Duration,
        tls: Arc<ArcSwap<rustls::ClientConfig>>,
    ) -> Result<Self, SourceError> {
        let client = HttpClient::new(tls, move |client| {
            client
                .http1_only()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(timeout)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(reads)
                .user_agent(concat!("auth-manager/", env!("CARGO_PKG_VERSION")))
        });
        Ok(Self {
            client: client
                .map_err(|_| SourceError::Refused("its TLS configuration can't be used".into()))?,
            base: base.clone(),
            turns: Semaphore::new(reads.max(1)),
        })
    }

    /// An address below the base.
    pub(super) fn url(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Url, SourceError> {
        let impossible = || SourceError::Refused("its url can't be used".into());
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| impossible())?
            .pop_if_empty()
            .extend(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Sends what `request` makes, and reads the answer whole.
    pub(super) async fn send(
        &self,
        request: impl FnOnce(reqwest::Client) -> reqwest::RequestBuilder + Send,
    ) -> Result<Answer, SourceError> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| SourceError::Unavailable("it is no longer asked".into()))?;
        let sent = request(self.client.current()).send().await;
        let mut answer = sent.map_err(from_transport)?;
        let (status, kind) = (answer.status(), kind(answer.headers()));
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(SourceError::RateLimited(pause(answer.headers())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(from_transport)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(SourceError::Unavailable(format!(
                    "its answer is longer than {} MiB",
                    MAX_BODY >> 20
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            body,
            json: kind == "application/json" || kind.ends_with("+json"),
            kind,
        })
    }
}

impl Answer {
    /// What it holds, when it is JSON and has what is asked for.
    pub(super) fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, SourceError> {
        if !self.json {
            return Err(self.foreign());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            // Where and what, never the bytes: they are about people.
            SourceError::Unavailable(format!(
                "its answer is not the one expected (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }

    /// What is no answer of the directory's API.
    pub(super) fn foreign(&self) -> SourceError {
        let what = match self.kind.as_str() {
            "" => "without a type",
            "text/html" => "HTML",
            other => other,
        };
        let status = self.status.as_u16();
        let remedy = match self.status.is_redirection() {
            true => "it redirects: is `url` its address, scheme included?",
            false => "is `url` its address, and does nothing in between answer instead?",
        };
        SourceError::Unavailable(format!("it answers {status} with {what}: {remedy}"))
    }
}

fn kind(headers: &HeaderMap) -> String {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|kind| printable(kind, 60).to_ascii_lowercase())
        .unwrap_or_default()
}

fn pause(headers: &HeaderMap) -> Duration {
    let asked = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let seconds = asked.and_then(|text| text.trim().parse::<u64>().ok());
    Duration::from_secs(seconds.unwrap_or(5).clamp(1, LONGEST_PAUSE))
}

fn from_transport(error: reqwest::Error) -> SourceError {
    // Addresses may hold what an operator typed for a person: they are left out.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if error.is_timeout() {
        SourceError::Timeout(text)
    } else {
        SourceError::Unavailable(text)
    }
}

/// A text of the other side on one line of ours.
pub(super) fn printable(text: &str, limit: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(limit)
        .collect()
}

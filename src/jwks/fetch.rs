//! [`KeySource`]: keeps an issuer's keys fresh, from a file or a fixed URL.
//!
//! The rules (T8, T9): a good answer replaces the set; a bad or empty one leaves the last good set
//! in use until `stale_limit` (Pomerium answers `{"keys":null}` while its key file is broken,
//! recordings/pomerium/08c); an unknown `kid` asks for one fetch per `cooldown`, and all who wait
//! share it. The address is the configured one, redirects are not followed.

use super::keys::{KeySet, KeySetError, MAX_BYTES};
use crate::config::{ApiIssuerConfig, IssuerConfig, JwksSource};
use crate::tls::HttpClient;
use crate::types::{Clock, IssuerId, Timestamp};
use arc_swap::{ArcSwap, ArcSwapOption};
use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// How long a fetch may take, body included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a file is looked at, at least.
const FILE_POLL: Duration = Duration::from_secs(5);
/// Bounds of an answer's `max-age`.
const MIN_AGE: Duration = Duration::from_secs(60);
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Why a source can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A URL needs a TLS configuration.
    #[error("a JWKS URL needs a TLS configuration")]
    NeedsTls,
    /// The HTTP client could not be built.
    #[error("the HTTP client for the JWKS could not be built")]
    Client(#[source] reqwest::Error),
}

/// Why a fetch failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The file can't be read.
    #[error("the JWKS file can't be read: {0}")]
    File(io::ErrorKind),
    /// No answer in 5 s.
    #[error("the JWKS URL did not answer in time")]
    Timeout,
    /// No connection, no TLS, or an answer cut off.
    #[error("the JWKS URL can't be reached: {0}")]
    Unreachable(String),
    /// An answer other than 200.
    #[error("the JWKS URL answered {0}")]
    Status(StatusCode),
    /// The answer gives no usable keys.
    #[error(transparent)]
    Keys(#[from] KeySetError),
}

/// What a source knows about itself, for `/readyz`, metrics and `check`.
#[derive(Debug, Clone, Default)]
pub struct KeyStatus {
    /// Usable keys in use.
    pub keys: usize,
    /// Keys of the set that can't be used.
    pub skipped: usize,
    /// When the source last gave, or confirmed, a good set.
    pub good_at: Option<Timestamp>,
    /// Until when that set is used if the source keeps failing.
    pub good_until: Option<Timestamp>,
    /// The last fetch's failure; `None` after a good one.
    pub last_error: Option<FetchError>,
    /// Fetches tried since the start.
    pub fetches: u64,
    /// Of those, failed ones.
    pub failures: u64,
}

/// Why there are no keys to verify with: a reason for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeysUnavailable(pub &'static str);

/// How an issuer's keys are kept.
#[derive(Debug, Clone, Copy)]
pub struct Upkeep<'a> {
    /// Whose they are.
    pub issuer: &'a IssuerId,
    /// Where they come from.
    pub jwks: &'a JwksSource,
    /// Refresh after so long.
    pub refresh: Duration,
    /// At most one fetch for unknown keys in so long.
    pub cooldown: Duration,
    /// The last good keys are used for so long while the source fails.
    pub stale_limit: Duration,
}

impl<'a> From<&'a IssuerConfig> for Upkeep<'a> {
    fn from(config: &'a IssuerConfig) -> Self {
        Self {
            issuer: &config.id,
            jwks: &config.jwks,
            refresh: config.refresh,
            cooldown: config.cooldown,
            stale_limit: config.stale_limit,
        }
    }
}

impl<'a> From<&'a ApiIssuerConfig> for Upkeep<'a> {
    fn from(config: &'a ApiIssuerConfig) -> Self {
        Self {
            issuer: &config.id,
            jwks: &config.jwks,
            refresh: config.refresh,
            cooldown: config.cooldown,
            stale_limit: config.stale_limit,
        }
    }
}

/// The keys of one issuer, and where they come from.
pub struct KeySource {
    issuer: IssuerId,
    accepted: Vec<Algorithm>,
    origin: Origin,
    interval: Duration,
    cooldown: Duration,
    stale_limit: Duration,
    clock: Arc<dyn Clock>,
    set: ArcSwapOption<KeySet>,
    good_until: AtomicI64,
    /// Fetches that ended, whatever their end: who waited for one sees the number move.
    ended: AtomicU64,
    flight: tokio::sync::Mutex<Flight>,
    status: Mutex<KeyStatus>,
}

enum Origin {
    Fixed,
    File(PathBuf),
    Url { client: HttpClient, url: Url },
}

/// What only the one fetch under way touches.
#[derive(Default)]
struct Flight {
    /// The last good answer, so that an equal one keeps the parsed set.
    body: Vec<u8>,
    etag: Option<HeaderValue>,
    stamp: Option<Stamp>,
    refetched: Option<Instant>,
}

/// A file's identity: another file, another time or another length is another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    length: u64,
}

/// What a fetch brought.
enum Answer {
    Unchanged,
    Body {
        body: Vec<u8>,
        etag: Option<HeaderValue>,
        stamp: Option<Stamp>,
    },
}

impl KeySource {
    /// A source as configured, of keys for the `accepted` algorithms; nothing is fetched yet. A URL
    /// needs `tls`, which trusts the configured authorities and nobody else, at the time of each
    /// fetch.
    ///
    /// # Errors
    /// When there is a URL but no TLS configuration, or no HTTP client can be made of it.
    pub fn new<'a>(
        config: impl Into<Upkeep<'a>>,
        accepted: &[Algorithm],
        tls: Option<Arc<ArcSwap<rustls::ClientConfig>>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, SourceError> {
        let config = config.into();
        let (origin, interval) = match config.jwks {
            JwksSource::File(path) => (Origin::File(path.clone()), config.refresh.min(FILE_POLL)),
            JwksSource::Url { url, .. } => {
                let tls = tls.ok_or(SourceError::NeedsTls)?;
                let client = HttpClient::new(tls, |client| {
                    client
                        .redirect(reqwest::redirect::Policy::none())
                        // Nothing but the configuration file says where keys come from.
                        .no_proxy()
                        .timeout(TIMEOUT)
                })
                .map_err(SourceError::Client)?;
                let url = url.clone();
                (Origin::Url { client, url }, config.refresh)
            }
        };
        Ok(Arc::new(Self {
            issuer: config.issuer.clone(),
            accepted: accepted.to_vec(),
            origin,
            interval,
            cooldown: config.cooldown,
            stale_limit: config.stale_limit,
            clock,
            set: ArcSwapOption::empty(),
            good_until: AtomicI64::new(i64::MIN),
            ended: AtomicU64::new(0),
            flight: tokio::sync::Mutex::default(),
            status: Mutex::default(),
        }))
    }

    /// Keys that neither change nor grow old: for `check` on a captured assertion.
    #[must_use]
    pub fn fixed(issuer: IssuerId, set: KeySet, clock: Arc<dyn Clock>) -> Arc<Self> {
        let status = KeyStatus {
            keys: set.len(),
            skipped: set.skipped(),
            ..KeyStatus::default()
        };
        Arc::new(Self {
            issuer,
            accepted: Vec::new(),
            origin: Origin::Fixed,
            interval: MAX_AGE,
            cooldown: MAX_AGE,
            stale_limit: MAX_AGE,
            clock,
            set: ArcSwapOption::from_pointee(set),
            good_until: AtomicI64::new(i64::MAX),
            ended: AtomicU64::new(0),
            flight: tokio::sync::Mutex::default(),
            status: Mutex::new(status),
        })
    }

    /// Fetches now; for the start and for `check`.
    ///
    /// # Errors
    /// When the source gives no usable keys. The last good ones stay in use.
    pub async fn refresh(&self) -> Result<(), FetchError> {
        let mut flight = self.flight.lock().await;
        self.fetch(&mut flight, false).await.map(drop)
    }

    /// Keeps the keys fresh until cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut wait = if self.set.load().is_some() {
            self.interval
        } else {
            Duration::ZERO
        };
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            let mut flight = self.flight.lock().await;
            let fetched = tokio::select! {
                () = cancel.cancelled() => return,
                fetched = self.fetch(&mut flight, false) => fetched,
            };
            wait = match fetched {
                Ok(max_age) => max_age.unwrap_or(self.interval),
                Err(_) => self.cooldown.min(self.interval),
            }
            // A configured zero must not spin.
            .max(Duration::from_secs(1));
        }
    }

    /// A snapshot of how the source fares.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        self.status.lock().clone()
    }

    /// Whether tokens can be verified now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.current(self.clock.now()).is_ok()
    }

    /// The keys in use.
    ///
    /// # Errors
    /// When there are none, or they are too old.
    pub fn current(&self, now: Timestamp) -> Result<Arc<KeySet>, KeysUnavailable> {
        let Some(set) = self.set.load_full() else {
            return Err(KeysUnavailable("no key set was read yet"));
        };
        if now.0 > self.good_until.load(Ordering::Acquire) {
            return Err(KeysUnavailable("the key set is older than stale_limit"));
        }
        Ok(set)
    }

    /// How many fetches ended so far: to be asked *before* looking for a key, so that one that
    /// ends meanwhile is not missed.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Asks for keys that were not at hand when `seen` fetches had ended. False when the cooldown
    /// forbids it and nothing new came meanwhile.
    pub async fn refetch(self: &Arc<Self>, seen: u64) -> bool {
        if matches!(self.origin, Origin::Fixed) {
            return false;
        }
        let source = Arc::clone(self);
        // A task of its own: a visitor who leaves must not abort what others wait for. It ends
        // within the fetch's own time limit.
        let fetch = tokio::spawn(async move {
            let mut flight = source.flight.lock().await;
            if source.ended() != seen {
                return true;
            }
            if flight
                .refetched
                .is_some_and(|at| at.elapsed() < source.cooldown)
            {
                return false;
            }
            flight.refetched = Some(Instant::now());
            source.fetch(&mut flight, true).await.is_ok()
        });
        fetch.await.unwrap_or(false)
    }

    /// One fetch; `Ok` carries the answer's `max-age`. `anew` reads a file whatever its stamp.
    async fn fetch(&self, flight: &mut Flight, anew: bool) -> Result<Option<Duration>, FetchError> {
        let fetched = match &self.origin {
            Origin::Fixed => Ok((Answer::Unchanged, None)),
            Origin::File(path) => {
                let known = if anew { None } else { flight.stamp };
                read_file(path, known).await.map(|answer| (answer, None))
            }
            Origin::Url { client, url } => get(&client.current(), url, flight.etag.as_ref()).await,
        };
        let taken = fetched.and_then(|(answer, age)| self.take(flight, answer).map(|()| age));
        self.note(taken.as_ref().err());
        self.ended.fetch_add(1, Ordering::AcqRel);
        taken
    }

    fn take(&self, flight: &mut Flight, answer: Answer) -> Result<(), FetchError> {
        let Answer::Body { body, etag, stamp } = answer else {
            return Ok(());
        };
        // The parsed set stays as it is when nothing changed.
        if body != flight.body || self.set.load().is_none() {
            let set = KeySet::parse(&body, &self.accepted)?;
            tracing::info!(issuer = %self.issuer, keys = set.len(), skipped = set.skipped(), kids = ?set, "new key set");
            {
                let mut status = self.status.lock();
                status.keys = set.len();
                status.skipped = set.skipped();
            }
            self.set.store(Some(Arc::new(set)));
            flight.body = body;
        }
        flight.etag = etag;
        flight.stamp = stamp;
        Ok(())
    }

    fn note(&self, error: Option<&FetchError>) {
        let mut status = self.status.lock();
        status.fetches += 1;
        match error {
            None => {
                let now = self.clock.now();
                let until = now + self.stale_limit;
                if !matches!(self.origin, Origin::Fixed) {
                    self.good_until.store(until.0, Ordering::Release);
                    status.good_until = Some(until);
                }
                status.good_at = Some(now);
                status.last_error = None;
            }
            Some(error) => {
                // Once for each cause: a missing file is looked for every few seconds.
                if status.last_error.as_ref() != Some(error) {
                    tracing::warn!(issuer = %self.issuer, %error, "key set not refreshed");
                }
                status.failures += 1;
                status.last_error = Some(error.clone());
            }
        }
    }
}

async fn read_file(path: &PathBuf, known: Option<Stamp>) -> Result<Answer, FetchError> {
    let failed = |error: io::Error| FetchError::File(error.kind());
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let meta = file.metadata().await.map_err(failed)?;
    let stamp = Stamp {
        inode: meta.ino(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        length: meta.len(),
    };
    if known == Some(stamp) {
        return Ok(Answer::Unchanged);
    }
    let mut body = Vec::new();
    // One byte more than allowed is enough to see that it is too long.
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut body)
        .await
        .map_err(failed)?;
    Ok(Answer::Body {
        body,
        etag: None,
        stamp: Some(stamp),
    })
}

async fn get(
    client: &reqwest::Client,
    url: &Url,
    etag: Option<&HeaderValue>,
) -> Result<(Answer, Option<Duration>), FetchError> {
    let mut request = client.get(url.clone());
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let mut response = request.send().await.map_err(unreachable)?;
    let max_age = max_age(response.headers());
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if etag.is_some() => return Ok((Answer::Unchanged, max_age)),
        status => return Err(FetchError::Status(status)),
    }
    let etag = response.headers().get(ETAG).cloned();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(KeySetError::TooLong.into());
        }
        body.extend_from_slice(&chunk);
    }
    let answer = Answer::Body {
        body,
        etag,
        stamp: None,
    };
    Ok((answer, max_age))
}

fn unreachable(error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::Timeout;
    }
    // The innermost cause names the mistake: a refused connection, an unknown authority.
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    FetchError::Unreachable(cause.to_string())
}

/// `max-age` of RFC 9111 §5.2.2.1, within our bounds.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    let seconds = text
        .split(',')
        .find_map(|part| part.trim().strip_prefix("max-age="))?;
    let age = Duration::from_secs(seconds.trim_matches('"').parse().ok()?);
    Some(age.clamp(MIN_AGE, MAX_AGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_has_a_floor_and_a_ceiling() {
        for (text, seconds) in [
            ("max-age=60", Some(60)),
            ("public, max-age=300", Some(300)),
            ("max-age=0", Some(60)),
            ("max-age=31536000", Some(3600)),
            ("no-store", None),
            ("max-age=x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(text));
            assert_eq!(
                max_age(&headers),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}

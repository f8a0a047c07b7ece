//! Traces, when the configuration asks for them: a span a request, and below it one for each station
//! that took part, sent by OTLP over HTTP (`export`; cargo feature `traces`, on by default).
//!
//! Off, a request pays for one look at an empty place; on, for a few looks at the clock and, at its
//! end, for what goes into a bounded queue that a thread of its own empties. What does not fit is
//! lost: watching holds up nobody. Which requests are traced is decided here, by counting, and never
//! by what a caller sends; a `traceparent` of the proxy in front only says where ours belongs (W3C
//! Trace Context §3.2).
//!
//! A span says what the log line says, and nothing of a person (T34).

#[cfg(feature = "traces")]
mod export;

use crate::types::SecretText;
use http::{HeaderMap, Method, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use url::Url;

/// Where traces go, and how many.
pub struct TraceOptions {
    /// The collector's address, path included: `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: Url,
    /// Value of the header `Authorization`.
    pub authorization: Option<SecretText>,
    /// One of so many requests is traced; 1: each.
    pub one_in: u64,
    /// Gives the client for each batch, so that its TLS follows its files.
    pub client: Box<dyn Fn() -> reqwest::Client + Send + Sync>,
    /// This replica, as the collector shows it.
    pub instance: String,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The program was built without.
    #[error("this program was built without traces (cargo feature `traces`)")]
    NotBuilt,
    /// The exporter refuses its settings.
    #[error("traces can't be sent: {0}")]
    Exporter(String),
}

/// What makes traces, or nothing. Cheap to clone.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

struct Inner {
    one_in: u64,
    seen: AtomicU64,
    #[cfg(feature = "traces")]
    exporter: export::Exporter,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traces({})", if self.0.is_some() { "on" } else { "off" })
    }
}

/// A station of the road, as a span is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Station {
    /// Hygiene.
    Edge,
    /// Host to app.
    Route,
    /// The assertion.
    Assertion,
    /// May they come in.
    Access,
    /// The session, which may be made.
    Session,
    /// The intent.
    Csrf,
    /// Swap, forward and filter: the app's own time.
    App,
}

impl Station {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Route => "route",
            Self::Assertion => "assertion",
            Self::Access => "access",
            Self::Session => "session",
            Self::Csrf => "csrf",
            Self::App => "app",
        }
    }
}

/// How a request ended: what the log line says, too.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path, without query.
    pub path: &'a str,
    /// The app; empty when none was found.
    pub app: &'a str,
    /// The service that called; empty for a visitor.
    pub client: &'a str,
    /// `ok`, `bridge`, or the refusal's code.
    pub code: &'static str,
    /// Status of the answer.
    pub status: StatusCode,
    /// The id that log and page have.
    pub request_id: &'a str,
}

/// A request that is traced.
#[cfg_attr(
    not(feature = "traces"),
    expect(dead_code, reason = "nobody reads it then")
)]
pub struct Trace {
    traces: Arc<Inner>,
    started: SystemTime,
    stations: Vec<(Station, SystemTime)>,
    parent: Option<Parent>,
}

/// Where a trace belongs, as the proxy in front says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
}

impl Traces {
    /// Traces as asked for.
    ///
    /// # Errors
    /// When this program has none, or the settings can't be used.
    #[cfg(feature = "traces")]
    pub fn new(options: TraceOptions) -> Result<Self, TraceError> {
        Ok(Self(Some(Arc::new(Inner {
            one_in: options.one_in.max(1),
            seen: AtomicU64::new(0),
            exporter: export::Exporter::new(options)?,
        }))))
    }

    /// Traces as asked for.
    ///
    /// # Errors
    /// Always: this program has none.
    #[cfg(not(feature = "traces"))]
    pub fn new(_: TraceOptions) -> Result<Self, TraceError> {
        Err(TraceError::NotBuilt)
    }

    /// Begins one, if this request is one to be traced.
    #[inline]
    pub fn begin(&self, headers: &HeaderMap) -> Option<Box<Trace>> {
        let traces = self.0.as_ref()?;
        let number = traces.seen.fetch_add(1, Ordering::Relaxed);
        number.is_multiple_of(traces.one_in).then(|| {
            Box::new(Trace {
                traces: Arc::clone(traces),
                started: SystemTime::now(),
                stations: Vec::with_capacity(8),
                parent: Parent::of(headers),
            })
        })
    }

    /// Sends what is pending; waits at most so long. Blocks.
    pub fn finish(&self, at_most: Duration) {
        #[cfg(feature = "traces")]
        if let Some(traces) = &self.0 {
            traces.exporter.finish(at_most);
        }
        let _ = at_most;
    }
}

impl Trace {
    /// The request has come to a station.
    pub fn enter(&mut self, station: Station) {
        self.stations.push((station, SystemTime::now()));
    }

    /// The request is answered.
    pub fn end(&self, how: &Ended<'_>) {
        #[cfg(feature = "traces")]
        self.traces.exporter.record(self, how, SystemTime::now());
        let _ = how;
    }
}

impl Parent {
    /// Version 00 of `traceparent`; anything else, and a second one, is none.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all("traceparent").iter();
        let (line, None) = (lines.next()?, lines.next()) else {
            return None;
        };
        let mut parts = line.to_str().ok()?.split('-');
        let ("00", trace, span, flags, None) = (
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next(),
        ) else {
            return None;
        };
        let parent = Self {
            trace: hex(trace)?,
            span: hex(span)?,
        };
        let is_flags = hex::<1>(flags).is_some();
        // All zeroes are no ids.
        (is_flags && parent.trace != [0; 16] && parent.span != [0; 8]).then_some(parent)
    }
}

/// Exactly so many bytes in lower-case hex.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (to, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *to = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("traceparent", HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn off_is_nothing() {
        assert!(Traces::default().begin(&HeaderMap::new()).is_none());
        Traces::default().finish(Duration::ZERO);
    }

    #[test]
    fn a_parent_is_taken_as_the_standard_writes_it_and_in_no_other_way() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = Parent::of(&headers(&[good])).unwrap();
        assert_eq!((parent.trace[0], parent.span[7]), (0x0a, 0x31));
        for bad in [
            "",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
        ] {
            assert_eq!(Parent::of(&headers(&[bad])), None, "{bad}");
        }
        assert_eq!(Parent::of(&headers(&[good, good])), None);
        assert_eq!(Parent::of(&HeaderMap::new()), None);
    }
}

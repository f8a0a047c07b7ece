//! What arrived: the newest requests, with every credential they carried.

use std::collections::VecDeque;

use http::HeaderMap;
use http::request::Parts;
use parking_lot::Mutex;

/// Where a credential was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialKind {
    /// A cookie named `MMAUTHTOKEN`.
    Cookie,
    /// `Authorization`, whatever its scheme.
    Authorization,
    /// `?access_token=`.
    Query,
    /// `X-Cloud-Token`.
    CloudToken,
    /// `X-RemoteCluster-Token`.
    RemoteClusterToken,
}

/// One credential of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCredential {
    /// Where it was.
    pub kind: CredentialKind,
    /// The token, without cookie name or scheme.
    pub token: String,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path, undecoded.
    pub path: String,
    /// The query, undecoded, empty when absent.
    pub query: String,
    /// All header lines in order, names in lower case, values as text where they are text.
    pub headers: Vec<(String, String)>,
    /// Every credential found; a good request has exactly one, or none.
    pub credentials: Vec<SeenCredential>,
}

impl Seen {
    /// First value of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// All tokens that arrived, from anywhere.
    pub fn tokens(&self) -> Vec<&str> {
        self.credentials
            .iter()
            .map(|credential| credential.token.as_str())
            .collect()
    }

    /// Whether `text` occurs anywhere in the path, query or headers.
    pub fn contains(&self, text: &str) -> bool {
        self.path.contains(text)
            || self.query.contains(text)
            || self
                .headers
                .iter()
                .any(|(name, value)| name.contains(text) || value.contains(text))
    }

    pub(super) fn of(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: query.to_owned(),
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            credentials: credentials(&parts.headers, query),
        }
    }
}

fn credentials(headers: &HeaderMap, query: &str) -> Vec<SeenCredential> {
    use CredentialKind::{Authorization, CloudToken, Cookie, Query, RemoteClusterToken};
    let mut found = Vec::new();
    let mut add = |kind, token: &str| {
        found.push(SeenCredential {
            kind,
            token: token.to_owned(),
        })
    };
    for line in headers.get_all("cookie") {
        let line = String::from_utf8_lossy(line.as_bytes()).into_owned();
        for pair in line.split(';') {
            if let Some(("MMAUTHTOKEN", value)) = pair.trim().split_once('=') {
                add(Cookie, value);
            }
        }
    }
    for (name, kind) in [
        ("authorization", Authorization),
        ("x-cloud-token", CloudToken),
        ("x-remotecluster-token", RemoteClusterToken),
    ] {
        for line in headers.get_all(name) {
            let line = String::from_utf8_lossy(line.as_bytes()).into_owned();
            let token = match kind {
                Authorization => line
                    .split_once(' ')
                    .map_or(line.as_str(), |(_, token)| token),
                _ => &line,
            };
            add(kind, token);
        }
    }
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name == "access_token" {
            add(Query, &value);
        }
    }
    found
}

/// What became of a request that was not a mere question, or was turned away by its rate.
#[derive(Clone, Debug)]
pub struct Done {
    /// The method.
    pub method: String,
    /// The path, undecoded.
    pub path: String,
    /// The answer's status, whether or not the answer arrived.
    pub status: u16,
    /// When.
    pub at: std::time::Instant,
}

impl Done {
    pub(super) fn new(method: &http::Method, path: &str, status: u16) -> Self {
        Self {
            method: method.to_string(),
            path: path.to_owned(),
            status,
            at: std::time::Instant::now(),
        }
    }

    /// Whether it was carried out.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A bounded list of requests.
pub(super) struct Journal<T> {
    capacity: usize,
    entries: Mutex<VecDeque<T>>,
}

impl<T: Clone> Journal<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Mutex::default(),
        }
    }

    pub(super) fn note(&self, seen: T) {
        if self.capacity == 0 {
            return;
        }
        let mut entries = self.entries.lock();
        while entries.len() >= self.capacity {
            entries.pop_front();
        }
        entries.push_back(seen);
    }

    pub(super) fn entries(&self) -> Vec<T> {
        self.entries.lock().iter().cloned().collect()
    }

    pub(super) fn clear(&self) {
        self.entries.lock().clear();
    }
}

//! The certificates of every listener and of every client of ours: read once, read again when their
//! files change, without a restart and without a dropped connection. A connection keeps what it was
//! made with; the next one takes the newest. What can't be used changes nothing and is told.

use super::wire::StartError;
use crate::telemetry::metrics::Metrics;
use crate::tls::{ClientFiles, Reloading, Role, ServerFiles, TlsError, validity};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{ClientConfig, ServerConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// All of them, by what they are for.
#[derive(Default)]
pub(super) struct Certificates {
    entries: Mutex<BTreeMap<String, Entry>>,
    /// What metrics say something about.
    told: Mutex<BTreeSet<(String, &'static str)>>,
}

struct Entry {
    files: Vec<(Role, PathBuf)>,
    kept: Kept,
    /// Told when others are in use.
    changed: Box<dyn Fn() + Send + Sync>,
}

enum Kept {
    Client(ClientFiles, Reloading<ClientConfig>),
    Server(Reloading<ServerConfig>),
}

impl Certificates {
    /// TLS towards a peer. Whoever asks for the same thing with the same files gets the same one.
    pub(super) fn client(
        &self,
        about: &str,
        files: &ClientFiles,
    ) -> Result<Arc<ArcSwap<ClientConfig>>, StartError> {
        let mut entries = self.entries.lock();
        if let Some(Entry {
            kept: Kept::Client(known, reloading),
            ..
        }) = entries.get(about)
            && known == files
        {
            return Ok(reloading.shared());
        }
        let load = files.clone();
        let reloading = Reloading::new(files.paths(), move || load.load())
            .map_err(|e: TlsError| StartError::new(format!("{about}: TLS towards a peer"), e))?;
        let shared = reloading.shared();
        let entry = Entry {
            files: files.certificates(),
            kept: Kept::Client(files.clone(), reloading),
            changed: Box::new(|| ()),
        };
        entries.insert(about.to_owned(), entry);
        Ok(shared)
    }

    /// TLS of a listener; `changed` is told when other certificates are in use.
    pub(super) fn server(
        &self,
        about: &str,
        files: &ServerFiles,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Result<Arc<ArcSwap<ServerConfig>>, StartError> {
        let load = files.clone();
        let reloading = Reloading::new(files.paths(), move || load.load())
            .map_err(|e: TlsError| StartError::new(about, e))?;
        let shared = reloading.shared();
        let entry = Entry {
            files: files.certificates(),
            kept: Kept::Server(reloading),
            changed: Box::new(changed),
        };
        self.entries.lock().insert(about.to_owned(), entry);
        Ok(shared)
    }

    /// Keeps only what a new configuration still names: `about` of the rest is forgotten.
    pub(super) fn retain(&self, named: impl Fn(&str) -> bool) {
        self.entries.lock().retain(|about, _| named(about));
    }

    /// Reads again what changed; all of it when that was `asked` for.
    pub(super) fn refresh(&self, asked: bool) {
        for (about, entry) in &*self.entries.lock() {
            let read = match &entry.kept {
                Kept::Client(_, reloading) => again(reloading, asked),
                Kept::Server(reloading) => again(reloading, asked),
            };
            match read {
                None => {}
                Some(Ok(())) => {
                    (entry.changed)();
                    tracing::info!(about, "certificates read again");
                }
                Some(Err(error)) => {
                    tracing::error!(about, %error, "the new certificates can't be used: the former ones stay");
                }
            }
        }
    }

    /// Says when each of them ends, and no longer of those that are not used any more.
    pub(super) fn observe(&self, metrics: &Metrics) {
        let mut now = BTreeSet::new();
        for (about, entry) in &*self.entries.lock() {
            for (role, path) in &entry.files {
                if let Some(until) = validity::earliest_end(path) {
                    metrics.certificate(about, role.as_str(), until);
                    now.insert((about.clone(), role.as_str()));
                }
            }
        }
        let mut told = self.told.lock();
        for (about, role) in told.difference(&now) {
            metrics.certificate_gone(about, role);
        }
        *told = now;
    }
}

fn again<T>(reloading: &Reloading<T>, asked: bool) -> Option<Result<(), TlsError>> {
    (asked || reloading.changed()).then(|| reloading.reload())
}

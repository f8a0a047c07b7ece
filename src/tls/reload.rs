//! A configuration that is replaced when its files change. Connections keep what they were made
//! with; new ones take the newest. What can't be read changes nothing: the old one stays.
//!
//! Files are compared by inode, length and time of change, which sees a rewritten file as well as a
//! swapped symbolic link (Kubernetes, certbot). Whoever owns the clock calls
//! [`Reloading::changed`] every few seconds.

use super::pem::TlsError;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A value made from files, replaced when they change.
pub struct Reloading<T> {
    current: Arc<ArcSwap<T>>,
    load: Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>,
    paths: Vec<PathBuf>,
    /// The files at the last attempt. Locked while loading, so that two reloads take turns.
    seen: Mutex<Vec<Option<Stamp>>>,
}

impl<T> Reloading<T> {
    /// Loads for the first time.
    ///
    /// # Errors
    /// What `load` says.
    pub fn new(
        paths: Vec<PathBuf>,
        load: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        // Looked at before loading: a change in between is seen again, never missed.
        let seen = stamps(&paths);
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(load()?)),
            load: Box::new(load),
            paths,
            seen: Mutex::new(seen),
        })
    }

    /// The newest one.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// The place where the newest one always lies, for whoever makes connections with it.
    #[must_use]
    pub fn shared(&self) -> Arc<ArcSwap<T>> {
        Arc::clone(&self.current)
    }

    /// Loads anew, whatever the files look like.
    ///
    /// # Errors
    /// What `load` says; the old value stays, and [`Reloading::changed`] waits for the next change.
    pub fn reload(&self) -> Result<(), TlsError> {
        let mut seen = self.seen.lock();
        *seen = stamps(&self.paths);
        self.current.store(Arc::new((self.load)()?));
        Ok(())
    }

    /// Whether a file changed since the last attempt. Asks the file system: not for a hot path.
    #[must_use]
    pub fn changed(&self) -> bool {
        *self.seen.lock() != stamps(&self.paths)
    }
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths
        .iter()
        .map(|path| {
            // Follows symbolic links: what counts is the file that would be read.
            let file = fs::metadata(path).ok()?;
            Some(Stamp {
                device: file.dev(),
                inode: file.ino(),
                length: file.len(),
                modified: (file.mtime(), file.mtime_nsec()),
            })
        })
        .collect()
}

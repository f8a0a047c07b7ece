//! Locks by name, across tasks and across the processes that have the file open.
//!
//! Inside the process a lock is a mutex, so that waiters are woken and not polled. Between
//! processes it is a locked file: the kernel gives it back when its holder dies, however it dies,
//! and needs no clock. A row with an expiry would need renewal, and a holder that was suspended
//! past its expiry would go on as if it held it.

use crate::store::turns::Turns;
use crate::store::{Held, LockGuard, Result, StoreError};
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};

/// How often another process's lock is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// The locks of a database.
pub(super) struct Locks {
    turns: Turns,
    /// Where the locked files are; none for a database in memory.
    folder: Option<PathBuf>,
}

impl Locks {
    /// The locks of the database at `path`: a folder beside it.
    pub(super) fn beside(path: &Path) -> Self {
        let mut folder = path.as_os_str().to_owned();
        folder.push("-locks");
        Self {
            turns: Turns::default(),
            folder: Some(folder.into()),
        }
    }

    /// The locks of a database that only this store can see.
    pub(super) fn in_process() -> Self {
        Self {
            turns: Turns::default(),
            folder: None,
        }
    }

    pub(super) async fn lock(&self, name: &str, wait: Duration) -> Result<LockGuard> {
        let until = Instant::now() + wait;
        let turn = self.turns.take(name, until).await?;
        let Some(folder) = &self.folder else {
            return Ok(LockGuard::new(turn));
        };
        let path = folder.join(file_name(name));
        loop {
            let (folder, path) = (folder.clone(), path.clone());
            let held = tokio::task::spawn_blocking(move || LockedFile::take(&folder, path))
                .await
                .map_err(|error| StoreError::Unavailable(error.to_string()))?
                .map_err(|error| StoreError::Unavailable(format!("a lock file: {error}")))?;
            if let Some(file) = held {
                return Ok(LockGuard::new(HeldFile { file, _turn: turn }));
            }
            if Instant::now() + AGAIN > until {
                return Err(StoreError::Busy);
            }
            sleep(AGAIN).await;
        }
    }
}

/// A name may hold anything; a file's name may not.
fn file_name(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, name.as_bytes()))
}

/// A lock that is held. Fields drop in order: the file is free before the next waiter here tries it.
struct HeldFile {
    file: LockedFile,
    _turn: OwnedMutexGuard<()>,
}

#[async_trait]
impl Held for HeldFile {
    async fn stands(&self) -> bool {
        self.file.is_there()
    }
}

/// A file that exists while it is locked.
struct LockedFile {
    path: PathBuf,
    /// Closing it gives the lock back.
    file: File,
}

impl LockedFile {
    /// Locks the file at `path`, unless another has it.
    fn take(folder: &Path, path: PathBuf) -> io::Result<Option<Self>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its holder may have removed it between our opening and our locking: then what we hold
        // is a file that nobody else will find.
        let still_there = match std::fs::metadata(&path) {
            Ok(there) => there.ino() == file.metadata()?.ino(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        Ok(still_there.then_some(Self { path, file }))
    }

    /// Whether whoever looks for the lock still finds this file: somebody may have emptied the folder.
    fn is_there(&self) -> bool {
        let found = std::fs::metadata(&self.path).and_then(|there| {
            let ours = self.file.metadata()?;
            Ok(there.ino() == ours.ino())
        });
        found.unwrap_or(false)
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Only its holder removes it, and while it holds it. Left behind, it is merely used again.
        if self.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

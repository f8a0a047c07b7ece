//! Backup and restore: a store in one file, sealed under the master key.
//!
//! The file holds the rows of every kept table (`store/archive`), of one moment, also while the
//! bridge runs, in a form of its own that both engines write and read: so it is also the way from
//! SQLite to PostgreSQL and back. What is sealed in the store (signing keys, the password root,
//! tokens of sessions) stays sealed in it. The master key is not in it: keep that elsewhere, for
//! without it the file is worthless, and with it, it is everything.
//!
//! The file: [`MAGIC`], then a sealed stream (`keys/stream`) of JSON lines (`lines`). Whoever lacks
//! the master key can neither read nor make nor change one; a file that was cut anywhere does not
//! open. `write` makes it under another name and gives it its own when it is whole and was read
//! back; `read` goes through it, once to check it and once to restore it.

mod lines;
mod read;
mod write;

pub use lines::Manifest;
pub use read::{Backup, Contents};
pub use write::write;

use crate::keys::OpenError;
use crate::keys::stream::StreamError;
use crate::store::StoreError;

/// What every backup begins with.
const MAGIC: &[u8] = b"auth-manager backup\n";

/// Why there is no backup, or none can be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file can't be written or read.
    #[error("{what}: {source}")]
    File {
        /// What was done to which file.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It does not begin as one.
    #[error("this is no backup of auth-manager")]
    NoBackup,
    /// It does not open.
    #[error("the backup does not open: it {0}")]
    Open(#[from] OpenError),
    /// It ends before its end.
    #[error("the backup is not whole: it is cut off, or its end was changed")]
    Cut,
    /// A line is not of a known form, though it is genuine.
    #[error("the backup holds what this version can't read: {0}")]
    Line(String),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] StreamError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    fn file(what: String) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { what, source }
    }
}

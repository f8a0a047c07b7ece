//! What can go wrong with a store.

use crate::telemetry::metrics::StoreTrouble;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer, or not in time. Trying again may help.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// Someone else wrote first (optimistic locking).
    #[error("the record changed meanwhile")]
    Changed,
    /// Another record has this value, which must be unique.
    #[error("{0} is taken by another record")]
    Taken(&'static str),
    /// A lock was not to be had in time.
    #[error("the lock was not to be had in time")]
    Busy,
    /// The store holds rows that would be lost.
    #[error("the store is not empty")]
    NotEmpty,
    /// A row holds what this version can't read.
    #[error("the store holds what can't be read: {0}")]
    Inconsistent(String),
    /// The schema is newer than this version, or a migration failed.
    #[error("the store's schema can't be used: {0}")]
    Schema(String),
}

impl StoreError {
    /// Whether the same may be done a moment later: the store is away, or somebody else was faster.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Changed | Self::Busy)
    }

    /// The metric label.
    #[must_use]
    pub const fn trouble(&self) -> StoreTrouble {
        match self {
            Self::Unavailable(_) => StoreTrouble::Unavailable,
            Self::Changed => StoreTrouble::Changed,
            Self::Taken(_) => StoreTrouble::Taken,
            Self::Busy => StoreTrouble::Busy,
            // Of restoring only, which counts nothing.
            Self::NotEmpty => StoreTrouble::Taken,
            Self::Inconsistent(_) => StoreTrouble::Inconsistent,
            Self::Schema(_) => StoreTrouble::Schema,
        }
    }
}

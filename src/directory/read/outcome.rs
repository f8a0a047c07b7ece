//! What a failure means: for the job, for metrics, for the log.

use crate::directory::source::SourceError;
use crate::jobs::Outcome;
use crate::store::StoreError;
use crate::telemetry::metrics::{DirectoryTrouble, Metrics};
use crate::types::SourceId;
use std::time::Duration;

/// A token or a role that lacks something is mended by an operator: it is tried until then, since
/// what is not read meanwhile may be somebody who must go.
const UNTIL_MENDED: Duration = Duration::from_secs(60);

/// Why an attempt did not end well.
pub(super) enum Failure {
    Source(SourceError),
    Store(StoreError),
    /// A newer word was known.
    Overtaken,
}

/// What becomes of the job.
pub(super) fn of(error: &SourceError) -> Outcome {
    let text = error.to_string();
    match error {
        SourceError::Unavailable(_) | SourceError::Timeout(_) => Outcome::failed(text),
        SourceError::RateLimited(after) => Outcome::Wait {
            after: *after,
            error: text,
        },
        SourceError::Credential(_) | SourceError::Permission(_) => Outcome::Later {
            after: UNTIL_MENDED,
            error: text,
            counts: false,
        },
        SourceError::Refused(_) => Outcome::Never { error: text },
    }
}

/// Counts it, and raises the alarm where only an operator can help.
pub(super) fn told(metrics: &Metrics, source: &SourceId, error: &SourceError) {
    match counted(metrics, source, error) {
        DirectoryTrouble::Credential | DirectoryTrouble::Permission => {
            tracing::error!(%source, %error, "the directory can't be read: who was disabled or removed there is still let in");
        }
        _ => tracing::warn!(%source, %error, "the directory was not read"),
    }
}

/// Counts it.
pub(crate) fn counted(
    metrics: &Metrics,
    source: &SourceId,
    error: &SourceError,
) -> DirectoryTrouble {
    let kind = match error {
        SourceError::Unavailable(_) => DirectoryTrouble::Unavailable,
        SourceError::Timeout(_) => DirectoryTrouble::Timeout,
        SourceError::Credential(_) => DirectoryTrouble::Credential,
        SourceError::Permission(_) => DirectoryTrouble::Permission,
        SourceError::RateLimited(_) => DirectoryTrouble::RateLimited,
        SourceError::Refused(_) => DirectoryTrouble::Refused,
    };
    metrics.directory_failed(source, kind);
    kind
}

//! What PostgreSQL's refusals mean. No value of a row reaches a message: `DETAIL`, which shows
//! them, is left out.

use crate::store::StoreError;
use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            // A column read as the wrong type is the one local failure that is not the wire's.
            return if is_conversion(&error) {
                Self::Inconsistent("a column holds another type of value".into())
            } else {
                Self::Unavailable(causes(&error))
            };
        };
        let text = format!("{} ({})", refusal.message(), refusal.code().code());
        // Classes of PostgreSQL's appendix A, "Error Codes".
        match refusal.code().code().get(..2) {
            Some("22" | "23") => Self::Inconsistent(text),
            Some("3F" | "42") => Self::Schema(text),
            // Everything else (connection, rollback, resources, operator, system) may pass.
            _ => Self::Unavailable(text),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => match error.into() {
                // A connection that is refused (password, database) is no matter of rows.
                Self::Inconsistent(text) | Self::Schema(text) => Self::Unavailable(text),
                other => other,
            },
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::Unavailable("no free connection in time".into())
            }
            PoolError::Timeout(_) => Self::Unavailable("no connection in time".into()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The unique constraint that stood in the way, if one did.
pub(super) fn taken(error: &Error) -> Option<&str> {
    let refusal = error.as_db_error()?;
    (*refusal.code() == SqlState::UNIQUE_VIOLATION)
        .then(|| refusal.constraint())
        .flatten()
}

fn is_conversion(error: &Error) -> bool {
    let text = error.to_string();
    text.starts_with("error deserializing") || text.starts_with("error serializing")
}

/// The error and its sources: `error connecting to server: Connection refused`.
fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

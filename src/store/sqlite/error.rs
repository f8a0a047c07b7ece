//! What SQLite's refusals mean. No text of a row reaches a message.

use crate::store::StoreError;
use rusqlite::{Error, ErrorCode};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        use ErrorCode as C;
        let text = match &error {
            // Its message names table and column, never a value.
            Error::SqliteFailure(failure, message) => {
                message.clone().unwrap_or_else(|| failure.to_string())
            }
            // A value of the wrong type: the message may show it.
            Error::FromSqlConversionFailure(at, ..)
            | Error::IntegralValueOutOfRange(at, _)
            | Error::InvalidColumnType(at, ..) => {
                return Self::Inconsistent(format!("column {at} holds another type of value"));
            }
            other => other.to_string(),
        };
        match error.sqlite_error_code() {
            Some(
                C::ConstraintViolation | C::DatabaseCorrupt | C::NotADatabase | C::TypeMismatch,
            ) => Self::Inconsistent(text),
            Some(C::Unknown | C::SchemaChanged) => Self::Schema(text),
            Some(_) => Self::Unavailable(text),
            None => Self::Inconsistent(text),
        }
    }
}

/// Whether a unique index stood in the way.
pub(super) fn is_taken(error: &Error) -> bool {
    matches!(
        error,
        Error::SqliteFailure(failure, _)
            if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                || failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
    )
}

/// For a connection that must be alone: what another's lock means.
pub(super) fn taken_by_another(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(text) if text.contains("locked") => StoreError::Busy,
        other => other,
    }
}

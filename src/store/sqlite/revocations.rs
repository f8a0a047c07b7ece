//! The revocation log. One writer at a time gives its numbers their order.

use super::row::{many, one, run};
use crate::store::rows::{self, Columns as _, Entry, REVOCATION};
use crate::store::rules::limit;
use crate::store::{EndReason, Result, Revocation, Revoked, StoreError};
use crate::types::Timestamp;
use rusqlite::{Connection, params};

pub(super) fn append(
    db: &Connection,
    what: &Revoked,
    reason: Option<EndReason>,
    now: Timestamp,
) -> Result<()> {
    let number = one(
        db,
        "UPDATE counters SET value = value + 1 WHERE name = 'log' RETURNING value",
        [],
        |row| row.int(0),
    )?;
    let entry = Entry::from(what);
    run(
        db,
        &format!(
            "INSERT INTO revocations ({REVOCATION}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        ),
        params![
            number.ok_or_else(lost)?,
            now.0,
            entry.what,
            entry.session,
            entry.user.map(|id| id.to_string()),
            entry.app,
            entry.issuer,
            entry.subject,
            entry.sid,
            reason.map(EndReason::as_str),
        ],
    )?;
    Ok(())
}

pub(super) fn after(db: &Connection, number: i64, asked: u32) -> Result<Vec<Revocation>> {
    many(
        db,
        &format!("SELECT {REVOCATION} FROM revocations WHERE number > ?1 ORDER BY number LIMIT ?2"),
        [number, limit(asked)],
        |row| rows::revocation(row),
    )
}

pub(super) fn newest(db: &Connection) -> Result<i64> {
    one(
        db,
        "SELECT value FROM counters WHERE name = 'log'",
        [],
        |row| row.int(0),
    )?
    .ok_or_else(lost)
}

fn lost() -> StoreError {
    StoreError::Inconsistent("the log's counter is gone".into())
}

//! The revocation log.
//!
//! Its numbers come from a counter row, not a sequence: a sequence gives numbers in the order they
//! are asked for, and a transaction that commits late would appear behind a number that was read.
//! The row stays locked until the transaction that raised it commits, so the numbers are in commit
//! order, and without gaps. It is the last lock a transaction takes.

use super::row::{many, one, run};
use super::users::gone;
use crate::store::rows::{self, Columns as _, Entry, REVOCATION};
use crate::store::rules::limit;
use crate::store::{EndReason, Result, Revocation, Revoked};
use crate::types::Timestamp;
use deadpool_postgres::{GenericClient, Transaction};

/// Appends `what`, and tells who listens once the transaction commits.
pub(super) async fn append(
    tx: &Transaction<'_>,
    channel: &str,
    what: &[Revoked],
    reason: Option<EndReason>,
    now: Timestamp,
) -> Result<()> {
    if what.is_empty() {
        return Ok(());
    }
    for revoked in what {
        let number = one(
            tx,
            "UPDATE counters SET value = value + 1 WHERE name = 'log' RETURNING value",
            &[],
            |row| row.int(0),
        )
        .await?
        .ok_or_else(gone)?;
        let entry = Entry::from(revoked);
        run(
            tx,
            &format!(
                "INSERT INTO revocations ({REVOCATION})
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
            ),
            &[
                &number,
                &now.0,
                &entry.what,
                &entry.session,
                &entry.user,
                &entry.app,
                &entry.issuer,
                &entry.subject,
                &entry.sid,
                &reason.map(EndReason::as_str),
            ],
        )
        .await?;
    }
    run(tx, "SELECT pg_notify($1, '')", &[&channel]).await?;
    Ok(())
}

pub(super) async fn after(
    db: &impl GenericClient,
    number: i64,
    asked: u32,
) -> Result<Vec<Revocation>> {
    many(
        db,
        &format!("SELECT {REVOCATION} FROM revocations WHERE number > $1 ORDER BY number LIMIT $2"),
        &[&number, &limit(asked)],
        rows::revocation,
    )
    .await
}

pub(super) async fn newest(db: &impl GenericClient) -> Result<i64> {
    one(
        db,
        "SELECT value FROM counters WHERE name = 'log'",
        &[],
        |row| row.int(0),
    )
    .await?
    .ok_or_else(gone)
}

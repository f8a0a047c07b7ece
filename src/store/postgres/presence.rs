//! Whoever holds jobs and is not here: their advisory lock (`lock`) is free, since the server gives it
//! back with the connection that held it.

use super::lock;
use super::row::{many, run};
use crate::store::Result;
use crate::store::jobs::lock_of;
use crate::store::rows::Columns as _;
use crate::store::rules::plain;
use crate::types::Timestamp;
use deadpool_postgres::Pool;
use std::time::Duration;

/// How long a holder must have been absent: whoever loses their connection stops within half of it
/// (`jobs::presence`).
pub(super) const ABSENCE: Duration = Duration::from_secs(8);

/// Taken for a statement alone: nothing is left behind, whatever becomes of the caller.
const TRY: &str = "SELECT pg_try_advisory_xact_lock($1)";

pub(super) async fn absent(pool: &Pool, schema: &str) -> Result<Vec<String>> {
    let client = pool.get().await?;
    let sql = "SELECT DISTINCT holder FROM jobs WHERE state = 'running' ORDER BY holder";
    let mut absent = many(&client, sql, &[], |row| row.text(0)).await?;
    let mut here = Vec::new();
    for holder in &absent {
        let key = lock::key(schema, &lock_of(holder));
        let free = many(&client, TRY, &[&key], |row| row.flag(0)).await?;
        here.push(free != [true]);
    }
    let mut here = here.into_iter();
    absent.retain(|_| here.next() == Some(false));
    Ok(absent)
}

/// In one transaction that has the lock: nobody comes back under this name meanwhile.
pub(super) async fn relieve(
    pool: &Pool,
    schema: &str,
    holder: &str,
    now: Timestamp,
) -> Result<u64> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let key = lock::key(schema, &lock_of(&plain(holder)));
    if many(&tx, TRY, &[&key], |row| row.flag(0)).await? != [true] {
        return Ok(0);
    }
    let given_back = run(
        &tx,
        "UPDATE jobs SET state = 'pending', holder = NULL, leased_until = NULL, again = false,
             due_at = least(due_at, $2), updated_at = $2
         WHERE state = 'running' AND holder = $1",
        &[&plain(holder), &now.0],
    )
    .await?;
    tx.commit().await?;
    Ok(given_back)
}

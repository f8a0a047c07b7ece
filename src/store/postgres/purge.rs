//! Forgetting what no longer matters. Rows that another transaction holds are left for next time.

use super::row::run;
use crate::store::Result;
use crate::store::rules::PURGE_AT_ONCE;
use crate::types::Timestamp;
use deadpool_postgres::Pool;

/// The newest entry of the log always stays, and only a prefix goes: a replica that was away for
/// too long sees that the next number is not its last plus one.
pub(super) async fn purge(pool: &Pool, now: Timestamp, before: Timestamp) -> Result<u64> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let tombstones = run(
        &tx,
        "DELETE FROM tombstones WHERE ctid = ANY (ARRAY
             (SELECT ctid FROM tombstones WHERE stands_until < $1 LIMIT $2
              FOR UPDATE SKIP LOCKED))",
        &[&now.0, &PURGE_AT_ONCE],
    )
    .await?;
    let sessions = run(
        &tx,
        "DELETE FROM sessions WHERE id = ANY (ARRAY
             (SELECT id FROM sessions
              WHERE ended_at < $1 OR (ended_at IS NULL AND expires_at < $1) LIMIT $2
              FOR UPDATE SKIP LOCKED))",
        &[&before.0, &PURGE_AT_ONCE],
    )
    .await?;
    let claims = run(
        &tx,
        "DELETE FROM claims WHERE ctid = ANY (ARRAY
             (SELECT ctid FROM claims WHERE stands_until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))",
        &[&now.0, &PURGE_AT_ONCE],
    )
    .await?;
    let entries = run(
        &tx,
        "DELETE FROM revocations WHERE number = ANY (ARRAY
             (SELECT number FROM revocations
              WHERE number < (SELECT max(number) FROM revocations)
                AND number < coalesce((SELECT min(number) FROM revocations WHERE appended_at >= $1),
                                      9223372036854775807)
              ORDER BY number LIMIT $2))",
        &[&before.0, &PURGE_AT_ONCE],
    )
    .await?;
    let tokens = run(
        &tx,
        "DELETE FROM revoked_tokens WHERE id = ANY (ARRAY
             (SELECT id FROM revoked_tokens WHERE stands_until < $1 LIMIT $2
              FOR UPDATE SKIP LOCKED))",
        &[&now.0, &PURGE_AT_ONCE],
    )
    .await?;
    let plans = run(
        &tx,
        "DELETE FROM plans WHERE id = ANY (ARRAY
             (SELECT id FROM plans WHERE state <> 'held' AND state_since < $1 LIMIT $2
              FOR UPDATE SKIP LOCKED))",
        &[&before.0, &PURGE_AT_ONCE],
    )
    .await?;
    tx.commit().await?;
    Ok(tombstones + sessions + claims + entries + tokens + plans)
}

//! Forgetting what no longer matters.

use super::row::run;
use crate::store::Result;
use crate::store::rules::PURGE_AT_ONCE;
use crate::types::Timestamp;
use rusqlite::{Connection, params};

/// The newest entry of the log always stays, and only a prefix goes: a replica that was away for
/// too long sees that the next number is not its last plus one.
pub(super) fn purge(db: &Connection, now: Timestamp, before: Timestamp) -> Result<u64> {
    let tombstones = run(
        db,
        "DELETE FROM tombstones WHERE (app, issuer, subject, sid) IN
             (SELECT app, issuer, subject, sid FROM tombstones WHERE stands_until < ?1 LIMIT ?2)",
        params![now.0, PURGE_AT_ONCE],
    )?;
    let sessions = run(
        db,
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions
              WHERE ended_at < ?1 OR (ended_at IS NULL AND expires_at < ?1) LIMIT ?2)",
        params![before.0, PURGE_AT_ONCE],
    )?;
    let claims = run(
        db,
        "DELETE FROM claims WHERE (client, key) IN
             (SELECT client, key FROM claims WHERE stands_until < ?1 LIMIT ?2)",
        params![now.0, PURGE_AT_ONCE],
    )?;
    let entries = run(
        db,
        "DELETE FROM revocations WHERE number IN
             (SELECT number FROM revocations
              WHERE number < (SELECT max(number) FROM revocations)
                AND number < coalesce((SELECT min(number) FROM revocations WHERE appended_at >= ?1),
                                      9223372036854775807)
              ORDER BY number LIMIT ?2)",
        params![before.0, PURGE_AT_ONCE],
    )?;
    let tokens = run(
        db,
        "DELETE FROM revoked_tokens WHERE id IN
             (SELECT id FROM revoked_tokens WHERE stands_until < ?1 LIMIT ?2)",
        params![now.0, PURGE_AT_ONCE],
    )?;
    let plans = run(
        db,
        "DELETE FROM plans WHERE id IN
             (SELECT id FROM plans WHERE state <> 'held' AND state_since < ?1 LIMIT ?2)",
        params![before.0, PURGE_AT_ONCE],
    )?;
    Ok((tombstones + sessions + claims + entries + tokens + plans) as u64)
}

//! Requests that must not act twice.

use super::row::{one, run};
use crate::store::claims::judge;
use crate::store::rows::{self, CLAIM};
use crate::store::{Claim, Claimed, KeptAnswer, Result};
use crate::types::Timestamp;
use rusqlite::{Connection, params};

pub(super) fn claim(db: &Connection, claim: &Claim, now: Timestamp) -> Result<Claimed> {
    let stored = one(
        db,
        &format!("SELECT {CLAIM} FROM claims WHERE client = ?1 AND key = ?2"),
        [claim.client.as_str(), &claim.key],
        |row| rows::claim(row),
    )?;
    if let Some(found) = stored.and_then(|entry| judge(entry, claim, now)) {
        return Ok(found);
    }
    run(
        db,
        "INSERT OR REPLACE INTO claims
             (client, key, fingerprint, holder, claimed_at, stands_until, status, etag, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, NULL, NULL)",
        params![
            claim.client.as_str(),
            claim.key,
            &claim.fingerprint[..],
            claim.holder.to_string(),
            now.0,
            (now + claim.keep).0,
        ],
    )?;
    run(
        db,
        "DELETE FROM claims WHERE client = ?1 AND key IN
             (SELECT key FROM claims WHERE client = ?1 AND status IS NOT NULL
              ORDER BY claimed_at DESC, key LIMIT -1 OFFSET ?2)",
        params![claim.client.as_str(), claim.most],
    )?;
    Ok(Claimed::Ours)
}

pub(super) fn keep(db: &Connection, claim: &Claim, answer: &KeptAnswer) -> Result<()> {
    run(
        db,
        "UPDATE claims SET status = ?4, etag = ?5, body = ?6
         WHERE client = ?1 AND key = ?2 AND holder = ?3",
        params![
            claim.client.as_str(),
            claim.key,
            claim.holder.to_string(),
            answer.status,
            answer.etag,
            answer.body,
        ],
    )?;
    Ok(())
}

pub(super) fn give_up(db: &Connection, claim: &Claim) -> Result<()> {
    run(
        db,
        "DELETE FROM claims WHERE client = ?1 AND key = ?2 AND holder = ?3",
        params![claim.client.as_str(), claim.key, claim.holder.to_string()],
    )?;
    Ok(())
}

//! Requests that must not act twice.

use super::row::{one, run};
use super::users::gone;
use crate::store::claims::judge;
use crate::store::rows::{self, CLAIM};
use crate::store::{Claim, Claimed, KeptAnswer, Result};
use crate::types::Timestamp;
use deadpool_postgres::Pool;

pub(super) async fn claim(pool: &Pool, claim: &Claim, now: Timestamp) -> Result<Claimed> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let name = claim.client.as_str();
    // Whoever inserts first holds the row; everybody else waits here until that is decided.
    let inserted = run(
        &tx,
        "INSERT INTO claims (client, key, fingerprint, holder, claimed_at, stands_until)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (client, key) DO NOTHING",
        &[
            &name,
            &claim.key,
            &&claim.fingerprint[..],
            &claim.holder,
            &now.0,
            &(now + claim.keep).0,
        ],
    )
    .await?;
    if inserted == 0 {
        let stored = one(
            &tx,
            &format!("SELECT {CLAIM} FROM claims WHERE client = $1 AND key = $2 FOR UPDATE"),
            &[&name, &claim.key],
            rows::claim,
        )
        .await?;
        if let Some(found) = judge(stored.ok_or_else(gone)?, claim, now) {
            return Ok(found);
        }
        run(
            &tx,
            "UPDATE claims SET fingerprint = $3, holder = $4, claimed_at = $5, stands_until = $6,
                 status = NULL, etag = NULL, body = NULL
             WHERE client = $1 AND key = $2",
            &[
                &name,
                &claim.key,
                &&claim.fingerprint[..],
                &claim.holder,
                &now.0,
                &(now + claim.keep).0,
            ],
        )
        .await?;
    }
    run(
        &tx,
        "DELETE FROM claims WHERE client = $1 AND key = ANY (ARRAY
             (SELECT key FROM claims WHERE client = $1 AND status IS NOT NULL
              ORDER BY claimed_at DESC, key OFFSET $2 FOR UPDATE SKIP LOCKED))",
        &[&name, &i64::from(claim.most)],
    )
    .await?;
    tx.commit().await?;
    Ok(Claimed::Ours)
}

pub(super) async fn keep(pool: &Pool, claim: &Claim, answer: &KeptAnswer) -> Result<()> {
    run(
        &pool.get().await?,
        "UPDATE claims SET status = $4, etag = $5, body = $6
         WHERE client = $1 AND key = $2 AND holder = $3",
        &[
            &claim.client.as_str(),
            &claim.key,
            &claim.holder,
            &i64::from(answer.status),
            &answer.etag,
            &answer.body,
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn give_up(pool: &Pool, claim: &Claim) -> Result<()> {
    run(
        &pool.get().await?,
        "DELETE FROM claims WHERE client = $1 AND key = $2 AND holder = $3",
        &[&claim.client.as_str(), &claim.key, &claim.holder],
    )
    .await?;
    Ok(())
}

//! Sealed keys and secrets.

use super::row::{many, one, run};
use super::users::gone;
use super::{revocations, trail};
use crate::store::rows::{self, Columns as _, KEY};
use crate::store::{By, Change, Result, Revoked, StoredKey};
use crate::types::Timestamp;
use deadpool_postgres::{GenericClient, Pool};

pub(super) async fn ring(pool: &Pool) -> Result<Vec<StoredKey>> {
    many(
        &pool.get().await?,
        &format!("SELECT {KEY} FROM signing_keys ORDER BY created_at, id COLLATE \"C\""),
        &[],
        rows::key,
    )
    .await
}

pub(super) async fn put(
    pool: &Pool,
    channel: &str,
    key: &StoredKey,
    now: Timestamp,
    by: &By,
) -> Result<()> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let before = one(
        &tx,
        &format!("SELECT {KEY} FROM signing_keys WHERE id = $1 FOR UPDATE"),
        &[&key.id.as_str()],
        rows::key,
    )
    .await?;
    run(
        &tx,
        &format!(
            "INSERT INTO signing_keys ({KEY}) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, sealed = excluded.sealed,
                 public = excluded.public, created_at = excluded.created_at,
                 state_since = excluded.state_since"
        ),
        &[
            &key.id.as_str(),
            &key.kind.as_str(),
            &key.state.as_str(),
            &key.sealed,
            &key.public,
            &key.created_at.0,
            &key.state_since.0,
        ],
    )
    .await?;
    revocations::append(&tx, channel, &[Revoked::Keys], None, now).await?;
    trail::append(&tx, &by.records(&Change::Key(before.as_ref(), key))).await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn secret(db: &impl GenericClient, name: &str) -> Result<Option<Vec<u8>>> {
    one(
        db,
        "SELECT sealed FROM secrets WHERE name = $1",
        &[&name],
        |row| row.bytes(0),
    )
    .await
}

pub(super) async fn secret_or_insert(pool: &Pool, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
    let client = pool.get().await?;
    run(
        &client,
        "INSERT INTO secrets (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        &[&name, &sealed],
    )
    .await?;
    secret(&client, name).await?.ok_or_else(gone)
}

//! Sealed keys and secrets.

use super::row::{many, one, run};
use super::{revocations, trail};
use crate::store::rows::{self, Columns as _, KEY};
use crate::store::{By, Change, Result, Revoked, StoreError, StoredKey};
use crate::types::Timestamp;
use rusqlite::{Connection, params};

pub(super) fn ring(db: &Connection) -> Result<Vec<StoredKey>> {
    many(
        db,
        &format!("SELECT {KEY} FROM signing_keys ORDER BY created_at, id"),
        [],
        |row| rows::key(row),
    )
}

pub(super) fn put(db: &Connection, key: &StoredKey, now: Timestamp, by: &By) -> Result<()> {
    let before = one(
        db,
        &format!("SELECT {KEY} FROM signing_keys WHERE id = ?1"),
        [key.id.as_str()],
        |row| rows::key(row),
    )?;
    run(
        db,
        &format!(
            "INSERT INTO signing_keys ({KEY}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, sealed = excluded.sealed,
                 public = excluded.public, created_at = excluded.created_at,
                 state_since = excluded.state_since"
        ),
        params![
            key.id.as_str(),
            key.kind.as_str(),
            key.state.as_str(),
            key.sealed,
            key.public,
            key.created_at.0,
            key.state_since.0,
        ],
    )?;
    revocations::append(db, &Revoked::Keys, None, now)?;
    trail::append(db, &by.records(&Change::Key(before.as_ref(), key)))?;
    Ok(())
}

pub(super) fn secret(db: &Connection, name: &str) -> Result<Option<Vec<u8>>> {
    one(
        db,
        "SELECT sealed FROM secrets WHERE name = ?1",
        [name],
        |row| row.bytes(0),
    )
}

pub(super) fn secret_or_insert(db: &Connection, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
    run(
        db,
        "INSERT INTO secrets (name, sealed) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        params![name, sealed],
    )?;
    secret(db, name)?.ok_or_else(|| StoreError::Inconsistent("a secret is gone".into()))
}

//! What lies sealed: counted, paged and replaced.

use super::row::{many, run};
use crate::store::rows;
use crate::store::rules::limit;
use crate::store::{
    Resealed, Result, SealCount, SealHead, Sealed, SealedAt, SealedKind, StoreError,
};
use rusqlite::types::Value;
use rusqlite::{Connection, params};

pub(super) fn count(db: &Connection) -> Result<Vec<SealCount>> {
    let mut all = Vec::new();
    for kind in SealedKind::ALL {
        let table = rows::sealed_table(kind).0;
        let head = SealHead::LEN;
        all.extend(many(
            db,
            &format!(
                "SELECT substr(sealed, 1, {head}) AS head, count(*) FROM {table}
                 WHERE length(sealed) > 0 GROUP BY head ORDER BY head"
            ),
            [],
            |row| rows::seal_count(kind, row),
        )?);
    }
    Ok(all)
}

pub(super) fn otherwise(
    db: &Connection,
    kind: SealedKind,
    head: SealHead,
    after: Option<&SealedAt>,
    at_most: u32,
) -> Result<Vec<Sealed>> {
    let (table, id, about) = rows::sealed_table(kind);
    let after = match after {
        None if kind == SealedKind::Session => Value::Blob(Vec::new()),
        None => Value::Text(String::new()),
        Some(at) => key(at),
    };
    many(
        db,
        &format!(
            "SELECT {id}, sealed, {about} FROM {table}
             WHERE length(sealed) > 0 AND substr(sealed, 1, {}) <> ?1 AND {id} > ?2
             ORDER BY {id} LIMIT {}",
            SealHead::LEN,
            limit(at_most)
        ),
        params![&head.0[..], after],
        |row| rows::sealed(kind, row),
    )
}

pub(super) fn reseal(db: &Connection, records: &[Resealed]) -> Result<u64> {
    let mut written = 0;
    for Resealed { read, anew } in records {
        let (table, id, _) = rows::sealed_table(rows::sealed_kind(&read.at));
        let sql = format!("UPDATE {table} SET sealed = ?1 WHERE {id} = ?2 AND sealed = ?3");
        written += run(db, &sql, params![anew, key(&read.at), read.bytes])?;
    }
    u64::try_from(written).map_err(|_| StoreError::Inconsistent("a count is negative".into()))
}

fn key(at: &SealedAt) -> Value {
    match at {
        SealedAt::SigningKey(_, id, _) => Value::Text(id.as_str().to_owned()),
        SealedAt::Secret(name) => Value::Text(name.clone()),
        SealedAt::Session(id, _) => Value::Blob(id.0.to_vec()),
        SealedAt::Bot(app, name) => Value::Text(rows::bot_id(app, name)),
    }
}

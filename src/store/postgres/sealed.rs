//! What lies sealed: counted, paged and replaced.

use super::row::{Value, many, run};
use crate::store::rows;
use crate::store::rules::limit;
use crate::store::{Resealed, Result, SealCount, SealHead, Sealed, SealedAt, SealedKind};
use deadpool_postgres::Pool;
use std::borrow::Cow;
use tokio_postgres::Row;

pub(super) async fn count(pool: &Pool) -> Result<Vec<SealCount>> {
    let client = pool.get().await?;
    let mut all = Vec::new();
    for kind in SealedKind::ALL {
        let (table, head) = (rows::sealed_table(kind).0, SealHead::LEN);
        let sql = format!(
            "SELECT substring(sealed FROM 1 FOR {head}) AS head, count(*) FROM {table}
             WHERE length(sealed) > 0 GROUP BY head ORDER BY head"
        );
        let read: fn(&Row) -> Result<SealCount> = match kind {
            SealedKind::SigningKey => |row| rows::seal_count(SealedKind::SigningKey, row),
            SealedKind::Secret => |row| rows::seal_count(SealedKind::Secret, row),
            SealedKind::Session => |row| rows::seal_count(SealedKind::Session, row),
            SealedKind::Bot => |row| rows::seal_count(SealedKind::Bot, row),
        };
        all.extend(many(&client, &sql, &[], read).await?);
    }
    Ok(all)
}

pub(super) async fn otherwise(
    pool: &Pool,
    kind: SealedKind,
    head: SealHead,
    after: Option<&SealedAt>,
    at_most: u32,
) -> Result<Vec<Sealed>> {
    let client = pool.get().await?;
    let (table, id, about) = rows::sealed_table(kind);
    // Texts byte by byte, as on the other engine: a collation of the database's could hold two of
    // them equal.
    let order = match kind {
        SealedKind::Session => id.to_owned(),
        SealedKind::SigningKey | SealedKind::Secret | SealedKind::Bot => {
            format!("{id} COLLATE \"C\"")
        }
    };
    let sql = format!(
        "SELECT {id}, sealed, {about} FROM {table}
         WHERE length(sealed) > 0 AND substring(sealed FROM 1 FOR {}) <> $1 AND {order} > $2
         ORDER BY {order} LIMIT {}",
        SealHead::LEN,
        limit(at_most)
    );
    let head = &head.0[..];
    let bytes: &[u8] = match after {
        Some(SealedAt::Session(id, _)) => &id.0,
        _ => &[],
    };
    let name = after.map_or(Cow::Borrowed(""), name);
    let (read, after): (fn(&Row) -> Result<Sealed>, Value<'_>) = match kind {
        SealedKind::Session => (|row| rows::sealed(SealedKind::Session, row), &bytes),
        SealedKind::SigningKey => (|row| rows::sealed(SealedKind::SigningKey, row), &name),
        SealedKind::Secret => (|row| rows::sealed(SealedKind::Secret, row), &name),
        SealedKind::Bot => (|row| rows::sealed(SealedKind::Bot, row), &name),
    };
    many(&client, &sql, &[&head, after], read).await
}

pub(super) async fn reseal(pool: &Pool, records: &[Resealed]) -> Result<u64> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let mut written = 0;
    for Resealed { read, anew } in records {
        let (table, id, _) = rows::sealed_table(rows::sealed_kind(&read.at));
        let sql = format!("UPDATE {table} SET sealed = $1 WHERE {id} = $2 AND sealed = $3");
        let name = name(&read.at);
        written += match &read.at {
            SealedAt::Session(id, _) => run(&tx, &sql, &[anew, &&id.0[..], &read.bytes]).await?,
            _ => run(&tx, &sql, &[anew, &name, &read.bytes]).await?,
        };
    }
    tx.commit().await?;
    Ok(written)
}

fn name(at: &SealedAt) -> Cow<'_, str> {
    match at {
        SealedAt::SigningKey(_, id, _) => id.as_str().into(),
        SealedAt::Secret(name) => name.into(),
        SealedAt::Session(..) => "".into(),
        SealedAt::Bot(app, name) => rows::bot_id(app, name).into(),
    }
}

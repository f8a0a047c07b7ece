//! The audit trail.
//!
//! As in the revocation log its number comes from a row, which stays locked until the transaction
//! that raised it commits, and the hash to link to lies in the same row. It is the last lock a
//! transaction takes, behind the log's counter.

use super::row::{Conditions, many, one, run};
use super::users::gone;
use crate::store::rows::{self, MARK, TRAIL};
use crate::store::rules::limit;
use crate::store::trail::{code_member, linked};
use crate::store::{
    By, Change, Draft, MarkKind, Result, TrailFilter, TrailHead, TrailMark, TrailRecord,
};
use deadpool_postgres::{GenericClient, Pool, Transaction};

pub(super) async fn head(db: &impl GenericClient) -> Result<TrailHead> {
    let sql = "SELECT number, hash FROM audit_head";
    one(db, sql, &[], rows::trail_head).await?.ok_or_else(gone)
}

/// Appends, in a transaction of its own.
pub(super) async fn append_alone(pool: &Pool, drafts: &[Draft]) -> Result<TrailHead> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let head = append(&tx, drafts).await?;
    tx.commit().await?;
    Ok(head)
}

/// Appends, and gives the new head. Whoever comes next waits until the transaction ends.
pub(super) async fn append(tx: &Transaction<'_>, drafts: &[Draft]) -> Result<TrailHead> {
    if drafts.is_empty() {
        return head(tx).await;
    }
    let sql = "SELECT number, hash FROM audit_head FOR UPDATE";
    let before = one(tx, sql, &[], rows::trail_head)
        .await?
        .ok_or_else(gone)?;
    let records = linked(before, drafts);
    let Some(last) = records.last() else {
        return Ok(before);
    };
    let of = |pick: fn(&TrailRecord) -> i64| records.iter().map(pick).collect::<Vec<_>>();
    let users: Vec<_> = records.iter().map(|r| r.user.map(|id| id.0)).collect();
    let apps: Vec<_> = records
        .iter()
        .map(|r| r.app.as_ref().map(|app| app.as_str()))
        .collect();
    let kinds: Vec<&str> = records.iter().map(|r| r.kind.as_str()).collect();
    let bodies: Vec<&str> = records.iter().map(|r| r.body.as_str()).collect();
    let previous: Vec<&[u8]> = records.iter().map(|r| &r.previous[..]).collect();
    let hashes: Vec<&[u8]> = records.iter().map(|r| &r.hash[..]).collect();
    // One statement however many they are: everyone's sessions may end at once.
    run(
        tx,
        &format!(
            "INSERT INTO audit_records ({TRAIL})
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[], $5::text[],
                 $6::text[], $7::bytea[], $8::bytea[])"
        ),
        &[
            &of(|r| r.number),
            &of(|r| r.at.0),
            &kinds,
            &users,
            &apps,
            &bodies,
            &previous,
            &hashes,
        ],
    )
    .await?;
    run(
        tx,
        "UPDATE audit_head SET number = $1, hash = $2",
        &[&last.number, &&last.hash[..]],
    )
    .await?;
    Ok(TrailHead {
        number: last.number,
        hash: last.hash,
    })
}

pub(super) async fn page(pool: &Pool, filter: &TrailFilter) -> Result<Vec<TrailRecord>> {
    let mut conditions = Conditions::default();
    conditions.with("number > ?", filter.after);
    if let Some(before) = filter.before {
        conditions.with("number < ?", before);
    }
    if let Some(user) = filter.user {
        conditions.with("user_id = ?", user.0);
    }
    if let Some(app) = &filter.app {
        conditions.with("app = ?", app.as_str().to_owned());
    }
    if !filter.kinds.is_empty() {
        conditions.with("kind = ANY (?)", filter.kinds.clone());
    }
    if let Some(since) = filter.since {
        conditions.with("at >= ?", since.0);
    }
    if let Some(until) = filter.until {
        conditions.with("at < ?", until.0);
    }
    if let Some(code) = &filter.code {
        conditions.with("strpos(body, ?) > 0", code_member(code));
    }
    let (clause, limit) = (conditions.clause(), limit(filter.limit));
    let order = if filter.before.is_some() {
        "DESC"
    } else {
        "ASC"
    };
    many(
        &pool.get().await?,
        &format!(
            "SELECT {TRAIL} FROM audit_records {clause} ORDER BY number {order} LIMIT {limit}"
        ),
        &conditions.values(),
        rows::trail_record,
    )
    .await
}

pub(super) async fn put_checkpoint(pool: &Pool, number: i64, token: &str) -> Result<()> {
    put_mark(&pool.get().await?, MarkKind::Checkpoint, number, token).await
}

async fn put_mark(db: &impl GenericClient, kind: MarkKind, number: i64, token: &str) -> Result<()> {
    run(
        db,
        &format!(
            "INSERT INTO audit_marks ({MARK}) VALUES ($1, $2, $3) ON CONFLICT (kind, number) DO NOTHING"
        ),
        &[&kind.as_str(), &number, &token],
    )
    .await?;
    Ok(())
}

pub(super) async fn marks(
    pool: &Pool,
    kind: MarkKind,
    after: i64,
    asked: u32,
) -> Result<Vec<TrailMark>> {
    many(
        &pool.get().await?,
        &format!(
            "SELECT {MARK} FROM audit_marks WHERE kind = $1 AND number > $2 ORDER BY number LIMIT $3"
        ),
        &[&kind.as_str(), &after, &limit(asked)],
        rows::trail_mark,
    )
    .await
}

pub(super) async fn newest_mark(
    db: &impl GenericClient,
    kind: MarkKind,
) -> Result<Option<TrailMark>> {
    one(
        db,
        &format!("SELECT {MARK} FROM audit_marks WHERE kind = $1 ORDER BY number DESC LIMIT 1"),
        &[&kind.as_str()],
        rows::trail_mark,
    )
    .await
}

pub(super) async fn prune(pool: &Pool, number: i64, anchor: &str, by: &By) -> Result<u64> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    // Before anything is looked at: one replica at a time removes, and nothing is appended meanwhile.
    let sql = "SELECT number, hash FROM audit_head FOR UPDATE";
    let head = one(&tx, sql, &[], rows::trail_head)
        .await?
        .ok_or_else(gone)?;
    let stands = newest_mark(&tx, MarkKind::Anchor)
        .await?
        .is_some_and(|seal| seal.number >= number);
    if stands || head.number <= number {
        return Ok(0);
    }
    let removed = run(
        &tx,
        "DELETE FROM audit_records WHERE number <= $1",
        &[&number],
    )
    .await?;
    run(
        &tx,
        "DELETE FROM audit_marks WHERE number <= $1",
        &[&number],
    )
    .await?;
    put_mark(&tx, MarkKind::Anchor, number, anchor).await?;
    append(&tx, &by.records(&Change::Pruned(number))).await?;
    tx.commit().await?;
    Ok(removed)
}

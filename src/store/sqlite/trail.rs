//! The audit trail. One writer at a time gives its numbers their order.

use super::row::{Conditions, many, one, run};
use crate::store::rows::{self, MARK, TRAIL};
use crate::store::rules::limit;
use crate::store::trail::{code_member, linked};
use crate::store::{
    By, Change, Draft, MarkKind, Result, StoreError, TrailFilter, TrailHead, TrailMark, TrailRecord,
};
use rusqlite::{Connection, params};

pub(super) fn head(db: &Connection) -> Result<TrailHead> {
    let head = one(db, "SELECT number, hash FROM audit_head", [], |row| {
        rows::trail_head(row)
    })?;
    head.ok_or_else(lost)
}

/// Appends, and gives the new head.
pub(super) fn append(db: &Connection, drafts: &[Draft]) -> Result<TrailHead> {
    let before = head(db)?;
    let records = linked(before, drafts);
    let Some(last) = records.last() else {
        return Ok(before);
    };
    for record in &records {
        run(
            db,
            &format!("INSERT INTO audit_records ({TRAIL}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
            params![
                record.number,
                record.at.0,
                record.kind,
                record.user.map(|id| id.to_string()),
                record.app.as_ref().map(|app| app.as_str()),
                record.body,
                &record.previous[..],
                &record.hash[..],
            ],
        )?;
    }
    run(
        db,
        "UPDATE audit_head SET number = ?1, hash = ?2",
        params![last.number, &last.hash[..]],
    )?;
    Ok(TrailHead {
        number: last.number,
        hash: last.hash,
    })
}

pub(super) fn page(db: &Connection, filter: &TrailFilter) -> Result<Vec<TrailRecord>> {
    let mut conditions = Conditions::default();
    conditions.with("number > ?", filter.after);
    if let Some(before) = filter.before {
        conditions.with("number < ?", before);
    }
    if let Some(user) = filter.user {
        conditions.with("user_id = ?", user.to_string());
    }
    if let Some(app) = &filter.app {
        conditions.with("app = ?", app.as_str().to_owned());
    }
    if !filter.kinds.is_empty() {
        conditions.with(
            "kind IN (SELECT value FROM json_each(?))",
            rows::json(&filter.kinds),
        );
    }
    if let Some(since) = filter.since {
        conditions.with("at >= ?", since.0);
    }
    if let Some(until) = filter.until {
        conditions.with("at < ?", until.0);
    }
    if let Some(code) = &filter.code {
        conditions.with("instr(body, ?) > 0", code_member(code));
    }
    let (clause, values) = conditions.finish();
    let limit = limit(filter.limit);
    let order = if filter.before.is_some() {
        "DESC"
    } else {
        "ASC"
    };
    many(
        db,
        &format!(
            "SELECT {TRAIL} FROM audit_records {clause} ORDER BY number {order} LIMIT {limit}"
        ),
        rusqlite::params_from_iter(values),
        |row| rows::trail_record(row),
    )
}

pub(super) fn put_checkpoint(db: &Connection, number: i64, token: &str) -> Result<()> {
    put_mark(db, MarkKind::Checkpoint, number, token)
}

fn put_mark(db: &Connection, kind: MarkKind, number: i64, token: &str) -> Result<()> {
    run(
        db,
        &format!(
            "INSERT INTO audit_marks ({MARK}) VALUES (?1, ?2, ?3) ON CONFLICT (kind, number) DO NOTHING"
        ),
        params![kind.as_str(), number, token],
    )?;
    Ok(())
}

pub(super) fn marks(
    db: &Connection,
    kind: MarkKind,
    after: i64,
    asked: u32,
) -> Result<Vec<TrailMark>> {
    many(
        db,
        &format!(
            "SELECT {MARK} FROM audit_marks WHERE kind = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
        ),
        params![kind.as_str(), after, limit(asked)],
        |row| rows::trail_mark(row),
    )
}

pub(super) fn newest_mark(db: &Connection, kind: MarkKind) -> Result<Option<TrailMark>> {
    one(
        db,
        &format!("SELECT {MARK} FROM audit_marks WHERE kind = ?1 ORDER BY number DESC LIMIT 1"),
        [kind.as_str()],
        |row| rows::trail_mark(row),
    )
}

pub(super) fn prune(db: &Connection, number: i64, anchor: &str, by: &By) -> Result<u64> {
    let stands = newest_mark(db, MarkKind::Anchor)?.is_some_and(|seal| seal.number >= number);
    if stands || head(db)?.number <= number {
        return Ok(0);
    }
    let removed = run(db, "DELETE FROM audit_records WHERE number <= ?1", [number])?;
    run(db, "DELETE FROM audit_marks WHERE number <= ?1", [number])?;
    put_mark(db, MarkKind::Anchor, number, anchor)?;
    append(db, &by.records(&Change::Pruned(number)))?;
    Ok(removed as u64)
}

fn lost() -> StoreError {
    StoreError::Inconsistent("the audit trail's head is gone".into())
}

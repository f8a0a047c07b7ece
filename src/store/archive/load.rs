//! Rows of a dump into a store, in one transaction, and what is made safe in it.
//!
//! A backup is older than now, and what was refused since must not be allowed again by it. So:
//! every session in it ends, with a tombstone for each of its sids (as `sessions revoke --all`
//! does), and with the app's own session still to be ended by the bridge; every signing key in it is
//! revoked, since it may have been revoked since for a reason, and the next start makes a new one;
//! who is turned away in the store that is replaced stays so, by whoever said it, and its tombstones stand. Counters
//! only rise: a replica that remembers the replaced store reads all state anew.

use super::dump::{held, shown};
use super::{Cell, Column, Kind, Piece, Raw, known, table};
use crate::store::{EndReason, JobState, Result, StoreError};
use crate::types::Timestamp;
use tokio::sync::mpsc::Receiver;

/// How to restore.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Whether what the store holds may be replaced.
    pub replace: bool,
    /// Whether the replaced store's word about who may not come in is kept.
    pub keep_denials: bool,
    /// Until when a sign-in of the backup is remembered as ended.
    pub tombstone_until: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows taken in.
    pub rows: u64,
    /// Sessions that were live in the backup, and ended.
    pub ended: u64,
    /// Signing keys that were revoked.
    pub keys: u64,
    /// People whom the replaced store had disabled and the backup had not.
    pub disabled: u64,
    /// Tombstones taken over from the replaced store.
    pub tombstones: u64,
}

/// What the replaced store says that no backup may undo.
#[derive(Default)]
struct Former {
    /// Name and value.
    counters: Vec<(String, i64)>,
    /// Columns and rows of disabled people.
    people: (Vec<Column>, Vec<Vec<Cell>>),
    /// Columns and rows of what directories said of people whom they turn away.
    words: (Vec<Column>, Vec<Vec<Cell>>),
    /// Columns and rows of tombstones.
    tombstones: (Vec<Column>, Vec<Vec<Cell>>),
}

/// See the module.
pub(in crate::store) async fn load(
    raw: &dyn Raw,
    how: &Load,
    mut from: Receiver<Piece>,
) -> Result<Loaded> {
    let Some(Piece::Begin { schema }) = from.recv().await else {
        return Err(broken("it does not begin as one"));
    };
    let schema = known(Some(schema), raw.newest())?;
    if held(raw).await?.is_some_and(|rows| rows > 0) && !how.replace {
        return Err(StoreError::NotEmpty);
    }
    let former = take_away(raw).await?;
    // The tables as they were when the rows were written; what was migrated since comes after.
    raw.migrate(schema).await?;
    let mut loaded = Loaded::default();
    fill(raw, &mut from, &mut loaded).await?;
    raw.migrate(raw.newest()).await?;
    make_safe(raw, how, &former, &mut loaded).await?;
    raw.commit().await?;
    Ok(loaded)
}

/// Remembers what must not be forgotten, and drops the tables.
async fn take_away(raw: &dyn Raw) -> Result<Former> {
    let mut former = Former::default();
    if raw.version().await?.is_some() {
        // So that its columns are those that this program knows.
        raw.migrate(raw.newest()).await?;
        let counters = raw.rows("SELECT name, value FROM counters", &[]).await?;
        for row in &counters {
            if let [Cell::Text(name), Cell::Int(value)] = row.as_slice() {
                former.counters.push((name.clone(), *value));
            }
        }
        let denied = "WHERE state IN ('suspended', 'disabled', 'tombstoned')";
        former.people = all(raw, "users", denied).await?;
        former.words = all(raw, "directory_people", "WHERE denied_since IS NOT NULL").await?;
        former.tombstones = all(raw, "tombstones", "").await?;
    }
    let there = raw.tables().await?;
    if let Some(foreign) = there.iter().find(|name| table(name).is_none()) {
        return Err(StoreError::Schema(format!(
            "it holds a table {foreign} that is not auth-manager's: nothing was replaced"
        )));
    }
    raw.drop_all(&there).await?;
    Ok(former)
}

async fn all(raw: &dyn Raw, of: &str, which: &str) -> Result<(Vec<Column>, Vec<Vec<Cell>>)> {
    let columns = raw.columns(of).await?;
    let sql = format!("SELECT {} FROM {of} {which}", shown(raw, &columns));
    let rows = raw.rows(&sql, &[]).await?;
    Ok((columns, rows))
}

async fn fill(raw: &dyn Raw, from: &mut Receiver<Piece>, loaded: &mut Loaded) -> Result<()> {
    let mut into: Option<(String, Vec<Column>)> = None;
    loop {
        match from.recv().await {
            Some(Piece::Table { name, columns }) => {
                let kept = table(&name).filter(|table| table.kept);
                let kept = kept.ok_or_else(|| broken(&format!("there is no table {name:?}")))?;
                let columns = matching(&name, columns, raw.columns(kept.name).await?)?;
                // A migration may have put rows there.
                raw.run(&format!("DELETE FROM {}", kept.name), &[]).await?;
                into = Some((insert(raw, kept.name, &columns), columns));
            }
            Some(Piece::Rows(rows)) => {
                let (sql, columns) = into
                    .as_ref()
                    .ok_or_else(|| broken("rows come before a table"))?;
                for row in rows {
                    put(raw, sql, columns, row).await?;
                    loaded.rows += 1;
                }
            }
            Some(Piece::End) => return Ok(()),
            Some(Piece::Begin { .. }) => return Err(broken("it begins twice")),
            None => return Err(broken("it ends too early")),
        }
    }
}

/// The store's columns in the order of the rows. None may be missing, and none too many.
fn matching(of: &str, named: Vec<String>, mut there: Vec<Column>) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for name in named {
        let at = there.iter().position(|column| column.name == name);
        let at = at.ok_or_else(|| broken(&format!("table {of} has no column {name:?}")))?;
        columns.push(there.swap_remove(at));
    }
    match there.first() {
        None => Ok(columns),
        Some(missing) => Err(broken(&format!("the rows of {of} lack {:?}", missing.name))),
    }
}

fn insert(raw: &dyn Raw, into: &str, columns: &[Column]) -> String {
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    let places: Vec<_> = columns
        .iter()
        .zip(1..)
        .map(|(column, n)| raw.place(n, column.kind))
        .collect();
    let (names, places) = (names.join(", "), places.join(", "));
    format!("INSERT INTO {into} ({names}) VALUES ({places})")
}

async fn put(raw: &dyn Raw, sql: &str, columns: &[Column], row: Vec<Cell>) -> Result<()> {
    if row.len() != columns.len() {
        return Err(broken("a row has another number of values than columns"));
    }
    let values: Vec<_> = columns.iter().map(|column| column.kind).zip(row).collect();
    raw.run(sql, &values).await?;
    Ok(())
}

async fn make_safe(raw: &dyn Raw, how: &Load, former: &Former, loaded: &mut Loaded) -> Result<()> {
    end_sessions(raw, how, loaded).await?;
    let p = |n| raw.place(n, Kind::Int);
    let revoke = format!(
        "UPDATE signing_keys SET state = 'revoked', sealed = {}, state_since = {} WHERE state <> 'revoked'",
        raw.place(1, Kind::Bytes),
        p(2)
    );
    let forgotten = (Kind::Bytes, Cell::Bytes(Vec::new()));
    loaded.keys = raw.run(&revoke, &[forgotten, int(how.now.0)]).await?;
    release_jobs(raw).await?;
    if how.keep_denials {
        keep_disabled(raw, &former.people, loaded).await?;
        keep_words(raw, &former.words).await?;
        let (columns, rows) = &former.tombstones;
        let sql = format!("{} {LONGER}", insert(raw, "tombstones", columns));
        for row in rows {
            put(raw, &sql, columns, row.clone()).await?;
        }
        loaded.tombstones = rows.len() as u64;
    }
    // Above both, and with a gap in the log: nobody goes on from what they remember.
    for (name, value) in &former.counters {
        let sql = format!(
            "UPDATE counters SET value = {} WHERE name = {} AND value < {}",
            p(1),
            raw.place(2, Kind::Text),
            p(3)
        );
        raw.run(&sql, &[int(*value), text(name), int(*value)])
            .await?;
    }
    raw.run(
        "UPDATE counters SET value = value + 2 WHERE name IN ('global_epoch', 'log')",
        &[],
    )
    .await?;
    let all = format!(
        "INSERT INTO revocations (number, appended_at, what, reason)
         SELECT value, {}, 'all', 'revoked' FROM counters WHERE name = 'log'",
        p(1)
    );
    raw.run(&all, &[int(how.now.0)]).await?;
    Ok(())
}

const LONGER: &str =
    "ON CONFLICT (app, issuer, subject, sid) DO UPDATE SET stands_until = excluded.stands_until
     WHERE excluded.stands_until > tombstones.stands_until";

/// Rows keep their sealed token: the bridge ends the app's sessions when it runs next.
async fn end_sessions(raw: &dyn Raw, how: &Load, loaded: &mut Loaded) -> Result<()> {
    let live = "SELECT app, issuer, subject, sid, former_sids FROM sessions WHERE ended_at IS NULL";
    let t = |n| raw.place(n, Kind::Text);
    let bury = format!(
        "INSERT INTO tombstones (app, issuer, subject, sid, reason, set_at, stands_until)
         VALUES ({}, {}, {}, {}, 'revoked', {}, {}) {LONGER}",
        t(1),
        t(2),
        t(3),
        t(4),
        raw.place(5, Kind::Int),
        raw.place(6, Kind::Int)
    );
    for row in raw.rows(live, &[]).await? {
        let [app, issuer, subject, sid, former] =
            <[Cell; 5]>::try_from(row).map_err(|_| broken("a session has other columns"))?;
        let former: Vec<String> = serde_json::from_str(former.text().unwrap_or_default())
            .map_err(|_| broken("a list is no JSON array of texts"))?;
        let sids = std::iter::once(sid).chain(former.into_iter().map(Cell::Text));
        for sid in sids {
            let sign_in = [app.clone(), issuer.clone(), subject.clone(), sid];
            let mut values: Vec<_> = sign_in.into_iter().map(|c| (Kind::Text, c)).collect();
            values.extend([int(how.now.0), int(how.tombstone_until.0)]);
            raw.run(&bury, &values).await?;
        }
    }
    let end = format!(
        "UPDATE sessions SET ended_at = {}, end_reason = {} WHERE ended_at IS NULL",
        raw.place(1, Kind::Int),
        t(2)
    );
    let why = text(EndReason::Revoked.as_str());
    loaded.ended = raw.run(&end, &[int(how.now.0), why]).await?;
    Ok(())
}

/// Nobody works at a job of the backup: whoever did is of another day.
async fn release_jobs(raw: &dyn Raw) -> Result<()> {
    let release = format!(
        "UPDATE jobs SET state = {}, holder = NULL, leased_until = NULL, again = {}
         WHERE holder IS NOT NULL",
        raw.place(1, Kind::Text),
        raw.place(2, Kind::Flag)
    );
    let values = [text(JobState::Pending.as_str()), (Kind::Flag, Cell::Int(0))];
    raw.run(&release, &values).await?;
    Ok(())
}

/// Who was disabled stays so; who came after the backup was made is known again.
async fn keep_disabled(
    raw: &dyn Raw,
    (columns, rows): &(Vec<Column>, Vec<Vec<Cell>>),
    loaded: &mut Loaded,
) -> Result<()> {
    let at = |name: &str| columns.iter().position(|column| column.name == name);
    let (Some(issuer), Some(subject), Some(state), Some(setter), Some(reason), Some(since)) = (
        at("issuer"),
        at("subject"),
        at("state"),
        at("state_by"),
        at("state_reason"),
        at("state_since"),
    ) else {
        return Ok(());
    };
    let t = |n| raw.place(n, Kind::Text);
    let there = format!(
        "SELECT count(*) FROM users WHERE issuer = {} AND subject = {}",
        t(1),
        t(2)
    );
    let disable = format!(
        "UPDATE users SET state = {}, state_by = {}, state_reason = {}, state_since = {}
         WHERE issuer = {} AND subject = {} AND (state <> {} OR state_by <> {})",
        t(1),
        t(2),
        t(3),
        raw.place(4, Kind::Int),
        t(5),
        t(6),
        t(1),
        t(2)
    );
    let add = insert(raw, "users", columns);
    for row in rows {
        let cell = |at: usize| row.get(at).cloned().unwrap_or(Cell::Null);
        let who = [(Kind::Text, cell(issuer)), (Kind::Text, cell(subject))];
        let found = raw.rows(&there, &who).await?;
        if found.first().and_then(|row| row.first()?.int()) == Some(0) {
            put(raw, &add, columns, row.clone()).await?;
            loaded.disabled += 1;
            continue;
        }
        let mut values = vec![
            (Kind::Text, cell(state)),
            (Kind::Text, cell(setter)),
            (Kind::Text, cell(reason)),
            (Kind::Int, cell(since)),
        ];
        values.extend(who);
        loaded.disabled += raw.run(&disable, &values).await?;
    }
    Ok(())
}

/// Whom a directory turned away stays so until it is read again.
async fn keep_words(raw: &dyn Raw, (columns, rows): &(Vec<Column>, Vec<Vec<Cell>>)) -> Result<()> {
    let at = |name: &str| columns.iter().position(|column| column.name == name);
    let (Some(source), Some(id)) = (at("source"), at("id")) else {
        return Ok(());
    };
    let older = format!(
        "DELETE FROM directory_people WHERE source = {} AND id = {}",
        raw.place(1, Kind::Text),
        raw.place(2, Kind::Text)
    );
    let add = insert(raw, "directory_people", columns);
    for row in rows {
        let cell = |at: usize| (Kind::Text, row.get(at).cloned().unwrap_or(Cell::Null));
        raw.run(&older, &[cell(source), cell(id)]).await?;
        put(raw, &add, columns, row.clone()).await?;
    }
    Ok(())
}

pub(super) fn int(value: i64) -> (Kind, Cell) {
    (Kind::Int, Cell::Int(value))
}

pub(super) fn text(value: &str) -> (Kind, Cell) {
    (Kind::Text, Cell::Text(value.into()))
}

fn broken(why: &str) -> StoreError {
    StoreError::Inconsistent(format!("this is no whole backup: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::TABLES;
    use super::*;

    #[test]
    fn every_table_is_listed_once() {
        for (at, table) in TABLES.iter().enumerate() {
            assert!(
                TABLES[..at].iter().all(|t| t.name != table.name),
                "{}",
                table.name
            );
        }
    }

    #[test]
    fn rows_must_have_the_stores_columns() {
        let column = |name: &str| Column {
            name: name.into(),
            kind: Kind::Text,
        };
        let there = || vec![column("a"), column("b")];
        let named = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let order = matching("t", named(&["b", "a"]), there()).unwrap();
        assert_eq!(order, [column("b"), column("a")]);
        for wrong in [&["a"][..], &["a", "b", "c"], &["a", "a"], &[]] {
            assert!(matching("t", named(wrong), there()).is_err(), "{wrong:?}");
        }
    }
}

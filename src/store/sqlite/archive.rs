//! The file as tables and rows (`store/archive`), on a connection of its own and a thread that may
//! block.

use super::error::taken_by_another;
use super::open::{self, MIGRATIONS};
use super::row::many;
use crate::store::archive::{
    AsyncTake, BATCH, Cell, Column, Erased, Kind, Load, Loaded, PersonRows, Piece, Raw,
};
use crate::store::rows::Columns as _;
use crate::store::{Result, StoreError, archive};
use crate::types::{Timestamp, UserId};
use async_trait::async_trait;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

pub(in crate::store) async fn dump(path: PathBuf, to: mpsc::Sender<Piece>) -> Result<()> {
    on_thread(move || {
        // The first read fixes the moment; in WAL mode neither waits for the other.
        let raw = Reading::begin(&path, "BEGIN")?;
        Handle::current().block_on(archive::dump(&raw, &to))
    })
    .await
}

pub(in crate::store) async fn held(path: PathBuf) -> Result<Option<u64>> {
    on_thread(move || {
        if !exists(&path)? {
            return Ok(None);
        }
        let raw = Reading::begin(&path, "BEGIN")?;
        Handle::current().block_on(archive::held(&raw))
    })
    .await
}

pub(in crate::store) async fn person(path: PathBuf, user: UserId) -> Result<Vec<PersonRows>> {
    on_thread(move || {
        let raw = Reading::begin(&path, "BEGIN")?;
        Handle::current().block_on(archive::person(&raw, user))
    })
    .await
}

pub(in crate::store) async fn erase(
    path: PathBuf,
    user: UserId,
    unclosed: bool,
    now: Timestamp,
) -> Result<Option<Erased>> {
    on_thread(move || {
        let db = open::writer(&path)?;
        // What was erased is overwritten, not only unlinked.
        db.execute_batch("PRAGMA secure_delete = ON")?;
        let raw = Reading::of(db, "BEGIN IMMEDIATE")?;
        let erased = Handle::current().block_on(archive::erase(&raw, user, unclosed, now))?;
        // Nor does it stay in the log of writes.
        let _ = raw.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        Ok(erased)
    })
    .await
}

pub(in crate::store) async fn load(
    path: PathBuf,
    how: Load,
    from: mpsc::Receiver<Piece>,
) -> Result<Loaded> {
    on_thread(move || {
        let new = !exists(&path)?;
        open::create(&path)?;
        let loaded = load_into(&path, how, from);
        if loaded.is_err() && new {
            // A store with nothing in it would be taken for one.
            for left in ["", "-wal", "-shm"] {
                let mut name = path.as_os_str().to_owned();
                name.push(left);
                let _ = std::fs::remove_file(name);
            }
        }
        loaded
    })
    .await
}

fn load_into(path: &Path, how: Load, from: mpsc::Receiver<Piece>) -> Result<Loaded> {
    let db = open::alone(path)?;
    let raw = Reading::of(db, "BEGIN EXCLUSIVE").map_err(taken_by_another)?;
    Handle::current().block_on(archive::load(&raw, &how, from))
}

fn exists(path: &Path) -> Result<bool> {
    let there = path.try_exists();
    there.map_err(|e| StoreError::Unavailable(format!("{}: {e}", path.display())))
}

async fn on_thread<T: Send + 'static>(
    job: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(job).await;
    done.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

/// A connection in a transaction, which its end rolls back.
struct Reading(Connection);

impl Reading {
    fn begin(path: &Path, how: &str) -> Result<Self> {
        Self::of(open::reader(path)?, how)
    }

    fn of(db: Connection, how: &str) -> Result<Self> {
        db.execute_batch(how)?;
        Ok(Self(db))
    }
}

fn kind_of(table: &str, column: &str, word: &str) -> Result<Kind> {
    match word {
        "INTEGER" | "INT" => Ok(Kind::Int),
        "TEXT" => Ok(Kind::Text),
        "BLOB" => Ok(Kind::Bytes),
        other => Err(StoreError::Schema(format!(
            "{table}.{column} is {other:?}, which a backup can't hold"
        ))),
    }
}

fn cells(row: &Row<'_>, width: usize) -> Result<Vec<Cell>> {
    let cell = |at| {
        Ok(match row.get_ref(at)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Int(value),
            ValueRef::Text(text) => Cell::Text(
                std::str::from_utf8(text)
                    .map_err(|_| StoreError::Inconsistent("a text is no UTF-8".into()))?
                    .into(),
            ),
            ValueRef::Blob(bytes) => Cell::Bytes(bytes.into()),
            ValueRef::Real(_) => {
                return Err(StoreError::Inconsistent("a value is a fraction".into()));
            }
        })
    };
    (0..width).map(cell).collect()
}

fn values(values: &[(Kind, Cell)]) -> impl Iterator<Item = Value> + '_ {
    values.iter().map(|(_, cell)| match cell {
        Cell::Null => Value::Null,
        Cell::Int(value) => Value::Integer(*value),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Bytes(bytes) => Value::Blob(bytes.clone()),
    })
}

#[async_trait(?Send)]
impl Raw for Reading {
    async fn version(&self) -> Result<Option<i64>> {
        open::version_of(&self.0)
    }

    async fn columns(&self, table: &str) -> Result<Vec<Column>> {
        let sql = "SELECT name, type FROM pragma_table_info(?1) ORDER BY cid";
        let named = many(&self.0, sql, [table], |row| {
            Ok((row.text(0)?, row.text(1)?))
        })?;
        named
            .into_iter()
            .map(|(name, word)| {
                let kind = kind_of(table, &name, &word)?;
                Ok(Column { name, kind })
            })
            .collect()
    }

    async fn tables(&self) -> Result<Vec<String>> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table'
                   AND name NOT LIKE 'sqlite_%' AND name <> 'schema_versions' ORDER BY name";
        many(&self.0, sql, [], |row| row.text(0))
    }

    fn shown(&self, column: &Column) -> String {
        column.name.clone()
    }

    fn place(&self, n: usize, _: Kind) -> String {
        format!("?{n}")
    }

    async fn rows(&self, sql: &str, with: &[(Kind, Cell)]) -> Result<Vec<Vec<Cell>>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query(params_from_iter(values(with)))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(cells(row, width)?);
        }
        Ok(all)
    }

    async fn each(&self, sql: &str, width: usize, take: &mut dyn AsyncTake) -> Result<()> {
        let mut statement = self.0.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(row) = rows.next()? {
            batch.push(cells(row, width)?);
            if batch.len() == BATCH {
                take.take(std::mem::take(&mut batch)).await?;
            }
        }
        match batch.is_empty() {
            true => Ok(()),
            false => take.take(batch).await,
        }
    }

    async fn run(&self, sql: &str, with: &[(Kind, Cell)]) -> Result<u64> {
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(values(with)))? as u64)
    }

    async fn migrate(&self, to: i64) -> Result<()> {
        open::migrate_within(&self.0, MIGRATIONS, to)
    }

    fn newest(&self) -> i64 {
        MIGRATIONS.len() as i64
    }

    async fn drop_all(&self, tables: &[String]) -> Result<()> {
        for table in tables.iter().map(String::as_str).chain(["schema_versions"]) {
            self.0
                .execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
        }
        Ok(())
    }

    async fn lock_person(&self, _: UserId) -> Result<()> {
        // One writer at a time, and this is it.
        Ok(())
    }

    async fn commit(&self) -> Result<()> {
        let sql = "SELECT count(*) FROM pragma_foreign_key_check";
        let astray: i64 = self.0.query_row(sql, [], |row| row.get(0))?;
        if astray > 0 {
            return Err(StoreError::Inconsistent(format!(
                "{astray} rows refer to rows that are not there"
            )));
        }
        Ok(self.0.execute_batch("COMMIT")?)
    }
}

//! The schema as tables and rows (`store/archive`), on a connection of its own.

use super::lock::key;
use super::migrate::{self, MIGRATIONS};
use super::pool::{self, PostgresOptions};
use super::row::{many, run};
use crate::store::archive::{
    AsyncTake, BATCH, Cell, Column, Erased, Kind, Load, Loaded, PersonRows, Piece, Raw,
};
use crate::store::rows::Columns as _;
use crate::store::{Result, StoreError, archive};
use crate::types::{Timestamp, UserId};
use async_trait::async_trait;
use deadpool_postgres::Client;
use futures_util::TryStreamExt as _;
use std::pin::pin;
use tokio::sync::mpsc;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// Name of the lock that every open store shares, and a restore takes alone.
pub(super) const OPEN: &str = "open";

/// One moment for all statements, and no writes.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub(in crate::store) async fn dump(
    options: &PostgresOptions,
    to: mpsc::Sender<Piece>,
) -> Result<()> {
    let raw = Connection::begin(options, SNAPSHOT).await?;
    archive::dump(&raw, &to).await
}

pub(in crate::store) async fn held(options: &PostgresOptions) -> Result<Option<u64>> {
    archive::held(&Connection::begin(options, SNAPSHOT).await?).await
}

pub(in crate::store) async fn person(
    options: &PostgresOptions,
    user: UserId,
) -> Result<Vec<PersonRows>> {
    archive::person(&Connection::begin(options, SNAPSHOT).await?, user).await
}

pub(in crate::store) async fn erase(
    options: &PostgresOptions,
    user: UserId,
    unclosed: bool,
    now: Timestamp,
) -> Result<Option<Erased>> {
    let raw = Connection::begin(options, "BEGIN").await?;
    archive::erase(&raw, user, unclosed, now).await
}

pub(in crate::store) async fn load(
    options: &PostgresOptions,
    how: &Load,
    from: mpsc::Receiver<Piece>,
) -> Result<Loaded> {
    let raw = Connection::begin(options, "BEGIN").await?;
    let lock = |name| key(&options.schema, name);
    // Who starts meanwhile waits here, before it looks at the tables.
    run(
        &raw.client,
        "SELECT pg_advisory_xact_lock($1)",
        &[&lock("migrate")],
    )
    .await?;
    let alone = "SELECT pg_try_advisory_xact_lock($1)";
    let alone = many(&raw.client, alone, &[&lock(OPEN)], |row| row.flag(0)).await?;
    if alone != [true] {
        return Err(StoreError::Busy);
    }
    archive::load(&raw, how, from).await
}

/// A connection in a transaction, and in no pool: dropped, it is closed, and the
/// server rolls back.
struct Connection {
    client: Client,
    schema: String,
}

impl Connection {
    async fn begin(options: &PostgresOptions, how: &str) -> Result<Self> {
        // Its pool ends here: dropped, the connection is closed.
        let client = pool::pool(options)?.get().await?;
        client.batch_execute(how).await?;
        // All rows take longer than one request's patience.
        client
            .batch_execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
            )
            .await?;
        Ok(Self {
            client,
            schema: options.schema.clone(),
        })
    }
}

fn kind_of(table: &str, column: &str, word: &str) -> Result<Kind> {
    Ok(match word {
        "bigint" => Kind::Int,
        "integer" | "smallint" => Kind::SmallInt,
        "boolean" => Kind::Flag,
        "text" => Kind::Text,
        "uuid" => Kind::Uuid,
        "jsonb" | "json" => Kind::Json,
        "bytea" => Kind::Bytes,
        other => {
            return Err(StoreError::Schema(format!(
                "{table}.{column} is {other:?}, which a backup can't hold"
            )));
        }
    })
}

fn cells(row: &Row) -> Result<Vec<Cell>> {
    let some = |cell: Option<Cell>| cell.unwrap_or(Cell::Null);
    let cell = |(at, column): (usize, &tokio_postgres::Column)| {
        Ok(some(match *column.type_() {
            Type::INT8 => row.int_or_null(at)?.map(Cell::Int),
            Type::BYTEA => row.bytes_or_null(at)?.map(Cell::Bytes),
            Type::UUID => row.uuid_or_null(at)?.map(|id| Cell::Text(id.to_string())),
            _ => row.text_or_null(at)?.map(Cell::Text),
        }))
    };
    row.columns().iter().enumerate().map(cell).collect()
}

fn values(cells: &[(Kind, Cell)]) -> Result<Vec<Box<dyn ToSql + Sync>>> {
    let value = |(kind, cell): &(Kind, Cell)| -> Result<Box<dyn ToSql + Sync>> {
        let number = matches!(kind, Kind::Int | Kind::SmallInt | Kind::Flag);
        Ok(match cell {
            Cell::Null if number => Box::new(None::<i64>),
            Cell::Null if *kind == Kind::Bytes => Box::new(None::<Vec<u8>>),
            Cell::Null => Box::new(None::<String>),
            Cell::Int(value) if number => Box::new(*value),
            Cell::Bytes(bytes) if *kind == Kind::Bytes => Box::new(bytes.clone()),
            Cell::Text(text) if !number && *kind != Kind::Bytes => Box::new(text.clone()),
            _ => {
                return Err(StoreError::Inconsistent(
                    "a value is of another kind than its column".into(),
                ));
            }
        })
    };
    cells.iter().map(value).collect()
}

#[async_trait(?Send)]
impl Raw for Connection {
    async fn version(&self) -> Result<Option<i64>> {
        migrate::version_of(&self.client, &self.schema).await
    }

    async fn columns(&self, table: &str) -> Result<Vec<Column>> {
        let sql = "SELECT column_name::text, data_type::text FROM information_schema.columns
                   WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position";
        let named = many(&self.client, sql, &[&self.schema, &table], |row| {
            Ok((row.text(0)?, row.text(1)?))
        })
        .await?;
        named
            .into_iter()
            .map(|(name, word)| {
                let kind = kind_of(table, &name, &word)?;
                Ok(Column { name, kind })
            })
            .collect()
    }

    async fn tables(&self) -> Result<Vec<String>> {
        let sql = "SELECT tablename::text FROM pg_tables
                   WHERE schemaname = $1 AND tablename <> 'schema_versions' ORDER BY 1";
        many(&self.client, sql, &[&self.schema], |row| row.text(0)).await
    }

    fn shown(&self, column: &Column) -> String {
        let name = &column.name;
        match column.kind {
            Kind::Int | Kind::Text | Kind::Bytes => name.clone(),
            Kind::SmallInt => format!("{name}::bigint"),
            Kind::Flag => format!("{name}::int::bigint"),
            Kind::Uuid | Kind::Json => format!("{name}::text"),
        }
    }

    fn place(&self, n: usize, kind: Kind) -> String {
        match kind {
            Kind::Int => format!("${n}::bigint"),
            Kind::SmallInt => format!("${n}::bigint::int"),
            Kind::Flag => format!("(${n}::bigint <> 0)"),
            Kind::Text => format!("${n}::text"),
            Kind::Uuid => format!("${n}::text::uuid"),
            Kind::Json => format!("${n}::text::jsonb"),
            Kind::Bytes => format!("${n}::bytea"),
        }
    }

    async fn rows(&self, sql: &str, with: &[(Kind, Cell)]) -> Result<Vec<Vec<Cell>>> {
        let values = values(with)?;
        let values: Vec<_> = values.iter().map(|v| v.as_ref() as _).collect();
        many(&self.client, sql, &values, cells).await
    }

    async fn each(&self, sql: &str, _: usize, take: &mut dyn AsyncTake) -> Result<()> {
        let none: [&(dyn ToSql + Sync); 0] = [];
        let mut rows = pin!(self.client.query_raw(sql, none).await?);
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(row) = rows.try_next().await? {
            batch.push(cells(&row)?);
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
        let values = values(with)?;
        let values: Vec<_> = values.iter().map(|v| v.as_ref() as _).collect();
        Ok(run(&self.client, sql, &values).await?)
    }

    async fn migrate(&self, to: i64) -> Result<()> {
        migrate::migrate_within(&self.client, &self.schema, MIGRATIONS, to).await
    }

    fn newest(&self) -> i64 {
        MIGRATIONS.len() as i64
    }

    async fn drop_all(&self, tables: &[String]) -> Result<()> {
        let all: Vec<_> = tables.iter().map(String::as_str).collect();
        // Together, since they refer to each other; what is not ours and refers to them stops it.
        let all = [all.as_slice(), &["schema_versions"]].concat().join(", ");
        let sql = format!("DROP TABLE IF EXISTS {all}");
        self.client.batch_execute(&sql).await?;
        // Functions of triggers that went with their tables.
        let sql = "SELECT p.oid::regprocedure::text FROM pg_proc p
                   JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1";
        for function in many(&self.client, sql, &[&self.schema], |row| row.text(0)).await? {
            let sql = format!("DROP FUNCTION {function}");
            self.client.batch_execute(&sql).await?;
        }
        // Statements that were prepared for the former tables.
        self.client.statement_cache.clear();
        Ok(())
    }

    async fn lock_person(&self, user: UserId) -> Result<()> {
        // The order of locks is that of every other writer: epoch, user, sessions, the log.
        let epoch = "SELECT value FROM counters WHERE name = 'global_epoch' FOR SHARE";
        run(&self.client, epoch, &[]).await?;
        let person = "SELECT 1 FROM users WHERE id = $1 FOR UPDATE";
        run(&self.client, person, &[&user.0]).await?;
        Ok(())
    }

    async fn commit(&self) -> Result<()> {
        Ok(self.client.batch_execute("COMMIT").await?)
    }
}

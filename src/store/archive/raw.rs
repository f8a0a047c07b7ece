//! What an engine must be able to do for the rest of this folder.

use super::Cell;
use crate::store::Result;
use crate::types::UserId;
use async_trait::async_trait;

/// What a column holds, as its engine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Int,
    SmallInt,
    Flag,
    Text,
    Uuid,
    Json,
    Bytes,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Column {
    pub(in crate::store) name: String,
    pub(in crate::store) kind: Kind,
}

/// A connection in a transaction of its own, which is rolled back when it is dropped.
///
/// Not `Send`: SQLite's connection is used on a thread where it may block.
#[async_trait(?Send)]
pub(in crate::store) trait Raw {
    /// The version of the tables, if there are any.
    async fn version(&self) -> Result<Option<i64>>;

    /// The columns of a table in their order; none when there is no such table.
    async fn columns(&self, table: &str) -> Result<Vec<Column>>;

    /// Names of all tables but the one of migrations.
    async fn tables(&self) -> Result<Vec<String>>;

    /// A column as a statement must select it, so that it comes as a [`Cell`].
    fn shown(&self, column: &Column) -> String;

    /// The `n`th value of a statement, for a column of this kind; from 1.
    fn place(&self, n: usize, kind: Kind) -> String;

    /// Rows of a statement whose columns are all as [`Self::shown`] says.
    async fn rows(&self, sql: &str, values: &[(Kind, Cell)]) -> Result<Vec<Vec<Cell>>>;

    /// The same a batch at a time. The next batch is read when the former was taken.
    async fn each(&self, sql: &str, width: usize, take: &mut dyn AsyncTake) -> Result<()>;

    /// Runs a statement; gives the number of rows it wrote.
    async fn run(&self, sql: &str, values: &[(Kind, Cell)]) -> Result<u64>;

    /// Applies the migrations up to this version, and records them.
    async fn migrate(&self, to: i64) -> Result<()>;

    /// The newest version this program knows.
    fn newest(&self) -> i64;

    /// Takes all of our tables away.
    async fn drop_all(&self, tables: &[String]) -> Result<()>;

    /// Keeps everyone else from writing about a person until the end of the transaction.
    async fn lock_person(&self, user: UserId) -> Result<()>;

    /// Checks what could not be checked row by row, and commits.
    async fn commit(&self) -> Result<()>;
}

/// Takes batches of rows.
#[async_trait(?Send)]
pub(in crate::store) trait AsyncTake {
    /// One batch, never empty.
    async fn take(&mut self, rows: Vec<Vec<Cell>>) -> Result<()>;
}

/// Rows of a batch.
pub(in crate::store) const BATCH: usize = 200;

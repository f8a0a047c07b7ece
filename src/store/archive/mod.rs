//! The store as tables and rows, past the records: what backup, restore, a person's export and
//! erasure work on. Written once for both engines, so that rows of one can be restored into the
//! other; what only an engine knows is behind [`Raw`].
//!
//! - `tables`: every table, and what becomes of its rows; a new table is one line there
//! - `raw`: what an engine must be able to do
//! - `dump`: all kept rows, of one moment, while the bridge runs
//! - `load`: rows into a store, whole or not at all, and what is made safe afterwards
//! - `person`: one person's rows, shown or erased
//!
//! A value is a number, a text or bytes ([`Cell`]), whatever the column is called on an engine: an
//! id is a text, a flag is 0 or 1. What does not live here: files and their encryption (`backup`).

mod dump;
mod load;
mod person;
mod raw;
mod tables;

pub use load::{Load, Loaded};
pub use person::{Erased, PersonRows, Removed};
pub use tables::{Erasure, TABLES, Table, table};

pub(super) use raw::{AsyncTake, BATCH, Column, Kind, Raw};

use super::postgres::PostgresOptions;
use super::{Result, StoreError};
use crate::types::{Timestamp, UserId};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// None.
    Null,
    /// A number, a time, a flag.
    Int(i64),
    /// A text or an id.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Cell {
    /// The number, if it is one.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }
}

/// A part of a dump, in order: `Begin`, then `Table` and its `Rows` again and again, then `End`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// It begins; the rows are of this version of the tables.
    Begin {
        /// Number of the newest migration.
        schema: i64,
    },
    /// Rows of this table follow.
    Table {
        /// Its name.
        name: String,
        /// The order of values in its rows.
        columns: Vec<String>,
    },
    /// Some rows.
    Rows(Vec<Vec<Cell>>),
    /// That was all. A store takes nothing in that does not end so.
    End,
}

/// Where a store is, before it is opened.
#[derive(Debug, Clone)]
pub enum Place {
    /// A file.
    Sqlite(PathBuf),
    /// A schema of a server.
    Postgres(PostgresOptions),
}

impl Place {
    /// Gives all kept rows, of one moment. Changes nothing; the bridge may run.
    ///
    /// # Errors
    /// `Schema` when there is no store or it is newer than this program; `Unavailable` when it does
    /// not answer, or nobody takes the pieces any more.
    pub async fn dump(&self, to: mpsc::Sender<Piece>) -> Result<()> {
        match self {
            Self::Sqlite(path) => super::sqlite::archive::dump(path.clone(), to).await,
            Self::Postgres(options) => super::postgres::archive::dump(options, to).await,
        }
    }

    /// How many rows the store holds in kept tables, counters aside; `None` when there are no
    /// tables. Changes nothing.
    ///
    /// # Errors
    /// As [`Self::dump`].
    pub async fn held(&self) -> Result<Option<u64>> {
        match self {
            Self::Sqlite(path) => super::sqlite::archive::held(path.clone()).await,
            Self::Postgres(options) => super::postgres::archive::held(options).await,
        }
    }

    /// Takes the pieces in, in one transaction: a store that can't is as it was.
    ///
    /// # Errors
    /// `Busy` when a bridge or a command has the store open; `NotEmpty` when it holds rows and
    /// `how` does not say that they may be replaced; `Inconsistent` when the pieces are not those of
    /// a whole dump of ours; `Schema` when they are of a newer program.
    pub async fn load(&self, how: &Load, from: mpsc::Receiver<Piece>) -> Result<Loaded> {
        match self {
            Self::Sqlite(path) => super::sqlite::archive::load(path.clone(), *how, from).await,
            Self::Postgres(options) => super::postgres::archive::load(options, how, from).await,
        }
    }

    /// All rows about a person, of one moment.
    ///
    /// # Errors
    /// As [`Self::dump`].
    pub async fn person(&self, user: UserId) -> Result<Vec<PersonRows>> {
        match self {
            Self::Sqlite(path) => super::sqlite::archive::person(path.clone(), user).await,
            Self::Postgres(options) => super::postgres::archive::person(options, user).await,
        }
    }

    /// Erases a person. Their sessions must have ended and, unless `unclosed` says that it does not
    /// matter, been ended in the app. `None` when there is no such person.
    ///
    /// # Errors
    /// `Changed` when sessions are in the way; else as [`Self::dump`].
    pub async fn erase(
        &self,
        user: UserId,
        unclosed: bool,
        now: Timestamp,
    ) -> Result<Option<Erased>> {
        match self {
            Self::Sqlite(path) => {
                super::sqlite::archive::erase(path.clone(), user, unclosed, now).await
            }
            Self::Postgres(options) => {
                super::postgres::archive::erase(options, user, unclosed, now).await
            }
        }
    }
}

/// Refuses a store that this program can't know all of.
pub(super) fn known(found: Option<i64>, known: i64) -> Result<i64> {
    match found {
        None => Err(StoreError::Schema("there are no tables yet".into())),
        Some(found) if found > known => Err(StoreError::Schema(format!(
            "it has version {found}, this program knows up to {known}: use the newer program"
        ))),
        Some(found) => Ok(found),
    }
}

pub(super) use dump::dump;
pub(super) use dump::held;
pub(super) use load::load;
pub(super) use person::{erase, person};

//! Rows and statements in SQLite's way.

use crate::store::rows::Columns;
use crate::store::{Result, StoreError};
use rusqlite::{Connection, Params, Row};
use uuid::Uuid;

impl Columns for Row<'_> {
    fn text(&self, at: usize) -> Result<String> {
        Ok(self.get(at)?)
    }
    fn text_or_null(&self, at: usize) -> Result<Option<String>> {
        Ok(self.get(at)?)
    }
    fn int(&self, at: usize) -> Result<i64> {
        Ok(self.get(at)?)
    }
    fn int_or_null(&self, at: usize) -> Result<Option<i64>> {
        Ok(self.get(at)?)
    }
    fn flag(&self, at: usize) -> Result<bool> {
        Ok(self.get(at)?)
    }
    fn bytes(&self, at: usize) -> Result<Vec<u8>> {
        Ok(self.get(at)?)
    }
    fn bytes_or_null(&self, at: usize) -> Result<Option<Vec<u8>>> {
        Ok(self.get(at)?)
    }
    fn uuid(&self, at: usize) -> Result<Uuid> {
        uuid(&self.text(at)?)
    }
    fn uuid_or_null(&self, at: usize) -> Result<Option<Uuid>> {
        self.text_or_null(at)?.map(|text| uuid(&text)).transpose()
    }
}

fn uuid(text: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(|_| StoreError::Inconsistent("an id is no UUID".into()))
}

/// The row a statement gives, if it gives one.
pub(super) fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// All rows a statement gives.
pub(super) fn many<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// Runs a statement and gives the number of rows it wrote.
pub(super) fn run(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(params)
}

/// The `WHERE` of a filter: conditions with one value each, joined by `AND`.
#[derive(Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<rusqlite::types::Value>,
}

impl Conditions {
    /// Adds `condition`, in which `?` stands for `value` wherever it stands.
    pub(super) fn with(&mut self, condition: &str, value: impl Into<rusqlite::types::Value>) {
        self.values.push(value.into());
        let place = format!("?{}", self.values.len());
        self.plain(&condition.replace('?', &place));
    }

    /// The same with two values, one for each `?` in turn.
    pub(super) fn with_both(
        &mut self,
        condition: &str,
        first: impl Into<rusqlite::types::Value>,
        second: impl Into<rusqlite::types::Value>,
    ) {
        let at = self.values.len();
        self.values.extend([first.into(), second.into()]);
        let condition = condition.replacen('?', "\u{0}", 1);
        let condition = condition.replacen('?', &format!("?{}", at + 2), 1);
        self.plain(&condition.replacen('\u{0}', &format!("?{}", at + 1), 1));
    }

    /// Adds a condition without a value.
    pub(super) fn plain(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() {
            "WHERE "
        } else {
            " AND "
        });
        self.sql.push_str(condition);
    }

    /// The clause and its values.
    pub(super) fn finish(self) -> (String, Vec<rusqlite::types::Value>) {
        (self.sql, self.values)
    }
}

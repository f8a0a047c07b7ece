//! Rows and statements in PostgreSQL's way.

use crate::store::Result;
use crate::store::rows::Columns;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

impl Columns for Row {
    fn text(&self, at: usize) -> Result<String> {
        Ok(self.try_get(at)?)
    }
    fn text_or_null(&self, at: usize) -> Result<Option<String>> {
        Ok(self.try_get(at)?)
    }
    fn int(&self, at: usize) -> Result<i64> {
        Ok(self.try_get(at)?)
    }
    fn int_or_null(&self, at: usize) -> Result<Option<i64>> {
        Ok(self.try_get(at)?)
    }
    fn flag(&self, at: usize) -> Result<bool> {
        Ok(self.try_get(at)?)
    }
    fn bytes(&self, at: usize) -> Result<Vec<u8>> {
        Ok(self.try_get(at)?)
    }
    fn bytes_or_null(&self, at: usize) -> Result<Option<Vec<u8>>> {
        Ok(self.try_get(at)?)
    }
    fn uuid(&self, at: usize) -> Result<Uuid> {
        Ok(self.try_get(at)?)
    }
    fn uuid_or_null(&self, at: usize) -> Result<Option<Uuid>> {
        Ok(self.try_get(at)?)
    }
}

/// A value of a statement.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// The row a statement gives, if it gives one.
pub(super) async fn one<T>(
    db: &impl GenericClient,
    sql: &str,
    values: &[Value<'_>],
    read: fn(&Row) -> Result<T>,
) -> Result<Option<T>> {
    let statement = db.prepare_cached(sql).await?;
    let row = db.query_opt(&statement, values).await?;
    row.as_ref().map(read).transpose()
}

/// All rows a statement gives.
pub(super) async fn many<T>(
    db: &impl GenericClient,
    sql: &str,
    values: &[Value<'_>],
    read: fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    let statement = db.prepare_cached(sql).await?;
    let rows = db.query(&statement, values).await?;
    rows.iter().map(read).collect()
}

/// Runs a statement and gives the number of rows it wrote.
pub(super) async fn run(
    db: &impl GenericClient,
    sql: &str,
    values: &[Value<'_>],
) -> std::result::Result<u64, tokio_postgres::Error> {
    let statement = db.prepare_cached(sql).await?;
    db.execute(&statement, values).await
}

/// The `WHERE` of a filter: conditions with one value each, joined by `AND`.
#[derive(Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    /// Adds `condition`, in which `?` stands for `value` wherever it stands.
    pub(super) fn with(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        self.values.push(Box::new(value));
        let place = format!("${}", self.values.len());
        self.plain(&condition.replace('?', &place));
    }

    /// The same with two values, one for each `?` in turn.
    pub(super) fn with_both(
        &mut self,
        condition: &str,
        first: impl ToSql + Sync + Send + 'static,
        second: impl ToSql + Sync + Send + 'static,
    ) {
        self.values.push(Box::new(first));
        let condition = condition.replacen('?', &format!("${}", self.values.len()), 1);
        self.values.push(Box::new(second));
        self.plain(&condition.replacen('?', &format!("${}", self.values.len()), 1));
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

    /// The clause.
    pub(super) fn clause(&self) -> &str {
        &self.sql
    }

    /// Its values.
    pub(super) fn values(&self) -> Vec<Value<'_>> {
        self.values
            .iter()
            .map(|v| v.as_ref() as Value<'_>)
            .collect()
    }
}

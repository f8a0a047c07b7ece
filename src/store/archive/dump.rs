//! All kept rows of one moment.

use super::raw::AsyncTake;
use super::{Cell, Column, Piece, Raw, TABLES, known};
use crate::store::{Result, StoreError};
use async_trait::async_trait;
use tokio::sync::mpsc::Sender;

/// Sends everything. The connection's transaction must see one moment only.
pub(in crate::store) async fn dump(raw: &dyn Raw, to: &Sender<Piece>) -> Result<()> {
    let schema = known(raw.version().await?, raw.newest())?;
    send(to, Piece::Begin { schema }).await?;
    for table in TABLES.iter().filter(|table| table.kept) {
        let columns = raw.columns(table.name).await?;
        // A store of an older version, which has not got it yet.
        if columns.is_empty() {
            continue;
        }
        let names = columns.iter().map(|column| column.name.clone()).collect();
        let piece = Piece::Table {
            name: table.name.into(),
            columns: names,
        };
        send(to, piece).await?;
        let sql = format!("SELECT {} FROM {}", shown(raw, &columns), table.name);
        raw.each(&sql, columns.len(), &mut Sending(to)).await?;
    }
    send(to, Piece::End).await
}

/// Tables whose rows are there from the first migration on, and say nothing of anybody.
const ALWAYS: [&str; 2] = ["counters", "audit_head"];

/// How many rows the kept tables hold, but for those that are always there.
pub(in crate::store) async fn held(raw: &dyn Raw) -> Result<Option<u64>> {
    if raw.version().await?.is_none() {
        return Ok(None);
    }
    let mut held = 0;
    for table in TABLES
        .iter()
        .filter(|t| t.kept && !ALWAYS.contains(&t.name))
    {
        if raw.columns(table.name).await?.is_empty() {
            continue;
        }
        let count = raw
            .rows(&format!("SELECT count(*) FROM {}", table.name), &[])
            .await?;
        let count = count.first().and_then(|row| row.first()?.int());
        held += count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    }
    Ok(Some(held))
}

/// The columns of a statement.
pub(super) fn shown(raw: &dyn Raw, columns: &[Column]) -> String {
    let shown: Vec<_> = columns.iter().map(|column| raw.shown(column)).collect();
    shown.join(", ")
}

struct Sending<'a>(&'a Sender<Piece>);

#[async_trait(?Send)]
impl AsyncTake for Sending<'_> {
    async fn take(&mut self, rows: Vec<Vec<Cell>>) -> Result<()> {
        send(self.0, Piece::Rows(rows)).await
    }
}

async fn send(to: &Sender<Piece>, piece: Piece) -> Result<()> {
    let gone = |_| StoreError::Unavailable("nobody takes its rows any more".into());
    to.send(piece).await.map_err(gone)
}

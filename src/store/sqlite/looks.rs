//! What apps were like when they were last looked at.

use super::SqliteStore;
use super::row::{many, one, run};
use crate::store::Result;
use crate::store::looks::{LookStore, StoredLook};
use crate::store::rows::{self, LOOK};
use crate::types::{AppId, Timestamp};
use async_trait::async_trait;
use rusqlite::params;

#[async_trait]
impl LookStore for SqliteStore {
    async fn put_look(&self, look: &StoredLook) -> Result<()> {
        let look = look.clone();
        let sql = format!("INSERT OR REPLACE INTO app_looks ({LOOK}) VALUES (?1, ?2, ?3)");
        self.write(move |db| {
            let values = params![look.app.as_str(), look.looked_at.0, look.body];
            run(db, &sql, values)?;
            Ok(())
        })
        .await
    }

    async fn looks(&self) -> Result<Vec<(AppId, Timestamp)>> {
        let sql = "SELECT app, looked_at FROM app_looks ORDER BY app";
        self.read(move |db| many(db, sql, [], |row| rows::looked(row)))
            .await
    }

    async fn last_look(&self, app: &AppId) -> Result<Option<StoredLook>> {
        let app = app.clone();
        let sql = format!("SELECT {LOOK} FROM app_looks WHERE app = ?1");
        self.read(move |db| one(db, &sql, [app.as_str()], |row| rows::look(row)))
            .await
    }
}

//! What apps were like when they were last looked at.

use super::row::{many, one, run};
use super::{PostgresStore, bounded};
use crate::store::Result;
use crate::store::looks::{LookStore, StoredLook};
use crate::store::rows::{self, LOOK};
use crate::types::{AppId, Timestamp};
use async_trait::async_trait;

#[async_trait]
impl LookStore for PostgresStore {
    async fn put_look(&self, look: &StoredLook) -> Result<()> {
        bounded(async {
            let sql = format!(
                "INSERT INTO app_looks ({LOOK}) VALUES ($1, $2, $3)
                 ON CONFLICT (app) DO UPDATE
                 SET looked_at = excluded.looked_at, body = excluded.body"
            );
            let values = &[
                &look.app.as_str() as super::row::Value<'_>,
                &look.looked_at.0,
                &look.body,
            ];
            run(&self.client().await?, &sql, values).await?;
            Ok(())
        })
        .await
    }

    async fn looks(&self) -> Result<Vec<(AppId, Timestamp)>> {
        bounded(async {
            let sql = "SELECT app, looked_at FROM app_looks ORDER BY app COLLATE \"C\"";
            many(&self.client().await?, sql, &[], rows::looked).await
        })
        .await
    }

    async fn last_look(&self, app: &AppId) -> Result<Option<StoredLook>> {
        bounded(async {
            let sql = format!("SELECT {LOOK} FROM app_looks WHERE app = $1");
            one(&self.client().await?, &sql, &[&app.as_str()], rows::look).await
        })
        .await
    }
}

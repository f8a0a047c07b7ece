//! What apps were like when they were last looked at whole, as the store keeps it. What lives here: the
//! record and the trait that both engines implement. What does not: what is said of an app
//! (`reconcile::drift`); here it is a text.

use super::Result;
use crate::types::{AppId, Timestamp};
use async_trait::async_trait;

/// The last look at an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLook {
    /// Which app.
    pub app: AppId,
    /// When it was read.
    pub looked_at: Timestamp,
    /// What was found.
    pub body: String,
}

/// Looks.
#[async_trait]
pub trait LookStore: Send + Sync {
    /// Keeps a look in place of the former one. Whatever that one's time was: the clock may have been
    /// set back.
    async fn put_look(&self, look: &StoredLook) -> Result<()>;

    /// When each app was last looked at, apps that are not configured any more included.
    async fn looks(&self) -> Result<Vec<(AppId, Timestamp)>>;

    /// The last look at an app.
    async fn last_look(&self, app: &AppId) -> Result<Option<StoredLook>>;
}

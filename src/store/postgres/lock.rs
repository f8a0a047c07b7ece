//! Locks by name, across replicas: session-level advisory locks.
//!
//! All locks of a replica are held by one connection of their own, so that they neither use up the
//! pool nor depend on what it does with its connections; when the replica dies the connection
//! closes, and the server gives them back. Within the replica a lock is a turn (`turns`): the
//! server would give the same connection the same lock twice.
//!
//! A lock that another replica holds is tried again every few milliseconds: waiting inside the
//! server would keep the one connection busy for everyone.

use super::pool::{CONNECT, PATIENCE};
use crate::store::rows::Columns as _;
use crate::store::turns::Turns;
use crate::store::{LockGuard, Result, StoreError};
use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use deadpool_postgres::{ClientWrapper, Object, Pool};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, timeout};

/// How often another replica's lock is tried again.
const AGAIN: Duration = Duration::from_millis(25);

/// The locks of one replica.
pub(super) struct Locks {
    schema: String,
    turns: Turns,
    connection: Mutex<Option<Arc<ClientWrapper>>>,
}

impl Locks {
    pub(super) fn new(schema: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            turns: Turns::default(),
            connection: Mutex::new(None),
        }
    }

    /// The schema that the names of locks are within.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    pub(super) async fn lock(&self, pool: &Pool, name: &str, wait: Duration) -> Result<LockGuard> {
        let until = Instant::now() + wait;
        let turn = self.turns.take(name, until).await?;
        let connection = self.connection(pool).await?;
        // Made before the server is asked: a caller that gives up while the answer is under way
        // must not leave the lock behind. Giving back what one has not is harmless.
        let held = Held {
            key: key(&self.schema, name),
            connection: Some((connection, turn)),
        };
        loop {
            if held.try_take().await? {
                return Ok(LockGuard::new(held));
            }
            if Instant::now() + AGAIN > until {
                return Err(StoreError::Busy);
            }
            sleep(AGAIN).await;
        }
    }

    async fn connection(&self, pool: &Pool) -> Result<Arc<ClientWrapper>> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref() {
            // Asked, as the pool asks before it hands one out.
            if let Ok(Ok(_)) = timeout(CONNECT, connection.simple_query("")).await {
                return Ok(Arc::clone(connection));
            }
        }
        // Taken out for good: the pool makes another in its place.
        let connection = Arc::new(Object::take(pool.get().await?));
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }
}

struct Held {
    key: i64,
    /// Some until dropped.
    connection: Option<(Arc<ClientWrapper>, OwnedMutexGuard<()>)>,
}

impl Held {
    async fn try_take(&self) -> Result<bool> {
        let Some((connection, _)) = &self.connection else {
            return Ok(false);
        };
        let ask = async {
            let sql = "SELECT pg_try_advisory_lock($1)";
            let statement = connection.prepare_cached(sql).await?;
            connection.query_one(&statement, &[&self.key]).await
        };
        let row = timeout(PATIENCE, ask)
            .await
            .map_err(|_| StoreError::Unavailable("no answer in time".into()))??;
        row.flag(0)
    }
}

#[async_trait]
impl crate::store::Held for Held {
    async fn stands(&self) -> bool {
        let Some((connection, _)) = &self.connection else {
            return false;
        };
        // The server gives a lock back with its connection, and only then.
        matches!(
            timeout(CONNECT, connection.simple_query("")).await,
            Ok(Ok(_))
        )
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some((connection, turn)) = self.connection.take() else {
            return;
        };
        // Without a runtime the process is ending, and the connection with it.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let key = self.key;
        runtime.spawn(async move {
            let sql = "SELECT pg_advisory_unlock($1)";
            let give_back = async {
                let statement = connection.prepare_cached(sql).await?;
                connection.execute(&statement, &[&key]).await
            };
            let failed = !matches!(timeout(PATIENCE, give_back).await, Ok(Ok(_)));
            if failed {
                tracing::warn!("a lock could not be given back: its connection is lost");
            }
            // The next in turn asks only now.
            drop(turn);
        });
    }
}

/// The number an advisory lock goes by. Two names that share one merely wait for each other.
pub(super) fn key(schema: &str, name: &str) -> i64 {
    let mut hash = Context::new(&SHA256);
    hash.update(b"auth-manager\0");
    hash.update(schema.as_bytes());
    hash.update(b"\0");
    hash.update(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finish().as_ref()[..8]);
    i64::from_be_bytes(first)
}

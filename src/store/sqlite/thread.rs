//! Connections on threads of their own, since SQLite's calls block.

use crate::store::{Result, StoreError};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Jobs that may wait; more than a stalled disk should ever gather.
const QUEUE: usize = 1_024;

/// How long a call waits for its answer. Above the time SQLite itself waits for another process.
const PATIENCE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// One or more connections that take jobs from one queue.
///
/// The threads end, and close their connections, when this is dropped and the queue is empty.
pub(super) struct Workers(mpsc::Sender<Job>);

impl Workers {
    /// Gives each connection a thread.
    pub(super) fn start(name: &str, connections: Vec<Connection>) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for mut connection in connections {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || {
                    loop {
                        // The lock is held while waiting: one idle thread waits for a job, the
                        // others for the lock.
                        let Some(job) = queue.lock().blocking_recv() else {
                            return;
                        };
                        job(&mut connection);
                    }
                })
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        Ok(Self(jobs))
    }

    /// Runs `job` on a connection. Once queued, it runs even if nobody waits for it any more: a
    /// revocation must not depend on the patience of who asked.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody may be waiting for the answer any more.
            let _ = answer.send(job(connection));
        });
        let answered = async {
            self.0.send(job).await.ok()?;
            result.await.ok()
        };
        match timeout(PATIENCE, answered).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(StoreError::Unavailable("its thread has ended".into())),
            Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
        }
    }
}

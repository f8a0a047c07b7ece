//! Puts wishes on record, many in one transaction: whoever has a wish waits until it is durable, and
//! meanwhile the next ones gather. So a storm costs the store a few writes, and each caller a few
//! milliseconds.

use super::sources::HookStore;
use crate::store::NewJob;
use crate::types::Clock;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Wishes that wait at most: who comes beyond is asked to come again.
const WAITING: usize = 4096;
/// Wishes of one transaction.
const TOGETHER: usize = 512;
/// Longest wait for the store: Authentik gives up after 30 s.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a wish is not on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Too many wait.
    Full,
    /// The store does not take it; why.
    Store(String),
}

/// Where wishes are put.
#[derive(Debug, Clone)]
pub(super) struct Book(mpsc::Sender<Entry>);

#[derive(Debug)]
struct Entry {
    wish: NewJob,
    done: oneshot::Sender<Result<(), Trouble>>,
}

/// The other end: who writes.
pub(super) struct Writer {
    from: mpsc::Receiver<Entry>,
    store: Arc<dyn HookStore>,
    clock: Arc<dyn Clock>,
}

impl Book {
    pub(super) fn new(store: Arc<dyn HookStore>, clock: Arc<dyn Clock>) -> (Self, Writer) {
        let (to, from) = mpsc::channel(WAITING);
        (Self(to), Writer { from, store, clock })
    }

    /// Puts a wish on record; returns when it is durable.
    pub(super) async fn put(&self, wish: NewJob) -> Result<(), Trouble> {
        let (done, told) = oneshot::channel();
        self.0
            .try_send(Entry { wish, done })
            .map_err(|_| Trouble::Full)?;
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Trouble::Store("the bridge is stopping".to_owned())),
            Err(_) => Err(Trouble::Store("it takes too long".to_owned())),
        }
    }
}

impl Writer {
    pub(super) async fn run(mut self, end: CancellationToken) {
        let mut gathered = Vec::new();
        loop {
            let any = tokio::select! {
                count = self.from.recv_many(&mut gathered, TOGETHER) => count,
                () = end.cancelled() => return,
            };
            if any == 0 {
                return;
            }
            let (wishes, waiting) = together(&mut gathered);
            let outcome = self.store.enqueue(&wishes, self.clock.now()).await;
            let outcome = outcome.map_err(|error| Trouble::Store(error.to_string()));
            for done in waiting {
                // Who went away meanwhile asks again.
                let _ = done.send(outcome.clone());
            }
        }
    }
}

type Waiting = Vec<oneshot::Sender<Result<(), Trouble>>>;

/// One wish for each key. The earlier and more urgent wins, as in the store: whoever reads does so
/// after all of these are on record, and all of them happened before.
fn together(gathered: &mut Vec<Entry>) -> (Vec<NewJob>, Waiting) {
    let mut wishes: Vec<NewJob> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut waiting = Waiting::new();
    for Entry { wish, done } in gathered.drain(..) {
        waiting.push(done);
        match at.get(&wish.key).and_then(|at| wishes.get_mut(*at)) {
            Some(known) => {
                known.priority = known.priority.min(wish.priority);
                known.due_at = known.due_at.min(wish.due_at);
            }
            None => {
                at.insert(wish.key.clone(), wishes.len());
                wishes.push(wish);
            }
        }
    }
    (wishes, waiting)
}

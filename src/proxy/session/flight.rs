//! Single flight: of all requests that wait for the same sign-in, one makes the session. The making
//! goes on when the visitor hangs up, and a failure is remembered for a moment, so that a page that
//! reloads itself sees it instead of starting over.

use super::establish::Denial;
use super::live::Live;
use crate::proxy::bridge::Bridge;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a making ended.
pub(super) type Outcome = Result<Arc<Live>, Denial>;

/// A failure is shown to whoever asks within so long.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Most makings at once; beyond it a request is told to come back.
const MOST: usize = 10_000;

/// What is being made, by sign-in.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<String, Flight>>);

struct Flight {
    outcome: watch::Receiver<Option<Outcome>>,
    ended: Option<Instant>,
}

impl Flights {
    /// Joins the making under `key`, or starts it. `None` when too many are under way.
    pub(super) fn join<F>(
        bridge: &Arc<Bridge>,
        key: String,
        make: impl FnOnce() -> F,
    ) -> Option<watch::Receiver<Option<Outcome>>>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut all = bridge.sessions.flights.0.lock();
        let current = |f: &Flight| f.ended.is_none_or(|at| at.elapsed() < REMEMBERED);
        if let Some(flight) = all.get(&key).filter(|f| current(f)) {
            return Some(flight.outcome.clone());
        }
        if all.len() >= MOST {
            all.retain(|_, f| current(f));
            if all.len() >= MOST {
                return None;
            }
        }
        let (tell, outcome) = watch::channel(None);
        all.insert(
            key.clone(),
            Flight {
                outcome: outcome.clone(),
                ended: None,
            },
        );
        drop(all);
        let making = make();
        let owner = bridge.clone();
        bridge.tasks.spawn(async move {
            let outcome = making.await;
            let good = outcome.is_ok();
            tell.send_replace(Some(outcome));
            let mut all = owner.sessions.flights.0.lock();
            if good {
                // It is in the table now: later requests find it there.
                all.remove(&key);
            } else if let Some(flight) = all.get_mut(&key) {
                flight.ended = Some(Instant::now());
            }
        });
        Some(outcome)
    }
}

/// Waits for the outcome at most so long; `None` when it takes longer.
pub(super) async fn wait(
    mut outcome: watch::Receiver<Option<Outcome>>,
    at_most: Duration,
) -> Option<Outcome> {
    let ended = tokio::time::timeout(at_most, outcome.wait_for(Option::is_some)).await;
    match ended {
        Ok(Ok(outcome)) => outcome.clone(),
        // The making panicked: its sender is gone.
        Ok(Err(_)) => Some(Err(Denial::Refused(crate::error::Code::Internal.into()))),
        Err(_) => None,
    }
}

//! Whether webhooks still arrive. What was heard is written to the store now and then, and compared
//! with the newest change that Authentik's own event log has: Authentik's workers may hang for hours
//! while everything else of it answers (recordings, difference 18), a rule may be switched off, a
//! certificate may end; nothing of that is an error anywhere.

use super::sources::{Hooks, Source};
use crate::directory::source::Source as Directory;
use crate::directory::sources::Sources;
use crate::types::{SourceId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often what was heard is written down.
const WRITE: Duration = Duration::from_secs(5);
/// How often the event log is asked.
const ASK: Duration = Duration::from_secs(300);
/// A change is expected to be heard of within this: Authentik's last retry comes after 15 minutes.
const GRACE: Duration = Duration::from_secs(1_200);
/// How far apart Authentik's clock and ours may be.
const SKEW: Duration = Duration::from_secs(60);

/// What is known of one directory.
#[derive(Debug, Default)]
struct Known {
    written: Option<Timestamp>,
    change: Option<Timestamp>,
    asked: Option<tokio::time::Instant>,
    silent: bool,
}

impl Hooks {
    /// Writes down what was heard and watches over silence, until the end. `logs`: the directories
    /// that can be asked when their newest change was, as they stand: a reload replaces them.
    pub async fn keep(self: Arc<Self>, logs: Arc<Sources>, end: CancellationToken) {
        let began = self.clock.now();
        let mut known: BTreeMap<&SourceId, Known> = BTreeMap::new();
        loop {
            for (id, source) in &self.sources {
                let known = known.entry(id).or_default();
                let heard = self.write_down(source, known).await;
                ask(known, logs.of(id).as_deref()).await;
                let now = self.clock.now();
                let silent = match known.change {
                    Some(change) => is_missing(change, heard, now),
                    None => now.since(heard.unwrap_or(began)) > source.silent_after,
                };
                if silent && !known.silent {
                    let heard = heard.map(|at| at.to_string());
                    let change = known.change.map(|at| at.to_string());
                    tracing::error!(
                        directory = id.as_str(),
                        heard,
                        change,
                        "no webhook arrives any more: see AuthManagerHooksSilent in the runbook"
                    );
                } else if known.silent && !silent {
                    tracing::info!(directory = id.as_str(), "webhooks arrive again");
                }
                known.silent = silent;
                self.metrics.hooks_heard(id, heard, silent);
            }
            tokio::select! {
                () = end.cancelled() => break,
                () = tokio::time::sleep(WRITE) => {}
            }
        }
        for (id, source) in &self.sources {
            let known = known.entry(id).or_default();
            self.write_down(source, known).await;
        }
    }

    /// Gives when something was last heard, on any replica.
    async fn write_down(&self, source: &Source, known: &mut Known) -> Option<Timestamp> {
        let here = source.heard();
        if let Some(at) = here
            && here > known.written
        {
            match self.store.heard(&source.id, at, false).await {
                Ok(()) => known.written = here,
                Err(error) => self.metrics.store_error(error.trouble()),
            }
        }
        match self.store.last_heard(&source.id).await {
            Ok(anywhere) => here.max(anywhere),
            Err(error) => {
                self.metrics.store_error(error.trouble());
                here.max(known.written)
            }
        }
    }
}

async fn ask(known: &mut Known, log: Option<&dyn Directory>) {
    let Some(log) = log else { return };
    if known.asked.is_some_and(|at| at.elapsed() < ASK) {
        return;
    }
    known.asked = Some(tokio::time::Instant::now());
    match log.newest_change().await {
        Ok(change) => known.change = change.max(known.change),
        // Its reader says so, with metrics of its own.
        Err(error) => tracing::debug!(%error, "the directory's event log can't be read"),
    }
}

/// Whether a change should have been heard of, and was not.
fn is_missing(change: Timestamp, heard: Option<Timestamp>, now: Timestamp) -> bool {
    now.since(change) > GRACE && heard.is_none_or(|heard| heard + SKEW < change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_nothing_was_heard_of_is_missed_once_its_retries_are_over() {
        let at = |seconds: i64| Timestamp(1_000_000 + seconds);
        for (change, heard, now, missing) in [
            (0, None, 1_200, false),
            (0, None, 1_201, true),
            (0, Some(3), 100_000, false),
            // A clock that is a little ahead.
            (0, Some(-59), 100_000, false),
            (0, Some(-61), 100_000, true),
            // A quiet day is none.
            (0, Some(2), 90_000, false),
        ] {
            let said = is_missing(at(change), heard.map(at), at(now));
            assert_eq!(said, missing, "{change} {heard:?} {now}");
        }
    }
}

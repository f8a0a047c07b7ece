//! [`Hooks`]: the directories that send webhooks, and what becomes of each delivery.

use super::book::{Book, Trouble, Writer};
use super::notice::{self, Event, Notice};
use super::recent::Recent;
use super::worth::{Worth, weigh};
use crate::api::problem::Problem;
use crate::error::Code;
use crate::jobs::wish::{self, ToRead};
use crate::store::{self, NewJob, Priority, Store};
use crate::telemetry::metrics::{HookOutcome, Metrics};
use crate::types::{Clock, SourceId, Timestamp};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long after a person's or group's first hint the rest of a burst is read, in one go.
pub(super) const COALESCE: Duration = Duration::from_secs(2);
/// Sign-ins cause a read of the same person at most this often.
const SIGN_IN: Duration = Duration::from_secs(600);
/// An event that came again is known for so long: Authentik's last retry comes after 888 s, and
/// each may take it 30 s (recordings, difference 9).
const AGAIN: Duration = Duration::from_secs(1_200);
/// Events and people that are remembered at most; 40 bytes each.
const MOST: usize = 65_536;

/// What webhooks need of the store.
#[async_trait]
pub trait HookStore: Send + Sync {
    /// Puts wishes on record, all or none.
    async fn enqueue(&self, wishes: &[NewJob], now: Timestamp) -> store::Result<()>;

    /// Something arrived, the transport test if `tested`.
    async fn heard(&self, source: &SourceId, at: Timestamp, tested: bool) -> store::Result<()>;

    /// When something last arrived, at any replica.
    async fn last_heard(&self, source: &SourceId) -> store::Result<Option<Timestamp>>;
}

#[async_trait]
impl HookStore for Arc<dyn Store> {
    async fn enqueue(&self, wishes: &[NewJob], now: Timestamp) -> store::Result<()> {
        (**self).enqueue(wishes, now).await.map(|_| ())
    }

    async fn heard(&self, source: &SourceId, at: Timestamp, tested: bool) -> store::Result<()> {
        (**self).heard(source, at, tested).await
    }

    async fn last_heard(&self, source: &SourceId) -> store::Result<Option<Timestamp>> {
        let state = self.source_state(source).await?;
        Ok(state.heard_at.max(state.tested_at))
    }
}

/// Where webhooks go in.
pub struct Hooks {
    pub(super) sources: BTreeMap<SourceId, Source>,
    book: Book,
    pub(super) store: Arc<dyn HookStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
}

/// A directory that sends webhooks.
pub(super) struct Source {
    pub(super) id: SourceId,
    /// Without an event log to compare with: silence of so long is an alarm.
    pub(super) silent_after: Duration,
    memory: Mutex<Memory>,
    /// When something last arrived here; 0: nothing yet.
    heard: AtomicI64,
}

struct Memory {
    /// What was put on record.
    events: Recent<Uuid>,
    /// Keys of wishes.
    wished: Recent<String>,
    /// Keys of wishes that a sign-in was the reason of.
    signed_in: Recent<String>,
}

impl Hooks {
    /// For these directories. The second half is run beside ([`Hooks::keep`] as well).
    #[must_use]
    pub fn new(
        sources: impl IntoIterator<Item = (SourceId, Duration)>,
        store: Arc<dyn HookStore>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> (Self, Recorder) {
        let (book, writer) = Book::new(store.clone(), clock.clone());
        let sources = sources.into_iter().map(|(id, silent_after)| {
            metrics.hooks_of(&id);
            let source = Source::new(id.clone(), silent_after);
            (id, source)
        });
        let hooks = Self {
            sources: sources.collect(),
            book,
            store,
            clock,
            metrics,
        };
        (hooks, Recorder(writer))
    }

    /// Takes a delivery of a directory that proved itself. When it returns, whatever follows from it
    /// is on record.
    pub(super) async fn take(&self, source: &Source, body: &[u8]) -> Result<(), Problem> {
        let outcome = self.judge(source, body).await;
        let counted = match &outcome {
            Ok(outcome) => *outcome,
            Err(problem) => match problem.code() {
                Code::ApiMalformed => HookOutcome::Garbage,
                Code::Busy => HookOutcome::Full,
                _ => HookOutcome::Unavailable,
            },
        };
        self.metrics.hook(&source.id, counted);
        outcome?;
        source.hear(self.clock.now());
        Ok(())
    }

    async fn judge(&self, source: &Source, body: &[u8]) -> Result<HookOutcome, Problem> {
        let event = match notice::read(body) {
            Notice::Garbage => {
                return Err(Problem::new(
                    Code::ApiMalformed,
                    "a webhook's body is no JSON object",
                ));
            }
            Notice::Test => {
                let now = self.clock.now();
                self.store.heard(&source.id, now, true).await?;
                return Ok(HookOutcome::Test);
            }
            Notice::Sentence => return Ok(HookOutcome::Nothing),
            // A newer form, perhaps of something that matters.
            Notice::Unknown => {
                let why = "webhook of an unknown form";
                self.wish(source, &ToRead::Recent, Priority::Deny, why)
                    .await?;
                return Ok(HookOutcome::Unclear);
            }
            Notice::Event(event) => event,
        };
        self.event(source, &event).await
    }

    async fn event(&self, source: &Source, event: &Event) -> Result<HookOutcome, Problem> {
        // What was put on record once was read, or will be, after it happened.
        if event.id.is_some_and(|id| source.knows(id)) {
            return Ok(HookOutcome::Duplicate);
        }
        let (what, priority, seldom) = match weigh(event) {
            Worth::Nothing => return Ok(HookOutcome::Nothing),
            Worth::Unknown => return Ok(HookOutcome::Unknown),
            Worth::Read(what, priority) => (what, priority, false),
            Worth::Seldom(what, priority) => (what, priority, true),
        };
        let why = format!("webhook {}", event.action);
        if seldom && source.signed_in(&what) {
            return Ok(HookOutcome::Nothing);
        }
        self.wish(source, &what, priority, &why).await?;
        source.recorded(event.id, seldom.then_some(&what));
        Ok(match what {
            ToRead::Recent => HookOutcome::Unclear,
            _ => HookOutcome::Read,
        })
    }

    /// The first hint about somebody is read at once, what follows closely a moment later.
    async fn wish(
        &self,
        source: &Source,
        what: &ToRead,
        priority: Priority,
        why: &str,
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        let due = match source.first(what) {
            true => now,
            false => now + COALESCE,
        };
        let wish = wish::read(&source.id, what, priority, due, why);
        match self.book.put(wish).await {
            Ok(()) => Ok(()),
            Err(Trouble::Full) => Err(Problem::new(Code::Busy, "too many webhooks wait")),
            Err(Trouble::Store(why)) => Err(Problem::new(Code::StoreUnavailable, why)),
        }
    }
}

impl Source {
    fn new(id: SourceId, silent_after: Duration) -> Self {
        Self {
            id,
            silent_after,
            memory: Mutex::new(Memory {
                events: Recent::new(AGAIN, MOST),
                wished: Recent::new(COALESCE, MOST),
                signed_in: Recent::new(SIGN_IN, MOST),
            }),
            heard: AtomicI64::new(0),
        }
    }

    fn knows(&self, event: Uuid) -> bool {
        self.memory.lock().events.has(&event, Instant::now())
    }

    fn signed_in(&self, what: &ToRead) -> bool {
        let memory = self.memory.lock();
        memory.signed_in.has(&key(what), Instant::now())
    }

    /// Whether nothing was wished about this a moment ago.
    fn first(&self, what: &ToRead) -> bool {
        let (key, now) = (key(what), Instant::now());
        let mut memory = self.memory.lock();
        let first = !memory.wished.has(&key, now);
        memory.wished.note(key, now);
        first
    }

    fn recorded(&self, event: Option<Uuid>, sign_in: Option<&ToRead>) {
        let now = Instant::now();
        let mut memory = self.memory.lock();
        if let Some(event) = event {
            memory.events.note(event, now);
        }
        if let Some(what) = sign_in {
            memory.signed_in.note(key(what), now);
        }
    }

    fn hear(&self, now: Timestamp) {
        self.heard.fetch_max(now.0, Ordering::Relaxed);
    }

    /// When something last arrived here.
    pub(super) fn heard(&self) -> Option<Timestamp> {
        match self.heard.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Timestamp(at)),
        }
    }
}

fn key(what: &ToRead) -> String {
    match what {
        ToRead::Person { id } => format!("person/{id}"),
        ToRead::Group { id } => format!("group/{id}"),
        ToRead::Groups => "groups".to_owned(),
        ToRead::Recent => "recent".to_owned(),
    }
}

/// Writes down what [`Hooks`] takes; run once.
pub struct Recorder(Writer);

impl Recorder {
    /// Until the end.
    pub async fn run(self, end: CancellationToken) {
        self.0.run(end).await;
    }
}

//! Webhooks: which events go where, the worker's threads, six attempts with growing waits, then the
//! notification is lost (recorded: 04, 08; differences 9, 10, 12, 18).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::body::{self, RECIPIENT};
use super::controls::StandIn;
use super::journal::Sent;
use super::state::Event;
use super::wire::{Failed, Incoming, Outgoing};

/// Waits before the second to sixth attempt, in seconds.
const WAITS: [u64; 5] = [35, 77, 55, 136, 585];
/// A receiver may take so long.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Which body a webhook has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Authentik's own.
    Default,
    /// That of the shipped mapping, version 1.
    Mapped,
}

/// A transport with its rule.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The transport's id; given when it is added.
    pub id: String,
    /// The transport's name.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Header lines of the header mapping, in order.
    pub headers: Vec<(String, String)>,
    /// What it says.
    pub body: BodyKind,
    /// `severity` of the rule.
    pub severity: String,
    /// Whether only the events go that the shipped matchers select: users, groups, sign-ins.
    pub matched: bool,
    /// How many get each event: 1 with `send_once` and a group that is not empty.
    pub recipients: usize,
}

impl Hook {
    /// As the shipped blueprint makes it.
    #[must_use]
    pub fn shipped(url: &str, secret: &str) -> Self {
        Self {
            id: String::new(),
            name: "bridge-webhook".into(),
            url: url.to_owned(),
            headers: vec![("Authorization".into(), format!("Bearer {secret}"))],
            body: BodyKind::Mapped,
            severity: "notice".into(),
            matched: true,
            recipients: 1,
        }
    }

    /// Without mappings, for every event.
    #[must_use]
    pub fn plain(url: &str) -> Self {
        Self {
            name: "lab-default".into(),
            headers: Vec::new(),
            body: BodyKind::Default,
            matched: false,
            ..Self::shipped(url, "")
        }
    }

    fn takes(&self, event: &Event) -> bool {
        if !self.matched {
            return true;
        }
        match event.action.as_str() {
            "login" | "logout" | "user_write" | "password_set" | "suspicious_request" => true,
            "model_created" | "model_updated" | "model_deleted" => {
                let of = |key: &str| event.context.pointer(key).and_then(|value| value.as_str());
                of("/model/app") == Some("authentik_core")
                    && matches!(of("/model/model_name"), Some("user" | "group"))
            }
            _ => false,
        }
    }

    pub(super) fn outgoing(&self, body: String, version: &str) -> Outgoing {
        Outgoing {
            method: Method::POST,
            url: self.url.clone(),
            accept: "*/*",
            early: self.headers.clone(),
            late: vec![("Content-Type".into(), "application/json".into())],
            body: Some(body),
            user_agent: format!("authentik@{version}"),
        }
    }
}

/// The webhooks and the worker.
pub(super) struct Hooks {
    pub(super) all: Mutex<Vec<Hook>>,
    /// Threads of the worker; SCIM has the same.
    pub(super) threads: Arc<Semaphore>,
    /// Nothing is sent while it says so.
    pub(super) held: watch::Sender<bool>,
    /// Notifications are lost instead of sent.
    pub(super) lost: AtomicBool,
    /// Deliveries that are under way or waiting.
    pub(super) open: AtomicU32,
}

impl Hooks {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            all: Mutex::default(),
            threads: Arc::new(Semaphore::new(threads.max(1))),
            held: watch::Sender::new(false),
            lost: AtomicBool::new(false),
            open: AtomicU32::new(0),
        }
    }
}

/// Counts work of the worker for as long as it lives.
pub(super) struct Open(StandIn);

impl Open {
    pub(super) fn new(app: &StandIn) -> Self {
        app.hooks().open.fetch_add(1, Ordering::SeqCst);
        Self(app.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.hooks().open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl StandIn {
    /// Gives an event to every webhook that takes it.
    pub(super) fn offer(&self, event: &Event) {
        if self.hooks().lost.load(Ordering::SeqCst) {
            return;
        }
        let hooks = self.hooks().all.lock().clone();
        for hook in hooks.into_iter().filter(|hook| hook.takes(event)) {
            for _ in 0..hook.recipients {
                let (app, hook, event) = (self.clone(), hook.clone(), event.clone());
                let open = Open::new(self);
                tokio::spawn(async move {
                    app.deliver(&hook, &event).await;
                    drop(open);
                });
            }
        }
    }

    async fn deliver(&self, hook: &Hook, event: &Event) {
        for (attempt, wait) in [0].into_iter().chain(WAITS).enumerate() {
            self.wait(Duration::from_secs(wait)).await;
            let mut held = self.hooks().held.subscribe();
            let _ = held.wait_for(|held| !held).await;
            let Ok(turn) = self.hooks().threads.acquire().await else {
                return;
            };
            // Whoever deletes themselves takes their events along (recorded: 07).
            let body = {
                let state = self.state();
                if !state.events.iter().rev().any(|known| known.pk == event.pk) {
                    return;
                }
                body::of_event(&state, hook, event, RECIPIENT)
            };
            let outgoing = hook.outgoing(body, &self.options().version);
            let attempt = u32::try_from(attempt + 1).unwrap_or(u32::MAX);
            let answer = self.send(&outgoing, attempt).await;
            drop(turn);
            if answer.is_ok_and(|answer| (200..300).contains(&answer.status)) {
                return;
            }
        }
    }

    /// Sends, and remembers it.
    pub(super) async fn send(&self, outgoing: &Outgoing, attempt: u32) -> Result<Incoming, Failed> {
        let limit = self.compressed(LIMIT).max(Duration::from_secs(2));
        let answer = outgoing.send(self.options().tls.as_ref(), limit).await;
        self.sent_journal().note(Sent {
            method: outgoing.method.to_string(),
            url: outgoing.url.clone(),
            headers: outgoing.lines(),
            body: outgoing.body.clone().unwrap_or_default(),
            status: answer.as_ref().ok().map(|answer| answer.status),
            attempt,
        });
        answer
    }

    /// A time of the real one, made shorter.
    pub(super) fn compressed(&self, time: Duration) -> Duration {
        time / self.options().time_factor.max(1)
    }

    pub(super) async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(self.compressed(time)).await;
        }
    }
}

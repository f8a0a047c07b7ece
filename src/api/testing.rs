//! A road for the tests of this folder, which knows whom it is told, and a queue.

use super::hooks::{HookStore, Hooks};
use super::{apps, visitors};
use crate::audit::Audit;
use crate::directory::ByHand;
use crate::error::{Code, Refusal};
use crate::identity::{Claimed, Visitor, Visitors};
use crate::store::{NewJob, Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::types::{ClientId, HostName, SessionId, SourceId, SystemClock, Timestamp};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Answers every question with the visitor it was given, and remembers what it was asked.
#[derive(Default)]
pub(super) struct Road {
    pub(super) visitor: Mutex<Option<Visitor>>,
    pub(super) asked: Mutex<Vec<Claimed>>,
    pub(super) ended: Mutex<Vec<SessionId>>,
    /// What is wrong with the store.
    pub(super) away: Mutex<bool>,
}

impl Road {
    fn answer(&self) -> Result<Visitor, Refusal> {
        if *self.away.lock() {
            return Err(Code::StoreUnavailable.into());
        }
        let visitor = self.visitor.lock().clone();
        visitor.ok_or_else(|| Code::SessionRequired.into())
    }
}

#[async_trait]
impl Visitors for Road {
    async fn by_assertion(
        &self,
        _: &ClientId,
        hosts: &[HostName],
        _: &str,
    ) -> Result<Visitor, Refusal> {
        let visitor = self.answer()?;
        match hosts.contains(&visitor.host) {
            true => Ok(visitor),
            false => Err(Code::AssertionAudience.into()),
        }
    }

    async fn by_token(&self, claimed: &Claimed) -> Result<Visitor, Refusal> {
        self.asked.lock().push(claimed.clone());
        self.answer()
    }

    async fn end_session(&self, session: SessionId, _: &crate::store::By) -> Result<(), Refusal> {
        self.ended.lock().push(session);
        Ok(())
    }
}

/// No road: what goes along it is tried over the whole bridge (`tests/api`).
pub(super) struct NoRoad;

#[async_trait::async_trait]
impl apps::Road for NoRoad {
    async fn call(
        &self,
        who: apps::AppCaller,
        request: http::Request<apps::Streamed>,
    ) -> apps::Called {
        let text = format!("{} {} {}", who.client(), who.app(), request.uri().path());
        let body = axum::body::Body::from(text)
            .map_err(Into::into)
            .boxed_unsync();
        apps::Called {
            rule: None,
            answer: Ok(http::Response::new(body)),
        }
    }

    async fn introduce(
        &self,
        who: visitors::Introducer,
        _: visitors::Introduction,
    ) -> Result<visitors::Introduced, crate::error::Refusal> {
        let code = match who.may_have_cookies() {
            true => crate::error::Code::AssertionExpired,
            false => crate::error::Code::AssertionKeysUnavailable,
        };
        Err(code.into())
    }
}

/// No directory sends webhooks.
pub(super) fn no_hooks() -> Arc<Hooks> {
    let queue = Arc::new(Queue::default());
    let (clock, metrics) = (Arc::new(SystemClock), Metrics::new(Default::default()));
    Arc::new(Hooks::new([], queue, clock, metrics).0)
}

/// No directory is ordered anything of.
pub(super) fn no_hand(store: Arc<dyn Store>, audit: Arc<Audit>) -> Arc<ByHand> {
    Arc::new(ByHand {
        sources: Arc::default(),
        writers: Arc::default(),
        store,
        clock: Arc::new(SystemClock),
        audit,
        terms: Arc::default(),
        power: ArcSwap::default(),
    })
}

/// A queue and a directory's state, in memory; it may be away, or hang.
#[derive(Default)]
pub(super) struct Queue {
    /// All that was wished, in order; nothing is joined.
    pub(super) wishes: Mutex<Vec<NewJob>>,
    /// Transactions.
    pub(super) writes: AtomicUsize,
    pub(super) tested: Mutex<Vec<Timestamp>>,
    pub(super) away: AtomicBool,
    pub(super) hangs: AtomicBool,
}

impl Queue {
    fn there(&self) -> crate::store::Result<()> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(StoreError::Busy),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl HookStore for Queue {
    async fn enqueue(&self, wishes: &[NewJob], _: Timestamp) -> crate::store::Result<()> {
        self.there()?;
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        // As a disk does: others gather meanwhile.
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.wishes.lock().extend_from_slice(wishes);
        Ok(())
    }

    async fn heard(&self, _: &SourceId, at: Timestamp, tested: bool) -> crate::store::Result<()> {
        self.there()?;
        if tested {
            self.tested.lock().push(at);
        }
        Ok(())
    }

    async fn last_heard(&self, _: &SourceId) -> crate::store::Result<Option<Timestamp>> {
        self.there()?;
        Ok(self.tested.lock().last().copied())
    }
}

/// For tests that are not about SCIM.
pub(super) struct NobodyHears;

#[async_trait]
impl super::scim::Hearing for NobodyHears {
    async fn person(
        &self,
        _: &crate::store::Person,
        _: bool,
        _: &crate::store::By,
    ) -> Result<(), crate::store::StoreError> {
        Ok(())
    }

    async fn group(
        &self,
        _: &crate::store::DirectoryGroup,
        _: &crate::store::By,
    ) -> Result<(), crate::store::StoreError> {
        Ok(())
    }

    async fn reread(
        &self,
        _: &crate::config::ScimConfig,
        _: &crate::store::ScimResource,
    ) -> Result<(), crate::store::StoreError> {
        Ok(())
    }
}

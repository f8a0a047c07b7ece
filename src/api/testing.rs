//! A road for the tests of this folder: it knows whom it is told.

use super::{apps, visitors};
use crate::error::{Code, Refusal};
use crate::identity::{Claimed, Visitor, Visitors};
use crate::types::{ClientId, HostName, SessionId};
use async_trait::async_trait;
use http_body_util::BodyExt;
use parking_lot::Mutex;

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

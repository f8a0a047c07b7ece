//! What the road knows about visitors, asked from elsewhere: who an assertion or a session speaks
//! of, and whether they may still use the app. The road answers ([`Visitors`] is implemented there),
//! so that a decision about a token is the one that a request of the same visitor would meet.

use crate::error::Refusal;
use crate::store::{By, Epoch, TokenQuestion, User};
use crate::types::{AppId, ClientId, HostName, SessionId, Timestamp};
use async_trait::async_trait;

/// A person whom the road lets use an app, now.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who, with what their newest assertion said.
    pub user: User,
    /// Which app.
    pub app: AppId,
    /// Its host.
    pub host: HostName,
    /// Their session there; `None` when an assertion alone speaks of them.
    pub session: Option<SessionId>,
    /// Nothing that is made of this may live longer.
    pub until: Timestamp,
    /// The revocation log as it was before anything else was looked at.
    pub epoch: Epoch,
}

/// What is asked about a token: the store's question, and where the token says it comes from.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// What to look up.
    pub question: TokenQuestion,
    /// For a token without a session: the app of its sign-in, and the log as it was then.
    pub sign_in: Option<(AppId, Epoch)>,
    /// The app's host that it must be of; any app's when `None`.
    pub host: Option<HostName>,
}

/// The road, as others ask it.
#[async_trait]
pub trait Visitors: Send + Sync {
    /// Verifies an assertion that a client passes on, as the road verifies one: for one of these
    /// hosts, within its time, and then by the app's access rule and the negative facts. It counts
    /// as no use on the road, and only one client may pass it on, a bounded number of times.
    ///
    /// # Errors
    /// As the road refuses.
    async fn by_assertion(
        &self,
        client: &ClientId,
        hosts: &[HostName],
        assertion: &str,
    ) -> Result<Visitor, Refusal>;

    /// Whether what stands behind a token still does: session or sign-in, person, access rule. Asks
    /// the store, and the same of it whatever the question is (T37).
    ///
    /// # Errors
    /// As the road refuses, or when the store does not answer.
    async fn by_token(&self, claimed: &Claimed) -> Result<Visitor, Refusal>;

    /// Ends a session as revoked, its sockets and the app's session included; `by` is whom the audit
    /// trail names.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn end_session(&self, session: SessionId, by: &By) -> Result<(), Refusal>;
}

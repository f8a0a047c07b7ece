//! Ending what is signed in.

use super::{Desk, OrderError};
use crate::store::{EndReason, Session, SessionFilter, StoreError, Which};

/// Rows a page.
const PAGE: u32 = 1000;

impl Desk<'_> {
    /// All sessions of a filter, newest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn every(&self, filter: SessionFilter) -> Result<Vec<Session>, StoreError> {
        let mut all = Vec::new();
        self.walk(filter, |page| all.extend(page)).await?;
        Ok(all)
    }

    /// How many they are.
    pub(super) async fn count(&self, filter: SessionFilter) -> Result<usize, StoreError> {
        let mut number = 0;
        self.walk(filter, |page| number += page.len()).await?;
        Ok(number)
    }

    async fn walk(
        &self,
        mut filter: SessionFilter,
        mut each: impl FnMut(Vec<Session>),
    ) -> Result<(), StoreError> {
        filter.limit = PAGE;
        loop {
            let page = self.store.sessions(&filter).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            filter.after = Some((last.created_at, last.id));
            each(page);
        }
    }

    /// Revokes sessions: they end within a second, on every replica, the running bridge then ends
    /// them in the app, and their sign-ins don't come back without a new one at Pomerium. Gives how
    /// many ended, or would.
    ///
    /// # Errors
    /// When an app is named that is not configured, or the store does not answer.
    pub async fn revoke(&self, which: &Which, dry_run: bool) -> Result<usize, OrderError> {
        let stands = match which {
            Which::User(_, Some(app)) | Which::App(app) | Which::Sid(app, ..) => {
                self.terms.of(app)?.tombstone
            }
            Which::User(_, None) | Which::All => self.terms.longest(),
            Which::Session(id) => {
                let session = self.store.session(*id).await?;
                // An app that is configured no more has no rule of its own.
                let term = session.and_then(|session| self.terms.of(&session.app).ok().copied());
                term.map_or_else(|| self.terms.longest(), |term| term.tombstone)
            }
        };
        if dry_run {
            return Ok(self.would_end(which).await?);
        }
        let until = self.now + stands;
        let ended = self
            .store
            .end_sessions(which, EndReason::Revoked, until, self.now, &self.by)
            .await?;
        Ok(ended.len())
    }

    async fn would_end(&self, which: &Which) -> Result<usize, StoreError> {
        let mut filter = SessionFilter {
            live: true,
            ..SessionFilter::default()
        };
        match which {
            Which::Session(id) => {
                let session = self.store.session(*id).await?;
                return Ok(session.is_some_and(|s| s.ended_at.is_none()).into());
            }
            Which::Sid(app, issuer, subject, sid) => {
                let Some(user) = self.store.user_by_subject(issuer, subject).await? else {
                    return Ok(0);
                };
                filter.user = Some(user.id);
                filter.app = Some(app.clone());
                let live = self.every(filter).await?;
                let is = |s: &&Session| s.sid == *sid || s.former_sids.contains(sid);
                return Ok(live.iter().filter(is).count());
            }
            Which::User(user, app) => {
                filter.user = Some(*user);
                filter.app.clone_from(app);
            }
            Which::App(app) => filter.app = Some(app.clone()),
            Which::All => {}
        }
        self.count(filter).await
    }
}

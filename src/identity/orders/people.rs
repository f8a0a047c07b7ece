//! Turning a person away, and letting them in again.

use super::{Desk, OrderError};
use crate::store::{SessionFilter, StateBy, User, UserState};

/// What came of it, or would.
#[derive(Debug)]
pub struct StateSet {
    /// The person, as they are now.
    pub user: User,
    /// Whether anything was, or would be, changed.
    pub changed: bool,
    /// How many sessions ended, or would.
    pub ended: usize,
}

impl Desk<'_> {
    /// Disables or enables a person. Disabling ends their sessions, and refuses their next request
    /// at every app. With `exactly` only if they still are as they were read.
    ///
    /// # Errors
    /// [`OrderError::Changed`] when they are not, or are gone.
    pub async fn set_state(
        &self,
        read: &User,
        state: UserState,
        reason: &str,
        exactly: bool,
        dry_run: bool,
    ) -> Result<StateSet, OrderError> {
        // An order takes over what a directory denied: from then on only an order lifts it.
        let stands = read.state == state && (!state.denies() || read.state_by == StateBy::Operator);
        if dry_run || stands {
            let changed = !stands;
            let live = SessionFilter {
                user: Some(read.id),
                live: true,
                ..SessionFilter::default()
            };
            let ended = match state {
                state if changed && state.denies() => self.count(live).await?,
                _ => 0,
            };
            let user = read.clone();
            return Ok(StateSet {
                user,
                changed,
                ended,
            });
        }
        let (user, ended) = if exactly {
            let set = self
                .store
                .set_user_state_if(read, state, reason, self.now, &self.by);
            set.await?
        } else {
            let set = self
                .store
                .set_user_state(read.id, state, reason, self.now, &self.by);
            set.await?.ok_or(OrderError::Changed)?
        };
        Ok(StateSet {
            user,
            changed: true,
            ended: ended.len(),
        })
    }
}

//! Turning a person away, and letting them in again.

use super::{Desk, OrderError};
use crate::store::{SessionFilter, StateBy, User, UserState};
use crate::types::Timestamp;

/// What is ordered about a person.
#[derive(Debug, Clone, Copy)]
pub struct StateOrder<'a> {
    /// Into which state.
    pub state: UserState,
    /// Why.
    pub reason: &'a str,
    /// Only if they still are as they were read. Letting somebody in is always so.
    pub exactly: bool,
    /// Whether what a directory denies is overruled. Else whoever it turns away is not let in: a
    /// denial beats a grant unless somebody says that it shall not.
    pub against_directory: bool,
    /// Only look.
    pub dry_run: bool,
}

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

/// A directory's no that an order is up against.
struct Denial {
    /// By whom and why, for the record.
    told: String,
    /// The newest of them.
    since: Timestamp,
}

impl Desk<'_> {
    /// Disables or enables a person. Disabling ends their sessions, and refuses their next request
    /// at every app.
    ///
    /// # Errors
    /// [`OrderError::Changed`] when they are not as they were read, or are gone;
    /// [`OrderError::Denied`] when a directory turns them away and that is not to be overruled.
    pub async fn set_state(
        &self,
        read: &User,
        order: &StateOrder<'_>,
    ) -> Result<StateSet, OrderError> {
        let denial = match order.state.denies() {
            true => None,
            false => self.denial(read).await?,
        };
        if let Some(denial) = &denial
            && !order.against_directory
        {
            return Err(OrderError::Denied(denial.told.clone()));
        }
        let state = order.state;
        // An order takes over what a directory denied: from then on only an order lifts it.
        let stands = read.state == state && (!state.denies() || read.state_by == StateBy::Operator);
        if order.dry_run || stands {
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
        let mut reason = order.reason.to_owned();
        let mut now = self.now;
        if let Some(denial) = denial {
            reason = format!("{reason} (against {})", denial.told);
            // Later than what it forgives, whoever's clock that was written by.
            now = now.max(Timestamp(denial.since.0 + 1));
        }
        // Whoever is let in is as they were when it was looked at what denies them.
        let (user, ended) = if order.exactly || !state.denies() {
            let set = self
                .store
                .set_user_state_if(read, state, &reason, now, &self.by);
            set.await?
        } else {
            let set = self
                .store
                .set_user_state(read.id, state, &reason, now, &self.by);
            set.await?.ok_or(OrderError::Changed)?
        };
        Ok(StateSet {
            user,
            changed: true,
            ended: ended.len(),
        })
    }

    async fn denial(&self, user: &User) -> Result<Option<Denial>, OrderError> {
        let whom = [(user.issuer.clone(), user.subject.clone())];
        let said = self.store.said_of(&whom).await?;
        let denials = said.iter().flat_map(|said| said.denials());
        let (mut told, mut since) = (Vec::new(), None);
        for word in denials {
            let why = match word.person.gone_at {
                Some(_) => "gone",
                None => "inactive",
            };
            told.push(format!("{}: {why}", word.person.source));
            since = since.max(Some(word.since()));
        }
        Ok(since.map(|since| Denial {
            told: told.join(", "),
            since,
        }))
    }
}

//! Bringing a person's account and memberships in an app to what they should be: what a `converge` job
//! does, and nothing else. Level-triggered: what is wanted is read when it runs, so that it may run
//! twice, late and in any order.
//!
//! - [`words`]: what is wanted, as the directory says it.
//! - [`absent`]: they are not there, or may not: what they hold ends first (sessions, access tokens,
//!   roles, bots), then the account is deactivated, after a grace.
//! - [`present`]: they are there: the account as a sign-in would make it, reactivated if its
//!   deactivation was ours.
//! - [`memberships`]: teams, channels and roles by the mapping of groups; what was there before, or
//!   came from elsewhere, is never ours to take.
//!
//! Each step is on record before the next; what the app was asked for is on record as an intent before
//! it is asked. A crash anywhere heals by running again (T36).
//!
//! Only a directory's word takes anything away. An assertion, which may lack what it should have,
//! never does.

mod absent;
mod handler;
mod memberships;
mod present;
mod words;

pub use handler::{Converge, Grounds};
pub use memberships::wanted_places;
pub use words::{InGroup, Wanted, WantedAccount, Words};

use super::Context;
use crate::apps::{AppError, Bots};
use crate::audit::Kind;
use crate::config::ProvisionConfig;
use crate::error::{Code, Refusal};
use crate::jobs;
use crate::store::{Account, DeactivatedFor, Deactivation, StoreError, User};
use crate::types::{AppToken, RemoteId, Timestamp, UserId};
use std::sync::Arc;
use std::time::Duration;

/// How long a sign-in of the person that is under way is waited for.
const TURN: Duration = Duration::from_secs(10);
/// When somebody for whom there is no seat is tried again, if nothing else happens.
const NO_SEAT: Duration = Duration::from_secs(15 * 60);

/// What converging needs of an app.
pub struct Ground {
    /// The steps of a sign-in, whose code makes accounts here too.
    pub context: Context,
    /// What the operator configured.
    pub policy: ProvisionConfig,
    /// What directories say.
    pub words: Arc<dyn Words>,
    /// Bots that services use, by the app's id: never disabled, never handed over.
    pub kept_bots: Vec<RemoteId>,
    /// Tokens of such bots whose id only the app knows: the operator manages them.
    pub kept_tokens: Vec<AppToken>,
    /// Who says whose a token is.
    pub bots: Arc<dyn Bots>,
    /// Whether somebody whose first account is made ahead of their visit gets a letter.
    pub letters: bool,
}

/// What converging came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be; what that is, for the log.
    Done(String),
    /// All that can be done now is done: again at this time.
    Later {
        /// Not before.
        at: Timestamp,
        /// What is waited for.
        why: String,
    },
    /// The app or the store did not do it now; it may the next time.
    Again {
        /// How long the app asked to wait, if it did.
        after: Option<Duration>,
        /// Why.
        why: String,
    },
    /// No trying again mends it: an operator must.
    Stuck(String),
}

/// Brings one person's account in the app up to date.
pub async fn converge(ground: &Ground, user: UserId, now: Timestamp) -> Outcome {
    match attempt(ground, user, now).await {
        Ok(outcome) => outcome,
        Err(failure) => failure.outcome(now),
    }
}

async fn attempt(ground: &Ground, user: UserId, now: Timestamp) -> Result<Outcome, Failure> {
    let context = &ground.context;
    let Some(user) = context.store.user(user).await? else {
        return Ok(Outcome::Done("nobody of this id".into()));
    };
    // As a sign-in does, under the same lock: two of them would make two accounts.
    let turn = super::turn(&context.app, &user);
    let _turn = context.store.lock(&turn, TURN).await?;
    // Read under the lock: what was wanted when the job was enqueued does not matter.
    let wanted = ground.words.wanted(&context.app, &user, now).await?;
    let account = context.store.account(&context.app, user.id).await?;
    match &wanted.account {
        WantedAccount::Leave { why } => match account.filter(|own| is_let_in(&user, own)) {
            Some(account) => present::restore(ground, &user, account, now).await,
            None => Ok(Outcome::Done(format!("left as it is: {why}"))),
        },
        WantedAccount::Held { why } => {
            absent::end_sessions(ground, &user, now).await?;
            Ok(Outcome::Done(format!("left as it is: {why}")))
        }
        WantedAccount::Absent { why, since } => {
            absent::run(ground, &user, account, why, *since, now).await
        }
        WantedAccount::Present => present::run(ground, &user, account, &wanted.groups, now).await,
    }
}

/// Whether they were let in again since their account was deactivated, by an operator or by who had
/// turned them away: what went with their state comes back with it, though no directory says that they
/// belong to the app. Who may use it is then the assertion's word, as for everybody of whom none does.
fn is_let_in(user: &User, account: &Account) -> bool {
    let since = user.state_since;
    let ours = |own: Deactivation| own.why == DeactivatedFor::Absent && own.at <= since;
    !user.state.denies() && account.deactivated.is_some_and(ours)
}

/// Why an attempt ended early.
#[derive(Debug)]
pub(super) enum Failure {
    App(AppError),
    Refused(Refusal),
    Store(StoreError),
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    fn outcome(self, now: Timestamp) -> Outcome {
        let again = |why: String| Outcome::Again { after: None, why };
        match self {
            // Somebody else changed the record, or works at it: the next time sees it.
            Self::Store(error) if error.passes() => Outcome::Later {
                at: now + jobs::STORE_AWAY,
                why: format!("the store: {error}"),
            },
            Self::Store(error) => again(error.to_string()),
            Self::App(error) => of_app(error, now),
            Self::Refused(refusal) => of_refusal(&refusal, now),
        }
    }
}

fn of_app(error: AppError, now: Timestamp) -> Outcome {
    let why = error.to_string();
    match error {
        AppError::NoSeat(_) | AppError::TeamFull(_) => later(now, why),
        AppError::RateLimited(wait) => Outcome::Again {
            after: Some(wait),
            why,
        },
        // A bot that is refused is refused for everybody: mending it mends all.
        AppError::Unavailable(_) | AppError::Timeout(_) | AppError::Credential(_) => {
            Outcome::Again { after: None, why }
        }
        // It went, or was deactivated, between two steps: the next time sees it.
        AppError::Gone | AppError::Deactivated => Outcome::Again { after: None, why },
        AppError::LastAdmin(_)
        | AppError::WrongPassword
        | AppError::Locked
        | AppError::NotOurs(_)
        | AppError::Refused(_) => Outcome::Stuck(why),
    }
}

fn of_refusal(refusal: &Refusal, now: Timestamp) -> Outcome {
    let why = refusal.reason.to_string();
    match refusal.code {
        Code::AccountNoSeat | Code::AccountTeamFull => later(now, why),
        Code::AccountConflict | Code::AccountDisabledInApp | Code::AccountRefused => {
            Outcome::Stuck(why)
        }
        _ => Outcome::Again {
            after: refusal.retry_after,
            why,
        },
    }
}

fn later(now: Timestamp, why: String) -> Outcome {
    Outcome::Later {
        at: now + NO_SEAT,
        why,
    }
}

impl Ground {
    /// Writes down what stands in the way, for the operator; nothing when that is written already.
    async fn note(
        &self,
        account: Account,
        detail: &str,
        now: Timestamp,
    ) -> Result<Account, Failure> {
        if account.detail == detail {
            return Ok(account);
        }
        let noted = Account {
            detail: detail.to_owned(),
            ..account
        };
        self.save(noted, "", now).await
    }

    async fn save(
        &self,
        account: Account,
        reason: &str,
        now: Timestamp,
    ) -> Result<Account, Failure> {
        let by = self.context.witness.clone().reason(reason).by();
        let account = Account {
            updated_at: now,
            ..account
        };
        Ok(self.context.store.save_account(&account, &by).await?)
    }

    /// Bots that services use, by the app's id. One whose token the app does not take is used by nobody.
    async fn kept_bots(&self) -> Result<Vec<RemoteId>, Failure> {
        let mut kept = self.kept_bots.clone();
        for token in &self.kept_tokens {
            let account = self.bots.account_of(token).await?;
            kept.extend(account.map(|account| account.remote));
        }
        Ok(kept)
    }

    /// Records what is no change in the store.
    async fn tell(
        &self,
        kind: Kind,
        user: &User,
        detail: &[(&'static str, serde_json::Value)],
    ) -> Result<(), Failure> {
        let event = self.context.witness.event(kind).user(user.id);
        let mut event = event.app(&self.context.app);
        for (name, value) in detail {
            event = event.detail(name, value.clone());
        }
        self.context.store.append_trail(&[event.draft()]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_went_or_was_deactivated_between_two_steps_is_looked_at_again() {
        for error in [AppError::Gone, AppError::Deactivated] {
            let outcome = of_app(error, Timestamp(0));
            assert!(matches!(outcome, Outcome::Again { after: None, .. }));
        }
        let refused = of_app(AppError::Refused("no".into()), Timestamp(0));
        assert!(matches!(refused, Outcome::Stuck(_)));
    }
}

//! Whose account in an app is whose. Linking gives the bridge an operator's word; whether the
//! account may be adopted at all is decided where all such decisions are made (`apps`), when it is
//! next provisioned.

use super::{Desk, OrderError};
use crate::error::{Code, Refusal};
use crate::identity::{self, Asserted, Context, Memo};
use crate::store::{Account, AccountState, EndReason, SessionFilter, StoreError, User, Which};
use crate::types::{AppId, RemoteId};
use std::time::Duration;

/// How long a sign-in of the person that is under way is waited for.
const TURN: Duration = Duration::from_secs(10);

/// What came of a link, or would.
#[derive(Debug)]
pub struct Linked {
    /// The record, as it is now; `None` where a try would make one.
    pub account: Option<Account>,
    /// Whether anything was, or would be, changed.
    pub changed: bool,
}

/// What came of an unlinking, or would.
#[derive(Debug)]
pub struct Unlinked {
    /// The record, as it is now.
    pub account: Account,
    /// The account they no longer have; `None`: they had none.
    pub former: Option<RemoteId>,
    /// How many sessions ended, or would.
    pub ended: usize,
}

impl Desk<'_> {
    /// Says that an existing account of the app is this person's: it is adopted when it is next
    /// provisioned, at the latest at their next sign-in. `known` is their record as it was read.
    ///
    /// # Errors
    /// When the app adopts none, the account is another's, the person has another, or the record
    /// changed since it was read.
    pub async fn link(
        &self,
        user: &User,
        app: &AppId,
        remote: &RemoteId,
        known: Option<Account>,
        dry_run: bool,
    ) -> Result<Linked, OrderError> {
        if !self.terms.of(app)?.adopts {
            return Err(OrderError::AdoptsNone(app.clone()));
        }
        if let Some(holder) = self.store.account_by_remote(app, remote).await?
            && holder.user != user.id
        {
            return Err(OrderError::Held(holder.user));
        }
        if let Some(account) = &known
            && account.state == AccountState::Linked
        {
            if account.remote.as_ref() != Some(remote) {
                return Err(OrderError::HasAnother(app.clone()));
            }
            return Ok(Linked {
                account: known,
                changed: false,
            });
        }
        if dry_run {
            return Ok(Linked {
                account: known,
                changed: true,
            });
        }
        let account = match known {
            Some(account) => account,
            None => self.begin(user, app).await?,
        };
        // Not linked yet: the connector looks first whether it may be adopted.
        let ordered = Account {
            state: AccountState::Intent,
            remote: Some(remote.clone()),
            detail: "linked by an operator: adopted at the next sign-in".into(),
            settled: false,
            updated_at: self.now,
            ..account
        };
        Ok(Linked {
            account: Some(self.store.save_account(&ordered, &self.by).await?),
            changed: true,
        })
    }

    /// A record for someone who was seen to have none.
    async fn begin(&self, user: &User, app: &AppId) -> Result<Account, OrderError> {
        let begun = self.store.begin_account(app, user.id, self.now).await?;
        // What somebody wrote meanwhile is not what the order was given about.
        match begun.state == AccountState::Intent && begun.remote.is_none() {
            true => Ok(begun),
            false => Err(OrderError::Changed),
        }
    }

    /// Takes an account from a person, and ends their sessions at that app. The account itself stays
    /// as it is in the app.
    ///
    /// # Errors
    /// When the record changed since it was read.
    pub async fn unlink(&self, account: Account, dry_run: bool) -> Result<Unlinked, OrderError> {
        let former = account.remote.clone();
        if dry_run {
            let live = SessionFilter {
                app: Some(account.app.clone()),
                user: Some(account.user),
                live: true,
                ..SessionFilter::default()
            };
            return Ok(Unlinked {
                ended: self.count(live).await?,
                account,
                former,
            });
        }
        let account = match &former {
            None => account,
            // Not an intent: that would let the derived password prove the account theirs again. The
            // next version of the password is for whatever account comes next.
            Some(remote) => {
                let free = Account {
                    state: AccountState::Conflict,
                    remote: None,
                    username: None,
                    detail: format!("unlinked from {remote} by an operator"),
                    password_version: account.password_version + 1,
                    memo: String::new(),
                    settled: false,
                    updated_at: self.now,
                    ..account
                };
                self.store.save_account(&free, &self.by).await?
            }
        };
        // Raises the epoch too, so that no session is born that was begun on the former account. Of
        // who has no account it ends what an interrupted unlinking left.
        let which = Which::User(account.user, Some(account.app.clone()));
        let (reason, now) = (EndReason::AccountGone, self.now);
        let ended = self
            .store
            .end_sessions(&which, reason, now, now, &self.by)
            .await?;
        Ok(Unlinked {
            account,
            former,
            ended: ended.len(),
        })
    }

    /// Provisions an account now instead of at the next sign-in, whatever is remembered of the last
    /// time: the app is told name and address again, and memberships are looked at again. A conflict
    /// that was tidied away in the app is tried again by it.
    ///
    /// # Errors
    /// When the person is disabled, the record changed since it was read, or the app would not: the
    /// record then says why.
    pub async fn provision(
        &self,
        context: &Context,
        user: &User,
        account: Account,
    ) -> Result<Account, OrderError> {
        if user.state.denies() {
            return Err(OrderError::Disabled);
        }
        let _turn = match self
            .store
            .lock(&identity::turn(&context.app, user), TURN)
            .await
        {
            Err(StoreError::Busy) => {
                let busy = Refusal::new(Code::Busy, "a sign-in of the person is under way");
                return Err(busy.into());
            }
            other => other?,
        };
        let anew = Account {
            memo: Memo {
                asserted: Asserted::default(),
                profile: Memo::of(&account).profile,
            }
            .text(),
            settled: false,
            updated_at: self.now,
            ..account
        };
        self.store.save_account(&anew, &self.by).await?;
        identity::ensure(context, user, self.now).await?;
        let done = self.store.account(&context.app, user.id).await?;
        let done = done.ok_or(OrderError::Changed)?;
        // An account that works serves a sign-in all the same: here that would be no answer.
        if Memo::of(&done).asserted != Asserted::of(user) {
            let why = "the account could not be brought up to date: the log says why";
            return Err(Refusal::new(Code::AppBadAnswer, why).into());
        }
        Ok(done)
    }
}

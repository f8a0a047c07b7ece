//! Ensure account → ensure membership → open the app's session; each step recorded before the next.

use super::memo::Asserted;
use super::seats::{self, Desk, SeatError};
use super::{Called, Context, Memo, Ready, refusal};
use crate::apps::{AppError, AppSession, Ensured, Profile, RemoteAccount, SignIn, WantedAccount};
use crate::error::{Code, Refusal};
use crate::jobs::wish;
use crate::store::{
    Account, AccountState, DeactivatedFor, DeactivationStage, Priority, StoreError, User,
};
use crate::telemetry::metrics::{AccountOutcome, LoginOutcome};
use crate::types::{SecretText, Timestamp};

fn store_refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Changed => Code::SessionRace.into(),
        other => Refusal::new(Code::StoreUnavailable, other.to_string()),
    }
}

/// Makes sure that a person's account exists, is theirs, up to date and settled.
///
/// # Errors
/// A conflict, a missing seat, a full team, an app that does not answer: each its own refusal, and
/// each recorded in the account for the operator.
pub async fn ensure(context: &Context, user: &User, now: Timestamp) -> Result<Ready, Refusal> {
    ensured(context, user, None, now).await
}

/// The same, of an account that was just looked at: what somebody changed of it in the app is put
/// right as well.
///
/// # Errors
/// As [`ensure`].
pub async fn ensure_seen(
    context: &Context,
    user: &User,
    seen: &RemoteAccount,
    now: Timestamp,
) -> Result<Ready, Refusal> {
    ensured(context, user, Some(seen), now).await
}

async fn ensured(
    context: &Context,
    user: &User,
    seen: Option<&RemoteAccount>,
    now: Timestamp,
) -> Result<Ready, Refusal> {
    match attempt(context, user, seen, now).await {
        // The account we knew was deleted in the app: forget its id and make a new one, once.
        Err(Failure::Gone(account)) => {
            tracing::warn!(app = %context.app, user = %user.id, "the account is gone from the app: making a new one");
            let forgotten = Account {
                state: AccountState::Intent,
                remote: None,
                settled: false,
                ..account
            };
            context
                .store
                .save_account(&forgotten, &context.witness.clone().by())
                .await
                .map_err(store_refusal)?;
            attempt(context, user, None, now)
                .await
                .map_err(|f| f.refusal())
        }
        other => other.map_err(|f| f.refusal()),
    }
}

enum Failure {
    Refused(Refusal),
    Gone(Account),
}

impl Failure {
    fn refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Gone(_) => refusal(AppError::Gone),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn attempt(
    context: &Context,
    user: &User,
    seen: Option<&RemoteAccount>,
    now: Timestamp,
) -> Result<Ready, Failure> {
    let before = context
        .store
        .account(&context.app, user.id)
        .await
        .map_err(store_refusal)?;
    let earlier_try = before
        .as_ref()
        .is_some_and(|a| a.state == AccountState::Intent);
    let mut account = match before {
        Some(account) => account,
        None => {
            let begun = context
                .store
                .begin_account(&context.app, user.id, now)
                .await;
            begun.map_err(store_refusal)?
        }
    };
    if account.deactivated.is_some() {
        account = returned(context, user, account, now).await?;
    }
    let password = context.root.password(
        &context.app,
        &user.issuer,
        &user.subject,
        u32::try_from(account.password_version).unwrap_or(u32::MAX),
    );
    let called = Called::of(user, &account);
    let known = account.state == AccountState::Linked && account.remote.is_some();
    let strays = |seen| !called.strays(&*context.provisioner, seen).is_empty();
    if !known || !called.is_told() || seen.is_some_and(strays) {
        let asserted = Asserted::of(user);
        let ensured = match (&account.remote, known) {
            (Some(remote), true) => {
                let wanted = called.wanted();
                context.connector.update_account(remote, wanted).await
            }
            _ => {
                let wanted = wanted(context, user, &account, &password, earlier_try);
                context.connector.ensure_account(&wanted).await
            }
        };
        account = match ensured {
            Ok(ensured) => record(context, account, ensured, asserted, known).await?,
            Err(AppError::Gone) if known => return Err(Failure::Gone(account)),
            // An account that works is not refused because a name could not be brought up to date.
            Err(error) if known && !matches!(error, AppError::Deactivated) => {
                tracing::warn!(app = %context.app, user = %user.id, %error, "the account could not be brought up to date");
                account
            }
            Err(error) => {
                note(context, account, &error).await;
                return Err(refusal(error).into());
            }
        };
    }
    let Some(remote) = account.remote.clone() else {
        return Err(Refusal::new(Code::Internal, "an account without a remote id").into());
    };
    if !account.settled {
        if let Err(error) = context.connector.ensure_memberships(&remote).await {
            if matches!(error, AppError::Gone) {
                return Err(Failure::Gone(account));
            }
            note(context, account, &error).await;
            return Err(refusal(error).into());
        }
        account.settled = true;
        account.detail = String::new();
        account = context
            .store
            .save_account(&account, &context.witness.clone().by())
            .await
            .map_err(store_refusal)?;
        if context.mapped {
            wish(
                context,
                user,
                "their first sign-in: memberships by the directory's groups",
                now,
            )
            .await;
        }
    }
    let profile = Memo::of(&account).profile;
    Ok(Ready {
        account: account.id,
        remote,
        password,
        profile,
    })
}

/// Somebody whose seat was reclaimed, or is about to be, is at work again: it is theirs, if one is free.
/// Who is deactivated because a directory says so is not: only its word brings them back.
async fn returned(
    context: &Context,
    user: &User,
    account: Account,
    now: Timestamp,
) -> Result<Account, Refusal> {
    let Some(known) = account.deactivated else {
        return Ok(account);
    };
    if known.why != DeactivatedFor::Idle {
        return match known.stage {
            DeactivationStage::Planned => Ok(account),
            DeactivationStage::Asked | DeactivationStage::Done(_) => {
                // They were let in: perhaps the word that takes it back is only just known.
                wish(context, user, "they came to a deactivated account", now).await;
                Err(refusal(AppError::Deactivated))
            }
        };
    }
    let desk = Desk {
        store: &*context.store,
        app: &context.app,
        provisioner: &*context.provisioner,
        witness: context.witness.clone(),
    };
    match seats::restore(&desk, account.user).await {
        Ok(account) => Ok(account),
        Err(SeatError::App(error)) => {
            note(context, account, &error).await;
            Err(refusal(error))
        }
        Err(SeatError::Store(error)) => Err(store_refusal(error)),
        Err(_) => Err(refusal(AppError::Deactivated)),
    }
}

/// Has the account looked at again, beside the sign-in. The sweep does so too, in its time.
async fn wish(context: &Context, user: &User, why: &str, now: Timestamp) {
    let wish = wish::converge(&context.app, user.id, Priority::Grant, now, why);
    if let Err(error) = context.store.enqueue(&[wish], now).await {
        tracing::warn!(app = %context.app, user = %user.id, %error, "no job could be put on record");
    }
}

/// Writes down what came of ensuring.
async fn record(
    context: &Context,
    mut account: Account,
    ensured: Ensured,
    asserted: Asserted,
    known: bool,
) -> Result<Account, Refusal> {
    let made = matches!(ensured, Ensured::Theirs { created: true, .. });
    let by = context.witness.clone().made_account(made).by();
    match ensured {
        Ensured::Theirs {
            remote,
            profile,
            created,
        } => {
            tracing::info!(app = %context.app, user = %account.user, remote = %remote, created, "account ready");
            context.metrics.account(match (known, created) {
                (true, _) => AccountOutcome::Updated,
                (false, true) => AccountOutcome::Created,
                (false, false) => AccountOutcome::Linked,
            });
            account.state = AccountState::Linked;
            account.remote = Some(remote);
            account.username = Some(profile.username.clone());
            account.memo = Memo { asserted, profile }.text();
            account.detail = String::new();
        }
        Ensured::Conflict { why, .. } if known => {
            // They keep the account they have; only the new name or address is not to be had.
            tracing::warn!(app = %context.app, user = %account.user, why, "the account could not take its new name or address");
            account.detail = why;
            let memo = Memo {
                asserted,
                profile: Memo::of(&account).profile,
            };
            account.memo = memo.text();
        }
        Ensured::Conflict { remote, why } => {
            context.metrics.account(AccountOutcome::Conflict);
            account.state = AccountState::Conflict;
            account.detail = match remote {
                Some(remote) => format!("{why} (account {remote})"),
                None => why,
            };
            let detail = account.detail.clone();
            context
                .store
                .save_account(&account, &by)
                .await
                .map_err(store_refusal)?;
            return Err(Refusal::new(Code::AccountConflict, detail));
        }
    }
    match context.store.save_account(&account, &by).await {
        Err(StoreError::Taken(_)) => Err(Refusal::new(
            Code::AccountConflict,
            "the account is linked to another person already",
        )),
        other => other.map_err(store_refusal),
    }
}

/// Writes down why a step failed; that it could not be written must not hide the failure itself.
async fn note(context: &Context, mut account: Account, error: &AppError) {
    context.metrics.account(match error {
        AppError::NoSeat(_) | AppError::TeamFull(_) => AccountOutcome::NoSeat,
        AppError::Deactivated => AccountOutcome::Disabled,
        AppError::NotOurs(_) => AccountOutcome::Conflict,
        other if other.is_transient() => AccountOutcome::Failed,
        _ => AccountOutcome::Refused,
    });
    account.detail = error.to_string();
    let by = context.witness.clone().by();
    if let Err(error) = context.store.save_account(&account, &by).await {
        tracing::warn!(app = %context.app, %error, "the failed step could not be recorded");
    }
}

fn wanted(
    context: &Context,
    user: &User,
    account: &Account,
    password: &SecretText,
    earlier_try: bool,
) -> WantedAccount {
    WantedAccount {
        remote: account
            .remote
            .clone()
            .filter(|_| account.state == AccountState::Linked),
        earlier_try,
        preferred_username: user.username.clone(),
        name: user.name.clone(),
        email: user.email.clone(),
        email_verified: user.email_verified,
        locale: user.locale.clone(),
        fallback_email: format!("{}@{}.invalid", user.id, context.host),
        password: password.clone(),
        // An operator's `accounts link` puts the id into a record that is not linked yet.
        adopt: account
            .remote
            .clone()
            .filter(|_| account.state != AccountState::Linked),
    }
}

/// Brings an account up to date; `None` when nothing had changed.
///
/// # Errors
/// As `ensure`.
pub async fn update(
    context: &Context,
    user: &User,
    now: Timestamp,
) -> Result<Option<Profile>, Refusal> {
    let account = context
        .store
        .account(&context.app, user.id)
        .await
        .map_err(store_refusal)?;
    let current = account.is_some_and(|a| Memo::of(&a).asserted == Asserted::of(user));
    if current {
        return Ok(None);
    }
    ensure(context, user, now)
        .await
        .map(|ready| Some(ready.profile))
}

/// Opens the app's session with the derived password; on a masked 401 sets it once and tries once
/// more, then stops: ten failures lock the account.
///
/// # Errors
/// What the app answers.
pub async fn open_session(
    context: &Context,
    ready: &Ready,
    sign_in: &SignIn<'_>,
) -> Result<AppSession, Refusal> {
    let _in_flight = context.metrics.login_in_flight();
    let opened = with_one_reset(context, ready, sign_in).await;
    context.metrics.login(match &opened {
        Ok(_) => LoginOutcome::Ok,
        Err(AppError::Timeout(_) | AppError::RateLimited(_)) => LoginOutcome::Busy,
        Err(error) if error.is_transient() => LoginOutcome::Failed,
        Err(_) => LoginOutcome::Refused,
    });
    opened.map_err(refusal)
}

async fn with_one_reset(
    context: &Context,
    ready: &Ready,
    sign_in: &SignIn<'_>,
) -> Result<AppSession, AppError> {
    match context.strategy.sign_in(sign_in).await {
        Err(AppError::WrongPassword | AppError::Locked) => {
            tracing::warn!(app = %context.app, remote = %ready.remote, "the derived password is not accepted: setting it once");
            let reset = context
                .connector
                .reset_password(&ready.remote, &ready.password)
                .await;
            reset?;
            context.strategy.sign_in(sign_in).await
        }
        other => other,
    }
}

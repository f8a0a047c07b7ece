//! They are there: the account as a sign-in would make it, and their memberships. An account that is
//! deactivated comes back only if its deactivation was the bridge's doing.

use super::absent::{self, linked, mark};
use super::{Failure, Ground, InGroup, Outcome, later, memberships};
use crate::apps::{AppError, RemoteAccount};
use crate::audit::Kind;
use crate::config::ProvisionWhen;
use crate::identity;
use crate::jobs::wish;
use crate::store::{Account, AccountFilter, AccountState, DeactivatedFor, SessionFilter, User};
use crate::types::{RemoteId, Timestamp};

pub(super) async fn run(
    ground: &Ground,
    user: &User,
    account: Option<Account>,
    groups: &[InGroup],
    now: Timestamp,
) -> Result<Outcome, Failure> {
    let ahead = ground.policy.when == ProvisionWhen::OnAssignment;
    let Some((account, remote)) = linked(account) else {
        if !ahead {
            return Ok(Outcome::Done(
                "the account is made at their first sign-in".into(),
            ));
        }
        return match no_seat_ahead(ground, now).await? {
            Some(outcome) => Ok(outcome),
            None => {
                let outcome = settle(ground, user, None, groups, now).await?;
                welcome(ground, user, now).await?;
                Ok(outcome)
            }
        };
    };
    let Some(seen) = ground.context.provisioner.look(&remote).await? else {
        memberships::forget_all(ground, user).await?;
        // As a sign-in that meets it does: another is made, and never the lost one's record believed.
        let lost = Account {
            state: AccountState::Intent,
            remote: None,
            settled: false,
            deactivated: None,
            ..account
        };
        ground
            .save(lost, "the account is gone from the app", now)
            .await?;
        if !ahead {
            return Ok(Outcome::Done(
                "the account was deleted in the app: another is made at their next sign-in".into(),
            ));
        }
        return settle(ground, user, None, groups, now).await;
    };
    match stand(ground, user, account, &seen, now).await? {
        Some(outcome) => Ok(outcome),
        None => {
            // It is active by now, whatever it was.
            let seen = RemoteAccount {
                deactivated_at: None,
                ..seen
            };
            settle(ground, user, Some(&seen), groups, now).await
        }
    }
}

/// Has a letter written when this is the first of their accounts. A crash right before this loses the
/// letter, and nothing else.
async fn welcome(ground: &Ground, user: &User, now: Timestamp) -> Result<(), Failure> {
    if !ground.letters || user.email.is_empty() {
        return Ok(());
    }
    let context = &ground.context;
    let theirs = AccountFilter {
        user: Some(user.id),
        state: Some(AccountState::Linked),
        limit: 2,
        ..AccountFilter::default()
    };
    if context.store.accounts(&theirs).await?.len() == 1 {
        let wish = wish::welcome(&context.app, user.id, now);
        context.store.enqueue(&[wish], now).await?;
    }
    Ok(())
}

/// They were let in again: their account comes back, and nothing else is made or given.
pub(super) async fn restore(
    ground: &Ground,
    user: &User,
    account: Account,
    now: Timestamp,
) -> Result<Outcome, Failure> {
    let Some((account, remote)) = linked(Some(account)) else {
        return Ok(Outcome::Done("they have no account here".into()));
    };
    let Some(seen) = ground.context.provisioner.look(&remote).await? else {
        return Ok(Outcome::Done("the account is gone from the app".into()));
    };
    let stood = stand(ground, user, account, &seen, now).await?;
    Ok(stood.unwrap_or_else(|| Outcome::Done("they were let in again".into())))
}

/// The account by the code of a sign-in, with what somebody changed of it in the app, then the
/// memberships.
async fn settle(
    ground: &Ground,
    user: &User,
    seen: Option<&RemoteAccount>,
    groups: &[InGroup],
    now: Timestamp,
) -> Result<Outcome, Failure> {
    let ready = match seen {
        Some(seen) => identity::ensure_seen(&ground.context, user, seen, now).await?,
        None => identity::ensure(&ground.context, user, now).await?,
    };
    let problems = memberships::follow(ground, user, &ready.remote, groups, now).await?;
    if let Some(problem) = problems.into_iter().next() {
        let account = ground.context.store.account(&ground.context.app, user.id);
        if let Some(account) = account.await? {
            ground.note(account, &problem.to_string(), now).await?;
        }
        return Err(problem.into());
    }
    Ok(Outcome::Done(
        "account and memberships are as they should be".into(),
    ))
}

/// Accounts ahead of the first sign-in leave some seats free.
async fn no_seat_ahead(ground: &Ground, now: Timestamp) -> Result<Option<Outcome>, Failure> {
    let reserve = ground.policy.seats.reserve;
    if reserve == 0 {
        return Ok(None);
    }
    let seats = ground.context.provisioner.seats().await?;
    let free = seats.limit.map(|limit| limit.saturating_sub(seats.used));
    Ok(free.filter(|free| *free <= reserve).map(|free| {
        later(
            now,
            format!("{free} seats are free, which are kept for people who sign in (provision.seats.reserve = {reserve})"),
        )
    }))
}

/// Whether the account is, or is made, active; else what that means.
async fn stand(
    ground: &Ground,
    user: &User,
    account: Account,
    seen: &RemoteAccount,
    now: Timestamp,
) -> Result<Option<Outcome>, Failure> {
    let Some(known) = account.deactivated else {
        return Ok(seen.deactivated_at.map(|_| by_somebody_else()));
    };
    let planned = absent::is_planned(&known);
    let Some(at) = seen.deactivated_at else {
        if planned && known.why == DeactivatedFor::Idle {
            return reclaim(ground, user, account, &seen.remote, now).await;
        }
        // Active, though we deactivated it or meant to: somebody in the app took it back, or a crash
        // came before the app was asked.
        comes_back(ground, user, account, "", now).await?;
        return Ok(None);
    };
    if planned || known.done_at().is_some_and(|done| done != at) {
        mark(
            ground,
            account,
            None,
            "somebody else deactivated it since",
            now,
        )
        .await?;
        return Ok(Some(by_somebody_else()));
    }
    if known.why == DeactivatedFor::Idle {
        return Ok(Some(Outcome::Done(
            "their seat was reclaimed: they come back by signing in, or by seats restore".into(),
        )));
    }
    match ground.context.provisioner.reactivate(&seen.remote).await {
        Ok(()) => {}
        Err(error @ AppError::NoSeat(_)) => {
            let note = format!("they are back, but {error}");
            ground.note(account, &note, now).await?;
            return Ok(Some(later(now, note)));
        }
        Err(error) => return Err(error.into()),
    }
    comes_back(ground, user, account, "the directory has them again", now).await?;
    Ok(None)
}

fn by_somebody_else() -> Outcome {
    Outcome::Done("somebody deactivated the account in the app: it stays so".into())
}

/// The account is active again: so are the bots that went with it.
pub(super) async fn comes_back(
    ground: &Ground,
    user: &User,
    account: Account,
    reason: &str,
    now: Timestamp,
) -> Result<Account, Failure> {
    let mut account = account;
    while let Some(bot) = account.bots.last().cloned() {
        match ground.context.provisioner.enable_bot(&bot).await {
            Ok(()) => {
                let detail = [("bot", bot.as_str().into())];
                ground.tell(Kind::BotEnabled, user, &detail).await?;
            }
            Err(AppError::Gone | AppError::NotOurs(_)) => {}
            Err(error) => return Err(error.into()),
        }
        account.bots.pop();
        account = ground.save(account, "", now).await?;
    }
    let account = Account {
        detail: String::new(),
        ..account
    };
    mark(ground, account, None, reason, now).await
}

/// An operator wants their seat back: unless they are at work again, when its time has come.
async fn reclaim(
    ground: &Ground,
    user: &User,
    account: Account,
    remote: &RemoteId,
    now: Timestamp,
) -> Result<Option<Outcome>, Failure> {
    let live = SessionFilter {
        app: Some(ground.context.app.clone()),
        user: Some(user.id),
        live: true,
        limit: 1,
        ..SessionFilter::default()
    };
    if !ground.context.store.sessions(&live).await?.is_empty() {
        mark(ground, account, None, "", now).await?;
        return Ok(None);
    }
    let at = account.deactivated.map_or(now, |known| known.at);
    if at > now {
        return Ok(Some(Outcome::Later {
            at,
            why: "their seat is reclaimed then, unless they sign in".into(),
        }));
    }
    let why = "their seat was reclaimed";
    let done = absent::deactivate(ground, account, remote, DeactivatedFor::Idle, why, now).await?;
    Ok(Some(done))
}

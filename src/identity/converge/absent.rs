//! They are gone, or may not: first what they hold ends, then the account is deactivated. Nothing is
//! deleted: what they wrote stays, and they come back to the same account.

use super::{Failure, Ground, Outcome, memberships};
use crate::apps::{AppError, DeactivateOrder, Deactivated, OwnedBot, RemoteAccount, RemoteKind};
use crate::audit::Kind;
use crate::config::BotsPolicy;
use crate::store::{
    Account, AccountState, DeactivatedFor, Deactivation, DeactivationStage, EndReason,
    SessionFilter, User, Which,
};
use crate::types::{MembershipKind, RemoteId, Timestamp};

pub(super) async fn run(
    ground: &Ground,
    user: &User,
    account: Option<Account>,
    why: &str,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Outcome, Failure> {
    end_sessions(ground, user, now).await?;
    let Some((account, remote)) = linked(account) else {
        return Ok(Outcome::Done(format!("{why}: they have no account here")));
    };
    let Some(seen) = ground.context.provisioner.look(&remote).await? else {
        memberships::forget_all(ground, user).await?;
        return Ok(Outcome::Done("the account is gone from the app".into()));
    };
    let owned = memberships::roles_of_ours(ground, user, &remote).await?;
    if let Some(refused) = special(ground, &seen, &owned) {
        let note = format!("{why}, but the account is left as it is: {refused}");
        ground.note(account, &note, now).await?;
        return Ok(Outcome::Stuck(note));
    }
    hold_nothing(ground, user, &remote).await?;
    let withdrawn =
        |kind| kind == MembershipKind::SystemRole || ground.policy.deactivate.memberships;
    memberships::withdraw_all(ground, user, &remote, withdrawn).await?;
    let account = bots(ground, user, account, &remote, now).await?;
    if let Some(at) = seen.deactivated_at {
        return recognised(ground, account, at, now).await;
    }
    let due = due(ground, &account, since, now);
    if due > now {
        plan(ground, account, due, now).await?;
        return Ok(Outcome::Later {
            at: due,
            why: format!("{why}: the account is deactivated after the grace"),
        });
    }
    deactivate(ground, account, &remote, DeactivatedFor::Absent, why, now).await
}

/// When the grace is over. Where the directory does not say since when, it began when this was first
/// seen.
fn due(ground: &Ground, account: &Account, since: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let grace = ground.policy.deactivate.grace;
    if let Some(since) = since {
        return since + grace;
    }
    match account.deactivated {
        Some(known) if is_planned(&known) && known.why == DeactivatedFor::Absent => known.at,
        _ => now + grace,
    }
}

/// For whoever looks at the account meanwhile.
async fn plan(
    ground: &Ground,
    account: Account,
    due: Timestamp,
    now: Timestamp,
) -> Result<(), Failure> {
    let planned = Deactivation {
        why: DeactivatedFor::Absent,
        at: due,
        stage: DeactivationStage::Planned,
    };
    if account.deactivated != Some(planned) {
        mark(ground, account, Some(planned), "", now).await?;
    }
    Ok(())
}

pub(super) fn is_planned(known: &Deactivation) -> bool {
    known.stage == DeactivationStage::Planned
}

/// The account, if there is one in the app that is known to be theirs.
pub(super) fn linked(account: Option<Account>) -> Option<(Account, RemoteId)> {
    let account = account.filter(|account| account.state == AccountState::Linked)?;
    let remote = account.remote.clone()?;
    Some((account, remote))
}

/// Their sessions here; the log tells every replica, which cuts their sockets. Whoever took the word
/// in did this first: here it is only made sure.
pub(super) async fn end_sessions(
    ground: &Ground,
    user: &User,
    now: Timestamp,
) -> Result<(), Failure> {
    let context = &ground.context;
    let live = SessionFilter {
        app: Some(context.app.clone()),
        user: Some(user.id),
        live: true,
        limit: 1,
        ..SessionFilter::default()
    };
    if context.store.sessions(&live).await?.is_empty() {
        return Ok(());
    }
    let reason = if user.state.denies() {
        EndReason::UserDisabled
    } else {
        EndReason::PolicyChanged
    };
    let which = Which::User(user.id, Some(context.app.clone()));
    let by = context.witness.clone().by();
    context
        .store
        .end_sessions(&which, reason, now, now, &by)
        .await?;
    Ok(())
}

/// What stands against touching the account. An administrator's whom the bridge made one is ordinary
/// once that is taken back.
fn special(ground: &Ground, seen: &RemoteAccount, ours: &[String]) -> Option<String> {
    match seen.kind {
        RemoteKind::Person => None,
        RemoteKind::Foreign(why) => Some(why.to_owned()),
        RemoteKind::Privileged if ground.policy.deactivate.administrators => None,
        RemoteKind::Privileged if seen.roles.iter().all(|role| ours.contains(role)) => None,
        RemoteKind::Privileged => Some(
            "it has a role beyond everybody's. Take it away in the app and retry the job, or set provision.deactivate.administrators"
                .into(),
        ),
    }
}

/// Sessions that anybody opened, and access tokens, which would work again with the account.
async fn hold_nothing(ground: &Ground, user: &User, remote: &RemoteId) -> Result<(), Failure> {
    ground.context.provisioner.revoke_sessions(remote).await?;
    let revoked = ground.context.provisioner.revoke_tokens(remote).await?;
    if revoked > 0 {
        let detail = [
            ("remote", remote.as_str().into()),
            ("count", revoked.into()),
        ];
        ground
            .tell(Kind::AccountTokensRevoked, user, &detail)
            .await?;
    }
    Ok(())
}

async fn bots(
    ground: &Ground,
    user: &User,
    mut account: Account,
    remote: &RemoteId,
    now: Timestamp,
) -> Result<Account, Failure> {
    let policy = &ground.policy.deactivate.bots;
    if *policy == BotsPolicy::Leave {
        return Ok(account);
    }
    let owned = ground.context.provisioner.bots_of(remote).await?;
    if owned.is_empty() {
        return Ok(account);
    }
    let kept = ground.kept_bots().await?;
    let is_kept = |bot: &OwnedBot| bot.own || kept.contains(&bot.remote);
    for bot in owned.iter().filter(|bot| !is_kept(bot)) {
        if let BotsPolicy::HandOver(to) = policy {
            match hand_over(ground, user, bot, to).await {
                Ok(()) => continue,
                // What nobody keeps must not go on with a token that somebody who left may know.
                Err(Failure::App(AppError::Refused(why) | AppError::NotOurs(why))) => {
                    tracing::warn!(app = %ground.context.app, bot = %bot.username, why, "the bot can't be handed over: it is disabled");
                }
                Err(error) => return Err(error),
            }
        }
        if bot.enabled {
            account = disable(ground, user, account, bot, now).await?;
        }
    }
    Ok(account)
}

async fn hand_over(ground: &Ground, user: &User, bot: &OwnedBot, to: &str) -> Result<(), Failure> {
    let owner = ground.context.provisioner.find(to).await?;
    let owner = owner.ok_or_else(|| AppError::Refused(format!("there is no account {to}")))?;
    ground
        .context
        .provisioner
        .hand_over_bot(&bot.remote, &owner.remote)
        .await?;
    let detail = [
        ("bot", bot.remote.as_str().into()),
        ("to", owner.remote.as_str().into()),
    ];
    ground.tell(Kind::BotHandedOver, user, &detail).await
}

/// On record before the app is asked: else it would be nobody's to enable again.
async fn disable(
    ground: &Ground,
    user: &User,
    mut account: Account,
    bot: &OwnedBot,
    now: Timestamp,
) -> Result<Account, Failure> {
    if !account.bots.contains(&bot.remote) {
        account.bots.push(bot.remote.clone());
        account = ground.save(account, "", now).await?;
    }
    match ground.context.provisioner.disable_bot(&bot.remote).await {
        Ok(()) => {
            let detail = [("bot", bot.remote.as_str().into())];
            ground.tell(Kind::BotDisabled, user, &detail).await?;
        }
        // Gone, or one that must not be touched: neither is ours to enable.
        Err(AppError::Gone | AppError::NotOurs(_)) => {
            account.bots.retain(|id| *id != bot.remote);
            account = ground.save(account, "", now).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(account)
}

/// The account is deactivated: by us, or by somebody in the app, whose doing stays theirs.
async fn recognised(
    ground: &Ground,
    account: Account,
    at: i64,
    now: Timestamp,
) -> Result<Outcome, Failure> {
    match account.deactivated {
        Some(known) if known.stage == DeactivationStage::Done(at) => {
            // Gone for good now, whatever it was for before.
            if known.why == DeactivatedFor::Idle {
                let absent = Deactivation {
                    why: DeactivatedFor::Absent,
                    ..known
                };
                mark(ground, account, Some(absent), "", now).await?;
            }
            Ok(Outcome::Done("the account is deactivated".into()))
        }
        // An earlier try got so far and no further.
        Some(known) if known.stage == DeactivationStage::Asked => {
            let done = Deactivation {
                stage: DeactivationStage::Done(at),
                ..known
            };
            mark(ground, account, Some(done), "", now).await?;
            Ok(Outcome::Done("the account is deactivated".into()))
        }
        Some(_) => {
            mark(
                ground,
                account,
                None,
                "somebody else deactivated it since",
                now,
            )
            .await?;
            Ok(by_somebody_else())
        }
        None => Ok(by_somebody_else()),
    }
}

fn by_somebody_else() -> Outcome {
    Outcome::Done("somebody deactivated the account in the app: it stays so".into())
}

/// Deactivates the account, on record before and after.
pub(super) async fn deactivate(
    ground: &Ground,
    account: Account,
    remote: &RemoteId,
    why: DeactivatedFor,
    reason: &str,
    now: Timestamp,
) -> Result<Outcome, Failure> {
    let earlier = account
        .deactivated
        .is_some_and(|known| known.stage == DeactivationStage::Asked);
    let meant = Deactivation {
        why,
        at: now,
        stage: DeactivationStage::Asked,
    };
    let account = mark(ground, account, Some(meant), "", now).await?;
    let order = DeactivateOrder {
        privileged: ground.policy.deactivate.administrators,
        keep: ground.kept_bots().await?,
    };
    match ground.context.provisioner.deactivate(remote, &order).await {
        Ok(Deactivated::Now(at)) => {
            let done = Deactivation {
                stage: DeactivationStage::Done(at),
                ..meant
            };
            mark(ground, account, Some(done), reason, now).await?;
            Ok(Outcome::Done(format!(
                "{reason}: the account is deactivated"
            )))
        }
        Ok(Deactivated::Before(at)) => {
            // It was active when looked at: only an earlier try of ours makes it ours.
            let done = earlier.then_some(Deactivation {
                stage: DeactivationStage::Done(at),
                ..meant
            });
            mark(ground, account, done, reason, now).await?;
            Ok(Outcome::Done("the account is deactivated".into()))
        }
        Err(AppError::NotOurs(refused)) => {
            let account = mark(ground, account, None, "", now).await?;
            let note = format!("{reason}, but the account is left active: {refused}");
            ground.note(account, &note, now).await?;
            Ok(Outcome::Stuck(note))
        }
        Err(AppError::Gone) => {
            mark(ground, account, None, "", now).await?;
            Ok(Outcome::Done("the account is gone from the app".into()))
        }
        // It may have been done: the intent stays, and the next time looks.
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn mark(
    ground: &Ground,
    account: Account,
    deactivated: Option<Deactivation>,
    reason: &str,
    now: Timestamp,
) -> Result<Account, Failure> {
    let marked = Account {
        deactivated,
        ..account
    };
    ground.save(marked, reason, now).await
}

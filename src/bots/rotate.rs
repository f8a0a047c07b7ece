//! The steps, in order.

use super::hold::open;
use super::{BotError, Desk};
use crate::apps::BotAccount;
use crate::keys::random;
use crate::keys::seal::Purpose;
use crate::store::{LockGuard, StoreError, StoredBot};
use crate::types::BotName;
use std::time::Duration;

/// How long another one at work is waited for.
const TURN: Duration = Duration::from_secs(60);

/// Puts a bot that the app has on record, and gives it a token.
///
/// # Errors
/// When there is none of that user name, it may not be a service's, the name is another bot's, or a
/// step fails: then the same call goes on where it stopped.
pub async fn add(
    desk: &Desk<'_>,
    name: &BotName,
    username: &str,
    administrator: bool,
) -> Result<StoredBot, BotError> {
    let _turn = turn(desk, name, TURN).await?;
    let known = desk.store.bot(desk.app, name).await?;
    if let Some(known) = &known
        && (known.username != username || known.token_id.is_some())
    {
        return Err(BotError::Taken(name.clone(), known.username.clone()));
    }
    let found = desk.bots.find_bot(username).await?;
    let account = found.ok_or_else(|| BotError::Missing(username.to_owned()))?;
    fit(&account, administrator)?;
    // What was judged must be what gets the token: user names change hands.
    if known
        .as_ref()
        .is_some_and(|known| known.remote != account.remote)
    {
        return Err(BotError::Unfit(format!(
            "{username} is another account than it was when {name} was begun: `auth-manager bots \
             remove` it first"
        )));
    }
    let bot = match known {
        Some(known) => known,
        None => desk.store.begin_bot(&record(desk, name, &account)?).await?,
    };
    let bot = renew(desk, bot).await?;
    clear(desk, bot).await
}

/// Gives a bot another token; the former one dies `after` the new one is in the store.
///
/// # Errors
/// When a step fails. Until the new token works the former one stays in use; after that the same
/// call, or the running bridge, revokes what is left.
pub async fn rotate(
    desk: &Desk<'_>,
    name: &BotName,
    after: Duration,
) -> Result<StoredBot, BotError> {
    let _turn = turn(desk, name, TURN).await?;
    let bot = known(desk, name).await?;
    let bot = renew(desk, bot).await?;
    tokio::time::sleep(after).await;
    clear(desk, bot).await
}

/// Takes a bot off the record and revokes its tokens; the bot itself stays in the app.
///
/// # Errors
/// When a step fails; the same call goes on.
pub async fn remove(desk: &Desk<'_>, name: &BotName) -> Result<StoredBot, BotError> {
    let _turn = turn(desk, name, TURN).await?;
    let bot = known(desk, name).await?;
    // Its services end first: who calls meanwhile must not see a dead token.
    let silent = StoredBot {
        token_id: None,
        sealed: Vec::new(),
        settled: false,
        number: bot.number + 1,
        ..bot
    };
    let bot = desk.store.save_bot(&silent, desk.now).await?;
    let bot = clear(desk, bot).await?;
    desk.store.remove_bot(&bot, desk.now).await?;
    Ok(bot)
}

/// Finishes what a crash left: revokes tokens that are nobody's. Skips a bot that somebody is at
/// work on. Gives whether there was anything to do.
///
/// # Errors
/// When a step fails.
pub async fn settle(desk: &Desk<'_>, name: &BotName) -> Result<bool, BotError> {
    let _turn = match turn(desk, name, Duration::ZERO).await {
        Err(BotError::Store(StoreError::Busy)) => return Ok(false),
        other => other?,
    };
    match desk.store.bot(desk.app, name).await? {
        Some(bot) if !bot.settled => clear(desk, bot).await.map(|_| true),
        _ => Ok(false),
    }
}

async fn turn(desk: &Desk<'_>, name: &BotName, wait: Duration) -> Result<LockGuard, BotError> {
    let lock = format!("bot/{}/{name}", desk.app);
    Ok(desk.store.lock(&lock, wait).await?)
}

async fn known(desk: &Desk<'_>, name: &BotName) -> Result<StoredBot, BotError> {
    let known = desk.store.bot(desk.app, name).await?;
    known.ok_or_else(|| BotError::Unknown(name.clone()))
}

/// Which accounts a service may be.
///
/// # Errors
/// Why not this one.
pub fn fit(account: &BotAccount, administrator: bool) -> Result<(), BotError> {
    let name = &account.username;
    let why = if !account.is_bot {
        format!("{name} is a person's account: a service is never a person")
    } else if account.own {
        format!("{name} is the bridge's own bot, an administrator that can do everything")
    } else if !account.active {
        format!("{name} is disabled: enable it in the app first")
    } else if !account.ordinary && !administrator {
        format!(
            "{name} has a role beyond system_user, and so would every service that is it: take the \
             role away, or say --administrator"
        )
    } else {
        return Ok(());
    };
    Err(BotError::Unfit(why))
}

fn record(desk: &Desk<'_>, name: &BotName, account: &BotAccount) -> Result<StoredBot, BotError> {
    let [a, b, c, d, e, f] = random::bytes::<6>()?;
    let mark: String = (random::bytes::<6>()?.iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(StoredBot {
        app: desk.app.clone(),
        name: name.clone(),
        remote: account.remote.clone(),
        username: account.username.clone(),
        mark: format!("auth-manager {name} {mark}"),
        token_id: None,
        sealed: Vec::new(),
        // Random, so that a bot that is removed and added again has other numbers than before,
        // whatever the clock says: by them a replica tells its token from the former one.
        number: i64::from_be_bytes([0, 0, a, b, c, d, e, f]),
        settled: false,
        created_at: desk.now,
        rotated_at: None,
        version: 0,
    })
}

/// Steps 2 to 4.
async fn renew(desk: &Desk<'_>, bot: StoredBot) -> Result<StoredBot, BotError> {
    // Said before the app is asked, so that a token that gets lost is looked for.
    let bot = match bot.settled {
        true => {
            let unsettled = StoredBot {
                settled: false,
                ..bot
            };
            desk.store.save_bot(&unsettled, desk.now).await?
        }
        false => bot,
    };
    let issued = desk.bots.issue_token(&bot.remote, &bot.mark).await?;
    if !desk.bots.is_accepted(&issued.token, &bot.remote).await? {
        return Err(BotError::NotAccepted);
    }
    let purpose = Purpose::ServiceBot(&bot.app, &bot.name);
    let sealed = desk
        .master
        .seal(purpose, issued.token.expose().as_bytes())?;
    let renewed = StoredBot {
        token_id: Some(issued.id),
        sealed,
        number: bot.number + 1,
        rotated_at: Some(desk.now),
        ..bot
    };
    Ok(desk.store.save_bot(&renewed, desk.now).await?)
}

/// Steps 5 and 6.
async fn clear(desk: &Desk<'_>, bot: StoredBot) -> Result<StoredBot, BotError> {
    for token in desk.bots.tokens(&bot.remote).await? {
        if token.description == bot.mark && Some(&token.id) != bot.token_id.as_ref() {
            desk.bots.revoke_token(&token.id).await?;
        }
    }
    // The app may have lost the token that is in use, with its database perhaps: told, not mended.
    if let Some(token) = open(desk.master, &bot)?
        && !desk.bots.is_accepted(&token, &bot.remote).await?
    {
        tracing::error!(app = %bot.app, bot = %bot.name, "the app does not accept the token in use: rotate it");
    }
    let settled = StoredBot {
        settled: true,
        ..bot
    };
    Ok(desk.store.save_bot(&settled, desk.now).await?)
}

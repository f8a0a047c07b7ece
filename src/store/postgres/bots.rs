//! Bots that services call an app as.

use super::error::taken;
use super::revocations;
use super::row::{many, one, run};
use super::users::gone;
use crate::store::rows::{self, BOT};
use crate::store::rules::plain;
use crate::store::{Result, Revoked, StoreError, StoredBot};
use crate::types::{AppId, BotName, RemoteId, Timestamp};
use deadpool_postgres::{GenericClient, Pool};

pub(super) async fn all(db: &impl GenericClient) -> Result<Vec<StoredBot>> {
    let sql = format!("SELECT {BOT} FROM bots ORDER BY app COLLATE \"C\", name COLLATE \"C\"");
    many(db, &sql, &[], rows::bot).await
}

pub(super) async fn of_name(
    db: &impl GenericClient,
    app: &AppId,
    name: &BotName,
) -> Result<Option<StoredBot>> {
    let sql = format!("SELECT {BOT} FROM bots WHERE app = $1 AND name = $2");
    one(db, &sql, &[&app.as_str(), &name.as_str()], rows::bot).await
}

pub(super) async fn begin(pool: &Pool, bot: &StoredBot) -> Result<StoredBot> {
    let client = pool.get().await?;
    let sql = format!(
        "INSERT INTO bots (id, {BOT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1)
         ON CONFLICT (id) DO NOTHING"
    );
    let inserted = run(
        &client,
        &sql,
        &[
            &rows::bot_id(&bot.app, &bot.name),
            &bot.app.as_str(),
            &bot.name.as_str(),
            &RemoteId::as_str(&bot.remote),
            &plain(&bot.username),
            &plain(&bot.mark),
            &bot.token_id,
            &bot.sealed,
            &bot.number,
            &bot.settled,
            &bot.created_at.0,
            &bot.rotated_at.map(|at| at.0),
        ],
    )
    .await;
    match inserted {
        Ok(_) => {}
        Err(error) if taken(&error).is_some() => return Err(StoreError::Taken("bot")),
        Err(error) => return Err(error.into()),
    }
    of_name(&client, &bot.app, &bot.name)
        .await?
        .ok_or_else(gone)
}

pub(super) async fn save(
    pool: &Pool,
    channel: &str,
    bot: &StoredBot,
    now: Timestamp,
) -> Result<StoredBot> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let before = of_name(&tx, &bot.app, &bot.name).await?;
    let before = before.ok_or(StoreError::Changed)?;
    let sql = format!(
        "UPDATE bots SET token_id = $3, sealed = $4, number = $5, settled = $6, rotated_at = $7,
             version = version + 1
         WHERE id = $1 AND version = $2
         RETURNING {BOT}"
    );
    let saved = one(
        &tx,
        &sql,
        &[
            &rows::bot_id(&bot.app, &bot.name),
            &bot.version,
            &bot.token_id,
            &bot.sealed,
            &bot.number,
            &bot.settled,
            &bot.rotated_at.map(|at| at.0),
        ],
        rows::bot,
    )
    .await?
    .ok_or(StoreError::Changed)?;
    if before.number != saved.number {
        revocations::append(&tx, channel, &[Revoked::Bots], None, now).await?;
    }
    tx.commit().await?;
    Ok(saved)
}

pub(super) async fn remove(
    pool: &Pool,
    channel: &str,
    bot: &StoredBot,
    now: Timestamp,
) -> Result<()> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let sql = "DELETE FROM bots WHERE id = $1 AND version = $2";
    let id = rows::bot_id(&bot.app, &bot.name);
    if run(&tx, sql, &[&id, &bot.version]).await? == 0 {
        return Err(StoreError::Changed);
    }
    revocations::append(&tx, channel, &[Revoked::Bots], None, now).await?;
    tx.commit().await?;
    Ok(())
}

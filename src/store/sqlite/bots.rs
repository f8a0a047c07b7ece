//! Bots that services call an app as.

use super::error::is_taken;
use super::revocations;
use super::row::{many, one, run};
use crate::store::rows::{self, BOT};
use crate::store::rules::plain;
use crate::store::{Result, Revoked, StoreError, StoredBot};
use crate::types::{AppId, BotName, Timestamp};
use rusqlite::{Connection, params};

pub(super) fn all(db: &Connection) -> Result<Vec<StoredBot>> {
    let sql = format!("SELECT {BOT} FROM bots ORDER BY app, name");
    many(db, &sql, [], |row| rows::bot(row))
}

pub(super) fn of_name(db: &Connection, app: &AppId, name: &BotName) -> Result<Option<StoredBot>> {
    let sql = format!("SELECT {BOT} FROM bots WHERE app = ?1 AND name = ?2");
    one(db, &sql, [app.as_str(), name.as_str()], |row| {
        rows::bot(row)
    })
}

pub(super) fn begin(db: &Connection, bot: &StoredBot) -> Result<StoredBot> {
    let sql = format!(
        "INSERT INTO bots (id, {BOT}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 1)
         ON CONFLICT (id) DO NOTHING"
    );
    let inserted = run(
        db,
        &sql,
        params![
            rows::bot_id(&bot.app, &bot.name),
            bot.app.as_str(),
            bot.name.as_str(),
            bot.remote.as_str(),
            plain(&bot.username),
            plain(&bot.mark),
            bot.token_id,
            bot.sealed,
            bot.number,
            bot.settled,
            bot.created_at.0,
            bot.rotated_at.map(|at| at.0),
        ],
    );
    match inserted {
        Ok(_) => {}
        Err(error) if is_taken(&error) => return Err(StoreError::Taken("bot")),
        Err(error) => return Err(error.into()),
    }
    of_name(db, &bot.app, &bot.name)?
        .ok_or_else(|| StoreError::Inconsistent("a bot is gone".into()))
}

pub(super) fn save(db: &Connection, bot: &StoredBot, now: Timestamp) -> Result<StoredBot> {
    let before = of_name(db, &bot.app, &bot.name)?.ok_or(StoreError::Changed)?;
    let sql = format!(
        "UPDATE bots SET token_id = ?3, sealed = ?4, number = ?5, settled = ?6, rotated_at = ?7,
             version = version + 1
         WHERE id = ?1 AND version = ?2
         RETURNING {BOT}"
    );
    let values = params![
        rows::bot_id(&bot.app, &bot.name),
        bot.version,
        bot.token_id,
        bot.sealed,
        bot.number,
        bot.settled,
        bot.rotated_at.map(|at| at.0),
    ];
    let saved = one(db, &sql, values, |row| rows::bot(row))?.ok_or(StoreError::Changed)?;
    if before.number != saved.number {
        revocations::append(db, &Revoked::Bots, None, now)?;
    }
    Ok(saved)
}

pub(super) fn remove(db: &Connection, bot: &StoredBot, now: Timestamp) -> Result<()> {
    let sql = "DELETE FROM bots WHERE id = ?1 AND version = ?2";
    let id = rows::bot_id(&bot.app, &bot.name);
    if run(db, sql, params![id, bot.version])? == 0 {
        return Err(StoreError::Changed);
    }
    revocations::append(db, &Revoked::Bots, None, now)
}

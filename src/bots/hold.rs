//! The tokens of all managed bots, opened.

use super::BotError;
use crate::keys::master::MasterKey;
use crate::keys::seal::Purpose;
use crate::store::{Store, StoredBot};
use crate::types::{AppId, AppToken, BotName};

/// A bot's token.
#[derive(Debug, Clone)]
pub struct Held {
    /// In which app.
    pub app: AppId,
    /// Which bot.
    pub name: BotName,
    /// The token of now.
    pub token: AppToken,
    /// Raised by each rotation.
    pub number: i64,
}

/// Reads them. One that does not open is left out, with an error in the log: its service then has
/// no bot, and no other is hindered.
///
/// # Errors
/// When the store does not answer.
pub async fn held(
    store: &dyn Store,
    master: &MasterKey,
) -> Result<Vec<Held>, crate::store::StoreError> {
    let mut held = Vec::new();
    for bot in store.bots().await? {
        match open(master, &bot) {
            Ok(Some(token)) => held.push(Held {
                token,
                number: bot.number,
                app: bot.app,
                name: bot.name,
            }),
            // Made, but without a token yet.
            Ok(None) => {}
            Err(error) => {
                tracing::error!(app = %bot.app, %error, "a bot's token can't be used: rotate it");
            }
        }
    }
    Ok(held)
}

/// The token of a record, if it has one.
pub(super) fn open(master: &MasterKey, bot: &StoredBot) -> Result<Option<AppToken>, BotError> {
    if bot.sealed.is_empty() {
        return Ok(None);
    }
    let purpose = Purpose::ServiceBot(&bot.app, &bot.name);
    let opened = master
        .open(purpose, &bot.sealed)
        .map_err(|error| BotError::Open(bot.name.clone(), error))?;
    let text = String::from_utf8_lossy(&opened).into_owned();
    Ok(Some(AppToken::new(text)))
}

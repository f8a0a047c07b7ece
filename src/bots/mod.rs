//! Bots that services call an app as: given a token that is sealed in the store, and rotated. The bridge's own bot does it, with the app's API (`apps::Bots`).
//!
//! Each step can be repeated, and whatever a crash leaves behind is found again:
//!
//! 1. the bot is on record, unsettled, before it gets its first token;
//! 2. a token is made, with the record's **mark** as its description;
//! 3. it is tried: the app must accept it, and as this very bot;
//! 4. it is sealed and written, with an entry in the log that tells every replica, in one
//!    transaction;
//! 5. after a moment in which they take it, every other token of that mark is revoked in the app:
//!    the former one, and any that a crash between 2 and 4 lost;
//! 6. the record is settled. One that is not is settled by the running bridge ([`settle`]).
//!
//! One at a time for each bot, on all replicas, by a lock. Tokens of another mark, made by hand or by
//! another installation, are nobody's here and never touched.
//!
//! What does not live here: which service is which bot (configuration), and the call itself
//! (`proxy/service`).

mod hold;
mod rotate;

pub use hold::{Held, held};
pub use rotate::{add, fit, remove, rotate, settle};

use crate::apps::{AppError, Bots};
use crate::keys::master::MasterKey;
use crate::keys::random::NoRandomness;
use crate::keys::seal::{OpenError, SealError};
use crate::store::{Store, StoreError};
use crate::types::{AppId, BotName, Timestamp};
use std::time::Duration;

/// What the steps need.
pub struct Desk<'a> {
    /// The records.
    pub store: &'a dyn Store,
    /// Seals tokens.
    pub master: &'a MasterKey,
    /// Which app.
    pub app: &'a AppId,
    /// Its bots, by the bridge's own.
    pub bots: &'a dyn Bots,
    /// The time.
    pub now: Timestamp,
}

/// How long a running bridge may take to learn of a new token before the former one is revoked: it
/// reads the log four times a second.
pub const MOMENT: Duration = Duration::from_secs(3);

/// Why a bot could not be made, rotated or settled.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The store.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// The app.
    #[error("the app: {0}")]
    App(#[from] AppError),
    /// The crypto library.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The crypto library.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The sealed token.
    #[error("the token of {0} {1}")]
    Open(BotName, OpenError),
    /// The app has no account of that user name.
    #[error(
        "the app has no bot {0}. No bot may make another, so make it on the server itself: \
         `mmctl --local user create --username {0} --email {0}@example.com --password … \
         --email-verified --disable-welcome-email`, `mmctl --local user convert {0} --bot`"
    )]
    Missing(String),
    /// There is no such bot on record.
    #[error("no bot {0} is on record: `auth-manager bots add` makes it")]
    Unknown(BotName),
    /// The name is another bot's already.
    #[error("{0} is {1} already: choose another name, or `auth-manager bots remove` it first")]
    Taken(BotName, String),
    /// The account is none that a service may be.
    #[error("{0}")]
    Unfit(String),
    /// The app did not accept the token that it had just made.
    #[error("the app does not accept the token that it just made; the former one stays in use")]
    NotAccepted,
}

#[cfg(test)]
mod tests;

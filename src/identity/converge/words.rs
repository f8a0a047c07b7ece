//! What is wanted of an account: the directory's words, as far as an app is concerned. How several
//! words become one is decided elsewhere (`directory`).

use crate::store::{StoreError, User};
use crate::types::{AppId, Timestamp};
use async_trait::async_trait;

/// What should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The account.
    pub account: WantedAccount,
    /// The groups that a directory says they are in, inherited ones included. Never an assertion's.
    pub groups: Vec<InGroup>,
}

/// What should be of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedAccount {
    /// They may use the app.
    Present,
    /// They are gone, or may not.
    Absent {
        /// Why, for the operator.
        why: String,
        /// Since when a directory has said so, where it is known.
        since: Option<Timestamp>,
    },
    /// They may not, but a plan waits for a person's word about their account: kept out, it stays as it
    /// is.
    Held {
        /// Why.
        why: String,
    },
    /// No directory says anything that could be acted on.
    Leave {
        /// Why.
        why: String,
    },
}

/// A group that somebody is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InGroup {
    /// The directory's own id of it.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whether the word is fresh enough to give power over the whole app by.
    pub for_power: bool,
}

/// Who knows what is wanted.
#[async_trait]
pub trait Words: Send + Sync {
    /// What is wanted of a person's account in an app, now.
    ///
    /// # Errors
    /// When the store does not answer: then nothing is done.
    async fn wanted(&self, app: &AppId, user: &User, now: Timestamp) -> Result<Wanted, StoreError>;
}

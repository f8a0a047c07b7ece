//! What we remember of the last time we wrote to the app: what was asserted then, and what the app
//! made of it. Kept as one text in the account's record.

use crate::apps::Profile;
use crate::store::{Account, User};
use serde::{Deserialize, Serialize};

/// The text in `Account::memo`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memo {
    /// The attributes that were asserted when the app was last written to.
    pub asserted: Asserted,
    /// What the app then called them.
    pub profile: Profile,
}

/// The attributes of an assertion that an app is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asserted {
    email: String,
    name: String,
    username: Option<String>,
    locale: Option<String>,
}

impl Asserted {
    /// Those of a user.
    #[must_use]
    pub fn of(user: &User) -> Self {
        Self {
            email: user.email.clone(),
            name: user.name.clone(),
            username: user.username.clone(),
            locale: user.locale.clone(),
        }
    }
}

impl Memo {
    /// What an account's record remembers; a text that can't be read remembers nothing, and the app
    /// is then simply asked again.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        serde_json::from_str(&account.memo).unwrap_or_default()
    }

    /// As it is kept.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

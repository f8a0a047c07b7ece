//! Secrets that neither print nor stay in memory after use.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A secret text of the operator: a bot token, a password, a bearer.
pub type SecretText = SecretString;

/// The app's real session token. It is written into upstream requests by the swap station and
/// nowhere else; it has no `Display`, no `Serialize`, and prints as `[app token]`.
#[derive(Clone)]
pub struct AppToken(SecretString);

impl AppToken {
    /// Wraps a token that an app has just issued or that was just unsealed.
    #[must_use]
    pub fn new(token: String) -> Self {
        Self(token.into())
    }

    /// The token's text, for the swap, the seal and the app's own API client.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A token that the operator has written down.
impl From<SecretText> for AppToken {
    fn from(token: SecretText) -> Self {
        Self(token)
    }
}

impl fmt::Debug for AppToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[app token]")
    }
}

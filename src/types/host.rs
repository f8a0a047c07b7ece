//! Host names: what a request names and what a configuration allows.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not a host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host: {0}")]
pub struct InvalidHost(&'static str);

/// An external host name: ASCII, lower case, no port, no trailing dot.
///
/// Pomerium puts the request's host into `aud` and `iss` in the case it was sent
/// (recordings/pomerium, difference 22), so comparisons ignore ASCII case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(Box<str>);

impl HostName {
    /// Checks and lower-cases `text`, which must have no port.
    ///
    /// # Errors
    /// When the text is no DNS name or IP literal.
    pub fn new(text: &str) -> Result<Self, InvalidHost> {
        if text.is_empty() || text.len() > 253 {
            return Err(InvalidHost("must have 1 to 253 characters"));
        }
        let plain =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']');
        if !text.bytes().all(plain) {
            return Err(InvalidHost("holds a character that no host name has"));
        }
        if text.contains(':') && !text.starts_with('[') {
            return Err(InvalidHost("must not have a port"));
        }
        if text.starts_with('.') || text.ends_with('.') || text.contains("..") {
            return Err(InvalidHost("has an empty label"));
        }
        Ok(Self(text.to_ascii_lowercase().into_boxed_str()))
    }

    /// The name, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` (no port) names this host, ASCII case ignored.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }
}

impl TryFrom<String> for HostName {
    type Error = InvalidHost;
    fn try_from(text: String) -> Result<Self, InvalidHost> {
        Self::new(&text)
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> String {
        host.0.into()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostName({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_without_port() {
        assert_eq!(
            HostName::new("CHAT.Example.com").unwrap().as_str(),
            "chat.example.com"
        );
        assert!(
            HostName::new("chat.example.com")
                .unwrap()
                .matches("Chat.EXAMPLE.com")
        );
        for bad in ["", "a:443", "a..b", ".a", "a.", "a b", "a/b", "é.fr", "a_b"] {
            assert!(HostName::new(bad).is_err(), "{bad:?}");
        }
    }
}

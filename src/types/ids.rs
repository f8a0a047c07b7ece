//! Identifiers, each its own type.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Why a text is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct InvalidId {
    what: &'static str,
    why: &'static str,
}

/// Longest opaque identifier taken from outside, in bytes. Pomerium's are UUIDs; with an identity
/// provider whose ID token has a `jti`, `sid` is that text (recordings/pomerium, difference 11).
const MAX_OPAQUE: usize = 255;

fn opaque(what: &'static str, text: &str) -> Result<(), InvalidId> {
    let why = if text.is_empty() {
        "is empty"
    } else if text.len() > MAX_OPAQUE {
        "is longer than 255 bytes"
    } else if holds_control(text) {
        "holds a control character"
    } else {
        return Ok(());
    };
    Err(InvalidId { what, why })
}

/// Nearly all are ASCII, and then need no decoding.
fn holds_control(text: &str) -> bool {
    if text.is_ascii() {
        text.bytes().any(|b| b.is_ascii_control())
    } else {
        text.chars().any(char::is_control)
    }
}

fn slug(what: &'static str, text: &str) -> Result<(), InvalidId> {
    let ok = !text.is_empty()
        && text.len() <= 40
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-');
    if ok {
        Ok(())
    } else {
        Err(InvalidId {
            what,
            why: "must be 1 to 40 of a-z, 0-9 and -",
        })
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and wraps `text`.
            ///
            /// # Errors
            /// When the text is empty, too long or holds what this identifier never holds.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                $check($what, &text)?;
                Ok(Self(text.into_boxed_str()))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }
    };
}

text_id!(
    /// A configured directory, or a SCIM connection: a slug that never changes, since facts are kept
    /// under it.
    SourceId,
    "source id",
    slug
);

text_id!(
    /// A configured app, for example `chat`: a slug that never changes, since passwords derive
    /// from it and seals are bound to it.
    AppId, "app id", slug
);
text_id!(
    /// A configured source of assertions, for example `pomerium`: a slug that never changes, since
    /// it is half of every subject.
    IssuerId, "issuer id", slug
);
text_id!(
    /// A configured client of the api listener, for example `grafana`: a slug that never changes,
    /// since tokens and audit records name it.
    ClientId, "client id", slug
);
text_id!(
    /// A bot that the bridge manages in an app, for example `reports`: what the configuration calls
    /// it. Seals are bound to it.
    BotName, "bot name", slug
);
text_id!(
    /// The `sub` of an assertion: immutable, the only key that links a person (with the issuer).
    Subject, "sub", opaque
);
text_id!(
    /// The `sid` of an assertion: Pomerium's session id. Opaque, and to be compared only together
    /// with the subject (recordings/pomerium, difference 11).
    Sid, "sid", opaque
);
text_id!(
    /// The id of an account in an app (Mattermost: 26 characters).
    RemoteId, "remote id", opaque
);
text_id!(
    /// A group as the assertion names it: exact text, never a pattern.
    GroupName, "group", opaque
);
text_id!(
    /// A `kid` of a key set.
    KeyId, "kid", opaque
);

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, ordered by time (UUIDv7).
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| InvalidId { what: "id", why: "is not a UUID" })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

row_id!(
    /// A shadow user: our record of a subject. The `sub` of the bridge cookie.
    UserId
);
row_id!(
    /// A shadow user's account in one app: our record of it.
    AccountId
);

/// One of our sessions: 256 random bits, written as base64url. Not a credential (the bridge
/// cookie's signature is), but not guessable either.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 32]);

impl FromStr for SessionId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut id = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut id) {
            Ok(32) => Ok(Self(id)),
            _ => Err(InvalidId {
                what: "session id",
                why: "is not 43 characters of base64url",
            }),
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// One exchanged token: its `jti`, 128 random bits, written as base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub [u8; 16]);

impl FromStr for TokenId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut id = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut id) {
            Ok(16) => Ok(Self(id)),
            _ => Err(InvalidId {
                what: "token id",
                why: "is not 22 characters of base64url",
            }),
        }
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_ids_refuse_what_could_break_a_line() {
        assert!(Subject::new("a11ce000-0000-4000-8000-000000000001").is_ok());
        for bad in ["", "a\r\nb", "a\0b", &"x".repeat(256)] {
            assert!(Subject::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn app_ids_are_slugs() {
        assert!(AppId::new("chat-2").is_ok());
        for bad in ["", "Chat", "-a", "a/b", "a b"] {
            assert!(AppId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn session_ids_survive_their_text() {
        let id = SessionId([7; 32]);
        assert_eq!(id.to_string().parse::<SessionId>(), Ok(id));
        assert!("AAAA".parse::<SessionId>().is_err());
        let id = TokenId([7; 16]);
        assert_eq!(id.to_string().parse::<TokenId>(), Ok(id));
        assert!("AAAA".parse::<TokenId>().is_err());
    }
}

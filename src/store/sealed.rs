//! What lies sealed, whatever it is, so that a new master key can take over everything. The store
//! opens nothing: of a sealed text it knows only the beginning, which says who sealed it.

use super::{KeyKind, KeyState};
use crate::types::{AppId, BotName, KeyId, SessionId};
use serde::Serialize;

/// The beginning of a sealed text: the version of its form and the id of its master key. Two texts
/// with the same beginning are under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealHead(pub [u8; SealHead::LEN]);

impl SealHead {
    /// Its length in bytes.
    pub const LEN: usize = 9;
}

/// What kinds of record hold something sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SealedKind {
    /// A signing key.
    SigningKey,
    /// A secret by name.
    Secret,
    /// A session, live or ended but not closed in the app yet.
    Session,
    /// A bot that services call an app as.
    Bot,
}

impl SealedKind {
    /// All of them, what everything else hangs on first.
    pub const ALL: [Self; 4] = [Self::SigningKey, Self::Secret, Self::Session, Self::Bot];

    /// The word in the log, in labels and in `--json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SigningKey => "signing_key",
            Self::Secret => "secret",
            Self::Session => "session",
            Self::Bot => "bot",
        }
    }
}

/// Where something sealed belongs: what its associated data is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedAt {
    /// A signing key, what it is for, and its state.
    SigningKey(KeyKind, KeyId, KeyState),
    /// A secret, by name.
    Secret(String),
    /// A session, and its app.
    Session(SessionId, AppId),
    /// A bot, by app and name.
    Bot(AppId, BotName),
}

/// Something sealed, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it belongs.
    pub at: SealedAt,
    /// The sealed text.
    pub bytes: Vec<u8>,
}

/// A sealed text to be replaced.
#[derive(Clone)]
pub struct Resealed {
    /// What was read: it is replaced only if it still stands.
    pub read: Sealed,
    /// What takes its place.
    pub anew: Vec<u8>,
}

/// How many records of a kind are under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealCount {
    /// Which kind.
    pub kind: SealedKind,
    /// The beginning of their sealed texts; shorter than a [`SealHead`] when it is none of ours.
    pub head: Vec<u8>,
    /// How many.
    pub count: u64,
}

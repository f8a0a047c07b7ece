//! [`KeySet`]: the keys of one answer, immutable. A new answer makes a new set, so that removed
//! keys die (T8).

use super::header::MAX_KID;
use super::jwk::PublicKey;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::OnceLock;

/// Longest key set taken, in bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// Most keys taken.
const MAX_KEYS: usize = 64;

/// Why a text gives no usable keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than 1 MiB.
    #[error("the key set is longer than 1 MiB")]
    TooLong,
    /// No JSON object with `keys`.
    #[error("the key set is no JWKS")]
    NotJwks,
    /// `keys` is null or `[]`: Pomerium's signing key is missing or unreadable (recordings,
    /// difference 9).
    #[error("the key set is empty")]
    Empty,
    /// More than 64 keys.
    #[error("the key set has more than 64 keys")]
    TooMany,
    /// There are keys, but none for ES256 or RS256; the first one's reason is given.
    #[error("no key of the set can verify assertions: {0}")]
    NoneUsable(&'static str),
}

/// Parsed keys.
pub struct KeySet {
    keys: Vec<Key>,
    skipped: usize,
}

/// One key, found by its `kid`.
pub(super) struct Key {
    kid: String,
    pub(super) public: PublicKey,
    /// The encoded header of the first token that this key verified. An issuer writes the same one
    /// each time, and these bytes were signed by it, so they need no second reading.
    usual_header: OnceLock<Box<[u8]>>,
}

#[derive(Deserialize)]
struct Jwks<'a> {
    // Taken apart key by key, so that one of an unknown kind (`pomerium/hpke`, OKP X25519) does
    // not spoil the rest.
    #[serde(borrow)]
    keys: Option<Vec<&'a RawValue>>,
}

impl KeySet {
    /// Parses a JWKS (RFC 7517 §5); keys that can't verify assertions are skipped.
    ///
    /// # Errors
    /// When no key is left, or the text is no bounded JWKS.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        if json.len() > MAX_BYTES {
            return Err(KeySetError::TooLong);
        }
        let jwks: Jwks<'_> = serde_json::from_slice(json).map_err(|_| KeySetError::NotJwks)?;
        let listed = jwks.keys.unwrap_or_default();
        if listed.is_empty() {
            return Err(KeySetError::Empty);
        }
        if listed.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut set = Self {
            keys: Vec::with_capacity(listed.len()),
            skipped: 0,
        };
        let mut first_reason = None;
        for raw in listed {
            match Key::parse(raw.get(), &set) {
                Ok(key) => set.keys.push(key),
                Err(reason) => {
                    set.skipped += 1;
                    first_reason.get_or_insert(reason);
                }
            }
        }
        match first_reason {
            Some(reason) if set.keys.is_empty() => Err(KeySetError::NoneUsable(reason)),
            _ => Ok(set),
        }
    }

    /// Usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none; a parsed set always has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys of the answer that can't verify assertions.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The `kid`s, for explanations.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.kid.as_str())
    }

    pub(super) fn find(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// The key whose verified tokens had exactly this encoded header.
    pub(super) fn find_by_header(&self, encoded: &[u8]) -> Option<&Key> {
        self.keys.iter().find(|key| {
            key.usual_header
                .get()
                .is_some_and(|usual| **usual == *encoded)
        })
    }
}

impl Key {
    fn parse(json: &str, before: &KeySet) -> Result<Self, &'static str> {
        let jwk: Jwk = serde_json::from_str(json).map_err(|_| "it is no JWK of a known kind")?;
        let kid = match &jwk.common.key_id {
            Some(kid) if !kid.is_empty() && kid.len() <= MAX_KID => kid.clone(),
            _ => return Err("it has no kid"),
        };
        if before.find(&kid).is_some() {
            return Err("its kid is taken by an earlier key");
        }
        Ok(Self {
            kid,
            public: PublicKey::from_jwk(&jwk)?,
            usual_header: OnceLock::new(),
        })
    }

    /// Remembers the header of a token that this key has verified.
    pub(super) fn remember(&self, encoded: &[u8]) {
        // Whoever comes first wins; another spelling is read anew each time.
        let _ = self.usual_header.get_or_init(|| encoded.into());
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.kids()).finish()
    }
}

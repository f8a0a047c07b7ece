//! [`KeySet`]: the keys of one answer, immutable. A new answer makes a new set, so that removed
//! keys die (T8).

use super::compact::MAX_KID;
use super::jwk::PublicKey;
use jsonwebtoken::Algorithm;
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
    /// There are keys, but none of an algorithm that is taken; the first one's reason is given.
    #[error("no key of the set can be used: {0}")]
    NoneUsable(&'static str),
}

/// Parsed keys.
pub struct KeySet {
    keys: Vec<Key>,
    /// Of the answer: an RSA key may stand in `keys` once for each of its algorithms.
    usable: usize,
    skipped: usize,
}

/// One key for one algorithm, found by its `kid`.
pub struct Key {
    kid: String,
    public: PublicKey,
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
    /// Parses a JWKS (RFC 7517 §5); keys of no `accepted` algorithm are skipped.
    ///
    /// # Errors
    /// When no key is left, or the text is no bounded JWKS.
    pub fn parse(json: &[u8], accepted: &[Algorithm]) -> Result<Self, KeySetError> {
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
            usable: 0,
            skipped: 0,
        };
        let mut first_reason = None;
        for raw in listed {
            match set.read(raw.get(), accepted) {
                Ok(keys) => {
                    set.usable += 1;
                    set.keys.extend(keys);
                }
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
        self.usable
    }

    /// Whether there is none; a parsed set always has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys of the answer that can't be used.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The `kid`s, for explanations.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        let kids = self.keys.iter().map(|key| key.kid.as_str());
        kids.filter(move |kid| last.replace(*kid) != Some(*kid))
    }

    /// A key by its `kid`.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// A key by its `kid`, for this algorithm.
    #[must_use]
    pub fn find_for(&self, kid: &str, algorithm: Algorithm) -> Option<&Key> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.kid == kid && key.algorithm() == algorithm)
    }

    /// The key whose verified tokens had exactly this encoded header.
    #[must_use]
    pub fn find_by_header(&self, encoded: &[u8]) -> Option<&Key> {
        self.keys.iter().find(|key| {
            key.usual_header
                .get()
                .is_some_and(|usual| **usual == *encoded)
        })
    }
}

impl KeySet {
    fn read(&self, json: &str, accepted: &[Algorithm]) -> Result<Vec<Key>, &'static str> {
        let jwk: Jwk = serde_json::from_str(json).map_err(|_| "it is no JWK of a known kind")?;
        let kid = match &jwk.common.key_id {
            Some(kid) if !kid.is_empty() && kid.len() <= MAX_KID => kid.clone(),
            _ => return Err("it has no kid"),
        };
        if self.find(&kid).is_some() {
            return Err("its kid is taken by an earlier key");
        }
        let keys = PublicKey::from_jwk(&jwk, accepted)?;
        let key = |public| Key {
            kid: kid.clone(),
            public,
            usual_header: OnceLock::new(),
        };
        Ok(keys.into_iter().map(key).collect())
    }
}

impl Key {
    /// The one algorithm it is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm
    }

    /// Whether `signature` over `message` is of this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verifies(message, signature)
    }

    /// Remembers the header of a token that this key has verified.
    pub fn remember(&self, encoded: &[u8]) {
        // Whoever comes first wins; another spelling is read anew each time.
        let _ = self.usual_header.get_or_init(|| encoded.into());
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.kids()).finish()
    }
}

//! The ring of our own signing keys: an unchanging snapshot of what the store holds, parsed once.
//! Whoever needs it live keeps it in an `ArcSwap` and loads it anew when the revocation log says
//! `Keys`. How keys change is in [`super::rotation`].
//!
//! A key is of one [`KeyKind`] and signs nothing else: the kind fixes how it signs (`scheme`), which
//! header its tokens have (`key`), and is bound into its sealed part. Each kind has its own key that
//! signs; all kinds are published in one JWK set.
//!
//! The store is not trusted with who we are: a key counts only if its `kid` is the thumbprint of
//! its public key and its sealed part, opened under the master key for its kind, says the same.
//! Whoever can write to the store but lacks the master key can't add a key of their own, nor make
//! one serve another purpose.

mod key;
mod scheme;

pub use key::RingKey;
pub(super) use scheme::Scheme;

use super::master::MasterKey;
use super::random::NoRandomness;
use super::seal::{OpenError, RewrapError, SealError};
use crate::store::{KeyKind, KeyState, Store, StoreError, StoredKey};
use crate::types::KeyId;
use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::signature::Verifier as _;
use std::fmt;
use std::sync::Arc;

/// Why a ring can't be had or changed.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The sealed part of a key does not open.
    #[error("signing key {kid} does not open: it {source}")]
    Open {
        /// Which key.
        kid: KeyId,
        /// Why.
        source: OpenError,
    },
    /// A key is not what its record says.
    #[error("signing key {kid} is not what its record says: {why}")]
    Inconsistent {
        /// Which key.
        kid: KeyId,
        /// What does not fit.
        why: &'static str,
    },
    /// No key of a kind signs: `ensure` was never called.
    #[error("no {0} key signs; start the bridge once, or run `auth-manager keys rotate`")]
    NoSigningKey(KeyKind),
    /// There is no such key.
    #[error("there is no signing key {0}")]
    Unknown(KeyId),
    /// The key's state does not allow what was asked.
    #[error("signing key {kid} is {state}: {why}")]
    State {
        /// Which key.
        kid: KeyId,
        /// Its state.
        state: KeyState,
        /// What to do instead.
        why: &'static str,
    },
    /// The crypto library refuses.
    #[error("the crypto library could not make a signing key")]
    Crypto,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A key could not be sealed anew.
    #[error(transparent)]
    Rewrap(#[from] RewrapError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// The signing keys at one moment. Revoked keys are not in it.
pub struct Ring {
    epoch: u64,
    /// Oldest first.
    keys: Vec<RingKey>,
    jwks: Arc<str>,
}

impl Ring {
    /// Reads the ring from the store.
    ///
    /// # Errors
    /// When the store does not answer, a key does not open or is not what its record says.
    pub async fn load(store: &dyn Store, master: &MasterKey) -> Result<Self, RingError> {
        Self::new(&store.signing_keys().await?, master)
    }

    /// The ring of these records. A kind of which no key signs is no error here: what a revoked key
    /// signed must be refused at once, also before another has taken its place.
    ///
    /// # Errors
    /// As [`Ring::load`], but for the store.
    pub fn new(stored: &[StoredKey], master: &MasterKey) -> Result<Self, RingError> {
        let keys = stored
            .iter()
            .filter(|key| key.state != KeyState::Revoked)
            .map(|key| RingKey::open(key, master))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            epoch: epoch(stored),
            jwks: jwks(keys.iter()).into(),
            keys,
        })
    }

    /// Changes whenever the keys or their states change, and is the same on every replica: a
    /// cached signature result is good only under the epoch it was made in (T17).
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The key that signs what keys of this kind sign.
    ///
    /// # Errors
    /// When none does ([`super::rotation::ensure`] makes the first).
    pub fn signing(&self, kind: KeyKind) -> Result<&RingKey, RingError> {
        // Two keys can be `signing` when a promotion was cut short: the newer one signs.
        self.of(kind)
            .filter(|key| key.state() == KeyState::Signing)
            .max_by_key(|key| key.state_since())
            .ok_or(RingError::NoSigningKey(kind))
    }

    /// Signs with the current key of a kind; `bytes` must begin with that key's header.
    ///
    /// # Errors
    /// When no key of the kind signs, or the crypto library refuses.
    pub fn sign(&self, kind: KeyKind, bytes: &[u8]) -> Result<Vec<u8>, RingError> {
        self.signing(kind)?.sign(bytes)
    }

    /// The key of this kind whose header this is, byte for byte.
    pub(super) fn key_by_header(&self, kind: KeyKind, header: &str) -> Option<&RingKey> {
        self.of(kind).find(|key| key.header() == header)
    }

    /// A key that verifies: announced (another replica may sign with it already), signing or
    /// retired; never a revoked one.
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id().as_str() == kid)
    }

    /// Whether `signature` over `bytes` is of the key `kid`, which must be in the ring and of this
    /// kind.
    #[must_use]
    pub fn verify(&self, kind: KeyKind, kid: &str, bytes: &[u8], signature: &[u8]) -> bool {
        self.key(kid)
            .filter(|key| key.kind() == kind)
            .is_some_and(|key| key.verifier().verify(bytes, &signature.to_vec()).is_ok())
    }

    /// The keys, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The keys of a kind, oldest first.
    pub fn of(&self, kind: KeyKind) -> impl Iterator<Item = &RingKey> {
        self.keys.iter().filter(move |key| key.kind() == kind)
    }

    /// Our public keys of every kind as a JWK set (RFC 7517, RFC 8037), announced ones included.
    #[must_use]
    pub fn jwks(&self) -> Arc<str> {
        Arc::clone(&self.jwks)
    }

    /// Those of one kind.
    #[must_use]
    pub fn jwks_of(&self, kind: KeyKind) -> String {
        jwks(self.of(kind))
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(RingKey::id).collect();
        f.debug_struct("Ring")
            .field("epoch", &self.epoch)
            .field("keys", &ids)
            .finish()
    }
}

fn jwks<'a>(keys: impl Iterator<Item = &'a RingKey>) -> String {
    let keys: Vec<_> = keys.map(RingKey::jwk).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The first 8 bytes of a hash over every key and its state.
fn epoch(stored: &[StoredKey]) -> u64 {
    let mut text = Vec::new();
    for key in stored {
        super::push_part(&mut text, key.id.as_str().as_bytes());
        super::push_part(&mut text, key.kind.as_str().as_bytes());
        super::push_part(&mut text, key.state.as_str().as_bytes());
    }
    let hash = digest(&SHA256, &text);
    hash.as_ref()
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests;

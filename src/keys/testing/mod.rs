//! Keys for the tests of this folder.

mod scim;
mod store;

pub(in crate::keys) use store::KeyStore;

use crate::keys::master::MasterKey;
use crate::keys::random;
use crate::keys::ring::{Ring, Scheme};
use crate::keys::seal::Purpose;
use crate::store::{By, Change, Draft, KeyKind, KeyState, Scribe, StoredKey};
use crate::types::{KeyId, Timestamp};

/// Writes no record.
struct Nobody;

impl Scribe for Nobody {
    fn records(&self, _: &Change<'_>) -> Vec<Draft> {
        Vec::new()
    }
}

/// Whom the tests of this folder change keys by: their store keeps no audit trail.
pub(in crate::keys) fn nobody() -> By {
    std::sync::Arc::new(Nobody)
}

pub(in crate::keys) fn master() -> MasterKey {
    MasterKey::from_bytes(&random::bytes::<32>().unwrap()).unwrap()
}

/// A key of some kind, not yet in some state.
pub(in crate::keys) struct Pair {
    kind: KeyKind,
    id: KeyId,
    public: Vec<u8>,
    /// The private half, to sign what the ring never would.
    pub(in crate::keys) pkcs8: Vec<u8>,
}

impl Pair {
    pub(in crate::keys) fn new(kind: KeyKind) -> Self {
        let scheme = Scheme::of(kind);
        let (pkcs8, public) = scheme.generate().unwrap();
        Self {
            kind,
            id: KeyId::new(scheme.thumbprint(&public).unwrap()).unwrap(),
            public,
            pkcs8: pkcs8.as_ref().to_vec(),
        }
    }

    /// As it lies in the store.
    pub(in crate::keys) fn stored(
        &self,
        master: &MasterKey,
        state: KeyState,
        since: i64,
    ) -> StoredKey {
        let sealed = match state {
            KeyState::Announced | KeyState::Signing => {
                master.seal(Purpose::SigningKey(self.kind, &self.id), &self.pkcs8)
            }
            KeyState::Retired => {
                master.seal(Purpose::RetiredKey(self.kind, &self.id), &self.public)
            }
            KeyState::Revoked => Ok(Vec::new()),
        };
        StoredKey {
            id: self.id.clone(),
            kind: self.kind,
            state,
            sealed: sealed.unwrap(),
            public: self.public.clone(),
            created_at: Timestamp(since),
            state_since: Timestamp(since),
        }
    }

    /// A ring in which it signs.
    pub(in crate::keys) fn signing(&self, master: &MasterKey) -> Ring {
        Ring::new(&[self.stored(master, KeyState::Signing, 1)], master).unwrap()
    }
}

/// A new key as it lies in the store.
pub(in crate::keys) fn stored(
    master: &MasterKey,
    kind: KeyKind,
    state: KeyState,
    since: i64,
) -> StoredKey {
    Pair::new(kind).stored(master, state, since)
}

/// A ring of new keys.
pub(in crate::keys) fn ring_of(master: &MasterKey, keys: &[(KeyKind, KeyState)]) -> Ring {
    let keys: Vec<_> = (1..)
        .zip(keys)
        .map(|(since, (kind, state))| stored(master, *kind, *state, since))
        .collect();
    Ring::new(&keys, master).unwrap()
}

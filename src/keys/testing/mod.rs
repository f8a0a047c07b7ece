//! Keys for the tests of this folder.

mod store;

pub(in crate::keys) use store::KeyStore;

use crate::keys::master::MasterKey;
use crate::keys::random;
use crate::keys::ring::{Ring, thumbprint};
use crate::keys::seal::Purpose;
use crate::store::{By, Change, Draft, KeyState, Scribe, StoredKey};
use crate::types::{KeyId, Timestamp};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

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

/// A stored key in some state, and its pair.
pub(in crate::keys) fn stored(
    master: &MasterKey,
    state: KeyState,
    since: i64,
) -> (StoredKey, Ed25519KeyPair) {
    let pair = Ed25519KeyPair::generate().unwrap();
    (record(master, &pair, state, since), pair)
}

/// A ring in which that pair signs.
pub(in crate::keys) fn signed_by(master: &MasterKey, key: &(StoredKey, Ed25519KeyPair)) -> Ring {
    Ring::new(&[record(master, &key.1, KeyState::Signing, 1)], master).unwrap()
}

/// A ring of new keys.
pub(in crate::keys) fn ring_of(master: &MasterKey, states: &[KeyState]) -> Ring {
    let keys: Vec<_> = (1..)
        .zip(states)
        .map(|(since, state)| stored(master, *state, since).0)
        .collect();
    Ring::new(&keys, master).unwrap()
}

fn record(master: &MasterKey, pair: &Ed25519KeyPair, state: KeyState, since: i64) -> StoredKey {
    let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    let id = KeyId::new(thumbprint(&public)).unwrap();
    let sealed = match state {
        KeyState::Announced | KeyState::Signing => {
            master.seal(Purpose::SigningKey(&id), pair.to_pkcs8().unwrap().as_ref())
        }
        KeyState::Retired => master.seal(Purpose::RetiredKey(&id), &public),
        KeyState::Revoked => Ok(Vec::new()),
    };
    StoredKey {
        id,
        state,
        sealed: sealed.unwrap(),
        public: public.to_vec(),
        created_at: Timestamp(since),
        state_since: Timestamp(since),
    }
}

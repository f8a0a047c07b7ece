//! How signing keys change in the store: announce → sign → retire → revoke. Each change is made
//! under the store's lock, so that replicas take turns, and makes every replica read the ring anew.
//!
//! A key is announced before it signs so that every replica, and whoever reads our JWKS, knows it
//! when the first signature arrives. Changes are ordered so that a crash between two writes leaves
//! a ring that works.

use super::master::MasterKey;
use super::ring::{self, Ring, RingError, thumbprint};
use super::seal::Purpose;
use crate::store::{By, KeyState, Store, StoredKey};
use crate::types::{KeyId, Timestamp};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use std::time::Duration;

/// What `keys rotate` does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// No key is announced: announce one.
    Announce,
    /// A key is announced, but not everyone may know it yet.
    Wait {
        /// Which key.
        kid: KeyId,
        /// When it may sign.
        until: Timestamp,
    },
    /// The announced key may sign.
    Promote(KeyId),
}

impl Ring {
    /// The next step of a rotation: a key is announced for at least `announce_for` before it signs.
    #[must_use]
    pub fn rotation(&self, now: Timestamp, announce_for: Duration) -> Rotation {
        let announced = self
            .keys()
            .iter()
            .find(|key| key.state() == KeyState::Announced);
        match announced {
            None => Rotation::Announce,
            Some(key) if key.state_since() + announce_for <= now => {
                Rotation::Promote(key.id().clone())
            }
            Some(key) => Rotation::Wait {
                kid: key.id().clone(),
                until: key.state_since() + announce_for,
            },
        }
    }

    /// Retired keys whose last signature is older than `longest` (the longest life of what they
    /// signed): they may be revoked, since they verify nothing that could still be valid.
    pub fn outlived(&self, now: Timestamp, longest: Duration) -> impl Iterator<Item = &KeyId> {
        self.keys()
            .iter()
            .filter(move |key| {
                key.state() == KeyState::Retired && key.state_since() + longest < now
            })
            .map(|key| key.id())
    }
}

/// The ring, with a first key when the store has none that signs. Replicas that start at once
/// make one key between them.
///
/// # Errors
/// As [`Ring::load`].
pub async fn ensure(
    store: &dyn Store,
    master: &MasterKey,
    now: Timestamp,
    by: &By,
) -> Result<Ring, RingError> {
    match Ring::load(store, master).await {
        Err(RingError::NoSigningKey) => {}
        other => return other,
    }
    let _turn = store.lock(LOCK, WAIT).await?;
    ensure_signing(store, master, now, by).await?;
    Ring::load(store, master).await
}

/// Announces a new key; gives its id.
///
/// # Errors
/// When the store does not answer or the key can't be made.
pub async fn announce(
    store: &dyn Store,
    master: &MasterKey,
    now: Timestamp,
    by: &By,
) -> Result<KeyId, RingError> {
    let _turn = store.lock(LOCK, WAIT).await?;
    add(store, master, KeyState::Announced, now, by).await
}

/// Lets an announced key sign and retires the one that signed.
///
/// # Errors
/// When there is no such key, or it is not announced.
pub async fn promote(
    store: &dyn Store,
    master: &MasterKey,
    kid: &KeyId,
    now: Timestamp,
    by: &By,
) -> Result<(), RingError> {
    let _turn = store.lock(LOCK, WAIT).await?;
    let keys = store.signing_keys().await?;
    let key = find(&keys, kid)?;
    if key.state != KeyState::Announced {
        return Err(wrong_state(key, "only an announced key can be promoted"));
    }
    // The new one first: two that sign are fine for a moment, none is not.
    put(store, key, KeyState::Signing, key.sealed.clone(), now, by).await?;
    for former in keys.iter().filter(|key| key.state == KeyState::Signing) {
        retire_stored(store, master, former, now, by).await?;
    }
    Ok(())
}

/// Retires an announced key: it will never sign. The key that signs is retired by promoting
/// another.
///
/// # Errors
/// When there is no such key, or it signs, or it is past retiring.
pub async fn retire(
    store: &dyn Store,
    master: &MasterKey,
    kid: &KeyId,
    now: Timestamp,
    by: &By,
) -> Result<(), RingError> {
    let _turn = store.lock(LOCK, WAIT).await?;
    let keys = store.signing_keys().await?;
    let key = find(&keys, kid)?;
    match key.state {
        KeyState::Announced => retire_stored(store, master, key, now, by).await,
        KeyState::Signing => Err(wrong_state(
            key,
            "promote another key, that retires this one",
        )),
        KeyState::Retired => Ok(()),
        KeyState::Revoked => Err(wrong_state(key, "it verifies nothing any more")),
    }
}

/// Revokes a key, whatever its state: everything it signed is refused from now on, and its private
/// half is forgotten. If it was the one that signs, an announced key (else a new one) takes over at
/// once. Every visitor whose cookie it signed gets a new one on the next page.
///
/// # Errors
/// When there is no such key, or the store does not answer.
pub async fn revoke(
    store: &dyn Store,
    master: &MasterKey,
    kid: &KeyId,
    now: Timestamp,
    by: &By,
) -> Result<(), RingError> {
    let _turn = store.lock(LOCK, WAIT).await?;
    let keys = store.signing_keys().await?;
    let key = find(&keys, kid)?;
    if key.state != KeyState::Revoked {
        // Revoked before replaced: after a crash in between, the next start makes a new key.
        put(store, key, KeyState::Revoked, Vec::new(), now, by).await?;
    }
    ensure_signing(store, master, now, by).await
}

/// Seals anew, under the current master key, what a former one sealed. Gives how many keys.
///
/// # Errors
/// When a key does not open.
pub async fn rewrap(
    store: &dyn Store,
    master: &MasterKey,
    now: Timestamp,
    by: &By,
) -> Result<usize, RingError> {
    let _turn = store.lock(LOCK, WAIT).await?;
    let mut count = 0;
    for key in store.signing_keys().await? {
        let purpose = match key.state {
            KeyState::Announced | KeyState::Signing => Purpose::SigningKey(&key.id),
            KeyState::Retired => Purpose::RetiredKey(&key.id),
            KeyState::Revoked => continue,
        };
        if let Some(sealed) = master.rewrap(purpose, &key.sealed)? {
            let anew = StoredKey {
                sealed,
                ..key.clone()
            };
            store.put_signing_key(&anew, now, by).await?;
            count += 1;
        }
    }
    Ok(count)
}

/// Under the lock: makes sure that one key signs.
async fn ensure_signing(
    store: &dyn Store,
    master: &MasterKey,
    now: Timestamp,
    by: &By,
) -> Result<(), RingError> {
    let keys = store.signing_keys().await?;
    let in_state = |state| keys.iter().find(move |key| key.state == state);
    if in_state(KeyState::Signing).is_some() {
        return Ok(());
    }
    if let Some(key) = in_state(KeyState::Announced) {
        return put(store, key, KeyState::Signing, key.sealed.clone(), now, by).await;
    }
    add(store, master, KeyState::Signing, now, by)
        .await
        .map(drop)
}

async fn add(
    store: &dyn Store,
    master: &MasterKey,
    state: KeyState,
    now: Timestamp,
    by: &By,
) -> Result<KeyId, RingError> {
    let key = generate(master, state, now)?;
    store.put_signing_key(&key, now, by).await?;
    Ok(key.id)
}

fn generate(master: &MasterKey, state: KeyState, now: Timestamp) -> Result<StoredKey, RingError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| RingError::Crypto)?;
    let pkcs8 = pair.to_pkcs8().map_err(|_| RingError::Crypto)?;
    let public: [u8; 32] = pair
        .public_key()
        .as_ref()
        .try_into()
        .map_err(|_| RingError::Crypto)?;
    let id = KeyId::new(thumbprint(&public)).map_err(|_| RingError::Crypto)?;
    let sealed = master.seal(Purpose::SigningKey(&id), pkcs8.as_ref())?;
    Ok(StoredKey {
        id,
        state,
        sealed,
        public: public.to_vec(),
        created_at: now,
        state_since: now,
    })
}

/// A retired key keeps only the proof that it was ours, and gets it only if it is: a record that
/// somebody planted must not be vouched for.
async fn retire_stored(
    store: &dyn Store,
    master: &MasterKey,
    key: &StoredKey,
    now: Timestamp,
    by: &By,
) -> Result<(), RingError> {
    ring::open(key, master)?;
    let sealed = master.seal(Purpose::RetiredKey(&key.id), &key.public)?;
    put(store, key, KeyState::Retired, sealed, now, by).await
}

async fn put(
    store: &dyn Store,
    key: &StoredKey,
    state: KeyState,
    sealed: Vec<u8>,
    now: Timestamp,
    by: &By,
) -> Result<(), RingError> {
    let changed = StoredKey {
        state,
        sealed,
        state_since: now,
        ..key.clone()
    };
    Ok(store.put_signing_key(&changed, now, by).await?)
}

fn find<'a>(keys: &'a [StoredKey], kid: &KeyId) -> Result<&'a StoredKey, RingError> {
    keys.iter()
        .find(|key| key.id == *kid)
        .ok_or_else(|| RingError::Unknown(kid.clone()))
}

fn wrong_state(key: &StoredKey, why: &'static str) -> RingError {
    RingError::State {
        kid: key.id.clone(),
        state: key.state,
        why,
    }
}

/// The name of the store's lock.
const LOCK: &str = "signing-keys";

/// How long to wait for another replica's turn.
const WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::{KeyStore, master, nobody};

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn replicas_that_start_at_once_make_one_key() {
        let (store, master) = (KeyStore::default(), master());
        let by = nobody();
        let start = || ensure(&store, &master, Timestamp(1), &by);
        let (a, b, c) = tokio::join!(start(), start(), start());
        let a = a.unwrap();
        assert_eq!(a.epoch(), b.unwrap().epoch());
        assert_eq!(a.epoch(), c.unwrap().epoch());
        assert_eq!(store.keys.lock().len(), 1);
    }

    #[tokio::test]
    async fn a_rotation_announces_waits_and_promotes() {
        let (store, master) = (KeyStore::default(), master());
        let ring = ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        let old = ring.signing().id().clone();
        let signature = ring.sign(b"x").unwrap();
        assert_eq!(ring.rotation(Timestamp(10), HOUR), Rotation::Announce);

        let new = announce(&store, &master, Timestamp(10), &nobody())
            .await
            .unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        assert_eq!(*ring.signing().id(), old);
        assert!(ring.jwks().contains(new.as_str()));
        let until = Timestamp(3610);
        let waits = Rotation::Wait {
            kid: new.clone(),
            until,
        };
        assert_eq!(ring.rotation(Timestamp(3609), HOUR), waits);
        assert_eq!(ring.rotation(until, HOUR), Rotation::Promote(new.clone()));

        promote(&store, &master, &new, until, &nobody())
            .await
            .unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        assert_eq!(*ring.signing().id(), new);
        assert_eq!(store.state(&old), KeyState::Retired);
        assert!(ring.verify(old.as_str(), b"x", &signature));
        assert_eq!(ring.outlived(until + HOUR, HOUR).count(), 0);
        let later = until + HOUR + Duration::from_secs(1);
        assert_eq!(ring.outlived(later, HOUR).collect::<Vec<_>>(), [&old]);
        assert!(
            promote(&store, &master, &old, until, &nobody())
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn revoking_the_key_that_signs_puts_another_in_its_place() {
        let (store, master) = (KeyStore::default(), master());
        let ring = ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        let first = ring.signing().id().clone();
        let refused = retire(&store, &master, &first, Timestamp(1), &nobody()).await;
        assert!(matches!(refused, Err(RingError::State { .. })));

        revoke(&store, &master, &first, Timestamp(1), &nobody())
            .await
            .unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        let second = ring.signing().id().clone();
        assert_ne!(first, second);
        assert!(ring.key(first.as_str()).is_none());
        assert!(store.keys.lock()[0].sealed.is_empty());

        let announced = announce(&store, &master, Timestamp(2), &nobody())
            .await
            .unwrap();
        revoke(&store, &master, &second, Timestamp(3), &nobody())
            .await
            .unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        assert_eq!(*ring.signing().id(), announced);
        let unknown = KeyId::new("none").unwrap();
        let refused = revoke(&store, &master, &unknown, Timestamp(3), &nobody()).await;
        assert!(matches!(refused, Err(RingError::Unknown(_))));
    }

    #[tokio::test]
    async fn a_planted_key_is_not_vouched_for_by_a_promotion() {
        let (store, master) = (KeyStore::default(), master());
        ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        let new = announce(&store, &master, Timestamp(1), &nobody())
            .await
            .unwrap();
        let planted =
            crate::keys::testing::stored(&crate::keys::testing::master(), KeyState::Signing, 1);
        store.keys.lock().push(planted.0.clone());
        assert!(
            promote(&store, &master, &new, Timestamp(2), &nobody())
                .await
                .is_err()
        );
        assert_eq!(store.state(&planted.0.id), KeyState::Signing);
        assert!(Ring::load(&store, &master).await.is_err());
    }

    #[tokio::test]
    async fn a_new_master_key_takes_over_the_ring() {
        let (store, old) = (KeyStore::default(), master());
        ensure(&store, &old, Timestamp(0), &nobody()).await.unwrap();
        let new = announce(&store, &old, Timestamp(1), &nobody())
            .await
            .unwrap();
        promote(&store, &old, &new, Timestamp(2), &nobody())
            .await
            .unwrap();

        let fresh = master();
        let lost = Ring::load(&store, &fresh).await.unwrap_err().to_string();
        assert!(lost.contains("the master key changed"), "{lost}");
        let both = fresh.clone().with_previous(old);
        assert_eq!(
            rewrap(&store, &both, Timestamp(3), &nobody())
                .await
                .unwrap(),
            2
        );
        assert_eq!(
            rewrap(&store, &both, Timestamp(3), &nobody())
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            *Ring::load(&store, &fresh).await.unwrap().signing().id(),
            new
        );
    }
}

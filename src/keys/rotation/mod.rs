//! How signing keys change in the store: announce → sign → retire → revoke, each kind for itself.
//! Each change is made under the store's lock, so that replicas take turns, and makes every replica
//! read the ring anew.
//!
//! A key is announced before it signs so that every replica, and whoever reads our JWKS, knows it
//! when the first signature arrives. Changes are ordered so that a crash between two writes leaves
//! a ring that works.

use super::master::MasterKey;
use super::ring::{Ring, RingError, RingKey, Scheme};
use super::seal::Purpose;
use crate::store::{By, KeyKind, KeyState, LockGuard, Store, StoredKey};
use crate::types::{KeyId, Timestamp};
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
    /// The next step of a rotation of the keys of a kind: a key is announced for at least
    /// `announce_for` before it signs.
    #[must_use]
    pub fn rotation(&self, kind: KeyKind, now: Timestamp, announce_for: Duration) -> Rotation {
        let announced = (self.of(kind)).find(|key| key.state() == KeyState::Announced);
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

    /// Retired keys of a kind whose last signature is older than `longest` (the longest life of what
    /// they signed): they may be revoked, since they verify nothing that could still be valid.
    pub fn outlived(
        &self,
        kind: KeyKind,
        now: Timestamp,
        longest: Duration,
    ) -> impl Iterator<Item = &KeyId> {
        self.of(kind)
            .filter(move |key| {
                key.state() == KeyState::Retired && key.state_since() + longest < now
            })
            .map(|key| key.id())
    }
}

/// The ring, with a first key of each kind of which none in the store signs. Replicas that start
/// at once make one key of a kind between them.
///
/// # Errors
/// As [`Ring::load`].
pub async fn ensure(
    store: &dyn Store,
    master: &MasterKey,
    now: Timestamp,
    by: &By,
) -> Result<Ring, RingError> {
    let ring = Ring::load(store, master).await?;
    if KeyKind::ALL.iter().all(|kind| ring.signing(*kind).is_ok()) {
        return Ok(ring);
    }
    let _turn = store.lock(LOCK, WAIT).await?;
    for kind in KeyKind::ALL {
        ensure_signing(store, master, kind, now, by).await?;
    }
    Ring::load(store, master).await
}

/// Announces a new key of a kind, unless one is announced already; gives its id.
///
/// # Errors
/// When the store does not answer or the key can't be made.
pub async fn announce(
    store: &dyn Store,
    master: &MasterKey,
    kind: KeyKind,
    now: Timestamp,
    by: &By,
) -> Result<KeyId, RingError> {
    Turn::take(store, master)
        .await?
        .announce(kind, now, by)
        .await
}

/// Lets an announced key sign and retires the one of its kind that signed.
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
    Turn::take(store, master).await?.promote(kid, now, by).await
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
    let _turn = Turn::take(store, master).await?;
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
/// half is forgotten. If it was the one that signs, an announced key of its kind (else a new one)
/// takes over at once. Every visitor whose cookie it signed gets a new one on the next page, and
/// their sockets are cut; a service whose token it signed must exchange anew.
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
    Turn::take(store, master).await?.revoke(kid, now, by).await
}

/// A turn at the ring: nobody else changes it until this is dropped.
pub(super) struct Turn<'a> {
    store: &'a dyn Store,
    master: &'a MasterKey,
    _lock: LockGuard,
}

impl<'a> Turn<'a> {
    /// Waits for it.
    pub(super) async fn take(
        store: &'a dyn Store,
        master: &'a MasterKey,
    ) -> Result<Self, RingError> {
        Ok(Self {
            store,
            master,
            _lock: store.lock(LOCK, WAIT).await?,
        })
    }

    pub(super) async fn announce(
        &self,
        kind: KeyKind,
        now: Timestamp,
        by: &By,
    ) -> Result<KeyId, RingError> {
        let keys = self.store.signing_keys().await?;
        let announced = |key: &&StoredKey| key.kind == kind && key.state == KeyState::Announced;
        match keys.iter().find(announced) {
            Some(key) => Ok(key.id.clone()),
            None => add(self.store, self.master, kind, KeyState::Announced, now, by).await,
        }
    }

    pub(super) async fn promote(
        &self,
        kid: &KeyId,
        now: Timestamp,
        by: &By,
    ) -> Result<(), RingError> {
        let Self { store, master, .. } = *self;
        let keys = store.signing_keys().await?;
        let key = find(&keys, kid)?;
        if key.state != KeyState::Announced {
            return Err(wrong_state(key, "only an announced key can be promoted"));
        }
        // The new one first: two that sign are fine for a moment, none is not.
        put(store, key, KeyState::Signing, key.sealed.clone(), now, by).await?;
        let formers =
            |former: &&StoredKey| former.kind == key.kind && former.state == KeyState::Signing;
        for former in keys.iter().filter(formers) {
            retire_stored(store, master, former, now, by).await?;
        }
        Ok(())
    }

    pub(super) async fn revoke(
        &self,
        kid: &KeyId,
        now: Timestamp,
        by: &By,
    ) -> Result<(), RingError> {
        let Self { store, master, .. } = *self;
        let keys = store.signing_keys().await?;
        let key = find(&keys, kid)?;
        let of_kind = |state| {
            let mut of = keys.iter().filter(move |k| k.kind == key.kind);
            of.find(move |k| k.state == state && k.id != key.id)
        };
        // Replaced before revoked: while none signs, every page fails.
        if key.state == KeyState::Signing && of_kind(KeyState::Signing).is_none() {
            match of_kind(KeyState::Announced) {
                Some(next) => {
                    put(store, next, KeyState::Signing, next.sealed.clone(), now, by).await?;
                }
                None => {
                    add(store, master, key.kind, KeyState::Signing, now, by).await?;
                }
            }
        }
        if key.state != KeyState::Revoked {
            put(store, key, KeyState::Revoked, Vec::new(), now, by).await?;
        }
        ensure_signing(store, master, key.kind, now, by).await
    }
}

/// Under the lock: makes sure that one key of a kind signs.
async fn ensure_signing(
    store: &dyn Store,
    master: &MasterKey,
    kind: KeyKind,
    now: Timestamp,
    by: &By,
) -> Result<(), RingError> {
    let keys = store.signing_keys().await?;
    let in_state = |state| (keys.iter()).find(move |key| key.kind == kind && key.state == state);
    if in_state(KeyState::Signing).is_some() {
        return Ok(());
    }
    if let Some(key) = in_state(KeyState::Announced) {
        return put(store, key, KeyState::Signing, key.sealed.clone(), now, by).await;
    }
    add(store, master, kind, KeyState::Signing, now, by)
        .await
        .map(drop)
}

async fn add(
    store: &dyn Store,
    master: &MasterKey,
    kind: KeyKind,
    state: KeyState,
    now: Timestamp,
    by: &By,
) -> Result<KeyId, RingError> {
    let scheme = Scheme::of(kind);
    let (pkcs8, public) = scheme.generate()?;
    let thumbprint = scheme.thumbprint(&public).ok_or(RingError::Crypto)?;
    let id = KeyId::new(thumbprint).map_err(|_| RingError::Crypto)?;
    let key = StoredKey {
        sealed: master.seal(Purpose::SigningKey(kind, &id), pkcs8.as_ref())?,
        id,
        kind,
        state,
        public,
        created_at: now,
        state_since: now,
    };
    store.put_signing_key(&key, now, by).await?;
    Ok(key.id)
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
    RingKey::open(key, master)?;
    let sealed = master.seal(Purpose::RetiredKey(key.kind, &key.id), &key.public)?;
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
mod tests;

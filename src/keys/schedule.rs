//! When signing keys change by themselves, each kind for itself: announced before its turn, signing
//! once everybody knows it, retired by its successor, forgotten when nothing that it signed can be
//! valid any more. Nobody is signed out by any of it.
//!
//! Replicas take turns: what is due is decided anew under the store's lock, so that two that find
//! the same thing due do it once.

use super::master::MasterKey;
use super::ring::{Ring, RingError};
use super::rotation::{self, Rotation};
use crate::store::{By, KeyKind, KeyState, Store};
use crate::types::{KeyId, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// Clocks of replicas differ, and a cookie may be minted under a key for the second in which a
/// replica has not yet read that it was retired.
const MARGIN: Duration = Duration::from_secs(60);

/// When which kind of key changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// How long a key is announced before it signs.
    pub announce: Duration,
    /// How long a key signs; `None`: until an operator says so.
    pub rotate_every: Option<Duration>,
    /// The longest life of what a kind of key signs.
    pub longest: HashMap<KeyKind, Duration>,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Announce the successor of the key that signs.
    Announce(KeyKind),
    /// The announced key signs from now on.
    Promote(KeyKind, KeyId),
    /// A retired key is revoked: nothing that it signed can be valid.
    Forget(KeyKind, KeyId),
}

impl Schedule {
    /// The first thing that is due; nothing may be.
    #[must_use]
    pub fn due(&self, ring: &Ring, now: Timestamp) -> Option<Due> {
        KeyKind::ALL
            .into_iter()
            .find_map(|kind| self.due_of(ring, kind, now))
    }

    fn due_of(&self, ring: &Ring, kind: KeyKind, now: Timestamp) -> Option<Due> {
        match ring.rotation(kind, now, self.announce) {
            Rotation::Promote(kid) => return Some(Due::Promote(kind, kid)),
            Rotation::Announce if self.announces_at(ring, kind).is_some_and(|at| at <= now) => {
                return Some(Due::Announce(kind));
            }
            Rotation::Announce | Rotation::Wait { .. } => {}
        }
        // Unknown: kept for ever, rather than forgotten too early.
        let longest = *self.longest.get(&kind)? + MARGIN;
        let outlived = ring.outlived(kind, now, longest).next()?;
        Some(Due::Forget(kind, outlived.clone()))
    }

    fn announces_at(&self, ring: &Ring, kind: KeyKind) -> Option<Timestamp> {
        let signs_since = ring.signing(kind).ok()?.state_since();
        Some(signs_since + self.rotate_every?.saturating_sub(self.announce))
    }

    /// When the next key of a kind takes over: an announced one, or the one that will be.
    #[must_use]
    pub fn next(&self, ring: &Ring, kind: KeyKind) -> Option<Timestamp> {
        let announced = ring.of(kind).find(|k| k.state() == KeyState::Announced);
        match announced {
            Some(key) => Some(key.state_since() + self.announce),
            None => Some(self.announces_at(ring, kind)? + self.announce),
        }
    }

    /// When a retired key is forgotten.
    #[must_use]
    pub fn forgotten_at(&self, kind: KeyKind, retired_at: Timestamp) -> Option<Timestamp> {
        Some(retired_at + *self.longest.get(&kind)? + MARGIN)
    }
}

/// Does what is due, one thing at a time; `None` when nothing was.
///
/// # Errors
/// When the store does not answer, or a key does not open or can't be made.
pub async fn step(
    store: &dyn Store,
    master: &MasterKey,
    schedule: &Schedule,
    now: Timestamp,
    by: &By,
) -> Result<Option<Due>, RingError> {
    let turn = rotation::Turn::take(store, master).await?;
    let ring = Ring::load(store, master).await?;
    let Some(due) = schedule.due(&ring, now) else {
        return Ok(None);
    };
    match &due {
        Due::Announce(kind) => turn.announce(*kind, now, by).await.map(drop)?,
        Due::Promote(_, kid) => turn.promote(kid, now, by).await?,
        Due::Forget(_, kid) => turn.revoke(kid, now, by).await?,
    }
    Ok(Some(due))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::{KeyStore, master, nobody};

    const DAY: i64 = 24 * 3600;

    fn schedule() -> Schedule {
        let days = |n: i64| Duration::from_secs((n * DAY).unsigned_abs());
        Schedule {
            announce: days(1),
            rotate_every: Some(days(30)),
            longest: KeyKind::ALL
                .into_iter()
                .map(|kind| (kind, days(2)))
                .collect(),
        }
    }

    /// Lets everything happen that is due at `now`.
    async fn until(
        store: &KeyStore,
        master: &MasterKey,
        schedule: &Schedule,
        now: i64,
    ) -> Vec<Due> {
        let mut done = Vec::new();
        while let Some(due) = step(store, master, schedule, Timestamp(now), &nobody())
            .await
            .unwrap()
        {
            done.push(due);
            assert!(done.len() < 20, "{done:?}");
        }
        done
    }

    #[tokio::test]
    async fn a_year_of_one_kind() {
        let (store, master, schedule) = (KeyStore::default(), master(), schedule());
        rotation::ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        let kind = KeyKind::Session;
        let mut seen = Vec::new();
        for hour in 0..365 * 24 {
            for due in until(&store, &master, &schedule, hour * 3600).await {
                let (what, of) = match &due {
                    Due::Announce(kind) => ("announce", *kind),
                    Due::Promote(kind, _) => ("promote", *kind),
                    Due::Forget(kind, _) => ("forget", *kind),
                };
                if of == kind {
                    seen.push((what, hour / 24));
                }
            }
            let ring = Ring::load(&store, &master).await.unwrap();
            let verify = ring.of(kind).count();
            assert!((1..=3).contains(&verify), "{verify} keys at hour {hour}");
        }
        let expected = [
            ("announce", 29),
            ("promote", 30),
            ("forget", 32),
            ("announce", 59),
            ("promote", 60),
            ("forget", 62),
        ];
        assert_eq!(seen[..6], expected);
        assert_eq!(seen.len(), 36, "{seen:?}");
    }

    #[tokio::test]
    async fn replicas_that_find_the_same_thing_due_do_it_once() {
        let (store, master, schedule) = (KeyStore::default(), master(), schedule());
        rotation::ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        let at = 29 * DAY;
        let (a, b) = tokio::join!(
            until(&store, &master, &schedule, at),
            until(&store, &master, &schedule, at)
        );
        assert_eq!(a.len() + b.len(), KeyKind::ALL.len(), "{a:?} {b:?}");
        let announced = |key: &&crate::store::StoredKey| key.state == KeyState::Announced;
        let keys = store.keys.lock();
        assert_eq!(keys.iter().filter(announced).count(), KeyKind::ALL.len());
    }

    #[tokio::test]
    async fn without_a_schedule_only_what_an_operator_announced_is_promoted() {
        let (store, master, mut schedule) = (KeyStore::default(), master(), schedule());
        schedule.rotate_every = None;
        let ring = rotation::ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        assert_eq!(schedule.next(&ring, KeyKind::Session), None);
        assert!(
            until(&store, &master, &schedule, 1000 * DAY)
                .await
                .is_empty()
        );
        let now = Timestamp(1000 * DAY);
        let by = nobody();
        let kid = rotation::announce(&store, &master, KeyKind::Session, now, &by);
        let kid = kid.await.unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        let at = now + schedule.announce;
        assert_eq!(schedule.next(&ring, KeyKind::Session), Some(at));
        assert!(until(&store, &master, &schedule, at.0 - 1).await.is_empty());
        let done = until(&store, &master, &schedule, at.0).await;
        assert_eq!(done, [Due::Promote(KeyKind::Session, kid)]);
    }

    #[tokio::test]
    async fn what_a_kind_signs_is_never_forgotten_while_it_may_be_valid() {
        let (store, master, mut schedule) = (KeyStore::default(), master(), schedule());
        schedule.longest.remove(&KeyKind::AccessToken);
        rotation::ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        for day in 0..100 {
            let done = until(&store, &master, &schedule, day * DAY).await;
            let forgot = |due: &Due| matches!(due, Due::Forget(KeyKind::AccessToken, _));
            assert!(!done.iter().any(forgot), "day {day}: {done:?}");
        }
        let ring = Ring::load(&store, &master).await.unwrap();
        assert_eq!(ring.of(KeyKind::AccessToken).count(), 4);
    }
}

use super::*;
use crate::keys::testing::{KeyStore, master, nobody, stored};
use crate::store::KeyKind::{AccessToken, Session};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn replicas_that_start_at_once_make_one_key_of_each_kind() {
    let (store, master) = (KeyStore::default(), master());
    let by = nobody();
    let start = || ensure(&store, &master, Timestamp(1), &by);
    let (a, b, c) = tokio::join!(start(), start(), start());
    let a = a.unwrap();
    assert_eq!(a.epoch(), b.unwrap().epoch());
    assert_eq!(a.epoch(), c.unwrap().epoch());
    assert_eq!(store.keys.lock().len(), KeyKind::ALL.len());
    for kind in KeyKind::ALL {
        assert_eq!(a.signing(kind).unwrap().kind(), kind);
    }
}

#[tokio::test]
async fn a_rotation_announces_waits_and_promotes() {
    for kind in KeyKind::ALL {
        let (store, master) = (KeyStore::default(), master());
        let ring = ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        let old = ring.signing(kind).unwrap().id().clone();
        let signature = ring.sign(kind, b"x").unwrap();
        assert_eq!(ring.rotation(kind, Timestamp(10), HOUR), Rotation::Announce);

        let new = announce(&store, &master, kind, Timestamp(10), &nobody())
            .await
            .unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        assert_eq!(*ring.signing(kind).unwrap().id(), old);
        assert!(ring.jwks().contains(new.as_str()));
        let until = Timestamp(3610);
        let waits = Rotation::Wait {
            kid: new.clone(),
            until,
        };
        assert_eq!(ring.rotation(kind, Timestamp(3609), HOUR), waits);
        let promote_it = Rotation::Promote(new.clone());
        assert_eq!(ring.rotation(kind, until, HOUR), promote_it);

        promote(&store, &master, &new, until, &nobody())
            .await
            .unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        assert_eq!(*ring.signing(kind).unwrap().id(), new);
        assert_eq!(store.state(&old), KeyState::Retired);
        assert!(ring.verify(kind, old.as_str(), b"x", &signature));
        assert_eq!(ring.outlived(kind, until + HOUR, HOUR).count(), 0);
        let later = until + HOUR + Duration::from_secs(1);
        let outlived: Vec<_> = ring.outlived(kind, later, HOUR).collect();
        assert_eq!(outlived, [&old]);
        assert!(
            promote(&store, &master, &old, until, &nobody())
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_rotation_of_one_kind_leaves_the_others() {
    let (store, master) = (KeyStore::default(), master());
    let before = ensure(&store, &master, Timestamp(0), &nobody())
        .await
        .unwrap();
    let new = announce(&store, &master, AccessToken, Timestamp(1), &nobody())
        .await
        .unwrap();
    let ring = Ring::load(&store, &master).await.unwrap();
    let due = |kind| ring.rotation(kind, Timestamp(1) + HOUR, HOUR);
    assert_eq!(due(AccessToken), Rotation::Promote(new.clone()));
    assert_eq!(due(Session), Rotation::Announce);

    promote(&store, &master, &new, Timestamp(2), &nobody())
        .await
        .unwrap();
    let gone = Timestamp(3);
    revoke(&store, &master, &new, gone, &nobody())
        .await
        .unwrap();
    let after = Ring::load(&store, &master).await.unwrap();
    for kind in KeyKind::ALL {
        let same = before.signing(kind).unwrap().id() == after.signing(kind).unwrap().id();
        assert_eq!(same, kind != AccessToken, "{kind}");
    }
    assert_eq!(after.outlived(Session, gone + HOUR, HOUR).count(), 0);
}

#[tokio::test]
async fn revoking_the_key_that_signs_puts_another_in_its_place() {
    for kind in KeyKind::ALL {
        let (store, master) = (KeyStore::default(), master());
        let ring = ensure(&store, &master, Timestamp(0), &nobody())
            .await
            .unwrap();
        let first = ring.signing(kind).unwrap().id().clone();
        let refused = retire(&store, &master, &first, Timestamp(1), &nobody()).await;
        assert!(matches!(refused, Err(RingError::State { .. })));

        revoke(&store, &master, &first, Timestamp(1), &nobody())
            .await
            .unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        let second = ring.signing(kind).unwrap().id().clone();
        assert_ne!(first, second);
        assert!(ring.key(first.as_str()).is_none());
        let keys = store.keys.lock().clone();
        let forgotten = keys.iter().find(|key| key.id == first).unwrap();
        assert!(forgotten.sealed.is_empty());

        let announced = announce(&store, &master, kind, Timestamp(2), &nobody())
            .await
            .unwrap();
        revoke(&store, &master, &second, Timestamp(3), &nobody())
            .await
            .unwrap();
        let ring = Ring::load(&store, &master).await.unwrap();
        assert_eq!(*ring.signing(kind).unwrap().id(), announced);
        let unknown = KeyId::new("none").unwrap();
        let refused = revoke(&store, &master, &unknown, Timestamp(3), &nobody()).await;
        assert!(matches!(refused, Err(RingError::Unknown(_))));
    }
}

#[tokio::test]
async fn a_planted_key_is_not_vouched_for_by_a_promotion() {
    let (store, master) = (KeyStore::default(), master());
    ensure(&store, &master, Timestamp(0), &nobody())
        .await
        .unwrap();
    let new = announce(&store, &master, Session, Timestamp(1), &nobody())
        .await
        .unwrap();
    let stranger = crate::keys::testing::master();
    let planted = stored(&stranger, Session, KeyState::Signing, 1);
    store.keys.lock().push(planted.clone());
    assert!(
        promote(&store, &master, &new, Timestamp(2), &nobody())
            .await
            .is_err()
    );
    assert_eq!(store.state(&planted.id), KeyState::Signing);
    assert!(Ring::load(&store, &master).await.is_err());
}

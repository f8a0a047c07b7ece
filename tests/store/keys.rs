//! Sealed keys and secrets.

use crate::bed::{Bed, at, by};
use auth_manager::store::{KeyKind, KeyState, Revoked, StoredKey};
use auth_manager::types::KeyId;
use std::sync::Arc;

pub(crate) async fn a_key_is_added_and_replaced(bed: Bed) {
    assert!(bed.a.signing_keys().await.unwrap().is_empty());
    let key = |id: &str, state, created| StoredKey {
        id: KeyId::new(id).unwrap(),
        kind: KeyKind::Session,
        state,
        sealed: vec![0, 1, 255],
        public: vec![2],
        created_at: at(created),
        state_since: at(created),
    };
    bed.a
        .put_signing_key(&key("young", KeyState::Announced, 10), at(10), &by())
        .await
        .unwrap();
    bed.a
        .put_signing_key(&key("old", KeyState::Signing, 0), at(10), &by())
        .await
        .unwrap();
    let mut retired = key("old", KeyState::Retired, 0);
    retired.state_since = at(20);
    bed.b
        .put_signing_key(&retired, at(20), &by())
        .await
        .unwrap();
    let ring = bed.b.signing_keys().await.unwrap();
    let seen: Vec<_> = ring
        .iter()
        .map(|k| (k.id.as_str(), k.state, k.state_since))
        .collect();
    let expected = [
        ("old", KeyState::Retired, at(20)),
        ("young", KeyState::Announced, at(10)),
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        (&ring[0].sealed[..], &ring[0].public[..]),
        (&[0, 1, 255][..], &[2][..])
    );
    let log = bed.a.revocations_after(0, 10).await.unwrap();
    assert_eq!(log.len(), 3);
    assert!(
        log.iter()
            .all(|entry| entry.what == Revoked::Keys && entry.reason.is_none())
    );
    assert_eq!(log[2].at, at(20));
}

pub(crate) async fn a_key_keeps_its_kind(bed: Bed) {
    for (at_second, kind) in (0..).zip(KeyKind::ALL) {
        let key = StoredKey {
            id: KeyId::new(kind.as_str()).unwrap(),
            kind,
            state: KeyState::Announced,
            sealed: vec![1],
            public: vec![2],
            created_at: at(at_second),
            state_since: at(at_second),
        };
        bed.a.put_signing_key(&key, at(0), &by()).await.unwrap();
        let signing = StoredKey {
            state: KeyState::Signing,
            ..key
        };
        bed.b.put_signing_key(&signing, at(0), &by()).await.unwrap();
    }
    let kinds = bed.a.signing_keys().await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|key| key.kind).collect();
    assert_eq!(kinds, KeyKind::ALL);
    bed.sql("UPDATE signing_keys SET kind = 'jewellery'").await;
    assert!(bed.a.signing_keys().await.is_err());
}

pub(crate) async fn a_secret_is_written_once(bed: Bed) {
    assert_eq!(bed.a.secret("root").await.unwrap(), None);
    assert_eq!(bed.a.secret_or_insert("root", &[1]).await.unwrap(), [1]);
    assert_eq!(bed.b.secret_or_insert("root", &[2]).await.unwrap(), [1]);
    assert_eq!(bed.b.secret("root").await.unwrap(), Some(vec![1]));
    assert_eq!(bed.b.secret("other").await.unwrap(), None);
}

pub(crate) async fn one_of_many_secrets_stands(bed: Bed) {
    let asked: Vec<_> = (0..10_u8)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &bed.a } else { &bed.b });
            tokio::spawn(async move { store.secret_or_insert("root", &[n]).await.unwrap() })
        })
        .collect();
    let stands = bed.a.secret_or_insert("root", &[99]).await.unwrap();
    for given in asked {
        assert_eq!(given.await.unwrap(), stands);
    }
}

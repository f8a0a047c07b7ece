//! What lies sealed, and how it is replaced.

use crate::bed::{Bed, at, by, session};
use auth_manager::store::{
    EndReason, KeyKind, KeyState, Resealed, SealCount, SealHead, Sealed, SealedAt, SealedKind,
    StoredKey, Which,
};
use auth_manager::types::KeyId;

const OLD: [u8; SealHead::LEN] = [1, 7, 7, 7, 7, 7, 7, 7, 7];
const NEW: [u8; SealHead::LEN] = [1, 9, 9, 9, 9, 9, 9, 9, 9];

fn under(head: [u8; SealHead::LEN], rest: &[u8]) -> Vec<u8> {
    [&head[..], rest].concat()
}

fn key(id: &str, state: KeyState, sealed: Vec<u8>) -> StoredKey {
    StoredKey {
        id: KeyId::new(id).unwrap(),
        kind: KeyKind::AccessToken,
        state,
        sealed,
        public: vec![2],
        created_at: at(0),
        state_since: at(0),
    }
}

/// Two keys, one revoked; two secrets; three sessions, one ended and one of those closed.
async fn filled(bed: &Bed) {
    for (id, state, sealed) in [
        ("k1", KeyState::Signing, under(OLD, b"key")),
        ("k2", KeyState::Retired, under(NEW, b"key")),
        ("k3", KeyState::Revoked, Vec::new()),
    ] {
        bed.a
            .put_signing_key(&key(id, state, sealed), at(0), &by())
            .await
            .unwrap();
    }
    bed.a
        .secret_or_insert("root", &under(OLD, b"r"))
        .await
        .unwrap();
    bed.a
        .secret_or_insert("Äther", &under(NEW, b"a"))
        .await
        .unwrap();
    let (user, account) = bed.member("alice").await;
    for (n, sid) in ["s1", "s2", "s3"].into_iter().enumerate() {
        let mut session = session(&user, &account, sid);
        session.id.0[0] = u8::try_from(n).unwrap() + 1;
        session.sealed = under(OLD, sid.as_bytes());
        let session = bed.born(&session).await;
        if n > 0 {
            let which = Which::Session(session.id);
            let who = by();
            let ended = bed
                .a
                .end_sessions(&which, EndReason::Revoked, at(9), at(1), &who);
            assert_eq!(ended.await.unwrap().len(), 1);
        }
        if n > 1 {
            bed.a.session_closed(session.id).await.unwrap();
        }
    }
}

pub(crate) async fn what_is_sealed_is_counted_by_kind_and_key(bed: Bed) {
    assert!(bed.a.seals().await.unwrap().is_empty());
    filled(&bed).await;
    let count = |kind, head: [u8; SealHead::LEN], count| SealCount {
        kind,
        head: head.to_vec(),
        count,
    };
    let expected = [
        count(SealedKind::SigningKey, OLD, 1),
        count(SealedKind::SigningKey, NEW, 1),
        count(SealedKind::Secret, OLD, 1),
        count(SealedKind::Secret, NEW, 1),
        // The ended one too: its app session must still be ended with it.
        count(SealedKind::Session, OLD, 2),
    ];
    assert_eq!(bed.b.seals().await.unwrap(), expected);
}

pub(crate) async fn what_is_sealed_otherwise_comes_in_pages(bed: Bed) {
    filled(&bed).await;
    let new = SealHead(NEW);
    let mut seen = Vec::new();
    for kind in SealedKind::ALL {
        let mut after = None;
        loop {
            let page = bed.a.sealed_otherwise(kind, new, after.as_ref(), 1);
            let page = page.await.unwrap();
            let [one] = page.as_slice() else {
                assert!(page.is_empty());
                break;
            };
            after = Some(one.at.clone());
            seen.push(one.clone());
        }
    }
    assert_eq!(seen.len(), 4);
    let kid = KeyId::new("k1").unwrap();
    let signing = SealedAt::SigningKey(KeyKind::AccessToken, kid, KeyState::Signing);
    assert_eq!(seen[0].at, signing);
    assert_eq!(seen[0].bytes, under(OLD, b"key"));
    assert_eq!(seen[1].at, SealedAt::Secret("root".into()));
    assert!(
        seen[2..]
            .iter()
            .all(|s| matches!(&s.at, SealedAt::Session(_, app) if app.as_str() == "chat"))
    );
    // Of another key all that this one sealed is otherwise; text order is that of bytes.
    let all = bed
        .a
        .sealed_otherwise(SealedKind::Secret, SealHead([0; 9]), None, 9);
    let names: Vec<_> = (all.await.unwrap().into_iter())
        .map(|s| match s.at {
            SealedAt::Secret(name) => name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["root", "Äther"]);
}

pub(crate) async fn a_seal_is_replaced_only_while_it_is_what_was_read(bed: Bed) {
    filled(&bed).await;
    let log = bed.a.newest_revocation().await.unwrap();
    let mut records = Vec::new();
    for kind in SealedKind::ALL {
        for read in bed
            .a
            .sealed_otherwise(kind, SealHead(NEW), None, 10)
            .await
            .unwrap()
        {
            let anew = under(NEW, &read.bytes[SealHead::LEN..]);
            records.push(Resealed { read, anew });
        }
    }
    assert_eq!(records.len(), 4);
    // Another replica writes one of them meanwhile.
    let fresh = key("k1", KeyState::Signing, under(OLD, b"written meanwhile"));
    bed.b.put_signing_key(&fresh, at(2), &by()).await.unwrap();
    assert_eq!(bed.a.reseal(&records).await.unwrap(), 3);
    assert_eq!(bed.a.reseal(&records).await.unwrap(), 0, "done is done");

    let ring = bed.b.signing_keys().await.unwrap();
    let kept = ring.iter().find(|key| key.id.as_str() == "k1").unwrap();
    assert_eq!(kept.sealed, fresh.sealed);
    assert_eq!(bed.b.secret("root").await.unwrap(), Some(under(NEW, b"r")));
    let left = bed
        .b
        .sealed_otherwise(SealedKind::Session, SealHead(NEW), None, 10);
    assert_eq!(left.await.unwrap(), Vec::<Sealed>::new());
    // What it says is the same: nobody need read anything anew.
    assert_eq!(
        bed.a.newest_revocation().await.unwrap(),
        log + 1,
        "the put alone"
    );
    assert_eq!(bed.a.reseal(&[]).await.unwrap(), 0);
}

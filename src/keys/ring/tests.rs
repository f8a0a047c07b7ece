use super::*;
use crate::keys::testing::{master, ring_of, stored};
use crate::store::KeyKind::{AccessToken, Introspection, Session};
use crate::store::KeyState::{Announced, Retired, Revoked, Signing};

#[test]
fn what_is_signed_verifies_under_its_key_only() {
    for kind in KeyKind::ALL {
        let ring = ring_of(&master(), &[(kind, Announced), (kind, Signing)]);
        let signature = ring.sign(kind, b"text").unwrap();
        let other = ring.keys()[0].id().as_str();
        let own = ring.signing(kind).unwrap().id().as_str();
        assert!(ring.verify(kind, own, b"text", &signature));
        assert!(!ring.verify(kind, own, b"Text", &signature));
        assert!(!ring.verify(kind, other, b"text", &signature));
        assert!(!ring.verify(kind, "none", b"text", &signature));
        assert!(!ring.verify(kind, own, b"text", &signature[..63]));
    }
}

#[test]
fn a_key_serves_one_purpose() {
    let ring = ring_of(
        &master(),
        &[(AccessToken, Signing), (Introspection, Signing)],
    );
    assert!(matches!(
        ring.sign(Session, b"x"),
        Err(RingError::NoSigningKey(Session))
    ));
    let (one, other) = (
        ring.signing(AccessToken).unwrap(),
        ring.signing(Introspection).unwrap(),
    );
    assert_ne!(one.id(), other.id());
    let signature = ring.sign(AccessToken, b"x").unwrap();
    assert!(ring.verify(AccessToken, one.id().as_str(), b"x", &signature));
    assert!(!ring.verify(Introspection, one.id().as_str(), b"x", &signature));
    assert!(ring.key_by_header(AccessToken, one.header()).is_some());
    assert!(ring.key_by_header(AccessToken, other.header()).is_none());
}

#[test]
fn the_jwk_set_holds_public_keys_of_every_kind_and_nothing_else() {
    let ring = ring_of(
        &master(),
        &[
            (Session, Retired),
            (Session, Revoked),
            (Session, Signing),
            (AccessToken, Signing),
            (Introspection, Announced),
        ],
    );
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&ring.jwks()).unwrap();
    assert_eq!(set.keys.len(), 4);
    for key in &set.keys {
        let kid = key.common.key_id.as_deref().unwrap();
        let ours = ring.key(kid).unwrap();
        assert_eq!(
            key.common.key_algorithm.unwrap().to_string(),
            Scheme::of(ours.kind()).alg()
        );
    }
    assert!(!ring.jwks().contains("\"d\""));
    let only: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&ring.jwks_of(AccessToken)).unwrap();
    assert_eq!(only.keys.len(), 1);
}

#[test]
fn the_newest_of_two_signing_keys_signs() {
    let ring = ring_of(&master(), &[(Session, Signing), (Session, Signing)]);
    assert_eq!(ring.signing(Session).unwrap().id(), ring.keys()[1].id());
}

#[test]
fn what_a_revoked_key_signed_is_refused_before_another_signs() {
    let master = master();
    let signed = stored(&master, Session, Signing, 1);
    let kid = signed.id.clone();
    let ring = Ring::new(std::slice::from_ref(&signed), &master).unwrap();
    let signature = ring.sign(Session, b"x").unwrap();
    let revoked = StoredKey {
        state: Revoked,
        sealed: Vec::new(),
        ..signed
    };
    let ring = Ring::new(&[revoked], &master).unwrap();
    assert!(!ring.verify(Session, kid.as_str(), b"x", &signature));
    assert!(ring.signing(Session).is_err());
}

#[test]
fn the_epoch_follows_keys_and_states() {
    let master = master();
    let mut one = stored(&master, Session, Announced, 1);
    let two = stored(&master, Session, Signing, 1);
    let epoch = |keys: &[StoredKey]| Ring::new(keys, &master).unwrap().epoch();
    let before = epoch(&[one.clone(), two.clone()]);
    assert_eq!(before, epoch(&[one.clone(), two.clone()]));
    assert_ne!(before, epoch(std::slice::from_ref(&two)));
    one.state = Revoked;
    assert_ne!(before, epoch(&[one, two]));
}

#[test]
fn a_key_that_the_master_key_does_not_vouch_for_is_refused() {
    let (master, stranger) = (master(), master());
    for kind in KeyKind::ALL {
        for state in [Announced, Signing, Retired] {
            let good = stored(&master, kind, Signing, 1);
            let ring = |key: StoredKey| Ring::new(&[good.clone(), key], &master).map(drop);
            let own = stored(&master, kind, state, 2);
            ring(own.clone()).unwrap();
            let foreign = stored(&stranger, kind, state, 2);
            assert!(matches!(ring(foreign.clone()), Err(RingError::Open { .. })));

            // Another public key, with and without the id that fits it.
            let mut planted = own.clone();
            planted.public.clone_from(&foreign.public);
            assert!(matches!(
                ring(planted.clone()),
                Err(RingError::Inconsistent { .. })
            ));
            planted.id = foreign.id;
            assert!(matches!(ring(planted), Err(RingError::Open { .. })));

            // A revoked key can't be brought back: nothing vouches for it.
            let mut revived = own;
            revived.sealed.clear();
            assert!(matches!(ring(revived), Err(RingError::Open { .. })));
        }
    }
}

#[test]
fn a_key_whose_record_says_another_kind_is_refused() {
    let master = master();
    for state in [Announced, Signing, Retired] {
        for (kind, said) in [
            (AccessToken, Introspection),
            (Introspection, AccessToken),
            (Session, AccessToken),
            (AccessToken, Session),
        ] {
            let mut key = stored(&master, kind, state, 1);
            key.kind = said;
            let refused = Ring::new(&[key], &master).map(drop);
            // Those of one scheme have only the seal between them.
            assert!(refused.is_err(), "{state} {kind} as {said}");
        }
    }
}

use super::*;
use crate::keys::testing::{Pair, master, ring_of};
use crate::store::KeyKind::{AccessToken, Introspection, Session};
use crate::store::KeyState::{Announced, Retired, Revoked, Signing};

const ISSUER: &str = "https://bridge.example.com";
const NOW: Timestamp = Timestamp(1_790_000_000);
const END: Timestamp = Timestamp(1_790_000_300);

fn session() -> Origin {
    Origin::Session(SessionId([9; 32]))
}

fn sign_in() -> Origin {
    Origin::SignIn {
        app: AppId::new("chat").unwrap(),
        epoch: Epoch { user: 3, global: 1 },
    }
}

fn about() -> About {
    About {
        email: Some("alice@example.com".into()),
        email_verified: Some(true),
        name: None,
        preferred_username: Some("alice".into()),
        groups: vec![GroupName::new("staff").unwrap()],
    }
}

fn token(ring: &Ring, origin: &Origin, about: &About) -> Result<String, MintError> {
    mint(
        ring,
        &NewAccessToken {
            issuer: ISSUER,
            audience: "https://files.internal",
            subject: "0192d7a0-0000-7000-8000-000000000001",
            client: &ClientId::new("reports").unwrap(),
            scope: "read write",
            origin,
            certificate: Some(&[1; 32]),
            about,
            id: TokenId([5; 16]),
            issued_at: NOW,
            expires_at: END,
        },
    )
}

fn good(ring: &Ring) -> String {
    token(ring, &session(), &about()).unwrap()
}

fn check(ring: &Ring, token: &str) -> Result<AccessClaims, TokenError> {
    verify(ring, token, ISSUER, NOW)
}

#[test]
fn a_minted_token_verifies_and_says_what_it_was_minted_with() {
    let ring = ring_of(&master(), &[(AccessToken, Signing)]);
    let hidden = Origin::Hidden("h".repeat(64));
    for origin in [session(), hidden, sign_in()] {
        let claims = check(&ring, &token(&ring, &origin, &about()).unwrap()).unwrap();
        assert_eq!(claims.id(), TokenId([5; 16]));
        assert_eq!(claims.audience(), "https://files.internal");
        assert_eq!(claims.client().as_str(), "reports");
        assert_eq!(*claims.origin(), origin);
        assert_eq!(claims.expires_at(), END);
        let members = claims.members();
        assert_eq!(members["act"]["sub"], "reports");
        assert_eq!(members["scope"], "read write");
        assert_eq!(members["groups"][0], "staff");
        let bound = URL_SAFE_NO_PAD.encode([1; 32]);
        assert_eq!(members["cnf"]["x5t#S256"], bound);
        assert!(!members.contains_key("am_origin") && !members.contains_key("name"));
        assert!(!members.contains_key("auth_time"));
    }
}

/// As a stock library would, which knows our key set and nothing else.
#[test]
fn a_stock_library_verifies_it_from_the_key_set() {
    let ring = ring_of(&master(), &[(Session, Signing), (AccessToken, Signing)]);
    let token = good(&ring);
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&ring.jwks()).unwrap();
    let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_audience(&["https://files.internal"]);
    rules.set_issuer(&[ISSUER]);
    rules.validate_exp = false;
    let claims = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &rules).unwrap();
    assert_eq!(claims.claims["client_id"], "reports");
    rules.set_audience(&["https://other"]);
    assert!(jsonwebtoken::decode::<serde_json::Value>(&token, &key, &rules).is_err());
}

#[test]
fn its_time_and_its_issuer_count() {
    let ring = ring_of(&master(), &[(AccessToken, Signing)]);
    let token = good(&ring);
    let at = |now| verify(&ring, &token, ISSUER, now).err();
    assert_eq!(at(Timestamp(END.0 - 1)), None);
    assert_eq!(at(END), Some(TokenError::Expired));
    let other = verify(&ring, &token, "https://other", NOW);
    assert_eq!(other, Err(TokenError::Issuer));
}

#[test]
fn announced_and_retired_keys_verify_and_revoked_ones_do_not() {
    let master = master();
    for (state, accepted) in [(Announced, true), (Retired, true), (Revoked, false)] {
        let pair = Pair::new(AccessToken);
        let token = good(&pair.signing(&master));
        let ring = Ring::new(&[pair.stored(&master, state, 1)], &master).unwrap();
        assert_eq!(check(&ring, &token).is_ok(), accepted, "{state}");
    }
}

/// A payload and kind of our choice, really signed by our key of that kind.
fn forged(ring: &Ring, kind: KeyKind, payload: &str) -> String {
    compact::sign(ring, kind, payload.as_bytes()).unwrap()
}

#[test]
fn only_our_own_claims_under_our_own_kind_of_key_are_accepted_even_if_signed() {
    let all = [
        (AccessToken, Signing),
        (Introspection, Signing),
        (Session, Signing),
    ];
    let ring = ring_of(&master(), &all);
    let token = good(&ring);
    let payload = token.split('.').nth(1).unwrap();
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert!(check(&ring, &forged(&ring, AccessToken, &payload)).is_ok());
    for kind in [Introspection, Session] {
        let refused = check(&ring, &forged(&ring, kind, &payload));
        assert_eq!(refused, Err(TokenError::UnknownKey), "{kind}");
    }
    let sid = SessionId([9; 32]).to_string();
    let origin = r#""am_origin":{"app":"chat","epoch":[1,1]},"sid""#;
    for bad in [
        payload.replace(r#""sub""#, r#""nbf":1,"sub""#),
        payload.replace(r#""sub""#, r#""sub":"x","sub""#),
        payload.replace(r#""iat":1790000000"#, r#""iat":1.5"#),
        payload.replace(
            r#""https://files.internal""#,
            r#"["https://files.internal"]"#,
        ),
        payload.replace(&format!(r#","sid":"{sid}""#), ""),
        payload.replace(r#""sid""#, origin),
        payload.replace(&sid, "x"),
        payload.replace(r#""act":{"sub":"reports"}"#, r#""act":{"sub":"another"}"#),
        payload.replace(r#""client_id":"reports""#, r#""client_id":"Reports""#),
        payload.replace(&TokenId([5; 16]).to_string(), "x"),
        payload.clone() + "x",
        String::new(),
    ] {
        assert_ne!(bad, payload);
        let refused = check(&ring, &forged(&ring, AccessToken, &bad));
        assert_eq!(refused, Err(TokenError::Malformed), "{bad}");
    }
}

#[test]
fn no_single_byte_can_be_changed_or_cut() {
    let ring = ring_of(&master(), &[(AccessToken, Signing)]);
    let good = good(&ring);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
    for at in (0..good.len()).step_by(3).chain([good.len() - 1]) {
        assert!(check(&ring, &good[..at]).is_err());
        for symbol in alphabet.iter().skip(at % 17).step_by(17) {
            let mut changed = good.clone().into_bytes();
            if changed[at] == *symbol {
                continue;
            }
            changed[at] = *symbol;
            let changed = String::from_utf8(changed).unwrap();
            assert!(check(&ring, &changed).is_err(), "{at} {}", *symbol as char);
        }
    }
    for more in ["=", ".", "A", "AA"] {
        assert!(check(&ring, &format!("{good}{more}")).is_err());
    }
}

#[test]
fn what_would_be_too_long_is_not_minted_nor_looked_at() {
    let ring = ring_of(&master(), &[(AccessToken, Signing)]);
    let groups = (0..100)
        .map(|n| GroupName::new(format!("{n:0>200}")).unwrap())
        .collect();
    let long = About { groups, ..about() };
    let refused = token(&ring, &session(), &long);
    assert!(matches!(refused, Err(MintError::TooLong)));
    let long = format!("{}{}", good(&ring), "A".repeat(MAX_TOKEN));
    assert_eq!(check(&ring, &long), Err(TokenError::Oversize));
}

#[test]
fn corpus_replays() {
    let folder = format!("{}/fuzz/corpus/access-token", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        fuzz::fuzz_access_token(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 6, "{count}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)
    ) {
        fuzz::fuzz_access_token(&bytes);
    }
}

use super::*;
use crate::keys::testing::{Pair, master, ring_of};
use crate::store::KeyKind::{AccessToken, Session};
use crate::store::KeyState::{Announced, Retired, Revoked, Signing};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use uuid::Uuid;

const ISSUER: &str = "https://bridge.example.com";
const NOW: Timestamp = Timestamp(1_790_000_000);
const END: Timestamp = Timestamp(1_790_003_600);

fn host() -> HostName {
    HostName::new("chat.example.com").unwrap()
}

fn token(ring: &Ring) -> String {
    let new = NewToken {
        issuer: ISSUER,
        audience: &host(),
        session: SessionId([9; 32]),
        user: UserId(Uuid::from_u128(7)),
        issued_at: NOW,
        expires_at: END,
    };
    mint(ring, &new).unwrap()
}

fn check(ring: &Ring, token: &str) -> Result<SessionClaims, TokenError> {
    verify(ring, token, ISSUER, &host(), NOW)
}

#[test]
fn a_minted_token_verifies_and_is_short() {
    let ring = ring_of(&master(), &[(Session, Signing)]);
    let token = token(&ring);
    assert!(token.len() < 512, "{}", token.len());
    let claims = check(&ring, &token).unwrap();
    assert_eq!(claims.session(), SessionId([9; 32]));
    assert_eq!(claims.user(), UserId(Uuid::from_u128(7)));
    assert_eq!((claims.issued_at(), claims.expires_at()), (NOW, END));
}

#[test]
fn the_last_second_is_not_valid() {
    let ring = ring_of(&master(), &[(Session, Signing)]);
    let token = token(&ring);
    let at = |now| verify(&ring, &token, ISSUER, &host(), now);
    assert!(at(Timestamp(END.0 - 1)).is_ok());
    assert_eq!(at(END), Err(TokenError::Expired));
}

#[test]
fn another_issuer_or_host_is_refused() {
    let ring = ring_of(&master(), &[(Session, Signing)]);
    let token = token(&ring);
    let other = HostName::new("notes.example.com").unwrap();
    let (own, at) = (host(), |issuer, host| {
        verify(&ring, &token, issuer, host, NOW)
    });
    assert_eq!(at("https://other", &own), Err(TokenError::Issuer));
    assert_eq!(at(ISSUER, &other), Err(TokenError::Audience));
}

#[test]
fn a_token_is_found_among_the_hosts_it_may_be_for() {
    let ring = ring_of(&master(), &[(Session, Signing)]);
    let token = token(&ring);
    let other = HostName::new("notes.example.com").unwrap();
    let own = host();
    let find = |hosts: Vec<&_>| {
        let found = verify_for_any(&ring, &token, ISSUER, hosts, NOW);
        found.map(|(_, host)| host.as_str().to_owned())
    };
    assert_eq!(find(vec![&other, &own]).unwrap(), own.as_str());
    assert_eq!(find(vec![&other]), Err(TokenError::Audience));
    assert_eq!(find(Vec::new()), Err(TokenError::Audience));
}

#[test]
fn announced_and_retired_keys_verify_and_revoked_ones_do_not() {
    let master = master();
    for (state, accepted) in [(Announced, true), (Retired, true), (Revoked, false)] {
        let (pair, newer) = (Pair::new(Session), Pair::new(Session));
        let token = token(&pair.signing(&master));
        let keys = [
            pair.stored(&master, state, 1),
            newer.stored(&master, Signing, 2),
        ];
        let ring = Ring::new(&keys, &master).unwrap();
        assert_eq!(check(&ring, &token).is_ok(), accepted, "{state}");
        if !accepted {
            assert_eq!(check(&ring, &token), Err(TokenError::UnknownKey));
        }
    }
}

/// A payload and header of our choice, really signed by our key.
fn forged(pair: &Ed25519KeyPair, header: &str, payload: &str) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

#[test]
fn only_our_own_header_and_claims_are_accepted_even_if_signed() {
    let master = master();
    let pair = Pair::new(Session);
    let ring = pair.signing(&master);
    let kid = ring.signing(Session).unwrap().id().clone();
    let pair = Ed25519KeyPair::from_pkcs8(&pair.pkcs8).unwrap();
    let sid = SessionId([9; 32]);
    let sub = Uuid::from_u128(7);
    let header = format!(r#"{{"alg":"EdDSA","typ":"session+jwt","kid":"{kid}"}}"#);
    let claims = format!(
        r#"{{"iss":"{ISSUER}","aud":"chat.example.com","sub":"{sub}","sid":"{sid}","iat":1,"exp":{}}}"#,
        END.0
    );
    assert!(check(&ring, &forged(&pair, &header, &claims)).is_ok());

    for header in [
        header.replace("EdDSA", "none"),
        header.replace("EdDSA", "HS256"),
        header.replace("session+jwt", "JWT"),
        header.replace("session+jwt", "SESSION+JWT"),
        header.replace(r#","kid""#, r#","crit":["x"],"kid""#),
        header.replace(r#","kid""#, r#","b64":false,"kid""#),
        header.replace(r#","kid""#, r#", "kid""#),
        header.replace(r#""typ":"session+jwt","#, ""),
        r#"{"alg":"EdDSA","typ":"session+jwt"}"#.to_owned(),
    ] {
        let token = forged(&pair, &header, &claims);
        assert_eq!(
            check(&ring, &token),
            Err(TokenError::UnknownKey),
            "{header}"
        );
    }
    for claims in [
        claims.replace(r#","iat":1"#, ""),
        claims.replace(r#""iat":1"#, r#""iat":1,"nbf":1"#),
        claims.replace(r#""iat":1"#, r#""iat":1,"iat":1"#),
        claims.replace(r#""iat":1"#, r#""iat":1.5"#),
        claims.replace(r#""chat.example.com""#, r#"["chat.example.com"]"#),
        claims.replace(&sid.to_string(), "x"),
        claims.clone() + "x",
        String::new(),
    ] {
        let token = forged(&pair, &header, &claims);
        assert_eq!(check(&ring, &token), Err(TokenError::Malformed), "{claims}");
    }
}

#[test]
fn a_key_of_another_kind_makes_no_cookie() {
    let ring = ring_of(&master(), &[(Session, Signing), (AccessToken, Signing)]);
    let good = token(&ring);
    let rest = good.split_once('.').unwrap().1;
    let other = ring.signing(AccessToken).unwrap();
    let signed = format!("{}.{}", other.header(), rest.split_once('.').unwrap().0);
    let signature = URL_SAFE_NO_PAD.encode(other.sign(signed.as_bytes()).unwrap());
    let forged = format!("{signed}.{signature}");
    assert_eq!(check(&ring, &forged), Err(TokenError::UnknownKey));
}

#[test]
fn what_is_no_token_is_refused() {
    let ring = ring_of(&master(), &[(Session, Signing)]);
    let good = token(&ring);
    for (text, why) in [
        (String::new(), TokenError::Malformed),
        (
            "abcdefghijklmnopqrstuvwxyz".to_owned(),
            TokenError::Malformed,
        ),
        ("..".to_owned(), TokenError::UnknownKey),
        (good.clone() + "=", TokenError::Malformed),
        (good.clone() + ".", TokenError::UnknownKey),
        (good.clone() + "A", TokenError::Malformed),
        (good.clone() + "AA", TokenError::Signature),
        (good.clone() + "AAAA", TokenError::Signature),
        (format!("{good}{}", "A".repeat(1024)), TokenError::Oversize),
    ] {
        let refused = check(&ring, &text).unwrap_err();
        // What follows a token is refused, whichever check sees it first.
        if !text.starts_with(&good) || why == TokenError::Oversize {
            assert_eq!(refused, why, "{text}");
        }
    }
}

#[test]
fn no_single_byte_can_be_changed_or_cut() {
    let ring = ring_of(&master(), &[(Session, Signing)]);
    let good = token(&ring);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
    for at in 0..good.len() {
        assert!(check(&ring, &good[..at]).is_err());
        // Every symbol for the last byte of each part (trailing bits), a few elsewhere.
        let edge = good[at + 1..].starts_with('.') || at + 1 == good.len();
        let step = if edge { 1 } else { 13 };
        for symbol in alphabet.iter().skip(at % step).step_by(step) {
            let mut changed = good.clone().into_bytes();
            if changed[at] == *symbol {
                continue;
            }
            changed[at] = *symbol;
            let changed = String::from_utf8(changed).unwrap();
            assert!(check(&ring, &changed).is_err(), "{at} {}", *symbol as char);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC{0,200}", cut in 0_usize..500) {
        let ring = ring_of(&master(), &[(Session, Signing)]);
        prop_assert!(check(&ring, &text).is_err());
        let mut mixed = token(&ring);
        mixed.insert_str(cut.min(mixed.len()), &text);
        prop_assert_eq!(check(&ring, &mixed).is_ok(), text.is_empty());
    }
}

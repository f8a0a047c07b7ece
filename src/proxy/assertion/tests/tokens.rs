//! Tokens that are not what they seem (T3, T6, T7, T8, T9).

use super::*;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::{encoding::AsDer, hmac};
use proptest::prelude::*;

#[test]
fn a_good_token_is_read() {
    let (issuer, desk) = pair();
    let token = issuer.token(json!({}));
    // The second time by the remembered header.
    for _ in 0..2 {
        let verified = desk.read(&token).unwrap();
        assert_eq!(verified.issuer().as_str(), "pomerium");
        assert_eq!(verified.subject().as_str(), "alice");
        assert_eq!(verified.groups().len(), 2);
        assert!(verified.email_verified());
    }
}

#[test]
fn t34_what_is_printed_is_neither_personal_nor_usable() {
    let (issuer, desk) = pair();
    let token = issuer.token(json!({}));
    let raw = RawAssertion::from_text(&token).unwrap();
    let printed = format!("{raw:?} {:?}", desk.read(&token).unwrap());
    assert!(!printed.contains("alice@example.test") && !printed.contains(&token[..20]));
}

#[test]
fn t03_an_empty_assertion_names_the_signing_key() {
    let (_, desk) = pair();
    let refusal = desk.read("").unwrap_err();
    assert_eq!(refusal.code, Code::AssertionMalformed);
    assert!(refusal.reason.contains("signing_key"));
}

/// Puts another header before a good token's payload, signed with the right key.
fn with_header(header: &str) -> Code {
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let payload = URL_SAFE_NO_PAD
        .decode(good.split('.').nth(1).unwrap())
        .unwrap();
    // A remembered header must not make another one pass.
    desk.read(&good).unwrap();
    desk.refusal(&issuer.sign(header, std::str::from_utf8(&payload).unwrap()))
}

#[test]
fn t06_alg_none_is_refused() {
    for alg in ["none", "None", "NoNe", "NONE", ""] {
        let header = format!(r#"{{"alg":"{alg}","kid":"key-1"}}"#);
        assert_eq!(with_header(&header), Code::AssertionAlgorithm, "{alg}");
    }
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let payload = good.split('.').nth(1).unwrap();
    let bare = format!("{}.{payload}.", b64(r#"{"alg":"none","kid":"key-1"}"#));
    assert_eq!(desk.refusal(&bare), Code::AssertionMalformed);
}

#[test]
fn t06_other_algorithms_are_refused() {
    for alg in [
        "HS256", "ES384", "ES512", "PS256", "EdDSA", "es256", "ES256 ", "RS512", "ES256K",
    ] {
        let header = format!(r#"{{"alg":"{alg}","kid":"key-1"}}"#);
        assert_eq!(with_header(&header), Code::AssertionAlgorithm, "{alg}");
    }
    // RS256 is one we know, but not this key's.
    let other = r#"{"alg":"RS256","kid":"key-1"}"#;
    assert_eq!(with_header(other), Code::AssertionAlgorithm);
}

#[test]
fn t06_hs256_with_the_public_key_is_refused() {
    let (issuer, desk) = pair();
    let header = b64(r#"{"alg":"HS256","kid":"key-1","typ":"JWT"}"#);
    let payload = issuer
        .token(json!({}))
        .split('.')
        .nth(1)
        .unwrap()
        .to_owned();
    let signed = format!("{header}.{payload}");
    for secret in [
        issuer.jwks().into_bytes(),
        issuer.key.public_key().as_ref().to_vec(),
    ] {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &secret),
            signed.as_bytes(),
        );
        let token = format!("{signed}.{}", b64(tag.as_ref()));
        assert_eq!(desk.refusal(&token), Code::AssertionAlgorithm);
    }
}

#[test]
fn t06_header_members_that_bring_keys_or_rules_are_refused() {
    for member in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""jku":"https://evil.example/jwks.json""#,
        r#""x5u":"https://evil.example/cert""#,
        r#""x5c":["AAAA"]"#,
        r#""x5t":"AAAA""#,
        r#""jwk":{"kty":"EC"}"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""cty":"JWT""#,
        r#""enc":"A256GCM""#,
        r#""unknown":1"#,
        r#""alg":"ES256""#,
        r#""kid":"key-1""#,
        r#""\u006bid":"key-1""#,
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"key-1",{member}}}"#);
        assert_eq!(with_header(&header), Code::AssertionMalformed, "{member}");
    }
}

#[test]
fn t06_wrong_typ_is_refused() {
    for typ in [
        r#""JWE""#,
        r#""at+jwt""#,
        r#""session+jwt""#,
        r#""jwt""#,
        r#""""#,
        "1",
        "null",
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"key-1","typ":{typ}}}"#);
        assert_eq!(with_header(&header), Code::AssertionMalformed, "{typ}");
    }
}

#[test]
fn typ_may_be_absent_and_order_is_free() {
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let payload = URL_SAFE_NO_PAD
        .decode(good.split('.').nth(1).unwrap())
        .unwrap();
    let token = issuer.sign(
        r#" { "kid" : "key-1" , "alg" : "ES256" } "#,
        std::str::from_utf8(&payload).unwrap(),
    );
    assert!(desk.read(&token).is_ok());
}

#[test]
fn t06_odd_headers_are_refused() {
    for header in [
        "",
        "{}",
        "[]",
        "null",
        "1",
        r#"{"alg":"ES256"}"#,
        r#"{"kid":"key-1"}"#,
        r#"{"alg":"ES256","kid":""}"#,
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"alg":1,"kid":"key-1"}"#,
        r#"{"alg":["ES256"],"kid":"key-1"}"#,
        r#"{"alg":"ES256","kid":"key-1"}x"#,
        r#"{"alg":"ES256","kid":"key-1"}{}"#,
        r#"{'alg':'ES256'}"#,
    ] {
        assert_eq!(with_header(header), Code::AssertionMalformed, "{header}");
    }
    let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(2000));
    assert_eq!(with_header(&long), Code::AssertionMalformed);
}

#[test]
fn t06_kid_as_path_or_sql_is_only_an_unknown_key() {
    for kid in [
        "../../dev/null",
        "' OR 1=1 --",
        "key-1/../key-2",
        "KEY-1",
        "key-1 ",
        "/etc/passwd",
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
        assert_eq!(with_header(&header), Code::AssertionUnknownKey, "{kid}");
    }
}

/// Replaces the signature of a good token.
fn with_signature(signature: &[u8]) -> Code {
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let signed = good.rsplit_once('.').unwrap().0;
    desk.refusal(&format!("{signed}.{}", b64(signature)))
}

#[test]
fn t06_zero_signatures_are_refused() {
    // CVE-2022-21449: r = s = 0 verified anything.
    assert_eq!(with_signature(&[0; 64]), Code::AssertionSignature);
    let mut half = [0; 64];
    half[63] = 1;
    assert_eq!(with_signature(&half), Code::AssertionSignature);
    half.rotate_left(32);
    assert_eq!(with_signature(&half), Code::AssertionSignature);
    // The group's order, which is zero too.
    let mut order = N.to_vec();
    order.extend_from_slice(&N);
    assert_eq!(with_signature(&order), Code::AssertionSignature);
}

#[test]
fn t06_signatures_of_another_length_are_refused() {
    for length in [1, 32, 63, 65, 70, 72, 96, 128, 1024] {
        assert_eq!(
            with_signature(&vec![1; length]),
            Code::AssertionSignature,
            "{length}"
        );
    }
    assert_eq!(with_signature(&vec![1; 2000]), Code::AssertionMalformed);
}

/// The order of P-256's base point.
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// RFC 7518 §3.4 demands no low s, so the mirrored signature is valid too. It makes no second
/// assertion: what counts as used is the `jti`, never the token's bytes.
#[test]
fn t06_a_mirrored_signature_is_the_same_assertion() {
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (s, n) in bytes[32..].iter_mut().zip(N).rev() {
        let difference = i16::from(n) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        *s = difference.rem_euclid(256) as u8;
    }
    let mirrored = format!("{signed}.{}", b64(&bytes));
    assert_ne!(mirrored, good);
    let (one, two) = (desk.read(&good).unwrap(), desk.read(&mirrored).unwrap());
    assert_eq!(one.jti_hash(), two.jti_hash());
}

#[test]
fn t06_odd_shapes_are_refused() {
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let parts: Vec<_> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        unreachable!()
    };
    for token in [
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c",
        &format!("{header}.{payload}"),
        &format!("{header}.{payload}."),
        &format!(".{payload}.{signature}"),
        &format!("{header}..{signature}"),
        &format!("{good}."),
        &format!(".{good}"),
        &format!("{good}.{payload}.{signature}"),
        &format!("{good}="),
        &format!("{good}=="),
        &format!("{good} "),
        &format!(" {good}"),
        &format!("Bearer {good}"),
        &format!("{header}=.{payload}.{signature}"),
        &good.replace('.', ".."),
    ] {
        assert_eq!(desk.refusal(token), Code::AssertionMalformed, "{token}");
    }
}

#[test]
fn t06_base64_that_is_not_canonical_is_refused() {
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    // 64 bytes leave four unused bits in the last character: they must be zero.
    let last = good.chars().last().unwrap();
    let other = match last {
        'A' => 'B',
        'Q' => 'R',
        'g' => 'h',
        _ => 'x',
    };
    let token = format!("{}{other}", &good[..good.len() - 1]);
    assert_eq!(desk.refusal(&token), Code::AssertionMalformed);
    // The other alphabet is not ours.
    let (signed, _) = good.rsplit_once('.').unwrap();
    let plus = format!("{signed}.{}", "+/".repeat(43));
    assert_eq!(desk.refusal(&plus), Code::AssertionMalformed);
}

#[test]
fn t06_changed_payload_header_or_signature_is_refused() {
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let other = issuer.token(json!({ "sub": "admin", "user": "admin" }));
    let (signed, _) = other.rsplit_once('.').unwrap();
    let (_, signature) = good.rsplit_once('.').unwrap();
    let mixed = format!("{signed}.{signature}");
    assert_eq!(desk.refusal(&mixed), Code::AssertionSignature);
    // Another key that claims this kid.
    let stranger = Issuer::new("key-1");
    assert_eq!(
        desk.refusal(&stranger.token(json!({}))),
        Code::AssertionSignature
    );
}

#[test]
fn t06_oversize_is_refused_before_anything_is_read() {
    let (_, desk) = pair();
    assert_eq!(desk.refusal(&"a".repeat(65_537)), Code::AssertionOversize);
}

#[test]
fn t06_nested_tokens_are_refused() {
    let (issuer, desk) = pair();
    let inner = issuer.token(json!({}));
    let nested = issuer.sign(&issuer.header(), &inner);
    assert_eq!(desk.refusal(&nested), Code::AssertionClaims);
    let quoted = issuer.sign(&issuer.header(), &format!("\"{inner}\""));
    assert_eq!(desk.refusal(&quoted), Code::AssertionClaims);
}

#[test]
fn rs256_verifies_with_its_own_key_only() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = rsa.public_key();
    let jwk = json!({
        "kty": "RSA", "kid": "rsa-1", "use": "sig", "alg": "RS256",
        "n": b64(public.modulus().big_endian_without_leading_zero()),
        "e": b64(public.exponent().big_endian_without_leading_zero()),
    });
    let ec = Issuer::new("key-1");
    let desk = Desk::new(&json!({ "keys": [jwk, ec.jwk()] }).to_string());
    let good = ec.token(json!({}));
    let payload = good.split('.').nth(1).unwrap();
    let sign = |header: &str| {
        let signed = format!("{}.{payload}", b64(header));
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{signed}.{}", b64(signature))
    };
    assert!(desk.read(&good).is_ok());
    assert!(
        desk.read(&sign(r#"{"alg":"RS256","kid":"rsa-1","typ":"JWT"}"#))
            .is_ok()
    );
    let mixed = sign(r#"{"alg":"ES256","kid":"rsa-1"}"#);
    assert_eq!(desk.refusal(&mixed), Code::AssertionAlgorithm);
    let other_key = sign(r#"{"alg":"ES256","kid":"key-1"}"#);
    assert_eq!(desk.refusal(&other_key), Code::AssertionSignature);
    let _ = public.as_der();
}

#[test]
fn t08_key_sets_are_read_one_by_one_and_bounded() {
    let good = Issuer::new("good");
    let skip = json!({ "keys": [
        { "kty": "OKP", "crv": "X25519", "kid": "pomerium/hpke", "x": b64([1; 32]) },
        { "kty": "oct", "kid": "secret", "k": "AAAA", "alg": "HS256" },
        { "kty": "EC", "crv": "P-384", "kid": "p384", "alg": "ES256", "x": b64([1; 48]), "y": b64([1; 48]) },
        { "kty": "EC", "crv": "P-256", "kid": "off-curve", "x": b64([1; 32]), "y": b64([1; 32]) },
        { "kty": "EC", "crv": "P-256", "kid": "short", "x": b64([1; 31]), "y": b64([1; 32]) },
        { "kty": "RSA", "kid": "rsa-1024", "n": b64([0xff; 128]), "e": "AQAB" },
        { "kty": "RSA", "kid": "rsa-padded", "n": b64([&[0; 128][..], &[0xff; 128]].concat()), "e": "AQAB" },
        { "kty": "XYZ", "kid": "new" },
        "text", 1, null,
        with(Issuer::new("odd-0").jwk(), "use", json!("enc")),
        with(Issuer::new("odd-1").jwk(), "alg", json!("ES384")),
        with(Issuer::new("odd-2").jwk(), "alg", json!("RS256")),
        with(Issuer::new("odd-3").jwk(), "key_ops", json!(["sign"])),
        with(good.jwk(), "kid", json!("")),
        with(good.jwk(), "kid", Value::Null),
        good.jwk(),
        Issuer::new("good").jwk(),
    ]});
    let set = KeySet::parse(skip.to_string().as_bytes(), ALGORITHMS).unwrap();
    assert_eq!(set.kids().collect::<Vec<_>>(), ["good"]);
    assert_eq!(set.skipped(), 18);
    let parse = |text: &str| KeySet::parse(text.as_bytes(), ALGORITHMS).map(|set| set.len());
    assert_eq!(parse(r#"{"keys":null}"#), Err(KeySetError::Empty));
    assert_eq!(parse(r#"{"keys":[]}"#), Err(KeySetError::Empty));
    assert_eq!(parse("{}"), Err(KeySetError::Empty));
    assert_eq!(parse("[]"), Err(KeySetError::NotJwks));
    assert_eq!(parse("<html>"), Err(KeySetError::NotJwks));
    assert!(matches!(
        parse(r#"{"keys":[{}]}"#),
        Err(KeySetError::NoneUsable(_))
    ));
    let many = json!({ "keys": vec![good.jwk(); 65] }).to_string();
    assert_eq!(parse(&many), Err(KeySetError::TooMany));
    assert_eq!(parse(&" ".repeat(2 << 20)), Err(KeySetError::TooLong));
}

fn with(mut jwk: Value, member: &str, value: Value) -> Value {
    jwk[member] = value;
    jwk
}

#[test]
fn corpus_replays() {
    for (folder, entry) in [
        ("assertion", fuzz::fuzz_assertion as fn(&[u8])),
        ("claims", fuzz::fuzz_claims),
        ("jwks", fuzz::fuzz_jwks),
    ] {
        let folder = format!("{}/fuzz/corpus/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            entry(&std::fs::read(file.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz::fuzz_assertion(&data);
        fuzz::fuzz_claims(&data);
        fuzz::fuzz_jwks(&data);
    }

    #[test]
    fn t06_no_flipped_bit_of_a_token_passes(at in 0..10_000usize, bit in 0..7u8) {
        let (issuer, desk) = pair();
        let mut token = issuer.token(json!({})).into_bytes();
        let at = at % token.len();
        token[at] ^= 1 << bit;
        if let Ok(raw) = RawAssertion::from_text(&String::from_utf8_lossy(&token)) {
            prop_assert!(desk.verifier.verify(&raw, &desk.host).is_err());
        }
    }
}

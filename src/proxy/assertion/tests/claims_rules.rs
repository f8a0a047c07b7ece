//! Claims that are not as they must be (T5, T6, T7, T15, T35, T39).

use super::*;

fn judged(changes: Value) -> Result<Verified<Assertion>, Code> {
    let (issuer, desk) = pair();
    desk.read(&issuer.token(changes))
        .map_err(|refusal| refusal.code)
}

fn refused(changes: Value) -> Code {
    judged(changes.clone())
        .err()
        .unwrap_or_else(|| panic!("{changes} passed"))
}

/// A payload written by hand.
fn raw(payload: &str) -> Code {
    let (issuer, desk) = pair();
    desk.refusal(&issuer.sign(&issuer.header(), payload))
}

#[test]
fn t05_a_valid_signature_about_nobody_is_nobody() {
    let nobody = json!({ "sub": "", "user": "", "sid": "", "email": "", "name": "", "groups": [] });
    assert_eq!(refused(nobody), Code::AssertionAnonymous);
    assert_eq!(
        refused(json!({ "sub": "", "user": "" })),
        Code::AssertionAnonymous
    );
    assert_eq!(refused(json!({ "sid": "" })), Code::AssertionClaims);
    assert_eq!(refused(json!({ "sid": null })), Code::AssertionClaims);
    assert_eq!(refused(json!({ "sub": null })), Code::AssertionClaims);
    assert_eq!(refused(json!({ "user": "bob" })), Code::AssertionClaims);
    assert_eq!(refused(json!({ "sub": "" })), Code::AssertionClaims);
    assert!(judged(json!({ "user": null })).is_ok());
}

#[test]
fn t07_a_token_for_another_app_is_refused() {
    for aud in [
        "wiki.example.com",
        "chat.example.com:443",
        "chat.example.com.",
        "",
        "*",
        "example.com",
        "xchat.example.com",
    ] {
        assert_eq!(
            refused(json!({ "aud": aud })),
            Code::AssertionAudience,
            "{aud}"
        );
    }
    assert_eq!(refused(json!({ "aud": null })), Code::AssertionAudience);
    assert!(judged(json!({ "aud": "CHAT.Example.com", "iss": "CHAT.Example.com" })).is_ok());
}

#[test]
fn t07_the_issuer_is_the_host_or_its_uri() {
    for iss in [
        "https://chat.example.com/",
        "HTTPS://chat.example.com/",
        "chat.EXAMPLE.com",
    ] {
        let ok = !iss.starts_with("HTTPS");
        assert_eq!(judged(json!({ "iss": iss })).is_ok(), ok, "{iss}");
    }
    for iss in [
        "https://chat.example.com",
        "http://chat.example.com/",
        "chat.example.com/",
        "",
        "https://evil.example/",
        "evil.example",
        "https://https://chat.example.com//",
        "https://chat.example.com/x/",
    ] {
        assert_eq!(
            refused(json!({ "iss": iss })),
            Code::AssertionIssuer,
            "{iss}"
        );
    }
    assert_eq!(refused(json!({ "iss": null })), Code::AssertionIssuer);
}

#[test]
fn t06_an_audience_array_is_refused() {
    for aud in [
        json!(["chat.example.com"]),
        json!([]),
        json!(["chat.example.com", "x"]),
    ] {
        assert_eq!(refused(json!({ "aud": aud })), Code::AssertionAudience);
    }
    for aud in [json!(1), json!({ "a": 1 }), json!(true)] {
        assert_eq!(refused(json!({ "aud": aud })), Code::AssertionClaims);
    }
}

#[test]
fn t06_times_are_whole_numbers() {
    for name in ["iat", "exp", "nbf"] {
        for value in [
            json!(1.5),
            json!("1795247900"),
            json!(true),
            json!([]),
            json!(u64::MAX),
        ] {
            assert_eq!(
                refused(json!({ name: value })),
                Code::AssertionClaims,
                "{name}"
            );
        }
    }
    assert_eq!(refused(json!({ "exp": null })), Code::AssertionClaims);
    assert_eq!(refused(json!({ "iat": null })), Code::AssertionClaims);
    let written = |exp: &str| {
        format!(
            r#"{{"aud":"chat.example.com","iss":"chat.example.com","iat":{NOW},"exp":{exp},"jti":"j","sub":"a","sid":"s"}}"#
        )
    };
    assert_eq!(raw(&written("1795247900.0")), Code::AssertionClaims);
    assert_eq!(raw(&written("1.7952479e9")), Code::AssertionClaims);
    assert_eq!(raw(&written("01795247900")), Code::AssertionClaims);
    assert_eq!(
        raw(&written("99999999999999999999999")),
        Code::AssertionClaims
    );
    assert_eq!(
        raw(&written("9223372036854775807")),
        Code::AssertionLifetime
    );
    assert_eq!(raw(&written("-1")), Code::AssertionLifetime);
}

#[test]
fn t06_duplicate_claims_are_refused() {
    for twice in [
        r#"{"sub":"a","sub":"admin"}"#,
        r#"{"sub":"a","\u0073ub":"admin"}"#,
        r#"{"x":1,"x":2}"#,
        r#"{"groups":[],"groups":["admins"]}"#,
        r#"{"exp":1,"exp":2}"#,
        r#"{"aud":"a","aud":"b"}"#,
        r#"{"email_verified":"false","email_verified":"true"}"#,
    ] {
        assert_eq!(raw(twice), Code::AssertionClaims, "{twice}");
    }
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let json = URL_SAFE_NO_PAD
        .decode(good.split('.').nth(1).unwrap())
        .unwrap();
    let json = String::from_utf8(json).unwrap();
    let doubled = json.replacen('{', r#"{"sub":"admin","#, 1);
    assert_eq!(
        desk.refusal(&issuer.sign(&issuer.header(), &doubled)),
        Code::AssertionClaims
    );
}

#[test]
fn t06_trailing_bytes_and_other_json_are_refused() {
    let (issuer, desk) = pair();
    let good = issuer.token(json!({}));
    let json = URL_SAFE_NO_PAD
        .decode(good.split('.').nth(1).unwrap())
        .unwrap();
    let json = String::from_utf8(json).unwrap();
    for payload in [
        format!("{json}{json}"),
        format!("{json}\0"),
        format!("{json},"),
        format!("\u{feff}{json}"),
        "[]".to_owned(),
        "null".to_owned(),
        "{".to_owned(),
        format!("{{\"groups\":{}{}}}", "[".repeat(300), "]".repeat(300)),
    ] {
        let token = issuer.sign(&issuer.header(), &payload);
        assert_eq!(desk.refusal(&token), Code::AssertionClaims);
    }
    let many: serde_json::Map<_, _> = (0..100).map(|n| (format!("x{n}"), json!(n))).collect();
    assert_eq!(refused(Value::Object(many)), Code::AssertionClaims);
}

#[test]
fn t06_claims_of_another_type_are_refused() {
    for name in [
        "sub",
        "sid",
        "jti",
        "email",
        "name",
        "iss",
        "user",
        "preferred_username",
    ] {
        for value in [json!(1), json!(["a"]), json!({}), json!(true)] {
            assert_eq!(
                refused(json!({ name: value })),
                Code::AssertionClaims,
                "{name}"
            );
        }
    }
    for groups in [
        json!("admins"),
        json!([1]),
        json!([["a"]]),
        json!({ "a": 1 }),
    ] {
        assert_eq!(refused(json!({ "groups": groups })), Code::AssertionClaims);
    }
    assert_eq!(refused(json!({ "jti": null })), Code::AssertionClaims);
    assert_eq!(refused(json!({ "jti": "" })), Code::AssertionClaims);
}

#[test]
fn t35_edges_of_time_with_leeway() {
    let (issuer, desk) = pair();
    let token = issuer.token(json!({ "iat": NOW, "exp": NOW + 300 }));
    for (at, expected) in [
        (NOW - 31, Some(Code::AssertionNotYetValid)),
        (NOW - 30, None),
        (NOW, None),
        (NOW + 300, None),
        (NOW + 329, None),
        (NOW + 330, Some(Code::AssertionExpired)),
        (NOW + 1_000_000, Some(Code::AssertionExpired)),
        (i64::MAX, Some(Code::AssertionExpired)),
        (0, Some(Code::AssertionNotYetValid)),
        (i64::MIN, Some(Code::AssertionNotYetValid)),
    ] {
        desk.clock.set(Timestamp(at));
        assert_eq!(desk.read(&token).err().map(|r| r.code), expected, "{at}");
    }
    // A clock that jumped and came back judges as before.
    desk.clock.set(Timestamp(NOW));
    assert!(desk.read(&token).is_ok());
}

#[test]
fn t35_lifetime_and_not_before() {
    for (iat, exp, expected) in [
        (NOW, NOW + 600, None),
        (NOW, NOW + 601, Some(Code::AssertionLifetime)),
        (NOW, NOW, Some(Code::AssertionLifetime)),
        (NOW, NOW - 1, Some(Code::AssertionLifetime)),
        (i64::MIN, i64::MAX, Some(Code::AssertionLifetime)),
    ] {
        let judged = judged(json!({ "iat": iat, "exp": exp }));
        assert_eq!(judged.err(), expected, "{iat} {exp}");
    }
    assert!(judged(json!({ "nbf": NOW + 30 })).is_ok());
    assert_eq!(
        refused(json!({ "nbf": NOW + 31 })),
        Code::AssertionNotYetValid
    );
}

#[test]
fn t15_an_odd_address_is_left_out_and_never_verified() {
    let odd = judged(json!({ "email": "a@b@example.test" })).unwrap();
    assert_eq!(odd.email(), "");
    assert!(odd.email_left_out() && !odd.email_verified());
    let none = judged(json!({ "email": "" })).unwrap();
    assert!(!none.email_left_out() && !none.email_verified());
    for (value, verified) in [
        (json!("true"), true),
        (json!(true), true),
        (json!("True"), false),
        (json!("false"), false),
        (json!(false), false),
        (json!("1"), false),
        (Value::Null, false),
    ] {
        let judged = judged(json!({ "email_verified": value })).unwrap();
        assert_eq!(judged.email_verified(), verified, "{value}");
    }
}

#[test]
fn t39_control_characters_reach_no_line() {
    for name in ["sub", "sid"] {
        for bad in ["a\r\nSet-Cookie: x=y", "a\0b", "\u{85}"] {
            let changes = json!({ name: bad, "user": null });
            assert_eq!(refused(changes), Code::AssertionClaims, "{name}");
        }
    }
    let long = "g".repeat(256);
    let groups = json!(["ok", "a\r\nb", "", long, "team:ok, with comma"]);
    let some = judged(json!({ "groups": groups, "name": "A\r\nB" })).unwrap();
    assert_eq!(some.name(), "AB");
    let kept: Vec<_> = some.groups().iter().map(|g| g.as_str()).collect();
    assert_eq!(kept, ["ok", "team:ok, with comma"]);
    assert_eq!(some.groups_dropped(), 3);
}

#[test]
fn groups_are_bounded() {
    let groups =
        |count| json!({ "groups": (0..count).map(|n| format!("g{n}")).collect::<Vec<_>>() });
    assert_eq!(judged(groups(2000)).unwrap().groups().len(), 2000);
    assert_eq!(refused(groups(2001)), Code::AssertionClaims);
    assert!(
        judged(json!({ "groups": null }))
            .unwrap()
            .groups()
            .is_empty()
    );
}

//! Whole heads through the station.

use super::fuzz::LIMITS;
use super::*;
use http::{Request, Version};
use proptest::prelude::*;

/// A GET of `target` with these header lines and a Host.
fn head(target: &str, lines: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(target);
    if !lines
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        request = request.header("host", "chat.example.com");
    }
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn cleaned(lines: &[(&str, &str)]) -> CleanRequest {
    clean(head("/a?b=1", lines), &LIMITS).unwrap()
}

fn refused(parts: Parts) -> Code {
    clean(parts, &LIMITS).unwrap_err().code
}

#[test]
fn t01_imitations_are_refused_and_other_odd_names_dropped() {
    for name in [
        "X_Pomerium_Jwt_Assertion",
        "X-Pomerium_Jwt-Assertion",
        "X.Pomerium.Jwt.Assertion",
        "x_forwarded_host",
        "X_Forwarded_User",
        "Mattermost_User_Id",
        "X_MM_Anything",
        "sec_fetch_site",
        "content_length",
        "x_envoy_foo",
    ] {
        assert_eq!(
            refused(head("/", &[(name, "x")])),
            Code::RequestHeader,
            "{name}"
        );
    }
    assert!(
        cleaned(&[("x_foo", "1"), ("x.bar", "2"), ("accept", "*/*")])
            .headers()
            .len()
            == 1
    );
}

#[test]
fn t02_connection_options_take_away_nothing_that_decides() {
    let clean = cleaned(&[
        (
            "connection",
            "close, X-Pomerium-Jwt-Assertion, Origin, sec-fetch-site, Cookie, Authorization, \
             content-type, X-CSRF-Token, X-Gone",
        ),
        ("x-pomerium-jwt-assertion", "a.b.c"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("cookie", "a=1"),
        ("authorization", "Bearer x"),
        ("content-type", "text/plain"),
        ("x-csrf-token", "t"),
        ("x-gone", "1"),
        ("keep-alive", "1"),
    ]);
    assert!(clean.assertion().is_some());
    assert_eq!(clean.origin(), Some("https://evil.example"));
    assert_eq!(clean.sec_fetch_site(), Some("cross-site"));
    assert_eq!(clean.cookie("a"), Some("1"));
    assert_eq!(clean.csrf_token(), Some("t"));
    assert!(clean.authorization().is_some());
    for gone in [
        "x-gone",
        "connection",
        "keep-alive",
        "cookie",
        "authorization",
    ] {
        assert!(!clean.headers().contains_key(gone), "{gone}");
    }
    assert!(clean.headers().contains_key("content-type"));
    let many = vec!["x"; 40].join(",");
    assert_eq!(
        refused(head("/", &[("connection", &many)])),
        Code::RequestHeader
    );
    assert_eq!(
        refused(head("/", &[("connection", "a b")])),
        Code::RequestHeader
    );
}

#[test]
fn t03_two_assertions_are_never_one() {
    let name = "x-pomerium-jwt-assertion";
    let two = head("/", &[(name, "a.b.c"), (name, "a.b.c")]);
    assert_eq!(refused(two), Code::AssertionDuplicate);
    assert_eq!(
        refused(head("/", &[(name, "a.b.c, d.e.f")])),
        Code::AssertionDuplicate
    );
    // None and an empty one are found by later stations.
    assert!(cleaned(&[]).assertion().is_none());
    assert!(cleaned(&[(name, "")]).assertion().unwrap().is_empty());
}

#[test]
fn t04_t13_t23_foreign_identity_and_credentials_go() {
    let clean = cleaned(&[
        ("x-pomerium-jwt-assertion-for", "FAKE"),
        ("x-pomerium-claim-email", "admin@example.com"),
        ("x-pomerium-set-cookie", "a=b"),
        ("x-pomerium-authorization", "T"),
        ("x-envoy-original-path", "/admin"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-for", "6.6.6.6, 10.0.0.9,203.0.113.5"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "for=1"),
        ("x-real-ip", "1"),
        ("true-client-ip", "1"),
        ("proxy-authorization", "Basic x"),
        ("authorization", "Bearer app-token"),
        ("x-cloud-token", "1"),
        ("x-remotecluster-token", "1"),
        ("mattermost-user-id", "1"),
        ("x-mm-foo", "1"),
        ("token", "1"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-request-id", "4b626478-d4b7-4110-bc0f-3222dd0e6ef3"),
        ("x-mobile-app", "1"),
        ("accept", "*/*"),
        ("te", "gzip, trailers"),
        ("trailer", "x"),
        ("expect", "100-continue"),
    ]);
    let mut left: Vec<_> = clean.headers().keys().map(|n| n.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["accept", "te", "x-mobile-app"]);
    assert_eq!(clean.headers()["te"], "trailers");
    assert_eq!(clean.client_ip(), "203.0.113.5".parse().ok());
    assert_eq!(
        clean.request_id(),
        Some("4b626478-d4b7-4110-bc0f-3222dd0e6ef3")
    );
    assert_eq!(clean.host().as_str(), "chat.example.com");
}

#[test]
fn a_request_id_that_would_break_a_log_line_is_none() {
    for bad in ["a b", "a\"b", "", &"x".repeat(65)] {
        assert_eq!(
            cleaned(&[("x-request-id", bad)]).request_id(),
            None,
            "{bad:?}"
        );
    }
}

#[test]
fn t21_ambiguous_framing_is_refused() {
    for lines in [
        &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
        &[("content-length", "5"), ("content-length", "5")],
        &[("content-length", "+5")],
        &[("content-length", "5, 5")],
        &[("content-length", "")],
        &[("content-length", "99999999999999999999")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "identity")],
        &[
            ("transfer-encoding", "chunked"),
            ("transfer-encoding", "chunked"),
        ],
        &[("expect", "200-ok")],
        &[("upgrade", "h2c"), ("connection", "upgrade")],
        &[("upgrade", "websocket")],
        &[
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("content-length", "1"),
        ],
        &[("upgrade", "websocket, h2c"), ("connection", "upgrade")],
    ] {
        assert_eq!(refused(head("/", lines)), Code::RequestFraming, "{lines:?}");
    }
    let mut old = head("/", &[]);
    old.version = Version::HTTP_10;
    assert_eq!(refused(old), Code::RequestFraming);
    for method in ["TRACE", "CONNECT", "trace", "TRACK"] {
        let mut parts = head("/", &[]);
        parts.method = method.parse().unwrap();
        assert_eq!(refused(parts), Code::RequestMethod, "{method}");
    }
}

#[test]
fn t21_http2_has_no_connection_headers() {
    let h2 = |lines: &[(&str, &str)]| {
        let mut parts = head("https://chat.example.com/", lines);
        parts.version = Version::HTTP_2;
        parts
    };
    for line in [
        ("connection", "close"),
        ("keep-alive", "1"),
        ("proxy-connection", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
    ] {
        assert_eq!(refused(h2(&[line])), Code::RequestFraming, "{line:?}");
    }
    assert!(clean(h2(&[("te", "trailers")]), &LIMITS).is_ok());
    let mut bare = h2(&[]);
    bare.headers.clear();
    assert_eq!(
        clean(bare, &LIMITS).unwrap().host().as_str(),
        "chat.example.com"
    );
}

#[test]
fn t14_host_and_absolute_target_agree_or_are_refused() {
    let ok = head(
        "http://CHAT.example.com:8443/a",
        &[("host", "chat.example.com:8443")],
    );
    assert_eq!(
        clean(ok, &LIMITS).unwrap().host().as_str(),
        "chat.example.com"
    );
    for (target, host) in [
        ("http://evil.example/a", "chat.example.com"),
        ("http://chat.example.com:1/a", "chat.example.com"),
        ("http://u@chat.example.com/a", "chat.example.com"),
        ("/a", "chat.example.com:x"),
        ("/a", "chat.example.com:"),
        ("/a", "chat.example.com."),
        ("/a", "a b"),
        ("/a", ""),
        ("/a", "u@chat.example.com"),
        ("/a", "chat.example.com, evil.example"),
    ] {
        let parts = head(target, &[("host", host)]);
        assert_eq!(refused(parts), Code::RequestMalformed, "{target} {host}");
    }
    let two = head("/", &[("host", "a.example"), ("host", "a.example")]);
    assert_eq!(refused(two), Code::RequestMalformed);
    let mut none = head("/", &[]);
    none.headers.clear();
    assert_eq!(refused(none), Code::RequestMalformed);
    assert_eq!(refused(head("*", &[])), Code::RequestPath);
}

#[test]
fn t14_the_path_judged_is_the_path_forwarded() {
    let clean = clean(
        head("/api/v4/files/caf%C3%A9%20x?a=b%20c&access_token=s&d", &[]),
        &LIMITS,
    )
    .unwrap();
    assert_eq!(clean.path(), "/api/v4/files/caf%C3%A9%20x");
    assert_eq!(clean.query(), Some("a=b%20c&d"));
    assert_eq!(clean.target().path(), clean.path());
    assert_eq!(refused(head("/a/%2e%2e/b", &[])), Code::RequestPath);
    let fragment = super::clean(head("/a#/../b", &[]), &LIMITS).unwrap();
    assert_eq!(fragment.target(), "/a");
}

#[test]
fn headers_that_decide_have_one_line() {
    for name in [
        "origin",
        "sec-fetch-site",
        "authorization",
        "x-csrf-token",
        "content-type",
    ] {
        let two = head("/", &[(name, "a"), (name, "b")]);
        assert_eq!(refused(two), Code::RequestMalformed, "{name}");
    }
}

#[test]
fn websocket_upgrades_are_known_by_one_spelling() {
    let clean = cleaned(&[
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-key", "x"),
    ]);
    assert!(clean.is_upgrade());
    assert_eq!(clean.headers()["upgrade"], "websocket");
    assert_eq!(clean.headers()["connection"], "Upgrade");
    assert!(clean.headers().contains_key("sec-websocket-key"));
}

#[test]
fn t40_heads_above_the_limit_are_refused() {
    let limits = Limits {
        head: 300,
        ..LIMITS
    };
    let large = "x".repeat(300);
    let parts = head("/", &[("a", &large)]);
    assert_eq!(
        clean(parts, &limits).unwrap_err().code,
        Code::RequestTooLarge
    );
}

#[test]
fn what_is_printed_holds_no_secret() {
    let clean = cleaned(&[
        ("x-pomerium-jwt-assertion", "s3cret.b.c"),
        ("cookie", "a=s3cret"),
    ]);
    assert!(!format!("{clean:?} {:?}", clean.assertion()).contains("s3cret"));
}

#[test]
fn corpus_replays() {
    for (folder, entry) in [
        ("target", fuzz::fuzz_target as fn(&[u8])),
        ("request", fuzz::fuzz_request),
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
    #[test]
    fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz::fuzz_target(&data);
        fuzz::fuzz_request(&data);
    }

    #[test]
    fn arbitrary_heads_never_panic(name in "[A-Za-z._-]{1,30}", value in "[ -~]{0,40}") {
        let head = format!("GET /a?b HTTP/1.1\r\nHost: chat.example.com\r\n{name}: {value}\r\n\r\n");
        fuzz::fuzz_request(head.as_bytes());
    }
}

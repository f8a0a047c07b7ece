//! T21 and T14 on the wire: refused, or one request where the client sent one.

use super::send;

/// A second request hidden in what some parser takes for a body.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[tokio::test]
async fn t21_heads_with_two_readings_are_refused() {
    for (name, lines) in [
        ("CL differs", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("CL list", "Content-Length: 5, 5\r\n"),
        ("CL plus", "Content-Length: +5\r\n"),
        ("CL minus", "Content-Length: -0\r\n"),
        ("CL hex", "Content-Length: 0x5\r\n"),
        ("CL huge", "Content-Length: 99999999999999999999\r\n"),
        ("CL empty", "Content-Length:\r\n"),
        ("TE list", "Transfer-Encoding: gzip, chunked\r\n"),
        ("TE identity", "Transfer-Encoding: identity\r\n"),
        (
            "TE twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("TE cow", "Transfer-Encoding: cow\r\n"),
        ("TE tail", "Transfer-Encoding: chunked, identity\r\n"),
        ("TE quoted", "Transfer-Encoding: \"chunked\"\r\n"),
        ("TE vertical tab", "Transfer-Encoding: \u{b}chunked\r\n"),
        ("space before colon", "Content-Length : 5\r\n"),
        ("TE space before colon", "Transfer-Encoding : chunked\r\n"),
        ("obs-fold", "X-A: b\r\n c: d\r\n"),
        ("obs-fold TE", "Transfer-Encoding:\r\n chunked\r\n"),
        ("NUL in value", "X-A: b\0c\r\n"),
        ("NUL in name", "X\0A: b\r\n"),
        ("bare CR", "X-A: b\rc\r\n"),
        ("no colon", "X-A\r\n"),
        ("empty name", ": b\r\n"),
        ("non-ASCII name", "X-\u{e9}: b\r\n"),
        ("underscore CL", "Content_Length: 5\r\n"),
        ("underscore TE", "Transfer_Encoding: chunked\r\n"),
        ("Expect", "Expect: 200-maybe\r\n"),
        (
            "h2c",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
        ),
        ("two Hosts", "Host: b.example\r\n"),
    ] {
        let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n{HIDDEN}");
        let outcome = send(head.as_bytes()).await;
        assert!(
            !outcome
                .forwarded
                .iter()
                .any(|line| line.starts_with("POST")),
            "{name}: {outcome:?}"
        );
        assert_ne!(outcome.status, Some(200), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn t21_request_lines_with_two_readings_are_refused() {
    for line in [
        "GET /a HTTP/1.0",
        "GET /a HTTP/0.9",
        "GET /a HTTP/2.0",
        "GET /a",
        "GET  /a HTTP/1.1 x",
        "GET /a b HTTP/1.1",
        "TRACE /a HTTP/1.1",
        "CONNECT a.example:443 HTTP/1.1",
        "GET http://b.example/a HTTP/1.1",
        "GET //b.example/a HTTP/1.1",
        "GET /a/../b HTTP/1.1",
        "GET /a\\b HTTP/1.1",
        "GET /%2e%2e/b HTTP/1.1",
        "GET a HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ] {
        let outcome = send(format!("{line}\r\nHost: a.example\r\n\r\n").as_bytes()).await;
        assert!(outcome.forwarded.is_empty(), "{line}: {outcome:?}");
        assert_ne!(outcome.status, Some(200), "{line}");
    }
    let hostless = send(b"GET /a HTTP/1.1\r\n\r\n").await;
    assert!(hostless.forwarded.is_empty());
}

/// Where hyper decides alone (see `proxy/edge/mod.rs`), it must see one request.
#[tokio::test]
async fn t21_both_lengths_are_one_request_at_most() {
    let chunked = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    for lines in [
        format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}"),
        format!(
            "Content-Length: {0}\r\nContent-Length: {0}\r\n\r\n{HIDDEN}",
            HIDDEN.len()
        ),
        format!("Transfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("Transfer-Encoding: CHUNKED\r\n\r\n{chunked}"),
    ] {
        let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{lines}");
        let outcome = send(head.as_bytes()).await;
        let hidden = outcome.forwarded.iter().any(|line| line.starts_with("GET"));
        assert!(
            !hidden && outcome.forwarded.len() <= 1,
            "{lines}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn t21_broken_chunks_are_not_forwarded() {
    for body in [
        "5\r\nhello",
        "z\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "\r\n\r\n",
    ] {
        let head = format!(
            "POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        let outcome = send(head.as_bytes()).await;
        assert!(outcome.forwarded.is_empty(), "{body:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn honest_requests_pass_one_after_the_other() {
    let outcome = send(
        b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi\
          GET /b?c=d HTTP/1.1\r\nHost: a.example\r\n\r\n",
    )
    .await;
    assert_eq!(outcome.forwarded, ["POST /a hi", "GET /b?c=d"]);
    assert_eq!(outcome.status, Some(200));
}

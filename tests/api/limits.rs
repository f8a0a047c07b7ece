//! Floods, slow callers and the end (T40): bounded, and others are served.

use super::CLIENTS;
use crate::support::eventually;
use crate::support::services::{API, Services, Setup};
use crate::support::wire::exchange_raw;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn plain(listen: &str, limits: &str) -> Setup {
    Setup {
        tls: false,
        listen: listen.into(),
        limits: limits.into(),
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_who_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let services = Services::with(plain("rate = 1\nburst = 3", "")).await;
    let nobody = services.nobody();
    let token = services.token("asker", json!({}));
    let mut last = 0;
    for _ in 0..4 {
        last = nobody.bearing(CLIENTS, &token).await.status;
    }
    assert_eq!(last, 429);
    let answer = nobody.bearing(CLIENTS, &token).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "api.rate"));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    let other = services.token("admin", json!({}));
    assert_eq!(nobody.bearing(CLIENTS, &other).await.status, 200);
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(nobody.bearing(CLIENTS, &token).await.status, 200);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_a_slow_head_is_cut_and_a_large_one_refused() {
    let services = Services::with(plain(
        "",
        "head_timeout = \"1s\"\nhead = 16384\nassertion = 8192",
    ))
    .await;
    for begun in ["", "GET /api/v1/clients HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(services.api).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        let waited = began.elapsed();
        assert!(
            waited >= Duration::from_millis(900),
            "{begun:?}: {waited:?}"
        );
        assert!(waited < Duration::from_secs(20), "{begun:?}: {waited:?}");
    }
    let head = format!(
        "GET {CLIENTS} HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\nX-Long: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let answer = exchange_raw(services.api, head.as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(services.nobody().get(CLIENTS).await.status, 401);
    services.finish().await;
}

/// May change people.
const WRITER: &str = "[[clients]]\nid = \"writer\"\nscopes = [\"users:write\"]\n\
                      bearer = { issuer = \"services\", sub = \"writer\" }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_a_large_body_is_refused_and_a_slow_one_is_not_waited_for() {
    let mut setup = plain("body = \"1KiB\"\ntimeout = \"1s\"", "");
    setup.clients = WRITER.into();
    let services = Services::with(setup).await;
    let token = services.token("writer", json!({}));
    let head = format!(
        "POST /api/v1/users/0198a000-0000-7000-8000-000000000000/disable HTTP/1.1\r\nHost: {API}\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    );
    let reason = "x".repeat(2000);
    let body = format!("{{\"reason\":\"{reason}\"}}");
    let large = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let answer = exchange_raw(services.api, large.as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("api.too_large"), "{answer}");
    let began = Instant::now();
    let slow = format!("{head}Content-Length: 100\r\n\r\n{{\"reason\":");
    let answer = exchange_raw(services.api, slow.as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    // Who is not let in is answered before its body is read.
    let nobody = slow.replace(&token, "nobody");
    let answer = exchange_raw(services.api, nobody.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 401"));
    assert_eq!(services.nobody().get(CLIENTS).await.status, 401);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_connections_beyond_the_limit_wait_and_visitors_are_served_all_the_same() {
    let services = Services::with(plain("connections = 4", "head_timeout = \"2s\"")).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(TcpStream::connect(services.api).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let health = format!(
        "GET /.auth-manager/health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        services.world.host
    );
    let proxy = services.world.bridge.proxy;
    let answer = crate::support::wire::exchange(proxy, health.as_bytes()).await;
    assert_eq!(answer.status, 200);
    // The idle ones are cut as slow heads; then there is room.
    let began = Instant::now();
    let token = services.token("asker", json!({}));
    assert_eq!(services.nobody().bearing(CLIENTS, &token).await.status, 200);
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_of_a_service_does_not_hold_back_the_end() {
    let services = Services::start().await;
    let reader = services.named(&["reader.internal"]);
    assert_eq!(reader.get(CLIENTS).await.status, 200);
    let began = Instant::now();
    services.finish().await;
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert!(reader.try_get(CLIENTS).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_who_is_nobody_fills_no_log_and_is_counted_all_the_same() {
    let services = Services::with(plain("rate = 10000\nburst = 10000", "")).await;
    let nobody = services.nobody();
    for n in 0..120 {
        let answer = match n % 2 {
            0 => nobody.get(CLIENTS).await,
            _ => nobody.bearing(CLIENTS, "wrong").await,
        };
        assert_eq!(answer.status, 401);
    }
    // Who is known is not among them.
    let token = services.token("asker", json!({}));
    for _ in 0..20 {
        assert_eq!(nobody.bearing(CLIENTS, &token).await.status, 200);
    }
    let bridge = &services.world.bridge;
    eventually("a line of each request of who is known", async || {
        let log = bridge.output();
        let served = |line: &&str| line.contains("\"api request\"") && line.contains("asker");
        (log.lines().filter(served).count() == 20).then_some(())
    })
    .await;
    let log = bridge.output();
    let lines = |of: &str| log.lines().filter(|line| line.contains(of)).count();
    let refused = lines("\"api request refused\"");
    assert!((1..=20).contains(&refused), "{refused} lines");
    assert!(log.contains("peer_address"), "whoever it is can be found");
    let metrics = services.world.bridge.ops("/metrics").await.text();
    let counted = metrics
        .lines()
        .find(|line| line.contains("api.unauthenticated"));
    let counted = counted.and_then(|line| line.rsplit(' ').next());
    assert_eq!(counted, Some("120"), "{metrics}");
    services.finish().await;
}

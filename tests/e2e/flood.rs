//! Floods (T40): slow heads are cut, slow bodies are waited for without harm, many sockets cost
//! little, and whoever comes meanwhile is served.

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::taint::Taint;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::Options;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn connected(visitor: &Client, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(visitor.address)
        .await
        .expect("a listener");
    stream.write_all(bytes).await.expect("it reads");
    stream
}

fn short_heads(limits: &str) -> Settings {
    Settings {
        limits: format!("head_timeout = \"1s\"\n{limits}"),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_a_head_that_does_not_end_is_cut() {
    let world = World::with(short_heads(""), Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    let head = visitor.bytes(&visitor.api("GET", "/api/v4/users/me"));
    let slow = join_all((0..100).map(|n| {
        let part = head[..(n * 7) % (head.len() - 4)].to_vec();
        let visitor = visitor.clone();
        async move { connected(&visitor, &part).await }
    }))
    .await;
    assert_eq!(visitor.me().await["username"], "alice", "served meanwhile");
    let from = Instant::now();
    join_all(slow.into_iter().map(|mut stream| async move {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }))
    .await;
    assert!(
        from.elapsed() < Duration::from_secs(20),
        "{:?}",
        from.elapsed()
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_slow_bodies_hold_up_nobody() {
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    let slow = join_all((0..200).map(|n| {
        let path = ["/api/v4/posts", "/api/v4/users/me/patch"][n % 2];
        let method = ["POST", "PUT"][n % 2];
        let request = visitor
            .api(method, path)
            .header("Content-Type", "application/json")
            .header("Content-Length", "100000");
        let mut bytes = visitor.bytes(&request);
        bytes.extend_from_slice(b"{\"mess");
        let visitor = visitor.clone();
        async move { connected(&visitor, &bytes).await }
    }))
    .await;
    let mut other = world.signed_in(bob()).await;
    let message = serde_json::json!({ "channel_id": world.town_square(), "message": "in time" });
    let from = Instant::now();
    assert_eq!(other.post("/api/v4/posts", &message).await.status, 201);
    assert!(
        from.elapsed() < Duration::from_secs(10),
        "{:?}",
        from.elapsed()
    );
    drop(slow);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_a_flood_of_connections_passes_and_the_next_is_served() {
    let world = World::with(short_heads("connections = 16"), Options::default()).await;
    let visitor = world.signed_in(alice()).await;
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.push(connected(&visitor, b"GET / HT").await);
    }
    // Those within the limit are cut at the time-out for heads, and the next ones' turn comes.
    eventually("an answer in the flood", || {
        let mut tab = visitor.clone();
        async move { (tab.get("/api/v4/users/me").await.status == 200).then_some(()) }
    })
    .await;
    drop(flood);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_an_open_socket_takes_a_connections_place_until_it_ends() {
    let world = World::with(short_heads("connections = 16"), Options::default()).await;
    let visitor = world.signed_in(alice()).await;
    let mut sockets = Vec::new();
    for _ in 0..16 {
        let socket = visitor.clone().socket().await;
        sockets.push(socket.unwrap_or_else(|answer| panic!("{}", answer.text())));
    }
    let open = || async {
        let metrics = world.bridge.ops("/metrics").await.text();
        let line = "auth_manager_connections_open{listener=\"proxy\"} 16";
        metrics.lines().any(|l| l == line).then_some(())
    };
    eventually("every place taken by a socket", open).await;
    // Accepted by the kernel, not by the bridge: its answer waits for a place.
    let mut next = visitor.clone();
    let waiting = tokio::spawn(async move { next.get("/api/v4/users/me").await.status });
    eventually("every place taken still", open).await;
    assert!(!waiting.is_finished());
    drop(sockets.pop());
    assert_eq!(waiting.await.expect("an answer"), 200);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_two_thousand_idle_sockets_cost_little() {
    // Two handles each here, two in the bridge; `tests/run` raises the limit of open files.
    const SOCKETS: u64 = 2_000;
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let files = files.and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let sockets = SOCKETS.min((files.unwrap_or(1_024) - 400) / 2);
    let settings = Settings {
        log: "info".into(),
        ..Settings::default()
    };
    let world = World::with(settings, Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    let mut other = world.signed_in(bob()).await;
    // What the crowd sees is what one socket sees, and another story looks through that.
    let crowd = Client {
        taint: Taint::default(),
        ..visitor.clone()
    };
    let before = world.bridge.memory();
    let open: Vec<_> = stream::iter(0..sockets)
        .map(|_| crowd.socket())
        .buffer_unordered(50)
        .map(|socket| socket.unwrap_or_else(|answer| panic!("{}", answer.text())))
        .collect()
        .await;
    let each = world.bridge.memory().saturating_sub(before) / sockets;
    assert!(each < 96 * 1024, "{each} bytes a socket");
    assert_eq!(other.me().await["username"], "bob");
    assert_eq!(visitor.me().await["username"], "alice");
    // One cut for all of them.
    world.revoke(&alice()).await;
    join_all(open.into_iter().map(|socket| socket.ended())).await;
    world.finish().await;
}

//! Live messages: the upgrade is checked like any request, the tunnel is the app's own protocol
//! byte for byte, and a failed upgrade opens nothing (T26, T27, T28).

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::wire;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::Options;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_arrives_live_in_another_persons_socket() {
    let world = World::start().await;
    let mut writer = world.signed_in(bob()).await;
    let reader = world.signed_in(alice()).await;
    let mut socket = reader.socket().await.expect("a socket");
    let hello = socket.event("hello").await;
    assert!(hello["data"]["connection_id"].is_string());

    socket.send(&json!({ "action": "ping", "seq": 1 })).await;
    let pong = socket
        .message("the pong", |message| message["seq_reply"] == 1)
        .await;
    assert_eq!(pong["data"]["text"], "pong");

    let body = json!({ "channel_id": world.town_square(), "message": "live" });
    assert_eq!(writer.post("/api/v4/posts", &body).await.status, 201);
    let posted = socket.event("posted").await;
    assert!(
        posted["data"]["post"]
            .as_str()
            .expect("a text")
            .contains("live")
    );

    let seen = &world.arrived("/api/v4/websocket")[0];
    assert_eq!(seen.credentials.len(), 1, "{seen:?}");
    assert_eq!(
        seen.credentials[0].token,
        world.mattermost.sessions_of("alice")[0].token
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_socket_resumes_without_loss() {
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    let hello = socket.event("hello").await;
    let id = hello["data"]["connection_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    drop(socket);
    world
        .mattermost
        .post_as("admin", &world.town_square(), "meanwhile");
    let mut request = visitor.upgrade();
    request.target =
        format!("/api/v4/websocket?connection_id={id}&sequence_number=1&disconnect_err_code=1012");
    let mut socket = visitor.socket_by(request).await.expect("a socket");
    let posted = socket.event("posted").await;
    assert!(
        posted["data"]["post"]
            .as_str()
            .expect("a text")
            .contains("meanwhile")
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t28_an_upgrade_from_another_site_or_without_a_session_is_refused() {
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    world.mattermost.clear_journal();
    let refused = |request| {
        let visitor: &Client = &visitor;
        async move {
            let answer = visitor.socket_by(request).await;
            answer.map(|_| ()).expect_err("no socket").status
        }
    };
    for origin in [
        "https://evil.test",
        "null",
        "http://chat.example.test",
        "https://chat.example.test.evil.test",
    ] {
        let request = visitor.upgrade().without("Origin").header("Origin", origin);
        assert_eq!(refused(request).await, 403, "{origin}");
    }
    assert_eq!(
        refused(visitor.upgrade().without("Origin")).await,
        403,
        "no Origin at all"
    );
    assert_eq!(refused(visitor.upgrade().cookie("")).await, 401);
    assert!(matches!(
        refused(visitor.upgrade().assertions(&[])).await,
        400 | 401
    ));
    assert!(matches!(
        refused(visitor.upgrade().assertions(&["a.b.c"])).await,
        400 | 401
    ));
    assert!(world.mattermost.journal().is_empty(), "the app heard of it");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_nothing_slips_through_behind_a_failed_upgrade() {
    // T27: bytes behind a refused handshake are a new request, checked like any other, or nothing.
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    world.mattermost.clear_journal();
    let bad = visitor
        .upgrade()
        .without("Origin")
        .header("Origin", "https://evil.test");
    let mut bytes = visitor.bytes(&bad);
    bytes.extend_from_slice(
        b"GET /api/v4/users/me HTTP/1.1\r\nHost: chat.example.test\r\nX-Smuggled: 1\r\n\r\n",
    );
    let mut stream = TcpStream::connect(visitor.address)
        .await
        .expect("the bridge listens");
    stream.write_all(&bytes).await.expect("the bridge reads");
    let first = wire::read_response(&mut stream, false)
        .await
        .expect("an answer");
    assert_eq!(first.status, 403);
    if let Some(second) = wire::read_response(&mut stream, false).await {
        assert!(matches!(second.status, 400 | 401), "{}", second.status);
    }
    assert!(world.mattermost.journal().is_empty());

    // The app's own no is passed on, and opens no tunnel either.
    let mut request = visitor.upgrade();
    request.target = "/api/v4/users/me".into();
    let mut stream = TcpStream::connect(visitor.address)
        .await
        .expect("the bridge listens");
    stream
        .write_all(&visitor.bytes(&request))
        .await
        .expect("the bridge reads");
    let answer = wire::read_response(&mut stream, false)
        .await
        .expect("an answer");
    assert_ne!(answer.status, 101);
    let mut rest = Vec::new();
    stream.write_all(b"\x81\x05hello").await.ok();
    stream.read_to_end(&mut rest).await.ok();
    assert!(
        !String::from_utf8_lossy(&rest).contains("alice"),
        "{rest:?}"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_told_to_come_back_when_the_bridge_stops() {
    let mut world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    let (end, code) = tokio::join!(socket.ended(), world.bridge.stop());
    assert!(
        matches!(end, crate::support::socket::End::Closed(Some(1001 | 1012))),
        "{end:?}"
    );
    assert_eq!(code, Some(0));

    // And everyone is still signed in afterwards.
    world.bridge.restart().await;
    let mut visitor = Client {
        address: world.bridge.proxy,
        ..visitor
    };
    assert_eq!(visitor.me().await["username"], "alice");
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_leaves_says_so_before_it_stops_serving() {
    let mut world = World::with(
        Settings {
            limits: "notice = \"3s\"".into(),
            ..Settings::default()
        },
        Options::default(),
    )
    .await;
    let mut visitor = world.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    assert_eq!(health(&world).await, 200);
    assert_eq!(world.bridge.ops("/readyz").await.status, 200);

    let told = tokio::time::Instant::now();
    world.bridge.terminate();
    while health(&world).await != 503 {
        assert!(told.elapsed() < crate::support::PATIENCE, "never said so");
    }
    // Who still asks is served, on new connections as well, and sockets stay.
    assert_eq!(visitor.me().await["username"], "alice");
    assert_eq!(world.bridge.ops("/readyz").await.status, 503);
    let (end, code) = tokio::join!(socket.ended(), world.bridge.ended());
    assert!(
        matches!(end, crate::support::socket::End::Closed(Some(1001 | 1012))),
        "{end:?}"
    );
    assert!(told.elapsed() >= std::time::Duration::from_secs(3));
    assert_eq!(code, Some(0));
    world.bridge.restart().await;
    world.finish().await;
}

async fn health(world: &World) -> u16 {
    let request = b"GET /.auth-manager/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    wire::exchange(world.bridge.proxy, request).await.status
}

//! An app that answers crookedly: what it says must not get through (T23, T24, T27).

use crate::support::bridge::{Bridge, Neighbours, Settings};
use crate::support::client::Client;
use crate::support::wire::{read_head, read_response};
use crate::support::world::World;
use auth_manager::demo::door::alice;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Stands before the stand-in: requests below `path` get `answer`, the others theirs.
async fn crooked(app: SocketAddr, path: &'static str, answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    tokio::spawn(async move {
        while let Ok((mut browser, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = browser.read_u8().await else {
                        return;
                    };
                    head.push(byte);
                }
                let text = String::from_utf8_lossy(&head).into_owned();
                let target = text.split(' ').nth(1).unwrap_or_default();
                if target.starts_with(path) {
                    let _ = browser.write_all(answer.as_bytes()).await;
                    // Until the other side hangs up.
                    let _ = browser.read_to_end(&mut head).await;
                    return;
                }
                // One request a connection, so that each is looked at.
                let text = text.replacen("\r\n", "\r\nconnection: close\r\n", 1);
                let mut app = TcpStream::connect(app).await.expect("the stand-in");
                let _ = app.write_all(text.as_bytes()).await;
                let _ = tokio::io::copy_bidirectional(&mut browser, &mut app).await;
            });
        }
    });
    address
}

/// A bridge before a crooked app, and a visitor with a session at it.
async fn behind(world: &World, path: &'static str, answer: &'static str) -> (Bridge, Client) {
    let neighbours = Neighbours {
        app: crooked(world.mattermost_address, path, answer).await,
        bot_token: &world.mattermost.bot_token(),
        jwks: &world.minter.jwks(),
    };
    let bridge = Bridge::start(&Settings::default(), &neighbours).await;
    let mut visitor = Client {
        address: bridge.proxy,
        ..world.client(alice())
    };
    let page = visitor.open("/").await;
    assert_eq!(page.status, 200, "{}\n{}", page.text(), bridge.output());
    (bridge, visitor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t23_a_static_file_brings_no_cookie() {
    let world = World::start().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nset-cookie: MMAUTHTOKEN=x\r\n\
                  set-cookie: theme=dark\r\ntoken: x\r\nconnection: close\r\n\r\n.";
    let (_bridge, mut visitor) = behind(&world, "/static/", answer).await;
    let file = visitor.get("/static/a.js").await;
    assert_eq!((file.status, file.body.as_slice()), (200, &b"."[..]));
    assert_eq!(file.all("set-cookie").count(), 0, "{:?}", file.headers);
    assert!(file.header("token").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_cookies_of_the_bridges_names_never_come_from_the_app() {
    let world = World::start().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: MMAUTHTOKEN=x; Path=/\r\n\
                  set-cookie:  mmauthtoken = y\r\nset-cookie: MMCSRF\r\nset-cookie: MMUSERID=; Max-Age=0\r\n\
                  set-cookie: _pomerium=z\r\nset-cookie: theme=dark\r\ntoken: x\r\nToken: y\r\n\
                  connection: close, x-secret\r\nx-secret: s\r\n\r\n{}";
    let (_bridge, mut visitor) = behind(&world, "/api/v4/custom", answer).await;
    let call = visitor.get("/api/v4/custom").await;
    assert_eq!(call.status, 200, "{}", call.text());
    let cookies: Vec<&str> = call.all("set-cookie").collect();
    assert_eq!(cookies, ["theme=dark"]);
    assert!(call.header("token").is_none() && call.header("x-secret").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_a_101_that_answers_another_handshake_is_none() {
    for answer in [
        // Of another key, none, of another protocol, with an extension nobody offered.
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         sec-websocket-extensions: permessage-deflate\r\n\r\n",
    ] {
        let world = World::start().await;
        let (_bridge, visitor) = behind(&world, "/api/v4/websocket", answer).await;
        let refused = visitor.socket().await;
        let status = refused.map(|_| 101).unwrap_or_else(|answer| answer.status);
        assert_eq!(status, 502, "{answer}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_after_a_refused_upgrade_the_connection_is_judged_as_any() {
    let world = World::start().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    let (bridge, visitor) = behind(&world, "/api/v4/websocket", answer).await;
    world.mattermost.clear_journal();
    let mut stream = TcpStream::connect(bridge.proxy).await.expect("a listener");
    let upgrade = visitor.bytes(&visitor.upgrade());
    // Another request right behind it: without an identity, to what would be a raw connection.
    let smuggled = format!(
        "GET /api/v4/users/me HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        world.host,
        world.mattermost.bot_token()
    );
    let both = [upgrade.as_slice(), smuggled.as_bytes()].concat();
    stream.write_all(&both).await.expect("it reads");
    let first = read_response(&mut stream, false).await.expect("an answer");
    assert_eq!(first.status, 200);
    if let Some(second) = read_head(&mut stream, &mut Vec::new()).await {
        assert!((400..500).contains(&second.status), "{}", second.status);
    }
    assert!(world.arrived("/api/v4/users/me").is_empty());
    let seen = world.mattermost.journal();
    assert!(
        seen.iter().all(|s| s.path != "/api/v4/users/me"),
        "{seen:?}"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t33_names_and_addresses_are_not_the_visitors_to_change() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let id = visitor.cookies["MMUSERID"].clone();
    for path in [
        format!("/api/v4/users/{id}/patch"),
        "/api/v4/users/me/patch".to_owned(),
        format!("/api/v4/users/{id}"),
    ] {
        for body in [
            r#"{"email":"admin@example.test"}"#,
            r#"{"Email":"admin@example.test"}"#,
            r#"{"username":"somebody"}"#,
            r#"{"first_name":"A","email":"alice@example.test","email":"admin@example.test"}"#,
            r#"{"auth_service":"gitlab"}"#,
        ] {
            let request = visitor.api("PUT", &path);
            let request = request.header("Content-Type", "application/json");
            let answer = visitor.send(request.body(body)).await;
            assert_eq!(answer.status, 403, "{path} {body}: {}", answer.text());
        }
    }
    let account = world.mattermost.user("alice").expect("the account");
    assert_eq!(account.email, "alice@example.test");
    world.finish().await;
}

//! Through real Envoy with Pomerium's settings, over TLS with its client certificate: what Envoy
//! really does to requests, pooled connections included.

use crate::support::bridge::Settings;
use crate::support::envoy::Envoy;
use crate::support::socket::Socket;
use crate::support::wire::{Response, exchange};
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::Options;
use futures_util::future::join_all;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A browser in front of Envoy: it sends no assertion, only Pomerium's cookie.
struct Browser<'a> {
    world: &'a World,
    envoy: &'a Envoy,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    fn new(world: &'a World, envoy: &'a Envoy, handle: &str) -> Self {
        let cookies = BTreeMap::from([("_pomerium".to_owned(), handle.to_owned())]);
        Self {
            world,
            envoy,
            cookies,
        }
    }

    fn bytes(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
        let mut text = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n",
            self.world.host
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        text.push_str(&format!("Cookie: {}\r\n", cookies.join("; ")));
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        format!("{text}\r\n{body}").into_bytes()
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Response {
        let answer = exchange(self.envoy.address, &bytes).await;
        self.world
            .taint
            .downstream("an answer through Envoy", &answer.raw);
        for line in answer.all("set-cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.into(), value.into());
            }
        }
        answer
    }

    async fn open(&mut self, target: &str) -> Response {
        let headers = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")];
        for _ in 0..5 {
            let answer = self.send(self.bytes("GET", target, &headers, "")).await;
            if answer.status != 302 {
                return answer;
            }
        }
        panic!("sent round");
    }

    async fn me(&mut self) -> serde_json::Value {
        let headers = [("X-Requested-With", "XMLHttpRequest")];
        let answer = self
            .send(self.bytes("GET", "/api/v4/users/me", &headers, ""))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

async fn world() -> World {
    World::with(
        Settings {
            tls: true,
            ..Settings::default()
        },
        Options::default(),
    )
    .await
}

async fn envoy(world: &World) -> Envoy {
    let certs = world.bridge.certs.as_ref().expect("tls");
    Envoy::start(world.bridge.proxy, certs, Arc::clone(&world.minter)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_calling_and_live_messages_work_through_envoy() {
    let world = world().await;
    let envoy = envoy(&world).await;
    let (handle, _) = envoy.sign_in(alice());
    let mut browser = Browser::new(&world, &envoy, &handle);
    let page = browser.open("/").await;
    assert_eq!(
        page.status,
        200,
        "{}\n{}",
        page.text(),
        world.bridge.output()
    );
    assert_eq!(browser.me().await["username"], "alice");

    let origin = format!("https://{}", world.host);
    let upgrade = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Origin", origin.as_str()),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let target = "/api/v4/websocket?connection_id=&sequence_number=0";
    let bytes = browser.bytes("GET", target, &upgrade, "");
    let opened = Socket::open(envoy.address, &bytes, world.taint.clone()).await;
    let mut socket = opened.unwrap_or_else(|answer| panic!("{} {}", answer.status, answer.text()));
    socket.event("hello").await;

    let body = json!({ "channel_id": world.town_square(), "message": "through Envoy" }).to_string();
    let csrf = browser.cookies["MMCSRF"].clone();
    let headers = [
        ("Content-Type", "application/json"),
        ("Origin", origin.as_str()),
        ("X-CSRF-Token", csrf.as_str()),
    ];
    let answer = browser
        .send(browser.bytes("POST", "/api/v4/posts", &headers, &body))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    socket.event("posted").await;

    world.revoke(&alice()).await;
    socket.ended().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_share_pooled_connections_never_share_anything_else() {
    // Envoy sends both people's requests over the same connections (recordings/pomerium 09d).
    let world = world().await;
    let envoy = envoy(&world).await;
    join_all((0..40).map(|n| {
        let (person, name) = if n % 2 == 0 {
            (alice(), "alice")
        } else {
            (bob(), "bob")
        };
        let (handle, _) = envoy.sign_in(person);
        let mut browser = Browser::new(&world, &envoy, &handle);
        async move {
            // Forty sign-ins queue for the app's one login at a time: a page that is told to wait
            // loads itself again.
            let mut status = 503;
            for _ in 0..30 {
                status = browser.open("/").await.status;
                if status != 503 {
                    break;
                }
            }
            assert_eq!(status, 200);
            for _ in 0..5 {
                assert_eq!(browser.me().await["username"], name);
            }
        }
    }))
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_headers_get_nowhere_through_envoy() {
    let world = world().await;
    let envoy = envoy(&world).await;
    let (handle, _) = envoy.sign_in(alice());
    let mut browser = Browser::new(&world, &envoy, &handle);
    assert_eq!(browser.open("/").await.status, 200);
    world.mattermost.clear_journal();
    for headers in [
        vec![
            ("X-Pomerium-Jwt-Assertion", "FAKE"),
            ("X-Pomerium-Jwt-Assertion", "FAKE2"),
        ],
        vec![("X-Pomerium-Jwt-Assertion-For", "FAKE")],
        vec![("Connection", "close, X-Pomerium-Jwt-Assertion")],
        vec![
            ("X-Forwarded-Host", "evil.test"),
            ("Forwarded", "host=evil.test"),
        ],
    ] {
        let bytes = browser.bytes("GET", "/api/v4/users/me", &headers, "");
        let answer = browser.send(bytes).await;
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
        assert_eq!(answer.json()["username"], "alice");
    }
    let seen = world.mattermost.journal();
    assert!(
        seen.iter()
            .all(|seen| !seen.contains("FAKE") && !seen.contains("evil.test"))
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_pomeriums_certificate_reaches_the_bridge() {
    let world = world().await;
    // Clear text, and TLS without any certificate: neither gets an answer to a request.
    let plain = crate::support::wire::exchange_raw(
        world.bridge.proxy,
        b"GET /.auth-manager/health HTTP/1.1\r\nHost: chat.example.test\r\n\r\n",
    );
    assert!(!String::from_utf8_lossy(&plain.await).starts_with("HTTP/1.1 2"));
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut certs = crate::support::certs::Certs::make(folder.path());
    let ours = world.bridge.certs.as_ref().expect("tls");
    // A certificate of another authority, with the right name; then of ours, with a wrong one.
    certs.ca.clone_from(&ours.ca);
    let envoy = Envoy::start(world.bridge.proxy, &certs, Arc::clone(&world.minter)).await;
    let (handle, _) = envoy.sign_in(alice());
    let page = Browser::new(&world, &envoy, &handle).open("/").await;
    assert_eq!(page.status, 503, "another authority: {}", page.text());
    drop(envoy);

    certs.client.clone_from(&ours.stranger);
    certs.client_key.clone_from(&ours.stranger_key);
    let envoy = Envoy::start(world.bridge.proxy, &certs, Arc::clone(&world.minter)).await;
    let (handle, _) = envoy.sign_in(alice());
    let page = Browser::new(&world, &envoy, &handle).open("/").await;
    assert_eq!(page.status, 503, "another name: {}", page.text());
    assert!(world.mattermost.user("alice@example.test").is_none());
    world.finish().await;
}

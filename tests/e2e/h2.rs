//! HTTP/2 by hand (T21, T22): frames that no well-behaved client sends.

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::Options;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

// RFC 9113, section 6.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// HPACK literals without indexing, names and values plain (RFC 7541, section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let text = |bytes: &mut Vec<u8>, text: &str| {
        let mut rest = text.len();
        if rest < 127 {
            bytes.push(rest as u8);
        } else {
            bytes.push(127);
            rest -= 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
        bytes.extend(text.as_bytes());
    };
    for (name, value) in fields {
        bytes.push(0);
        text(&mut bytes, name);
        text(&mut bytes, value);
    }
    bytes
}

/// A connection of frames.
struct Connection(TcpStream);

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// An answer; whether it was 200.
    Answered(bool),
    Reset,
    Ended,
}

impl Connection {
    async fn open(address: std::net::SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("a listener");
        stream.write_all(PREFACE).await.expect("it reads");
        let settings = frame(SETTINGS, 0, 0, &[]);
        stream.write_all(&settings).await.expect("it reads");
        Self(stream)
    }

    /// `false` when the peer has hung up.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    async fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let read = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((head[3], stream, payload))
        };
        tokio::time::timeout(Duration::from_secs(30), read)
            .await
            .expect("a frame or the end")
    }

    /// What came of a stream.
    async fn outcome(&mut self, wanted: u32) -> Outcome {
        loop {
            match self.next().await {
                None | Some((GOAWAY, ..)) => return Outcome::Ended,
                Some((RST_STREAM, stream, _)) if stream == wanted => return Outcome::Reset,
                Some((HEADERS, stream, payload)) if stream == wanted => {
                    // `:status 200` is entry 8 of the static table.
                    return Outcome::Answered(payload.first() == Some(&0x88));
                }
                Some(_) => {}
            }
        }
    }
}

async fn world() -> World {
    let settings = Settings {
        proxy: "http2 = true".into(),
        ..Settings::default()
    };
    // HTTP/2 from the first byte: the listener then speaks nothing else.
    World::with(settings, Options::default()).await
}

/// The pseudo-headers and headers of a good call.
fn call<'a>(client: &'a Client, assertion: &'a str, cookie: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", &client.host),
        (":path", "/api/v4/users/me"),
        ("x-pomerium-jwt-assertion", assertion),
        ("x-requested-with", "XMLHttpRequest"),
        ("cookie", cookie),
    ]
}

fn assertion(client: &Client) -> String {
    client.minter.mint(&client.claims()).expect("a working key")
}

/// A first page over HTTP/2: the redirect that signs in.
async fn signs_in(client: &Client) {
    let mut connection = Connection::open(client.address).await;
    let assertion = assertion(client);
    let mut fields = call(client, &assertion, "");
    fields[3].1 = "/";
    fields.push(("sec-fetch-mode", "navigate"));
    fields.push(("accept", "text/html"));
    let good = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields));
    assert!(connection.send(&good).await);
    assert_eq!(connection.outcome(1).await, Outcome::Answered(false), "302");
}

/// The bridge serves a whole request on a new connection.
async fn serves(world: &World) {
    let client = world.client(bob());
    let logins = world.mattermost.logins_performed();
    signs_in(&client).await;
    assert_eq!(world.mattermost.logins_performed(), logins + 1);
}

async fn end(world: World) {
    world.taint.downstream("frames are not kept", b"-");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_rapid_resets_end_the_connection_and_nothing_else() {
    let world = world().await;
    let client = world.client(alice());
    let mut connection = Connection::open(client.address).await;
    let token = assertion(&client);
    let fields = block(&call(&client, &token, ""));
    let mut sent = 0;
    for n in 0..20_000_u32 {
        let stream = 2 * n + 1;
        let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields);
        both.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        if !connection.send(&both).await {
            break;
        }
        sent = n;
    }
    assert!(sent < 19_999, "the connection bore everything");
    serves(&world).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_endless_continuations_end_the_connection() {
    let world = world().await;
    let client = world.client(alice());
    let mut connection = Connection::open(client.address).await;
    let token = assertion(&client);
    let fields = block(&call(&client, &token, ""));
    assert!(
        connection
            .send(&frame(HEADERS, END_STREAM, 1, &fields))
            .await
    );
    let more = block(&[("x-a", &"a".repeat(8_000))]);
    let before = world.bridge.memory();
    let mut sent = 0_u64;
    // 400 MB, if anybody took them.
    while sent < 50_000 && connection.send(&frame(CONTINUATION, 0, 1, &more)).await {
        sent += 1;
    }
    assert!(sent < 50_000, "the connection bore everything");
    let grown = world.bridge.memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    serves(&world).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_a_header_list_above_the_limit_is_refused() {
    let world = world().await;
    let client = world.client(alice());
    let mut connection = Connection::open(client.address).await;
    let token = assertion(&client);
    let mut bytes = frame(HEADERS, END_STREAM, 1, &block(&call(&client, &token, "")));
    for n in 0..40 {
        let last = if n == 39 { END_HEADERS } else { 0 };
        let more = block(&[("x-a", &"a".repeat(8_000))]);
        bytes.extend(frame(CONTINUATION, last, 1, &more));
    }
    connection.send(&bytes).await;
    assert_ne!(connection.outcome(1).await, Outcome::Answered(true));
    serves(&world).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_streams_above_the_cap_are_refused() {
    let world = world().await;
    let client = world.client(alice());
    let mut connection = Connection::open(client.address).await;
    let token = assertion(&client);
    let mut fields = call(&client, &token, "");
    fields[0].1 = "POST";
    fields[3].1 = "/hooks/none";
    let fields = block(&fields);
    let mut bytes = Vec::new();
    // Open, without their end: each stays.
    for n in 0..1_000_u32 {
        bytes.extend(frame(HEADERS, END_HEADERS, 2 * n + 1, &fields));
    }
    connection.send(&bytes).await;
    let refused = async {
        loop {
            match connection.next().await {
                Some((RST_STREAM | GOAWAY, ..)) | None => return,
                Some(_) => {}
            }
        }
    };
    refused.await;
    serves(&world).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t21_requests_with_two_readings_are_refused() {
    let world = world().await;
    let client = world.client(alice());
    signs_in(&client).await;
    world.mattermost.clear_journal();
    type Fields = Vec<(&'static str, String)>;
    let with = |change: &dyn Fn(&mut Fields)| {
        // A static file needs an identity only: what is well-formed arrives.
        let mut fields = vec![
            (":method", "GET".to_owned()),
            (":scheme", "https".to_owned()),
            (":authority", client.host.clone()),
            (":path", "/static/a.js".to_owned()),
            ("x-pomerium-jwt-assertion", assertion(&client)),
        ];
        change(&mut fields);
        fields
    };
    let add = |name: &'static str, value: &'static str| {
        move |fields: &mut Fields| fields.push((name, value.to_owned()))
    };
    let set =
        |at: usize, value: &'static str| move |fields: &mut Fields| fields[at].1 = value.to_owned();
    let cases: Vec<(&str, Fields)> = vec![
        ("two paths", with(&add(":path", "/static/b.js"))),
        ("two methods", with(&add(":method", "POST"))),
        ("two authorities", with(&add(":authority", "evil.test"))),
        ("an unknown pseudo-header", with(&add(":evil", "x"))),
        ("a pseudo-header of answers", with(&add(":status", "200"))),
        ("another host", with(&add("host", "other.example.test"))),
        (
            "two assertions",
            with(&add("x-pomerium-jwt-assertion", "x.y.z")),
        ),
        ("upper case", with(&add("X-Upper", "x"))),
        ("a space in a name", with(&add("x a", "x"))),
        ("a colon in a name", with(&add("x:a", "x"))),
        ("a line break", with(&add("x-a", "b\r\nx-c: d"))),
        ("a NUL", with(&add("x-a", "b\0c"))),
        (
            "connection",
            with(&add("connection", "x-pomerium-jwt-assertion")),
        ),
        (
            "transfer-encoding",
            with(&add("transfer-encoding", "chunked")),
        ),
        ("upgrade", with(&add("upgrade", "websocket"))),
        ("te", with(&add("te", "gzip"))),
        ("a length without a body", with(&add("content-length", "5"))),
        (
            "two lengths",
            with(&|f| {
                f.push(("content-length", "0".into()));
                f.push(("content-length", "5".into()));
            }),
        ),
        ("no path", with(&|f| drop(f.remove(3)))),
        ("no method", with(&|f| drop(f.remove(0)))),
        ("no authority", with(&|f| drop(f.remove(2)))),
        ("an empty path", with(&set(3, ""))),
        ("a path without its slash", with(&set(3, "static/a.js"))),
        (
            "a path of two lines",
            with(&set(3, "/static/a.js HTTP/1.1\r\nx: y")),
        ),
        ("a path with a space", with(&set(3, "/static/a.js x"))),
        (
            "an absolute path",
            with(&set(3, "https://evil.test/static/a.js")),
        ),
        ("dots", with(&set(3, "/static/../api/v4/users/me"))),
        ("user info", with(&set(2, "chat.example.test@evil.test"))),
        ("CONNECT", with(&set(0, "CONNECT"))),
        ("a method of two words", with(&set(0, "GET /x"))),
        (
            "a late pseudo-header",
            with(&|f| {
                let path = f.remove(3);
                f.push(path);
            }),
        ),
    ];
    for (name, fields) in cases {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let mut connection = Connection::open(client.address).await;
        let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields));
        connection.send(&request).await;
        let outcome = connection.outcome(1).await;
        assert_ne!(outcome, Outcome::Answered(true), "{name}");
        let seen = world.arrived("/static/a.js");
        assert!(seen.is_empty(), "{name} arrived: {seen:?}");
    }
    // And the good one does.
    let fields = with(&|_| {});
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut connection = Connection::open(client.address).await;
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields));
    connection.send(&request).await;
    assert!(matches!(connection.outcome(1).await, Outcome::Answered(_)));
    assert_eq!(world.arrived("/static/a.js").len(), 1);
    end(world).await;
}

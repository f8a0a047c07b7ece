//! The life of a socket: what passes up, what is never begun, and every way it is cut (T26, T27).

use crate::support::bridge::{Bridge, Neighbours, Settings};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::front::{Asked, Front};
use crate::support::socket::End;
use crate::support::taint::Taint;
use crate::support::wire;
use crate::support::world::World;
use auth_manager::config::Config;
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, Minter, Person, alice, bob};
use auth_manager::demo::mattermost::{Fault, Options, StandIn};
use auth_manager::telemetry::log::{Format, LogOptions};
use auth_manager::types::{Clock, ManualClock, SystemClock, Timestamp};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;

const SOCKET: &str = "/api/v4/websocket";

/// An app's end of one socket, as bytes.
#[derive(Clone)]
struct AppEnd {
    heard: Arc<Mutex<Vec<u8>>>,
    say: mpsc::UnboundedSender<Vec<u8>>,
    over: CancellationToken,
}

/// An app whose socket says what the test says and keeps what it hears; `head` is added to its 101.
fn app_end(head: &'static str) -> (Front, AppEnd) {
    let (say, said) = mpsc::unbounded_channel::<Vec<u8>>();
    let end = AppEnd {
        heard: Arc::default(),
        say,
        over: CancellationToken::new(),
    };
    let (mine, said) = (end.clone(), Arc::new(Mutex::new(Some(said))));
    let front = Front::default().play(SOCKET, move |asked: Asked, mut stream: TcpStream| {
        let end = mine.clone();
        let said = said.lock().take();
        async move {
            let mut said = said.expect("one socket a test");
            let accept = match head.contains("Sec-WebSocket-Accept") {
                true => String::new(),
                false => {
                    let key = asked.header("sec-websocket-key").expect("a handshake");
                    format!(
                        "Sec-WebSocket-Accept: {}\r\n",
                        derive_accept_key(key.as_bytes())
                    )
                }
            };
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{accept}{head}\r\n"
            );
            stream.write_all(answer.as_bytes()).await.ok();
            let mut buffer = [0; 4096];
            loop {
                tokio::select! {
                    read = stream.read(&mut buffer) => match read {
                        Ok(n) if n > 0 => end.heard.lock().extend_from_slice(&buffer[..n]),
                        _ => break,
                    },
                    Some(bytes) = said.recv() => {
                        stream.write_all(&bytes).await.ok();
                    }
                }
            }
            end.over.cancel();
        }
    });
    (front, end)
}

/// A frame of a browser.
fn masked(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [7, 77, 177, 3];
    let mut frame = vec![u8::from(fin) << 7 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            let length = u16::try_from(payload.len()).expect("a short message");
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(p, m)| p ^ m));
    frame
}

/// A short frame of the app.
fn plain(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short message");
    assert!(length < 126);
    [&[0x81, length], payload].concat()
}

/// Opens a socket of which the test sees every byte.
async fn raw_socket(visitor: &Client) -> (TcpStream, wire::Response) {
    let mut stream = TcpStream::connect(visitor.address)
        .await
        .expect("the bridge listens");
    stream
        .write_all(&visitor.bytes(&visitor.upgrade()))
        .await
        .expect("the bridge reads");
    let mut raw = Vec::new();
    let head = wire::read_head(&mut stream, &mut raw)
        .await
        .expect("an answer");
    (stream, head)
}

async fn to_the_end(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = tokio::time::timeout(crate::support::PATIENCE, stream.read_to_end(&mut all));
    read.await.expect("the bridge hangs up").ok();
    all
}

/// The code of the close frame that these bytes are.
fn close_code(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0x88, length, high, low, rest @ ..] if usize::from(*length) == 2 + rest.len() => {
            Some(u16::from_be_bytes([*high, *low]))
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_sessions_token_never_reaches_the_app_by_a_socket() {
    let challenge = br#"{"seq":2,"action":"authentication_challenge","data":{"token":"stolen"}}"#;
    let escaped = br#"{"seq":2,"\u0061ction":"authentication\u005fchallenge","data":{}}"#;
    let msgpack = b"\x83\xa6action\xb8authentication_challenge\xa3seq\x02\xa4data\x80";
    let (one, two) = challenge.split_at(30);
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("text", vec![masked(true, 1, challenge)]),
        ("escaped", vec![masked(true, 1, escaped)]),
        ("binary", vec![masked(true, 2, msgpack)]),
        (
            "fragments",
            vec![masked(false, 1, one), masked(true, 0, two)],
        ),
        (
            "fragments around a ping",
            vec![
                masked(false, 1, one),
                masked(true, 9, b"?"),
                masked(true, 0, two),
            ],
        ),
        (
            "single bytes",
            masked(true, 1, challenge)
                .chunks(1)
                .map(<[u8]>::to_vec)
                .collect(),
        ),
        (
            "without mask",
            vec![plain(&challenge[..100.min(challenge.len())])],
        ),
    ];
    for (name, pieces) in cases {
        let (front, app) = app_end("");
        let world = World::behind(Settings::default(), Options::default(), Some(front)).await;
        let visitor = world.signed_in(alice()).await;
        let (mut stream, head) = raw_socket(&visitor).await;
        assert_eq!(head.status, 101, "{name}");
        let innocent = masked(true, 1, br#"{"action":"ping","seq":1}"#);
        stream.write_all(&innocent).await.expect("the bridge reads");
        for piece in &pieces {
            stream.write_all(piece).await.ok();
            stream.flush().await.ok();
        }
        let end = to_the_end(stream).await;
        assert_eq!(close_code(&end), Some(1008), "{name}: {end:?}");
        app.over.cancelled().await;
        let heard = app.heard.lock().clone();
        let ping = masked(true, 9, b"?");
        let rest = heard
            .strip_prefix(&innocent[..])
            .expect("the first message");
        assert!(rest.is_empty() || rest == ping, "{name}: {rest:?}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_cuts_between_two_frames_and_the_next_request_is_refused_by_then() {
    let (front, app) = app_end("");
    let world = World::behind(Settings::default(), Options::default(), Some(front)).await;
    let mut visitor = world.signed_in(alice()).await;
    let (mut stream, _) = raw_socket(&visitor).await;
    let old = visitor.cookies.clone();
    let frame = plain(&[b'x'; 100]);
    let (one, two) = frame.split_at(40);
    app.say.send(one.to_vec()).expect("an open socket");
    let mut first = vec![0; one.len()];
    stream.read_exact(&mut first).await.expect("half a frame");

    visitor.post("/api/v4/users/logout", &json!({})).await;
    app.say.send(two.to_vec()).ok();
    app.say.send(plain(b"too late")).ok();
    visitor.cookies = old;
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 401);
    let end = to_the_end(stream).await;
    // Either the rest of the frame came in time, or there was no place for a close frame.
    match end.strip_prefix(two) {
        Some(close) => assert_eq!(close_code(close), Some(1008), "{end:?}"),
        None => assert!(two.starts_with(&end), "{end:?}"),
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_whoever_sees_the_close_frame_is_refused_already() {
    let world = World::start().await;
    for ending in ["logout", "revoke", "disable"] {
        let mut visitor = world.client(alice());
        assert_eq!(visitor.open("/").await.status, 200);
        let mut socket = visitor.socket().await.expect("a socket");
        socket.event("hello").await;
        let mut other_tab = visitor.clone();
        let end = async {
            match ending {
                "logout" => drop(other_tab.post("/api/v4/users/logout", &json!({})).await),
                "revoke" => world.revoke(&alice()).await,
                _ => world.disable(&alice()).await,
            }
        };
        let cut = async {
            let end = socket.ended().await;
            let status = visitor.get("/api/v4/users/me").await.status;
            (end, status, visitor.socket().await.is_err())
        };
        let ((), (end, status, no_socket)) = tokio::join!(end, cut);
        assert_eq!(end, End::Closed(Some(1008)), "{ending}");
        assert!(matches!(status, 401 | 403), "{ending}: {status}");
        assert!(no_socket, "{ending}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_a_handshake_that_the_app_did_not_answer_opens_nothing() {
    for head in [
        "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    ] {
        let (front, app) = app_end(head);
        let world = World::behind(Settings::default(), Options::default(), Some(front)).await;
        let visitor = world.signed_in(alice()).await;
        let (mut stream, answer) = raw_socket(&visitor).await;
        assert_eq!(answer.status, 502, "{head}");
        stream.write_all(&masked(true, 1, b"{}")).await.ok();
        app.over.cancelled().await;
        assert!(app.heard.lock().is_empty(), "{head}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_an_answer_other_than_101_is_filtered_like_any() {
    let body = "<p>no</p>";
    let front = Front::default().answer(
        SOCKET,
        format!(
            "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/html\r\nToken: secret-of-the-app\r\nSet-Cookie: MMAUTHTOKEN=real; HttpOnly\r\nSet-Cookie: theme=dark\r\nUpgrade: websocket\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    let world = World::behind(Settings::default(), Options::default(), Some(front)).await;
    let visitor = world.signed_in(alice()).await;
    let answer = visitor.socket().await.map(|_| ()).expect_err("no socket");
    assert_eq!((answer.status, answer.text().as_str()), (426, body));
    assert!(answer.header("token").is_none());
    let cookies: Vec<&str> = answer.all("set-cookie").collect();
    assert_eq!(cookies, ["theme=dark"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_apps_101_brings_no_credential_either() {
    let (front, _app) = app_end("Set-Cookie: MMAUTHTOKEN=real; HttpOnly\r\nToken: secret\r\n");
    let world = World::behind(Settings::default(), Options::default(), Some(front)).await;
    let visitor = world.signed_in(alice()).await;
    let (_stream, head) = raw_socket(&visitor).await;
    assert_eq!(head.status, 101);
    assert_eq!(head.all("set-cookie").count(), 0);
    assert!(head.header("token").is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_sends_sockets_away_and_lets_a_slow_request_end() {
    let mut world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    let slow = "/api/v4/users/me/teams";
    let fault = Fault::Slow(Duration::from_secs(2));
    world.mattermost.set_fault(fault, slow);
    let asking = tokio::spawn(async move { visitor.get(slow).await.status });
    eventually("the slow request at the app", || async {
        (!world.arrived(slow).is_empty()).then_some(())
    })
    .await;
    let (end, code) = tokio::join!(socket.ended(), world.bridge.stop());
    assert_eq!(end, End::Closed(Some(1012)));
    assert_eq!(asking.await.expect("the request ends"), 200);
    assert_eq!(code, Some(0));
}

/// A bridge in this process, whose clock stands until the test moves it.
struct Aged {
    bridge: Client,
    mattermost: StandIn,
    clock: Arc<ManualClock>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    people: u32,
    _folder: tempfile::TempDir,
}

impl Aged {
    async fn start(session: &str) -> Self {
        let mattermost = StandIn::new(Options::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let app = listener.local_addr().expect("a bound listener");
        let stop = CancellationToken::new();
        let (server, until) = (mattermost.clone(), stop.clone());
        tokio::spawn(async move { server.serve(listener, until).await });
        let minter = Arc::new(Minter::generate().expect("randomness"));
        let settings = Settings {
            session: session.into(),
            ..Settings::default()
        };
        let neighbours = Neighbours {
            app,
            bot_token: &mattermost.bot_token(),
            jwks: &minter.jwks(),
        };
        let folder = Bridge::prepare(&settings, &neighbours);
        let path = folder.path().join("auth-manager.toml");
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let (tell, told) = oneshot::channel();
        let options = auth_manager::runtime::Options {
            config: Config::load(&path).expect("a good configuration"),
            path,
            sockets: auth_manager::runtime::Sockets::default(),
            clock: clock.clone(),
            stop: stop.clone(),
            ready: Some(tell),
        };
        let log = LogOptions {
            format: Format::Json,
            filter: None,
        };
        let (_, log) =
            auth_manager::telemetry::log::to(&log, Box::new(std::io::sink())).expect("a log");
        let served = tokio::spawn(async move {
            let served = auth_manager::runtime::serve(options, &log).await;
            served.expect("it starts");
        });
        let address = told.await.expect("it starts");
        let bridge = Client::new(address, &settings.host, bob(), minter, Taint::default());
        Self {
            bridge,
            mattermost,
            clock,
            stop,
            served,
            people: 0,
            _folder: folder,
        }
    }

    async fn signed_in(&self, person: Person) -> Client {
        let mut visitor = self.bridge.clone();
        visitor.signs_in_as(person);
        // Right after a jump the log was read long ago: a page of that moment reloads.
        eventually("the app", || {
            let mut tab = visitor.clone();
            async move { (tab.open("/").await.status == 200).then_some(tab) }
        })
        .await
    }

    /// Lets time pass for everyone.
    fn pass(&self, seconds: i64) {
        self.clock.set(Timestamp(self.clock.now().0 + seconds));
    }

    /// Waits for a whole round of the keeper: each logout asks for one, and a round begins by
    /// ending in the app what ended here.
    async fn round(&mut self) {
        for _ in 0..2 {
            self.people += 1;
            let name = format!("passer-by-{}", self.people);
            let groups = [GROUP_VALIDATED, GROUP_MEMBERS];
            let person = Person::new(500 + self.people, &name, "", &groups, "");
            let mut passer_by = self.signed_in(person).await;
            let logout = passer_by.post("/api/v4/users/logout", &json!({})).await;
            assert_eq!(logout.status, 200, "{}", logout.text());
            eventually("the end of their session in the app", || async {
                self.mattermost.sessions_of(&name).is_empty().then_some(())
            })
            .await;
        }
    }

    async fn finish(self) {
        self.stop.cancel();
        self.served.await.expect("it ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_whose_page_shows_no_sign_of_life_is_cut_and_nothing_else_ends() {
    let mut bridge = Aged::start("").await;
    let mut lively = bridge.signed_in(alice()).await;
    let signed_out = bridge.signed_in(bob()).await;
    let mut lively_socket = lively.socket().await.expect("a socket");
    let mut mute = signed_out.socket().await.expect("a socket");
    lively_socket.event("hello").await;
    mute.event("hello").await;

    // At Pomerium nobody is signed in any more: no request of this one can arrive.
    bridge.pass(120);
    eventually("a call of the healthy page", || {
        let mut tab = lively.clone();
        async move { (tab.get("/api/v4/users/me").await.status == 200).then_some(()) }
    })
    .await;
    bridge.round().await;
    let square = bridge.mattermost.channel_id("demo", "town-square");
    let square = square.expect("the stand-in has it");
    bridge.mattermost.post_as("admin", &square, "not yet");
    mute.event("posted").await;

    bridge.pass(61);
    bridge.round().await;
    assert_eq!(mute.ended().await, End::Closed(Some(1012)));
    lively_socket.event("posted").await;
    bridge.mattermost.post_as("admin", &square, "still there");
    lively_socket.event("posted").await;
    // Its session lives: a healthy page would come back by itself.
    let mut back = signed_out.socket().await.expect("a socket again");
    back.event("hello").await;
    assert_eq!(lively.me().await["username"], "alice");
    bridge.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_socket_is_told_to_come_back() {
    let mut bridge = Aged::start("socket_max_age = \"1m\"\nstale_after = \"1h\"").await;
    let visitor = bridge.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    bridge.pass(50);
    bridge.round().await;
    let square = bridge.mattermost.channel_id("demo", "town-square");
    let square = square.expect("the stand-in has it");
    bridge.mattermost.post_as("admin", &square, "not yet");
    socket.event("posted").await;
    bridge.pass(11);
    bridge.round().await;
    assert_eq!(socket.ended().await, End::Closed(Some(1012)));
    let mut socket = visitor.socket().await.expect("it comes back");
    socket.event("hello").await;
    bridge.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_at_its_absolute_limit_with_its_sockets() {
    let mut bridge = Aged::start("absolute = \"5m\"\nidle = \"5m\"\nstale_after = \"1h\"").await;
    let mut visitor = bridge.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    bridge.pass(290);
    bridge.round().await;
    bridge.pass(11);
    bridge.round().await;
    assert_eq!(socket.ended().await, End::Closed(Some(1008)));
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 401);
    bridge.finish().await;
}

//! A service that calls an app through the bridge: TLS with a certificate of its own, HTTP/1.1 as
//! bytes. And a world whose bridge serves the api listener to two such services.

use super::bridge::{Bridge, Settings};
use super::certs::{BRIDGE, Certs, POMERIUM};
use super::client::Request;
use super::taint::Taint;
use super::wire::{Response, read_head, read_response};
use super::world::World;
use super::{PATIENCE, tls};
use auth_manager::demo::mattermost::{NewUser, Options};
use futures_util::StreamExt;
use rustls::ClientConfig;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The client `reports`' name is in the one certificate, `other`'s in the other.
const OTHER: &str = "stranger.example.test";
/// What `reports` may call, unless a story says otherwise.
pub const ALLOW: &str = "\"GET /api/v4/users/*\", \"POST /api/v4/posts\", \"GET /api/v4/websocket\", \
     \"POST /api/v4/files\", \"GET /api/v4/files/**\", \"GET /plugins/*/echo\"";

/// A service.
#[derive(Clone)]
pub struct Caller {
    pub address: SocketAddr,
    config: Arc<ClientConfig>,
    taint: Taint,
}

/// A bridge that serves the api listener, what stands around it, and two services: `reports`, which
/// is the bot `reports` at `chat`, and `other`, which may introduce visitors.
pub struct Served {
    pub world: World,
    pub reports: Caller,
    pub other: Caller,
    pub certs: Certs,
    settings: Settings,
    _folder: tempfile::TempDir,
}

impl Served {
    /// With the usual rules.
    pub async fn start() -> Self {
        Self::with(&format!("allow = [{ALLOW}]"), Settings::default()).await
    }

    /// `service`: lines of `[[apps.services]]` beside client and bot.
    pub async fn with(service: &str, settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let certs = Certs::make(folder.path());
        let bot = if service.contains("bot_token") {
            ""
        } else {
            "bot = \"reports\""
        };
        let more = format!(
            "[[apps.services]]\nclient = \"reports\"\n{bot}\n{service}\n\
             [listen.api]\naddress = \"127.0.0.1:0\"\nissuer = \"https://api.example.test\"\n\
             rate = 100000\nburst = 1000000\n\
             [listen.api.tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n\
             [[clients]]\nid = \"reports\"\ncertificate_names = [{POMERIUM:?}]\n\
             scopes = [\"proxy:chat\", \"bridge\", \"bridge:cookies\"]\nhosts = [{:?}]\n\
             [[clients]]\nid = \"other\"\ncertificate_names = [{OTHER:?}]\nscopes = [\"bridge\"]\n\
             hosts = [{:?}]\n",
            certs.server, certs.server_key, certs.ca, settings.host, settings.host
        );
        let settings = Settings { more, ..settings };
        let mut world = World::with(settings.clone(), Options::default()).await;
        let address = world.bridge.line("the api's address", listening).await;
        let config = tls::client(&[&certs.ca], &certs);
        let stranger = Certs {
            ca: certs.ca.clone(),
            server: certs.server.clone(),
            server_key: certs.server_key.clone(),
            client: certs.stranger.clone(),
            client_key: certs.stranger_key.clone(),
            stranger: certs.client.clone(),
            stranger_key: certs.client_key.clone(),
        };
        let other = tls::client(&[&certs.ca], &stranger);
        let taint = world.taint.clone();
        let caller = |config| Caller {
            address,
            config,
            taint: taint.clone(),
        };
        Self {
            reports: caller(config),
            other: caller(other),
            world,
            certs,
            settings,
            _folder: folder,
        }
    }

    /// Another replica, whose way to the store is `postgres`, and `reports` as it calls there.
    pub async fn replica(&self, postgres: String) -> (Bridge, Caller) {
        let settings = Settings {
            postgres,
            ..self.settings.clone()
        };
        let mut bridge = self.world.replica(&settings).await;
        let address = bridge.line("the api's address", listening).await;
        let caller = Caller {
            address,
            ..self.reports.clone()
        };
        (bridge, caller)
    }

    /// Makes the bot, a member of the team, and gives it to the bridge.
    pub async fn with_bot(self) -> Self {
        self.world.mattermost.create_user(NewUser {
            username: "reports".into(),
            bot: true,
            ..NewUser::default()
        });
        assert!(self.world.mattermost.add_to_team("demo", "reports"));
        self.world.run(&["bots", "add", "chat", "reports"]).await;
        self.ready().await;
        self
    }

    /// Waits until the bridge has taken the bot's token.
    pub async fn ready(&self) {
        super::eventually("the bridge has the bot's token", async || {
            let answer = self.reports.get("/api/v4/users/me").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// A new process on the same files.
    pub async fn restart(&mut self) {
        self.world.bridge.restart().await;
        let address = self.world.bridge.line("the api's address", listening).await;
        self.reports.address = address;
        self.other.address = address;
    }

    /// Rewrites the configuration and has it read.
    pub async fn reload(&mut self, change: impl Fn(&str) -> String) {
        let path = self.world.bridge.config();
        let text = std::fs::read_to_string(&path).expect("our own file");
        let changed = change(&text);
        assert_ne!(text, changed);
        std::fs::write(&path, changed).expect("our own file");
        let says = "configuration read again";
        let lines = |served: &Self| served.world.bridge.output().matches(says).count();
        let before = lines(self);
        self.world.bridge.hang_up();
        super::eventually(says, async || (lines(self) > before).then_some(())).await;
    }

    /// The bot's token of now.
    pub fn token(&self) -> String {
        let tokens = self.world.mattermost.access_tokens_of("reports");
        tokens.last().expect("a token").1.clone()
    }
}

/// The address in the line `listening` of the api.
fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let ours = text("message") == Some("listening") && text("listener") == Some("api");
    ours.then(|| text("address")?.parse().ok())?
}

impl Caller {
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        tls::connect(self.address, BRIDGE, self.config.clone())
            .await
            .expect("the api listens")
    }

    /// Sends bytes as they are on a connection of their own.
    pub async fn raw(&self, bytes: &[u8]) -> Option<Response> {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.ok()?;
        let answer = read_response(&mut stream, bytes.starts_with(b"HEAD ")).await?;
        self.taint.downstream("an answer of the api", &answer.raw);
        Some(answer)
    }

    /// Sends a request as it is written; `target` is a whole one.
    pub async fn send(&self, request: &Request) -> Response {
        let bytes = bytes(request);
        // A connection that was opening when the configuration was read again is closed unused: any
        // client then opens another.
        for _ in 0..3 {
            if let Some(answer) = self.raw(&bytes).await {
                return answer;
            }
        }
        panic!("no answer")
    }

    /// Calls the app `chat`.
    pub async fn call(&self, method: &str, path: &str) -> Response {
        self.send(&Request::new(method, &format!("/apps/chat{path}")))
            .await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.call("GET", path).await
    }

    /// A JSON call of the app `chat`.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let request = Request::new("POST", &format!("/apps/chat{path}"))
            .header("Content-Type", "application/json")
            .body(body.to_string());
        self.send(&request).await
    }

    /// The handshake of a bot's library: no `Origin`.
    pub fn upgrade() -> Request {
        Request::new("GET", "/apps/chat/api/v4/websocket")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// Opens the app's socket.
    ///
    /// # Errors
    /// The answer, when it is not 101.
    pub async fn socket(&self, request: &Request) -> Result<BotSocket, Response> {
        let mut stream = self.connect().await;
        stream
            .write_all(&bytes(request))
            .await
            .expect("the api reads");
        let mut raw = Vec::new();
        let head = tokio::time::timeout(PATIENCE, read_head(&mut stream, &mut raw));
        let head = head.await.expect("an answer in time").expect("an answer");
        self.taint.downstream("the answer to an upgrade", &raw);
        if head.status != 101 {
            return Err(head);
        }
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Ok(BotSocket {
            stream,
            head,
            taint: self.taint.clone(),
        })
    }
}

/// A problem document's code.
pub fn code(answer: &Response) -> String {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{} {}",
        answer.status,
        answer.text()
    );
    answer.json()["code"].as_str().expect("a code").to_owned()
}

fn bytes(request: &Request) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    let has =
        |name: &str| (request.headers.iter()).any(|(have, _)| have.eq_ignore_ascii_case(name));
    if !has("host") {
        text.push_str("Host: api.example.test\r\n");
    }
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = &request.body
        && !has("content-length")
        && !has("transfer-encoding")
    {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for assertion in request.assertions.iter().flatten() {
        text.push_str(&format!("X-Pomerium-Jwt-Assertion: {assertion}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());
    bytes
}

/// An open socket of a service.
pub struct BotSocket {
    stream: WebSocketStream<TlsStream<TcpStream>>,
    pub head: Response,
    taint: Taint,
}

impl BotSocket {
    /// The next event of this name.
    pub async fn event(&mut self, name: &str) -> Value {
        let search = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => {
                        self.taint.downstream("a socket", text.as_bytes());
                        let value: Value = serde_json::from_str(&text).expect("JSON");
                        if value["event"] == name {
                            return value;
                        }
                    }
                    Some(Ok(Message::Close(frame))) => panic!("closed before {name}: {frame:?}"),
                    Some(Ok(_)) => {}
                    other => panic!("ended before {name}: {other:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .expect("an event")
    }

    /// Says something.
    pub async fn say(&mut self, text: &str) {
        use futures_util::SinkExt;
        let sent = self.stream.send(Message::text(text)).await;
        sent.expect("an open socket");
    }

    /// The code it is closed with; `None` when it ends otherwise.
    pub async fn closed(mut self) -> Option<u16> {
        let wait = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|f| f.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the socket ends")
    }
}

//! Plays a recording against a stand-in: requests are rebuilt with the ids and tokens of this
//! server, answers and frames are compared.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use auth_manager::demo::mattermost::{Options, StandIn};
use base64::Engine;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::compare::{Body, Names, differences};
use crate::socket;
use crate::wire::{Request, send};

/// What has to be so before an exchange and is not in the recording.
pub(crate) type Before = for<'a> fn(&'a mut Stage) -> BoxFuture<'a, ()>;

/// One recording and how it is played.
pub(crate) struct Case {
    pub(crate) file: &'static str,
    pub(crate) before: &'static [(usize, Before)],
    /// Exchanges not played, and why.
    pub(crate) skipped: &'static [(usize, &'static str)],
    /// Exchanges whose bodies are compared otherwise.
    pub(crate) bodies: &'static [(usize, Body)],
}

/// The bot and `admin` of recording 01, whose ids and tokens all recordings use.
pub(crate) const BOT_TOKEN: &str = "ujnhdmyuhbyzpge3gpp6ky4y7c";

/// A stand-in with what has been learnt about it.
pub(crate) struct Stage {
    pub(crate) app: StandIn,
    pub(crate) names: Names,
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Stage {
    /// An empty server with the settings of recordings 01 to 05.
    pub(crate) async fn empty() -> Self {
        let app = StandIn::new(Options {
            empty: true,
            plugins: false,
            session_length_hours: 4_320,
            extend_session: false,
            terminate_sessions_on_password_change: false,
            login_cost: Duration::ZERO,
            ..Options::default()
        });
        Self::serving(app).await
    }

    /// Serves what is given.
    pub(crate) async fn serving(app: StandIn) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let (served, token) = (app.clone(), shutdown.clone());
        tokio::spawn(async move { served.serve(listener, token).await });
        Self {
            app,
            names: Names::default(),
            address,
            shutdown,
        }
    }

    /// Ends serving and begins again, with the same state, on another port.
    pub(crate) async fn restart(&mut self) {
        self.shutdown.cancel();
        *self = Self::serving(self.app.clone()).await;
    }

    /// A server on which recording 01 has happened; with the settings of 06 and later.
    pub(crate) async fn founded() -> Self {
        let mut stage = Self::empty().await;
        let report = stage.play(&crate::cases::BOOTSTRAP).await;
        assert!(report.is_empty(), "recording 01: {report:#?}");
        let (id, user) = ("iuwe4jqokjyuxj7neekcfpueny", "alpha");
        let town_square = stage
            .app
            .channel_id(user, "town-square")
            .expect("made with the team");
        stage.names.learn(id, &town_square);
        stage
    }

    pub(crate) fn official_package(&self) {
        self.app.patch_config(&json!({"ServiceSettings": {
            "SessionLengthWebInHours": 720, "SessionLengthMobileInHours": 720,
            "ExtendSessionLengthWithActivity": true, "TerminateSessionsOnPasswordChange": true,
        }}));
    }

    /// Makes a user through the API, as the recorder did between recordings.
    pub(crate) async fn user(&mut self, recorded_id: &str, body: Value) {
        let headers = vec![
            ("Host".into(), "chat.example.test".into()),
            (
                "Authorization".into(),
                format!("Bearer {}", self.names.apply(BOT_TOKEN)),
            ),
        ];
        let path = "/api/v4/users".into();
        let body = body.to_string().into_bytes();
        let request = Request {
            method: "POST".into(),
            path,
            headers,
            body,
        };
        let response = send(self.address, &request).await;
        let made: Value = serde_json::from_slice(&response.body).expect("an account");
        self.names
            .learn(recorded_id, made["id"].as_str().expect("an id"));
    }

    /// Opens a session whose recorded token (and CSRF value) is known, for a recorded user id.
    pub(crate) async fn session(&mut self, token: &str, csrf: &str, recorded_user: &str) {
        let user = self.names.apply(recorded_user);
        let session = self.app.open_session(&user).expect("the user exists");
        self.names.learn(token, &session.token);
        if !csrf.is_empty() {
            self.names.learn(csrf, &session.csrf);
        }
        // Session lists are ordered by millisecond.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }

    pub(crate) fn live(&self, recorded: &str) -> String {
        self.names.apply(recorded)
    }

    /// Plays a recording; the differences found.
    pub(crate) async fn play(&mut self, case: &Case) -> Vec<String> {
        self.play_some(case, |_| true).await
    }

    /// Plays the exchanges that are wanted.
    pub(crate) async fn play_some(
        &mut self,
        case: &Case,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<String> {
        let mut report = Vec::new();
        for (index, exchange) in load(case.file).iter().enumerate() {
            for (at, before) in case.before {
                if *at == index {
                    before(self).await;
                }
            }
            if !wanted(index) || case.skipped.iter().any(|(skipped, _)| *skipped == index) {
                continue;
            }
            let body = case
                .bodies
                .iter()
                .find(|(at, _)| *at == index)
                .map(|(_, body)| *body);
            let found = self.exchange(exchange, body.unwrap_or(Body::Whole)).await;
            let note = exchange["note"].as_str().unwrap_or_default();
            report.extend(
                found
                    .into_iter()
                    .map(|text| format!("#{index} {note}: {text}")),
            );
        }
        report
    }

    async fn exchange(&mut self, exchange: &Value, body: Body) -> Vec<String> {
        if exchange["frames"].is_array() {
            socket::prepare(self, exchange);
        }
        let request = self.rebuild(&exchange["request"]);
        if exchange["frames"].is_array() && exchange["response"]["status"] == 101 {
            let stream = TcpStream::connect(self.address)
                .await
                .expect("the stand-in listens");
            return socket::play(self, stream, &request, exchange).await;
        }
        let response = send(self.address, &request).await;
        differences(&exchange["response"], &response, body, &mut self.names)
    }

    fn rebuild(&self, recorded: &Value) -> Request {
        let headers: Vec<(String, String)> =
            serde_json::from_value(recorded["headers"].clone()).expect("headers are pairs");
        let form = headers
            .iter()
            .find_map(|(_, value)| value.split_once("boundary="));
        let boundary = form.map(|(_, boundary)| boundary.to_owned());
        let text = recorded["body"].as_str().unwrap_or_default();
        let body = whole(&self.names.apply(text), boundary.as_deref());
        let apply = |value: &Value| self.names.apply(value.as_str().unwrap_or_default());
        Request {
            method: apply(&recorded["method"]),
            path: apply(&recorded["path"]),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name, self.names.apply(&value)))
                .collect(),
            body,
        }
    }
}

/// A recorded body as it was before it was shortened: filled up to its length.
fn whole(text: &str, boundary: Option<&str>) -> Vec<u8> {
    if text == "[two chunks of 1,000 bytes]" {
        return vec![b'c'; 2_000];
    }
    let (kept, cut) = text.split_once('…').unwrap_or((text, ""));
    let mut bytes = match kept.strip_prefix("base64:") {
        Some(kept) => {
            let kept = &kept[..kept.len() / 4 * 4];
            base64::engine::general_purpose::STANDARD
                .decode(kept)
                .expect("base64")
        }
        None => kept.as_bytes().to_vec(),
    };
    let digits: String = cut.chars().filter(char::is_ascii_digit).collect();
    if let Ok(length) = digits.parse::<usize>() {
        let tail = boundary
            .map(|boundary| format!("\r\n--{boundary}--\r\n"))
            .unwrap_or_default();
        bytes.resize(length.saturating_sub(tail.len()), b'x');
        bytes.extend(tail.into_bytes());
    }
    bytes
}

/// The exchanges of a recording.
pub(crate) fn load(file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings/mattermost");
    let text = std::fs::read_to_string(folder.join(file)).expect("the recording is there");
    let mut recording: Value = serde_json::from_str(&text).expect("the recording is JSON");
    match recording["exchanges"].take() {
        Value::Array(exchanges) => exchanges,
        _ => panic!("{file} has no exchanges"),
    }
}

//! Recorded WebSocket conversations: client frames are sent in order, server frames awaited.
//! Presence events come and go with other connections and are left out on both sides.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::compare::{Body, values};
use crate::replay::{BOT_TOKEN, Stage};
use crate::wire::{Request, receive_head};

const LIMIT: Duration = Duration::from_secs(10);
/// The check for authentication comes 5 s after opening; beyond it, real time has to pass.
const GRACE: f64 = 5.3;

/// What the server sent.
#[derive(Debug)]
pub(crate) enum Frame {
    Text(String),
    Pong(String),
    Close(u16),
    Ended,
}

/// Opens sessions for tokens that only sockets use: the recorded hello says whose they are.
pub(crate) fn prepare(stage: &mut Stage, exchange: &Value) {
    let frames = exchange["frames"].as_array().cloned().unwrap_or_default();
    let hellos: Vec<String> = frames
        .iter()
        .filter_map(|frame| serde_json::from_str::<Value>(frame["data"].as_str()?).ok())
        .filter(|data| data["event"] == "hello")
        .filter_map(|data| data["broadcast"]["user_id"].as_str().map(str::to_owned))
        .collect();
    let mut open = |token: &str, user: Option<&String>| {
        let dead = token.len() != 26 || token.starts_with("zzz");
        if let (false, None, Some(user)) = (dead, stage.names.get(token), user) {
            let live = stage.names.apply(user);
            let session = stage.app.open_session(&live).expect("the user exists");
            stage.names.learn(token, &session.token);
        }
    };
    for line in exchange["request"]["headers"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let value = line[1].as_str().unwrap_or_default();
        let token = value
            .strip_prefix("Bearer ")
            .or_else(|| value.strip_prefix("MMAUTHTOKEN="));
        if let Some(token) = token {
            open(token, hellos.first());
        }
    }
    for frame in &frames {
        let data = serde_json::from_str::<Value>(frame["data"].as_str().unwrap_or_default());
        if let Some(token) = data
            .ok()
            .as_ref()
            .and_then(|data| data["data"]["token"].as_str())
        {
            open(token, hellos.last());
        }
    }
}

/// A socket of a test's own.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    /// Opens a socket with this session token in the cookie.
    pub(crate) async fn open(stage: &Stage, query: &str, token: &str) -> Self {
        let mut stream = TcpStream::connect(stage.address)
            .await
            .expect("the stand-in listens");
        let head = format!(
            "GET /api/v4/websocket{query} HTTP/1.1\r\nHost: chat.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://chat.example.test\r\nCookie: MMAUTHTOKEN={token}\r\n\r\n"
        );
        stream
            .write_all(head.as_bytes())
            .await
            .expect("the stand-in reads");
        let (response, _) = receive_head(&mut stream).await;
        assert_eq!(response.status, 101);
        Self { stream }
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, text: &str) {
        send_frame(&mut self.stream, 1, text.as_bytes()).await;
    }

    /// The next frame that is not about presence.
    pub(crate) async fn next(&mut self) -> Frame {
        next(&mut self.stream).await
    }

    /// The next message as JSON.
    pub(crate) async fn json(&mut self) -> Value {
        match self.next().await {
            Frame::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("{other:?} instead of a message"),
        }
    }
}

/// Opens the socket and goes through the recorded frames.
pub(crate) async fn play(
    stage: &mut Stage,
    mut stream: TcpStream,
    request: &Request,
    exchange: &Value,
) -> Vec<String> {
    let started = Instant::now();
    let mut head = format!("GET {} HTTP/1.1\r\n", request.path);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream
        .write_all(head.as_bytes())
        .await
        .expect("the stand-in reads");
    let (response, _) = receive_head(&mut stream).await;
    let mut found = crate::compare::differences(
        &exchange["response"],
        &response,
        Body::Ignored,
        &mut stage.names,
    );
    if !found.is_empty() {
        return found;
    }
    let token = credential(request);
    for frame in exchange["frames"].as_array().into_iter().flatten() {
        if is_presence(frame) {
            continue;
        }
        let at = frame["t"].as_f64().unwrap_or_default();
        let passed = started.elapsed().as_secs_f64();
        let revoked = frame["event"]
            .as_str()
            .is_some_and(|event| event.contains("revoked"));
        if revoked && at > 5.05 && passed < GRACE {
            tokio::time::sleep(Duration::from_secs_f64(GRACE - passed)).await;
        }
        let event = frame["event"].as_str().unwrap_or_default();
        if event.contains("revoked") {
            assert!(stage.app.revoke_token(&token), "the session was alive");
        } else if event.starts_with("client") {
            return found;
        } else if event.starts_with("server closed") || event.starts_with("connection error") {
            match next(&mut stream).await {
                Frame::Ended => {}
                other => found.push(format!("{other:?} instead of the end")),
            }
        } else if event.is_empty() {
            if frame["dir"] == "client→server" {
                speak(stage, &mut stream, frame).await;
            } else {
                hear(stage, &mut stream, frame, &mut found).await;
            }
        } else {
            found.push(format!("the remark {event:?} is not understood"));
        }
        if !found.is_empty() {
            return found;
        }
    }
    found
}

fn credential(request: &Request) -> String {
    let values = request.headers.iter().map(|(_, value)| value.as_str());
    let mut tokens = values.filter_map(|value| {
        value
            .strip_prefix("Bearer ")
            .or(value.strip_prefix("MMAUTHTOKEN="))
    });
    tokens.next().unwrap_or_default().to_owned()
}

fn is_presence(frame: &Value) -> bool {
    frame["data"]
        .as_str()
        .is_some_and(|data| data.contains("\"status_change\""))
}

async fn speak(stage: &Stage, stream: &mut TcpStream, frame: &Value) {
    let text = stage
        .names
        .apply(frame["data"].as_str().unwrap_or_default());
    let mut payload = text
        .split('…')
        .next()
        .unwrap_or_default()
        .as_bytes()
        .to_vec();
    if text.contains('…') {
        // Shortened without a number; recording 07 calls it a message of 8,200 bytes.
        payload.resize(8_200, b'y');
    }
    let opcode = match frame["type"].as_str() {
        Some("close") => {
            payload = 1000u16.to_be_bytes().to_vec();
            8
        }
        Some("ping") => 9,
        _ => 1,
    };
    send_frame(stream, opcode, &payload).await;
}

async fn send_frame(stream: &mut TcpStream, opcode: u8, payload: &[u8]) {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).expect("short")),
        long => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(long).expect("below 64 KiB").to_be_bytes());
        }
    }
    let mask = [1u8, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    stream.write_all(&bytes).await.expect("the stand-in reads");
}

async fn hear(stage: &mut Stage, stream: &mut TcpStream, frame: &Value, found: &mut Vec<String>) {
    let data = frame["data"].as_str().unwrap_or_default();
    // A message of the bot, written by the recorder at this moment.
    let expected: Option<Value> = serde_json::from_str(data).ok();
    if let Some(posted) = expected.as_ref().filter(|data| data["event"] == "posted") {
        let post: Value = serde_json::from_str(posted["data"]["post"].as_str().unwrap_or("{}"))
            .unwrap_or_default();
        let channel = stage.live(post["channel_id"].as_str().unwrap_or_default());
        let author = stage.live(post["user_id"].as_str().unwrap_or_default());
        let text = post["message"].as_str().unwrap_or_default();
        stage
            .app
            .post_as(&author, &channel, text)
            .expect("the author exists");
        assert!(stage.names.get(BOT_TOKEN).is_some(), "the bot is known");
    }
    let got = next(stream).await;
    match (frame["type"].as_str(), &got) {
        (Some("text"), Frame::Text(text)) => {
            if data.ends_with('\n') != text.ends_with('\n') {
                found.push(format!("the line feed at the end differs: {text:?}"));
            }
            match (expected, serde_json::from_str::<Value>(text)) {
                (Some(expected), Ok(got)) => {
                    values(
                        "frame",
                        &expected,
                        &got,
                        Body::Whole,
                        &mut stage.names,
                        found,
                    );
                }
                _ => found.push(format!("{text:?} instead of {data:?}")),
            }
        }
        (Some("pong"), Frame::Pong(text)) if text == data => {}
        (Some("close"), Frame::Close(code)) if frame["code"] == u64::from(*code) => {}
        _ => found.push(format!("{got:?} instead of {frame}")),
    }
}

/// The next frame that is not about presence.
async fn next(stream: &mut TcpStream) -> Frame {
    loop {
        let frame = tokio::time::timeout(LIMIT, read(stream))
            .await
            .expect("a frame in time");
        match frame {
            Some(Frame::Text(text)) if text.contains("\"status_change\"") => {}
            Some(frame) => return frame,
            None => return Frame::Ended,
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let (first, second) = (stream.read_u8().await.ok()?, stream.read_u8().await.ok()?);
    assert_eq!(second & 0x80, 0, "a server does not mask");
    let length = match second {
        126 => usize::from(stream.read_u16().await.ok()?),
        127 => usize::try_from(stream.read_u64().await.ok()?).ok()?,
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    let text = || String::from_utf8(payload.clone()).expect("text");
    Some(match first & 0x0f {
        1 => Frame::Text(text()),
        8 => Frame::Close(u16::from_be_bytes([payload[0], payload[1]])),
        10 => Frame::Pong(text()),
        other => panic!("opcode {other} was not expected"),
    })
}

//! `GET /api/v4/websocket` (recordings 07 to 10): who gets a socket, what is said on it, how a
//! dropped one is resumed, and what a dead session does to it (it stays open and mute).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use axum::body::Body;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::answer::{Answer, Refusal, Reply, Style};
use super::call::Call;
use super::controls::StandIn;
use super::credential::find;
use super::ids::{is_id, new_id, now_ms};
use super::socket::{
    Broken, Message, accept_key, read, write_close, write_ping, write_pong, write_text,
};

/// Longest message of a client.
const LONGEST: usize = 8_192;
/// A socket without a live session is closed this long after opening.
const GRACE: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(60);
const READ_LIMIT: Duration = Duration::from_secs(100);
/// Events kept for resuming: what was sent last, and what waits for a connection to come back.
const KEPT: usize = 128;
/// Dropped connections kept for resuming, over all users.
const DROPPED_KEPT: usize = 1_000;
/// Events waiting for a slow client; one that is slower is cut.
const QUEUE: usize = 256;

/// One connection as Mattermost thinks of it: it outlives its TCP connection.
struct Connection {
    id: String,
    user_id: String,
    token: String,
    /// Number of the next event.
    seq: u64,
    /// The newest events, for whoever resumes.
    recent: VecDeque<(u64, String)>,
    /// The open TCP connection, if any.
    live: Option<mpsc::Sender<String>>,
    /// A message failed for want of a session: only now is a challenge listened to.
    failed: bool,
}

/// All connections, by a number of ours.
#[derive(Default)]
pub(super) struct Hub {
    inner: Mutex<HubInner>,
}

#[derive(Default)]
struct HubInner {
    next: u64,
    open: usize,
    connections: HashMap<u64, Connection>,
    dropped: VecDeque<u64>,
}

/// Whom an event is for, as its `broadcast` member says.
fn broadcast(user: &str, channel: &str) -> Value {
    json!({"omit_users": null, "user_id": user, "channel_id": channel, "team_id": "", "connection_id": "", "omit_connection_id": ""})
}

/// An event in the real server's spelling, which has blanks after its outer colons.
fn event(name: &str, data: &Value, broadcast: &Value, seq: u64) -> String {
    format!(r#"{{"event": "{name}", "data": {data}, "broadcast": {broadcast}, "seq": {seq}}}"#)
}

impl StandIn {
    /// WebSocket connections open now.
    pub fn open_sockets(&self) -> usize {
        self.hub().inner.lock().open
    }

    /// Tells all sockets of one user.
    pub(super) fn publish_to_user(&self, name: &str, data: &Value, user: &str) {
        self.publish(name, data, &broadcast(user, ""), |candidate| {
            candidate == user
        });
    }

    /// Tells all sockets of a channel's members.
    pub(super) fn publish_to_channel(
        &self,
        name: &str,
        data: &Value,
        channel: &str,
        members: &[String],
    ) {
        self.publish(name, data, &broadcast("", channel), |candidate| {
            members.iter().any(|member| member == candidate)
        });
    }

    fn publish(&self, name: &str, data: &Value, to: &Value, test: impl Fn(&str) -> bool) {
        let mut hub = self.hub().inner.lock();
        for connection in hub.connections.values_mut() {
            // A mute socket misses events without a gap in its numbers (recorded).
            let alive = || self.session_of_token(&connection.token).is_some();
            if !test(&connection.user_id) || !alive() {
                continue;
            }
            let text = event(name, data, to, connection.seq);
            connection.push(text);
        }
    }

    /// Ends every TCP connection of a socket without a word, as a network does.
    pub fn drop_sockets(&self) {
        for connection in self.hub().inner.lock().connections.values_mut() {
            connection.live = None;
        }
        self.wake_sockets();
    }
}

impl Connection {
    fn push(&mut self, text: String) {
        if let Some(live) = &self.live
            && live.try_send(text.clone()).is_err()
        {
            self.live = None;
        }
        if self.recent.len() >= KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back((self.seq, text));
        self.seq += 1;
    }
}

/// The Origin rule: none passes; otherwise scheme and host of SiteURL, in any case.
fn origin_allowed(call: &Call) -> bool {
    let origin = call.header("origin");
    if origin.is_empty() {
        return true;
    }
    let site = call.app.text("ServiceSettings", "SiteURL");
    let mut allowed = call.app.text("ServiceSettings", "AllowCorsFrom");
    if allowed == "*" {
        return true;
    }
    if site.is_empty() {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        return host.eq_ignore_ascii_case(call.header("host"));
    }
    let parts: Vec<&str> = site.splitn(4, '/').collect();
    allowed.push(' ');
    allowed.push_str(
        &parts
            .get(..3)
            .map(|parts| parts.join("/"))
            .unwrap_or_default(),
    );
    allowed
        .split(' ')
        .any(|one| !one.is_empty() && one.eq_ignore_ascii_case(origin))
}

/// Refusals of the upgrade are text with JSON behind it, which says 400 whatever the status is.
fn refuse(call: &Call, status: u16, word: &str) -> Answer {
    let message = format!(
        "URL Blocked because of CORS. Url: {}",
        call.header("origin")
    );
    let refusal = Refusal::new(400, "api.web_socket.connect.upgrade.app_error", message);
    let refusal = Refusal {
        request_id: Some(new_id()),
        ..refusal
    };
    let json = serde_json::to_string(&refusal).unwrap_or_default();
    let text = format!("{word}\n{json}");
    let reply = Reply::new(status, Style::Api, "text/plain; charset=utf-8", text);
    Ok(reply.with("sec-websocket-version", "13"))
}

/// `GET /websocket`. A bad token does not refuse the upgrade.
pub(super) async fn open(mut call: Call) -> Answer {
    let upgrade = call.upgrade.take();
    let lists = |name: &str, word: &str| {
        call.header(name)
            .split(',')
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let key = call.header("sec-websocket-key").to_owned();
    let asked = lists("connection", "upgrade")
        && lists("upgrade", "websocket")
        && call.header("sec-websocket-version") == "13"
        && !key.is_empty();
    let (true, Some(upgrade)) = (asked, upgrade) else {
        return refuse(&call, 400, "Bad Request");
    };
    if !origin_allowed(&call) {
        return refuse(&call, 403, "Forbidden");
    }
    let token = find(&call.headers, &call.query)
        .map(|(_, token)| token)
        .unwrap_or_default();
    let resume = call
        .param("connection_id")
        .filter(|id| !id.is_empty())
        .map(str::to_owned);
    let number = call
        .param("sequence_number")
        .and_then(|text| text.parse::<u64>().ok());
    let app = call.app.clone();
    let shutdown = call.shutdown.clone();
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = run(app, TokioIo::new(upgraded), token, resume, number);
            tokio::select! {
                () = socket => {}
                () = shutdown.cancelled() => {}
            }
        }
    });
    let reply = Reply::new(101, Style::Naked, "", Body::empty());
    Ok(reply
        .with("upgrade", "websocket")
        .with("connection", "Upgrade")
        .with("sec-websocket-accept", &accept_key(&key)))
}

/// Takes a connection out of the count when its task ends, however it ends; the connection itself
/// stays for whoever resumes it.
struct Entry {
    app: StandIn,
    key: Option<u64>,
    /// The sending half that is ours; another socket may have taken the connection over.
    mine: mpsc::Sender<String>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut hub = self.app.hub().inner.lock();
        hub.open = hub.open.saturating_sub(1);
        let Some(key) = self.key else { return };
        if let Some(connection) = hub.connections.get_mut(&key) {
            if connection
                .live
                .as_ref()
                .is_some_and(|live| !live.same_channel(&self.mine))
            {
                return;
            }
            connection.live = None;
        }
        hub.dropped.push_back(key);
        while hub.dropped.len() > DROPPED_KEPT {
            if let Some(old) = hub.dropped.pop_front()
                && hub
                    .connections
                    .get(&old)
                    .is_some_and(|connection| connection.live.is_none())
            {
                hub.connections.remove(&old);
            }
        }
    }
}

impl Entry {
    fn new(app: StandIn) -> (Self, mpsc::Receiver<String>) {
        let (mine, queue) = mpsc::channel(QUEUE);
        app.hub().inner.lock().open += 1;
        (
            Self {
                app,
                key: None,
                mine,
            },
            queue,
        )
    }

    /// Binds the socket to a user: resumes a dropped connection of theirs, or begins a new one
    /// with a hello.
    fn attach(&mut self, token: &str, resume: Option<(&str, u64)>) -> bool {
        let Some(session) = self.app.session_of_token(token) else {
            return false;
        };
        let version = self.app.options().version.clone();
        let mut hub = self.app.hub().inner.lock();
        if let Some((id, number)) = resume {
            let known = hub.connections.iter().find(|(_, connection)| {
                let oldest = connection
                    .recent
                    .front()
                    .map_or(connection.seq, |(seq, _)| *seq);
                connection.id == id
                    && connection.user_id == session.user_id
                    && (oldest..=connection.seq).contains(&number)
            });
            if let Some(key) = known.map(|(key, _)| *key)
                && let Some(connection) = hub.connections.get_mut(&key)
            {
                for (_, text) in connection.recent.iter().filter(|(seq, _)| *seq >= number) {
                    let _ = self.mine.try_send(text.clone());
                }
                token.clone_into(&mut connection.token);
                connection.failed = false;
                connection.live = Some(self.mine.clone());
                self.key = Some(key);
                hub.dropped.retain(|old| *old != key);
                // Whoever had it before is closed.
                self.app.wake_sockets();
                return true;
            }
        }
        let key = match self.key {
            Some(key) => key,
            None => {
                hub.next += 1;
                hub.next
            }
        };
        let connection = hub.connections.entry(key).or_insert_with(|| Connection {
            id: new_id(),
            user_id: String::new(),
            token: String::new(),
            seq: 0,
            recent: VecDeque::new(),
            live: None,
            failed: false,
        });
        // A socket that went mute keeps its id and its numbers, even under another user.
        connection.user_id.clone_from(&session.user_id);
        token.clone_into(&mut connection.token);
        connection.failed = false;
        connection.live = Some(self.mine.clone());
        let hello = json!({
            "event": "hello",
            "data": {"connection_id": connection.id, "server_hostname": "stand-in", "server_version": version},
            "broadcast": broadcast(&session.user_id, ""), "seq": connection.seq,
        });
        connection.push(format!("{hello}\n"));
        self.key = Some(key);
        drop(hub);
        self.app.set_active_now(&session.user_id);
        true
    }

    /// The session behind the socket: live, dead, or never there.
    fn standing(&self) -> Standing {
        let hub = self.app.hub().inner.lock();
        let Some(connection) = self.key.and_then(|key| hub.connections.get(&key)) else {
            return Standing::Nobody;
        };
        let (token, failed) = (connection.token.clone(), connection.failed);
        drop(hub);
        if self.app.session_of_token(&token).is_some() {
            Standing::Live
        } else {
            Standing::Dead { failed }
        }
    }

    fn note_failure(&self) {
        let mut hub = self.app.hub().inner.lock();
        if let Some(connection) = self.key.and_then(|key| hub.connections.get_mut(&key)) {
            connection.failed = true;
        }
    }

    fn user_id(&self) -> String {
        let hub = self.app.hub().inner.lock();
        let own = self.key.and_then(|key| hub.connections.get(&key));
        own.map(|connection| connection.user_id.clone())
            .unwrap_or_default()
    }
}

enum Standing {
    Nobody,
    Live,
    Dead { failed: bool },
}

async fn run(
    app: StandIn,
    io: TokioIo<hyper::upgrade::Upgraded>,
    token: String,
    resume: Option<String>,
    number: Option<u64>,
) {
    let (mut reading, mut writing) = tokio::io::split(io);
    let (mut entry, mut queue) = Entry::new(app.clone());
    let resume = match (&resume, number) {
        (Some(id), Some(number)) if is_id(id) => Some((id.as_str(), number)),
        (Some(_), _) => return,
        _ => None,
    };
    if entry.attach(&token, resume) {
        announce(&app, &entry.user_id());
    }

    // Reading runs beside: a half-read frame must not be dropped by the loop below.
    let (heard, mut hearing) = mpsc::channel(16);
    let _reader = AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let message = read(&mut reading, LONGEST).await;
            let last = message.is_err();
            if heard.send(message).await.is_err() || last {
                break;
            }
        }
    }));
    let started = Instant::now();
    let mut graced = false;
    let mut last_heard = started;
    let mut pings = interval_at(started + PING_EVERY, PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Another socket may have taken the connection over, or a test cut it off. Listening
        // begins before looking, so that nothing falls between.
        let changed = app.socket_change().notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if entry.key.is_some() && entry.replaced() {
            break;
        }
        let done = tokio::select! {
            Some(text) = queue.recv() => write_text(&mut writing, &text).await.is_err(),
            message = hearing.recv() => {
                last_heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => {
                        hear(&mut entry, &mut writing, &mut queue, &text).await.is_none()
                    }
                    Some(Ok(Message::Ping(data))) => write_pong(&mut writing, &data).await.is_err(),
                    Some(Ok(Message::Pong)) => false,
                    Some(Ok(Message::Close(code))) => {
                        let _ = write_close(&mut writing, code).await;
                        true
                    }
                    Some(Err(Broken::TooLong)) => {
                        let _ = write_close(&mut writing, 1009).await;
                        true
                    }
                    // msgpack is not spoken here.
                    Some(Ok(Message::Binary(_)) | Err(_)) | None => true,
                }
            }
            () = sleep_until(started + GRACE), if !graced => {
                graced = true;
                !matches!(entry.standing(), Standing::Live)
            }
            _ = pings.tick() => write_ping(&mut writing).await.is_err(),
            () = sleep_until(last_heard + READ_LIMIT) => true,
            () = changed => false,
        };
        if done {
            break;
        }
    }
    let _ = writing.shutdown().await;
}

impl Entry {
    /// Whether the connection is not ours any more.
    fn replaced(&self) -> bool {
        let hub = self.app.hub().inner.lock();
        let own = self.key.and_then(|key| hub.connections.get(&key));
        own.is_none_or(|own| {
            own.live
                .as_ref()
                .is_none_or(|live| !live.same_channel(&self.mine))
        })
    }
}

fn announce(app: &StandIn, user_id: &str) {
    app.publish_to_user(
        "status_change",
        &json!({"status": "online", "user_id": user_id}),
        user_id,
    );
}

/// Answers one message; `None` closes the TCP connection without a close frame.
async fn hear(
    entry: &mut Entry,
    writing: &mut (impl tokio::io::AsyncWrite + Unpin),
    queue: &mut mpsc::Receiver<String>,
    text: &str,
) -> Option<()> {
    let message: Value = serde_json::from_str(text).ok().filter(Value::is_object)?;
    let action = message
        .get("action")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let seq = message
        .get("seq")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    let standing = entry.standing();
    if action == "authentication_challenge" {
        if matches!(standing, Standing::Live | Standing::Dead { failed: false }) {
            return Some(());
        }
        let token = message
            .pointer("/data/token")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !entry.attach(token, None) {
            return None;
        }
        // The hello goes before the reply (recorded).
        while let Ok(text) = queue.try_recv() {
            write_text(writing, &text).await.ok()?;
        }
        write_text(writing, &reply(seq, None)).await.ok()?;
        announce(&entry.app, &entry.user_id());
        return Some(());
    }
    let answer = match standing {
        Standing::Nobody => return Some(()),
        Standing::Dead { .. } => {
            entry.note_failure();
            let message = "WebSocket connection is not authenticated. Please log in and try again.";
            failure(
                seq,
                "api.web_socket_router.not_authenticated.app_error",
                message,
                401,
            )
        }
        Standing::Live if action.is_empty() => failure(
            seq,
            "api.web_socket_router.no_action.app_error",
            "No WebSocket action.",
            400,
        ),
        Standing::Live if seq <= 0 => {
            let message = "Invalid sequence for WebSocket message.";
            failure(0, "api.web_socket_router.bad_seq.app_error", message, 400)
        }
        Standing::Live => match action {
            "ping" => reply(
                seq,
                Some(
                    json!({"node_id": "", "server_time": now_ms(), "text": "pong", "version": entry.app.short_version()}),
                ),
            ),
            "get_statuses" => {
                let state = entry.app.state();
                let online = state.users.iter().filter(|user| user.is_active());
                let shown = online
                    .map(|user| (user.id.clone(), json!("online")))
                    .collect();
                reply(seq, Some(Value::Object(shown)))
            }
            "user_typing" | "presence" | "user_update_active_status" | "posted_notify_ack" => {
                reply(seq, None)
            }
            _ => failure(
                seq,
                "api.web_socket_router.bad_action.app_error",
                "Unknown WebSocket action.",
                500,
            ),
        },
    };
    write_text(writing, &answer).await.ok()
}

fn reply(seq: i64, data: Option<Value>) -> String {
    let data = data
        .map(|data| format!(r#","data":{data}"#))
        .unwrap_or_default();
    format!("{{\"status\":\"OK\",\"seq_reply\":{seq}{data}}}\n")
}

fn failure(seq: i64, id: &'static str, message: &str, status: u16) -> String {
    let error = serde_json::to_string(&Refusal::new(status, id, message)).unwrap_or_default();
    let seq = if seq > 0 {
        format!(r#""seq_reply":{seq},"#)
    } else {
        String::new()
    };
    format!("{{\"status\":\"FAIL\",{seq}\"error\":{error}}}\n")
}

//! A scripted server for the tests of this folder: answers by method and path, in order (the last
//! one again and again), and remembers what it was asked. Bodies are those of the recordings where
//! they matter. The stateful stand-in is another thing (`demo`).

use super::Mattermost;
use crate::apps::{WantedAccount, WantedProfile};
use crate::config::{
    AccessRule, AppConfig, AppKind, ExternalRevoke, LinkPolicy, MattermostConfig, ProvisionConfig,
    SecretSource, SessionConfig, SignOut,
};
use crate::types::{AppId, HostName, IssuerId, ManualClock, RemoteId, Timestamp};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(super) const BOT_TOKEN: &str = "ujnhdmyuhbyzpge3gpp6ky4y7c";
pub(super) const ANN: &str = "s7iesyh6kpyz8fggtygtd44u3e";
pub(super) const TOKEN: &str = "fuescm8613g59xqewm5zswgi7w";
pub(super) const CSRF: &str = "jcpop7jcwp8bbdka1bgdoaatky";
pub(super) const SESSION: &str = "6d7izkdryjrkdqcxfwwnxr4o3y";
/// 2026-11-21, as the recordings.
pub(super) const NOW: Timestamp = Timestamp(1_795_248_000);

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(n, _)| n == name);
        let found = all.next().map(|(_, v)| v.as_str());
        assert!(all.next().is_none(), "{name} twice");
        found
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Clone)]
enum Answer {
    Text {
        status: u16,
        headers: String,
        body: String,
    },
    /// Closes without a word, after reading the request.
    Drop,
}

#[derive(Default)]
struct State {
    script: Mutex<HashMap<String, VecDeque<Answer>>>,
    log: Mutex<Vec<Asked>>,
}

/// The server.
pub(super) struct Fake {
    address: SocketAddr,
    state: Arc<State>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, state }
    }

    /// `on("GET /api/v4/users/me", 200, …)`.
    pub(super) fn on(&self, line: &str, status: u16, body: impl Into<String>) -> &Self {
        self.with(line, status, "Content-Type: application/json\r\n", body)
    }

    pub(super) fn with(
        &self,
        line: &str,
        status: u16,
        headers: &str,
        body: impl Into<String>,
    ) -> &Self {
        self.push(
            line,
            Answer::Text {
                status,
                headers: headers.into(),
                body: body.into(),
            },
        )
    }

    pub(super) fn drops(&self, line: &str) -> &Self {
        self.push(line, Answer::Drop)
    }

    /// Mattermost's error shape.
    pub(super) fn refuses(&self, line: &str, status: u16, id: &str) -> &Self {
        self.on(
            line,
            status,
            format!(
                r#"{{"id":"{id}","message":"A text.","detailed_error":"","request_id":"x","status_code":{status}}}"#
            ),
        )
    }

    /// A login that succeeds, with the header and cookies of recordings 02 and 05.
    pub(super) fn logs_in(&self, id: &str) -> &Self {
        self.with(
            "POST /api/v4/users/login",
            200,
            &format!(
                "Content-Type: application/json\r\nToken: {TOKEN}\r\nSet-Cookie: MMAUTHTOKEN={TOKEN}; Path=/; Expires=Mon, 21 Dec 2026 07:52:41 GMT; Max-Age=2592000; HttpOnly; Secure\r\nSet-Cookie: MMUSERID={id}; Path=/; Max-Age=2592000; Secure\r\nSet-Cookie: MMCSRF={CSRF}; Path=/; Max-Age=2592000; Secure\r\n"
            ),
            user(id, "ann", "ann@example.test"),
        )
    }

    fn push(&self, line: &str, answer: Answer) -> &Self {
        let mut script = self.state.script.lock();
        script.entry(line.into()).or_default().push_back(answer);
        drop(script);
        self
    }

    /// Everything asked so far with this request line; all of it for an empty one.
    pub(super) fn asked(&self, line: &str) -> Vec<Asked> {
        let log = self.state.log.lock();
        log.iter()
            .filter(|a| line.is_empty() || a.line == line)
            .cloned()
            .collect()
    }

    /// The app in front of this server, changed as the test needs.
    pub(super) fn app(
        &self,
        change: impl FnOnce(&mut AppConfig, &mut MattermostConfig),
    ) -> Arc<Mattermost> {
        self.app_at(NOW, change)
    }

    pub(super) fn app_at(
        &self,
        now: Timestamp,
        change: impl FnOnce(&mut AppConfig, &mut MattermostConfig),
    ) -> Arc<Mattermost> {
        let mut mm = MattermostConfig {
            bot_token: SecretSource::Credential("bot".into()),
            link: LinkPolicy::Never,
            team: Some("alpha".into()),
            create_team: false,
            logins: 2,
            login_timeout: Duration::from_secs(10),
        };
        let mut app = AppConfig {
            id: AppId::new("chat").unwrap(),
            name: "Chat".into(),
            host: HostName::new("chat.example.test").unwrap(),
            origin: "https://chat.example.test".into(),
            base_path: "/".into(),
            issuer: IssuerId::new("pomerium").unwrap(),
            upstream: format!("http://{}", self.address).parse().unwrap(),
            upstream_ca: None,
            access: AccessRule {
                everyone: true,
                validated: None,
                any_of: Vec::new(),
                all_of: Vec::new(),
            },
            session: SessionConfig {
                absolute: Duration::from_secs(14 * 3600),
                overall: Duration::from_secs(30 * 86400),
                idle: Duration::from_secs(12 * 3600),
                stale_after: Duration::from_secs(180),
                socket_max_age: Duration::from_secs(3600),
                external_revoke: ExternalRevoke::SignOut,
                sign_out: SignOut::Pomerium,
                tombstone: Duration::from_secs(25 * 3600),
                page_wait: Duration::from_secs(2),
                other_wait: Duration::from_secs(30),
                replay_body: 65536,
            },
            machine_routes: Vec::new(),
            services: Vec::new(),
            kind: AppKind::Mattermost(mm.clone()),
            provision: ProvisionConfig::default(),
            response_timeout: Duration::from_secs(60),
        };
        change(&mut app, &mut mm);
        Mattermost::new(
            &app,
            &mm,
            BOT_TOKEN.to_owned().into(),
            None,
            Arc::new(ManualClock::at(now)),
        )
        .unwrap()
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await {
        let answer = {
            let mut script = state.script.lock();
            script.get_mut(&asked.line).map(|answers| {
                if answers.len() > 1 {
                    answers.pop_front().unwrap()
                } else {
                    answers.front().cloned().unwrap()
                }
            })
        };
        let line = asked.line.clone();
        state.log.lock().push(asked);
        let (status, headers, body) = match answer {
            Some(Answer::Drop) => return,
            Some(Answer::Text {
                status,
                headers,
                body,
            }) => (status, headers, body),
            None => (
                418,
                "Content-Type: application/json\r\n".to_owned(),
                format!(r#"{{"id":"test.not_scripted","message":"{line}"}}"#),
            ),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers
        .iter()
        .find(|(n, _)| n == "content-length")
        .map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked {
        line: line.trim_end().trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// A person's account as an administrator reads it (recordings 01).
pub(super) fn user(id: &str, username: &str, email: &str) -> String {
    format!(
        r#"{{"id":"{id}","create_at":1795247543454,"update_at":1795247543714,"delete_at":0,"username":"{username}","auth_service":"","email":"{email}","nickname":"","first_name":"Ann","last_name":"Lee","position":"","roles":"system_user","notify_props":{{"channel":"true","first_name":"false"}},"last_password_update":1795247543454,"locale":"en","timezone":{{"automaticTimezone":"","manualTimezone":"","useAutomaticTimezone":"true"}},"remote_id":"","disable_welcome_email":false}}"#
    )
}

/// The session list of recordings 11.
pub(super) fn sessions() -> String {
    format!(
        r#"[{{"id":"{SESSION}","token":"","create_at":1795248005223,"expires_at":1797840005223,"last_activity_at":1795248005223,"user_id":"{ANN}","device_id":"","roles":"system_user","is_oauth":false,"expired_notify":false,"props":{{"browser":"Unknown/0.0","csrf":"{CSRF}","isMobile":"false"}},"team_members":[],"local":false}},{{"id":"n7h4bztbj7g7zxhbjee3hu68ir","token":"","expires_at":1797840005133,"user_id":"{ANN}","props":{{"csrf":"ozrsxrfg8jdqby3jqmai9iqteo"}}}}]"#
    )
}

pub(super) fn ann() -> RemoteId {
    RemoteId::new(ANN).unwrap()
}

/// Ann Lee, as the identity provider says her.
pub(super) fn wanted() -> WantedAccount {
    WantedAccount {
        remote: None,
        earlier_try: false,
        preferred_username: Some("ann".into()),
        name: "Ann Lee".into(),
        email: "Ann@Example.test".into(),
        email_verified: true,
        locale: Some("fr-FR".into()),
        fallback_email: "u1@chat.example.test.invalid".into(),
        password: "derived-password-1".to_owned().into(),
        adopt: None,
    }
}

/// What she is to be called.
pub(super) fn called() -> WantedProfile {
    WantedProfile {
        username: None,
        name: wanted().name,
        email: wanted().email,
    }
}

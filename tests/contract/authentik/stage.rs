//! A stand-in with what a recording finds there, a receiver for what it sends, and the comparison.

use super::exchanges;
use super::text::blank;
use crate::wire::{Request, Response, send};
use auth_manager::demo::authentik::{Options, StandIn};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The role that the reader's service account has in the recordings.
pub(crate) const ROLE: &str = "d8808950-8eaa-47ae-b6fd-e4f96ebabf5e";
pub(crate) const READER: &str = "lab-reader-token-0000000000000000000000";

pub(crate) struct Stage {
    pub(crate) app: StandIn,
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Stage {
    pub(crate) async fn empty() -> Self {
        let app = StandIn::new(Options {
            empty: true,
            ..Options::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let (served, token) = (app.clone(), shutdown.clone());
        tokio::spawn(async move { served.serve(listener, token).await });
        Self {
            app,
            address,
            shutdown,
        }
    }

    /// The users of recording 44 and the groups of recording 45, with the reader's tokens and a role
    /// that has these permissions.
    pub(crate) async fn peopled(permissions: &[&str]) -> Self {
        let stage = Self::empty().await;
        let users = exchanges("44-rest-users-with-view-user.json");
        let groups = exchanges("45-rest-groups.json");
        stage.app.set_role(ROLE, "bridge-reader", permissions, &[]);
        let shipped = "1bcabcb4-611f-4321-a436-2a6bb6dc57f2";
        stage.app.set_role(shipped, "authentik Read-only", &[], &[]);
        for group in results(&groups[0]) {
            stage.app.import_group(group);
        }
        for user in results(&users[4]) {
            stage.app.import_user(user);
        }
        let token = &exchanges("40-rest-service-account-and-token.json")[1]["response"]["body"];
        stage.app.import_token(token, READER);
        stage.app.give_token(3, "lab-admin", "lab-admin-token");
        stage
    }

    /// Asks as the recording did, with its headers.
    pub(crate) async fn ask(&self, recorded: &Value) -> Response {
        let mut headers: Vec<(String, String)> =
            serde_json::from_value(recorded["headers"].clone()).unwrap_or_default();
        headers.push(("Host".into(), self.address.to_string()));
        headers.push(("User-Agent".into(), "Python-urllib/3.11".into()));
        let form = headers
            .iter()
            .any(|(_, value)| value == "application/x-www-form-urlencoded");
        let body = match &recorded["body"] {
            Value::Null => Vec::new(),
            Value::Object(fields) if form => {
                let pairs = fields
                    .iter()
                    .map(|(key, value)| (key, value.as_str().unwrap_or_default()));
                url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(pairs)
                    .finish()
                    .into_bytes()
            }
            body => body.to_string().into_bytes(),
        };
        let request = Request {
            method: recorded["method"].as_str().expect("a method").into(),
            path: recorded["path"].as_str().expect("a path").into(),
            headers,
            body,
        };
        send(self.address, &request).await
    }

    /// What differs in the answer to one exchange.
    pub(crate) async fn differences(&self, exchange: &Value, ignored: &[&str]) -> Vec<String> {
        let live = self.ask(&exchange["request"]).await;
        let recorded = &exchange["response"];
        let mut found = Vec::new();
        if recorded["status"] != live.status {
            let body = String::from_utf8_lossy(&live.body).into_owned();
            return vec![format!(
                "status {} instead of {}: {body}",
                live.status, recorded["status"]
            )];
        }
        let lines: Vec<(String, String)> =
            serde_json::from_value(recorded["headers"].clone()).expect("headers are pairs");
        let shown = |lines: &[(String, String)]| -> Vec<String> {
            let kept = lines
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value));
            kept.filter(|(name, _)| !["connection", "date"].contains(&name.as_str()))
                .map(|(name, value)| match name.as_str() {
                    "content-length" => name,
                    _ => format!("{name}: {value}"),
                })
                .collect()
        };
        let (want, have) = (shown(&lines), shown(&live.headers));
        if want != have {
            found.push(format!("headers {have:?} instead of {want:?}"));
        }
        let body = serde_json::from_slice(&live.body).unwrap_or(Value::Null);
        values("body", &recorded["body"], &body, ignored, &mut found);
        found
    }
}

pub(crate) fn results(exchange: &Value) -> &Vec<Value> {
    exchange["response"]["body"]["results"]
        .as_array()
        .expect("a list")
}

/// Compares two bodies, member by member; what no two servers share may differ where both have it.
pub(crate) fn values(
    at: &str,
    want: &Value,
    have: &Value,
    ignored: &[&str],
    found: &mut Vec<String>,
) {
    if ignored.iter().any(|part| at.ends_with(part)) {
        return;
    }
    match (want, have) {
        (Value::Object(a), Value::Object(b)) => {
            let (left, right): (BTreeSet<_>, BTreeSet<_>) =
                (a.keys().collect(), b.keys().collect());
            if left != right {
                found.push(format!("{at} has {right:?} instead of {left:?}"));
                return;
            }
            for (key, value) in a {
                values(&format!("{at}.{key}"), value, &b[key], ignored, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                values(&format!("{at}[{index}]"), a, b, ignored, found);
            }
        }
        (Value::String(a), Value::String(b)) => {
            let picture = a.starts_with("data:image/") && b.starts_with("data:image/");
            if a != b && !picture && blank(a) != blank(b) {
                found.push(format!("{at}: {b:?} instead of {a:?}"));
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{at}: {b} instead of {a}")),
    }
}

/// A request as it came to the receiver.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

type Answers = Arc<dyn Fn(&Got) -> String + Send + Sync>;

/// Somebody who gets webhooks or SCIM requests.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    /// Answers each request with what `answer` gives, a whole HTTP message.
    pub(crate) async fn answering(answer: impl Fn(&Got) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let (kept, answer) = (Arc::clone(&got), Arc::new(answer) as Answers);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                tokio::spawn(async move {
                    let request = receive(&mut stream).await;
                    let text = answer(&request);
                    kept.lock().push(request);
                    let _ = stream.write_all(text.as_bytes()).await;
                });
            }
        });
        Self { address, got }
    }

    pub(crate) fn take(&self) -> Vec<Got> {
        std::mem::take(&mut *self.got.lock())
    }
}

async fn receive(stream: &mut tokio::net::TcpStream) -> Got {
    // A request's head has the form of an answer's, but for its first line.
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = text.trim_end().split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "Content-Length");
    let length = length.and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let _ = stream.read_exact(&mut body).await;
    Got {
        line,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// A request as it was recorded and as it came: header lines in order, values but for those of the
/// place, body byte for byte but for ids and times.
pub(crate) fn sent_as_recorded(recorded: &Value, got: &Got) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<(String, String)> =
        serde_json::from_value(recorded["headers"].clone()).expect("headers are pairs");
    let shown = |lines: &[(String, String)]| -> Vec<String> {
        lines
            .iter()
            .map(|(name, value)| match name.as_str() {
                "Host" | "Content-Length" => name.clone(),
                _ => format!("{name}: {value}"),
            })
            .collect()
    };
    let (want, have) = (shown(&lines), shown(&got.headers));
    if want != have {
        found.push(format!("headers {have:?} instead of {want:?}"));
    }
    let (want, have) = (
        blank(recorded["body_text"].as_str().unwrap_or_default()),
        blank(&got.body),
    );
    if want != have {
        found.push(format!("body {have} instead of {want}"));
    }
    found
}

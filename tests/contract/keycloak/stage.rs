//! A stand-in with what the recordings found there, and the comparison.

use super::exchanges;
use crate::wire::{Request, Response, send};
use auth_manager::demo::keycloak::StandIn;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Header lines of the connection, which are each server's own.
const FRAMING: [&str; 2] = ["connection", "date"];

pub(crate) struct Stage {
    pub(crate) app: StandIn,
    address: SocketAddr,
    serves: JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

impl Stage {
    /// The people of recording 04 and the groups of recording 05, with who is in which.
    pub(crate) async fn peopled() -> Self {
        let app = StandIn::default();
        let users = exchanges("04-users.json");
        for user in list(&users, "/users") {
            app.import_user(user);
        }
        let machine = users.iter().map(|exchange| &exchange["response"]["body"]);
        let mut machine = machine.filter(|body| {
            let name = body["username"].as_str().unwrap_or_default();
            name.starts_with("service-account-")
        });
        app.import_service_account(machine.next().expect("the client's own account"));
        let groups = exchanges("05-groups.json");
        let lists = groups.iter().filter(|exchange| {
            let path = path(exchange);
            let whole = path.ends_with("first=0&max=100&briefRepresentation=true");
            whole && (path.contains("/groups?") || path.contains("/children?"))
        });
        for group in lists.flat_map(|exchange| exchange["response"]["body"].as_array()) {
            group.iter().for_each(|group| app.import_group(group));
        }
        for exchange in groups.iter().filter(|e| e["response"]["status"] == 400) {
            app.import_organisational_group(part(path(exchange), 5));
        }
        for exchange in &groups {
            let (asked, found) = (path(exchange), &exchange["response"]["body"]);
            let about = part(asked, 5);
            for other in found.as_array().into_iter().flatten() {
                let other = other["id"].as_str().unwrap_or_default();
                match part(asked, 6) {
                    "groups" => app.join(about, other),
                    "members" => app.join(other, about),
                    _ => {}
                }
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serves = tokio::spawn(app.clone().serve(listener));
        Self {
            app,
            address,
            serves,
        }
    }

    /// Asks as the recording did.
    async fn ask(&self, recorded: &Value) -> Response {
        let mut headers: Vec<(String, String)> =
            serde_json::from_value(recorded["headers"].clone()).expect("headers are pairs");
        headers.push(("Host".into(), self.address.to_string()));
        let body = match &recorded["body"] {
            Value::Object(fields) => {
                let pairs = fields
                    .iter()
                    .map(|(key, value)| (key, value.as_str().unwrap_or_default()));
                url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(pairs)
                    .finish()
                    .into_bytes()
            }
            _ => Vec::new(),
        };
        let request = Request {
            method: recorded["method"].as_str().expect("a method").into(),
            path: recorded["path"].as_str().expect("a path").into(),
            headers,
            body,
        };
        send(self.address, &request).await
    }

    /// What differs in the answer to one exchange: status, header lines in their order, body.
    pub(crate) async fn differences(&self, exchange: &Value) -> Vec<String> {
        let live = self.ask(&exchange["request"]).await;
        let recorded = &exchange["response"];
        let mut found = Vec::new();
        if recorded["status"] != live.status {
            found.push(format!(
                "status {} instead of {}",
                live.status, recorded["status"]
            ));
        }
        let lines: Vec<(String, String)> =
            serde_json::from_value(recorded["headers"].clone()).expect("headers are pairs");
        let (want, have) = (shown(&lines), shown(&live.headers));
        if want != have {
            found.push(format!("headers {have:?} instead of {want:?}"));
        }
        let mut body: Value = serde_json::from_slice(&live.body).unwrap_or(Value::Null);
        let mut want = recorded["body"].clone();
        for body in [&mut body, &mut want] {
            if body["access_token"].is_string() {
                body["access_token"] = json!("a token");
            }
        }
        if want != body {
            found.push(format!("body {body} instead of {want}"));
        }
        found
    }
}

/// Header lines, the length without its number.
fn shown(lines: &[(String, String)]) -> Vec<String> {
    let kept = lines
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value));
    kept.filter(|(name, _)| !FRAMING.contains(&name.as_str()))
        .map(|(name, value)| match name.as_str() {
            "content-length" => name,
            _ => format!("{name}: {value}"),
        })
        .collect()
}

/// The list that was answered to this question.
fn list<'a>(exchanges: &'a [Value], question: &str) -> impl Iterator<Item = &'a Value> {
    let asked = format!("/admin/realms/main{question}");
    let exchange = exchanges.iter().find(|e| path(e) == asked);
    let body = exchange.and_then(|exchange| exchange["response"]["body"].as_array());
    body.expect("a list").iter()
}

pub(crate) fn path(exchange: &Value) -> &str {
    exchange["request"]["path"].as_str().unwrap_or_default()
}

/// A segment of a path, which begins with an empty one.
pub(crate) fn part(path: &str, at: usize) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    path.split('/').nth(at).unwrap_or_default()
}

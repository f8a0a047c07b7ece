//! `check` about webhooks: it has Authentik fire its transport test, and says which mistake it is when
//! nothing arrives. Authentik's answers are canned: those of transports as recorded, those of rules,
//! bindings and matchers as its API's schema has them.

use crate::bed::Bed;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa";
const TOKEN: &str = "an-api-token";

/// What Authentik has.
#[derive(Clone)]
struct Has {
    transports: Value,
    rules: Value,
    bindings: Value,
    matchers: Value,
    users: Value,
    /// Answer to the transport test: status and text; 200 delivers it first.
    test: (u16, &'static str),
    /// Where the test is delivered, by whom.
    deliver: Option<(String, &'static str)>,
    /// What the token may not.
    forbidden: Vec<&'static str>,
}

impl Has {
    /// All as the blueprint makes it.
    fn shipped(url: &str) -> Self {
        let pairs = [
            ("model_created", "authentik_core.user"),
            ("model_updated", "authentik_core.user"),
            ("model_deleted", "authentik_core.user"),
            ("model_created", "authentik_core.group"),
            ("model_updated", "authentik_core.group"),
            ("model_deleted", "authentik_core.group"),
        ];
        let pk = |at: usize| format!("00000000-0000-0000-0000-0000000000{at:02}");
        let pairs = pairs.iter().enumerate();
        let matchers = pairs.map(|(at, (action, model))| {
            json!({ "pk": pk(at), "name": format!("p{at}"), "action": action, "app": "", "model": model })
        });
        let bindings = (0..6)
            .map(|at| json!({ "pk": pk(at + 20), "policy": pk(at), "enabled": true, "order": at }));
        Self {
            transports: json!([{
                "pk": pk(90), "name": "auth-manager-webhook", "mode": "webhook", "webhook_url": url,
                "send_once": true, "webhook_mapping_headers": pk(91), "webhook_mapping_body": pk(92),
            }]),
            rules: json!([{
                "pk": pk(80), "name": "auth-manager-changes", "transports": [pk(90)], "severity": "notice",
                "destination_group": pk(70), "destination_event_user": false,
            }]),
            bindings: bindings.collect(),
            matchers: matchers.collect(),
            users: json!([4]),
            test: (200, "{\"messages\":[\"202\",\"\"]}"),
            deliver: None,
            forbidden: Vec::new(),
        }
    }
}

type Shared = Arc<Mutex<Has>>;

fn page(results: &Value) -> Response {
    Json(json!({ "pagination": { "next": 0, "current": 1 }, "results": results })).into_response()
}

async fn list(State(has): State<Shared>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let has = has.lock().unwrap().clone();
    let known = headers
        .get("authorization")
        .is_some_and(|v| v == &format!("Bearer {TOKEN}"));
    if !known || has.forbidden.iter().any(|part| path.contains(part)) {
        return (StatusCode::FORBIDDEN, "{}").into_response();
    }
    match path.as_str() {
        "events/transports/" => page(&has.transports),
        "events/rules/" => page(&has.rules),
        "policies/bindings/" => page(&has.bindings),
        "policies/event_matcher/" => page(&has.matchers),
        path if path.starts_with("core/groups/") => {
            Json(json!({ "users": has.users })).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn test(State(has): State<Shared>, Path(path): Path<String>) -> Response {
    let has = has.lock().unwrap().clone();
    if has.forbidden.contains(&"/test/") {
        return (StatusCode::FORBIDDEN, "{}").into_response();
    }
    assert!(path.ends_with("/test/"), "{path}");
    if let Some((url, secret)) = &has.deliver {
        let body = r#"{"body": "Test Notification from transport auth-manager-webhook", "severity": "notice", "user_email": "admin@lab.example", "user_username": "akadmin"}"#;
        let (host, path) = url
            .strip_prefix("http://")
            .unwrap()
            .split_once('/')
            .unwrap();
        let request = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap();
        if !status.starts_with('2') {
            let text = format!("\"{status} Client Error: for url: {url}\"");
            return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
        }
    }
    let (status, text) = has.test;
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// A running bridge whose directory is the canned Authentik.
struct Scene {
    bed: Bed,
    has: Shared,
    hook: String,
    _bridge: tokio::process::Child,
}

impl Scene {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authentik = listener.local_addr().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = free.local_addr().unwrap();
        drop(free);
        let hook = format!("http://{api}/hooks/authentik");
        let mut shipped = Has::shipped(&hook);
        shipped.deliver = Some((hook.clone(), SECRET));
        let has: Shared = Arc::new(Mutex::new(shipped));
        let router = Router::new()
            .route("/api/v3/{*path}", get(list))
            .route("/api/v3/{*path}", post(test))
            .with_state(has.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let bed = Bed::new().await;
        bed.secret("hooks.secret", SECRET);
        bed.secret("directory.token", TOKEN);
        bed.replace(
            "[store]",
            &format!(
                "[listen.ops]\naddress = \"off\"\n\
                 [listen.api]\naddress = \"{api}\"\nissuer = \"http://{api}\"\n\
                 [[directories]]\nid = \"authentik\"\nkind = \"authentik\"\nurl = \"http://{authentik}\"\n\
                 token = {{ file = \"directory.token\" }}\n\
                 [directories.hooks]\nsecrets = [{{ file = \"hooks.secret\" }}]\n[store]"
            ),
        );
        let bridge = tokio::process::Command::new(env!("CARGO_BIN_EXE_auth-manager"))
            .args(["serve", "--config"])
            .arg(bed.path("auth-manager.toml"))
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        for _ in 0..300 {
            if TcpStream::connect(api).await.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        Self {
            bed,
            has,
            hook,
            _bridge: bridge,
        }
    }

    /// The verdicts about webhooks, one a line, after changing what Authentik has.
    async fn verdicts(&self, change: impl FnOnce(&mut Has)) -> String {
        let mut has = Has::shipped(&self.hook);
        has.deliver = Some((self.hook.clone(), SECRET));
        change(&mut has);
        *self.has.lock().unwrap() = has;
        let report = self.bed.run(&["check", "--json"]).await.json();
        let verdicts = report["verdicts"].as_array().unwrap().iter();
        let ours = verdicts.filter(|v| v["about"] == "hooks authentik");
        let lines = ours.map(|v| {
            let text = |key: &str| v[key].as_str().unwrap_or_default().to_owned();
            format!(
                "{}: {} -> {}\n",
                text("level"),
                text("text"),
                text("remedy")
            )
        });
        lines.collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transport_test_is_fired_and_each_mistake_is_named() {
    let scene = Scene::new().await;
    let good = scene.verdicts(|_| {}).await;
    assert!(
        good.contains("ok: the transport test was fired, and arrived"),
        "{good}"
    );
    assert!(
        !good.contains("error") && !good.contains("warning"),
        "{good}"
    );
    let first = |has: &mut Has, list: &str, key: &str, value: Value| {
        let list = match list {
            "transports" => &mut has.transports,
            "rules" => &mut has.rules,
            "matchers" => &mut has.matchers,
            _ => &mut has.bindings,
        };
        list[0][key] = value;
    };
    type Change<'a> = Box<dyn FnOnce(&mut Has) + 'a>;
    let set = |list: &'static str, key: &'static str, value: Value| -> Change<'_> {
        Box::new(move |has: &mut Has| first(has, list, key, value))
    };
    let cases: Vec<(Change<'_>, &str)> = vec![
        (
            Box::new(|has| has.transports = json!([])),
            "error: no transport",
        ),
        (
            set("transports", "webhook_url", json!("https://elsewhere/hook")),
            "error: wrong address",
        ),
        (
            set(
                "transports",
                "webhook_url",
                json!(format!("{}/", scene.hook)),
            ),
            "error: wrong address",
        ),
        (
            set("transports", "mode", json!("webhook_slack")),
            "error: transport auth-manager-webhook is of mode webhook_slack",
        ),
        (
            set("transports", "webhook_mapping_headers", json!(null)),
            "error: transport auth-manager-webhook has no header mapping",
        ),
        (
            set("transports", "webhook_mapping_body", json!(null)),
            "note: transport auth-manager-webhook has no body mapping",
        ),
        (
            set("transports", "send_once", json!(false)),
            "warning: send_once",
        ),
        (
            Box::new(|has| has.deliver.as_mut().unwrap().1 = "None"),
            "error: wrong secret",
        ),
        (
            Box::new(|has| has.deliver.as_mut().unwrap().0.push('x')),
            "error: wrong",
        ),
        (
            Box::new(|has| has.deliver = None),
            "error: the transport test was taken by somebody",
        ),
        (
            Box::new(|has| {
                has.deliver = None;
                has.test = (405, "");
            }),
            "error: a mapping of the transport breaks",
        ),
        (
            Box::new(|has| {
                has.deliver = None;
                has.test = (500, "\"Connection refused\"");
            }),
            "error: Authentik's server does not reach",
        ),
        (
            set("rules", "transports", json!([])),
            "error: no rule uses transport",
        ),
        (
            set("rules", "destination_group", json!(null)),
            "has no recipients",
        ),
        (
            set("rules", "destination_event_user", json!(true)),
            "warning: rule auth-manager-changes notifies the event's own user",
        ),
        (
            Box::new(|has| has.users = json!([])),
            "error: the recipient group of rule auth-manager-changes is empty",
        ),
        (
            Box::new(|has| has.bindings = json!([])),
            "error: rule auth-manager-changes has no policy",
        ),
        (
            set("matchers", "app", json!("authentik.core")),
            "error: policy p0 has `app` set",
        ),
        (
            set("matchers", "action", json!("login")),
            "warning: no policy selects model_created of authentik_core.user",
        ),
        (
            set("bindings", "enabled", json!(false)),
            "warning: no policy selects model_created of authentik_core.user",
        ),
        (
            Box::new(|has| has.forbidden = vec!["transports"]),
            "note: the token may not see transports",
        ),
        (
            Box::new(|has| has.forbidden = vec!["rules"]),
            "note: the token may not see rules",
        ),
        (
            Box::new(|has| has.forbidden = vec!["/test/"]),
            "note: the token may not fire the transport test",
        ),
    ];
    for (change, expected) in cases {
        let said = scene.verdicts(change).await;
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!said.contains(SECRET) && !said.contains(TOKEN), "{said}");
    }
}

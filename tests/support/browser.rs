//! Headless Chromium, by chromedriver's WebDriver protocol (W3C WebDriver), written by hand: the
//! few commands that the stories need.

use super::process::Process;
use super::wire::exchange;
use super::{PATIENCE, eventually};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;
use tokio::process::Command;

/// Flags that keep Chromium from anything but the test: no network of its own, no first-run pages.
const FLAGS: [&str; 14] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--window-size=1000,800",
];

/// The key under which WebDriver names an element (W3C WebDriver, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One Chromium with a fresh profile. It dies with this value.
pub struct Browser {
    driver: Process,
    address: SocketAddr,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let mut driver = start_driver();
        let port: u16 = driver
            .line("its port", |line| {
                let rest = line.split("successfully on port ").nth(1)?;
                rest.trim_end_matches('.').parse().ok()
            })
            .await;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let mut options = json!({ "args": flags });
        if let Some(binary) = std::env::var_os("CHROMIUM") {
            options["binary"] = json!(binary.to_string_lossy());
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
        } } });
        let mut browser = Self {
            driver,
            address,
            session: String::new(),
            _profile: profile,
        };
        let made = browser
            .call("POST", "/session", &wanted)
            .await
            .unwrap_or_else(|error| {
                panic!(
                    "Chromium does not start: {error}\n{}",
                    browser.driver.output()
                )
            });
        browser.session = made["sessionId"].as_str().expect("a session id").to_owned();
        browser
    }

    /// Loads `url` and waits for it, redirects included.
    pub async fn go(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url })).await;
    }

    pub async fn url(&self) -> String {
        self.command("GET", "/url", &Value::Null)
            .await
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The visible text of the page.
    pub async fn page_text(&self) -> String {
        let text = self
            .script("return document.body ? document.body.innerText : ''")
            .await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a function body and gives what it returns.
    pub async fn script(&self, body: &str) -> Value {
        self.command(
            "POST",
            "/execute/sync",
            &json!({ "script": body, "args": [] }),
        )
        .await
    }

    /// Polls a function body until it returns something true.
    pub async fn wait_until(&self, what: &str, body: &str) {
        let script = json!({ "script": body, "args": [] });
        let path = format!("/session/{}/execute/sync", self.session);
        let started = Instant::now();
        loop {
            // While a page unloads, scripts fail: that is "not yet".
            let answer = self
                .call("POST", &path, &script)
                .await
                .unwrap_or(Value::Null);
            let no = answer.is_null() || answer == json!(false) || answer == json!("");
            if !no {
                return;
            }
            if started.elapsed() > PATIENCE {
                let (url, text) = (self.url().await, self.page_text().await);
                panic!("gave up waiting: {what}\nat {url}:\n{text}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Polls until the page shows `text`.
    pub async fn wait_for_text(&self, text: &str) {
        let body = format!("return document.body.innerText.includes({})", json!(text));
        self.wait_until(&format!("the text {text:?}"), &body).await;
    }

    /// Whether an element is there.
    pub async fn has(&self, css: &str) -> bool {
        let body = format!("return document.querySelector({}) !== null", json!(css));
        self.script(&body).await == json!(true)
    }

    /// Clicks an element as a user does, once it is there.
    pub async fn click(&self, css: &str) {
        let element = self.element(css).await;
        self.command("POST", &format!("/element/{element}/click"), &json!({}))
            .await;
    }

    /// Types into an element as a user does, once it is there.
    pub async fn type_into(&self, css: &str, text: &str) {
        let element = self.element(css).await;
        let keys = json!({ "text": text });
        self.command("POST", &format!("/element/{element}/value"), &keys)
            .await;
    }

    /// The visible text of an element, once it is there.
    pub async fn text(&self, css: &str) -> String {
        let element = self.element(css).await;
        let text = self
            .command("GET", &format!("/element/{element}/text"), &Value::Null)
            .await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// All cookies of the current page, as WebDriver shows them, HttpOnly ones included.
    pub async fn cookies(&self) -> Vec<Value> {
        let cookies = self.command("GET", "/cookie", &Value::Null).await;
        cookies.as_array().cloned().unwrap_or_default()
    }

    /// Opens a second window, goes there and gives both handles: the old one, the new one.
    pub async fn new_window(&self) -> (String, String) {
        let old = self.command("GET", "/window", &Value::Null).await;
        let new = self
            .command("POST", "/window/new", &json!({ "type": "window" }))
            .await;
        let (old, new) = (old.as_str(), new["handle"].as_str());
        let (old, new) = (
            old.expect("a handle").to_owned(),
            new.expect("a handle").to_owned(),
        );
        self.switch(&new).await;
        (old, new)
    }

    /// Goes to a window.
    pub async fn switch(&self, handle: &str) {
        self.command("POST", "/window", &json!({ "handle": handle }))
            .await;
    }

    /// Saves what the window shows as PNG.
    pub async fn screenshot(&self, to: &Path) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let image = self.command("GET", "/screenshot", &Value::Null).await;
        let image = STANDARD
            .decode(image.as_str().unwrap_or_default())
            .expect("base64");
        std::fs::write(to, image).expect("a writable place");
    }

    async fn element(&self, css: &str) -> String {
        let path = format!("/session/{}/element", self.session);
        let wanted = json!({ "using": "css selector", "value": css });
        let what = format!("the element {css}");
        let found = eventually(&what, || async {
            let found = self.call("POST", &path, &wanted).await.ok()?;
            Some(found[ELEMENT].as_str()?.to_owned())
        });
        found.await
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        let answer = self.call(method, &path, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let answer = exchange(self.address, request.as_bytes()).await;
        let value = &answer.json()["value"];
        if answer.status == 200 {
            Ok(value.clone())
        } else {
            Err(format!("{}: {}", value["error"], value["message"]))
        }
    }
}

fn start_driver() -> Process {
    let program = std::env::var_os("CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
    let mut command = Command::new(program);
    command.args(["--port=0", "--log-level=WARNING"]);
    let hint = "Install chromium and chromium-driver (Debian: `apt-get install chromium \
                chromium-driver`), or name them in $CHROMIUM and $CHROMEDRIVER.";
    Process::start(command, "chromedriver", hint)
}

//! The stock client of `tests/api/stock`: Python with libraries that nobody here wrote.

use super::PATIENCE;
use super::services::{AUDIENCE, Identity, Services};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const INSTALL: &str = "tests/run installs what the stock client needs: python3 -m pip install \
     --target target/tools/stock -r tests/api/stock/requirements.txt";

/// A service that runs until it is dropped.
pub struct Stock {
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    taint: super::taint::Taint,
}

impl Stock {
    /// A service with this certificate, or with none.
    pub async fn start(services: &Services, identity: Option<&Identity>) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let libraries = root.join("target/tools/stock");
        assert!(libraries.join("jwt").is_dir(), "{INSTALL}");
        let mut child = Command::new("python3")
            .arg(root.join("tests/api/stock/client.py"))
            .env("PYTHONPATH", libraries)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("python3: {error}. {INSTALL}"));
        let orders = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut setup = json!({
            "issuer": AUDIENCE,
            "ca": services.path("ca.pem"),
            "address": [services.api.ip(), services.api.port()],
        });
        if let Some(identity) = identity {
            let (certificate, key) = services.keep(identity);
            setup["certificate"] = json!(certificate);
            setup["key"] = json!(key);
        }
        let mut stock = Self {
            _child: child,
            orders,
            answers,
            taint: services.world.taint.clone(),
        };
        stock.write(&setup).await;
        stock
    }

    /// Does one thing, and gives what came of it.
    pub async fn ask(&mut self, what: &str, order: Value) -> Value {
        let mut order = order;
        order["do"] = what.into();
        self.write(&order).await;
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        let line = line.expect("in time").expect("a pipe");
        let line = line.unwrap_or_else(|| panic!("the stock client ended at {what}; {INSTALL}"));
        self.taint.downstream("the api", line.as_bytes());
        serde_json::from_str(&line).unwrap()
    }

    async fn write(&mut self, value: &Value) {
        let line = format!("{value}\n");
        self.orders.write_all(line.as_bytes()).await.unwrap();
    }
}

//! The `demo` command: door, bridge and stand-in in one process.

use super::bridge::BINARY;
use super::process::Process;
use tokio::process::Command;

/// A running demo in a folder of its own.
pub struct Demo {
    process: Process,
    /// Where a browser goes: `http://localhost:…`.
    pub origin: String,
    folder: tempfile::TempDir,
}

impl Demo {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut command = Command::new(BINARY);
        command
            .arg("demo")
            .arg("--dir")
            .arg(folder.path())
            .args(["--port", "0"]);
        let mut process = Process::start(command, "auth-manager demo", "cargo test builds it.");
        let origin = process.line("its address", origin).await;
        Self {
            process,
            origin,
            folder,
        }
    }

    /// Everything it said so far.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// The first `http://localhost:<port>` of a line.
fn origin(line: &str) -> Option<String> {
    let start = line.find("http://localhost:")?;
    let rest = &line[start + "http://localhost:".len()..];
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty() && port != "0").then(|| format!("http://localhost:{port}"))
}

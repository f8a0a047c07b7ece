//! The `demo` command: door, bridge and stand-in in one process.

use super::bridge::BINARY;
use super::process::Process;
use tokio::process::Command;

/// A running demo in a folder of its own.
pub struct Demo {
    process: Process,
    /// Where a browser goes: `http://localhost:…`.
    pub origin: String,
    /// The page of the identity provider: `http://localhost:…`.
    pub people: String,
    folder: tempfile::TempDir,
}

impl Demo {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut command = Command::new(BINARY);
        command.arg("demo").arg("--dir").arg(folder.path()).args([
            "--port",
            "0",
            "--people-port",
            "0",
        ]);
        let mut process = Process::start(command, "auth-manager demo", "cargo test builds it.");
        let door = |line: &str| line.contains("choose a person").then(|| origin(line))?;
        let page = |line: &str| line.contains("beside it").then(|| origin(line))?;
        let (origin, people) = (
            process.line("its address", door).await,
            process.line("the people's page", page).await,
        );
        Self {
            process,
            origin,
            people,
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

impl Demo {
    /// What the README's second command does; what it prints.
    pub async fn says(&self, form: &[(&str, &str)]) -> String {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*"]);
        for (name, value) in form {
            command.arg("-d").arg(format!("{name}={value}"));
        }
        let output = command.arg(format!("{}/", self.people)).output().await;
        let output = output.expect("curl is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

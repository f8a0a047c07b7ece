//! Conformance tools that nobody here wrote, against the real binary over TLS.
//!
//! `tests/run` installs them into `target/tools/scim`.

use super::Bed;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;

/// How long one may take.
const BOUND: Duration = Duration::from_secs(120);

fn home() -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/scim");
    assert!(
        home.join("scim2_tester").is_dir() && home.join("scim_sanity").is_dir(),
        "there are no SCIM tools at {}: run tests/run once, which installs them",
        home.display()
    );
    home
}

/// Python with the tools, that finds the bridge under its certificate's name and believes it.
fn python(files: &Path) -> Command {
    let hosts = format!(
        "import socket\n\
         _ask = socket.getaddrinfo\n\
         def _here(host, *more, **named):\n    \
             return _ask('127.0.0.1' if host == '{}' else host, *more, **named)\n\
         socket.getaddrinfo = _here\n",
        crate::support::services::API
    );
    std::fs::write(files.join("sitecustomize.py"), hosts).unwrap();
    let path = format!("{}:{}", files.display(), home().display());
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .current_dir(files);
    python
}

fn url(bed: &Bed) -> String {
    let port = bed.services.api.port();
    format!("https://{}:{port}/scim/v2", crate::support::services::API)
}

async fn run(mut command: Command) -> (Output, String) {
    let ran = tokio::time::timeout(BOUND, command.output()).await;
    let output = ran.expect("in time").expect("python3 starts");
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scim2_tester_finds_nothing_wrong() {
    let bed = Bed::start().await;
    bed.user("watched").await;
    let files = tempfile::tempdir().unwrap();
    let script = files.path().join("check.py");
    std::fs::write(&script, SCIM2_TESTER).unwrap();
    let mut command = python(files.path());
    command
        .arg(&script)
        .arg(url(&bed))
        .env("BEARER", &bed.services.secret)
        .env("CA", bed.services.path("ca.pem"));
    let (output, said) = run(command).await;
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_str(said.lines().next().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {said}"));
    let other: Vec<_> = (found["other"].as_array().unwrap().iter())
        .map(|one| one.as_str().unwrap_or_default())
        .collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
    assert!(found["right"].as_u64().unwrap() > 100, "{said}");
    bed.finish().await;
}

/// The tester as a library: the same checks as its command line, told as JSON.
const SCIM2_TESTER: &str = r#"
import json, os, ssl, sys
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

http = Client(
    base_url=sys.argv[1],
    headers={"Authorization": "Bearer " + os.environ["BEARER"]},
    verify=ssl.create_default_context(cafile=os.environ["CA"]),
    timeout=30,
    trust_env=False,
)
results = check_server(SyncSCIMClient(http))
said = [f"{r.status.name} {r.title}: {r.reason}" for r in results if r.status != Status.SUCCESS]
print(json.dumps({"right": len(results) - len(said), "other": said}))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scim_sanity_finds_nothing_wrong() {
    let bed = Bed::start().await;
    bed.user("watched").await;
    let files = tempfile::tempdir().unwrap();
    let mut command = python(files.path());
    command
        .args(["-m", "scim_sanity.cli", "probe"])
        .arg(url(&bed))
        .args(["--token", &bed.services.secret, "--strict"])
        .arg("--ca-bundle")
        .arg(bed.services.path("ca.pem"))
        .args(["--i-accept-side-effects", "--json-output"]);
    let (output, said) = run(command).await;
    assert!(output.status.success(), "{said}");
    bed.finish().await;
}

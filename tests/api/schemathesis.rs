//! schemathesis, which nobody here wrote, against the real binary, by the document it serves: no
//! crash, no status or shape that the document does not name, nothing accepted that it forbids.
//!
//! `tests/run` installs it into `target/tools`.

use crate::desk::Desk;
use auth_manager::demo::door::{alice, bob};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long it may take.
const BOUND: Duration = Duration::from_secs(90);

/// Where `tests/run` puts it.
fn home() -> PathBuf {
    let named = std::env::var_os("SCHEMATHESIS").map(PathBuf::from);
    let home = named
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/schemathesis"));
    assert!(
        home.join("schemathesis").is_dir(),
        "there is no schemathesis at {}: run tests/run once, which installs it",
        home.display()
    );
    home
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_knows_only_the_document_finds_nothing_it_does_not_say() {
    let home = home();
    let desk = Desk::start().await;
    let world = &desk.services.world;
    world.signed_in(alice()).await;
    world.signed_in(bob()).await;
    let user = desk.id(&alice()).await;
    let (sessions, _) = desk.read("/api/v1/sessions?limit=1").await;
    let session = sessions["items"][0]["id"].as_str().unwrap();

    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let identity = desk.services.authority.client(&["everything.internal"]);
    let certificate = write("client.pem", &identity.certificate);
    let key = write("client-key.pem", &identity.key);
    let ca = desk.services.path("ca.pem").display().to_string();
    let config = write(
        "schemathesis.toml",
        &include_str!("../data/schemathesis.toml")
            .replace("{user}", &user)
            .replace("{session}", session),
    );
    // Its TLS checks names: the certificate's must lead here.
    let hosts = write(
        "sitecustomize.py",
        &format!(
            "import socket\n\
         _ask = socket.getaddrinfo\n\
         def _here(host, *more, **named):\n    \
             return _ask('127.0.0.1' if host == '{}' else host, *more, **named)\n\
         socket.getaddrinfo = _here\n",
            crate::support::services::API
        ),
    );
    let url = format!(
        "https://{}:{}",
        crate::support::services::API,
        desk.services.api.port()
    );
    let path = format!(
        "{}:{}",
        Path::new(&hosts).parent().unwrap().display(),
        home.display()
    );
    let run = Command::new("python3")
        .args(["-m", "schemathesis.cli", "--config-file", &config, "run"])
        .arg(format!("{url}/openapi.json"))
        .args(["--request-cert", &certificate, "--request-cert-key", &key])
        .args(["--tls-verify", &ca])
        .env("PYTHONPATH", path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_COLOR", "1")
        .current_dir(files.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(BOUND, run).await;
    let output = ended.expect("it ends in time").expect("python3 starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
    // It did look.
    assert!(
        text.contains("No issues found") || text.contains("passed"),
        "{text}"
    );
    assert!(!world.bridge.output().contains("panicked"));
    desk.finish().await;
}

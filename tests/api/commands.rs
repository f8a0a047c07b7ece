//! `auth-manager clients` and `check`, as an operator meets them.

use crate::support::bridge::BINARY;
use crate::support::services::{Services, Setup};
use std::process::Stdio;
use time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

async fn hash(bearer: &str) -> (bool, String) {
    let mut child = Command::new(BINARY)
        .args(["clients", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(bearer.as_bytes()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_bearer_is_shown_once_and_its_hash_is_what_the_configuration_takes() {
    let output = Command::new(BINARY)
        .args(["clients", "new-bearer"])
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let field = |name: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{shown}")).trim().to_owned()
    };
    let (bearer, sha256) = (field("bearer"), field("sha256"));
    // 256 bits in base64url, behind the prefix.
    assert_eq!(bearer.len(), "amb_".len() + 43);
    assert_eq!(
        hash(&format!("{bearer}\n")).await,
        (true, format!("{sha256}\n"))
    );
    assert_eq!(sha256.len(), 64);
    let (good, said) = hash("short").await;
    assert!(
        !good && said.contains("can be guessed") && !said.contains("short\n"),
        "{said}"
    );
    assert!(!hash(&format!("{bearer} {bearer}")).await.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_an_old_revocation_list_and_keys_that_are_missing() {
    let setup = Setup {
        crl: true,
        ..Setup::default()
    };
    let services = Services::with(setup).await;
    assert_eq!(services.nobody().get(super::CLIENTS).await.status, 401);
    let bridge = &services.world.bridge;
    let said = async || {
        let output = bridge.command(&["check"]).await;
        String::from_utf8(output.stdout).unwrap()
    };
    let good = said().await;
    assert!(good.contains("revocation list, to be renewed by"), "{good}");
    assert!(good.contains("api issuer services"), "{good}");
    let old = services.authority.revocation_list(&[], -Duration::HOUR);
    services.replace("clients.crl", &old);
    services.replace("services.json", "{\"keys\":[]}");
    let bad = said().await;
    assert!(bad.contains("was to be renewed by"), "{bad}");
    assert!(bad.contains("the key set is empty"), "{bad}");
    services.finish().await;
}

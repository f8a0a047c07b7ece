//! `smoke`, the operator's walk of the whole road, against bridges that stand and doors that don't.

use crate::support::bridge::BINARY;
use crate::support::world::World;
use auth_manager::demo::door::{alice, nora};
use serde_json::Value;
use std::process::Output;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

async fn command(arguments: &[&str]) -> Output {
    let run = Command::new(BINARY)
        .args(arguments)
        .env_remove("AUTH_MANAGER_CONFIG")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(crate::support::PATIENCE, run)
        .await
        .expect("it ends")
        .expect("the binary starts")
}

/// Level and text of every verdict about something.
fn verdicts(report: &Value, about: &str) -> Vec<(String, String)> {
    let all = report["verdicts"].as_array().expect("verdicts").iter();
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    all.filter(|v| v["about"] == about)
        .map(|v| (text(&v["level"]), text(&v["text"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_walks_its_own_road_and_finds_it_whole() {
    let ran = command(&["demo", "--smoke", "--port", "0"]).await;
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    for step in [
        "door         asks who is there",
        "page         200",
        "cookies      the bridge's own, signed by",
        "api          the app says alice",
        "a call without a CSRF value is refused (403)",
        "a call from another site is refused (403)",
        "the app's own sign-in is refused (403)",
        "socket       opens, and the app says hello",
        "socket       is refused to another site (403)",
        "logout       ends the session",
        "credentials  no answer showed one of the app's",
        "0 errors, 0 warnings",
    ] {
        assert!(said.contains(step), "{step}\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captured_assertion_walks_the_beginning_of_the_road() {
    let world = World::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let captured = folder.path().join("assertion");
    let bridge = format!("http://{}", world.bridge.proxy);
    let walk = async |person| {
        let visitor = world.client(person);
        let token = world.minter.mint(&visitor.claims()).expect("a working key");
        std::fs::write(&captured, token).expect("our own folder");
        let file = captured.to_str().expect("UTF-8");
        let ran = command(&[
            "smoke",
            "https://chat.example.test",
            "--bridge",
            &bridge,
            "--assertion",
            file,
            "--json",
        ])
        .await;
        world.taint.downstream("the report", &ran.stdout);
        let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        (ran.status.success(), report)
    };
    let (good, report) = walk(alice()).await;
    assert!(good, "{report:#}");
    assert_eq!(verdicts(&report, "page")[0].0, "ok");
    assert_eq!(verdicts(&report, "cookies")[0].0, "ok");
    assert_eq!(verdicts(&report, "the rest")[0].0, "note");
    // Who may not come in is told so, by its code.
    let (good, report) = walk(nora()).await;
    assert!(!good);
    let page = verdicts(&report, "page");
    assert!(
        page[0].1.starts_with("403 Forbidden, access."),
        "{report:#}"
    );
    // An old assertion is no key.
    let ran = command(&[
        "smoke",
        "https://chat.example.test",
        "--bridge",
        &bridge,
        "--assertion",
        "/dev/null",
    ])
    .await;
    assert!(!ran.status.success());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_without_its_bridge_is_noticed() {
    let app = auth_manager::demo::mattermost::StandIn::new(Default::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let stop = CancellationToken::new();
    let until = stop.clone();
    tokio::spawn(async move { app.serve(listener, until).await });
    let folder = tempfile::tempdir().expect("a folder");
    let cookie = folder.path().join("cookie");
    std::fs::write(&cookie, "Cookie: MMAUTHTOKEN=abcdefghijklmnopqrstuvwxyz\n").expect("ours");
    let file = cookie.to_str().expect("UTF-8");
    let ran = command(&["smoke", &url, "--cookie", file, "--json"]).await;
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert!(!ran.status.success());
    let door = verdicts(&report, "door");
    assert!(door[0].1.contains("let a stranger in"), "{report:#}");
    let cookies = verdicts(&report, "cookies");
    assert!(cookies[0].1.contains("not the bridge's"), "{report:#}");

    // Nobody there at all.
    stop.cancel();
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", gone.local_addr().expect("bound"));
    drop(gone);
    let ran = command(&["smoke", &url, "--cookie", file]).await;
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(!ran.status.success() && said.contains("refused"), "{said}");
}

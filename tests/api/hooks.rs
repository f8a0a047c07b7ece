//! `/hooks/authentik` over the wire: who is let in, what becomes of each body, and what never
//! happens (T30).

use crate::support::bridge::Settings;
use crate::support::eventually;
use crate::support::services::{API, Services, Setup};
use crate::support::wire::exchange_raw;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

const HOOK: &str = "/hooks/authentik";
/// The secret that Authentik sends, and its next one.
const SECRET: &str = "kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa";
const NEXT: &str = "Xc7VbN1sLdF5gH8jP0oUakq3Zr9tYw2m";

/// A bridge whose directory `authentik` sends webhooks. Nobody answers where the directory is.
struct Bed {
    services: Services,
    files: tempfile::TempDir,
}

fn directory(files: &tempfile::TempDir, id: &str, secrets: &[&str]) -> String {
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let token = write(&format!("{id}.token"), "an-api-token");
    let secrets = secrets.iter().enumerate().map(|(at, secret)| {
        let path = write(&format!("{id}.{at}.secret"), secret);
        format!("{{ file = {path:?} }}")
    });
    let secrets: Vec<_> = secrets.collect();
    format!(
        "[[directories]]\nid = \"{id}\"\nkind = \"authentik\"\nurl = \"http://127.0.0.1:1\"\n\
         token = {{ file = {token:?} }}\n[directories.hooks]\nsecrets = [{}]\n",
        secrets.join(", ")
    )
}

impl Bed {
    async fn new() -> Self {
        Self::with(&[("authentik", &[SECRET])], "").await
    }

    async fn with(directories: &[(&str, &[&str])], listen: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let texts = directories.iter().map(|(id, s)| directory(&files, id, s));
        let services = Services::with(Setup {
            tls: false,
            listen: listen.into(),
            clients: texts.collect(),
            settings: Settings::default(),
            ..Setup::default()
        })
        .await;
        services.world.taint.private(SECRET);
        services.world.taint.private(NEXT);
        Self { services, files }
    }

    async fn deliver(&self, secret: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let bearer = format!("Bearer {secret}");
        let nobody = self.services.nobody();
        let answer = nobody.post(HOOK, &[("authorization", &bearer)], body).await;
        (answer.status, answer.text)
    }

    /// What was put on record, joined ones once.
    fn reads(&self) -> BTreeSet<String> {
        let file = self.services.world.bridge.folder().join("auth-manager.db");
        let db = rusqlite::Connection::open(file).unwrap();
        let mut found = db
            .prepare("SELECT key FROM jobs WHERE kind = 'read'")
            .unwrap();
        let keys = found.query_map([], |row| row.get::<_, String>(0)).unwrap();
        keys.map(|key| key.unwrap().replace("read/authentik/", ""))
            .collect()
    }

    async fn metric(&self, line: &str) -> i64 {
        let text = self.services.world.bridge.ops("/metrics").await.text();
        let found = text
            .lines()
            .find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        found
            .unwrap_or_else(|| panic!("{line}: {text}"))
            .parse()
            .unwrap()
    }

    async fn counted(&self, kind: &str) -> i64 {
        let line = format!("auth_manager_hooks_total{{directory=\"authentik\",kind=\"{kind}\"}}");
        self.metric(&line).await
    }
}

fn about(pk: u32) -> String {
    json!({
        "v": 1, "event_id": uuid::Uuid::new_v4(), "action": "model_updated",
        "model": { "pk": pk, "app": "authentik_core", "model_name": "user" },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_every_recorded_body_is_taken_and_asks_about_whom_it_should_alone() {
    let bed = Bed::new().await;
    let table = include_str!("../data/hooks.txt");
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/recordings/authentik"
    );
    let mut expected = BTreeSet::new();
    let (mut taken, mut tests) = (0, 0);
    for section in table.split("\n[").skip(1) {
        let (file, rows) = section.split_once("]\n").unwrap();
        let text = std::fs::read_to_string(format!("{folder}/{file}.json")).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let mut exchanges = recording["exchanges"].as_array().unwrap().iter();
        let rows = rows.lines().filter(|row| !row.is_empty());
        let words = rows.flat_map(|row| row.split_once(" | ").unwrap().1.split(' '));
        for word in words {
            let body = exchanges.next().unwrap()["request"]["body_text"].as_str();
            let (status, text) = bed.deliver(SECRET, body.unwrap_or("").to_owned()).await;
            match word {
                "garbage" => assert_eq!(status, 400, "{file} {body:?}: {text}"),
                _ => assert_eq!((status, text.as_str()), (202, ""), "{file} {body:?}"),
            }
            match word {
                "-" | "garbage" => {}
                "test" => tests += 1,
                word => drop(expected.insert(word.to_owned())),
            }
            taken += 1;
        }
        assert_eq!(bed.reads(), expected, "after {file}");
    }
    assert_eq!(taken, 259);
    assert_eq!(bed.counted("test").await, tests);
    let listed = bed.services.world.run(&["hooks", "list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["directory"], "authentik");
    assert!(listed[0]["tested_at"].as_i64() > Some(0), "{listed}");
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_a_wrong_or_missing_secret_gets_one_answer_and_few_lines() {
    let bed = Bed::new().await;
    let nobody = bed.services.nobody();
    let mut bodies = BTreeSet::new();
    let bearers = [
        "",
        "Bearer ",
        "Bearer None",
        "Bearer null",
        "Bearer changeme",
        "Bearer x",
        &format!("Bearer {NEXT}"),
        &format!("Basic {SECRET}"),
        &format!("Bearer {SECRET}x"),
        &format!("bearer  {SECRET}"),
    ]
    .map(str::to_owned);
    for _ in 0..5 {
        for bearer in &bearers {
            let headers: Vec<(&str, &str)> = match bearer.as_str() {
                "" => Vec::new(),
                bearer => vec![("authorization", bearer)],
            };
            let answer = nobody.post(HOOK, &headers, about(6)).await;
            assert_eq!(answer.status, 401, "{bearer}");
            let id = answer.header("x-request-id").to_owned();
            bodies.insert(answer.text.replace(&id, ""));
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(bed.reads().is_empty());
    let lines = bed.services.world.bridge.output();
    let lines = lines.lines().filter(|l| l.contains("/hooks/authentik"));
    let lines = lines.filter(|l| l.contains("api.unauthenticated")).count();
    assert!((1..=10).contains(&lines), "{lines}");
    // What is good there is good nowhere else, and the other way round.
    for path in ["/api/v1/users", "/api/v1/clients", "/scim/v2/Users"] {
        let answer = nobody.bearing(path, SECRET).await;
        assert!([403, 404].contains(&answer.status), "{path} {answer:?}");
    }
    let asker = bed.services.token("asker", json!({}));
    assert_eq!(bed.deliver(&asker, about(6)).await.0, 403);
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_a_weak_secret_does_not_start() {
    let bed = Bed::new().await;
    let config = bed.services.world.bridge.config();
    let secret = bed.files.path().join("authentik.0.secret");
    for weak in [
        "None",
        "",
        "changemechangemechangemechangeme",
        "kq3Zr9tYw2mXc7Vb\"1sLdF5gH8jP0oUa",
    ] {
        std::fs::write(&secret, weak).unwrap();
        let output = std::process::Command::new(crate::support::bridge::BINARY)
            .args(["serve", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{weak}: {said}");
        assert!(said.contains("directories[authentik].hooks"), "{said}");
        assert!(
            weak.is_empty() || weak == "None" || !said.contains(weak),
            "{said}"
        );
    }
    // A running bridge keeps what it has.
    bed.services.world.bridge.hang_up();
    let bridge = &bed.services.world.bridge;
    eventually("the reload was refused", async || {
        let said = bridge
            .output()
            .contains("the new configuration can't be used");
        said.then_some(())
    })
    .await;
    assert_eq!(bed.deliver(SECRET, about(6)).await.0, 202);
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_huge_slow_and_garbage_bodies_are_refused_and_others_are_served() {
    let bed = Bed::new().await;
    let huge = format!("{{\"v\":1,\"x\":\"{}\"}}", "x".repeat(300 * 1024));
    let bearer = format!("Bearer {SECRET}");
    let sent = bed
        .services
        .nobody()
        .try_post(HOOK, &[("authorization", &bearer)], huge)
        .await;
    // The answer may come before all was sent: then the connection ends.
    assert!(sent.is_err() || sent.is_ok_and(|answer| answer.status == 413));
    let large = format!("{{\"v\":2,\"x\":\"{}\"}}", "x".repeat(250 * 1024));
    assert_eq!(bed.deliver(SECRET, large).await.0, 202);
    for garbage in [
        "",
        "x",
        "[]",
        "{\"v\":1",
        "\u{0}\u{1}",
        "v=1&action=model_updated",
    ] {
        assert_eq!(
            bed.deliver(SECRET, garbage.to_owned()).await.0,
            400,
            "{garbage:?}"
        );
    }
    let began = Instant::now();
    let slow = format!(
        "POST {HOOK} HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {SECRET}\r\n\
         Connection: close\r\nContent-Length: 100\r\n\r\n{{\"v\":"
    );
    let api = bed.services.api;
    let slow = tokio::spawn(async move { exchange_raw(api, slow.as_bytes()).await });
    assert_eq!(bed.deliver(SECRET, about(6)).await.0, 202);
    let answer = slow.await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        (bed.counted("garbage").await, bed.counted("slow").await),
        (6, 1)
    );
    assert_eq!(
        bed.reads(),
        BTreeSet::from(["person/6".into(), "recent".into()])
    );
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_a_replay_asks_about_somebody_once_more_at_most() {
    let bed = Bed::new().await;
    let body = about(6);
    for _ in 0..50 {
        assert_eq!(bed.deliver(SECRET, body.clone()).await.0, 202);
    }
    assert_eq!(
        (bed.counted("read").await, bed.counted("duplicate").await),
        (1, 49)
    );
    // An action that nobody knows is taken and counted.
    let unknown = json!({ "v": 1, "event_id": null, "action": "of_tomorrow", "model": null });
    assert_eq!(bed.deliver(SECRET, unknown.to_string()).await.0, 202);
    assert_eq!(bed.counted("unknown").await, 1);
    // A body that names an admin as recipient and actor, with a stranger's name that looks like one.
    let body = json!({
        "body": "model_deleted: {'model': {'pk': 9, 'app': 'authentik_core', 'name': \"', 'pk': 1, 'model_name': 'user'\", 'model_name': 'user'}}",
        "severity": "notice", "user_email": "admin@example.test", "user_username": "akadmin",
        "event_user_email": "admin@example.test", "event_user_username": "akadmin",
    });
    assert_eq!(bed.deliver(SECRET, body.to_string()).await.0, 202);
    assert_eq!(
        bed.reads(),
        BTreeSet::from(["person/6".into(), "person/9".into()])
    );
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_what_the_store_does_not_take_is_refused_and_counts_when_it_comes_again() {
    let bed = Bed::new().await;
    let file = bed.services.world.bridge.folder().join("auth-manager.db");
    let db = rusqlite::Connection::open(file).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = about(6);
    let (status, text) = bed.deliver(SECRET, body.clone()).await;
    assert_eq!(status, 503, "{text}");
    db.execute_batch("ROLLBACK").unwrap();
    assert_eq!(bed.deliver(SECRET, body.clone()).await.0, 202);
    assert_eq!(bed.deliver(SECRET, body).await.0, 202);
    assert_eq!(
        (
            bed.counted("unavailable").await,
            bed.counted("duplicate").await
        ),
        (1, 1)
    );
    assert_eq!(bed.reads(), BTreeSet::from(["person/6".into()]));
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_near_the_hook_is_ever_a_redirect() {
    let bed = Bed::new().await;
    let nobody = bed.services.nobody();
    let bearer = format!("Bearer {SECRET}");
    for headers in [&[][..], &[("authorization", bearer.as_str())]] {
        for path in [
            "/hooks/authentik/",
            "/hooks/authentik?x=1",
            "/hooks/Authentik",
            "/hooks",
            "/hooks/",
            "//hooks/authentik",
            "/hooks/authentik/authentik/",
            "/hooks/authentik/other",
            "/",
            "/hooks/./authentik",
            "/hooks/authentik%2f",
        ] {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let sent = nobody.try_send(method.clone(), path, headers).await;
                let status = sent.unwrap().status;
                assert!(!(300..400).contains(&status), "{method} {path}: {status}");
            }
        }
        let got = nobody.try_send(Method::GET, HOOK, headers).await.unwrap();
        assert_eq!(got.status, if headers.is_empty() { 401 } else { 405 });
    }
    // Whatever the content type, or none.
    for content_type in [
        "",
        "text/json",
        "application/json; charset=utf-8",
        "nonsense",
    ] {
        let line = match content_type {
            "" => String::new(),
            text => format!("Content-Type: {text}\r\n"),
        };
        let body = about(6);
        let raw = format!(
            "POST {HOOK} HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {SECRET}\r\n{line}\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange_raw(bed.services.api, raw.as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 202"), "{content_type}");
    }
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_directory_has_its_own_secret_and_rotates_it_without_a_gap() {
    let bed = Bed::with(&[("authentik", &[SECRET]), ("second", &[NEXT])], "").await;
    let nobody = bed.services.nobody();
    let send = async |path: &str, secret: &str| {
        let bearer = format!("Bearer {secret}");
        nobody
            .post(path, &[("authorization", &bearer)], about(6))
            .await
            .status
    };
    assert_eq!(send("/hooks/authentik", SECRET).await, 202);
    assert_eq!(send("/hooks/authentik", NEXT).await, 202);
    assert_eq!(send("/hooks/authentik/authentik", SECRET).await, 202);
    assert_eq!(send("/hooks/authentik/second", NEXT).await, 202);
    assert_eq!(send("/hooks/authentik/second", SECRET).await, 403);
    assert_eq!(send("/hooks/authentik/third", SECRET).await, 403);
    // A client with the scope speaks for the one it names.
    let hook = bed.services.secret.clone();
    assert_eq!(send("/hooks/authentik", &hook).await, 404);
    assert_eq!(send("/hooks/authentik/second", &hook).await, 202);
    assert_eq!(send("/hooks/authentik/third", &hook).await, 404);
    bed.services.finish().await;

    let bed = Bed::with(&[("authentik", &[SECRET, NEXT])], "").await;
    assert_eq!(bed.deliver(SECRET, about(6)).await.0, 202);
    assert_eq!(bed.deliver(NEXT, about(7)).await.0, 202);
    // The former one goes with a reload.
    std::fs::write(
        bed.files.path().join("authentik.0.secret"),
        "dF5gH8jP0oUakq3Zr9tYw2mXc7VbN1sL",
    )
    .unwrap();
    bed.services.world.bridge.hang_up();
    eventually("the former secret is none", async || {
        let gone = bed.deliver(SECRET, about(8)).await.0 == 401;
        gone.then_some(())
    })
    .await;
    assert_eq!(bed.deliver(NEXT, about(9)).await.0, 202);
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_five_thousand_is_taken_whatever_the_clients_rate_is() {
    let bed = Bed::with(&[("authentik", &[SECRET])], "rate = 1\nburst = 3").await;
    let began = Instant::now();
    let bearer = format!("Bearer {SECRET}");
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..8_u32 {
        let (peer, bearer) = (bed.services.nobody(), bearer.clone());
        workers.spawn(async move {
            let mut slowest = Duration::ZERO;
            for number in 0..625 {
                let began = Instant::now();
                let body = about((worker * 625 + number) % 100);
                let answer = peer.post(HOOK, &[("authorization", &bearer)], body).await;
                assert_eq!(answer.status, 202, "{answer:?}");
                slowest = slowest.max(began.elapsed());
            }
            slowest
        });
    }
    let mut slowest = Duration::ZERO;
    while let Some(worst) = workers.join_next().await {
        slowest = slowest.max(worst.unwrap());
    }
    println!("5000 in {:?}, the slowest {slowest:?}", began.elapsed());
    assert_eq!(bed.reads().len(), 100);
    assert_eq!(bed.counted("read").await, 5_000);
    bed.services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_plays_authentik_and_sees_what_arrived() {
    let bed = Bed::new().await;
    let url = format!("http://{}{HOOK}", bed.services.api);
    let run = async |arguments: &[&str]| {
        let mut all = vec!["hooks"];
        all.extend(arguments);
        bed.services.world.run(&all).await
    };
    assert!(run(&["list"]).await.contains("never"));
    let planned = run(&["send", "all", "--user", "6", "--dry-run", "--json"]).await;
    let planned: Value = serde_json::from_str(&planned).unwrap();
    assert!(planned.as_array().unwrap().len() >= 20);
    assert_eq!(
        planned[1]["meaning"],
        json!({ "is": "read", "about": { "what": "person", "id": "6" } })
    );
    assert!(bed.reads().is_empty(), "a dry run");
    for form in ["custom", "default"] {
        let sent = run(&[
            "send",
            "all",
            "--user",
            "6",
            "--form",
            form,
            "--times",
            "3",
            "--again",
            "--reverse",
            "--url",
            &url,
            "--json",
        ])
        .await;
        let sent: Value = serde_json::from_str(&sent).unwrap();
        for delivery in sent.as_array().unwrap() {
            assert_eq!(delivery["status"], 202, "{delivery}");
        }
    }
    let reads = bed.reads();
    assert_eq!(
        reads,
        BTreeSet::from([
            "person/6".into(),
            "groups".into(),
            "group/00000000-0000-0000-0000-000000000000".into()
        ])
    );
    assert!(!run(&["list"]).await.contains("never"));
    // Another secret than the running bridge's: which mistake it is.
    std::fs::write(bed.files.path().join("authentik.0.secret"), NEXT).unwrap();
    let output = bed
        .services
        .world
        .bridge
        .command(&["hooks", "send", "--url", &url])
        .await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another secret"), "{said}");
    assert!(!said.contains(NEXT));
    assert_eq!(bed.deliver(SECRET, about(6)).await.0, 202);
    bed.services.finish().await;
}

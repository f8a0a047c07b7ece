//! Under systemd, played by the test: the socket stays while processes come and go, and systemd is
//! told what is true.

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::process::Process;
use crate::support::socket::End;
use crate::support::unit::Unit;
use crate::support::wire;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::Options;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

async fn under(unit: &Arc<Unit>) -> World {
    let settings = Settings {
        unit: Some(unit.clone()),
        ..Settings::default()
    };
    World::with(settings, Options::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_of_start_reload_watchdog_and_end() {
    let unit = Unit::new("127.0.0.1:0", "proxy", 300_000);
    let mut world = under(&unit).await;
    assert_eq!(world.bridge.proxy, unit.address());
    unit.hears("READY=1", 1).await;
    let said = unit.said();
    let ready = said.iter().position(|m| m.contains("READY=1")).unwrap();
    assert!(
        said[..ready].iter().all(|m| m.starts_with("STATUS=")),
        "{said:?}"
    );
    assert!(said[ready].contains("STATUS=serving, apps: 1"), "{said:?}");
    // Pings go on by themselves.
    unit.hears("WATCHDOG=1", 3).await;

    world.bridge.hang_up();
    unit.hears("READY=1", 2).await;
    let said = unit.said();
    let reloading = said.iter().position(|m| m.contains("RELOADING=1")).unwrap();
    // Type=notify-reload takes no reload without its time.
    assert!(said[reloading].contains("\nMONOTONIC_USEC="), "{said:?}");
    let again = said.iter().rposition(|m| m.contains("READY=1")).unwrap();
    assert!(ready < reloading && reloading < again, "{said:?}");

    assert_eq!(world.bridge.stop().await, Some(0));
    let said = unit.said();
    let stopping = said.iter().position(|m| m.contains("STOPPING=1")).unwrap();
    // systemd waits as long as the bridge may need, whatever TimeoutStopSec= says.
    assert!(
        said[stopping].contains("\nEXTEND_TIMEOUT_USEC=45000000"),
        "{said:?}"
    );
    assert!(again < stopping, "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_is_stopped_short_no_longer_feeds_the_watchdog() {
    let unit = Unit::new("127.0.0.1:0", "proxy", 300_000);
    let mut world = under(&unit).await;
    unit.hears("WATCHDOG=1", 2).await;
    world.bridge.freeze();
    // What was on its way arrives; then silence for three limits.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = unit.said().len();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(unit.said().len(), before, "{:?}", unit.said());
    world.bridge.kill().await;
}

/// Asks until told to stop, each time on a connection of its own; counts answers.
async fn keeps_asking(mut client: Client, stop: Arc<AtomicBool>, answers: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let request = client.api("GET", "/api/v4/users/me");
        // Panics when it is refused, reset, or closed without an answer.
        let answer = client.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Asks again and again on one connection, and takes another only when it was told so.
async fn keeps_its_connection(client: Client, stop: Arc<AtomicBool>, told: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(client.address)
            .await
            .expect("never refused");
        loop {
            let bytes = client.bytes(&client.api("GET", "/api/v4/users/me"));
            stream.write_all(&bytes).await.expect("the bridge reads");
            let answer = wire::read_response(&mut stream, false).await;
            let answer = answer.expect("never closed without a word");
            assert_eq!(answer.status, 200, "{}", answer.text());
            if answer.header("connection") == Some("close") {
                told.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upgrade_under_load_refuses_no_connection_and_asks_sockets_to_come_back() {
    let unit = Unit::new("127.0.0.1:0", "auth-manager.socket", 10_000_000);
    let mut world = under(&unit).await;
    let visitors = [world.signed_in(alice()).await, world.signed_in(bob()).await];
    let stop = Arc::new(AtomicBool::new(false));
    let (answers, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for visitor in &visitors {
        for _ in 0..2 {
            load.spawn(keeps_asking(visitor.clone(), stop.clone(), answers.clone()));
        }
        load.spawn(keeps_its_connection(
            visitor.clone(),
            stop.clone(),
            told.clone(),
        ));
    }
    let mut restarts = 0;
    while restarts < 3 {
        let mut socket = visitors[0].socket().await.expect("a socket");
        socket.event("hello").await;
        let before = answers.load(Ordering::Relaxed);
        assert_eq!(world.bridge.stop().await, Some(0));
        // "Service Restart" (RFC 6455 and its registry): the page comes back by itself.
        assert_eq!(socket.ended().await, End::Closed(Some(1012)));
        world.bridge.restart().await;
        restarts += 1;
        unit.hears("READY=1", restarts + 1).await;
        crate::support::eventually("answers of the new process", || {
            let now = answers.load(Ordering::Relaxed);
            async move { (now > before + 8).then_some(()) }
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.expect("nobody was refused, cut off or signed out");
    }
    assert!(told.load(Ordering::Relaxed) >= restarts, "{told:?}");
    assert_eq!(
        world.mattermost.logins_performed(),
        2,
        "nobody signed in again"
    );
    world.finish().await;
}

async fn refused(unit: &Unit, folder: &Path) -> String {
    let config = folder.join("auth-manager.toml");
    let arguments = [Path::new("serve"), Path::new("--config"), &config];
    let (command, input) = unit.command(crate::support::bridge::BINARY, &arguments);
    let mut process = Process::start_with(command, input, "auth-manager serve", "");
    assert_eq!(process.ended().await, Some(1));
    process.output()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_would_weaken_the_bridge_or_serve_nobody_ends_the_start() {
    let mut world = World::start().await;
    let folder = world.bridge.folder();
    // The file says loopback; the socket is what counts.
    let open = Unit::new("0.0.0.0:0", "proxy", 0);
    let said = refused(&open, folder).await;
    assert!(said.contains("plain HTTP beyond loopback"), "{said}");
    assert!(!open.said().iter().any(|m| m.contains("READY=1")));

    let config = world.bridge.config();
    let text = std::fs::read_to_string(&config).expect("our own file");
    let off = text.replace(
        "[listen.ops]\naddress = \"127.0.0.1:0\"",
        "[listen.ops]\naddress = \"off\"",
    );
    assert_ne!(off, text);
    std::fs::write(&config, off).expect("our own file");
    let idle = Unit::new("127.0.0.1:0", "ops", 0);
    let said = refused(&idle, folder).await;
    assert!(said.contains("serves no such listener"), "{said}");
    world.bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_needs_no_curl_and_tells_ready_from_not() {
    let world = World::start().await;
    // The port that the bridge was given, in a file of its own.
    let config = world.bridge.config();
    let text = std::fs::read_to_string(&config).expect("our own file");
    let ops = format!("[listen.ops]\naddress = \"{}\"", world.bridge.ops);
    std::fs::write(
        &config,
        text.replace("[listen.ops]\naddress = \"127.0.0.1:0\"", &ops),
    )
    .expect("our own file");
    assert_eq!(world.bridge.run(&["health"]).await, "ready\n");
    assert_eq!(world.bridge.run(&["health", "--live"]).await, "ok\n");
    // Somebody is in the middle of an upload: the bridge ends, but not yet.
    let visitor = world.signed_in(alice()).await;
    let request = visitor.api("POST", "/api/v4/posts");
    let request = request.header("Content-Length", "10").body("{");
    let mut upload = TcpStream::connect(world.bridge.proxy)
        .await
        .expect("the bridge listens");
    let bytes = visitor.bytes(&request);
    upload.write_all(&bytes).await.expect("the bridge reads");
    let mut bridge = world.bridge;
    bridge.terminate();
    crate::support::eventually("it is not ready", || async {
        let ended = bridge.command(&["health"]).await;
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        (ended.status.code() == Some(1) && said.contains("not ready: accepting")).then_some(())
    })
    .await;
    bridge.kill().await;
    let ended = bridge.command(&["health", "--live"]).await;
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("nobody answers"), "{said}");
}

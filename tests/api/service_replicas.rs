//! Two replicas on one PostgreSQL are one to services, too: what is used up, rotated or taken away on
//! one is so on the other.

use super::CLIENTS;
use crate::support::bridge::{Bridge, Settings};
use crate::support::caller::{ALLOW, Caller, Served, code};
use crate::support::eventually;
use crate::support::pg::Cluster;
use crate::support::relay::Relay;
use crate::support::services::{Replica, Services, Setup};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A database of one's own, and two ways to it; no notification passes on the second.
async fn ways() -> (Settings, Arc<Relay>, String) {
    let cluster = tokio::task::spawn_blocking(Cluster::shared);
    let cluster = cluster.await.expect("a cluster");
    let database = cluster.database().await;
    let first = Relay::start(cluster.folder().to_owned(), true).await;
    let second = Relay::start(cluster.folder().to_owned(), false).await;
    let settings = Settings {
        postgres: first.url(&database),
        ..Settings::default()
    };
    let url = second.url(&database);
    (settings, second, url)
}

async fn finish(served: Served, mut other: Bridge) {
    other.stop().await;
    served
        .world
        .taint
        .operator("the second log", &other.output());
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_a_client_assertion_that_one_replica_took_is_refused_by_the_other() {
    let (settings, _way, _) = ways().await;
    let services = Services::with(Setup {
        settings,
        ..Setup::default()
    })
    .await;
    let Replica {
        bridge: mut other,
        api,
    } = services.replica().await;
    let (here, there) = (services.nobody(), services.peer_at(api, None, false));
    for (n, (first, second)) in [(&here, &there), (&there, &here)].into_iter().enumerate() {
        let one = services.assertion(&format!("one-{n}"), json!({}));
        assert_eq!(first.bearing(CLIENTS, &one).await.status, 200);
        for _ in 0..2 {
            let again = second.bearing(CLIENTS, &one).await;
            assert_eq!(
                (again.status, again.code().as_str()),
                (401, "api.unauthenticated")
            );
        }
    }
    // Twenty at once, on both: one of them.
    let race = services.assertion("race", json!({}));
    let all = (0..20).map(|n| match n % 2 {
        0 => here.bearing(CLIENTS, &race),
        _ => there.bearing(CLIENTS, &race),
    });
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
    other.stop().await;
    let log = other.output();
    services.world.taint.operator("the second log", &log);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_is_rotated_and_removed_on_both_replicas_and_a_rotation_costs_no_call() {
    let (settings, _way, url) = ways().await;
    let served = Served::with(&format!("allow = [{ALLOW}]"), settings)
        .await
        .with_bot()
        .await;
    let (other, there) = served.replica(url).await;
    let here = served.reports.clone();
    let former = served.token();
    let mut sockets = Vec::new();
    for caller in [&here, &there] {
        let mut socket = caller.socket(&Caller::upgrade()).await.expect("a socket");
        socket.event("hello").await;
        sockets.push(socket);
    }
    let (stop, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let callers: Vec<_> = [here.clone(), there.clone()]
        .into_iter()
        .map(|caller| {
            let (stop, calls) = (stop.clone(), calls.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = caller.get("/api/v4/users/me").await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    served
        .world
        .run(&["bots", "rotate", "chat", "reports"])
        .await;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call failed");
    }
    assert!(calls.load(Ordering::Relaxed) > 4);
    for socket in sockets {
        assert_eq!(socket.closed().await, Some(1012));
    }
    assert_ne!(served.token(), former);
    served.world.mattermost.clear_journal();
    for caller in [&here, &there] {
        assert_eq!(caller.get("/api/v4/users/me").await.status, 200);
    }
    for seen in served.world.arrived("/api/v4/users/me") {
        assert_eq!(seen.tokens(), [served.token()]);
    }
    // Gone is gone everywhere.
    let mut last = there.socket(&Caller::upgrade()).await.expect("a socket");
    last.event("hello").await;
    served
        .world
        .run(&["bots", "remove", "chat", "reports"])
        .await;
    for caller in [&here, &there] {
        eventually("the replica has forgotten it", async || {
            let answer = caller.get("/api/v4/users/me").await;
            (answer.status == 503).then(|| assert_eq!(code(&answer), "service.bot_missing"))
        })
        .await;
    }
    assert!(last.closed().await.is_some(), "cut by the bridge");
    finish(served, other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_a_replica_that_lost_its_store_calls_nothing_and_cuts_its_sockets() {
    let (settings, way, url) = ways().await;
    // Not even what leaves no record.
    let service = format!("allow = [{ALLOW}]\naudit_reads = false");
    let served = Served::with(&service, settings).await.with_bot().await;
    let (other, there) = served.replica(url).await;
    let mut socket = there.socket(&Caller::upgrade()).await.expect("a socket");
    socket.event("hello").await;
    way.close();
    let square = served.world.town_square();
    let post = json!({ "channel_id": square, "message": "unrecorded" });
    let refused = there.post("/api/v4/posts", &post).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(served.world.mattermost.messages(&square), [""; 0]);
    assert_eq!(socket.closed().await, Some(1012));
    served.world.mattermost.clear_journal();
    let refused = there.get("/api/v4/users/me").await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (503, "bridge.revocations_stale")
    );
    assert!(served.world.arrived("/api/v4/users/me").is_empty());
    // The first one has its store.
    assert_eq!(served.reports.get("/api/v4/users/me").await.status, 200);
    way.reopen().await;
    eventually("the second one has its store back", async || {
        (there.get("/api/v4/users/me").await.status == 200).then_some(())
    })
    .await;
    finish(served, other).await;
}

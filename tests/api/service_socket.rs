//! A service's socket: opened without `Origin`, as the bot, and cut when what let it in is gone.

use crate::support::bridge::Settings;
use crate::support::caller::{ALLOW, Caller, Served, code};
use auth_manager::demo::mattermost::Fault;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bots_socket_hears_what_happens_and_never_sees_a_token() {
    let served = Served::start().await.with_bot().await;
    let mut socket = served
        .reports
        .socket(&Caller::upgrade())
        .await
        .expect("a socket");
    assert_eq!(socket.head.header("content-length"), None);
    assert_eq!(socket.head.header("set-cookie"), None);
    let hello = socket.event("hello").await;
    assert!(hello["data"]["connection_id"].is_string());
    let square = served.world.town_square();
    let post = json!({ "channel_id": square, "message": "heard" });
    assert_eq!(
        served.reports.post("/api/v4/posts", &post).await.status,
        201
    );
    let posted = socket.event("posted").await;
    assert!(posted["data"]["post"].as_str().unwrap().contains("heard"));
    // The app saw the bot's token in the handshake's header, and no Origin.
    let seen = served.world.arrived("/api/v4/websocket").pop().unwrap();
    assert_eq!(seen.tokens(), [served.token()]);
    assert!(seen.header("origin").is_none());
    // A token said on the socket would be another one's: cut.
    socket
        .say(r#"{"seq":1,"action":"authentication_challenge","data":{"token":"x"}}"#)
        .await;
    assert_eq!(socket.closed().await, Some(1008));
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_bots_socket_is_cut_when_what_let_it_in_is_gone() {
    let mut served = Served::start().await.with_bot().await;
    let open = async |served: &Served| {
        let mut socket = served
            .reports
            .socket(&Caller::upgrade())
            .await
            .expect("a socket");
        socket.event("hello").await;
        socket
    };
    // A change of something else leaves it.
    let kept = open(&served).await;
    served.reload(|text| text.replace("help@", "desk@")).await;
    assert_eq!(served.reports.get("/api/v4/users/me").await.status, 200);
    // A rotation: at once, and it comes back with the new token.
    served
        .world
        .run(&["bots", "rotate", "chat", "reports"])
        .await;
    assert_eq!(kept.closed().await, Some(1012));
    let socket = open(&served).await;
    // Another rule.
    served
        .reload(|text| text.replace("\"POST /api/v4/posts\", ", ""))
        .await;
    assert_eq!(socket.closed().await, Some(1012));
    let socket = open(&served).await;
    // The client is gone.
    let gone = |text: &str| {
        text.replace("\"proxy:chat\", ", "")
            .replace(
                "[[apps.services]]\nclient = \"reports\"",
                "[[apps.services]]\nclient = \"other\"",
            )
            .replace(
                "scopes = [\"bridge\"]",
                "scopes = [\"bridge\", \"proxy:chat\"]",
            )
    };
    served.reload(gone).await;
    assert_eq!(socket.closed().await, Some(1008));
    let Err(answer) = served.reports.socket(&Caller::upgrade()).await else {
        panic!("a socket without the scope");
    };
    assert_eq!(answer.status, 403);
    // A drain asks it to come back.
    let mut socket = served
        .other
        .socket(&Caller::upgrade())
        .await
        .expect("a socket");
    socket.event("hello").await;
    served.world.bridge.terminate();
    assert_eq!(socket.closed().await, Some(1012));
    served.restart().await;
    let mut socket = served
        .other
        .socket(&Caller::upgrade())
        .await
        .expect("a socket");
    socket.event("hello").await;
    drop(socket);
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_needs_its_rule_and_a_service_that_is_no_browser() {
    let service = "allow = [\"GET /api/v4/users/*\"]";
    let served = Served::with(service, Settings::default())
        .await
        .with_bot()
        .await;
    let Err(answer) = served.reports.socket(&Caller::upgrade()).await else {
        panic!("a socket without a rule");
    };
    assert_eq!(answer.status, 403);
    let request = Caller::upgrade().header("Origin", "https://chat.example.test");
    let Err(answer) = served.reports.socket(&request).await else {
        panic!("a browser's socket");
    };
    assert_eq!(answer.status, 403);
    assert_eq!(served.world.mattermost.open_sockets(), 0);
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_after_a_failed_upgrade_every_check_stands() {
    let service = format!("allow = [{ALLOW}]");
    let served = Served::with(&service, Settings::default())
        .await
        .with_bot()
        .await;
    let refusal = "{\"id\":\"x\",\"message\":\"no\",\"status_code\":400}";
    served
        .world
        .mattermost
        .set_fault(Fault::Status(400, refusal.into()), "/api/v4/websocket");
    let mut stream = served.reports.connect().await;
    let upgrade = "GET /apps/chat/api/v4/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // What follows on the connection is a request like any other, judged like any other.
    let after = "DELETE /apps/chat/api/v4/posts/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream
        .write_all(format!("{upgrade}{after}").as_bytes())
        .await
        .unwrap();
    let first = crate::support::wire::read_response(&mut stream, false)
        .await
        .unwrap();
    assert_eq!(first.status, 400);
    if let Some(second) = crate::support::wire::read_response(&mut stream, false).await {
        assert_eq!(
            (second.status, code(&second).as_str()),
            (403, "service.route")
        );
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    assert!(served.world.arrived("/api/v4/posts/x").is_empty());
    served.world.finish().await;
}

/// A handshake that is at the app, which takes its time to answer.
async fn opening(
    served: &Served,
    seconds: u64,
) -> tokio::task::JoinHandle<Result<(), crate::support::wire::Response>> {
    served.world.mattermost.clear_journal();
    let slow = Fault::Slow(std::time::Duration::from_secs(seconds));
    served.world.mattermost.set_fault(slow, "/api/v4/websocket");
    let caller = served.reports.clone();
    let opening = tokio::spawn(async move { caller.socket(&Caller::upgrade()).await.map(drop) });
    crate::support::eventually("the handshake is at the app", async || {
        (!served.world.arrived("/api/v4/websocket").is_empty()).then_some(())
    })
    .await;
    opening
}

async fn is_not_carried(
    opening: tokio::task::JoinHandle<Result<(), crate::support::wire::Response>>,
    what: &str,
) {
    let Err(answer) = opening.await.unwrap() else {
        panic!("a socket of {what} that is gone");
    };
    assert_eq!(
        (answer.status, answer.header("retry-after").is_some()),
        (503, true),
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_socket_that_was_opening_when_what_let_it_in_went_is_not_carried() {
    let mut served = Served::start().await.with_bot().await;
    // The cut came while the app had not answered, and found no socket to cut.
    let socket = opening(&served, 4).await;
    served
        .reload(|text| text.replace("\"GET /api/v4/websocket\", ", ""))
        .await;
    is_not_carried(socket, "a rule").await;
    served
        .reload(|text| text.replace("allow = [", "allow = [\"GET /api/v4/websocket\", "))
        .await;

    // Who the client is, by another name.
    let socket = opening(&served, 4).await;
    served
        .reload(|text| {
            text.replacen(
                "certificate_names = [",
                "certificate_names = [\"more.test\", ",
                1,
            )
        })
        .await;
    is_not_carried(socket, "a client").await;

    // Whom the listener believes.
    let socket = opening(&served, 4).await;
    let ca = std::fs::read_to_string(&served.certs.ca).unwrap();
    let more = crate::support::services::Authority::new("another").pem();
    std::fs::write(&served.certs.ca, format!("{ca}{more}")).unwrap();
    served.world.bridge.hang_up();
    is_not_carried(socket, "a trust").await;

    // And one that nothing went from is.
    opening(&served, 1).await.await.unwrap().expect("a socket");
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_a_socket_that_was_opening_when_nobody_knew_who_is_revoked_is_not_carried() {
    let served = Served::start().await.with_bot().await;
    let socket = opening(&served, 20).await;
    let store = served.world.bridge.folder().join("auth-manager.db");
    let change = |sql: &str| {
        let db = rusqlite::Connection::open(&store).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        db.execute_batch(sql).unwrap();
    };
    change("ALTER TABLE revocations RENAME TO revocations_away");
    is_not_carried(socket, "a log").await;
    change("ALTER TABLE revocations_away RENAME TO revocations");
    served.world.mattermost.clear_faults();
    served.ready().await;
    served.world.finish().await;
}

//! HTTP as the app and the browser mean it: what goes through is what was sent, large or small,
//! and an app that fails is said to have failed, never that the visitor did.

use crate::support::PATIENCE;
use crate::support::bridge::Settings;
use crate::support::client::{Client, Request};
use crate::support::eventually;
use crate::support::front::{Asked, Front};
use crate::support::wire::{self, Response};
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::{Fault, Options};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1 << 20;
/// An attachment as large as the app takes by default is 100 MiB.
const LARGE: usize = 80 * MIB;

async fn behind(front: Front) -> World {
    World::behind(Settings::default(), Options::default(), Some(front)).await
}

async fn connected(world: &World) -> TcpStream {
    TcpStream::connect(world.bridge.proxy)
        .await
        .expect("the bridge listens")
}

/// Reads a request's body by its Content-Length, and gives its size.
async fn swallow(asked: &Asked, stream: &mut TcpStream) -> usize {
    let length = asked.header("content-length").expect("a known length");
    let length: usize = length.parse().expect("a number");
    let mut buffer = vec![0; 64 << 10];
    let mut read = 0;
    while read < length {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => read += n,
            _ => break,
        }
    }
    read
}

/// Headers that either proxy may write anew.
fn comparable(answer: &Response) -> Vec<(String, String)> {
    let own = ["date", "x-request-id", "connection", "keep-alive"];
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .cloned()
        .collect();
    headers.sort();
    headers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_the_apps_own_header_by_header() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    // A text long enough to be compressed.
    let text = "all work and no play ".repeat(200);
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"channel_id\"\r\n\r\n{}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\n\r\n{text}\r\n--b--\r\n",
        world.town_square()
    );
    let upload = visitor
        .api("POST", "/api/v4/files")
        .header("Content-Type", "multipart/form-data; boundary=b")
        .body(form);
    let uploaded = visitor.send(upload).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.text());
    let id = uploaded.json()["file_infos"][0]["id"].clone();
    let file = format!("/api/v4/files/{}", id.as_str().expect("an id"));
    let plain = visitor.get(&file).await;
    assert_eq!(plain.text(), text);
    let modified = plain.header("last-modified").expect("a date").to_owned();

    let get = |path: &str| Request::new("GET", path).header("Accept", "*/*");
    let session = world.mattermost.sessions_of("alice")[0].clone();
    let cases = [
        (200, get("/static/demo.js")),
        (
            200,
            get("/static/demo.js").header("Accept-Encoding", "gzip"),
        ),
        (404, get("/static/none.js")),
        (200, Request::new("HEAD", "/static/demo.js")),
        (200, Request::new("HEAD", "/demo")),
        (200, get(&file)),
        (200, get(&file).header("Accept-Encoding", "gzip, br")),
        (206, get(&file).header("Range", "bytes=10-19")),
        (206, get(&file).header("Range", "bytes=-5")),
        (416, get(&file).header("Range", "bytes=999999-")),
        (304, get(&file).header("If-Modified-Since", &modified)),
        (200, get("/api/v4/config/client?format=old")),
        (404, get("/api/v4/nothing")),
        (400, get("/api/v4/channels/short")),
        (200, get("/robots.txt")),
        (200, get("/demo/channels/x?q=a%20b+c&&d")),
    ];
    for (status, request) in cases {
        let what = format!(
            "{} {} {:?}",
            request.method, request.target, request.headers
        );
        let mut bare = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            request.method, request.target, world.host
        );
        for (name, value) in &request.headers {
            bare.push_str(&format!("{name}: {value}\r\n"));
        }
        let credential = format!(
            "Cookie: MMAUTHTOKEN={}\r\nX-CSRF-Token: {}\r\n\r\n",
            session.token, session.csrf
        );
        bare.push_str(&credential);
        let direct = wire::exchange(world.mattermost_address, bare.as_bytes()).await;
        let through = visitor.send(request).await;
        if through.status == 404 && direct.status == 404 {
            // An error of the API names its request.
            assert_eq!(status, 404, "{what}");
            continue;
        }
        assert_eq!((direct.status, through.status), (status, status), "{what}");
        assert_eq!(comparable(&direct), comparable(&through), "{what}");
        if status != 400 {
            assert_eq!(direct.body, through.body, "{what}");
        }
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etag_without_quotes_goes_both_ways_as_it_is() {
    // The real server writes such (recordings): a parser of entity tags would refuse them.
    let etag = "11.2.0.abc.1763712198000.0.true";
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let notes = Arc::clone(&asked);
    let front = Front::default().play("/api/v4/emoji", move |asked, mut stream| {
        notes.lock().push(asked);
        async move {
            let answer =
                format!("HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    let world = behind(front).await;
    let mut visitor = world.signed_in(alice()).await;
    let request = visitor
        .api("GET", "/api/v4/emoji")
        .header("If-None-Match", etag);
    let answer = visitor.send(request).await;
    assert_eq!((answer.status, answer.header("etag")), (304, Some(etag)));
    assert_eq!(asked.lock()[0].header("if-none-match"), Some(etag));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_expects_100_gets_it_before_it_sends() {
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    let body = json!({ "channel_id": world.town_square(), "message": "expected" }).to_string();
    let request = visitor
        .api("POST", "/api/v4/posts")
        .header("Content-Type", "application/json")
        .header("Expect", "100-continue")
        .header("Content-Length", &body.len().to_string());
    let mut stream = connected(&world).await;
    stream
        .write_all(&visitor.bytes(&request))
        .await
        .expect("the bridge reads");
    let mut raw = Vec::new();
    let first = wire::read_head(&mut stream, &mut raw)
        .await
        .expect("a word");
    assert_eq!(first.status, 100);
    stream
        .write_all(body.as_bytes())
        .await
        .expect("the bridge reads");
    let answer = wire::read_response(&mut stream, false).await;
    assert_eq!(answer.expect("an answer").status, 201);

    // Whoever is refused is not asked for the body.
    let refused = request
        .without("X-CSRF-Token")
        .header("X-CSRF-Token", "wrong");
    let mut stream = connected(&world).await;
    stream
        .write_all(&visitor.bytes(&refused))
        .await
        .expect("the bridge reads");
    let mut raw = Vec::new();
    let first = wire::read_head(&mut stream, &mut raw)
        .await
        .expect("a word");
    assert_eq!(first.status, 401);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_go_up_and_trailers_bring_nothing() {
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let notes = Arc::clone(&heard);
    let front = Front::default().play("/plugins/x/upload", move |_, mut stream| {
        let notes = Arc::clone(&notes);
        async move {
            let mut all = Vec::new();
            while !all.ends_with(b"0\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => all.push(byte),
                    Err(_) => break,
                }
            }
            *notes.lock() = all;
            let answer =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Token, X-Sum\r\n\r\n\
                2\r\nok\r\n0\r\nToken: real-token\r\nX-Sum: 1\r\nSet-Cookie: MMAUTHTOKEN=x\r\n\r\n";
            stream.write_all(answer).await.ok();
        }
    });
    let world = behind(front).await;
    let visitor = world.signed_in(alice()).await;
    let request = visitor
        .api("POST", "/plugins/x/upload")
        .header("Transfer-Encoding", "chunked")
        .header("TE", "trailers")
        .header("Trailer", "X-Cloud-Token");
    let mut bytes = visitor.bytes(&request);
    bytes.extend_from_slice(
        b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nX-Cloud-Token: stolen\r\nX-Pomerium-Jwt-Assertion: a.b.c\r\n\r\n",
    );
    let mut stream = connected(&world).await;
    stream.write_all(&bytes).await.expect("the bridge reads");
    let mut raw = Vec::new();
    let head = wire::read_head(&mut stream, &mut raw).await;
    assert_eq!(head.expect("an answer").status, 200);
    while !raw.ends_with(b"\r\n0\r\n\r\n") && !raw.ends_with(b"1\r\n\r\n") {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        raw.push(byte.expect("in time").expect("the rest"));
    }
    let answer = String::from_utf8_lossy(&raw).into_owned();
    assert!(answer.contains("\r\nok\r\n"), "{answer}");
    for secret in ["real-token", "MMAUTHTOKEN"] {
        assert!(!answer.contains(secret), "{answer}");
    }
    let heard = String::from_utf8_lossy(&heard.lock()).into_owned();
    assert!(
        heard.contains("hello") && heard.contains('!') && heard.ends_with("0\r\n\r\n"),
        "{heard}"
    );
    assert!(!heard.to_lowercase().contains("token") && !heard.contains("a.b.c"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eighty_mebibytes_go_up_and_down_without_being_held() {
    let front = Front::default()
        .play("/api/v4/uploads/up", |asked, mut stream| async move {
            let read = swallow(&asked, &mut stream).await.to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{read}",
                read.len()
            );
            stream.write_all(answer.as_bytes()).await.ok();
        })
        .play("/api/v4/files/down", |_, mut stream| async move {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok();
            let piece = vec![b'd'; MIB];
            for _ in 0..LARGE / MIB {
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
            }
        });
    let world = behind(front).await;
    let visitor = world.signed_in(alice()).await;
    let before = world.bridge.peak_memory();

    let request = visitor
        .api("POST", "/api/v4/uploads/up")
        .header("Content-Length", &LARGE.to_string());
    let mut stream = connected(&world).await;
    stream
        .write_all(&visitor.bytes(&request))
        .await
        .expect("the bridge reads");
    let piece = vec![b'u'; MIB];
    for _ in 0..LARGE / MIB {
        stream.write_all(&piece).await.expect("the bridge reads");
    }
    let answer = wire::read_response(&mut stream, false).await;
    assert_eq!(answer.expect("an answer").text(), LARGE.to_string());

    // A slow reader makes the app wait, not the bridge's memory grow.
    let request = visitor.bytes(&visitor.api("GET", "/api/v4/files/down"));
    let mut stream = connected(&world).await;
    stream.write_all(&request).await.expect("the bridge reads");
    let mut raw = Vec::new();
    let head = wire::read_head(&mut stream, &mut raw).await;
    assert_eq!(head.expect("an answer").status, 200);
    let mut read = 0;
    let mut buffer = vec![0; 256 << 10];
    while read < LARGE {
        match tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await {
            Ok(Ok(n)) if n > 0 => read += n,
            other => panic!("{read} bytes, then {other:?}"),
        }
    }
    assert_eq!(read, LARGE);
    let grown = world.bridge.peak_memory() - before;
    assert!(grown < 24 << 10, "{grown} KiB more than before");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_with_very_many_headers_passes_or_is_refused_whole() {
    let many = |count: usize| {
        let lines: String = (0..count).map(|n| format!("X-Many-{n}: {n}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{lines}Connection: close\r\nContent-Length: 2\r\n\r\nok")
    };
    let front = Front::default()
        .answer("/plugins/x/many", many(110))
        .answer("/plugins/x/more", many(300));
    let world = behind(front).await;
    let mut visitor = world.signed_in(alice()).await;
    let answer = visitor.get("/plugins/x/many").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(answer.header("x-many-109"), Some("109"));
    assert_eq!(visitor.get("/plugins/x/more").await.status, 502);
    visitor.me().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_app_says_behind_its_answer_is_nobodys() {
    // Response splitting by the app or something before it: the next visitor on that connection.
    let front = Front::default().play("/plugins/x/split", |_, mut stream| async move {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
            HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
        stream.write_all(answer).await.ok();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
    });
    let world = behind(front).await;
    let mut visitor = world.signed_in(alice()).await;
    let mut other = world.signed_in(bob()).await;
    for _ in 0..10 {
        let answer = visitor.get("/plugins/x/split").await;
        assert_eq!(answer.text(), "ok");
        assert_eq!(other.me().await["username"], "bob");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_no_to_an_upload_is_passed_on() {
    let no = r#"{"id":"api.file.too_large","message":"Too large.","status_code":413}"#;
    let front = Front::default().answer(
        "/api/v4/uploads/no",
        format!(
            "HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{no}",
            no.len()
        ),
    );
    let world = behind(front).await;
    let mut visitor = world.signed_in(alice()).await;
    let request = visitor
        .api("POST", "/api/v4/uploads/no")
        .body(vec![b'x'; 300_000]);
    let answer = visitor.send(request).await;
    assert_eq!((answer.status, answer.text().as_str()), (413, no));
    world.finish().await;
}

/// What people and pages get of an app that fails.
async fn both_ways(visitor: &mut Client, status: u16) {
    let call = visitor.get("/api/v4/users/me").await;
    assert_eq!(call.status, status, "{}", call.text());
    assert_eq!(call.header("content-type"), Some("application/json"));
    assert_eq!(call.json()["status_code"], status);
    let page = visitor.send(visitor.page("/demo")).await;
    assert_eq!(page.status, status, "{}", page.text());
    assert!(page.text().contains("Chat") && page.text().contains("<html"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_fails_signs_nobody_out() {
    let settings = Settings {
        app: "response_timeout = \"1s\"".into(),
        ..Settings::default()
    };
    let world = World::with(settings, Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    for (fault, status) in [(Fault::CloseBefore, 502), (Fault::Hang, 504)] {
        world.mattermost.set_fault(fault, "/");
        both_ways(&mut visitor, status).await;
        world.mattermost.clear_faults();
        visitor.me().await;
    }
    // Something between says it in its own words: they pass.
    world.mattermost.set_fault(Fault::Html, "/api/v4/users/me");
    let answer = visitor.get("/api/v4/users/me").await;
    assert_eq!(answer.status, 502);
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    // An answer that breaks off must look broken.
    world
        .mattermost
        .set_fault(Fault::CloseMidBody, "/api/v4/users/me");
    let mut request = visitor.bytes(&visitor.api("GET", "/api/v4/users/me"));
    let raw = wire::exchange_raw(visitor.address, &std::mem::take(&mut request)).await;
    let text = String::from_utf8_lossy(&raw).into_owned();
    assert!(
        text.to_lowercase().contains("content-length: 1000") || text.contains(" 502 "),
        "{text}"
    );
    world.mattermost.clear_faults();
    visitor.me().await;
    assert_eq!(world.mattermost.logins_performed(), 1);

    // It fails while somebody signs in for the first time: they are told, and get in afterwards.
    for fault in [
        Fault::Html,
        Fault::CloseBefore,
        Fault::Status(500, "{}".into()),
    ] {
        world.mattermost.set_fault(fault, "/api/v4/users");
        let mut newcomer = world.client(bob());
        let page = newcomer.open("/").await;
        assert!(
            matches!(page.status, 502..=504),
            "{} {}",
            page.status,
            page.text()
        );
        world.mattermost.clear_faults();
    }
    let newcomer = world.client(bob());
    eventually("the way in", || {
        let mut tab = newcomer.clone();
        async move { (tab.open("/").await.status == 200).then_some(()) }
    })
    .await;
    assert_eq!(world.mattermost.users_created(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_the_app_is_used_again_however_its_answers_end() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
    ] {
        let connections = Arc::new(Mutex::new(0));
        let count = Arc::clone(&connections);
        let front = Front::default().play("/plugins/x/kept", move |_, mut stream| {
            *count.lock() += 1;
            async move {
                while stream.write_all(answer.as_bytes()).await.is_ok() {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                }
            }
        });
        let world = behind(front).await;
        let mut visitor = world.signed_in(alice()).await;
        for _ in 0..10 {
            let status = visitor.get("/plugins/x/kept").await.status;
            assert!(matches!(status, 200 | 204 | 304), "{status}: {answer}");
        }
        assert_eq!(*connections.lock(), 1, "{answer}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_app_costs_no_request_that_was_not_under_way() {
    // Every kept connection is dead, as after a restart.
    let front = Front::default();
    let world = behind(front).await;
    let mut visitor = world.signed_in(alice()).await;
    for _ in 0..20 {
        visitor.me().await;
    }
    let body = json!({ "channel_id": world.town_square(), "message": "once" });
    for _ in 0..10 {
        assert_eq!(visitor.post("/api/v4/posts", &body).await.status, 201);
    }
    assert_eq!(world.mattermost.messages(&world.town_square()).len(), 10);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_who_hangs_up_frees_the_app() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let slow = Fault::Slow(Duration::from_secs(1));
    world.mattermost.set_fault(slow, "/api/v4/users/me/teams");
    for _ in 0..20 {
        let bytes = visitor.bytes(&visitor.api("GET", "/api/v4/users/me/teams"));
        let mut stream = connected(&world).await;
        stream.write_all(&bytes).await.expect("the bridge reads");
    }
    // Their connections are given up, not kept with an answer in them that nobody asked for.
    for _ in 0..20 {
        assert_eq!(visitor.me().await["username"], "alice");
    }
    eventually("the end of what nobody waits for", || async {
        (world.mattermost.open_connections() < 10).then_some(())
    })
    .await;
    world.finish().await;
}

//! What recordings show and a replay cannot: things that happen beside each other, waits without
//! an end, and the controls that the other tests of this house lean on.

use std::time::Duration;

use auth_manager::demo::mattermost::{CredentialKind, Fault, NewUser, Options, StandIn};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::replay::Stage;
use crate::socket::{Client, Frame};
use crate::wire::{Request, Response, send};

/// A server with `admin`, the bot, the team `demo` and a member `eve` of it.
async fn furnished() -> Stage {
    let stage = Stage::serving(StandIn::new(Options {
        login_cost: Duration::ZERO,
        ..Options::default()
    }))
    .await;
    let eve = NewUser {
        username: "eve".into(),
        password: "Eve-pass-1".into(),
        ..NewUser::default()
    };
    stage.app.create_user(eve);
    assert!(stage.app.add_to_team("demo", "eve"));
    stage
}

async fn call(
    stage: &Stage,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut lines = vec![("Host".to_owned(), "chat.example.test".to_owned())];
    lines.extend(
        headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let request = Request {
        method: method.into(),
        path: path.into(),
        headers: lines,
        body: body.as_bytes().to_vec(),
    };
    send(stage.address, &request).await
}

fn town_square(stage: &Stage) -> String {
    stage
        .app
        .channel_id("demo", "town-square")
        .expect("there from the start")
}

/// Recording 08: no hello, the missed events, and nothing of it for someone else.
#[tokio::test]
async fn resume_sends_what_was_missed() {
    let stage = furnished().await;
    let square = town_square(&stage);
    let eve = stage.app.open_session("eve").expect("eve exists").token;
    let mut first = Client::open(&stage, "?connection_id=&sequence_number=0", &eve).await;
    let hello = first.json().await;
    let id = hello["data"]["connection_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    stage.app.post_as("admin", &square, "one");
    let next = first.json().await["seq"].as_u64().expect("a number") + 1;
    stage.app.drop_sockets();
    assert!(matches!(first.next().await, Frame::Ended));
    stage.app.post_as("admin", &square, "while away");

    let query = format!("?connection_id={id}&sequence_number={next}");
    let mut second = Client::open(&stage, &query, &eve).await;
    let missed = second.json().await;
    assert_eq!(
        (missed["event"].as_str(), missed["seq"].as_u64()),
        (Some("posted"), Some(next))
    );
    assert!(
        missed["data"]["post"]
            .as_str()
            .is_some_and(|post| post.contains("while away"))
    );

    let admin = stage.app.open_session("admin").expect("admin exists").token;
    let mut foreign = Client::open(&stage, &query, &admin).await;
    let hello = foreign.json().await;
    assert_eq!(hello["event"], "hello");
    assert_ne!(hello["data"]["connection_id"], id);
}

/// Recording 09: whatever ends the session, the socket stays open, gets no event, and its pings
/// fail.
#[tokio::test]
async fn sessions_end_under_sockets() {
    let stage = furnished().await;
    let square = town_square(&stage);
    let ends: [fn(&Stage, &str); 4] = [
        |stage, token| assert!(stage.app.revoke_token(token)),
        |stage, token| assert!(stage.app.expire_session(token)),
        |stage, _| stage.app.revoke_sessions("eve"),
        |stage, _| assert!(stage.app.deactivate("eve")),
    ];
    for end in ends {
        let eve = stage.app.open_session("eve").expect("eve exists").token;
        let mut socket = Client::open(&stage, "", &eve).await;
        assert_eq!(socket.json().await["event"], "hello");
        end(&stage, &eve);
        stage.app.post_as("admin", &square, "not for dead sessions");
        socket.say(r#"{"action":"ping","seq":1}"#).await;
        let answer = socket.json().await;
        assert_eq!(answer["status"], "FAIL");
        assert_eq!(
            answer["error"]["id"],
            "api.web_socket_router.not_authenticated.app_error"
        );
    }
}

/// Recording 09, exchange 20: a mute socket can become someone else's.
#[tokio::test]
async fn a_mute_socket_changes_hands() {
    let stage = furnished().await;
    let eve = stage.app.open_session("eve").expect("eve exists").token;
    let admin = stage.app.open_session("admin").expect("admin exists");
    let mut socket = Client::open(&stage, "", &eve).await;
    let id = socket.json().await["data"]["connection_id"].clone();
    stage.app.revoke_token(&eve);
    socket.say(r#"{"action":"ping","seq":1}"#).await;
    assert_eq!(socket.json().await["status"], "FAIL");
    let challenge =
        json!({"seq": 2, "action": "authentication_challenge", "data": {"token": admin.token}});
    socket.say(&challenge.to_string()).await;
    let hello = socket.json().await;
    assert_eq!(
        (&hello["event"], &hello["data"]["connection_id"]),
        (&json!("hello"), &id)
    );
    assert_eq!(hello["broadcast"]["user_id"], admin.user_id);
    assert_eq!(socket.json().await, json!({"status": "OK", "seq_reply": 2}));
}

/// Recording 25, exchange 25: the call never ends, other requests are served.
#[tokio::test]
async fn a_bot_that_owns_itself_never_comes_back() {
    let stage = Stage::serving(StandIn::new(Options {
        bot_self_owned: true,
        ..Options::default()
    }))
    .await;
    let bearer = format!("Bearer {}", stage.app.bot_token());
    let bot = stage
        .app
        .user("pomerium-bridge")
        .expect("there from the start")
        .id;
    let path = format!("/api/v4/users/{bot}/active");
    let headers = [("Authorization", bearer.as_str())];
    let stuck = call(&stage, "PUT", &path, &headers, r#"{"active":false}"#);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), stuck)
            .await
            .is_err()
    );
    assert_eq!(
        call(&stage, "GET", "/api/v4/system/ping", &[], "")
            .await
            .status,
        200
    );
    assert_eq!(
        call(&stage, "GET", "/api/v4/users/me", &headers, "")
            .await
            .status,
        401
    );
}

/// The furnished server is what the bridge expects to find.
#[tokio::test]
async fn furnished_server() {
    let stage = furnished().await;
    let bearer = format!("Bearer {}", stage.app.bot_token());
    let me = call(
        &stage,
        "GET",
        "/api/v4/users/me",
        &[("Authorization", &bearer)],
        "",
    )
    .await;
    let me: serde_json::Value = serde_json::from_slice(&me.body).expect("JSON");
    assert_eq!(
        (&me["is_bot"], &me["roles"]),
        (&json!(true), &json!("system_user system_admin"))
    );
    let login = r#"{"login_id":"admin","password":"Admin-pass-1"}"#;
    let answer = call(&stage, "POST", "/api/v4/users/login", &[], login).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (stage.app.logins_performed(), stage.app.users_created()),
        (1, 0)
    );
    let token = answer.header("Token").expect("a token").to_owned();
    assert!(stage.app.real_tokens().contains(&token));
    assert_eq!(stage.app.sessions_of("admin")[0].token, token);
    let page = call(&stage, "GET", "/any/path", &[], "").await;
    assert!(String::from_utf8_lossy(&page.body).contains("not the real thing"));
}

#[tokio::test]
async fn the_journal_keeps_every_credential() {
    let stage = furnished().await;
    let headers = [
        ("Cookie", "a=b; MMAUTHTOKEN=one; MMAUTHTOKEN=two"),
        ("Authorization", "Bearer three"),
    ];
    call(
        &stage,
        "GET",
        "/api/v4/users/me?access_token=four&x=1",
        &headers,
        "",
    )
    .await;
    let journal = stage.app.journal();
    let seen = journal.last().expect("one request");
    assert_eq!(
        (seen.path.as_str(), seen.tokens()),
        ("/api/v4/users/me", vec!["one", "two", "three", "four"])
    );
    let kinds: Vec<_> = seen
        .credentials
        .iter()
        .map(|credential| credential.kind)
        .collect();
    use CredentialKind::{Authorization, Cookie, Query};
    assert_eq!(kinds, [Cookie, Cookie, Authorization, Query]);
    assert!(seen.contains("three") && !seen.contains("five"));
}

/// The bytes that come back before the connection ends.
async fn raw(stage: &Stage, text: &str) -> String {
    let mut stream = TcpStream::connect(stage.address)
        .await
        .expect("the stand-in listens");
    stream
        .write_all(text.as_bytes())
        .await
        .expect("the stand-in reads");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn faults() {
    let stage = furnished().await;
    let app = &stage.app;
    app.set_fault_times(Fault::Status(503, "{}".into()), "/api/v4/system", 1);
    assert_eq!(
        call(&stage, "GET", "/api/v4/system/ping", &[], "")
            .await
            .status,
        503
    );
    assert_eq!(
        call(&stage, "GET", "/api/v4/system/ping", &[], "")
            .await
            .status,
        200
    );

    app.set_fault(Fault::Html, "/api/");
    assert_eq!(
        call(&stage, "GET", "/api/v4/system/ping", &[], "")
            .await
            .status,
        502
    );
    assert_eq!(call(&stage, "GET", "/", &[], "").await.status, 200);
    app.clear_faults();

    app.set_fault(Fault::RefuseLogin, "/");
    let login = r#"{"login_id":"eve","password":"Eve-pass-1"}"#;
    let refused = call(&stage, "POST", "/api/v4/users/login", &[], login).await;
    assert!(String::from_utf8_lossy(&refused.body).contains("invalid_credentials"));
    assert_eq!(app.failed_logins("eve"), 0);

    let ping = "GET /api/v4/system/ping HTTP/1.1\r\nHost: x\r\n\r\n";
    app.set_fault(Fault::CloseMidBody, "/");
    let cut = raw(&stage, ping).await;
    assert!(
        cut.contains("200 OK") && cut.ends_with("0123456789"),
        "{cut}"
    );
    app.set_fault(Fault::CloseBefore, "/");
    assert_eq!(raw(&stage, ping).await, "");

    app.set_fault(Fault::DropAfterCreate, "/");
    let body = r#"{"email":"new@example.test","username":"new","password":"New-pass-1"}"#;
    let create = format!(
        "POST /api/v4/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
        app.bot_token(),
        body.len()
    );
    assert_eq!(raw(&stage, &create).await, "");
    assert!(app.user("new").is_some());
    assert_eq!(app.users_created(), 1);
}

/// Posting with the switch on gives the real cookies out again, each time.
#[tokio::test]
async fn cookies_on_every_post() {
    let stage = furnished().await;
    let square = town_square(&stage);
    let eve = stage.app.open_session("eve").expect("eve exists");
    stage.app.set_always_extend(true);
    let cookie = format!("MMAUTHTOKEN={}", eve.token);
    let headers = [
        ("Cookie", cookie.as_str()),
        ("X-CSRF-Token", eve.csrf.as_str()),
    ];
    let body = json!({"channel_id": square, "message": "hello"}).to_string();
    for _ in 0..2 {
        let answer = call(&stage, "POST", "/api/v4/posts", &headers, &body).await;
        let cookies = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "Set-Cookie")
            .count();
        assert_eq!((answer.status, cookies), (201, 3));
    }
    assert_eq!(stage.app.messages(&square), ["hello", "hello"]);
}

/// Sockets and connections are counted, and a server can come back on its old state.
#[tokio::test]
async fn counting_and_coming_back() {
    let mut stage = furnished().await;
    let eve = stage.app.open_session("eve").expect("eve exists").token;
    let mut socket = Client::open(&stage, "", &eve).await;
    assert_eq!(socket.json().await["event"], "hello");
    assert_eq!(stage.app.open_sockets(), 1);
    stage.restart().await;
    assert!(matches!(socket.next().await, Frame::Ended));
    let mut socket = Client::open(&stage, "", &eve).await;
    assert_eq!(socket.json().await["event"], "hello");
}

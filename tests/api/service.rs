//! A service calls the app as its bot: what gets through, as whom, and what does not.

use crate::support::bridge::Settings;
use crate::support::caller::{ALLOW, Served, code};
use crate::support::client::Request;
use crate::support::collector::{Collector, attribute, hex};
use auth_manager::demo::mattermost::{CredentialKind, Fault};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_calls_the_app_as_its_bot_and_never_sees_a_token() {
    let served = Served::start().await.with_bot().await;
    let me = served.reports.get("/api/v4/users/me").await;
    assert_eq!(
        (me.status, me.json()["username"].as_str()),
        (200, Some("reports"))
    );
    let square = served.world.town_square();
    let post = json!({ "channel_id": square, "message": "as a bot" });
    let answer = served
        .reports
        .post("/api/v4/posts?set_online=false", &post)
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(served.world.mattermost.messages(&square), ["as a bot"]);
    // The app saw one credential, the bot's, and nothing of the way the request had come.
    let seen = served.world.arrived("/api/v4/posts");
    let [seen] = seen.as_slice() else {
        panic!("{seen:?}");
    };
    assert_eq!(seen.query, "set_online=false");
    assert_eq!(seen.tokens(), [served.token()]);
    assert_eq!(seen.credentials[0].kind, CredentialKind::Authorization);
    assert_eq!(seen.header("host"), Some("chat.example.test"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert!(seen.header("x-forwarded-for").is_none() && seen.header("cookie").is_none());
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(seen.header("x-request-id"), Some(id));
    // A rule for GET is one for HEAD, which the app does not know (recordings, difference 35). What
    // the app says is passed on as it says it.
    let head = served.reports.call("HEAD", "/api/v4/users/me").await;
    assert!(head.status == 404 && head.body.is_empty());
    let missing = served.reports.get("/api/v4/users/nosuchuser").await;
    assert_eq!(missing.header("content-type"), Some("application/json"));
    assert!(
        missing.json()["status_code"]
            .as_u64()
            .is_some_and(|s| s == u64::from(missing.status))
    );
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t23_nothing_that_a_caller_brings_of_its_own_reaches_the_app() {
    let served = Served::start().await.with_bot().await;
    let request = Request::new(
        "GET",
        "/apps/chat/plugins/x/echo?a=1&access_token=query-token&b=2",
    )
    .header(
        "Cookie",
        "MMAUTHTOKEN=cookie-token; theme=dark; MMCSRF=csrf-token",
    )
    .header("X-CSRF-Token", "csrf-token")
    .header("Token", "header-token")
    .header("X-Cloud-Token", "cloud-token")
    .header("X-RemoteCluster-Token", "cluster-token")
    .header("Mattermost-User-Id", "somebody-else")
    .header("X-MM-Anything", "mm-token")
    .header("X-Forwarded-For", "192.0.2.66")
    .header("X-Real-IP", "192.0.2.66")
    .header("X-Pomerium-Claim-Email", "admin@example.test")
    .header("X-Pomerium-Jwt-Assertion", "an.assertion.somewhere")
    .header("X-HTTP-Method-Override", "DELETE")
    .header("Connection", "x-hop")
    .header("X-Hop", "hop-token")
    .header("X-Harmless", "kept");
    let answer = served.reports.send(&request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("set-cookie"), None);
    let seen = served.world.arrived("/plugins/x/echo").pop().unwrap();
    assert_eq!(seen.query, "a=1&b=2");
    assert_eq!(seen.tokens(), [served.token()]);
    for foreign in [
        "-token",
        "somebody",
        "192.0.2.66",
        "admin@",
        "an.assertion",
        "DELETE",
        "theme",
        "pomerium",
        "mmauthtoken",
    ] {
        let found = seen.headers.iter().any(|(name, value)| {
            name != "authorization" && (name.contains(foreign) || value.contains(foreign))
        });
        assert!(!found, "{foreign}: {seen:#?}");
    }
    assert_eq!(seen.header("x-harmless"), Some("kept"));
    // One that folds to a protected name is refused, not guessed at (T1).
    let odd = Request::new("GET", "/apps/chat/api/v4/users/me").header("X_Forwarded_User", "a");
    let answer = served.reports.send(&odd).await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (400, "request.header")
    );
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_what_no_rule_names_is_refused_and_what_gives_power_whatever_a_rule_says() {
    let service = "allow = [\"GET /api/v4/users/**\", \"PUT /api/v4/teams/**\", \"PUT /api/v4/channels/**\"]\n\
                   insecure_allow = [\"PUT /api/v4/users/*/active\"]";
    let served = Served::with(service, Settings::default())
        .await
        .with_bot()
        .await;
    served.world.mattermost.clear_journal();
    for (method, path) in [
        ("POST", "/api/v4/posts"),
        ("DELETE", "/api/v4/users/x"),
        ("GET", "/api/v4/users"),
        ("GET", "/api/v4/users/me/sessions"),
        ("GET", "/api/v4/users/me/tokens"),
        ("GET", "/api/v4/users/tokens"),
        ("PUT", "/api/v4/teams/x/members/y/roles"),
        ("PUT", "/api/v4/teams/x/members/y/SchemeRoles"),
        ("PUT", "/api/v4/channels/x/moderations/patch"),
        ("PATCH", "/api/v4/users/me"),
        ("PUT", "/api/v4/users/me/password"),
        ("PUT", "/api/v4/users/me/roles"),
        ("PUT", "/api/v4/users/me/mfa"),
        ("PUT", "/api/v4/users/me/auth"),
        ("PUT", "/api/v4/users/me/patch"),
        ("POST", "/api/v4/users/me/tokens"),
        ("POST", "/api/v4/users/tokens/revoke"),
        ("POST", "/api/v4/users/login"),
        ("POST", "/api/v4/users/logout"),
        ("POST", "/api/v4/users/me/sessions/revoke/all"),
        ("PUT", "/api/v4/users/me/Roles"),
        ("GET", "/.auth-manager/bridge"),
        ("GET", ""),
    ] {
        let answer = served.reports.call(method, path).await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (403, "service.route"),
            "{method} {path}"
        );
    }
    assert!(served.world.mattermost.journal().is_empty());
    // Named one by one it passes, and the app decides: the bot is no administrator.
    let admin = served.world.mattermost.admin_id();
    let active = format!("/api/v4/users/{admin}/active");
    let request = Request::new("PUT", &format!("/apps/chat{active}")).body("{\"active\":false}");
    let answer = served.reports.send(&request).await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{}",
        answer.text()
    );
    assert_eq!(
        (answer.status, served.world.arrived(&active).len()),
        (403, 1)
    );
    let start = served.world.bridge.output();
    assert!(
        start.contains("apps[chat].services[reports].insecure_allow"),
        "listed at start"
    );
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_the_path_judged_is_the_path_forwarded() {
    let served = Served::start().await.with_bot().await;
    served.world.mattermost.clear_journal();
    for path in [
        "/api/v4/users/me/../../posts",
        "/api/v4/users/%2e%2e/posts",
        "/api/v4/users/..",
        "/api/v4//users/me",
        "/api/v4/users/m%65",
        "/api/v4/users/a%2fb",
        "/api/v4/users/a\\b",
        "/api/v4/users/me;x=/api/v4/posts",
        "/api/v4/users/me%00",
        "/api/v4/users/a%252fb",
    ] {
        let answer = served.reports.get(path).await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (400, "request.path"),
            "{path}"
        );
    }
    // Out of the prefix, and into another app.
    for target in [
        "/apps/chat/../notes/x",
        "/apps/%63hat/api/v4/users/me",
        "//apps/chat/x",
    ] {
        let answer = served.reports.send(&Request::new("GET", target)).await;
        assert!(
            matches!(answer.status, 400 | 404),
            "{target}: {}",
            answer.status
        );
    }
    assert!(served.world.mattermost.journal().is_empty());
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t21_smuggling_shapes_get_one_refusal_and_nothing_upstream() {
    let served = Served::start().await.with_bot().await;
    served.world.mattermost.clear_journal();
    let hidden = "GET /api/v4/users/me HTTP/1.1\r\nHost: a\r\n\r\n";
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Upgrade: h2c\r\nConnection: Upgrade",
        "Expect: something",
    ] {
        let head = format!("POST /apps/chat/api/v4/posts HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        let answer = served
            .reports
            .raw(format!("{head}{hidden}").as_bytes())
            .await;
        if let Some(answer) = answer {
            assert_eq!(answer.status, 400, "{lines}: {}", answer.text());
        }
    }
    for line in [
        "TRACE /apps/chat/api/v4/users/me",
        "TRACK /apps/chat/api/v4/users/me",
    ] {
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = served.reports.raw(head.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 405, "{line}");
    }
    let posts = served.world.arrived("/api/v4/posts");
    assert!(posts.is_empty(), "{posts:?}");
    let hidden = served.world.arrived("/api/v4/users/me");
    assert!(hidden.is_empty(), "{hidden:?}");
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_strangers_and_visitors_are_not_services() {
    let served = Served::start().await.with_bot().await;
    served.world.mattermost.clear_journal();
    let me = "/apps/chat/api/v4/users/me";
    for (name, value) in [
        ("Origin", "https://chat.example.test"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Anything", "x"),
    ] {
        let answer = served
            .reports
            .send(&Request::new("GET", me).header(name, value))
            .await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (403, "service.browser"),
            "{name}"
        );
    }
    // Another client, without the scope; an app that is not there.
    let answer = served.other.get("/api/v4/users/me").await;
    assert_eq!((answer.status, code(&answer).as_str()), (403, "api.scope"));
    let answer = served
        .reports
        .send(&Request::new("GET", "/apps/notes/x"))
        .await;
    assert_eq!((answer.status, code(&answer).as_str()), (403, "api.scope"));
    // What counts here counts nothing on the other listener, and the other way round.
    let mut visitor = served.world.client(auth_manager::demo::door::alice());
    let answer = visitor.send(visitor.api("GET", me)).await;
    assert!(matches!(answer.status, 401 | 404), "{}", answer.status);
    assert!(served.world.arrived("/api/v4/users/me").is_empty());
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_any_size_stream_both_ways() {
    let served = Served::start().await.with_bot().await;
    let size = 9 << 20;
    let body: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
    let square = served.world.town_square();
    let target = format!("/apps/chat/api/v4/files?channel_id={square}&filename=a.bin");
    let mut stream = served.reports.connect().await;
    let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for chunk in body.chunks(64 << 10) {
        stream
            .write_all(format!("{:x}\r\n", chunk.len()).as_bytes())
            .await
            .unwrap();
        stream.write_all(chunk).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = crate::support::wire::read_response(&mut stream, false)
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["file_infos"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v4/files/{id}");
    let back = served.reports.get(&path).await;
    assert!(back.status == 200 && back.body == body);
    let part = Request::new("GET", &format!("/apps/chat{path}")).header("Range", "bytes=5-9");
    let part = served.reports.send(&part).await;
    assert!(part.status == 206 && part.body == body[5..10]);
    // One that hangs up in the middle takes nothing with it.
    let mut stream = served.reports.connect().await;
    let head = format!("GET /apps/chat{path} HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut some = [0; 1000];
    stream.read_exact(&mut some).await.unwrap();
    drop(stream);
    assert_eq!(served.reports.get("/api/v4/users/me").await.status, 200);
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_no_answer_of_the_apps_shows_a_token() {
    let service = format!("allow = [{ALLOW}]\ninsecure_allow = [\"POST /api/v4/users/login\"]");
    let served = Served::with(&service, Settings::default())
        .await
        .with_bot()
        .await;
    served.world.mattermost.set_always_extend(true);
    let square = served.world.town_square();
    let post = json!({ "channel_id": square, "message": "x" });
    let answer = served.reports.post("/api/v4/posts", &post).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (201, None));
    // Even a login that the operator lets through shows neither its header nor its cookies.
    let login = Request::new("POST", "/apps/chat/api/v4/users/login")
        .header("X-Requested-With", "XMLHttpRequest")
        .body(json!({ "login_id": "admin", "password": "Admin-pass-1" }).to_string());
    let answer = served.reports.send(&login).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("token").is_none() && answer.header("set-cookie").is_none());
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_refuses_the_bot_is_no_401_of_the_callers() {
    let mut served = Served::start().await;
    // No bot yet: its service waits, and nothing reaches the app.
    let answer = served.reports.get("/api/v4/users/me").await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (503, "service.bot_missing")
    );
    served = served.with_bot().await;
    served.world.mattermost.revoke_access_tokens("reports");
    for _ in 0..2 {
        let answer = served.reports.get("/api/v4/users/me").await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (502, "service.bot_refused")
        );
        assert!(answer.header("www-authenticate").is_none());
    }
    // A socket is upgraded before the app looks for a token (recordings 09), and says nothing
    // without one: not even hello.
    let upgrade = crate::support::caller::Caller::upgrade();
    let socket = served
        .reports
        .socket(&upgrade)
        .await
        .expect("a mute socket");
    assert_ne!(
        socket.closed().await,
        Some(1008),
        "the app ends it, not the bridge"
    );
    // Another 401 of the app's is none of the caller's, either.
    served
        .world
        .run(&["bots", "rotate", "chat", "reports"])
        .await;
    served.ready().await;
    let other = "{\"id\":\"api.other\",\"message\":\"x\",\"status_code\":401}";
    served.world.mattermost.set_fault_times(
        Fault::Status(401, other.into()),
        "/api/v4/users/me",
        2,
    );
    let answer = served.reports.get("/api/v4/users/me").await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (502, "service.bot_refused")
    );
    served.world.mattermost.clear_faults();
    served.ready().await;
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_each_call_is_one_line_that_says_who_where_and_by_which_rule() {
    let mut served = Served::start().await.with_bot().await;
    let secret = "bytes-that-nobody-logs";
    let request = Request::new("GET", &format!("/apps/chat/api/v4/users/me?q={secret}"))
        .header("X-Thing", secret);
    served.reports.send(&request).await;
    served.reports.call("DELETE", "/api/v4/posts/x").await;
    let fields = |line: &str| -> Option<serde_json::Value> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let fields = line.get("fields").unwrap_or(&line).clone();
        (fields["client"] == "reports" && fields["app"] == "chat").then_some(fields)
    };
    let bridge = &mut served.world.bridge;
    let passed = bridge
        .line("the call", |line| {
            fields(line).filter(|f| f["path"] == "/apps/chat/api/v4/users/me" && f["status"] == 200)
        })
        .await;
    assert_eq!(passed["rule"], "GET /api/v4/users/*");
    assert_eq!(passed["method"], "GET");
    let refused = bridge
        .line("the refusal", |line| {
            fields(line).filter(|f| f["method"] == "DELETE")
        })
        .await;
    assert_eq!(
        (&refused["code"], &refused["status"]),
        (&json!("service.route"), &json!(403))
    );
    assert!(refused.get("rule").is_none_or(serde_json::Value::is_null));
    assert!(!bridge.output().contains(secret));
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_of_the_operators_own_and_rules_that_could_never_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.token");
    // Made by hand, and known once the stand-in runs: until then one that is refused.
    std::fs::write(&path, "nosuchtoken0123456789abcde\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode).unwrap();
    let service = format!("bot_token = {{ file = {path:?} }}\nallow = [{ALLOW}]");
    let mut served = Served::with(&service, Settings::default()).await;
    let answer = served.reports.get("/api/v4/users/me").await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (502, "service.bot_refused")
    );
    served
        .world
        .mattermost
        .create_user(auth_manager::demo::mattermost::NewUser {
            username: "byhand".into(),
            bot: true,
            ..Default::default()
        });
    let (_, token) = served
        .world
        .mattermost
        .issue_access_token("byhand")
        .unwrap();
    std::fs::write(&path, format!("{token}\n")).unwrap();
    served.reload(|text| text.replace("help@", "desk@")).await;
    let me = served.reports.get("/api/v4/users/me").await;
    assert_eq!(
        (me.status, me.json()["username"].as_str()),
        (200, Some("byhand"))
    );
    // A rule that gives power is refused whole: nothing changes, and what is running goes on.
    let config = served.world.bridge.config();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("\"POST /api/v4/posts\"", "\"PUT /api/v4/users/*/roles\""),
    )
    .unwrap();
    served.world.bridge.hang_up();
    let why = served.world.bridge.line("why not", |line| {
        line.contains("nothing changed").then(|| line.to_owned())
    });
    let why = why.await;
    assert!(
        why.contains("apps[chat].services[reports].allow") && why.contains("insecure_allow"),
        "{why}"
    );
    let square = served.world.town_square();
    let post = json!({ "channel_id": square, "message": "x" });
    assert_eq!(
        served.reports.post("/api/v4/posts", &post).await.status,
        403,
        "the app's own: not in the channel"
    );
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_a_call_that_cannot_be_recorded_does_not_happen() {
    let service = format!("allow = [{ALLOW}]\naudit_reads = false");
    let served = Served::with(&service, Settings::default())
        .await
        .with_bot()
        .await;
    let square = served.world.town_square();
    let post = json!({ "channel_id": square, "message": "on record" });
    let answer = served.reports.post("/api/v4/posts", &post).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.header("x-request-id").unwrap();
    let trail = served.world.trail().await;
    let called: Vec<_> = trail
        .iter()
        .filter(|r| r.contains("service.called"))
        .collect();
    // Reads are not, as the configuration says.
    let [called] = called.as_slice() else {
        panic!("{called:?}");
    };
    for part in [
        "\"reports\"",
        "\"chat\"",
        "POST /api/v4/posts",
        "\"path\":\"/api/v4/posts\"",
        id,
    ] {
        assert!(called.contains(part), "{part} in {called}");
    }
    let ordered = |r: &&String| r.contains("bot.ordered") && r.contains("\"order\":\"add\"");
    assert_eq!(trail.iter().filter(ordered).count(), 1, "{trail:?}");

    let store = served.world.bridge.folder().join("auth-manager.db");
    let change = |sql: &str| {
        let db = rusqlite::Connection::open(&store).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        db.execute_batch(sql).unwrap();
    };
    change("ALTER TABLE audit_records RENAME TO audit_away");
    let refused = served.reports.post("/api/v4/posts", &post).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(served.world.mattermost.messages(&square), ["on record"]);
    assert_eq!(served.reports.get("/api/v4/users/me").await.status, 200);
    change("ALTER TABLE audit_away RENAME TO audit_records");
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_counted_by_app_and_nothing_that_a_caller_writes_becomes_a_label() {
    let served = Served::start().await.with_bot().await;
    let metrics = async |served: &Served| served.world.bridge.ops("/metrics").await.text();
    let count = |text: &str, series: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |rest| rest.trim().parse().unwrap())
    };
    let ok =
        "auth_manager_requests_total{app=\"chat\",listener=\"api\",code=\"ok\",status=\"2xx\"}";
    let took = "auth_manager_request_duration_seconds_count{app=\"chat\",listener=\"api\"}";
    let before = metrics(&served).await;
    for _ in 0..3 {
        assert_eq!(served.reports.get("/api/v4/users/me").await.status, 200);
    }
    served.reports.call("DELETE", "/api/v4/posts/x").await;
    served.reports.get("/api/v4/users/a%2fb").await;
    served.reports.get("/api/v4/users/nosuchuser").await;
    let stranger = Request::new("GET", "/apps/nowhere/x");
    assert_eq!(served.reports.send(&stranger).await.status, 403);
    let after = metrics(&served).await;
    let rise = |series: &str| count(&after, series) - count(&before, series);
    assert_eq!(rise(ok), 3);
    for (code, status) in [
        ("ok", "4xx"),
        ("service.route", "4xx"),
        ("request.path", "4xx"),
    ] {
        let series = format!(
            "auth_manager_requests_total{{app=\"chat\",listener=\"api\",code=\"{code}\",status=\"{status}\"}}"
        );
        assert_eq!(rise(&series), 1, "{series}");
    }
    assert_eq!(rise(took), 6);
    // Counted once among all refusals.
    assert_eq!(
        rise("auth_manager_refusals_total{code=\"service.route\"}"),
        1
    );
    for word in ["nowhere", "nosuchuser"] {
        assert!(!after.contains(word), "{word}");
    }
    // Visitors are counted beside it.
    served
        .world
        .signed_in(auth_manager::demo::door::alice())
        .await;
    let last = metrics(&served).await;
    assert_eq!(count(&last, took), count(&after, took));
    assert!(count(&last, &took.replace("api", "proxy")) > 0);
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_a_trace_with_its_stations_and_its_client() {
    let (collector, address) = Collector::start().await;
    let service =
        format!("allow = [{ALLOW}]\n[telemetry.traces]\nendpoint = \"http://{address}/v1/traces\"");
    let mut served = Served::with(&service, Settings::default())
        .await
        .with_bot()
        .await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = Request::new("GET", "/apps/chat/api/v4/users/me?secret=query")
        .header("traceparent", parent);
    assert_eq!(served.reports.send(&call).await.status, 200);
    served.reports.call("DELETE", "/api/v4/posts/x").await;
    // The last of them are sent before the end.
    served.world.bridge.stop().await;
    let spans = collector.spans();
    let traced = hex(parent.split('-').nth(1).expect("a trace"));
    let call = spans.iter().find(|s| s.trace_id == traced && s.kind == 2);
    let call = call.expect("a server's span of the caller's trace");
    assert_eq!(call.name, "GET chat");
    for (name, value) in [
        ("url.path", "\"/apps/chat/api/v4/users/me\""),
        ("auth_manager.client", "\"reports\""),
        ("auth_manager.decision", "\"ok\""),
        ("http.response.status_code", "200"),
    ] {
        let found = attribute(call, name);
        assert!(found.contains(value), "{name}: {found}");
    }
    let stations = |of: &opentelemetry_proto::tonic::trace::v1::Span| -> Vec<String> {
        let mut below: Vec<_> = (spans.iter())
            .filter(|s| s.parent_span_id == of.span_id)
            .collect();
        below.sort_by_key(|s| s.start_time_unix_nano);
        below.iter().map(|s| s.name.clone()).collect()
    };
    assert_eq!(stations(call), ["edge", "route", "access", "app"]);
    // A refusal ends where it was refused.
    let refused = spans
        .iter()
        .find(|s| attribute(s, "auth_manager.decision").contains("service.route"));
    assert_eq!(
        stations(refused.expect("the refusal's")),
        ["edge", "route", "access"]
    );
    let received = collector.received.lock();
    let sent: Vec<u8> = received.iter().flat_map(|(_, body)| body.clone()).collect();
    drop(received);
    let text = String::from_utf8_lossy(&sent);
    assert!(!text.contains("secret=query"));
    served.world.taint.operator("what the collector got", &text);
    served
        .world
        .taint
        .assert_clean(&served.world.mattermost.real_tokens());
}

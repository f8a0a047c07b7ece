//! Through the whole bridge: what a client writes decides nothing but what it may (T12, T13, T14,
//! T23, T24, T34, T38, T39).

use crate::support::bridge::Settings;
use crate::support::client::{Client, Request};
use crate::support::wire::{Response, exchange_raw};
use crate::support::world::World;
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, Person, alice, bob};
use auth_manager::demo::mattermost::Options;
use serde_json::json;

/// Sends a request with another `X-Forwarded-For` than the client's usual one.
async fn forwarded_for(visitor: &Client, lines: &str) -> Vec<u8> {
    let request = visitor.api("GET", "/api/v4/users/me");
    let text = String::from_utf8(visitor.bytes(&request)).expect("text");
    let text = text.replace("x-forwarded-for: 192.0.2.10\r\n", lines);
    let text = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    exchange_raw(visitor.address, text.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t12_only_the_last_hops_word_about_the_client_is_passed_on() {
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    for (lines, expected) in [
        ("X-Forwarded-For: 6.6.6.6,192.0.2.7\r\n", Some("192.0.2.7")),
        (
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7\r\n",
            Some("192.0.2.7"),
        ),
        (
            "X-Forwarded-For: 6.6.6.6, 2001:db8::7\r\n",
            Some("2001:db8::7"),
        ),
        ("X-Forwarded-For: 6.6.6.6, unknown\r\n", None),
        ("X-Forwarded-For: 6.6.6.6, \r\n", None),
        (
            "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\n",
            None,
        ),
    ] {
        world.mattermost.clear_journal();
        let answer = forwarded_for(&visitor, lines).await;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{lines}");
        let seen = &world.arrived("/api/v4/users/me")[0];
        let said: Vec<_> = seen
            .headers
            .iter()
            .filter(|(name, _)| name == "x-forwarded-for")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(said, Vec::from_iter(expected), "{lines}");
        assert!(!seen.contains("6.6.6.6"), "{lines}: {seen:?}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_nothing_a_client_says_stands_in_for_an_identity() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    world.mattermost.clear_journal();
    let say: [(&str, &str); 12] = [
        ("User-Agent", "kube-probe/1.30"),
        ("User-Agent", "GoogleHC/1.0"),
        ("X-Original-URI", "/.auth-manager/health"),
        ("X-Original-URL", "/.auth-manager/health"),
        ("X-Rewrite-URL", "/static/a.js"),
        ("X-Forwarded-Uri", "/.auth-manager/health"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-Auth-Request-Email", "alice@example.test"),
        ("X-Pomerium-Claim-Email", "alice@example.test"),
        ("Authorization", "Pomerium x"),
        ("Cookie2", "a=b"),
    ];
    for (name, value) in say {
        let request = visitor.api("GET", "/api/v4/users/me");
        let answer = visitor
            .send(request.header(name, value).assertions(&[]))
            .await;
        assert!(
            matches!(answer.status, 400 | 401),
            "{name}: {}",
            answer.status
        );
    }
    for path in [
        "/api/v4/users/me?/.auth-manager/health",
        "/api/v4/users/me?x=.js",
        "/api/v4/users/me/health",
        "/.auth-manager/health/../../api/v4/users/me",
        "/.auth-manager/health/%2e%2e/%2e%2e/api/v4/users/me",
        "/.auth-manager/health;/api",
        "/.auth-manager/healthy",
        "/.well-known/x",
        "/robots.txt",
        "/favicon.ico",
        "/api/v4/system/ping",
    ] {
        for method in ["GET", "OPTIONS", "HEAD"] {
            let request = Request::new(method, path).assertions(&[]);
            let answer = visitor.send(request).await;
            assert!(
                (400..500).contains(&answer.status),
                "{method} {path}: {}",
                answer.status
            );
        }
    }
    // A static file needs no session, and no trick makes an API call one.
    for path in [
        "/static/../api/v4/users/me",
        "/static/%2e%2e/api/v4/users/me",
        "/static/..;/api/v4/users/me",
        "/static//../api/v4/users/me",
        "/static/x/../../api/v4/users/me",
        "/STATIC/x.js",
        "/static",
        "/staticx/a.js",
        "/x/static/a.js",
    ] {
        let request = visitor.api("GET", path).cookie("");
        let answer = visitor.send(request).await;
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
    }
    let seen = world.mattermost.journal();
    assert!(seen.is_empty(), "{seen:?}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_the_path_judged_is_the_path_that_arrives() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    world.mattermost.clear_journal();
    for path in [
        "/api/v4/users/./login",
        "/api/v4/users/x/../login",
        "/api/v4/users/%2e%2e/users/login",
        "/api/v4/users%2flogin",
        "/api/v4/users%5clogin",
        "/api/v4/users\\login",
        "/api/v4/users/login;a=b",
        "/api/v4/users/login%00",
        "/api/v4/users/log%69n",
        "//api/v4/users/login",
        "/api/v4//users/login",
        "/api/v4/users/login//",
        "/api/v4/users/login/.",
        "/api/v4/users/login#x",
        "http://other.example.test/api/v4/users/login",
        "http://chat.example.test@evil.test/api/v4/users/login",
        "/%61pi/v4/users/login",
    ] {
        let request = visitor
            .api("POST", path)
            .header("Content-Type", "application/json")
            .body(r#"{"login_id":"admin","password":"x"}"#);
        let answer = visitor.send(request).await;
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        let seen = world.mattermost.journal();
        assert!(seen.is_empty(), "{path} arrived: {seen:?}");
    }
    // Others name something else, to the app as to the bridge.
    for path in [
        "/api/v4/users/login%20",
        "/api/v4/users/login%23",
        "/api/v4/users/login%3fa",
        "/api/v4/users/%252e%252e/login",
    ] {
        world.mattermost.clear_journal();
        let answer = visitor.post(path, &json!({ "login_id": "admin" })).await;
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        for seen in world.mattermost.journal() {
            assert_eq!(seen.path, path, "rewritten");
        }
    }
    assert_eq!(world.mattermost.failed_logins("admin"), 0);
    // A path that passes arrives as it was written, also beside an absolute target of our own.
    for (target, path) in [
        (
            "/api/v4/emoji/name/caf%C3%A9",
            "/api/v4/emoji/name/caf%C3%A9",
        ),
        (
            "http://chat.example.test/api/v4/users/me?a=%2e%2e",
            "/api/v4/users/me",
        ),
    ] {
        world.mattermost.clear_journal();
        visitor.get(target).await;
        assert_eq!(world.arrived(path).len(), 1, "{target}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t23_no_credential_of_a_browsers_own_arrives_on_any_kind_of_request() {
    let world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    world.signed_in(bob()).await;
    let bobs = world.mattermost.sessions_of("bob")[0].token.clone();
    let (_, personal) = world.mattermost.issue_access_token("bob").expect("a token");
    let jar: Vec<String> = visitor
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let jar = jar.join("; ");
    world.mattermost.clear_journal();
    for stolen in [&bobs, &personal] {
        let with_all = |request: Request| {
            request
                .header("Authorization", &format!("Bearer {stolen}"))
                .header("X-Cloud-Token", stolen)
                .header("X-RemoteCluster-Token", stolen)
                .header("X-RemoteCluster-Id", stolen)
                .header("Mattermost-User-Id", stolen)
                .header("X-MM-Token", stolen)
                .header("Token", stolen)
                .cookie(&format!("mmauthtoken={stolen}; {jar}"))
        };
        let mut tab = visitor.clone();
        for target in [
            "/api/v4/users/me".to_owned(),
            format!("/api/v4/users/me?access_token={stolen}"),
            format!("/api/v4/users/me?a=1&ACCESS_TOKEN={stolen}&b=2"),
            format!("/api/v4/users/me?access%5Ftoken={stolen}"),
            format!("/static/a.js?access_token={stolen}"),
            format!("/plugins/p/echo?access_token={stolen}"),
            format!("/demo/channels/x?access_token={stolen}"),
        ] {
            tab.send(with_all(tab.api("GET", &target))).await;
            tab.send(with_all(tab.page(&target))).await;
        }
        let upgrade = with_all(visitor.upgrade());
        let _ = visitor.socket_by(upgrade).await;
    }
    let sessions = world.mattermost.sessions_of("alice");
    for seen in world.mattermost.journal() {
        for stolen in [&bobs, &personal] {
            for (_, value) in &seen.headers {
                assert!(!value.contains(stolen.as_str()), "{seen:?}");
            }
            assert!(!seen.query.contains(stolen.as_str()), "{seen:?}");
        }
        for credential in &seen.credentials {
            let real = sessions.iter().any(|s| s.token == credential.token);
            assert!(real, "{seen:?}");
        }
        assert!(seen.credentials.len() <= 1, "{seen:?}");
    }
    world.finish().await;
}

/// A story with every kind of answer: pages, errors, redirects, calls, frames.
async fn a_whole_story(world: &World) {
    world.mattermost.set_always_extend(true);
    let mut visitor = world.signed_in(alice()).await;
    let town = world.town_square();
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    let words = "the-words-of-a-message-that-no-log-may-hold";
    world.taint.private(words);
    for (name, value) in &visitor.cookies {
        if name != "MMUSERID" {
            world.taint.private(value);
        }
    }
    world.taint.private(&world.mattermost.bot_token());
    let message = json!({ "channel_id": town, "message": words });
    assert_eq!(visitor.post("/api/v4/posts", &message).await.status, 201);
    socket.event("posted").await;
    socket
        .send(&json!({ "seq": 1, "action": "user_typing", "data": { "channel_id": town } }))
        .await;
    let id = visitor.cookies["MMUSERID"].clone();
    visitor.get(&format!("/api/v4/users/{id}/sessions")).await;
    visitor.get("/api/v4/config/client?format=old").await;
    visitor.get("/static/a.js").await;
    visitor.get("/nowhere").await;
    visitor.get("/login").await;
    let wrong = visitor
        .api("POST", "/api/v4/posts")
        .without("X-CSRF-Token")
        .header("X-CSRF-Token", "wrong");
    visitor.send(wrong).await;
    visitor.post("/api/v4/users/login", &json!({})).await;
    // The session dies in the app, and is renewed under the next call.
    let token = world.mattermost.sessions_of("alice")[0].token.clone();
    assert!(world.mattermost.expire_session(&token));
    visitor.get("/api/v4/users/me").await;
    let mut resumed = visitor.socket().await.expect("a socket");
    resumed.event("hello").await;
    // A browser that says its token on the socket is cut, and the frames show nothing.
    let challenge = json!({
        "seq": 1, "action": "authentication_challenge",
        "data": { "token": visitor.cookies["MMAUTHTOKEN"] }
    });
    resumed.send(&challenge).await;
    resumed.ended().await;
    for person in [
        Person::new(70, "no-group", "No Group", &[], ""),
        Person::new(71, "unvalidated", "Un Validated", &[GROUP_MEMBERS], ""),
    ] {
        world.client(person).open("/").await;
    }
    world
        .client(alice())
        .send(Request::new("GET", "/").assertions(&["x.y.z"]))
        .await;
    visitor.post("/api/v4/users/logout", &json!({})).await;
    visitor.open("/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_no_page_call_or_frame_shows_a_token_of_the_apps() {
    let world = World::start().await;
    a_whole_story(&world).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_at_the_finest_level_nothing_secret_is_logged() {
    // Everything, the libraries' own lines too.
    let settings = Settings {
        log: "trace".into(),
        ..Settings::default()
    };
    let world = World::with(settings, Options::default()).await;
    a_whole_story(&world).await;
    world.finish().await;
}

fn is_within(answer: &Response) -> bool {
    answer.header("location").is_none_or(|to| {
        let path = to.split('?').next().unwrap_or_default();
        path.starts_with('/') && !path.starts_with("//") && !to.contains('\\')
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t38_no_redirect_leads_elsewhere() {
    let world = World::start().await;
    for target in [
        "//evil.test/",
        "///evil.test/",
        "/\\evil.test/",
        "/%5cevil.test/",
        "/%2fevil.test/",
        "/.//evil.test/",
        "/x/..//evil.test/",
        "/;//evil.test",
        "/%09/evil.test",
        "http://evil.test/",
        "https:evil.test",
        "//evil.test?auth-manager-cookies=set",
        "/\\evil.test?auth-manager-cookies=set",
        "/login?redirect_to=//evil.test",
        "/login?redirect_to=https%3A%2F%2Fevil.test",
        "/?rd=https://evil.test&next=//evil.test",
    ] {
        // Without cookies a page is sent to its own address; with them the mark is taken off.
        let mut fresh = world.client(alice());
        let first = fresh.send(fresh.page(target)).await;
        assert!(is_within(&first), "{target}: {:?}", first.headers);
        let again = fresh.send(fresh.page(target)).await;
        assert!(is_within(&again), "{target}: {:?}", again.headers);
        // Also when the sign-in was logged out.
        fresh.open("/").await;
        fresh.post("/api/v4/users/logout", &json!({})).await;
        let out = fresh.send(fresh.page(target)).await;
        assert!(is_within(&out), "{target}: {:?}", out.headers);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t39_line_breaks_in_claims_reach_no_header_and_no_second_log_line() {
    let world = World::start().await;
    let split = "x\r\nSet-Cookie: injected=1\r\n\r\n<b>";
    let mut person = Person::new(80, "split", split, &[GROUP_VALIDATED, GROUP_MEMBERS], "");
    person.groups.push(format!("group{split}"));
    let mut odd_name = person.clone();
    odd_name.sub = "a0000000-0000-4000-8000-000000000081".into();
    odd_name.username = Some(format!("u{split}"));
    let mut odd_email = person.clone();
    odd_email.sub = "a0000000-0000-4000-8000-000000000082".into();
    odd_email.email = format!("a{split}@example.test");
    let mut refused = person.clone();
    refused.sub = "a0000000-0000-4000-8000-000000000083".into();
    refused.groups.clear();
    for person in [person, odd_name, odd_email, refused] {
        let mut visitor = world.client(person);
        for request in [visitor.page("/"), visitor.api("GET", "/api/v4/users/me")] {
            let answer = visitor.send(request).await;
            let injected = answer
                .all("set-cookie")
                .any(|line| line.contains("injected="));
            assert!(!injected, "{:?}", answer.headers);
            let html = answer.header("content-type").unwrap_or_default();
            let text = answer.text();
            assert!(
                !html.starts_with("text/html") || !text.contains("<b>"),
                "{text}"
            );
        }
        visitor.open("/").await;
    }
    for seen in world.mattermost.journal() {
        assert!(!seen.contains("injected"), "{seen:?}");
    }
    let log = world.bridge.output();
    assert!(
        !log.lines().any(|line| line.starts_with("Set-Cookie")),
        "{log}"
    );
    world.finish().await;
}

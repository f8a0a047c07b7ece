//! What holds for every resource: bombs (T31), secrets (T34), lines (T39), and the document.

use crate::desk::Desk;
use crate::support::services::{API, Services, Setup};
use crate::support::wire::exchange_raw;
use auth_manager::demo::door::alice;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_bodies_that_are_bombs_are_refused_quickly() {
    let desk = Desk::start().await;
    desk.services.world.signed_in(alice()).await;
    let id = desk.id(&alice()).await;
    let disable = format!("/api/v1/users/{id}/disable");
    let deep = |open: &str, close: &str| {
        format!(
            "{{\"reason\":{}1{}}}",
            open.repeat(100_000),
            close.repeat(100_000)
        )
    };
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
    ] {
        let headers = [("content-type", media)];
        let reply = desk.helpdesk.post(&disable, &headers, "{}").await;
        assert_eq!(reply.code(), "api.media_type", "{media}");
    }
    let began = Instant::now();
    for (body, statuses) in [
        (deep("[", "]"), &[400, 422][..]),
        (deep("{\"a\":", "}"), &[400, 422]),
        ("[".repeat(900_000), &[400, 422]),
        (
            format!("{{\"reason\":\"{}\"}}", "x".repeat(1_000_000)),
            &[400],
        ),
        ("{\"reason\":5}".into(), &[422]),
        ("{\"reason\":\"a\",\"reason\":\"b\"}".into(), &[422]),
        ("{\"reasons\":\"a\"}".into(), &[422]),
        ("{\"reason\":\"a\"} x".into(), &[400]),
        ("{\"reason\":\"\\ud800\"}".into(), &[400]),
        ("null".into(), &[422]),
        ("[]".into(), &[422]),
        ("not json".into(), &[400]),
        ("{\"reason\":1e400}".into(), &[400, 422]),
        // Last, since their connections end.
        (" ".repeat(2_000_000), &[413]),
        (
            format!("{{\"reason\":\"{}\"}}", "x".repeat(2_000_000)),
            &[413],
        ),
    ] {
        let start: String = body.chars().take(30).collect();
        let large = body.len() > 1 << 20;
        let reply = match desk.helpdesk.try_post(&disable, &[], body).await {
            Ok(reply) => reply,
            // Closed while the client still wrote: it read no answer.
            Err(_) if large => continue,
            Err(error) => panic!("{start}: {error}"),
        };
        assert!(statuses.contains(&reply.status), "{start}: {reply:?}");
        assert!(reply.text.len() < 1000, "{start}: a long answer");
        reply.code();
    }
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    // Nothing of it acted.
    assert_eq!(desk.live(&id).await, 1);
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_queries_that_are_bombs_are_refused_or_harmless() {
    let desk = Desk::start().await;
    desk.services.world.signed_in(alice()).await;
    let users = "/api/v1/users";
    let (page, _) = desk.read(&format!("{users}?limit=1")).await;
    assert!(page.get("next").is_none());
    for query in [
        "limit=0".to_owned(),
        "limit=201".into(),
        "limit=-1".into(),
        "limit=99999999999999999999".into(),
        "limit=ten".into(),
        "limit=1&limit=2".into(),
        "state=gone".into(),
        "state=active&state=disabled".into(),
        "search=".into(),
        format!("search={}", "a".repeat(201)),
        format!("search={}", "a".repeat(50_000)),
        "sub=x".into(),
        "issuer=pomerium".into(),
        "issuer=Pomerium&sub=x".into(),
        "cursor=x".into(),
        "cursor=".into(),
        format!("cursor={}", "A".repeat(3_000)),
        "filter=a".into(),
        "search[]=a".into(),
        (0..2_000).map(|n| format!("p{n}=1&")).collect(),
    ] {
        let reply = desk.helpdesk.get(&format!("{users}?{query}")).await;
        assert_eq!(reply.status, 400, "{query:.40}: {reply:?}");
        let code = reply.code();
        assert!(
            ["api.malformed", "api.cursor"].contains(&code.as_str()),
            "{code}"
        );
        assert!(reply.text.len() < 1000);
    }
    // What looks like a pattern or like SQL is a text like any other.
    for search in [
        "%25",
        "_",
        "%27%20OR%201=1--",
        "%5C",
        "(a%2B)%2B%24",
        "%00",
        "%F0%9F%98%80",
    ] {
        let (page, _) = desk.read(&format!("{users}?search={search}")).await;
        assert_eq!(page["items"], json!([]), "{search}");
    }
    // A cursor of another list, or of another question, is none.
    for _ in 0..3 {
        desk.services.world.signed_in(alice()).await;
    }
    let (page, _) = desk.read("/api/v1/sessions?limit=1").await;
    let cursor = page["next"]
        .as_str()
        .unwrap()
        .split("cursor=")
        .nth(1)
        .unwrap()
        .to_owned();
    for path in [
        format!("/api/v1/users?cursor={cursor}"),
        format!("/api/v1/sessions?ended=true&cursor={cursor}"),
    ] {
        assert_eq!(
            desk.helpdesk.get(&path).await.code(),
            "api.cursor",
            "{path}"
        );
    }
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_no_answer_and_no_log_line_holds_a_secret() {
    let desk = Desk::start().await;
    let world = &desk.services.world;
    let visitor = world.signed_in(alice()).await;
    let id = desk.id(&alice()).await;
    let mut said = String::new();
    let (sessions, _) = desk.read("/api/v1/sessions?ended=true").await;
    let session = sessions["items"][0]["id"].as_str().unwrap().to_owned();
    for path in [
        "/api/v1/users".to_owned(),
        format!("/api/v1/users/{id}"),
        "/api/v1/accounts".into(),
        format!("/api/v1/accounts/chat/{id}"),
        "/api/v1/sessions".into(),
        format!("/api/v1/sessions/{session}"),
        "/api/v1/keys".into(),
        "/api/v1/clients".into(),
        "/openapi.json".into(),
    ] {
        said.push_str(&desk.helpdesk.get(&path).await.text);
    }
    for (name, value) in &visitor.cookies {
        // MMUSERID is the account's id, which is no secret.
        assert!(name == "MMUSERID" || !said.contains(value), "{name}");
    }
    for word in ["sealed", "csrf", "memo", "\"d\":", "password", "token_hash"] {
        let without_document = said.split("\"openapi\"").next().unwrap();
        assert!(!without_document.contains(word), "{word}");
    }
    // What a caller says stays out of the log: reasons, keys, searches.
    let words = ["s3cret-reason", "s3cret-key", "s3cret-search"];
    let headers = [("idempotency-key", words[1])];
    let body = json!({ "reason": words[0] });
    desk.done(&format!("/api/v1/users/{id}/disable"), &headers, body)
        .await;
    desk.read(&format!("/api/v1/users?search={}", words[2]))
        .await;
    let log = world.bridge.output();
    for word in words {
        assert!(!log.contains(word), "{word}");
    }
    // The world's own end looks for tokens in all that was sent and logged.
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t39_names_with_line_breaks_break_no_line() {
    let desk = Desk::start().await;
    let world = &desk.services.world;
    let mut person = alice();
    person.name = "Alice\r\nSet-Cookie: evil=1\r\n\r\n<script>".into();
    world.signed_in(person.clone()).await;
    world.signed_in(person.clone()).await;
    let id = desk.id(&person).await;
    let (user, _) = desk.read(&format!("/api/v1/users/{id}")).await;
    assert!(user["name"].as_str().unwrap().contains("Alice"));
    let search = "/api/v1/sessions?limit=1&sid=a%0d%0aSet-Cookie:%20evil=1";
    let refused = desk.helpdesk.get(search).await;
    assert_eq!(refused.code(), "api.malformed");
    assert!(refused.headers.get("set-cookie").is_none());
    let reason = json!({ "reason": "a\r\nX-Evil: 1" });
    let key = [("idempotency-key", "k")];
    let done = desk
        .act(&format!("/api/v1/users/{id}/disable"), &key, reason)
        .await;
    assert_eq!(done.status, 200);
    assert!(done.headers.get("x-evil").is_none());
    let page = desk
        .helpdesk
        .get("/api/v1/users?limit=1&search=Set-Cookie:%20evil%0d%0a")
        .await;
    assert!(page.headers.get("set-cookie").is_none());
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_in_another_way_is_refused_clearly() {
    let desk = Desk::start().await;
    let users = "/api/v1/users";
    let ask = async |method: Method, headers: &[(&str, &str)]| {
        desk.helpdesk
            .try_send(method, users, headers)
            .await
            .unwrap()
    };
    let html = ask(Method::GET, &[("accept", "text/html")]).await;
    assert_eq!(
        (html.status, html.code().as_str()),
        (406, "api.not_acceptable")
    );
    let put = ask(Method::PUT, &[]).await;
    assert_eq!((put.status, put.code().as_str()), (405, "api.method"));
    assert!(put.header("allow").contains("GET"));
    // HEAD is GET without a body (RFC 9110 §9.3.2).
    let head = ask(Method::HEAD, &[]).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let document = desk.helpdesk.get("/openapi.json").await;
    assert_eq!(document.json()["openapi"], "3.1.0");
    let nobody = desk.services.nobody().get("/openapi.json").await;
    assert_eq!(nobody.code(), "api.unauthenticated");
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_names_the_scope_that_each_endpoint_asks_for() {
    let desk = Desk::start().await;
    let document: Value = desk.helpdesk.get("/openapi.json").await.json();
    // Each has one scope, or all but one.
    for scope in ["users:read", "users:write", "sessions", "admin"] {
        let clients = format!(
            "[[clients]]\nid = \"one\"\nscopes = [{scope:?}]\ncertificate_names = [\"one.internal\"]\n"
        );
        let services = Services::with(Setup {
            clients,
            ..Setup::default()
        })
        .await;
        let one = services.named(&["one.internal"]);
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let Some(security) = operation["security"].as_array() else {
                    continue;
                };
                let needs: Vec<&str> = (security.iter())
                    .flat_map(|one| one.as_object().unwrap().values())
                    .flat_map(|scopes| scopes.as_array().unwrap())
                    .map(|scope| scope.as_str().unwrap())
                    .collect();
                let path = path
                    .replace("{app}", "chat")
                    .replace("{user}", &uuid::Uuid::nil().to_string())
                    .replace("{session}", &"A".repeat(43));
                let method = method.to_uppercase().parse().unwrap();
                let reply = one.try_send(method, &path, &[]).await.unwrap();
                let lacks = reply.status == 403;
                let may = needs.is_empty() || needs.contains(&scope);
                assert_eq!(lacks, !may, "{scope} {path}: {reply:?}");
            }
        }
        services.finish().await;
    }
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_shown_with_their_public_parts_alone() {
    let desk = Desk::start().await;
    let (keys, etag) = desk.read("/api/v1/keys").await;
    let jwks = desk.helpdesk.get("/.well-known/jwks.json").await.json();
    let published = jwks["keys"].as_array().unwrap();
    let items = keys["items"].as_array().unwrap();
    assert_eq!(items.len(), published.len());
    for key in items {
        assert!(published.contains(&key["jwk"]), "{key}");
        assert_eq!(key["state"], "signing");
    }
    desk.services.world.run(&["keys", "rotate"]).await;
    let (after, other) = desk.read("/api/v1/keys").await;
    assert!(after["items"].as_array().unwrap().len() > items.len());
    assert_ne!(etag, other);
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_a_body_without_an_end_is_given_up() {
    let clients = "[[clients]]\nid = \"writer\"\nscopes = [\"users:write\"]\n\
        bearer = { issuer = \"services\", sub = \"writer\" }\n";
    let services = Services::with(Setup {
        tls: false,
        listen: "timeout = \"1s\"".into(),
        clients: clients.into(),
        ..Setup::default()
    })
    .await;
    for (sub, status) in [("writer", "408"), ("asker", "403")] {
        let token = services.token(sub, json!({}));
        let head = format!(
            "POST /api/v1/users/{}/disable HTTP/1.1\r\nHost: {API}\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: 1000\r\nConnection: close\r\n\r\n{{",
            uuid::Uuid::nil()
        );
        let began = Instant::now();
        let answer = exchange_raw(services.api, head.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        // Who may not hears so before the body is waited for.
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(services.nobody().get("/api/v1/users").await.status, 401);
    services.finish().await;
}

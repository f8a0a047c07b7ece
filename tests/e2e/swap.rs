//! What goes up and what comes down: exactly one credential reaches the app, and it is not the
//! browser's; no credential of the app ever comes down (T23, T24), and nothing that imitates
//! Pomerium passes (T1, T2, T3, T4).

use crate::support::world::World;
use auth_manager::demo::door::{Claims, Minter, alice, bob};

/// Asserts that the app saw one credential at `path`, the person's own real token.
fn one_real_credential(world: &World, path: &str, user: &str) {
    let seen = world.arrived(path);
    assert!(!seen.is_empty(), "nothing arrived at {path}");
    let sessions = world.mattermost.sessions_of(user);
    for seen in seen {
        assert_eq!(seen.credentials.len(), 1, "{seen:?}");
        let token = &seen.credentials[0].token;
        assert!(
            sessions.iter().any(|session| session.token == *token),
            "{seen:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_credential_arrives_whatever_the_browser_sends() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    world.signed_in(bob()).await;
    let bobs = world.mattermost.sessions_of("bob")[0].token.clone();
    let bridge_cookie = visitor.cookies["MMAUTHTOKEN"].clone();
    world.mattermost.clear_journal();

    visitor.me().await;
    one_real_credential(&world, "/api/v4/users/me", "alice");

    // Bob's real token, as if it had been stolen: it must be worth nothing from a browser.
    let forged = [
        ("Authorization", format!("Bearer {bobs}")),
        ("Authorization", format!("Token {bobs}")),
        ("X-Cloud-Token", bobs.clone()),
        ("X-RemoteCluster-Token", bobs.clone()),
        ("X-RemoteCluster-Id", bobs.clone()),
        ("Mattermost-User-Id", "anyone".to_owned()),
        ("X-MM-Anything", bobs.clone()),
    ];
    for (name, value) in forged {
        world.mattermost.clear_journal();
        let request = visitor.api("GET", "/api/v4/users/me").header(name, &value);
        let answer = visitor.send(request).await;
        if answer.status == 200 {
            assert_eq!(answer.json()["username"], "alice", "{name}");
            one_real_credential(&world, "/api/v4/users/me", "alice");
        }
        for seen in world.mattermost.journal() {
            assert!(!seen.contains(&bobs), "{name} passed: {seen:?}");
            assert!(
                seen.header(&name.to_ascii_lowercase()) != Some(value.as_str()),
                "{name} passed"
            );
        }
    }

    world.mattermost.clear_journal();
    let query = format!("/api/v4/users/me?access_token={bobs}&a=1");
    let answer = visitor.get(&query).await;
    assert!(answer.status != 200 || answer.json()["username"] == "alice");
    assert!(
        world
            .mattermost
            .journal()
            .iter()
            .all(|seen| !seen.contains(&bobs))
    );

    // Nothing of the bridge's own cookies went up either.
    assert!(
        world
            .mattermost
            .journal()
            .iter()
            .all(|seen| !seen.contains(&bridge_cookie))
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bridge_cookie_and_nothing_of_pomeriums_reaches_the_app() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    world.mattermost.clear_journal();
    let cookies = visitor.cookies.clone();
    let request = visitor
        .api("GET", "/api/v4/users/me")
        .header("X-Pomerium-Claim-Email", "root@example.test")
        .header("X-Pomerium-Jwt-Assertion-For", "forged")
        .header("Forwarded", "for=1.2.3.4;host=evil.test")
        .header("X-Forwarded-Host", "evil.test")
        .header("X-Real-IP", "6.6.6.6")
        .header("X-Envoy-Retry-On", "5xx")
        .header("Connection", "keep-alive, X-Forwarded-Proto")
        .cookie(&format!(
            "_pomerium_csrf=c; MMAUTHTOKEN={}; MMUSERID={}; MMCSRF={}; theme=dark",
            cookies["MMAUTHTOKEN"], cookies["MMUSERID"], cookies["MMCSRF"]
        ));
    let answer = visitor.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = &world.arrived("/api/v4/users/me")[0];
    for (name, value) in &seen.headers {
        assert!(
            !name.starts_with("x-pomerium") && !name.starts_with("x-envoy"),
            "{name}: {value}"
        );
        for foreign in [
            "evil.test",
            "root@example.test",
            "6.6.6.6",
            "forged",
            "_pomerium",
        ] {
            assert!(!value.contains(foreign), "{name}: {value}");
        }
        assert!(!value.contains(&cookies["MMAUTHTOKEN"]), "{name}");
        assert!(
            !value.contains(&cookies["MMCSRF"]),
            "{name}: the page's CSRF value went up"
        );
    }
    assert_eq!(seen.header("host"), Some(world.host.as_str()));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(
        seen.header("x-forwarded-for"),
        Some("192.0.2.10"),
        "the last hop's word only"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cookie_or_token_of_the_app_comes_down() {
    let world = World::start().await;
    // From now on Mattermost sends the real token as Set-Cookie on every post and channel view.
    world.mattermost.set_always_extend(true);
    let mut visitor = world.signed_in(alice()).await;
    for _ in 0..3 {
        let body = serde_json::json!({ "channel_id": world.town_square(), "message": "m" });
        let answer = visitor.post("/api/v4/posts", &body).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.all("set-cookie").count(), 0, "{:?}", answer.headers);
        assert!(answer.header("token").is_none());
        let view = serde_json::json!({ "channel_id": world.town_square(), "prev_channel_id": "" });
        let answer = visitor
            .post("/api/v4/channels/members/me/view", &view)
            .await;
        assert_eq!((answer.status, answer.all("set-cookie").count()), (200, 0));
    }
    // The visitor's list of sessions names theirs by id, never by token.
    let id = visitor.cookies["MMUSERID"].clone();
    assert_eq!(
        visitor
            .get(&format!("/api/v4/users/{id}/sessions"))
            .await
            .status,
        200
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_apps_own_sign_in_is_closed() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let login = serde_json::json!({ "login_id": "admin", "password": "Admin-pass-1" });
    for path in [
        "/api/v4/users/login",
        "/api/v4/users/login/",
        "/api/v4//users/login",
        "/api/v4/users/%6cogin",
        "/api/v4/users/x/../login",
        "/API/v4/users/login",
        "/api/v4/users/password/reset",
        "/api/v4/users/login/switch",
    ] {
        let answer = visitor.post(path, &login).await;
        assert!(
            answer.status >= 400 && answer.status != 401,
            "{path}: {}",
            answer.status
        );
        assert!(answer.header("token").is_none());
    }
    assert_eq!(
        world.mattermost.logins_performed(),
        1,
        "only the bridge's own"
    );
    assert_eq!(world.mattermost.failed_logins("admin"), 0);
    assert_eq!(visitor.me().await["username"], "alice");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_genuine_assertion_for_this_host_lets_anyone_in() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    world.mattermost.clear_journal();
    let mint = |claims: &Claims| world.minter.mint(claims).expect("a working key");
    let good = || mint(&visitor.claims());
    let stranger = Minter::generate().expect("randomness");
    let header = |alg: &str| {
        format!(
            r#"{{"alg":"{alg}","kid":"{}","typ":"JWT"}}"#,
            world.minter.kid()
        )
    };
    let payload = visitor.claims().to_json();
    let sign = |header: &str| {
        world
            .minter
            .sign(header, payload.as_bytes())
            .expect("a working key")
    };
    let unsigned = {
        let token = sign(&header("none"));
        format!("{}.", token.rsplit_once('.').expect("three parts").0)
    };
    let at = |iat: i64| Claims::at(&alice(), &visitor.sid, &world.host, iat);
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("none at all", vec![]),
        ("an empty one", vec![String::new()]),
        ("two", vec![good(), good()]),
        ("a list", vec![format!("{},{}", good(), good())]),
        (
            "another key",
            vec![stranger.mint(&visitor.claims()).expect("a working key")],
        ),
        ("unsigned", vec![unsigned]),
        ("HS256", vec![sign(&header("HS256"))]),
        (
            "crit",
            vec![sign(
                &header("ES256").replace('}', r#","crit":["x"],"x":1}"#),
            )],
        ),
        (
            "another host",
            vec![mint(&visitor.claims().set("aud", "other.example.test"))],
        ),
        (
            "a list of audiences",
            vec![mint(&visitor.claims().set("aud", vec![world.host.clone()]))],
        ),
        (
            "another issuer",
            vec![mint(&visitor.claims().set("iss", "evil.example.test"))],
        ),
        (
            "nobody",
            vec![mint(
                &visitor
                    .claims()
                    .set("sub", "")
                    .set("user", "")
                    .set("sid", ""),
            )],
        ),
        ("no sid", vec![mint(&visitor.claims().set("sid", ""))]),
        (
            "user is not sub",
            vec![mint(&visitor.claims().set("user", bob().sub))],
        ),
        ("expired", vec![mint(&at(1_000_000_000))]),
        ("from the future", vec![mint(&at(4_000_000_000))]),
        ("without end", vec![mint(&visitor.claims().without("exp"))]),
        (
            "a year long",
            vec![mint(&visitor.claims().set("exp", 4_000_000_000_i64))],
        ),
    ];
    for (name, values) in cases {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        for request in [visitor.page("/"), visitor.api("GET", "/api/v4/users/me")] {
            let answer = visitor.send(request.assertions(&values)).await;
            assert!(
                matches!(answer.status, 400 | 401),
                "{name}: {}",
                answer.status
            );
            assert_eq!(answer.all("set-cookie").count(), 0, "{name}");
        }
    }
    assert!(world.mattermost.journal().is_empty(), "the app heard of it");

    // The same genuine one on another host's name.
    let elsewhere = visitor
        .api("GET", "/api/v4/users/me")
        .header("Host", "other.example.test");
    assert!(matches!(visitor.send(elsewhere).await.status, 401 | 404));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spellings_of_protected_headers_never_pass_beside_the_genuine_one() {
    // T1: what a former Pomerium let through (recordings/pomerium 31).
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    for name in [
        "X_Pomerium_Jwt_Assertion",
        "X-Pomerium_Jwt-Assertion",
        "X.Pomerium.Jwt.Assertion",
        "X_Forwarded_Host",
        "X_MM_Token",
    ] {
        world.mattermost.clear_journal();
        let request = visitor.api("GET", "/api/v4/users/me").header(name, "FAKE");
        let answer = visitor.send(request).await;
        assert!(
            matches!(answer.status, 200 | 400),
            "{name}: {}",
            answer.status
        );
        assert!(
            world
                .mattermost
                .journal()
                .iter()
                .all(|seen| !seen.contains("FAKE")),
            "{name}"
        );
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_assertion_is_not_good_for_other_requests() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let token = world.minter.mint(&visitor.claims()).expect("a working key");
    let same = visitor.api("GET", "/api/v4/users/me").assertions(&[&token]);
    // Envoy repeats an identical request, at most three times.
    for _ in 0..4 {
        assert_eq!(visitor.send(same.clone()).await.status, 200);
    }
    assert_eq!(visitor.send(same).await.status, 401, "a fifth use");
    let token = world.minter.mint(&visitor.claims()).expect("a working key");
    let again = |path: &str| visitor.api("GET", path).assertions(&[&token]);
    let (first, other) = (again("/api/v4/users/me"), again("/api/v4/users/me/teams"));
    assert_eq!(visitor.send(first).await.status, 200);
    assert_eq!(visitor.send(other).await.status, 401, "another path");
    world.finish().await;
}

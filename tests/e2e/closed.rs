//! Whatever can't be read, opened or trusted closes the way (T11); a cookie is worth only what it
//! was made for (T16, T17).

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::Options;
use rusqlite::Connection;

/// Asserts that a call with this cookie line learns nothing and does not reach the app.
async fn is_nobody(world: &World, visitor: &mut Client, name: &str, cookie: &str) {
    world.mattermost.clear_journal();
    for path in [
        "/api/v4/users/me",
        "/api/v4/posts",
        "/demo/x",
        "/plugins/p/echo",
    ] {
        let request = visitor.api("GET", path).cookie(cookie);
        let answer = visitor.clone().send(request).await;
        assert_eq!(answer.status, 401, "{name} {path}: {}", answer.text());
    }
    let upgrade = visitor.upgrade().cookie(cookie);
    let refused = visitor.socket_by(upgrade).await;
    assert!(refused.is_err_and(|answer| answer.status == 401), "{name}");
    // A page is sent round with the right cookies and shows nothing either.
    let page = visitor.page("/").cookie(cookie);
    let answer = visitor.clone().send(page).await;
    assert_eq!(answer.status, 302, "{name}");
    let seen = world.mattermost.journal();
    assert!(seen.is_empty(), "{name} was forwarded: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_a_malformed_cookie_is_nobodys() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let good = visitor.cookies["MMAUTHTOKEN"].clone();
    let parts: Vec<&str> = good.split('.').collect();
    let mut flipped = good.clone().into_bytes();
    let middle = parts[0].len() + 3;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("ASCII");
    let others = format!(
        "MMUSERID={}; MMCSRF={}",
        visitor.cookies["MMUSERID"], visitor.cookies["MMCSRF"]
    );
    for (name, value) in [
        ("empty", String::new()),
        ("garbage", "garbage".into()),
        ("an app's token", "abcdefghijklmnopqrstuvwxyz".into()),
        ("cut short", good[..good.len() - 1].into()),
        ("longer", format!("{good}A")),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("unsigned", format!("{}.{}.", parts[0], parts[1])),
        ("changed", flipped),
        ("quoted", format!("\"{good}\"")),
        ("encoded", good.replace('.', "%2E")),
        ("huge", "A".repeat(60_000)),
    ] {
        let cookie = format!("MMAUTHTOKEN={value}; {others}");
        is_nobody(&world, &mut visitor, name, &cookie).await;
    }
    let twice = format!("MMAUTHTOKEN={good}; MMAUTHTOKEN={good}; {others}");
    is_nobody(&world, &mut visitor, "two of them", &twice).await;
    let folded = format!("mmauthtoken={good}; {others}");
    is_nobody(&world, &mut visitor, "another spelling", &folded).await;
    // And none of it harmed the session.
    assert_eq!(visitor.me().await["username"], "alice");
    world.finish().await;
}

/// Changes the store of a bridge that is not running.
fn in_the_store(world: &World, change: &str) {
    let store = Connection::open(world.bridge.folder().join("auth-manager.db"));
    let store = store.expect("the store");
    store.execute_batch(change).expect("a change");
    assert!(store.changes() > 0, "{change}");
}

/// A seal that does not open is no session: nobody gets through on it, and nothing of the person's
/// request reaches the app.
async fn unreadable(change: &str) {
    let mut world = World::start().await;
    let visitors = [world.signed_in(alice()).await, world.signed_in(bob()).await];
    world.bridge.kill().await;
    in_the_store(&world, change);
    world.bridge.restart().await;
    world.mattermost.clear_journal();
    for visitor in visitors {
        let mut visitor = Client {
            address: world.bridge.proxy,
            ..visitor
        };
        for request in [visitor.page("/"), visitor.api("GET", "/api/v4/users/me")] {
            let answer = visitor.send(request).await;
            assert_eq!(answer.status, 500, "{}", answer.text());
        }
        let refused = visitor.socket().await;
        assert!(refused.is_err_and(|answer| answer.status == 500));
    }
    assert!(world.arrived("/api/v4/users/me").is_empty());
    assert!(world.arrived("/").is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_a_tampered_seal_opens_nothing() {
    unreadable(
        "UPDATE sessions SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_a_seal_of_another_session_opens_nothing() {
    unreadable(
        "CREATE TEMP TABLE old AS SELECT id, sealed FROM sessions;
         UPDATE sessions SET sealed = (SELECT sealed FROM old WHERE old.id <> sessions.id)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_without_its_key_or_store_the_bridge_does_not_start() {
    let mut world = World::start().await;
    world.signed_in(alice()).await;
    world.bridge.kill().await;
    let folder = world.bridge.folder().to_owned();
    let key = folder.join("master.key");
    let right = std::fs::read(&key).expect("the key");
    let serve = |what: &'static str| {
        let bridge = &world.bridge;
        async move {
            let output = bridge.command(&["serve"]).await;
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(!output.status.success(), "{what}: {said}");
            assert!(!said.contains("\"listener\":\"proxy\""), "{what}: {said}");
            said
        }
    };
    let other = "A".repeat(43) + "=";
    std::fs::write(&key, &other).expect("our own file");
    let said = serve("another master key").await;
    assert!(said.contains("master"), "{said}");
    assert!(!said.contains(&other), "{said}");
    std::fs::write(&key, "short").expect("our own file");
    serve("no master key").await;
    std::fs::write(&key, right).expect("our own file");

    let store = folder.join("auth-manager.db");
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("auth-manager.db{suffix}")));
    }
    std::fs::write(&store, vec![7; 8192]).expect("our own file");
    serve("a broken store").await;
    std::fs::remove_file(&store).expect("our own file");
    std::fs::create_dir(&store).expect("our own folder");
    serve("a store that can't be opened").await;
}

fn two_apps() -> Settings {
    Settings {
        more: "[[apps]]\nid = \"other\"\nkind = \"mattermost\"\nname = \"Other\"\n\
               host = \"other.example.test\"\norigin = \"https://other.example.test\"\n\
               upstream = \"http://{upstream}\"\n\
               [apps.access]\nany_of = [\"mattermost-users\"]\n\
               [apps.mattermost]\nbot_token = { file = \"{bot}\" }\nteam = \"demo\"\n"
            .into(),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t17_a_cookie_found_good_is_good_for_its_host_and_session_only() {
    let world = World::with(two_apps(), Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    visitor.me().await;
    // The same person, the same sign-in, another app: a session of its own. Its account in the
    // stand-in is in the way there, which changes nothing about the cookie.
    let cookies: Vec<String> = visitor
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let cookies = cookies.join("; ");
    let elsewhere = |visitor: &Client| Client {
        host: "other.example.test".into(),
        origin: "https://other.example.test".into(),
        ..visitor.clone()
    };
    let mut there = elsewhere(&visitor);
    world.mattermost.clear_journal();
    for _ in 0..2 {
        let answer = there
            .send(there.api("GET", "/api/v4/users/me").cookie(&cookies))
            .await;
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    assert!(world.arrived("/api/v4/users/me").is_empty());
    // Another session of the same person, here: the cookie of the first is not the second's.
    let mut second = world.signed_in(alice()).await;
    second.me().await;
    let answer = second
        .send(second.api("GET", "/api/v4/users/me").cookie(&cookies))
        .await;
    assert_eq!(answer.status, 401);
    assert_eq!(visitor.me().await["username"], "alice", "still the first's");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t17_a_cookie_found_good_is_no_longer_when_its_key_is_revoked() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    visitor.me().await;
    let keys: serde_json::Value =
        serde_json::from_str(&world.run(&["keys", "jwks", "--kind", "session"]).await)
            .expect("JSON");
    let kid = keys["keys"][0]["kid"].as_str().expect("a key").to_owned();
    world.run(&["keys", "revoke", &kid]).await;
    crate::support::eventually("the end of the cookie", || {
        let mut tab = visitor.clone();
        async move { (tab.get("/api/v4/users/me").await.status == 401).then_some(()) }
    })
    .await;
    // The session lives: the next page brings a cookie of the new key.
    assert_eq!(visitor.open("/").await.status, 200);
    assert_eq!(visitor.me().await["username"], "alice");
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_a_cookie_of_an_ended_session_is_never_taken_up_again() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let old = visitor.cookies["MMAUTHTOKEN"].clone();
    world.revoke(&alice()).await;
    // The cookie is ours, well signed and of the same person, and the sign-in is new.
    visitor.signs_in_as(alice());
    assert_eq!(visitor.open("/").await.status, 200);
    assert_ne!(visitor.cookies["MMAUTHTOKEN"], old);
    let claims = |token: &str| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let payload = token.split('.').nth(1).expect("three parts");
        let json = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
        serde_json::from_slice::<serde_json::Value>(&json).expect("JSON")["sid"].clone()
    };
    assert_ne!(claims(&visitor.cookies["MMAUTHTOKEN"]), claims(&old));
    assert_eq!(world.mattermost.logins_performed(), 2);
    world.finish().await;
}

//! Our own keys while people work: rotating signs nobody out, revoking ends what a key signed, a new
//! master key takes over (T9, T17).

use crate::replicas::Pair;
use crate::support::bridge::{Bridge, Settings};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::front::Front;
use crate::support::socket::End;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::Options;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

/// The key that signed a browser's cookie.
pub(crate) fn kid_of(visitor: &Client) -> String {
    let cookie = &visitor.cookies["MMAUTHTOKEN"];
    let header = cookie.split('.').next().expect("three parts");
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header);
    let header: Value = serde_json::from_slice(&header.expect("base64url")).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

/// The key that signs cookies now.
pub(crate) async fn signs_now(bridge: &Bridge) -> String {
    signing(bridge, "session").await
}

/// The key of a kind that signs now.
async fn signing(bridge: &Bridge, kind: &str) -> String {
    let list = bridge
        .run(&["keys", "list", "--kind", kind, "--json"])
        .await;
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let signing = (list.as_array().expect("a list").iter()).find(|key| key["state"] == "signing");
    signing.expect("one signs")["id"]
        .as_str()
        .expect("its id")
        .to_owned()
}

fn brisk() -> Settings {
    Settings {
        keys: "announce = \"2s\"".into(),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t09_our_keys_rotate_by_schedule_on_two_replicas_and_nobody_notices() {
    let settings = Settings {
        keys: "announce = \"1s\"\nrotate_every = \"4s\"".into(),
        ..Settings::default()
    };
    let pair = Pair::with(settings, true).await;
    let mut here = pair.world.signed_in(alice()).await;
    let mut there = pair.there(&here);
    let first = kid_of(&here);
    let mut kids = vec![first.clone()];
    while kids.len() < 4 {
        // The old cookie is good on both, whichever key signs now, and pages set no other.
        for visitor in [&mut here, &mut there] {
            assert_eq!(visitor.me().await["username"], "alice");
            assert_eq!(visitor.open("/").await.status, 200);
            assert_eq!(kid_of(visitor), first);
        }
        let now = signs_now(&pair.world.bridge).await;
        if kids.last() != Some(&now) {
            kids.push(now);
        }
    }
    // Two replicas, one schedule: each change was made once.
    let list = pair
        .world
        .run(&["keys", "list", "--kind", "session", "--json"])
        .await;
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let keys = list.as_array().expect("a list");
    assert!((4..=6).contains(&keys.len()), "{list:#}");
    let signing = keys.iter().filter(|key| key["state"] == "signing").count();
    assert_eq!(signing, 1, "{list:#}");
    // Whoever comes now gets a cookie of a new key, good on both.
    let mut new = pair.world.signed_in(bob()).await;
    assert_ne!(kid_of(&new), first);
    assert_eq!(new.me().await["username"], "bob");
    assert_eq!(pair.there(&new).me().await["username"], "bob");
    assert_eq!(pair.world.mattermost.logins_performed(), 2);
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t09_revoking_a_key_ends_what_it_signed_on_both_replicas() {
    let pair = Pair::with(brisk(), true).await;
    let mut old = pair.world.signed_in(alice()).await;
    let compromised = kid_of(&old);
    pair.world
        .run(&["keys", "rotate", "--kind", "session", "--now"])
        .await;
    let signs = signs_now(&pair.world.bridge).await;
    let mut new = eventually("a cookie of the new key", || {
        let mut tab = pair.world.client(bob());
        let signs = signs.clone();
        async move {
            tab.open("/").await;
            (tab.cookies.contains_key("MMAUTHTOKEN") && kid_of(&tab) == signs).then_some(tab)
        }
    })
    .await;
    let mut old_there = pair.there(&old);
    old_there.me().await;
    let doomed = [
        old.socket().await.expect("a socket"),
        old_there.socket().await.expect("a socket"),
    ];
    let mut bystander = pair.there(&new).socket().await.expect("a socket");
    bystander.event("hello").await;

    // Of which the way to a cookie of the new key may have taken several.
    let logins = pair.world.mattermost.logins_performed();
    pair.world.run(&["keys", "revoke", &compromised]).await;
    for socket in doomed {
        assert_eq!(socket.ended().await, End::Closed(Some(1008)));
    }
    // Worthless at once, everywhere, and for everything but a page, which gets another.
    for visitor in [&mut old, &mut old_there] {
        assert_eq!(visitor.get("/api/v4/users/me").await.status, 401);
        assert!(visitor.socket().await.is_err());
    }
    let public = pair.world.bridge.ops("/jwks.json").await;
    assert!(!public.text().contains(&compromised), "{}", public.text());
    assert_eq!(old.open("/").await.status, 200);
    assert_eq!(kid_of(&old), signs);
    let mut there = pair.there(&old);
    assert_eq!(there.me().await["username"], "alice");
    // Nobody else noticed.
    assert_eq!(new.me().await["username"], "bob");
    pair.world.mattermost.post_as(
        "admin",
        &pair.world.town_square(),
        "the bystander's socket lives",
    );
    bystander.event("posted").await;
    assert_eq!(
        pair.world.mattermost.logins_performed(),
        logins,
        "the session lived on"
    );

    // What exchanged tokens are signed by: gone from what either replica publishes, so that nobody
    // who verifies by it takes one any more; cookies are another key's.
    let tokens = signing(&pair.world.bridge, "access_token").await;
    pair.world.run(&["keys", "revoke", &tokens]).await;
    let next = signing(&pair.world.bridge, "access_token").await;
    for bridge in [&pair.world.bridge, &pair.other] {
        eventually("another key for tokens", || async {
            let public = bridge.ops("/jwks.json").await.text();
            (!public.contains(&tokens) && public.contains(&next)).then_some(())
        })
        .await;
    }
    assert_eq!(there.me().await["username"], "alice");

    // And the rest: every session, with one command.
    pair.world.revoke_all().await;
    for visitor in [&mut there, &mut new] {
        eventually("the end of every session", || {
            let mut tab = visitor.clone();
            async move { (tab.get("/api/v4/users/me").await.status == 401).then_some(()) }
        })
        .await;
    }
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_key_takes_over_while_people_work() {
    let mut world = World::with(brisk(), Options::default()).await;
    let mut visitor = world.signed_in(alice()).await;
    let folder = world.bridge.folder().to_owned();
    let secret = |name: &str, bytes: [u8; 32]| {
        let path = folder.join(name);
        std::fs::write(&path, STANDARD.encode(bytes)).expect("our own folder");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("our own file");
    };
    let mut fresh = [0; 32];
    aws_lc_rs::rand::fill(&mut fresh).expect("randomness");
    std::fs::rename(folder.join("master.key"), folder.join("former.key")).expect("one folder");
    secret("master.key", fresh);

    // Without the former one nothing would open: nothing changes.
    world.bridge.hang_up();
    let said = world
        .bridge
        .line("that a key is missing", |line| {
            line.contains("nothing changed").then(|| line.to_owned())
        })
        .await;
    assert!(
        said.contains("is not configured") && said.contains("1 session are"),
        "{said}"
    );
    visitor.me().await;

    let config = world.bridge.config();
    let without = std::fs::read_to_string(&config).expect("our own file");
    let former = format!(
        "[keys]\nformer_master_keys = [{{ file = {:?} }}]",
        folder.join("former.key")
    );
    std::fs::write(&config, without.replacen("[keys]", &former, 1)).expect("our own file");
    world.bridge.hang_up();
    world
        .bridge
        .line("that the former key may go", |line| {
            line.contains("it may be taken out").then_some(())
        })
        .await;
    visitor.me().await;
    let status: Value =
        serde_json::from_str(&world.run(&["keys", "status", "--json"]).await).expect("JSON");
    assert_eq!(status["left"], 0, "{status:#}");
    assert_eq!(
        status["master_keys"][0]["sealed"]["session"], 1,
        "{status:#}"
    );
    let metrics = world.bridge.ops("/metrics").await.text();
    assert!(
        metrics.contains("auth_manager_sealed_under_former_master_key{kind=\"session\"} 0"),
        "{metrics}"
    );

    // The former one is gone for good, and everything is there after a restart.
    std::fs::write(&config, without).expect("our own file");
    std::fs::remove_file(folder.join("former.key")).expect("our own file");
    world.bridge.stop().await;
    world.bridge.restart().await;
    visitor.address = world.bridge.proxy;
    assert_eq!(visitor.me().await["username"], "alice");
    assert_eq!(visitor.open("/").await.status, 200);
    assert_eq!(world.mattermost.logins_performed(), 1);
    let mut second = world.signed_in(alice()).await;
    assert_eq!(second.me().await["username"], "alice", "same password");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t17_a_cookie_found_good_is_not_good_when_the_apps_host_has_changed() {
    let mut world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    visitor.me().await;
    let config = world.bridge.config();
    let text = std::fs::read_to_string(&config).expect("our own file");
    std::fs::write(
        &config,
        text.replace("chat.example.test", "talk.example.test"),
    )
    .expect("ours");
    world.bridge.hang_up();
    world
        .bridge
        .line("the reload", |line| {
            line.contains("configuration read again").then_some(())
        })
        .await;
    // The same sign-in, the same session, the same bytes: but their audience is the former host.
    let mut there = Client {
        host: "talk.example.test".into(),
        origin: "https://talk.example.test".into(),
        ..visitor.clone()
    };
    world.mattermost.clear_journal();
    assert_eq!(there.get("/api/v4/users/me").await.status, 401);
    assert!(world.arrived("/api/v4/users/me").is_empty());
    assert_eq!(there.open("/").await.status, 200);
    assert_eq!(there.me().await["username"], "alice");
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_an_upgrade_that_a_reload_overtakes_is_not_carried() {
    // An app that lets the handshake wait: the rule changes after the visitor was let in, before
    // there is a socket that could be cut.
    let asked = Arc::new(Semaphore::new(0));
    let go = Arc::new(Semaphore::new(0));
    let part = {
        let (asked, go) = (asked.clone(), go.clone());
        move |_, mut stream: tokio::net::TcpStream| {
            let (asked, go) = (asked.clone(), go.clone());
            async move {
                asked.add_permits(1);
                go.acquire().await.expect("open").forget();
                let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
                stream.write_all(answer).await.ok();
                std::future::pending::<()>().await;
            }
        }
    };
    let front = Front::default().play("/api/v4/websocket", part);
    let world = World::behind(Settings::default(), Options::default(), Some(front)).await;
    let visitor = world.signed_in(alice()).await;
    for change in [true, false] {
        let opening = tokio::spawn({
            let visitor = visitor.clone();
            async move {
                visitor
                    .socket()
                    .await
                    .map(drop)
                    .map_err(|answer| answer.status)
            }
        });
        asked.acquire().await.expect("open").forget();
        let config = world.bridge.config();
        let text = std::fs::read_to_string(&config).expect("our own file");
        let rule = if change {
            text.replace("\"mattermost-users\"", "\"only-these\"")
        } else {
            // Back to what it was: nothing stands in the way of the next one.
            text.replace("\"only-these\"", "\"mattermost-users\"")
        };
        std::fs::write(&config, rule).expect("our own file");
        let lines = world
            .bridge
            .output()
            .matches("configuration read again")
            .count();
        world.bridge.hang_up();
        eventually("the reload", || {
            let now = world
                .bridge
                .output()
                .matches("configuration read again")
                .count();
            async move { (now > lines).then_some(()) }
        })
        .await;
        go.add_permits(1);
        let opened = opening.await.expect("no panic");
        if change {
            assert_eq!(opened, Err(401));
            let text = std::fs::read_to_string(&config).expect("our own file");
            std::fs::write(
                &config,
                text.replace("\"only-these\"", "\"mattermost-users\""),
            )
            .expect("our own file");
            let lines = world
                .bridge
                .output()
                .matches("configuration read again")
                .count();
            world.bridge.hang_up();
            eventually("the reload", || {
                let now = world
                    .bridge
                    .output()
                    .matches("configuration read again")
                    .count();
                async move { (now > lines).then_some(()) }
            })
            .await;
        } else {
            assert_eq!(
                opened,
                Ok(()),
                "a reload that changes no rule cuts nobody off"
            );
        }
    }
    world.finish().await;
}

//! Tokens and sessions as two replicas on one PostgreSQL answer for them.

use crate::desk::on_postgres;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::services::{Replica, Services, Setup};
use crate::support::socket::End;
use crate::support::stock::Stock;
use auth_manager::demo::door::{alice, bob};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const FILES: &str = "https://files.example.test";
const HOST: &str = "chat.example.test";
/// What "within seconds" may take on a busy machine.
const PROMPT: Duration = Duration::from_secs(5);

/// Two replicas, and a service at each that trades cookies for tokens and one that asks.
struct Pair {
    services: Services,
    other: Replica,
    trader: Stock,
    files: [Stock; 2],
}

impl Pair {
    async fn start() -> Self {
        let clients = format!(
            "[[audiences]]\nid = {FILES:?}\n\
             [[clients]]\nid = \"trader\"\ncertificate_names = [\"trader.internal\"]\n\
             scopes = [\"exchange\"]\nhosts = [{HOST:?}]\naudiences = [{FILES:?}]\n\
             [[clients]]\nid = \"files\"\ncertificate_names = [\"files.internal\"]\n\
             scopes = [\"introspect\"]\naudiences = [{FILES:?}]\n"
        );
        let mut services = Services::with(Setup {
            clients,
            listen: "rate = 10000\nburst = 10000".into(),
            settings: on_postgres().await,
            ..Setup::default()
        })
        .await;
        let other = services.replica().await;
        let (first, second) = (services.api, other.api);
        let trader = stock(&mut services, first, "trader").await;
        let files = [
            stock(&mut services, first, "files").await,
            stock(&mut services, second, "files").await,
        ];
        Self {
            services,
            other,
            trader,
            files,
        }
    }

    /// The same browser, whose next requests reach the second replica.
    fn there(&self, client: &Client) -> Client {
        Client {
            address: self.other.bridge.proxy,
            ..client.clone()
        }
    }

    async fn trade(&mut self, visitor: &Client) -> String {
        let cookie = visitor.cookies["MMAUTHTOKEN"].clone();
        let order = json!({ "subject": cookie, "kind": "access_token", "audience": FILES });
        let answer = self.trader.ask("exchange", order).await;
        let token = answer["body"]["access_token"].as_str();
        let token = token.unwrap_or_else(|| panic!("{answer}")).to_owned();
        self.services.world.taint.private(&token);
        token
    }

    /// What each replica says of a token.
    async fn active(&mut self, token: &str) -> [bool; 2] {
        let mut said = [false; 2];
        for (files, said) in self.files.iter_mut().zip(&mut said) {
            let answer = files.ask("introspect", json!({ "token": token })).await;
            assert_eq!(answer["status"], 200, "{answer}");
            *said = answer["body"]["active"].as_bool().unwrap();
        }
        said
    }

    /// Within seconds both say this.
    async fn say(&mut self, token: &str, wanted: bool) {
        let from = Instant::now();
        while self.active(token).await != [wanted; 2] {
            assert!(from.elapsed() < PROMPT, "not {wanted} on both");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn finish(mut self) {
        self.other.bridge.stop().await;
        let log = self.other.bridge.output();
        self.services.world.taint.operator("the second log", &log);
        self.services.finish().await;
    }
}

async fn stock(services: &mut Services, at: SocketAddr, client: &str) -> Stock {
    let identity = services.authority.client(&[&format!("{client}.internal")]);
    let here = std::mem::replace(&mut services.api, at);
    let stock = Stock::start(services, Some(&identity)).await;
    services.api = here;
    stock
}

/// Requests until the assertion is of a later second than the one that was turned away.
async fn admitted(visitor: &mut Client) {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_whoever_one_replica_turned_away_no_replica_vouches_for() {
    let mut pair = Pair::start().await;
    let mut here = pair.services.world.signed_in(alice()).await;
    let mut there = pair.there(&here);
    assert_eq!(there.me().await["username"], "alice");
    let token = pair.trade(&here).await;
    pair.say(&token, true).await;
    let socket = there.socket().await.expect("a socket");

    // Their group is gone, and the first replica alone hears of it.
    let groups = std::mem::take(&mut here.person.groups);
    assert_eq!(here.get("/api/v4/users/me").await.status, 403);
    pair.say(&token, false).await;
    // Nor do they go on listening at the second (T26).
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));

    // With the group back, as the second replica hears: the very session and token count again.
    admitted(&mut there).await;
    pair.say(&token, true).await;
    // And not, once more, when it is gone again; turned away by the first, which was told by the
    // store alone that they were back.
    assert_eq!(here.get("/api/v4/users/me").await.status, 403);
    pair.say(&token, false).await;
    here.person.groups = groups;
    admitted(&mut here).await;
    pair.say(&token, true).await;
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_a_replica_that_never_served_them_turns_them_away_for_all() {
    let mut pair = Pair::start().await;
    let here = pair.services.world.signed_in(bob()).await;
    let token = pair.trade(&here).await;
    let mut there = pair.there(&here);
    there.person.groups.clear();
    // As often as they like: what is written is one word.
    for _ in 0..20 {
        assert_eq!(there.get("/api/v4/users/me").await.status, 403);
    }
    pair.say(&token, false).await;

    // It stands in the store, so a replica that starts knows it, too.
    pair.other.bridge.stop().await;
    pair.other.bridge.restart().await;
    let api = pair
        .other
        .bridge
        .line("the api's address", |line| {
            crate::support::bridge::listening(line, "api")
        })
        .await;
    pair.files[1] = stock(&mut pair.services, api, "files").await;
    assert_eq!(pair.active(&token).await, [false; 2]);
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_signing_key_takes_its_tokens_along_on_every_replica() {
    let mut pair = Pair::start().await;
    let here = pair.services.world.signed_in(alice()).await;
    let token = pair.trade(&here).await;
    pair.say(&token, true).await;
    let world = &pair.services.world;
    let keys = world.run(&["keys", "jwks", "--kind", "access_token"]).await;
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let kid = keys["keys"][0]["kid"].as_str().unwrap();
    world.run(&["keys", "revoke", kid]).await;
    pair.say(&token, false).await;
    // Another key signs at once, and both replicas take what it signs; the session is as it was.
    let again = pair.trade(&here).await;
    pair.say(&again, true).await;
    assert_eq!(pair.active(&token).await, [false; 2]);
    eventually("nothing else ended", async || {
        (here.clone().get("/api/v4/users/me").await.status == 200).then_some(())
    })
    .await;
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_signing_key_ends_no_token_on_any_replica() {
    let mut pair = Pair::start().await;
    let here = pair.services.world.signed_in(alice()).await;
    let token = pair.trade(&here).await;
    let world = &pair.services.world;
    let order = ["keys", "rotate", "--kind", "access_token", "--now"];
    let said = world.run(&order).await;
    assert!(said.contains("signs"), "{said}");
    // The former key verifies for as long as what it signed may live.
    let again = pair.trade(&here).await;
    pair.say(&again, true).await;
    assert_eq!(pair.active(&token).await, [true; 2]);
    pair.finish().await;
}

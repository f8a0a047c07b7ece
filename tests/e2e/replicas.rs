//! Two bridges on one PostgreSQL behave as one (T11, T26, T32, T36).

use crate::support::bridge::{Bridge, Settings};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::pg::Cluster;
use crate::support::relay::Relay;
use crate::support::socket::End;
use crate::support::world::World;
use auth_manager::demo::door::{alice, bob};
use auth_manager::demo::mattermost::Options;
use futures_util::future::join_all;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The promise is a second of the log; the rest is for a busy machine.
const PROMPT: Duration = Duration::from_secs(5);

pub(crate) struct Pair {
    /// The first replica, and everything around.
    pub(crate) world: World,
    /// The second.
    pub(crate) other: Bridge,
    first_way: Arc<Relay>,
    other_way: Arc<Relay>,
}

impl Pair {
    /// `notifies`: whether the second replica hears PostgreSQL's notifications.
    async fn start(notifies: bool) -> Self {
        Self::with(Settings::default(), notifies).await
    }

    pub(crate) async fn with(settings: Settings, notifies: bool) -> Self {
        Self::with_app(settings, notifies, |_| {}).await
    }

    /// `app` hears where the stand-in listens.
    pub(crate) async fn with_app(
        mut settings: Settings,
        notifies: bool,
        app: impl FnOnce(std::net::SocketAddr),
    ) -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared);
        let cluster = cluster.await.expect("a cluster");
        let database = cluster.database().await;
        let folder: &Path = cluster.folder();
        let first_way = Relay::start(folder.to_owned(), true).await;
        let other_way = Relay::start(folder.to_owned(), notifies).await;
        settings.postgres = first_way.url(&database);
        let world = World::told(settings.clone(), Options::default(), None, app).await;
        settings.postgres = other_way.url(&database);
        let other = world.replica(&settings).await;
        Self {
            world,
            other,
            first_way,
            other_way,
        }
    }

    /// The same browser, whose next requests reach the second replica.
    pub(crate) fn there(&self, client: &Client) -> Client {
        Client {
            address: self.other.proxy,
            ..client.clone()
        }
    }

    pub(crate) async fn finish(mut self) {
        self.other.stop().await;
        let log = self.other.output();
        self.world.taint.operator("the second log", &log);
        self.world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_session_is_everybodys_and_its_end_too() {
    the_end_reaches_both(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_without_notifications_the_log_is_read_within_its_second() {
    the_end_reaches_both(false).await;
}

async fn the_end_reaches_both(notifies: bool) {
    let pair = Pair::start(notifies).await;
    let world = &pair.world;
    let mut here = world.signed_in(alice()).await;
    let mut there = pair.there(&here);
    assert_eq!(there.me().await["username"], "alice");
    assert_eq!(there.open("/").await.status, 200, "no cookie to be set");
    assert_eq!(world.mattermost.logins_performed(), 1, "served as it is");

    let sockets = [
        here.socket().await.expect("a socket"),
        there.socket().await.expect("a socket"),
    ];
    let mut bystander = pair.there(&world.signed_in(bob()).await);
    world.revoke(&alice()).await;
    let from = Instant::now();
    let ends = join_all(sockets.map(|socket| async move {
        let end = socket.ended().await;
        (end, Instant::now())
    }))
    .await;
    for (end, at) in ends {
        assert!(matches!(end, End::Closed(Some(_))), "{end:?}");
        assert!(at - from < PROMPT, "{:?}", at - from);
        // Refuse first, then cut: whoever was cut is refused already.
    }
    for visitor in [&mut here, &mut there] {
        assert_eq!(visitor.get("/api/v4/users/me").await.status, 401);
        assert!(visitor.socket().await.is_err());
        let page = visitor.open("/").await;
        assert!(page.text().contains("signed out"), "{}", page.text());
    }
    eventually("the end of the app's session", || async {
        let left = world.mattermost.sessions_of("alice");
        left.is_empty().then_some(())
    })
    .await;
    assert_eq!(bystander.me().await["username"], "bob");
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_disabled_person_is_out_of_both() {
    let pair = Pair::start(true).await;
    let world = &pair.world;
    let here = world.signed_in(alice()).await;
    let mut second = world.client(alice());
    second.address = pair.other.proxy;
    assert_eq!(second.open("/").await.status, 200);
    let sockets = [
        here.socket().await.expect("a socket"),
        second.socket().await.expect("a socket"),
    ];
    world.disable(&alice()).await;
    for socket in sockets {
        assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    }
    for mut visitor in [here.clone(), pair.there(&here), second.clone()] {
        assert_eq!(visitor.get("/api/v4/users/me").await.status, 403);
        visitor.signs_in_as(alice());
        assert_eq!(visitor.open("/").await.status, 403, "nor by a new sign-in");
    }
    eventually("the end of the app's sessions", || async {
        let left = world.mattermost.sessions_of("alice");
        left.is_empty().then_some(())
    })
    .await;
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_logout_here_is_one_there() {
    let pair = Pair::start(true).await;
    let mut here = pair.world.signed_in(alice()).await;
    let mut there = pair.there(&here);
    there.me().await;
    let socket = there.socket().await.expect("a socket");
    let answer = here
        .post("/api/v4/users/logout", &serde_json::json!({}))
        .await;
    assert_eq!(answer.status, 200);
    socket.ended().await;
    assert_eq!(there.get("/api/v4/users/me").await.status, 401);
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carry_over_here_is_known_there() {
    let pair = Pair::start(true).await;
    let mut here = pair.world.signed_in(alice()).await;
    let mut there = pair.there(&here);
    there.me().await;
    // A new sign-in at Pomerium, the same browser: the session moves to the new sid.
    here.signs_in_as(alice());
    assert_eq!(here.open("/").await.status, 200);
    there.sid = here.sid.clone();
    assert_eq!(there.me().await["username"], "alice");
    assert_eq!(pair.world.mattermost.logins_performed(), 1);
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t32_two_hundred_first_requests_on_both_make_one_account_and_one_login() {
    let pair = Pair::start(true).await;
    let world = &pair.world;
    let here = world.client(alice());
    let there = pair.there(&here);
    let answers = join_all((0..200).map(|n| {
        let mut tab = if n % 2 == 0 { &here } else { &there }.clone();
        async move { tab.send(tab.page(&format!("/demo/{n}"))).await.status }
    }))
    .await;
    let expected = |status: &u16| matches!(status, 302 | 503);
    assert!(answers.iter().all(expected), "{answers:?}");
    for tab in [&here, &there] {
        let mut tab = tab.clone();
        assert_eq!(tab.open("/").await.status, 200);
        assert_eq!(tab.me().await["username"], "alice");
    }
    assert_eq!(world.mattermost.users_created(), 1);
    assert_eq!(world.mattermost.logins_performed(), 1);
    assert_eq!(world.mattermost.sessions_of("alice").len(), 1);
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_without_its_store_a_replica_refuses_and_comes_back() {
    let pair = Pair::start(true).await;
    let here = pair.world.signed_in(alice()).await;
    let mut there = pair.there(&here);
    there.me().await;
    let socket = there.socket().await.expect("a socket");

    pair.other_way.close();
    // Whoever is not known yet is refused at once: nothing is decided without the store.
    let mut stranger = pair.there(&pair.world.client(bob()));
    let page = stranger.open("/").await;
    assert_eq!(page.status, 503, "{}", page.text());
    // Whoever is known is served for the log's fifteen seconds at most, then cut.
    let from = Instant::now();
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    assert!(
        from.elapsed() < Duration::from_secs(30),
        "{:?}",
        from.elapsed()
    );
    pair.world.mattermost.clear_journal();
    let answer = there.get("/api/v4/users/me").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(there.socket().await.is_err());
    let seen = pair.world.arrived("/api/v4/users/me");
    assert!(seen.is_empty(), "forwarded without knowing: {seen:?}");
    let ready = pair.other.ops("/readyz").await;
    assert_ne!(ready.status, 200, "{}", ready.text());

    // What was revoked meanwhile is made up for before anyone is served again.
    pair.world.revoke(&alice()).await;
    pair.other_way.reopen().await;
    eventually("the replica's return", || {
        let mut tab = pair.there(&pair.world.client(bob()));
        async move { (tab.open("/").await.status == 200).then_some(()) }
    })
    .await;
    assert_eq!(there.get("/api/v4/users/me").await.status, 401);
    drop(pair.first_way.clone());
    pair.finish().await;
}

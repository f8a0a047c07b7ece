//! One bridge, one stand-in Mattermost, one signing key: the usual start of a story.

use super::bridge::{Bridge, Neighbours, Settings};
use super::client::Client;
use super::front::Front;
use super::taint::Taint;
use auth_manager::demo::door::{Minter, Person};
use auth_manager::demo::mattermost::{Options, Seen, StandIn};
use auth_manager::store::{SqliteStore, Store as _, TrailFilter};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Everything a story needs. End it with [`World::finish`], which looks for leaked tokens.
pub struct World {
    pub bridge: Bridge,
    pub mattermost: StandIn,
    /// Where the stand-in listens: only the bridge has business there.
    pub mattermost_address: SocketAddr,
    pub minter: Arc<Minter>,
    pub taint: Taint,
    pub host: String,
    _mattermost_runs: DropGuard,
}

impl World {
    /// With the usual settings.
    pub async fn start() -> Self {
        Self::with(Settings::default(), Options::default()).await
    }

    pub async fn with(settings: Settings, options: Options) -> Self {
        Self::behind(settings, options, None).await
    }

    /// With something in front of the stand-in that answers in its place where it wants to.
    pub async fn behind(settings: Settings, options: Options, front: Option<Front>) -> Self {
        Self::told(settings, options, front, |_| {}).await
    }

    /// `tell` hears where the stand-in listens, before there is a bridge.
    pub async fn told(
        settings: Settings,
        options: Options,
        front: Option<Front>,
        tell: impl FnOnce(SocketAddr),
    ) -> Self {
        let origin = match settings.origin.as_str() {
            "" => format!("https://{}", settings.host),
            origin => origin.to_owned(),
        };
        let mattermost = StandIn::new(Options {
            site_url: origin,
            ..options
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let app = listener.local_addr().expect("a bound listener");
        tell(app);
        let cancel = CancellationToken::new();
        let server = mattermost.clone();
        let until = cancel.clone();
        tokio::spawn(async move { server.serve(listener, until).await });
        let minter = Arc::new(Minter::generate().expect("randomness"));
        let bot_token = mattermost.bot_token();
        let upstream = match front {
            Some(front) => front.start(app).await,
            None => app,
        };
        let neighbours = Neighbours {
            app: upstream,
            bot_token: &bot_token,
            jwks: &minter.jwks(),
        };
        let bridge = Bridge::start(&settings, &neighbours).await;
        Self {
            bridge,
            mattermost,
            mattermost_address: app,
            minter,
            taint: Taint::default(),
            host: settings.host,
            _mattermost_runs: cancel.drop_guard(),
        }
    }

    /// Another bridge between the same neighbours.
    pub async fn replica(&self, settings: &Settings) -> Bridge {
        let neighbours = Neighbours {
            app: self.mattermost_address,
            bot_token: &self.mattermost.bot_token(),
            jwks: &self.minter.jwks(),
        };
        Bridge::start(settings, &neighbours).await
    }

    /// A browser at which `person` has just signed in at Pomerium.
    pub fn client(&self, person: Person) -> Client {
        let minter = Arc::clone(&self.minter);
        Client::new(
            self.bridge.proxy,
            &self.host,
            person,
            minter,
            self.taint.clone(),
        )
    }

    /// A browser at which `person` is signed in with the app open.
    pub async fn signed_in(&self, person: Person) -> Client {
        let mut client = self.client(person);
        let mut page = client.open("/").await;
        // *Preparing your account* reloads itself; on a busy machine that is what a login takes.
        let started = std::time::Instant::now();
        while page.status == 503 && started.elapsed() < super::PATIENCE {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            page = client.open("/").await;
        }
        assert_eq!(
            page.status,
            200,
            "{}\n{}",
            page.text(),
            self.bridge.output()
        );
        client
    }

    /// Runs a command of the bridge that must succeed.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let output = self.bridge.run(arguments).await;
        self.taint.operator("output of a command", &output);
        output
    }

    /// `users disable`: the operator turns a person away.
    pub async fn disable(&self, person: &Person) {
        self.run(&["users", "disable", &person.sub]).await;
    }

    /// `users enable`.
    pub async fn enable(&self, person: &Person) {
        self.run(&["users", "enable", &person.sub]).await;
    }

    /// `sessions revoke --user`: all sessions of a person.
    pub async fn revoke(&self, person: &Person) {
        self.run(&["sessions", "revoke", "--user", &person.sub])
            .await;
    }

    /// `sessions revoke --all`.
    pub async fn revoke_all(&self) {
        self.run(&["sessions", "revoke", "--all"]).await;
    }

    /// Id of the town square, where everyone of the team is.
    pub fn town_square(&self) -> String {
        self.mattermost
            .channel_id("demo", "town-square")
            .expect("the stand-in has it")
    }

    /// What arrived at the app from browsers, that is, at these paths and not from the bot.
    pub fn arrived(&self, path: &str) -> Vec<Seen> {
        let bot = self.mattermost.bot_token();
        let mut seen = self.mattermost.journal();
        seen.retain(|seen| seen.path == path && !seen.tokens().contains(&bot.as_str()));
        seen
    }

    /// What the records of the audit trail say, oldest first; of a bridge on SQLite.
    pub async fn trail(&self) -> Vec<String> {
        let path = self.bridge.folder().join("auth-manager.db");
        if !path.exists() {
            return Vec::new();
        }
        let store = SqliteStore::open(path).await.expect("the store");
        let filter = TrailFilter {
            limit: 10_000,
            ..TrailFilter::default()
        };
        let records = store.trail(&filter).await.expect("the trail");
        records.into_iter().map(|record| record.body).collect()
    }

    /// Ends the bridge and asserts that no token of the app got out anywhere, and no credential of
    /// a visitor into logs, metrics or the audit trail.
    pub async fn finish(mut self) {
        self.end().await;
        self.taint.assert_clean(&self.mattermost.real_tokens());
    }

    /// The same where nobody visited: only operators could see anything.
    pub async fn finish_unvisited(mut self) {
        self.end().await;
        self.taint.assert_unseen(&self.mattermost.real_tokens());
    }

    /// Stops the bridge and gathers what operators can read of it.
    async fn end(&mut self) {
        let metrics = self.bridge.ops("/metrics").await;
        assert_eq!(metrics.status, 200);
        self.taint.operator("metrics", &metrics.text());
        self.bridge.stop().await;
        self.taint.operator("the log", &self.bridge.output());
        let trail = self.trail().await;
        self.taint.operator("the audit trail", &trail.join("\n"));
    }
}

//! A service that looks after people: `helpdesk`, with all scopes of the resources.

use crate::support::bridge::Settings;
use crate::support::pg::Cluster;
use crate::support::relay::Relay;
use crate::support::services::{Peer, Reply, Services, Setup};
use auth_manager::demo::door::Person;
use serde_json::{Value, json};

/// What the configuration says of it, of one that has `sessions` alone, and of one with every scope.
const CLIENTS: &str = "[[clients]]\nid = \"helpdesk\"\n\
    scopes = [\"users:read\", \"users:write\", \"sessions\", \"jobs\", \"admin\"]\n\
    certificate_names = [\"helpdesk.internal\"]\n\
    [[clients]]\nid = \"watcher\"\nscopes = [\"sessions\"]\n\
    certificate_names = [\"watcher.internal\"]\n\
    [[clients]]\nid = \"everything\"\n\
    scopes = [\"users:read\", \"users:write\", \"sessions\", \"admin\", \"introspect\", \"exchange\", \"jobs\", \"validate\", \"invitations\", \"hooks\", \
     \"bridge\"]\nhosts = [\"chat.example.test\"]\n\
    certificate_names = [\"everything.internal\"]\n";

/// Generous: not what is tried here.
const RATE: &str = "rate = 10000\nburst = 10000";

pub(crate) struct Desk {
    pub(crate) services: Services,
    pub(crate) helpdesk: Peer,
}

/// The usual configuration of such a bridge, on SQLite.
pub(crate) fn settings() -> Settings {
    Settings {
        mattermost: "team = \"demo\"\nlink = \"operator\"".into(),
        ..Settings::default()
    }
}

/// The same on PostgreSQL.
pub(crate) async fn on_postgres() -> Settings {
    let cluster = tokio::task::spawn_blocking(Cluster::shared).await;
    let cluster = cluster.expect("a cluster");
    let database = cluster.database().await;
    let way = Relay::start(cluster.folder().to_owned(), true).await;
    Settings {
        postgres: way.url(&database),
        ..settings()
    }
}

impl Desk {
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::beside(settings, "").await
    }

    /// With further tables.
    pub(crate) async fn beside(settings: Settings, more: &str) -> Self {
        let services = Services::with(Setup {
            clients: format!("{CLIENTS}{more}"),
            listen: RATE.into(),
            settings,
            ..Setup::default()
        })
        .await;
        let helpdesk = services.named(&["helpdesk.internal"]);
        Self { services, helpdesk }
    }

    /// The one thing at `path`, which must be there, and its tag.
    pub(crate) async fn read(&self, path: &str) -> (Value, String) {
        let reply = self.helpdesk.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        (reply.json(), reply.header("etag").to_owned())
    }

    /// Our id of a person, who has come by.
    pub(crate) async fn id(&self, person: &Person) -> String {
        let path = format!("/api/v1/users?issuer=pomerium&sub={}", person.sub);
        let (page, _) = self.read(&path).await;
        page["items"][0]["id"].as_str().expect("known").to_owned()
    }

    /// A POST that must be answered 200.
    pub(crate) async fn done(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Value {
        let reply = self.act(path, headers, body).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()
    }

    pub(crate) async fn act(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
        self.helpdesk.post(path, headers, body.to_string()).await
    }

    /// A POST that must be refused; status and code.
    pub(crate) async fn refused(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (u16, String) {
        let reply = self.act(path, headers, body).await;
        (reply.status, reply.code())
    }

    /// How many of a person's sessions live.
    pub(crate) async fn live(&self, user: &str) -> usize {
        let (page, _) = self.read(&format!("/api/v1/sessions?user={user}")).await;
        page["items"].as_array().expect("a list").len()
    }

    pub(crate) async fn finish(self) {
        self.services.finish().await;
    }
}

/// A refusal as a story tells it.
pub(crate) fn no(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

pub(crate) fn nothing() -> Value {
    json!({})
}

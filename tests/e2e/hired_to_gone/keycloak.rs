//! With Keycloak, which notifies nobody: by the sweep. Its stand-in is held to recordings of a real one.

use super::{in_sales, is_gone};
use crate::support::bridge::Settings;
use crate::support::eventually;
use crate::support::socket::End;
use crate::support::world::World;
use auth_manager::demo::door::Person;
use auth_manager::demo::keycloak::{CLIENT, StandIn};
use auth_manager::demo::mattermost::{Options, UserSnapshot};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use tokio::net::TcpListener;

/// The groups there, `emea` below `sales`.
const GROUPS: [&str; 4] = ["validated", "mattermost-users", "sales", "emea"];

/// A bridge that reads a Keycloak whenever it can, and somebody to come.
struct Company {
    world: World,
    keycloak: StandIn,
    /// Ids of the groups.
    groups: [String; 4],
    alice: Person,
    /// Keeps the secret's file.
    _files: tempfile::TempDir,
}

impl Company {
    async fn open() -> Self {
        let keycloak = StandIn::default();
        let [validated, members, sales, _] = GROUPS.map(|name| match name {
            "emea" => String::new(),
            name => keycloak.create_group(name, None),
        });
        let emea = keycloak.create_group("emea", Some(&sales));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        tokio::spawn(keycloak.clone().serve(listener));
        let files = tempfile::tempdir().expect("a folder");
        let secret = files.path().join("client.secret");
        std::fs::write(&secret, CLIENT.1).expect("our own folder");
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).expect("our own file");
        let settings = Settings {
            mattermost: "team = \"demo\"\n[apps.provision]\nwhen = \"on-assignment\"\n\
                         [[apps.provision.groups]]\ngroup = \"sales\"\nteam = \"sales\"\n"
                .into(),
            more: format!(
                "[[directories]]\nid = \"keycloak\"\nkind = \"keycloak\"\nurl = \"http://{address}\"\n\
                 realm = \"main\"\nclient_id = \"{}\"\nclient_secret = {{ file = {secret:?} }}\n\
                 groups_max_age = \"0s\"\n[directories.reconcile]\nevery = \"10s\"\n",
                CLIENT.0
            ),
            ..Settings::default()
        };
        let world = World::with(settings, Options::default()).await;
        world.mattermost.create_team("sales");
        let id = keycloak.create("alice");
        for group in [&validated, &members, &emea] {
            keycloak.join(&id, group);
        }
        // As the mapper says it: direct groups by their name, without their path.
        let mut alice = Person::new(
            0,
            "alice",
            "alice Example",
            &["validated", "mattermost-users", "emea"],
            "",
        );
        alice.sub.clone_from(&id);
        Self {
            world,
            keycloak,
            groups: [validated, members, sales, emea],
            alice,
            _files: files,
        }
    }

    async fn account(&self, what: &str, is: fn(&UserSnapshot) -> bool) -> UserSnapshot {
        let world = &self.world;
        eventually(what, || async { world.mattermost.user("alice").filter(is) }).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_keycloaks_people_come_and_go_by_the_sweep() {
    let company = Company::open().await;
    let (world, keycloak) = (&company.world, &company.keycloak);
    let (id, emea) = (company.alice.sub.clone(), company.groups[3].clone());
    let machine = keycloak.create_service_account("backup");
    for group in &company.groups {
        keycloak.join(&machine, group);
    }

    // In sales by way of the group below it.
    let before = company.account("the account", in_sales).await;
    assert_eq!(world.mattermost.logins_performed(), 0);
    let mut visitor = world.signed_in(company.alice.clone()).await;
    assert_eq!(visitor.me().await["id"], before.id.as_str());
    let why = world.run(&["users", "explain", "alice", "chat"]).await;
    assert!(why.contains("\nwanted there: an account"), "{why}");
    let socket = visitor.socket().await.expect("a socket");

    keycloak.leave(&id, &emea);
    company
        .account("the team's end", |user| !in_sales(user))
        .await;
    keycloak.join(&id, &emea);
    company.account("the team", in_sales).await;

    world.mattermost.issue_access_token("alice");
    keycloak.set(&id, "enabled", json!(false));
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    eventually("the refusal", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 403).then_some(()) }
    })
    .await;
    company.account("the deactivation", is_gone).await;
    assert!(world.mattermost.access_tokens_of("alice").is_empty());
    keycloak.set(&id, "enabled", json!(true));
    let back = company
        .account("the reactivation", UserSnapshot::is_active)
        .await;
    assert_eq!((&back.id, &back.teams), (&before.id, &before.teams));

    keycloak.delete(&id);
    company.account("the end", is_gone).await;
    let mut visitor = world.client(company.alice.clone());
    eventually("the refusal", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 403).then_some(()) }
    })
    .await;
    assert!(visitor.open("/").await.text().contains("access.disabled"));
    let machine = world.mattermost.user("service-account-backup");
    assert!(machine.is_none(), "a service account is nobody");
    company.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_a_keycloak_that_may_not_be_read_takes_nothing_and_raises_the_alarm() {
    let company = Company::open().await;
    let (world, keycloak) = (&company.world, &company.keycloak);
    company.account("the account", in_sales).await;
    let mut visitor = world.signed_in(company.alice.clone()).await;
    // What is left shows people and groups as empty lists, and counts them.
    keycloak.set_roles(&["query-users", "query-groups"]);
    let alarm =
        "auth_manager_directory_errors_total{source=\"keycloak\",kind=\"permission\"}".to_owned();
    eventually("the alarm", || async {
        let metrics = world.bridge.ops("/metrics").await.text();
        metrics.contains(&alarm).then_some(())
    })
    .await;
    assert_eq!(visitor.open("/").await.status, 200);
    assert!(world.mattermost.user("alice").is_some_and(|u| in_sales(&u)));
    keycloak.set_roles(&["view-users"]);
    keycloak.set(&company.alice.sub, "enabled", json!(false));
    company.account("the deactivation", is_gone).await;
    company.world.finish().await;
}

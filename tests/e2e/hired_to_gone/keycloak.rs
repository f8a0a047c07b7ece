//! With Keycloak, which notifies nobody: by the sweep. Its stand-in is written from documentation.

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

async fn account(world: &World, what: &str, is: fn(&UserSnapshot) -> bool) -> UserSnapshot {
    eventually(what, || async { world.mattermost.user("alice").filter(is) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_keycloaks_people_come_and_go_by_the_sweep() {
    let keycloak = StandIn::default();
    let groups = ["validated", "mattermost-users", "sales"];
    let ids = groups.map(|name| keycloak.create_group(name, None));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let serves = tokio::spawn(keycloak.clone().serve(listener));
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
    for group in &ids {
        keycloak.join(&id, group);
    }
    let mut alice = Person::new(0, "alice", "alice Example", &groups, "");
    alice.sub.clone_from(&id);
    let before = account(&world, "the account", in_sales).await;
    assert_eq!(world.mattermost.logins_performed(), 0);
    let mut visitor = world.signed_in(alice.clone()).await;
    assert_eq!(visitor.me().await["id"], before.id.as_str());
    let socket = visitor.socket().await.expect("a socket");

    keycloak.leave(&id, &ids[2]);
    account(&world, "the team's end", |user| !in_sales(user)).await;
    keycloak.join(&id, &ids[2]);
    account(&world, "the team", in_sales).await;

    world.mattermost.issue_access_token("alice");
    keycloak.set(&id, "enabled", json!(false));
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    eventually("the refusal", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 403).then_some(()) }
    })
    .await;
    account(&world, "the deactivation", is_gone).await;
    assert!(world.mattermost.access_tokens_of("alice").is_empty());
    keycloak.set(&id, "enabled", json!(true));
    let back = account(&world, "the reactivation", UserSnapshot::is_active).await;
    assert_eq!((&back.id, &back.teams), (&before.id, &before.teams));

    keycloak.delete(&id);
    account(&world, "the end", is_gone).await;
    let mut visitor = world.client(alice);
    eventually("the refusal", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 403).then_some(()) }
    })
    .await;
    assert!(visitor.open("/").await.text().contains("access.disabled"));
    serves.abort();
    world.finish().await;
}

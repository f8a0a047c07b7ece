//! From hired to gone, as the app shows it: what a directory says becomes accounts and memberships, by
//! jobs of the running bridge. The directory's words are taken in as a command takes them in, beside
//! the bridge.

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::socket::End;
use crate::support::wire;
use crate::support::world::World;
use auth_manager::audit::Audit;
use auth_manager::config::Config;
use auth_manager::demo::door::{Person, alice};
use auth_manager::demo::mattermost::{Fault, Options, UserSnapshot};
use auth_manager::directory::Intake;
use auth_manager::runtime;
use auth_manager::store::{DirectoryGroup, JobFilter, JobState, SqliteStore, Store};
use auth_manager::types::{Clock as _, IssuerId, SourceId, Subject, SystemClock, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const PROVISION: &str = r#"team = "demo"
[apps.provision]
when = "on-assignment"
[[apps.provision.groups]]
group = "sales"
team = "sales"
"#;
/// All groups there are, by name; their ids are made of it.
const GROUPS: [&str; 3] = ["validated", "mattermost-users", "sales"];
/// Those that give power, beside them.
const POWERS: [&str; 2] = ["leads", "bosses"];

/// A directory that says what the test wants.
struct Directory {
    intake: Intake,
    store: Arc<dyn Store>,
    at: AtomicI64,
}

fn source() -> SourceId {
    SourceId::new("authentik").expect("an id")
}

impl Directory {
    async fn of(world: &World) -> Self {
        let config = Config::load(&world.bridge.config()).expect("the bridge's own file");
        let path = world.bridge.folder().join("auth-manager.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path).await.expect("the store"));
        let clock = Arc::new(SystemClock);
        let audit = Arc::new(Audit::new(clock.clone(), Default::default()));
        let directory = Self {
            intake: runtime::intake_of(&config, store.clone(), audit, clock),
            store,
            // A word is newer than the one before.
            at: AtomicI64::new(SystemClock.now().0 - 600),
        };
        for name in GROUPS.into_iter().chain(POWERS) {
            let group = DirectoryGroup {
                source: source(),
                id: format!("id-of-{name}"),
                name: name.to_owned(),
                parents: Vec::new(),
                read_at: directory.tick(),
                gone_at: None,
            };
            directory
                .intake
                .take_in_group(&group, "test")
                .await
                .expect("taken");
        }
        directory
    }

    fn tick(&self) -> Timestamp {
        Timestamp(self.at.fetch_add(1, Ordering::Relaxed))
    }

    async fn says(&self, person: &Person, active: bool, groups: &[&str]) {
        let mut groups: Vec<String> = groups.iter().map(|name| format!("id-of-{name}")).collect();
        groups.sort();
        let word = auth_manager::store::Person {
            source: source(),
            id: person.sub.clone(),
            aliases: Vec::new(),
            issuer: IssuerId::new("pomerium").expect("an id"),
            subject: Subject::new(person.sub.as_str()).ok(),
            username: person.username.clone().unwrap_or_default(),
            name: person.name.clone(),
            email: person.email.clone(),
            email_verified: true,
            locale: None,
            active,
            human: true,
            groups,
            read_at: self.tick(),
            gone_at: None,
        };
        self.intake.take_in(word, "test").await.expect("taken in");
    }

    /// Waits until no job is open any more; those that died are in the text.
    async fn settled(&self) -> String {
        eventually("the end of all jobs", || async {
            let open = JobFilter {
                states: vec![JobState::Pending, JobState::Running],
                ..JobFilter::default()
            };
            let open = self.store.jobs(&open).await.expect("the store answers");
            open.is_empty().then_some(())
        })
        .await;
        let dead = JobFilter {
            states: vec![JobState::Dead],
            ..JobFilter::default()
        };
        let dead = self.store.jobs(&dead).await.expect("the store answers");
        dead.into_iter().map(|job| job.error).collect()
    }
}

async fn world() -> World {
    world_with("").await
}

/// With more groups that give something.
async fn world_with(groups: &str) -> World {
    let settings = Settings {
        mattermost: format!("{PROVISION}{groups}"),
        // What a killed process held is taken up again without waiting for it.
        more: "[jobs]\nlease = \"10m\"".into(),
        ..Settings::default()
    };
    let options = Options {
        disable_bots_when_owner_is_deactivated: false,
        ..Options::default()
    };
    let world = World::with(settings, options).await;
    world.mattermost.create_team("sales");
    world
}

/// The account, once it is as the test says.
async fn account(world: &World, what: &str, is: impl Fn(&UserSnapshot) -> bool) -> UserSnapshot {
    eventually(what, || async {
        world.mattermost.user("alice").filter(&is)
    })
    .await
}

fn in_sales(user: &UserSnapshot) -> bool {
    user.teams.contains(&"sales".to_owned())
}

/// A browser of alice's with the app open, once the bridge has heard that she is back: a word that a
/// command took in takes it a second.
async fn back_in(world: &World) -> Client {
    let visitor = world.client(alice());
    eventually("the way in", || {
        let mut tab = visitor.clone();
        async move { (tab.open("/").await.status == 200).then_some(tab) }
    })
    .await
}

async fn is_out(visitor: &mut Client) -> bool {
    matches!(visitor.get("/api/v4/users/me").await.status, 401 | 403)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_hired_has_account_and_team_before_the_first_click() {
    let world = world().await;
    let directory = Directory::of(&world).await;
    directory.says(&alice(), true, &GROUPS).await;
    let ahead = account(&world, "the account", in_sales).await;
    assert_eq!(directory.settled().await, "");
    assert!(ahead.teams.contains(&"demo".to_owned()), "{ahead:?}");
    assert_eq!(world.mattermost.users_created(), 1);
    assert_eq!(world.mattermost.logins_performed(), 0);

    let mut visitor = world.signed_in(alice()).await;
    assert_eq!(visitor.me().await["id"], ahead.id.as_str());
    assert_eq!(world.mattermost.users_created(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_brings_its_team_and_takes_only_that_again() {
    let world = world().await;
    let directory = Directory::of(&world).await;
    directory.says(&alice(), true, &GROUPS[..2]).await;
    account(&world, "the account", |_| true).await;
    world.mattermost.create_team("hobby");
    assert!(world.mattermost.add_to_team("hobby", "alice"));
    directory.says(&alice(), true, &GROUPS).await;
    account(&world, "the team", in_sales).await;
    directory.says(&alice(), true, &GROUPS[..2]).await;
    let left = account(&world, "the team's end", |user| !in_sales(user)).await;
    assert!(left.teams.contains(&"hobby".to_owned()), "{left:?}");
    assert_eq!(directory.settled().await, "");
    world.signed_in(alice()).await;
    world.finish().await;
}

/// What somebody is in a team or channel of the app: `None`: not in it; else whether they lead it.
async fn leads(world: &World, place: &str, user: &UserSnapshot) -> Option<bool> {
    let path = format!("/{place}/members/{}", user.id);
    let member = asked(world, "GET", &path, "").await;
    (member.status == 200).then(|| member.json()["scheme_admin"] == true)
}

/// The app's answer to an administrator.
async fn asked(world: &World, method: &str, path: &str, body: &str) -> wire::Response {
    let request = format!(
        "{method} /api/v4{path} HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer {}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        world.mattermost.bot_token(),
        body.len()
    );
    wire::exchange(world.mattermost_address, request.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_leads_gives_power_in_its_places_and_takes_it_again() {
    let leading = r#"
[[apps.provision.groups]]
group_id = "id-of-leads"
team = "demo"
team_admin = true
channels = ["deals"]
channel_admin = true
[[apps.provision.groups]]
group_id = "id-of-bosses"
system_role = "system_admin"
"#;
    let world = world_with(leading).await;
    let id = async |path: &str| {
        let found = asked(&world, "GET", path, "").await.json();
        found["id"].as_str().expect("it is there").to_owned()
    };
    let team = id("/teams/name/demo").await;
    let deals = json!({ "team_id": team, "name": "deals", "display_name": "Deals", "type": "O" });
    let made = asked(&world, "POST", "/channels", &deals.to_string()).await;
    assert_eq!(made.status, 201);
    let channel = format!("channels/{}", made.json()["id"].as_str().expect("an id"));
    let team = format!("teams/{team}");

    let directory = Directory::of(&world).await;
    directory.says(&alice(), true, &GROUPS[..2]).await;
    let alice_there = account(&world, "the account", |_| true).await;
    assert_eq!(directory.settled().await, "");
    assert_eq!(leads(&world, &team, &alice_there).await, Some(false));
    assert_eq!(leads(&world, &channel, &alice_there).await, None);

    let leader = ["validated", "mattermost-users", "leads"];
    directory.says(&alice(), true, &leader).await;
    assert_eq!(directory.settled().await, "");
    assert_eq!(leads(&world, &team, &alice_there).await, Some(true));
    assert_eq!(leads(&world, &channel, &alice_there).await, Some(true));
    let boss = ["validated", "mattermost-users", "bosses"];
    directory.says(&alice(), true, &boss).await;
    assert_eq!(directory.settled().await, "");
    account(&world, "the role", UserSnapshot::is_admin).await;
    // Whoever does not lead any more stays where everybody is, and nowhere else.
    assert_eq!(leads(&world, &team, &alice_there).await, Some(false));
    assert_eq!(leads(&world, &channel, &alice_there).await, None);
    directory.says(&alice(), true, &GROUPS[..2]).await;
    assert_eq!(directory.settled().await, "");
    let left = account(&world, "the role's end", |user| !user.is_admin()).await;
    assert_eq!(left.id, alice_there.id);
    world.finish_unvisited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_gone_is_out_here_and_there_and_comes_back_to_the_same() {
    let world = world().await;
    let directory = Directory::of(&world).await;
    directory.says(&alice(), true, &GROUPS).await;
    let before = account(&world, "the account", in_sales).await;
    let mut visitor = world.signed_in(alice()).await;
    let socket = visitor.socket().await.expect("a socket");
    world
        .mattermost
        .issue_access_token("alice")
        .expect("a token");

    directory.says(&alice(), false, &GROUPS).await;
    // Refused at once, whatever the app does about it; the socket with a close frame.
    let end = socket.ended().await;
    assert!(matches!(end, End::Closed(Some(_))), "{end:?}");
    assert!(is_out(&mut visitor).await);
    account(&world, "the deactivation", |user| !user.is_active()).await;
    assert_eq!(directory.settled().await, "");
    assert!(world.mattermost.sessions_of("alice").is_empty());
    assert!(world.mattermost.access_tokens_of("alice").is_empty());

    directory.says(&alice(), true, &GROUPS).await;
    let back = account(&world, "the reactivation", UserSnapshot::is_active).await;
    assert_eq!(directory.settled().await, "");
    assert_eq!((back.id, back.teams), (before.id, before.teams));
    let mut visitor = back_in(&world).await;
    assert_eq!(visitor.me().await["email"], "alice@example.test");
    assert_eq!(world.mattermost.users_created(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denial_waits_for_no_app_and_its_rest_is_done_when_the_app_is_back() {
    let world = world().await;
    let directory = Directory::of(&world).await;
    directory.says(&alice(), true, &GROUPS).await;
    account(&world, "the account", in_sales).await;
    let mut visitor = world.signed_in(alice()).await;
    let busy = r#"{"id":"api.context.server_busy.app_error","message":"busy","status_code":503}"#;
    for fault in [
        Fault::Status(500, busy.into()),
        Fault::Status(429, "limit exceeded\n".into()),
        Fault::Slow(Duration::from_secs(2)),
        Fault::CloseBefore,
    ] {
        world.mattermost.set_fault(fault.clone(), "/api/v4/users/");
        directory.says(&alice(), false, &GROUPS).await;
        // As soon as the bridge has heard, which a command's word takes a second to; the app is in
        // trouble still.
        eventually("the refusal", || {
            let mut tab = visitor.clone();
            async move { is_out(&mut tab).await.then_some(()) }
        })
        .await;
        assert!(
            world
                .mattermost
                .user("alice")
                .expect("an account")
                .is_active(),
            "{fault:?}"
        );
        world.mattermost.clear_faults();
        account(&world, "the deactivation", |user| !user.is_active()).await;
        directory.says(&alice(), true, &GROUPS).await;
        account(&world, "the reactivation", UserSnapshot::is_active).await;
        visitor = back_in(&world).await;
    }
    assert_eq!(world.mattermost.users_created(), 1);
    world.finish().await;
}

/// Kills the bridge while the app is slow at one step of a person's end, and starts it again.
async fn killed_at(path: &str) {
    let mut world = world().await;
    let directory = Directory::of(&world).await;
    directory.says(&alice(), true, &GROUPS).await;
    let before = account(&world, "the account", in_sales).await;
    world.mattermost.issue_access_token("alice");
    world.mattermost.clear_journal();
    let slow = format!("/api/v4/users/{}{path}", before.id);
    world
        .mattermost
        .set_fault(Fault::Slow(Duration::from_secs(2)), &slow);
    directory.says(&alice(), false, &GROUPS).await;
    eventually(path, || async {
        let journal = world.mattermost.journal();
        journal
            .iter()
            .any(|seen| seen.path.starts_with(&slow))
            .then_some(())
    })
    .await;
    world.bridge.kill().await;
    world.mattermost.clear_faults();
    world.bridge.restart().await;
    account(&world, "the deactivation", |user| !user.is_active()).await;
    assert_eq!(directory.settled().await, "");
    assert!(world.mattermost.access_tokens_of("alice").is_empty());
    let trail = world.trail().await;
    let told = trail
        .iter()
        .filter(|body| body.contains("\"account.deactivated\""));
    assert_eq!(told.count(), 1);

    directory.says(&alice(), true, &GROUPS).await;
    let back = account(&world, "the reactivation", UserSnapshot::is_active).await;
    assert_eq!((back.id, back.teams), (before.id, before.teams));
    back_in(&world).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_sessions_are_revoked() {
    killed_at("/sessions/revoke").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_killed_while_the_account_is_deactivated() {
    killed_at("/active").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_is_reclaimed_by_command_and_comes_back_by_signing_in() {
    let settings = Settings {
        mattermost: format!("{PROVISION}[apps.provision.seats]\ngrace = \"0s\"\n"),
        ..Settings::default()
    };
    let world = World::with(settings, Options::default()).await;
    world.mattermost.create_team("sales");
    let directory = Directory::of(&world).await;
    directory.says(&alice(), true, &GROUPS).await;
    let first = account(&world, "the account", in_sales).await;
    let status = world.run(&["seats", "status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!((&status["used"], &status["ours"]), (&2.into(), &1.into()));
    let dry = world
        .run(&["seats", "reclaim", &alice().sub, "--dry-run"])
        .await;
    assert!(dry.contains("would be"), "{dry}");
    world.run(&["seats", "reclaim", &alice().sub]).await;
    account(&world, "the deactivation", |user| !user.is_active()).await;
    // A directory that still has them does not bring them back by itself.
    directory.says(&alice(), true, &GROUPS[..2]).await;
    directory.settled().await;
    assert!(
        !world
            .mattermost
            .user("alice")
            .expect("an account")
            .is_active()
    );
    world.run(&["seats", "restore", &alice().sub]).await;
    account(&world, "the restored account", UserSnapshot::is_active).await;
    world.run(&["seats", "reclaim", &alice().sub]).await;
    account(&world, "the deactivation", |user| !user.is_active()).await;
    let mut visitor = world.signed_in(alice()).await;
    assert_eq!(visitor.me().await["id"], first.id.as_str());
    world.finish().await;
}

//! What a directory says reaches whoever is inside: at the very next request, on their sockets, on
//! every replica, whatever the newest assertion says (T10), and never another person's account (T33).

use super::replicas::Pair;
use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::socket::End;
use crate::support::world::World;
use auth_manager::audit::Audit;
use auth_manager::config::Config;
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, Person, alice, bob};
use auth_manager::directory::{Intake, Took};
use auth_manager::runtime;
use auth_manager::store::{
    DirectoryGroup, EndReason, Person as Said, SessionFilter, StateBy, Store, User, UserState,
};
use auth_manager::types::{Clock, IssuerId, SourceId, Subject, SystemClock};
use std::sync::Arc;

/// The way in, as another process has it: what it says reaches the bridge by the log alone.
struct Directory {
    store: Arc<dyn Store>,
    intake: Intake,
}

fn source() -> SourceId {
    SourceId::new("authentik").unwrap()
}

impl Directory {
    async fn of(world: &World) -> Self {
        let path = world.bridge.folder().join("auth-manager.toml");
        let config = Config::load(&path).expect("the bridge's configuration");
        let store = runtime::store_of(&config.store).await.expect("its store");
        let clock = Arc::new(SystemClock);
        let settings = auth_manager::audit::Settings::default();
        let audit = Arc::new(Audit::new(clock.clone(), settings));
        let intake = runtime::intake_of(&config, store.clone(), audit, clock);
        for name in [GROUP_VALIDATED, GROUP_MEMBERS, "others"] {
            let group = DirectoryGroup {
                source: source(),
                id: format!("id-of-{name}"),
                name: name.into(),
                parents: Vec::new(),
                read_at: SystemClock.now(),
                gone_at: None,
            };
            intake.take_in_group(&group, "a test").await.unwrap();
        }
        Self { store, intake }
    }

    async fn says(&self, said: Said) -> Took {
        let taken = self.intake.take_in(said, "a test").await;
        taken.expect("the store").took
    }

    async fn user(&self, person: &Person) -> User {
        let (issuer, subject) = (IssuerId::new("pomerium").unwrap(), subject(person));
        let user = self.store.user_by_subject(&issuer, &subject).await.unwrap();
        user.expect("they have come by")
    }
}

fn subject(person: &Person) -> Subject {
    Subject::new(person.sub.as_str()).unwrap()
}

/// What the directory says of a person who is in these groups.
fn said(person: &Person, groups: &[&str]) -> Said {
    Said {
        source: source(),
        id: format!("pk-{}", person.username.clone().unwrap_or_default()),
        aliases: Vec::new(),
        issuer: IssuerId::new("pomerium").unwrap(),
        subject: Some(subject(person)),
        username: person.username.clone().unwrap_or_default(),
        name: person.name.clone(),
        email: person.email.clone(),
        email_verified: true,
        locale: None,
        active: true,
        human: true,
        groups: groups.iter().map(|g| format!("id-of-{g}")).collect(),
        read_at: SystemClock.now(),
        gone_at: None,
    }
}

const BOTH: &[&str] = &[GROUP_VALIDATED, GROUP_MEMBERS];

/// Whether the person's API calls are refused with this code.
async fn refused(client: &mut Client, code: &str) {
    let page = eventually("the refusal", || {
        let mut client = client.clone();
        async move {
            let page = client.open("/").await;
            (page.status == 403).then_some(page)
        }
    })
    .await;
    assert!(page.text().contains(code), "{}", page.text());
    assert_eq!(client.get("/api/v4/users/me").await.status, 403);
    // Nor by the newest sign-in, whose assertion names all groups (T10).
    client.signs_in_as(client.person.clone());
    assert_eq!(client.open("/").await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_whoever_left_the_group_is_out_and_comes_back_to_the_same_account() {
    let world = World::start().await;
    let directory = Directory::of(&world).await;
    let mut visitor = world.signed_in(alice()).await;
    let mut bystander = world.signed_in(bob()).await;
    assert_eq!(directory.says(said(&alice(), BOTH)).await, Took::New);
    assert_eq!(visitor.me().await["username"], "alice");
    let account = visitor.me().await["id"].clone();
    let socket = visitor.socket().await.expect("a socket");

    assert_eq!(
        directory.says(said(&alice(), &[GROUP_VALIDATED])).await,
        Took::Changed
    );
    assert!(
        matches!(socket.ended().await, End::Closed(Some(_))),
        "a close frame"
    );
    refused(&mut visitor, "access.not_granted").await;
    let user = directory.user(&alice()).await;
    assert_eq!(user.state, UserState::Active, "they are no less a person");
    let ended = SessionFilter {
        user: Some(user.id),
        ..SessionFilter::default()
    };
    let sessions = directory.store.sessions(&ended).await.unwrap();
    let why: Vec<_> = sessions.iter().map(|session| session.end_reason).collect();
    assert_eq!(why, [Some(EndReason::PolicyChanged)]);
    eventually("the end of the app's session", || async {
        let left = world.mattermost.sessions_of("alice");
        left.is_empty().then_some(())
    })
    .await;
    assert_eq!(bystander.me().await["username"], "bob");

    directory.says(said(&alice(), BOTH)).await;
    let mut back = eventually("the way back in", || {
        let mut client = world.client(alice());
        async move { (client.open("/").await.status == 200).then_some(client) }
    })
    .await;
    assert_eq!(back.me().await["id"], account);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_disables_and_lifts_only_what_itself_disabled() {
    let world = World::start().await;
    let directory = Directory::of(&world).await;
    let mut visitor = world.signed_in(alice()).await;
    let socket = visitor.socket().await.expect("a socket");
    directory.says(said(&alice(), BOTH)).await;
    let inactive = || Said {
        active: false,
        ..said(&alice(), BOTH)
    };
    directory.says(inactive()).await;
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    refused(&mut visitor, "access.disabled").await;
    let user = directory.user(&alice()).await;
    assert_eq!(user.state, UserState::Disabled);
    assert_eq!(user.state_by, StateBy::Directory(source()));
    let explained = world.run(&["users", "explain", &alice().sub, "chat"]).await;
    assert!(
        explained.contains("access.disabled") && explained.contains("authentik"),
        "{explained}"
    );

    let comes = |person: Person| {
        let world = &world;
        eventually("the way in", move || {
            let mut client = world.client(person.clone());
            async move { (client.open("/").await.status == 200).then_some(()) }
        })
    };
    directory.says(said(&alice(), BOTH)).await;
    comes(alice()).await;
    assert_eq!(directory.user(&alice()).await.state, UserState::Active);

    // An operator's order stands, whatever the directory says.
    world.disable(&alice()).await;
    directory
        .says(said(&alice(), &[GROUP_VALIDATED, GROUP_MEMBERS, "others"]))
        .await;
    assert_eq!(directory.user(&alice()).await.state, UserState::Disabled);
    let mut visitor = world.client(alice());
    refused(&mut visitor, "access.disabled").await;
    // And lifts what the directory denied, until it denies again.
    directory.says(inactive()).await;
    let enable = ["users", "enable", &alice().sub];
    let refused_order = world.bridge.command(&enable).await;
    assert!(!refused_order.status.success(), "a denial beats a grant");
    let said = String::from_utf8_lossy(&refused_order.stderr).into_owned();
    assert!(
        said.contains("authentik: inactive") && said.contains("--against-directory"),
        "{said}"
    );
    refused(&mut world.client(alice()), "access.disabled").await;
    let overrule = [&enable[..], &["--against-directory"]].concat();
    world.run(&[&overrule[..], &["--dry-run"]].concat()).await;
    refused(&mut world.client(alice()), "access.disabled").await;
    world.run(&overrule).await;
    comes(alice()).await;
    let trail = world.trail().await;
    let told = |body: &&String| {
        body.contains("user.enabled") && body.contains("against authentik: inactive")
    };
    assert_eq!(trail.iter().filter(told).count(), 1, "{trail:?}");
    let mut gone = inactive();
    gone.gone_at = Some(SystemClock.now());
    // Another second than the pardon's.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    directory.says(gone).await;
    let mut visitor = world.client(alice());
    refused(&mut visitor, "access.disabled").await;
    assert_eq!(directory.user(&alice()).await.state, UserState::Tombstoned);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directorys_yes_lets_in_a_sign_in_and_no_service_account() {
    let world = World::start().await;
    let directory = Directory::of(&world).await;
    let asserts = |groups: &[&str]| Person {
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        ..alice()
    };
    let mut lacks = world.client(asserts(&[GROUP_VALIDATED]));
    assert_eq!(lacks.open("/").await.status, 403);
    directory.says(said(&alice(), BOTH)).await;
    eventually("the way in", || {
        let mut client = lacks.clone();
        async move { (client.open("/").await.status == 200).then_some(()) }
    })
    .await;
    // What a Pomerium service account with the person's id says.
    let mut robot = world.client(asserts(&[]));
    assert_eq!(robot.open("/").await.status, 403);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_a_directorys_no_reaches_both_replicas() {
    let pair = Pair::with(Settings::default(), true).await;
    let world = &pair.world;
    let directory = Directory::of(world).await;
    let here = world.signed_in(alice()).await;
    let there = pair.there(&here);
    let sockets = [
        here.socket().await.expect("a socket"),
        there.socket().await.expect("a socket"),
    ];
    directory.says(said(&alice(), BOTH)).await;
    directory.says(said(&alice(), &["others"])).await;
    for socket in sockets {
        assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    }
    for mut visitor in [here, there] {
        refused(&mut visitor, "access.pending").await;
    }
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t33_an_id_never_changes_hands() {
    let world = World::start().await;
    let directory = Directory::of(&world).await;
    let mut visitor = world.signed_in(alice()).await;
    directory.says(said(&alice(), BOTH)).await;
    // The same id of the directory, another subject: its user name was given again, or its database.
    let mut newcomer = said(&bob(), BOTH);
    newcomer.id = said(&alice(), &[]).id;
    assert_eq!(directory.says(newcomer.clone()).await, Took::Quarantined);
    refused(&mut visitor, "access.disabled").await;
    assert_eq!(
        directory.says(newcomer.clone()).await,
        Took::Quarantined,
        "said again"
    );
    let issuer = IssuerId::new("pomerium").unwrap();
    let nobody = directory
        .store
        .user_by_subject(&issuer, &subject(&bob()))
        .await;
    assert!(
        nobody.unwrap().is_none(),
        "nothing is given to the new subject"
    );
    // Whoever it was comes back to what was theirs, by the directory's own word.
    directory.says(said(&alice(), BOTH)).await;
    eventually("the way back in", || {
        let mut client = world.client(alice());
        async move { (client.open("/").await.status == 200).then_some(()) }
    })
    .await;
    directory.says(newcomer.clone()).await;
    // An operator settles it.
    let id = newcomer.id.clone();
    world.run(&["users", "forget-word", "authentik", &id]).await;
    assert_eq!(directory.says(newcomer).await, Took::New);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t33_whoever_is_gone_leaves_their_identity_to_nobody() {
    let world = World::start().await;
    let directory = Directory::of(&world).await;
    let mut visitor = world.signed_in(alice()).await;
    directory.says(said(&alice(), BOTH)).await;
    let mut gone = said(&alice(), &[]);
    gone.gone_at = Some(SystemClock.now());
    directory.says(gone).await;
    refused(&mut visitor, "access.disabled").await;
    assert_eq!(directory.user(&alice()).await.state, UserState::Tombstoned);
    // A new id with the same subject is another person.
    let mut reused = said(&alice(), BOTH);
    reused.id = "pk-new".into();
    directory.says(reused).await;
    refused(&mut visitor, "access.disabled").await;
    // A new subject with the same name and address is, too: what is in their way is told.
    let mut other = alice();
    other.sub = "a0000000-0000-4000-8000-000000000999".into();
    let mut word = said(&other, BOTH);
    word.id = "pk-other".into();
    directory.says(word).await;
    let mut other = world.client(other);
    let page = other.open("/").await;
    assert!(page.text().contains("account.conflict"), "{}", page.text());
    world.finish().await;
}

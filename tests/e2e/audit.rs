//! The audit trail of a running bridge: what gets there, what never does, and what happens when it
//! can't be written.

use crate::support::bridge::Settings;
use crate::support::world::World;
use auth_manager::audit::checkpoints::Checkpoints;
use auth_manager::audit::verify;
use auth_manager::demo::door::{alice, bob, nora};
use auth_manager::demo::mattermost::Options;
use auth_manager::keys::AuditKey;
use auth_manager::keys::master::{FileAccess, MasterKey};
use auth_manager::store::SqliteStore;
use rusqlite::Connection;
use serde_json::Value;

async fn records(world: &World) -> Vec<Value> {
    let bodies = world.trail().await;
    let read = |body: &String| serde_json::from_str(body).expect("a record is JSON");
    bodies.iter().map(read).collect()
}

fn of<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|r| r["kind"] == kind).collect()
}

fn in_the_store(world: &World, change: &str) {
    let store = Connection::open(world.bridge.folder().join("auth-manager.db"));
    store
        .expect("the store")
        .execute_batch(change)
        .expect("a change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_a_day_is_on_record_and_nothing_secret_or_personal_is() {
    let mut world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    visitor.me().await;
    let mut stranger = world.client(nora());
    for _ in 0..30 {
        assert_eq!(stranger.open("/").await.status, 403);
    }
    world.disable(&alice()).await;
    crate::support::eventually("alice is out", || {
        let mut visitor = visitor.clone();
        async move { (visitor.open("/").await.status == 403).then_some(()) }
    })
    .await;
    world.enable(&alice()).await;
    let text = std::fs::read_to_string(world.bridge.config()).expect("our own file");
    let changed = text.replace("help@example.test", "desk@example.test");
    std::fs::write(world.bridge.config(), changed).expect("our own file");
    world.bridge.hang_up();
    world
        .bridge
        .line("the reload", |line| {
            line.contains("configuration read again").then_some(())
        })
        .await;
    world.bridge.stop().await;

    let all = records(&world).await;
    let one = |kind: &str| match of(&all, kind)[..] {
        [only] => only,
        ref others => panic!("{kind}: {others:#?}"),
    };
    let started = one("config.started");
    assert_eq!(started["detail"]["files"].as_str().map(str::len), Some(64));
    assert_eq!(started["detail"]["changed"], Value::Null);
    let reloaded = one("config.reloaded");
    assert_eq!(reloaded["detail"]["changed"], serde_json::json!(["portal"]));

    let made = one("account.created");
    let session = one("session.started");
    assert_eq!(made["user"], session["user"]);
    assert_eq!(session["actor"]["type"], "visitor");
    assert_eq!(session["actor"]["id"], session["user"]);
    assert_eq!(session["app"], "chat");
    assert!(session["request"].is_string());
    assert!(session["client"].is_null());
    let ended = one("session.ended");
    assert_eq!(ended["session"], session["session"]);
    assert_eq!(ended["code"], "user_disabled");
    assert_eq!(ended["actor"]["type"], "operator");
    assert_eq!(one("user.disabled")["user"], session["user"]);
    one("user.enabled");

    // However often: counted together, by who and why. Nora never had a shadow user.
    let denied = of(&all, "access.denied");
    let noras: Vec<_> = denied
        .iter()
        .filter(|r| r["code"] == "access.not_granted")
        .collect();
    let sum: u64 = noras
        .iter()
        .map(|r| r["detail"]["count"].as_u64().expect("a count"))
        .sum();
    assert_eq!(sum, 30, "{noras:#?}");
    assert!(noras.len() <= 2, "{noras:#?}");
    assert_eq!(
        noras[0]["detail"]["stranger"].as_str().map(str::len),
        Some(22)
    );
    assert!(noras[0]["user"].is_null());
    assert_eq!(noras[0]["detail"]["source"], "access");
    let alices = denied.iter().find(|r| r["code"] == "access.disabled");
    assert_eq!(alices.expect("a record")["user"], session["user"]);

    // Neither what people are called, nor anything that opens something.
    let bodies = world.trail().await.join("\n");
    let (a, n) = (alice(), nora());
    let bot = world.mattermost.bot_token();
    for person in [&a, &n] {
        for word in [&person.sub, &person.email, &person.name] {
            assert!(!bodies.contains(word.as_str()), "{word}");
        }
    }
    assert!(!bodies.contains(&bot));

    // Signed to the end when it stopped, and whole.
    let store = SqliteStore::open(world.bridge.folder().join("auth-manager.db")).await;
    let store = store.expect("the store");
    let path = world.bridge.folder().join("master.key");
    let master = MasterKey::from_file(&path, FileAccess::OwnerOnly).expect("the key");
    let key = AuditKey::load(&store, &master).await.expect("the key");
    let verdict = verify::store(&store, key.public(), &Checkpoints::default()).await;
    let verdict = verdict.expect("a trail as it was");
    assert_eq!(verdict.covered, verdict.last);
    world.bridge.restart().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_a_session_leaves_no_record() {
    let world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let before = world.trail().await.len();
    for _ in 0..50 {
        visitor.me().await;
    }
    assert_eq!(world.trail().await.len(), before);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_what_cannot_be_recorded_does_not_happen() {
    let mut world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    in_the_store(&world, "ALTER TABLE audit_records RENAME TO audit_away");

    // Nobody comes in unrecorded; who is in stays, since nothing is done for the trail there.
    let mut second = world.client(bob());
    let page = second.open("/").await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(
        page.text().contains("bridge.store_unavailable"),
        "{}",
        page.text()
    );
    assert!(second.cookies.is_empty());
    assert_eq!(visitor.me().await["username"], "alice");
    // An operator's change fails as a whole, ...
    let refused = world
        .bridge
        .command(&["users", "disable", &alice().sub])
        .await;
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(visitor.me().await["username"], "alice");
    // ... and so does a configuration that can't be recorded.
    let text = std::fs::read_to_string(world.bridge.config()).expect("our own file");
    let changed = text.replace("\"mattermost-users\"", "\"nobody-at-all\"");
    std::fs::write(world.bridge.config(), changed).expect("our own file");
    world.bridge.hang_up();
    world
        .bridge
        .line("the refusal", |line| {
            line.contains("can't be recorded in the audit trail")
                .then_some(())
        })
        .await;
    assert_eq!(visitor.me().await["username"], "alice");

    in_the_store(&world, "ALTER TABLE audit_away RENAME TO audit_records");
    // A failure is remembered for five seconds.
    crate::support::eventually("bob comes in", || {
        let mut visitor = world.client(bob());
        async move { (visitor.open("/").await.status == 200).then_some(()) }
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trail_that_was_changed_is_said_and_gets_no_checkpoint_any_more() {
    let mut world = World::start().await;
    world.signed_in(alice()).await;
    world.bridge.stop().await;
    in_the_store(
        &world,
        "DELETE FROM audit_marks;
         UPDATE audit_records SET body = replace(body, 'config.started', 'config.stopped')",
    );
    world.bridge.restart().await;
    world
        .bridge
        .line("the alarm", |line| {
            line.contains("the audit trail is not as it was")
                .then_some(())
        })
        .await;
    let metrics = world.bridge.ops("/metrics").await.text();
    assert!(
        metrics.contains("\nauth_manager_audit_broken 1\n"),
        "{metrics}"
    );
    world.bridge.stop().await;
    let seals = Connection::open(world.bridge.folder().join("auth-manager.db")).expect("it");
    let count: i64 = seals
        .query_row("SELECT count(*) FROM audit_marks", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(count, 0);
    drop(seals);
    world.bridge.restart().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_lie_in_the_folder_that_was_named_and_addresses_only_if_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        more: format!(
            "[audit]\nemail = true\nclient_address = true\nreplica = \"one\"\n\
             checkpoints = {:?}",
            folder.path()
        ),
        ..Settings::default()
    };
    let mut world = World::with(settings, Options::default()).await;
    world.signed_in(alice()).await;
    world.bridge.stop().await;
    let all = records(&world).await;
    let session = of(&all, "session.started")[0];
    assert_eq!(session["email"], alice().email.as_str());
    assert!(session["client"].is_string(), "{session}");
    assert_eq!(session["replica"], "one");
    let verified = [
        "audit",
        "verify",
        "--checkpoints",
        folder.path().to_str().unwrap(),
    ];
    world.bridge.run(&verified).await;
    // What was cut off is found against them.
    in_the_store(
        &world,
        "DELETE FROM audit_marks;
         DELETE FROM audit_records WHERE number = (SELECT number FROM audit_head);
         UPDATE audit_head SET number = (SELECT max(number) FROM audit_records),
             hash = (SELECT hash FROM audit_records ORDER BY number DESC LIMIT 1)",
    );
    let cut = world.bridge.command(&verified).await;
    assert_eq!(cut.status.code(), Some(1));
    let said = String::from_utf8_lossy(&cut.stderr).into_owned();
    assert!(said.contains("the end was cut off"), "{said}");
    world.bridge.restart().await;
    world.finish().await;
}

//! Backup and restore as an operator does them.

use crate::bed::{Bed, Ended};
use crate::pg::Cluster;
use auth_manager::keys::master::MasterKey;
use auth_manager::store::{EndReason, KeyState, Store as _};
use std::os::unix::fs::PermissionsExt as _;

/// Somebody signed in, a key that signs, and a backup of both.
async fn backed_up() -> (Bed, auth_manager::store::Session) {
    let bed = Bed::new().await;
    let session = bed.visitor("alice").await;
    bed.run(&["keys", "rotate"]).await.ok();
    let said = bed.run(&["backup", "first.backup"]).await.ok();
    assert!(said.contains("read back and whole"), "{said}");
    (bed, session)
}

fn lost(bed: &Bed) {
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(bed.path(name));
    }
}

async fn restore(bed: &Bed, more: &[&str]) -> Ended {
    bed.run(&[&["restore", "first.backup"], more].concat())
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_comes_back_with_its_sessions_ended_and_a_new_key() {
    let (bed, session) = backed_up().await;
    let mode = std::fs::metadata(bed.path("first.backup"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!bed.path("first.backup.part").exists());
    // Nothing of it can be read without the key.
    let bytes = std::fs::read(bed.path("first.backup")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("alice") && !text.contains("signing_keys"));
    let again = bed.run(&["backup", "first.backup"]).await.failed();
    assert!(again.contains("first.backup is there"), "{again}");

    lost(&bed);
    let dry = restore(&bed, &["--dry-run"]).await.ok();
    assert!(
        dry.contains("is whole") && dry.contains("0 rows replaced"),
        "{dry}"
    );
    assert!(!bed.path("store.db").exists(), "a dry run makes nothing");
    let said = restore(&bed, &[]).await.ok();
    assert!(
        said.contains("1 session ended") && said.contains("signing keys revoked"),
        "{said}"
    );
    let store = bed.store().await;
    let restored = store.session(session.id).await.unwrap().unwrap();
    assert_eq!(restored.end_reason, Some(EndReason::Revoked));
    let revoked = store.signing_keys().await.unwrap();
    assert!(revoked.iter().all(|key| key.state == KeyState::Revoked));
    // The bridge makes a new key when it starts; so does this.
    bed.run(&["keys", "rotate"]).await.ok();
    let keys = bed.run(&["keys", "list", "--json"]).await.json();
    let signing = keys.as_array().unwrap().iter();
    let signing = signing.filter(|key| key["state"] == "signing").count();
    assert!(signing > 0, "{keys}");
    let shown = bed.run(&["users", "show", "alice"]).await.ok();
    assert!(shown.contains("remote-alice"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_holds_something_is_replaced_on_order_only_and_its_denials_stay() {
    let (bed, _) = backed_up().await;
    bed.run(&["users", "disable", "alice", "--reason", "left"])
        .await
        .ok();
    bed.person("bob").await;
    for more in [&[][..], &["--dry-run"]] {
        let refused = restore(&bed, more).await.failed();
        assert!(refused.contains("name --replace"), "{refused}");
    }
    let dry = restore(&bed, &["--replace", "--dry-run"]).await.ok();
    assert!(dry.contains("rows replaced"), "{dry}");
    bed.run(&["users", "show", "bob"]).await.ok();
    let said = restore(&bed, &["--replace"]).await.ok();
    assert!(said.contains("1 person disabled since"), "{said}");
    let shown = bed.run(&["users", "show", "alice"]).await.ok();
    assert!(
        shown.contains("disabled") && shown.contains("left"),
        "{shown}"
    );
    bed.run(&["users", "show", "bob"]).await.failed();
    restore(&bed, &["--replace", "--forget-denials"]).await.ok();
    let shown = bed.run(&["users", "show", "alice"]).await.ok();
    assert!(!shown.contains("disabled"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_changed_cut_or_is_of_another_key_touches_nothing() {
    let (bed, _) = backed_up().await;
    let good = std::fs::read(bed.path("first.backup")).unwrap();
    lost(&bed);
    let judge = async |what: &str, bytes: &[u8], says: &str| {
        std::fs::write(bed.path("first.backup"), bytes).unwrap();
        for more in [&["--dry-run"][..], &["--replace"]] {
            let refused = restore(&bed, more).await.failed();
            assert!(refused.contains(says), "{what}: {refused}");
            assert!(!bed.path("store.db").exists(), "{what}");
        }
    };
    judge("nothing", b"", "no backup of auth-manager").await;
    judge("another file", &[b'x'; 400], "no backup of auth-manager").await;
    let (body, end) = (good.len() / 2, good.len() - 1);
    for (what, at) in [("the middle", body), ("the end", end)] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        judge(what, &changed, "not").await;
    }
    // The salt, behind magic, version and key id.
    let mut salt = good.clone();
    salt[20 + 1 + 8 + 3] ^= 1;
    judge("the salt", &salt, "not").await;
    judge("cut", &good[..end], "cut off").await;
    judge("cut to the head", &good[..60], "cut off").await;
    let longer = [good.as_slice(), &good[good.len() - 200..]].concat();
    judge("longer", &longer, "not").await;

    let mine = std::fs::read(bed.path("master.key")).unwrap();
    std::fs::remove_file(bed.path("master.key")).unwrap();
    MasterKey::generate_file(&bed.path("master.key")).unwrap();
    judge("another key", &good, "which is not configured").await;
    // A former master key is enough.
    bed.secret("former.key", &String::from_utf8(mine).unwrap());
    bed.replace(
        "master_key = { file = \"master.key\" }",
        "master_key = { file = \"master.key\" }\nformer_master_keys = [{ file = \"former.key\" }]",
    );
    std::fs::write(bed.path("first.backup"), &good).unwrap();
    restore(&bed, &[]).await.ok();
    bed.run(&["users", "show", "alice"]).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_newer_program_is_refused_by_name() {
    let (bed, _) = backed_up().await;
    let db = rusqlite::Connection::open(bed.path("store.db")).unwrap();
    let newer = "INSERT INTO schema_versions (version, name, checksum) VALUES (900, 'later', 'x')";
    db.execute(newer, []).unwrap();
    drop(db);
    let refused = bed.run(&["backup", "second.backup"]).await.failed();
    assert!(
        refused.contains("version 900") && refused.contains("newer program"),
        "{refused}"
    );
    assert!(!bed.path("second.backup").exists() && !bed.path("second.backup.part").exists());

    // One that was made by it.
    let master = MasterKey::from_file(
        &bed.path("master.key"),
        auth_manager::keys::FileAccess::OwnerOnly,
    );
    let path = bed.path("later.backup");
    crate::later::write(&master.unwrap(), &path, 900);
    let refused = bed
        .run(&["restore", "later.backup", "--replace"])
        .await
        .failed();
    assert!(
        refused.contains("version 900") && refused.contains("9.9.9 or newer"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_moves_to_postgres_and_a_running_bridge_stops_a_restore() {
    let (bed, session) = backed_up().await;
    let held = bed.store().await;
    let refused = restore(&bed, &["--replace"]).await.failed();
    assert!(refused.contains("stop every replica first"), "{refused}");
    drop(held);

    let named = Cluster::shared().url();
    let folder = named.split(' ').find_map(|part| part.strip_prefix("host="));
    let folder = folder.unwrap();
    let (client, connection) = tokio_postgres::connect(&named, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE DATABASE moved").await.unwrap();
    bed.secret(
        "url",
        &format!("postgresql:///moved?user=postgres&host={folder}"),
    );
    bed.replace(
        "[store]\nsqlite = \"store.db\"",
        "[store]\n[store.postgres]\nurl = { file = \"url\" }",
    );
    restore(&bed, &[]).await.ok();
    let ended = bed
        .run(&["sessions", "list", "--all", "--json"])
        .await
        .json();
    assert_eq!(ended[0]["id"], session.id.to_string());
    assert_eq!(ended[0]["end_reason"], "revoked");
    let back = bed.run(&["backup", "second.backup"]).await.ok();
    assert!(back.contains("whole"), "{back}");
    let refused = bed.run(&["restore", "second.backup"]).await.failed();
    assert!(refused.contains("name --replace"), "{refused}");
    bed.run(&["restore", "second.backup", "--replace"])
        .await
        .ok();
    bed.run(&["users", "show", "alice"]).await.ok();
}

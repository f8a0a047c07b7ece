use crate::bed::{Bed, Ended};
use auth_manager::keys::derive::PasswordRoot;
use auth_manager::keys::master::{FileAccess, MasterKey};
use auth_manager::keys::rotation;

/// The verdicts about something: level and text.
fn about(report: &serde_json::Value, about: &str) -> Vec<(String, String)> {
    let text = |v: &serde_json::Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let all = report["verdicts"].as_array().unwrap();
    all.iter()
        .filter(|v| v["about"] == about)
        .map(|v| (text(v, "level"), text(v, "text")))
        .collect()
}

fn has(report: &serde_json::Value, what: &str, level: &str, words: &str) {
    let found = about(report, what);
    let there = |(l, text): &(String, String)| l == level && text.contains(words);
    assert!(
        found.iter().any(there),
        "{what} {level} {words}: {report:#}"
    );
}

async fn check(bed: &Bed, code: i32) -> serde_json::Value {
    let ended: Ended = bed.run(&["check", "--json"]).await;
    assert_eq!(ended.code, code, "{ended:?}");
    ended.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_well_with_the_app_there() {
    let (bed, _app, _runs) = Bed::with_app().await;
    let report = check(&bed, 0).await;
    assert_eq!(
        (&report["ok"], &report["errors"]),
        (&true.into(), &0.into())
    );
    has(
        &report,
        "app chat",
        "ok",
        "version 11.2.0, the bot's token is accepted",
    );
    has(&report, "issuer pomerium", "ok", "1 key");
    has(&report, "store", "ok", "empty");
    has(&report, "app chat", "note", "pass_identity_headers");
    assert!(!bed.path("store.db").exists(), "a check makes nothing");
    // For people: one line each, and a remedy below what needs one.
    let text = bed.run(&["check"]).await.ok();
    assert!(text.contains("ok       store"), "{text}");
    assert!(text.contains("0 errors"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_away_is_named() {
    let bed = Bed::new().await;
    let report = check(&bed, 1).await;
    has(&report, "app chat", "error", "does not answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_a_lesser_bot_and_a_wrong_address_are_named() {
    let (bed, app, _runs) = Bed::with_app().await;
    bed.secret("bot.token", "abcdefghijklmnopqrstuvwxyz");
    let report = check(&bed, 1).await;
    has(&report, "app chat: bot", "error", "not accepted");

    bed.secret("bot.token", &app.bot_token());
    app.patch_config(
        &serde_json::json!({ "ServiceSettings": { "SiteURL": "https://other.test" } }),
    );
    let report = check(&bed, 1).await;
    has(
        &report,
        "app chat: ServiceSettings.SiteURL",
        "error",
        "https://other.test",
    );
    assert!(!report.to_string().contains(&app.bot_token()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_that_opens_is_told_from_one_that_changed() {
    let (bed, _app, _runs) = Bed::with_app().await;
    let store = bed.store().await;
    let master = MasterKey::from_file(&bed.path("master.key"), FileAccess::OwnerOnly).unwrap();
    rotation::ensure(&store, &master, crate::bed::now(), &crate::bed::by())
        .await
        .unwrap();
    PasswordRoot::load(&store, &master).await.unwrap();
    has(
        &check(&bed, 0).await,
        "master key",
        "ok",
        "opens 3 signing keys",
    );

    std::fs::rename(bed.path("master.key"), bed.path("former.key")).unwrap();
    MasterKey::generate_file(&bed.path("master.key")).unwrap();
    let report = check(&bed, 1).await;
    has(&report, "master key", "error", "the master key changed");
    has(&report, "password root", "error", &master.id().to_string());

    bed.replace(
        "[keys]\n",
        "[keys]\nformer_master_keys = [{ file = \"former.key\" }]\n",
    );
    check(&bed, 0).await;

    bed.secret("master.key", "not a key");
    has(&check(&bed, 1).await, "master key", "error", "32 bytes");

    std::fs::remove_file(bed.path("master.key")).unwrap();
    let missing = bed.run(&["check"]).await;
    assert_eq!(missing.code, 78);
    assert!(
        missing.err.contains("master.key does not exist"),
        "{missing:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_can_not_be_used_is_named() {
    let bed = Bed::new().await;
    bed.write(
        "store.db",
        "this is no database, and longer than a header of one would be"
            .repeat(9)
            .as_str(),
    );
    has(&check(&bed, 1).await, "store", "error", "store.db");
    // The other commands say so too.
    let refused = bed.run(&["users", "list"]).await.failed();
    assert!(refused.contains("store.db"), "{refused}");
    bed.replace(
        "[store]\nsqlite = \"store.db\"",
        "[store]\n[store.postgres]\nurl = { file = \"url\" }",
    );
    bed.secret("url", "postgres://me:hunter2@127.0.0.1:1/x");
    let report = check(&bed, 1).await;
    has(&report, "store", "error", "PostgreSQL");
    assert!(!report.to_string().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_key_is_refused_with_the_nearest_right_one() {
    let bed = Bed::new().await;
    bed.replace("any_of", "anyof");
    for arguments in [&["check"][..], &["users", "list"], &["migrate"], &["serve"]] {
        let refused = bed.run(arguments).await;
        assert_eq!(refused.code, 78, "{refused:?}");
        assert!(refused.err.contains("any_of"), "{refused:?}");
    }
    let report = check(&bed, 78).await;
    assert_eq!(report["ok"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_can_not_be_had_are_named() {
    let bed = Bed::new().await;
    bed.write("jwks.json", "{\"keys\":null}");
    has(
        &check(&bed, 1).await,
        "issuer pomerium",
        "error",
        "the key set is empty",
    );
    bed.replace(
        "{ file = \"jwks.json\" }",
        "{ url = \"http://127.0.0.1:1/jwks.json\" }",
    );
    has(
        &check(&bed, 1).await,
        "issuer pomerium",
        "error",
        "can't be reached",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_says_from_where_to_where() {
    let bed = Bed::new().await;
    let missing = bed.run(&["users", "list"]).await.failed();
    assert!(missing.contains("auth-manager migrate"), "{missing}");
    let dry = bed.run(&["migrate", "--dry-run"]).await.ok();
    assert!(dry.contains("would be brought from none"), "{dry}");
    assert!(!bed.path("store.db").exists());
    let done = bed.run(&["migrate"]).await.ok();
    let db = rusqlite::Connection::open(bed.path("store.db")).unwrap();
    let newest = "SELECT max(version) FROM schema_versions";
    let newest: i64 = db.query_row(newest, [], |row| row.get(0)).unwrap();
    let to = format!("from none to version {newest}");
    assert!(done.contains(&to), "{done}");
    // A command does not migrate behind the back of an older bridge that is running.
    db.execute_batch(&format!(
        "CREATE TABLE kept AS SELECT * FROM schema_versions WHERE version = {newest};
         DELETE FROM schema_versions WHERE version = {newest}"
    ))
    .unwrap();
    let older = bed.run(&["users", "list"]).await.failed();
    assert!(older.contains("older version"), "{older}");
    has(
        &check(&bed, 1).await,
        "store",
        "warning",
        &format!("tables of version {}", newest - 1),
    );
    db.execute_batch("INSERT INTO schema_versions SELECT * FROM kept; DROP TABLE kept")
        .unwrap();
    let again = bed.run(&["migrate"]).await.ok();
    let have = format!("have version {newest}");
    assert!(again.contains(&have), "{again}");
    has(&check(&bed, 1).await, "store", "ok", "up to date");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_read_for_names_and_time() {
    let bed = Bed::new().await;
    let year = std::time::Duration::from_secs(366 * 86_400);
    let names = |name: &str| vec![name.to_owned()];
    for (folder, at) in [
        ("good", crate::bed::now()),
        ("old", crate::bed::now() - year * 4),
    ] {
        let (server, client) = (names("bridge.internal"), names("pomerium.internal"));
        auth_manager::tls::dev::write(&bed.path(folder), &server, &client, &[], at).unwrap();
    }
    bed.replace(
        "[store]",
        "[listen.proxy.tls]\ncertificate = \"good/server.pem\"\nkey = \"good/server-key.pem\"\n\
         client_ca = \"good/ca.pem\"\nclient_names = [\"pomerium.internal\"]\n[store]",
    );
    let tls = "listen.proxy.tls";
    let report = check(&bed, 1).await;
    has(&report, tls, "ok", "may name bridge.internal");
    has(&report, tls, "ok", "for pomerium.internal");
    bed.replace("good/server", "old/server");
    has(&check(&bed, 1).await, tls, "error", "expired");
    bed.replace("old/server-key", "good/server-key");
    has(&check(&bed, 1).await, tls, "error", "belong together");
}

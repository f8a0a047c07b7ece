//! `audit`: who is named, what is found, with the store and without it.

use crate::bed::{Bed, run};
use auth_manager::audit::chain::Mark;
use auth_manager::keys::Statement;
use auth_manager::store::{MarkKind, Store as _};
use rusqlite::Connection;

fn in_the_store(bed: &Bed, sql: &str) {
    let db = Connection::open(bed.path("store.db")).unwrap();
    db.execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changed_something_is_on_record_and_who_only_asked_is_not() {
    let bed = Bed::new().await;
    let session = bed.visitor("alice").await;
    bed.run(&["users", "disable", "alice", "--dry-run"])
        .await
        .ok();
    bed.run(&["users", "disable", "alice", "--reason", "has\u{1b}[2J left"])
        .await
        .ok();
    bed.run(&["users", "enable", "alice"]).await.ok();
    bed.run(&["accounts", "unlink", "alice", "chat"]).await.ok();
    bed.run(&["accounts", "link", "alice", "chat", "remote-new"])
        .await
        .ok();
    bed.run(&["sessions", "revoke", "--all"]).await.ok();
    bed.run(&["keys", "rotate"]).await.ok();

    let all = bed.run(&["audit", "list", "--json"]).await.json();
    let of = |kind: &str| {
        let all = all.as_array().unwrap().iter();
        let found = all.map(|r| &r["record"]).find(|r| r["kind"] == kind);
        found.unwrap_or_else(|| panic!("{kind} is not on record"))
    };
    let disabled = of("user.disabled");
    assert_eq!(disabled["actor"]["type"], "operator");
    assert_eq!(disabled["actor"]["via"], "cli");
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let named = disabled["actor"]["id"].as_str().unwrap();
    assert!(named.split(' ').next() == Some(&uid.to_string()), "{named}");
    assert_eq!(disabled["user"], session.user.to_string());
    assert_eq!(disabled["reason"], "has\\u{1b}[2J left");
    assert_eq!(of("session.ended")["code"], "user_disabled");
    assert_eq!(of("account.unlinked")["detail"]["remote"], "remote-alice");
    assert_eq!(of("account.link_ordered")["detail"]["remote"], "remote-new");
    assert_eq!(of("sessions.all_ended")["actor"]["type"], "operator");
    assert_eq!(of("key.signing")["actor"]["type"], "operator");
    of("user.enabled");
    let disablings = all.as_array().unwrap().iter();
    let disablings = disablings.filter(|r| r["record"]["kind"] == "user.disabled");
    assert_eq!(disablings.count(), 1, "a dry run changes nothing");

    // Lists are cut down to what is asked for, and name people for people.
    let arguments = [
        "audit",
        "list",
        "--user",
        "alice",
        "--kind",
        "user.disabled",
    ];
    let table = bed.run(&arguments).await.ok();
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(
        table.contains("alice") && table.contains("operator"),
        "{table}"
    );
    assert!(!table.contains('\u{1b}'));
    let newest = bed
        .run(&["audit", "list", "--limit", "1", "--json"])
        .await
        .json();
    assert_eq!(newest.as_array().unwrap().len(), 1);
    assert_eq!(newest[0]["number"], all.as_array().unwrap().len());
    let none = bed
        .run(&["audit", "list", "--since", "2100-01-01"])
        .await
        .ok();
    assert_eq!(none.trim(), "None.");
    let wrong = bed.run(&["audit", "list", "--kind", "user.disable"]).await;
    assert!(
        wrong.code == 2 && wrong.err.contains("user.disabled"),
        "{wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trail_is_judged_in_the_store_and_as_a_file_without_it() {
    let bed = Bed::new().await;
    bed.visitor("alice").await;
    let early = bed.run(&["audit", "verify"]).await.failed();
    assert!(early.contains("first starts"), "{early}");
    let key = bed.audit_key().await;
    for n in 0..3 {
        let what = if n % 2 == 0 { "disable" } else { "enable" };
        bed.run(&["users", what, "alice"]).await.ok();
    }
    let store = bed.store().await;
    let head = store.trail_head().await.unwrap();
    let token = Mark::of(head, crate::bed::now()).sign(&key, Statement::Checkpoint);
    store.put_checkpoint(head.number, &token).await.unwrap();
    let good = bed.run(&["audit", "verify"]).await.ok();
    let said = format!("records 1 to {} are as they were written", head.number);
    assert!(good.contains(&said), "{good}");

    // Elsewhere: a folder with the file and the key, no configuration, no store.
    let elsewhere = tempfile::tempdir().unwrap();
    let export = bed.run(&["audit", "export"]).await.ok();
    let place = |name: &str| elsewhere.path().join(name);
    std::fs::write(place("trail.jsonl"), &export).unwrap();
    std::fs::write(place("key.jwk"), bed.run(&["audit", "key"]).await.ok()).unwrap();
    let verify = [
        "audit",
        "verify",
        "--export",
        "trail.jsonl",
        "--key",
        "key.jwk",
    ];
    let good = run(elsewhere.path(), &verify, "").await.ok();
    assert!(good.contains(&said), "{good}");
    let piped = ["audit", "verify", "--export", "-", "--key", "key.jwk"];
    run(elsewhere.path(), &piped, &export).await.ok();
    let keyless = run(elsewhere.path(), &verify[..4], "").await;
    assert_eq!(keyless.code, 2, "{keyless:?}");

    let changed = export.replacen("user.disabled", "user.enabled", 1);
    std::fs::write(place("trail.jsonl"), &changed).unwrap();
    let bad = run(elsewhere.path(), &verify, "").await.failed();
    assert!(bad.contains("was changed"), "{bad}");
    // A key that is not the bridge's.
    let stranger = auth_manager::keys::AuditKey::from_seed(&[1; 32]).unwrap();
    std::fs::write(place("trail.jsonl"), &export).unwrap();
    std::fs::write(place("other.jwk"), stranger.public().jwk()).unwrap();
    let other = [
        "audit",
        "verify",
        "--export",
        "trail.jsonl",
        "--key",
        "other.jwk",
    ];
    let bad = run(elsewhere.path(), &other, "").await.failed();
    assert!(bad.contains("it is not the bridge's"), "{bad}");

    // A file of one's own is private, and not overwritten.
    let file = bed.path("export.jsonl");
    let file = file.to_str().unwrap();
    bed.run(&["audit", "export", "--output", file]).await.ok();
    let mode = std::fs::metadata(file).unwrap();
    let mode = std::os::unix::fs::MetadataExt::mode(&mode) & 0o777;
    assert_eq!(mode, 0o600);
    bed.run(&["audit", "export", "--output", file])
        .await
        .failed();

    in_the_store(
        &bed,
        "UPDATE audit_records SET body = replace(body, 'disabled', 'enabled') WHERE number = 3",
    );
    let bad = bed.run(&["audit", "verify"]).await.failed();
    assert!(bad.contains("record 3 was changed"), "{bad}");
    // And nothing is exported as good that is not.
    let refused = bed.run(&["audit", "export"]).await;
    assert!(
        refused.code == 1 && !refused.out.contains("\"end\""),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_cut_off_with_its_checkpoints_is_found_by_those_kept_elsewhere() {
    let bed = Bed::new().await;
    bed.visitor("alice").await;
    let key = bed.audit_key().await;
    bed.run(&["users", "disable", "alice"]).await.ok();
    let store = bed.store().await;
    let head = store.trail_head().await.unwrap();
    let token = Mark::of(head, crate::bed::now()).sign(&key, Statement::Checkpoint);
    store.put_checkpoint(head.number, &token).await.unwrap();
    std::fs::create_dir(bed.path("kept")).unwrap();
    bed.write("kept/day.jws", &format!("{token}\n"));
    bed.run(&["audit", "verify", "--checkpoints", "kept"])
        .await
        .ok();

    let last = head.number;
    in_the_store(
        &bed,
        &format!(
            "DELETE FROM audit_records WHERE number = {last};
             DELETE FROM audit_marks;
             UPDATE audit_head SET number = {last} - 1,
                 hash = (SELECT hash FROM audit_records WHERE number = {last} - 1)"
        ),
    );
    assert!(
        store
            .newest_trail_mark(MarkKind::Checkpoint)
            .await
            .unwrap()
            .is_none()
    );
    let blind = bed.run(&["audit", "verify"]).await.ok();
    assert!(
        blind.contains("without checkpoints from elsewhere"),
        "{blind}"
    );
    let bad = bed
        .run(&["audit", "verify", "--checkpoints", "kept"])
        .await
        .failed();
    assert!(bad.contains("the end was cut off"), "{bad}");
    // The configuration may name them, too.
    bed.replace("[keys]", "[audit]\ncheckpoints = \"kept\"\n[keys]");
    let bad = bed.run(&["audit", "verify"]).await.failed();
    assert!(bad.contains("the end was cut off"), "{bad}");
}

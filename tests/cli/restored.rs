//! A restore and the audit trail: what stands in it, and what checkpoints that were kept elsewhere say.

use crate::bed::Bed;
use auth_manager::audit::chain::Mark;
use auth_manager::keys::Statement;
use auth_manager::store::Store as _;
use auth_manager::types::Timestamp;

/// As a running bridge signs the end, also into the folder that is kept elsewhere.
async fn signed(bed: &Bed, file: &str, ago: i64) {
    let key = bed.audit_key().await;
    let store = bed.store().await;
    let head = store.trail_head().await.unwrap();
    let time = Timestamp(crate::bed::now().0 - ago);
    let token = Mark::of(head, time).sign(&key, Statement::Checkpoint);
    store.put_checkpoint(head.number, &token).await.unwrap();
    let path = bed.path(file);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(path, format!("{before}{token}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_is_on_record_and_what_was_signed_of_the_replaced_trail_is_told_from_a_forgery() {
    let bed = Bed::new().await;
    bed.visitor("alice").await;
    std::fs::create_dir(bed.path("kept")).unwrap();
    bed.replace("[keys]", "[audit]\ncheckpoints = \"kept\"\n[keys]");
    signed(&bed, "kept/checkpoints-old.jws", 100).await;
    bed.run(&["backup", "first.backup"]).await.ok();
    let kept = bed.store().await.trail_head().await.unwrap().number;
    // After the backup: a trail that the restore replaces.
    for what in ["disable", "enable", "disable", "enable"] {
        bed.run(&["users", what, "alice"]).await.ok();
        signed(&bed, "kept/checkpoints-old.jws", 50).await;
    }
    bed.run(&["audit", "verify"]).await.ok();
    bed.run(&["restore", "first.backup", "--replace"])
        .await
        .ok();

    let list = ["audit", "list", "--kind", "store.restored", "--json"];
    let recorded = bed.run(&list).await.json();
    assert_eq!(recorded.as_array().unwrap().len(), 1, "{recorded}");
    assert_eq!(
        recorded[0]["number"],
        kept + 1,
        "the first of the new trail"
    );
    let record = &recorded[0]["record"];
    assert_eq!(record["actor"]["type"], "operator");
    assert_eq!(record["detail"]["up_to"], kept);
    assert!(record["detail"]["made_at"].is_i64(), "{record}");

    let said = bed.run(&["audit", "verify"]).await.ok();
    assert!(said.contains("the store was restored at"), "{said}");
    assert!(
        said.contains("checkpoints are of what a restore replaced"),
        "{said}"
    );
    // What is signed from here on counts, whatever the replaced trail had at that number.
    bed.run(&["users", "disable", "alice"]).await.ok();
    signed(&bed, "kept/checkpoints-new.jws", -5).await;
    bed.run(&["audit", "verify"]).await.ok();

    // Without the signed word of the restore the old checkpoints contradict, and it is said what may
    // be behind it.
    let folder = std::fs::read_dir(bed.path("kept")).unwrap();
    let words = folder.map(|entry| entry.unwrap().path());
    let word = words.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        !name.contains("old") && !name.contains("new")
    });
    let [word] = &word.collect::<Vec<_>>()[..] else {
        panic!("one file of the restore")
    };
    let text = std::fs::read_to_string(word).unwrap();
    std::fs::remove_file(word).unwrap();
    let bad = bed.run(&["audit", "verify"]).await.failed();
    assert!(bad.contains("says that the store was restored"), "{bad}");
    assert!(bad.contains("was signed for"), "{bad}");

    // With it, a trail written anew since is found all the same.
    std::fs::write(word, text).unwrap();
    bed.run(&["audit", "verify"]).await.ok();
    let db = rusqlite::Connection::open(bed.path("store.db")).unwrap();
    db.execute_batch(
        "DELETE FROM audit_records WHERE number = (SELECT number FROM audit_head);
         DELETE FROM audit_marks WHERE number >= (SELECT number FROM audit_head);
         UPDATE audit_head SET number = number - 1,
             hash = (SELECT hash FROM audit_records r WHERE r.number = audit_head.number - 1)",
    )
    .unwrap();
    let bad = bed.run(&["audit", "verify"]).await.failed();
    assert!(bad.contains("the end was cut off"), "{bad}");
}

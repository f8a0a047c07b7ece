use crate::bed::{Bed, run};
use std::os::unix::fs::MetadataExt as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_folder_becomes_a_configuration_that_only_lacks_the_bot() {
    let folder = tempfile::tempdir().unwrap();
    let init = [
        "init",
        "--dev",
        "--dir",
        "new",
        "--host",
        "chat.example.test",
    ];

    let dry = run(folder.path(), &[&init[..], &["--dry-run"]].concat(), "")
        .await
        .ok();
    assert!(dry.contains("would write"), "{dry}");
    assert!(!folder.path().join("new").exists());

    let made = run(folder.path(), &init, "").await.ok();
    assert!(
        made.contains("Next:") && made.contains("bot.token"),
        "{made}"
    );
    let path = |name: &str| folder.path().join("new").join(name);
    for secret in ["master.key", "certs/server-key.pem", "certs/ca-key.pem"] {
        assert_eq!(
            std::fs::metadata(path(secret)).unwrap().mode() & 0o777,
            0o600
        );
    }
    let key = std::fs::read(path("master.key")).unwrap();
    let config = path("auth-manager.toml");
    let config = config.to_str().unwrap();

    let checked = run(folder.path(), &["check", "--config", config], "").await;
    assert_eq!(checked.code, 78);
    assert!(
        checked.err.contains("bot.token does not exist"),
        "{checked:?}"
    );
    assert!(checked.err.contains("There is 1 mistake"), "{checked:?}");

    let again = run(folder.path(), &init, "").await.ok();
    assert!(
        again.contains("kept") && !again.contains("wrote"),
        "{again}"
    );
    assert_eq!(std::fs::read(path("master.key")).unwrap(), key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_new_master_key_is_made_for_an_old_store() {
    let bed = Bed::new().await;
    std::fs::remove_file(bed.path("master.key")).unwrap();
    bed.write("auth-manager.db", "");
    let folder = bed.path("");
    let refused = run(&folder, &["init", "--dir", "."], "").await.failed();
    assert!(refused.contains("backup"), "{refused}");
    assert!(!bed.path("master.key").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_set_of_certificates_is_not_touched() {
    let bed = Bed::new().await;
    std::fs::create_dir(bed.path("certs")).unwrap();
    bed.write("certs/server.pem", "mine");
    let refused = run(&bed.path(""), &["init", "--dev", "--dir", "."], "")
        .await
        .failed();
    assert!(refused.contains("not all"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_certificates_of_its_own_it_says_where_they_go_and_whose_they_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["init", "--dir", "new"], "").await.ok();
    assert!(folder.path().join("new/certs").is_dir());
    assert!(made.contains("certs/README.md"), "{made}");
    assert!(
        made.contains("chown") && made.contains("{master.key,bot.token,certs}"),
        "{made}"
    );

    let made = run(folder.path(), &["init", "--plain", "--dir", "plain"], "")
        .await
        .ok();
    assert!(!folder.path().join("plain/certs").exists());
    assert!(made.contains("{master.key,bot.token}"), "{made}");
}

use crate::bed::{Bed, chat};
use auth_manager::store::{AccountState, Store as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_resolved_by_an_operator() {
    let bed = Bed::new().await;
    let alice = bed.person("alice").await;
    bed.visitor("bob").await;
    let store = bed.store().await;

    let taken = bed
        .run(&["accounts", "link", "alice", "chat", "remote-bob"])
        .await
        .failed();
    assert!(taken.contains("bob"), "{taken}");
    let dry = bed
        .run(&[
            "accounts",
            "link",
            "alice",
            "chat",
            "remote-old",
            "--dry-run",
        ])
        .await
        .ok();
    assert!(dry.contains("would be given"), "{dry}");
    assert!(store.account(&chat(), alice.id).await.unwrap().is_none());
    bed.run(&["accounts", "link", "alice", "chat", "remote-old"])
        .await
        .ok();
    let account = store.account(&chat(), alice.id).await.unwrap().unwrap();
    // The next sign-in adopts it: identity::ensure reads just this.
    assert_eq!(account.remote.unwrap().as_str(), "remote-old");
    assert_eq!(account.state, AccountState::Intent);

    let dry = bed
        .run(&["accounts", "unlink", "bob", "chat", "--dry-run"])
        .await
        .ok();
    assert!(dry.contains("1 session would end"), "{dry}");
    let done = bed.run(&["accounts", "unlink", "bob", "chat"]).await.ok();
    assert!(done.contains("1 session ended"), "{done}");
    let list = bed
        .run(&["accounts", "list", "--state", "conflict", "--json"])
        .await
        .json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["remote"], serde_json::Value::Null);
    bed.run(&["accounts", "link", "alice", "chat", "remote-bob"])
        .await
        .ok();
    let shown = bed.run(&["accounts", "show", "alice"]).await.ok();
    assert!(shown.contains("remote-bob"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_forbids_adoption_is_named_before_anything_is_written() {
    let bed = Bed::new().await;
    let alice = bed.person("alice").await;
    bed.replace("link = \"operator\"", "link = \"never\"");
    let refused = bed
        .run(&["accounts", "link", "alice", "chat", "remote-old"])
        .await
        .failed();
    assert!(refused.contains("link = \"operator\""), "{refused}");
    assert!(
        bed.store()
            .await
            .account(&chat(), alice.id)
            .await
            .unwrap()
            .is_none()
    );
}

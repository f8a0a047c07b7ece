//! What the bridge knows of a person, and forgetting it.

use crate::bed::Bed;
use auth_manager::store::{Store as _, UserState};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_all_of_one_person_and_no_secret() {
    let bed = Bed::new().await;
    let session = bed.visitor("alice").await;
    bed.visitor("bob").await;
    bed.run(&["sessions", "revoke", "--user", "alice"])
        .await
        .ok();
    let all = bed.run(&["users", "export", "alice"]).await;
    assert_eq!(all.code, 0, "{all:?}");
    assert!(
        !all.out.contains("bob") && !all.out.contains("sealed"),
        "{}",
        all.out
    );
    let all = all.json();
    assert_eq!(all["person"]["subject"], "sub-alice");
    assert_eq!(all["tables"]["users"][0]["email"], "alice@example.test");
    assert_eq!(all["tables"]["accounts"][0]["remote"], "remote-alice");
    assert_eq!(all["tables"]["sessions"][0]["id"], session.id.to_string());
    assert_eq!(all["tables"]["tombstones"][0]["sid"], "sid-alice");
    assert!(
        all["stays_after_erasure"]["tombstones"].is_string(),
        "{all}"
    );
    assert!(all["elsewhere"].as_array().unwrap().len() > 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasing_waits_for_the_app_says_what_stays_and_can_be_forced() {
    let bed = Bed::new().await;
    let session = bed.visitor("alice").await;
    let dry = bed
        .run(&["users", "erase", "alice", "--dry-run"])
        .await
        .ok();
    assert!(dry.contains("1 session would end"), "{dry}");
    assert!(
        dry.contains("the account remote-alice in chat: delete it there"),
        "{dry}"
    );
    bed.run(&["users", "show", "alice"]).await.ok();

    // The part of a running bridge, which tells the app and then forgets the token.
    let store = bed.store().await;
    let bridge = tokio::spawn(async move {
        loop {
            if let [session] = store.unclosed_sessions(9).await.unwrap().as_slice() {
                store.session_closed(session.id).await.unwrap();
                return session.id;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let said = bed.run(&["users", "erase", "alice"]).await.ok();
    assert_eq!(bridge.await.unwrap(), session.id);
    assert!(
        said.contains("1 sessions, 1 accounts, 1 users; 1 session ended"),
        "{said}"
    );
    assert!(said.contains("1 in tombstones:"), "{said}");
    // That it was done stays on record, by the id that nobody is called by.
    let erasures = ["audit", "list", "--kind", "user.erased", "--json"];
    let recorded = bed.run(&erasures).await.json();
    assert_eq!(recorded.as_array().unwrap().len(), 1, "{recorded}");
    let record = &recorded[0]["record"];
    assert_eq!(record["user"], session.user.to_string());
    assert_eq!(record["actor"]["type"], "operator");
    assert!(!record.to_string().contains("alice"), "{record}");
    bed.run(&["users", "show", "alice"]).await.failed();

    // No bridge runs: nothing is erased but on order.
    let carol = bed.visitor("carol").await;
    let refused = bed.run(&["users", "erase", "carol"]).await.failed();
    let recorded = bed.run(&erasures).await.json();
    assert_eq!(recorded.as_array().unwrap().len(), 1, "nothing was erased");
    assert!(
        refused.contains("1 is not ended in the app yet"),
        "{refused}"
    );
    let store = bed.store().await;
    assert!(
        store
            .session(carol.id)
            .await
            .unwrap()
            .unwrap()
            .ended_at
            .is_some(),
        "ended all the same"
    );
    bed.run(&["users", "disable", "carol"]).await.ok();
    let said = bed.run(&["users", "erase", "carol", "--force"]).await.ok();
    assert!(said.contains("they stay disabled"), "{said}");
    let stub = store.user(carol.user).await.unwrap().unwrap();
    assert_eq!((stub.state, stub.email.as_str()), (UserState::Disabled, ""));
}

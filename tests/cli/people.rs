use crate::bed::Bed;
use auth_manager::store::{EndReason, Store as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_disabled_and_enabled() {
    let bed = Bed::new().await;
    let session = bed.visitor("alice").await;
    bed.person("bob").await;

    let dry = bed
        .run(&["users", "disable", "alice", "--dry-run"])
        .await
        .ok();
    assert!(dry.contains("1 session would end"), "{dry}");
    let done = bed
        .run(&[
            "users",
            "disable",
            "ALICE@example.test",
            "--reason",
            "has left",
        ])
        .await
        .ok();
    assert!(done.contains("is disabled; 1 session ended"), "{done}");
    let ended = bed
        .store()
        .await
        .session(session.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.end_reason, Some(EndReason::UserDisabled));
    let again = bed.run(&["users", "disable", "alice"]).await.ok();
    assert!(again.contains("already"), "{again}");

    let disabled = bed
        .run(&["users", "list", "--state", "disabled", "--json"])
        .await
        .json();
    assert_eq!(disabled.as_array().unwrap().len(), 1);
    assert_eq!(disabled[0]["username"], "alice");
    assert_eq!(disabled[0]["state_reason"], "has left");

    bed.run(&["users", "enable", "sub-alice"]).await.ok();
    let all = bed.run(&["users", "list", "--json"]).await.json();
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .all(|u| u["state"] == "active")
    );
    let shown = bed.run(&["users", "show", "alice"]).await.ok();
    assert!(
        shown.contains("remote-alice") && shown.contains("sub-alice"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_found_or_not_one_is_asked_for_again() {
    let bed = Bed::new().await;
    let alice = bed.person("alice").await;
    bed.person("alicia").await;
    let near = bed.run(&["users", "show", "ali"]).await.failed();
    assert!(
        near.contains("alice@example.test") && near.contains("alicia@example.test"),
        "{near}"
    );
    let nobody = bed.run(&["users", "show", "zoe"]).await.failed();
    assert!(nobody.contains("users list"), "{nobody}");

    // Somebody who calls themselves by another's address does not stand in for them.
    let mut seen = bed.person("mallory").await;
    let borrowed = auth_manager::store::SeenUser {
        issuer: seen.issuer.clone(),
        subject: seen.subject.clone(),
        email: "alice@example.test".into(),
        email_verified: false,
        name: String::new(),
        username: Some("sub-alice".into()),
        locale: None,
        groups: Vec::new(),
        at: crate::bed::now(),
    };
    seen = bed.store().await.saw_user(&borrowed).await.unwrap();
    let both = bed
        .run(&["users", "disable", "alice@example.test"])
        .await
        .failed();
    assert!(
        both.contains(&seen.id.to_string()) && both.contains(&alice.id.to_string()),
        "{both}"
    );
    let by_sub = bed
        .run(&["users", "show", "sub-alice", "--json"])
        .await
        .json();
    assert_eq!(by_sub["user"]["id"], alice.id.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_have_no_last_page() {
    let bed = Bed::new().await;
    let store = bed.store().await;
    // One page has 1000.
    for n in 0..1005 {
        let seen = auth_manager::store::SeenUser {
            issuer: auth_manager::types::IssuerId::new("pomerium").unwrap(),
            subject: auth_manager::types::Subject::new(format!("s{n}")).unwrap(),
            email: String::new(),
            email_verified: false,
            name: String::new(),
            username: None,
            locale: None,
            groups: Vec::new(),
            at: crate::bed::now(),
        };
        store.saw_user(&seen).await.unwrap();
    }
    let all = bed.run(&["users", "list", "--json"]).await.json();
    assert_eq!(all.as_array().unwrap().len(), 1005);
}

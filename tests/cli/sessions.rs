use crate::bed::{Bed, chat, now};
use auth_manager::store::{EndReason, Store as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_listed_shown_and_revoked() {
    let bed = Bed::new().await;
    let alice = bed.visitor("alice").await;
    let bob = bed.visitor("bob").await;
    let id = alice.id.to_string();
    assert!(id.starts_with('-'), "the harder case");

    let list = bed.run(&["sessions", "list"]).await.ok();
    assert!(list.contains("alice") && list.contains("bob"), "{list}");
    assert!(!list.contains('\u{1b}'), "no terminal's escapes");
    let json = bed
        .run(&["sessions", "list", "--user", "alice", "--json"])
        .await;
    assert!(!json.out.contains("sealed"), "{json:?}");
    assert_eq!(json.json().as_array().unwrap().len(), 1);
    let shown = bed.run(&["sessions", "show", &id]).await.ok();
    assert!(shown.contains("sid-alice"), "{shown}");

    let dry = bed
        .run(&["sessions", "revoke", &id, "--dry-run"])
        .await
        .ok();
    assert!(dry.contains("1 session would end"), "{dry}");
    let done = bed.run(&["sessions", "revoke", &id]).await.ok();
    assert!(done.contains("1 session ended"), "{done}");
    let store = bed.store().await;
    let ended = store.session(alice.id).await.unwrap().unwrap();
    assert_eq!(ended.end_reason, Some(EndReason::Revoked));
    let stone = store
        .tombstone(&chat(), &alice.issuer, &alice.subject, &alice.sid, now())
        .await
        .unwrap()
        .expect("the sign-in does not come back");
    let day = 25 * 3600;
    assert!(
        (day - 60..=day).contains(&(stone.until.0 - now().0)),
        "{stone:?}"
    );
    let again = bed.run(&["sessions", "revoke", &id]).await.failed();
    assert!(again.contains("already"), "{again}");

    let dry = bed
        .run(&["sessions", "revoke", "--all", "--dry-run"])
        .await
        .ok();
    assert!(dry.contains("1 session would end"), "{dry}");
    bed.run(&["sessions", "revoke", "--user", "bob", "--app", "chat"])
        .await
        .ok();
    assert!(
        store
            .session(bob.id)
            .await
            .unwrap()
            .unwrap()
            .ended_at
            .is_some()
    );
    let none = bed.run(&["sessions", "list"]).await.ok();
    assert_eq!(none.trim(), "None.");
    let all = bed
        .run(&["sessions", "list", "--all", "--json"])
        .await
        .json();
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_revoked_must_be_said() {
    let bed = Bed::new().await;
    bed.visitor("alice").await;
    let usage = bed.run(&["sessions", "revoke"]).await;
    assert_eq!(usage.code, 2, "{usage:?}");
    let unknown = bed
        .run(&["sessions", "revoke", &"A".repeat(43)])
        .await
        .failed();
    assert!(unknown.contains("sessions list"), "{unknown}");
    let app = bed
        .run(&["sessions", "revoke", "--user", "alice", "--app", "wiki"])
        .await
        .failed();
    assert!(app.contains("configured: chat"), "{app}");
    let all = bed.run(&["sessions", "revoke", "--all"]).await.ok();
    assert!(all.contains("1 session ended"), "{all}");
}

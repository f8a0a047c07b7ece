//! `/api/v1/jobs`.

use crate::desk::{Desk, no, nothing};
use auth_manager::jobs::wish;
use auth_manager::store::{JobStore as _, Priority, SqliteStore, Store as _, TrailFilter};
use auth_manager::types::{AppId, Timestamp, UserId};

/// A time that is far away: nothing of this test is ever begun.
const LATER: Timestamp = Timestamp(4_000_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_retried_and_taken_out_and_it_is_on_record() {
    let desk = Desk::start().await;
    let path = desk.services.world.bridge.folder().join("auth-manager.db");
    let store = SqliteStore::open(path).await.unwrap();
    let chat = AppId::new("chat").unwrap();
    // Of an app that is not configured, so that whoever carries out this kind leaves it alone.
    let wiki = AppId::new("wiki").unwrap();
    let user = UserId::generate();
    let mut wishes = vec![wish::converge(
        &chat,
        user,
        Priority::Grant,
        LATER,
        "joined",
    )];
    for _ in 0..3 {
        let wish = wish::converge(&wiki, UserId::generate(), Priority::Deny, LATER, "left");
        wishes.push(wish);
    }
    let made = store
        .enqueue(&wishes, Timestamp(1_800_000_000))
        .await
        .unwrap();
    let (page, _) = desk.read("/api/v1/jobs?app=wiki&limit=2").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = page["next"].as_str().unwrap().to_owned();
    let (rest, _) = desk.read(&next).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert!(rest.get("next").is_none());
    let (about, _) = desk
        .read(&format!(
            "/api/v1/jobs?user={user}&state=pending&kind=converge"
        ))
        .await;
    let job = &about["items"][0];
    assert_eq!(job["id"], made[0].id.to_string());
    assert_eq!(
        (&job["why"], &job["priority"]),
        (&"joined".into(), &"grant".into())
    );
    // What may hold what people are called stays in the house.
    assert!(job.get("payload").is_none() && job.get("key").is_none());

    let one = format!("/api/v1/jobs/{}", made[1].id);
    let dry = desk
        .done(&format!("{one}/cancel?dry_run=true"), &[], nothing())
        .await;
    assert_eq!(
        (&dry["dry_run"], &dry["job"]["state"]),
        (&true.into(), &"pending".into())
    );
    let (still, _) = desk.read(&one).await;
    assert_eq!(still["state"], "pending");
    let done = desk.done(&format!("{one}/cancel"), &[], nothing()).await;
    assert_eq!(done["job"]["state"], "cancelled");
    for order in ["retry", "cancel"] {
        let refused = desk
            .refused(&format!("{one}/{order}"), &[], nothing())
            .await;
        assert_eq!(refused, no(409, "api.conflict"));
    }
    let other = format!("/api/v1/jobs/{}", made[2].id);
    let done = desk.done(&format!("{other}/retry"), &[], nothing()).await;
    assert_eq!(done["job"]["attempts"], 0);
    assert!(done["job"]["due_at"].as_i64().unwrap() < LATER.0);
    let nobody = format!("/api/v1/jobs/{}/retry", uuid::Uuid::now_v7());
    let refused = desk.refused(&nobody, &[], nothing()).await;
    assert_eq!(refused, no(404, "api.not_found"));

    // All that are dead, by one call: those of one place, and none that is not dead.
    let them = UserId::generate();
    let dead = wish::converge(&wiki, them, Priority::Grant, LATER, "failed");
    let dead = store.enqueue(&[dead], LATER).await.unwrap()[0].id;
    let db =
        rusqlite::Connection::open(desk.services.world.bridge.folder().join("auth-manager.db"));
    let sql = "UPDATE jobs SET state = 'dead', attempts = 10, error = 'no' WHERE id = ?1";
    assert_eq!(db.unwrap().execute(sql, [dead.to_string()]).unwrap(), 1);
    let all = "/api/v1/jobs/retry";
    let none = desk
        .done(all, &[], serde_json::json!({ "app": "chat" }))
        .await;
    assert_eq!((&none["jobs"], &none["more"]), (&0.into(), &false.into()));
    let of = serde_json::json!({ "user": them });
    let dry = desk
        .done(&format!("{all}?dry_run=true"), &[], of.clone())
        .await;
    assert_eq!((&dry["dry_run"], &dry["jobs"]), (&true.into(), &1.into()));
    let (still, _) = desk.read(&format!("/api/v1/jobs/{dead}")).await;
    assert_eq!(still["state"], "dead");
    let done = desk.done(all, &[], of).await;
    assert_eq!(
        (&done["dry_run"], &done["jobs"]),
        (&false.into(), &1.into())
    );
    let (alive, _) = desk.read(&format!("/api/v1/jobs/{dead}")).await;
    assert_ne!(alive["state"], "dead");
    let body = serde_json::json!({ "state": "pending" });
    let refused = desk.refused(all, &[], body).await;
    assert_eq!(refused.0, 422);

    let filter = TrailFilter {
        kinds: vec!["job.retried".into(), "job.cancelled".into()],
        ..TrailFilter::default()
    };
    let trail = store.trail(&filter).await.unwrap();
    let kinds: Vec<_> = trail.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["job.cancelled", "job.retried", "job.retried"]);
    assert!(trail.iter().all(|record| record.body.contains("helpdesk")));
    desk.finish().await;
}

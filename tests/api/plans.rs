//! `/api/v1/plans`: what waits for a person's word, decided about by a service.

use crate::desk::{Desk, no, nothing};
use crate::support::eventually;
use auth_manager::audit::Audit;
use auth_manager::reconcile::plan::{PersonStep, Plan, VERSION, What, digest_of};
use auth_manager::store::{
    DirectoryStore as _, Person, PlanState, PlanStore as _, SqliteStore, Store as _, StoredPlan,
    TrailFilter,
};
use auth_manager::types::{AppId, Clock as _, IssuerId, SourceId, Subject, SystemClock};
use std::sync::Arc;
use uuid::Uuid;

/// Somebody whom a SCIM client has let go.
fn gone(id: &str) -> Person {
    Person {
        source: SourceId::new("idp").unwrap(),
        id: id.into(),
        aliases: Vec::new(),
        issuer: IssuerId::new("pomerium").unwrap(),
        subject: Some(Subject::new(format!("sub-{id}")).unwrap()),
        username: id.into(),
        name: String::new(),
        email: String::new(),
        email_verified: false,
        locale: None,
        active: false,
        human: true,
        groups: Vec::new(),
        read_at: SystemClock.now(),
        gone_at: None,
    }
}

/// A plan about their accounts, as a look at the app holds it.
async fn hold(store: &SqliteStore, of: &[Person], app: &str) -> Uuid {
    let app = AppId::new(app).unwrap();
    let step = |person: &Person| PersonStep {
        id: person.id.clone(),
        what: What::Deactivated,
        gains: Vec::new(),
        loses: vec![app.clone()],
        before: Some(digest_of(person)),
        after: digest_of(person),
    };
    let plan = Plan {
        version: VERSION,
        id: Uuid::now_v7(),
        source: SourceId::new("idp").unwrap(),
        app: Some(app.clone()),
        made_at: SystemClock.now(),
        present: 20,
        groups: Vec::new(),
        people: of.iter().map(step).collect(),
        held: Some("too many".into()),
    };
    let stored = StoredPlan {
        id: plan.id,
        source: plan.source.clone(),
        app: plan.app.clone(),
        state: PlanState::Held,
        digest: format!("{:?}", plan.people),
        why: "too many".into(),
        body: serde_json::to_string(&plan).unwrap(),
        made_at: plan.made_at,
        state_since: plan.made_at,
        by: String::new(),
    };
    store.hold_plan(&stored).await.unwrap().id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_are_listed_shown_approved_and_dismissed_and_it_is_on_record() {
    let desk = Desk::start().await;
    let path = desk.services.world.bridge.folder().join("auth-manager.db");
    let store = SqliteStore::open(path).await.unwrap();
    let people = [gone("p1"), gone("p2")];
    let by = Audit::new(Arc::new(SystemClock), Default::default()).bridge();
    for person in &people {
        store.put_person(person, person.read_at, &by).await.unwrap();
    }
    let yes = hold(&store, &people, "chat").await;
    let dropped = hold(&store, &people[..1], "wiki").await;

    let (page, _) = desk.read("/api/v1/plans?state=held&limit=1").await;
    assert_eq!(page["items"][0]["id"], yes.to_string());
    let next = page["next"].as_str().expect("another page").to_owned();
    let (page, _) = desk.read(&next).await;
    assert_eq!(page["items"][0]["id"], dropped.to_string());
    let one = format!("/api/v1/plans/{yes}");
    let (plan, tag) = desk.read(&one).await;
    assert_eq!(plan["summary"]["losing"], 2, "{plan}");
    assert_eq!(plan["people"][1]["id"], "p2");
    assert_eq!(plan["app"], "chat");

    let approve = format!("{one}/approve");
    let dry = desk
        .done(&format!("{approve}?dry_run=true"), &[], nothing())
        .await;
    assert_eq!((&dry["dry_run"], &dry["losing"]), (&true.into(), &2.into()));
    let other = [("if-match", "\"another\"")];
    let refused = desk.refused(&approve, &other, nothing()).await;
    assert_eq!(refused, no(412, "api.precondition"));
    let watcher = desk.services.named(&["watcher.internal"]);
    let reply = watcher.post(&approve, &[], "{}").await;
    assert_eq!((reply.status, reply.code()), no(403, "api.scope"));
    assert_eq!(watcher.get(&one).await.status, 403);
    assert_eq!(desk.read(&one).await.0["state"], "held", "nothing was done");

    let reply = desk.act(&approve, &[("if-match", &tag)], nothing()).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let job = reply.json()["job"].as_str().expect("a job").to_owned();
    eventually("the plan's end", || async {
        let (plan, _) = desk.read(&one).await;
        (plan["state"] == "applied").then_some(())
    })
    .await;
    let (job, _) = desk.read(&format!("/api/v1/jobs/{job}")).await;
    assert_eq!(
        (&job["state"], &job["kind"]),
        (&"done".into(), &"sweep".into())
    );
    let refused = desk.refused(&approve, &[], nothing()).await;
    assert_eq!(refused, no(409, "api.conflict"));

    let dismiss = format!("/api/v1/plans/{dropped}/dismiss");
    desk.done(&dismiss, &[], nothing()).await;
    let (plan, _) = desk.read(&format!("/api/v1/plans/{dropped}")).await;
    assert_eq!(
        (&plan["state"], &plan["by"]),
        (&"dismissed".into(), &"helpdesk".into())
    );
    let nobody = format!("/api/v1/plans/{}/approve", Uuid::now_v7());
    let refused = desk.refused(&nobody, &[], nothing()).await;
    assert_eq!(refused, no(404, "api.not_found"));

    let filter = TrailFilter {
        kinds: ["plan.approved", "plan.applied", "plan.dismissed"]
            .map(String::from)
            .into(),
        ..TrailFilter::default()
    };
    let trail = store.trail(&filter).await.unwrap();
    let kinds: Vec<_> = trail.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["plan.approved", "plan.applied", "plan.dismissed"]);
    assert!(trail.iter().all(|record| record.body.contains("helpdesk")));
    desk.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_whose_people_are_others_by_now_is_not_carried_out() {
    let desk = Desk::start().await;
    let path = desk.services.world.bridge.folder().join("auth-manager.db");
    let store = SqliteStore::open(path).await.unwrap();
    let by = Audit::new(Arc::new(SystemClock), Default::default()).bridge();
    let person = gone("p1");
    store
        .put_person(&person, person.read_at, &by)
        .await
        .unwrap();
    let plan = hold(&store, std::slice::from_ref(&person), "chat").await;
    let back = Person {
        active: true,
        ..person
    };
    store.put_person(&back, back.read_at, &by).await.unwrap();
    let reply = desk
        .act(&format!("/api/v1/plans/{plan}/approve"), &[], nothing())
        .await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let job = reply.json()["job"].as_str().expect("a job").to_owned();
    let job = eventually("the job's end", || async {
        let (job, _) = desk.read(&format!("/api/v1/jobs/{job}")).await;
        (job["state"] == "dead").then_some(job)
    })
    .await;
    let why = job["error"].as_str().unwrap_or_default();
    assert!(why.contains("nothing was done"), "{job}");
    let (plan, _) = desk.read(&format!("/api/v1/plans/{plan}")).await;
    assert_eq!(plan["state"], "held");
    desk.finish().await;
}

use crate::bed::{Bed, chat, now};
use auth_manager::jobs::wish;
use auth_manager::store::{
    Job, JobClaim, JobEnd, JobKind, JobState, JobStore as _, Priority, Store as _, TrailFilter,
};
use std::time::Duration;

/// Begins everything that is due, and lets it die.
async fn all_die(bed: &Bed) -> Vec<Job> {
    let store = bed.store().await;
    let claim = JobClaim {
        holder: "test".into(),
        lease: Duration::from_secs(60),
        limit: 100,
        kinds: JobKind::ALL.to_vec(),
        least: Priority::Background,
        without_apps: Vec::new(),
        without_sources: Vec::new(),
        busy: Vec::new(),
    };
    let jobs = store.claim_jobs(&claim, now()).await.unwrap();
    for job in &jobs {
        let end = JobEnd::Dead {
            error: "it is \u{1b}[31mred".into(),
        };
        assert!(store.finish_job(job.id, "test", &end, now()).await.unwrap());
    }
    jobs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dead_is_seen_and_retried_by_one_command() {
    let bed = Bed::new().await;
    let alice = bed.person("alice").await;
    let store = bed.store().await;
    let source = "hr".parse().unwrap();
    let wishes = [
        wish::converge(&chat(), alice.id, Priority::Grant, now(), "joined a group"),
        wish::sweep(&source, now(), "by the clock"),
    ];
    store.enqueue(&wishes, now()).await.unwrap();
    let waiting = bed.run(&["jobs", "list"]).await.ok();
    assert!(
        waiting.contains("joined a group") && waiting.contains("pending"),
        "{waiting}"
    );
    let none = bed.run(&["jobs", "list", "--dead"]).await.ok();
    assert_eq!(none.trim(), "None.");

    let jobs = all_die(&bed).await;
    assert_eq!(jobs.len(), 2);
    let dead = bed.run(&["jobs", "list", "--dead"]).await.ok();
    assert!(dead.contains("hr") && dead.contains("chat"), "{dead}");
    assert!(!dead.contains('\u{1b}'), "no terminal's escapes");
    let one = jobs
        .iter()
        .find(|job| job.kind == JobKind::Converge)
        .unwrap();
    let id = one.id.to_string();
    let shown = bed.run(&["jobs", "show", &id]).await.ok();
    assert!(shown.contains("alice") && shown.contains("red"), "{shown}");
    let json = bed
        .run(&["jobs", "list", "--user", "alice", "--json"])
        .await
        .json();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(json[0]["state"], "dead");

    let dry = bed
        .run(&["jobs", "retry", "--dead", "--dry-run"])
        .await
        .ok();
    assert!(dry.contains("2 jobs would be due"), "{dry}");
    assert_eq!(
        store.job(one.id).await.unwrap().unwrap().state,
        JobState::Dead
    );
    let some = bed
        .run(&["jobs", "retry", "--dead", "--app", "chat"])
        .await
        .ok();
    assert!(some.contains("1 job due now"), "{some}");
    let rest = bed.run(&["jobs", "retry", "--dead", "--json"]).await.json();
    assert_eq!(rest.as_array().unwrap().len(), 1);
    assert_eq!(rest[0]["kind"], "sweep");
    let job = store.job(one.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Pending, 0));

    let dry = bed.run(&["jobs", "cancel", &id, "--dry-run"]).await.ok();
    assert!(dry.contains("would be taken out"), "{dry}");
    let done = bed.run(&["jobs", "cancel", &id, "--json"]).await.json();
    assert_eq!(done["state"], "cancelled");
    let again = bed.run(&["jobs", "cancel", &id]).await.failed();
    assert!(again.contains("cancelled"), "{again}");
    let open = bed.run(&["jobs", "list", "--json"]).await.json();
    assert_eq!(open.as_array().unwrap().len(), 1);
    let all = bed.run(&["jobs", "list", "--all", "--json"]).await.json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let filter = TrailFilter {
        kinds: vec!["job.retried".into(), "job.cancelled".into()],
        ..TrailFilter::default()
    };
    let trail = store.trail(&filter).await.unwrap();
    assert_eq!(trail.len(), 3);
    assert!(trail.iter().all(|record| record.body.contains("operator")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_or_is_not_there_is_left_alone_and_what_is_meant_must_be_said() {
    let bed = Bed::new().await;
    let store = bed.store().await;
    store.ping().await.unwrap();
    let unknown = uuid::Uuid::now_v7().to_string();
    for command in ["show", "retry", "cancel"] {
        let refused = bed.run(&["jobs", command, &unknown]).await.failed();
        assert!(refused.contains("jobs list"), "{refused}");
    }
    for wrong in [
        &["jobs", "retry"][..],
        &["jobs", "retry", "--app", "chat"],
        &["jobs", "retry", &unknown, "--dead"],
        &["jobs", "retry", &unknown, "--app", "chat"],
        &["jobs", "list", "--state", "asleep"],
        &["jobs", "list", "--kind", "teleport"],
    ] {
        let usage = bed.run(wrong).await;
        assert_eq!(usage.code, 2, "{wrong:?} {usage:?}");
    }
    let source = "hr".parse().unwrap();
    let made = store
        .enqueue(&[wish::sweep(&source, now(), "")], now())
        .await
        .unwrap();
    let claim = JobClaim {
        holder: "test".into(),
        lease: Duration::from_secs(60),
        limit: 1,
        kinds: JobKind::ALL.to_vec(),
        least: Priority::Background,
        without_apps: Vec::new(),
        without_sources: Vec::new(),
        busy: Vec::new(),
    };
    assert_eq!(store.claim_jobs(&claim, now()).await.unwrap().len(), 1);
    let id = made[0].id.to_string();
    for command in ["retry", "cancel"] {
        let refused = bed.run(&["jobs", command, &id]).await.failed();
        assert!(refused.contains("running"), "{refused}");
    }
}

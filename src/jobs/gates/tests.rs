use super::*;
use crate::store::{JobKind, JobState};
use crate::types::Timestamp;
use uuid::Uuid;

const LIMITS: Limits = Limits {
    app_rate: 100,
    source_rate: 100,
    rest: Duration::from_secs(5),
    urgent: 3,
    others: 2,
};

fn job(app: &str, priority: Priority) -> Job {
    Job {
        id: Uuid::now_v7(),
        kind: JobKind::Converge,
        key: "k".into(),
        lane: "l".into(),
        app: (!app.is_empty()).then(|| AppId::new(app).unwrap()),
        source: None,
        user: None,
        priority,
        payload: "{}".into(),
        why: String::new(),
        state: JobState::Running,
        attempts: 1,
        due_at: Timestamp(0),
        again: false,
        holder: Some("h".into()),
        leased_until: Some(Timestamp(60)),
        error: String::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

fn enter(gates: &mut Gates, app: &str, priority: Priority, now: Instant) -> bool {
    gates.enter(&job(app, priority), now).is_some()
}

#[test]
fn what_hangs_leaves_room_for_what_takes_access_away() {
    let (mut gates, now) = (Gates::new(LIMITS), Instant::now());
    assert!(enter(&mut gates, "chat", Priority::Grant, now));
    assert!(enter(&mut gates, "chat", Priority::Background, now));
    assert!(!enter(&mut gates, "chat", Priority::Grant, now));
    let chat = vec![AppId::new("chat").unwrap()];
    assert_eq!(gates.shut(false, now).0, chat);
    assert!(gates.shut(true, now).0.is_empty());
    for _ in 0..3 {
        assert!(enter(&mut gates, "chat", Priority::Deny, now));
    }
    // Nor does one app take everybody's.
    assert!(!enter(&mut gates, "chat", Priority::Deny, now));
    assert!(enter(&mut gates, "wiki", Priority::Grant, now));
    // What is of no app has no gate.
    assert!((0..50).all(|_| enter(&mut gates, "", Priority::Grant, now)));
    gates.leave(
        &job("chat", Priority::Grant),
        &Pass::default(),
        Verdict::Answered,
        None,
        now,
    );
    assert!(enter(&mut gates, "chat", Priority::Grant, now));
}

#[test]
fn an_open_breaker_shuts_the_gate_but_for_one_probe() {
    let (mut gates, now) = (Gates::new(LIMITS), Instant::now());
    let grant = job("chat", Priority::Grant);
    for _ in 0..5 {
        let pass = gates.enter(&grant, now).unwrap();
        assert_eq!(pass.probe, None);
        gates.leave(&grant, &pass, Verdict::Failed, None, now);
    }
    assert!(!enter(&mut gates, "chat", Priority::Deny, now));
    assert!(!gates.shut(true, now).0.is_empty());
    let later = now + Duration::from_secs(5);
    assert!(gates.shut(true, later).0.is_empty());
    let probe = gates.enter(&job("chat", Priority::Deny), later).unwrap();
    assert_eq!(probe.probe, Some(Duration::from_secs(10)));
    assert!(!enter(&mut gates, "chat", Priority::Deny, later));
    let positions: Vec<_> = gates.positions(later).map(|(_, p)| p).collect();
    assert_eq!(positions, [Position::HalfOpen]);
    let deny = job("chat", Priority::Deny);
    gates.leave(&deny, &probe, Verdict::Answered, None, later);
    assert!(enter(&mut gates, "chat", Priority::Grant, later));
}

#[test]
fn who_asks_to_be_left_alone_is_but_not_for_ever() {
    let (mut gates, now) = (Gates::new(LIMITS), Instant::now());
    let grant = job("chat", Priority::Grant);
    let pass = gates.enter(&grant, now).unwrap();
    let day = Some(Duration::from_secs(86_400));
    gates.leave(&grant, &pass, Verdict::Silent, day, now);
    // A shorter wish does not undo it.
    let second = Some(Duration::from_secs(1));
    gates.leave(&grant, &pass, Verdict::Silent, second, now);
    assert!(!enter(
        &mut gates,
        "chat",
        Priority::Deny,
        now + Duration::from_secs(899)
    ));
    assert!(enter(
        &mut gates,
        "chat",
        Priority::Deny,
        now + LONGEST_WAIT
    ));
}

#[test]
fn a_job_of_two_places_needs_both_and_spends_nothing_when_refused() {
    let limits = Limits {
        app_rate: 1,
        source_rate: 2,
        ..LIMITS
    };
    let (mut gates, now) = (Gates::new(limits), Instant::now());
    let mut both = job("chat", Priority::Grant);
    both.source = Some(SourceId::new("hr").unwrap());
    let mut source_only = both.clone();
    source_only.app = None;
    assert!(gates.enter(&both, now).is_some());
    assert!(gates.enter(&both, now).is_none(), "the app's is spent");
    assert!(
        gates.enter(&source_only, now).is_some(),
        "the directory's is not"
    );
    assert!(gates.enter(&source_only, now).is_none());
    let (apps, sources) = gates.shut(false, now);
    assert_eq!((apps.len(), sources.len()), (1, 1));
}

#[test]
fn whoever_must_be_turned_away_does_not_wait_for_a_directorys_rate() {
    let limits = Limits {
        app_rate: 1,
        source_rate: 2,
        urgent: 100,
        ..LIMITS
    };
    let (mut gates, now) = (Gates::new(limits), Instant::now());
    let mut read = job("", Priority::Deny);
    read.source = Some(SourceId::new("hr").unwrap());
    let mut let_through =
        |job: &Job, now| (0..99).filter(|_| gates.enter(job, now).is_some()).count();
    assert_eq!(let_through(&read, now), 2 + 20);
    let grant = Job {
        priority: Priority::Grant,
        ..read.clone()
    };
    assert_eq!(let_through(&grant, now + Duration::from_secs(10)), 0);
    // An app's rate is an app's rate.
    assert_eq!(let_through(&job("chat", Priority::Deny), now), 1);
}

use super::*;
use crate::jobs::{Handler, Outcome};
use crate::store::{JobKind, JobState, NewJob, SqliteStore};
use crate::types::{AppId, ManualClock, Timestamp};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::task::AbortOnDropHandle;

const T0: Timestamp = Timestamp(1_800_000_000);
/// Reached only when what should happen does not.
const SOON: Duration = Duration::from_secs(20);

/// What a job's key says of how it goes: `hang`, `fail`, `panic`, `wait`, `never`, `postpone`, else
/// well.
#[derive(Default)]
struct Fake {
    begun: Mutex<Vec<String>>,
    ended: Mutex<Vec<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
    /// All goes well from now on.
    well: std::sync::atomic::AtomicBool,
}

struct Counted<'a>(&'a Fake);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Handler for Fake {
    async fn run(&self, job: &Job) -> Outcome {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let _counted = Counted(self);
        self.begun.lock().push(job.key.clone());
        let how = job.key.split('-').next().unwrap_or_default();
        let outcome = match how {
            _ if self.well.load(Ordering::SeqCst) => Outcome::Done,
            "hang" => std::future::pending().await,
            "fail" => Outcome::failed("it is away"),
            "panic" => panic!("a bug"),
            "wait" => Outcome::Wait {
                after: Duration::from_secs(30),
                error: "slowly".into(),
            },
            "never" => Outcome::Never {
                error: "it is no app".into(),
            },
            "postpone" => Outcome::Later {
                after: Duration::from_secs(90),
                error: "not approved".into(),
                counts: false,
            },
            _ => Outcome::Done,
        };
        self.ended.lock().push(job.key.clone());
        outcome
    }
}

struct Bed {
    store: Arc<SqliteStore>,
    fake: Arc<Fake>,
    clock: Arc<ManualClock>,
    metrics: Metrics,
    settings: Settings,
}

impl Bed {
    fn new() -> Self {
        Self {
            store: Arc::new(SqliteStore::in_memory().unwrap()),
            fake: Arc::default(),
            clock: Arc::new(ManualClock::at(T0)),
            metrics: Metrics::new(Default::default()),
            settings: Settings {
                attempts: 3,
                concurrency: 8,
                lease: Duration::from_secs(60),
                app_rate: 1_000,
                source_rate: 1_000,
                rest: Duration::from_millis(300),
                look: Duration::from_millis(10),
            },
        }
    }

    fn start(&self) -> (CancellationToken, AbortOnDropHandle<()>) {
        let stop = CancellationToken::new();
        let worker = Worker {
            store: self.store.clone(),
            handlers: Handlers::new().with(JobKind::Converge, self.fake.clone()),
            settings: self.settings,
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            dice: Arc::new(|| 1.0),
            holder: "worker".into(),
        };
        let task = tokio::spawn(worker.run(stop.clone()));
        (stop, AbortOnDropHandle::new(task))
    }

    async fn wish(&self, key: &str, lane: &str, app: &str, priority: Priority, due: i64) -> Uuid {
        let wish = NewJob {
            kind: JobKind::Converge,
            key: key.into(),
            lane: lane.into(),
            app: Some(AppId::new(app).unwrap()),
            source: None,
            user: None,
            priority,
            due_at: Timestamp(T0.0 + due),
            payload: "{}".into(),
            why: "a test".into(),
        };
        let made = self.store.enqueue(&[wish], self.clock.now()).await;
        made.unwrap()[0].id
    }

    async fn grant(&self, key: &str) -> Uuid {
        self.wish(key, key, "chat", Priority::Grant, 0).await
    }

    async fn job(&self, id: Uuid) -> Job {
        self.store.job(id).await.unwrap().unwrap()
    }

    /// Waits until the job is as asked.
    async fn until(&self, id: Uuid, holds: impl Fn(&Job) -> bool) -> Job {
        let wait = async {
            loop {
                let job = self.job(id).await;
                if holds(&job) {
                    return job;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        match timeout(SOON, wait).await {
            Ok(job) => job,
            Err(_) => panic!("it is {:?}", self.job(id).await),
        }
    }

    async fn state(&self, id: Uuid, state: JobState) -> Job {
        self.until(id, |job| job.state == state).await
    }

    fn begun(&self, key: &str) -> usize {
        self.fake.begun.lock().iter().filter(|k| *k == key).count()
    }

    fn later(&self, seconds: i64) {
        self.clock.set(Timestamp(T0.0 + seconds));
    }
}

#[tokio::test]
async fn what_is_wished_is_done_at_once() {
    let mut bed = Bed::new();
    // So long that only the wish itself can be what wakes it.
    bed.settings.look = SOON * 10;
    let _running = bed.start();
    for n in 0..20 {
        let id = bed.grant(&format!("well-{n}")).await;
        let job = bed.state(id, JobState::Done).await;
        assert_eq!((job.attempts, job.holder), (1, None));
    }
    let counted = r#"job_attempts_total{kind="converge",outcome="done"} 20"#;
    assert!(bed.metrics.encode().contains(counted));
}

#[tokio::test]
async fn what_hangs_is_never_in_the_way_of_what_takes_access_away() {
    let bed = Bed::new();
    let _running = bed.start();
    for n in 0..20 {
        let app = ["chat", "wiki", "mail"][n % 3];
        let key = format!("hang-{n}");
        bed.wish(&key, &key, app, Priority::Grant, 0).await;
    }
    let full = async {
        // Six of eight places may be had by grants.
        while bed.fake.running.load(Ordering::SeqCst) < 6 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, full).await.expect("grants fill their places");
    for n in 0..5 {
        let key = format!("deny-{n}");
        let id = bed.wish(&key, &key, "chat", Priority::Deny, 0).await;
        bed.state(id, JobState::Done).await;
    }
    assert_eq!(bed.fake.running.load(Ordering::SeqCst), 6);
    assert!(bed.fake.most.load(Ordering::SeqCst) <= 8);
}

#[tokio::test]
async fn a_grant_gives_way_to_a_deny_of_the_same_person() {
    let bed = Bed::new();
    let _running = bed.start();
    let grant = bed.wish("hang", "alice", "chat", Priority::Grant, 0).await;
    bed.state(grant, JobState::Running).await;
    let other = bed
        .wish("hang-bob", "bob", "chat", Priority::Grant, 0)
        .await;
    bed.state(other, JobState::Running).await;
    let deny = bed.wish("deny", "alice", "wiki", Priority::Deny, 0).await;
    bed.state(deny, JobState::Done).await;
    // Which goes on afterwards, at no cost; nobody else was stopped.
    let again = bed.until(grant, |_| bed.begun("hang") == 2).await;
    assert_eq!(again.attempts, 1);
    assert_eq!(bed.begun("hang-bob"), 1);
    assert!(bed.fake.ended.lock().iter().all(|key| key == "deny"));
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_and_the_last_one_is_for_an_operator() {
    let bed = Bed::new();
    let _running = bed.start();
    let id = bed.grant("panic").await;
    let job = bed
        .until(id, |job| {
            job.state == JobState::Pending && job.attempts == 1
        })
        .await;
    assert!(job.error.contains("panicked"), "{}", job.error);
    // Two seconds, all of which the dice give.
    assert_eq!(job.due_at, Timestamp(T0.0 + 2));
    let well = bed.grant("well").await;
    bed.state(well, JobState::Done).await;
    bed.later(2);
    let job = bed
        .until(id, |job| {
            job.attempts == 2 && job.state == JobState::Pending
        })
        .await;
    assert_eq!(job.due_at, Timestamp(T0.0 + 2 + 4));
    bed.later(6);
    let job = bed.state(id, JobState::Dead).await;
    assert_eq!((job.attempts, bed.begun("panic")), (3, 3));
    let counted = r#"job_attempts_total{kind="converge",outcome="dead"} 1"#;
    assert!(bed.metrics.encode().contains(counted));
}

#[tokio::test]
async fn ends_are_as_the_handler_says() {
    let bed = Bed::new();
    let _running = bed.start();
    let never = bed.grant("never").await;
    let job = bed.state(never, JobState::Dead).await;
    assert_eq!((job.attempts, job.error.as_str()), (1, "it is no app"));
    let postponed = bed.grant("postpone").await;
    let job = bed.until(postponed, |job| !job.error.is_empty()).await;
    assert_eq!((job.attempts, job.due_at), (0, Timestamp(T0.0 + 90)));
    let failed = bed.grant("fail").await;
    let job = bed.until(failed, |job| !job.error.is_empty()).await;
    assert_eq!((job.attempts, job.due_at), (1, Timestamp(T0.0 + 2)));
    bed.fake.well.store(true, Ordering::SeqCst);
    bed.later(90);
    assert_eq!(bed.state(failed, JobState::Done).await.error, "");
    bed.state(postponed, JobState::Done).await;
    // An app that asks for quiet has it; another is not concerned.
    bed.fake.well.store(false, Ordering::SeqCst);
    let wait = bed.wish("wait", "w", "chat", Priority::Grant, 0).await;
    let job = bed.until(wait, |job| !job.error.is_empty()).await;
    assert_eq!((job.attempts, job.due_at), (0, Timestamp(T0.0 + 120)));
    let same = bed.wish("well", "s", "chat", Priority::Deny, 0).await;
    let other = bed.wish("well-2", "o", "wiki", Priority::Grant, 0).await;
    bed.state(other, JobState::Done).await;
    assert_eq!(bed.job(same).await.state, JobState::Pending);
    assert_eq!(bed.begun("well"), 0);
}

#[tokio::test]
async fn an_app_that_is_away_costs_no_attempt_and_the_most_urgent_asks_whether_it_is_back() {
    let mut bed = Bed::new();
    bed.settings.concurrency = 3;
    let _running = bed.start();
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(bed.grant(&format!("fail-{n}")).await);
    }
    let open = || {
        bed.metrics
            .encode()
            .contains(r#"job_breaker{about="app",name="chat"} 2"#)
    };
    bed.until(ids[0], |_| open()).await;
    let deny = bed.wish("fail-deny", "d", "chat", Priority::Deny, 0).await;
    let other = bed.wish("well", "o", "wiki", Priority::Grant, 0).await;
    bed.state(other, JobState::Done).await;
    let job = bed.until(deny, |job| !job.error.is_empty()).await;
    let begun = bed.fake.begun.lock().clone();
    let first: Vec<_> = begun.iter().filter(|key| key.starts_with("fail")).collect();
    // Five failed before it opened, some were on their way; then only the deny came.
    assert!(first.len() <= 5 + 3 + 1, "{begun:?}");
    assert_eq!(first.last().map(|key| key.as_str()), Some("fail-deny"));
    // It cost nothing, and the next probe is another's.
    assert_eq!(job.attempts, 0);
    assert_eq!(job.due_at, Timestamp(T0.0 + 2), "longer than it is open");
    let mut cost = 0;
    for id in &ids {
        cost += bed.job(*id).await.attempts;
    }
    assert!(cost <= 8, "{cost}");
    bed.fake.well.store(true, Ordering::SeqCst);
    bed.later(600);
    for id in ids.iter().chain([&deny]) {
        bed.state(*id, JobState::Done).await;
    }
    assert!(
        bed.metrics
            .encode()
            .contains(r#"job_breaker{about="app",name="chat"} 0"#)
    );
}

#[tokio::test]
async fn who_lost_a_job_stops_and_ends_nothing() {
    let mut bed = Bed::new();
    bed.settings.lease = Duration::from_secs(1);
    let (_stop, worker) = bed.start();
    let id = bed.grant("hang").await;
    bed.until(id, |_| bed.begun("hang") == 1).await;
    // Another, whose clock is far ahead, believes that we are dead.
    let _here = bed.store.be_here("other").await.unwrap();
    let claim = JobClaim {
        holder: "other".into(),
        lease: Duration::from_secs(600),
        limit: 1,
        kinds: JobKind::ALL.to_vec(),
        least: Priority::Background,
        without_apps: Vec::new(),
        without_sources: Vec::new(),
        busy: Vec::new(),
    };
    let ahead = Timestamp(T0.0 + 50);
    let taken = bed.store.claim_jobs(&claim, ahead).await.unwrap();
    assert_eq!(taken.len(), 1);
    bed.until(id, |_| bed.fake.running.load(Ordering::SeqCst) == 0)
        .await;
    let job = bed.job(id).await;
    assert_eq!(
        (job.state, job.holder.as_deref()),
        (JobState::Running, Some("other"))
    );
    let counted = r#"outcome="lost"} 1"#;
    bed.until(id, |_| bed.metrics.encode().contains(counted))
        .await;
    assert!(!worker.is_finished());
}

#[tokio::test]
async fn t36_what_somebody_held_who_is_gone_is_taken_up_at_once() {
    let bed = Bed::new();
    let id = bed.grant("well").await;
    let claim = JobClaim {
        holder: "killed".into(),
        lease: Duration::from_secs(600),
        limit: 1,
        kinds: JobKind::ALL.to_vec(),
        least: Priority::Background,
        without_apps: Vec::new(),
        without_sources: Vec::new(),
        busy: Vec::new(),
    };
    let here = bed.store.be_here("killed").await.unwrap();
    assert_eq!(bed.store.claim_jobs(&claim, T0).await.unwrap().len(), 1);
    let _running = bed.start();
    // While they live it is theirs.
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(bed.job(id).await.holder.as_deref(), Some("killed"));
    drop(here);
    // The clock stands: no lease is over.
    bed.state(id, JobState::Done).await;
}

#[tokio::test]
async fn t36_nobody_takes_a_job_who_is_not_here() {
    let bed = Bed::new();
    let taken = bed.store.be_here("worker").await.unwrap();
    let id = bed.grant("well").await;
    let _running = bed.start();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(bed.job(id).await.state, JobState::Pending);
    drop(taken);
    bed.state(id, JobState::Done).await;
}

#[tokio::test]
async fn a_bridge_that_stops_gives_back_what_it_had() {
    let bed = Bed::new();
    let (stop, worker) = bed.start();
    let id = bed.grant("hang").await;
    bed.state(id, JobState::Running).await;
    stop.cancel();
    timeout(SOON, worker).await.expect("it ends").unwrap();
    let job = bed.job(id).await;
    assert_eq!((job.state, job.attempts), (JobState::Pending, 0));
    let late = bed.grant("well").await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(bed.job(late).await.state, JobState::Pending);
}

#[tokio::test]
async fn t36_a_job_that_kills_whoever_begins_it_is_not_begun_for_ever() {
    let bed = Bed::new();
    let id = bed.grant("well").await;
    for n in 0..3 {
        let claim = JobClaim {
            holder: format!("dead-{n}"),
            lease: Duration::from_secs(1),
            limit: 1,
            kinds: JobKind::ALL.to_vec(),
            least: Priority::Background,
            without_apps: Vec::new(),
            without_sources: Vec::new(),
            busy: Vec::new(),
        };
        let now = Timestamp(T0.0 + n * 5);
        assert_eq!(bed.store.claim_jobs(&claim, now).await.unwrap().len(), 1);
    }
    bed.later(60);
    let _running = bed.start();
    let job = bed.state(id, JobState::Dead).await;
    assert!(job.error.contains("3 times"), "{}", job.error);
    assert_eq!(bed.begun("well"), 0);
}

#[tokio::test]
async fn t35_a_clock_that_jumps_ahead_begins_no_storm() {
    let mut bed = Bed::new();
    bed.settings.app_rate = 10;
    let _running = bed.start();
    let held = bed.grant("hang").await;
    bed.state(held, JobState::Running).await;
    for n in 0..60 {
        let key = format!("well-{n}");
        bed.wish(&key, &key, "chat", Priority::Grant, 3_600).await;
    }
    let from = Instant::now();
    bed.later(86_400);
    let first = async {
        while bed.fake.ended.lock().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, first)
        .await
        .expect("what is due now is begun");
    sleep(Duration::from_millis(200)).await;
    let ended = bed.fake.ended.lock().len();
    let most = 10.0 + from.elapsed().as_secs_f64() * 10.0;
    assert!(
        (ended as f64) <= most + 1.0,
        "{ended} in {:?}",
        from.elapsed()
    );
    assert!(
        bed.fake.most.load(Ordering::SeqCst) <= 3,
        "half of six for one app"
    );
    // Its own job, whose lease looks as if it were long over, is not begun beside itself.
    assert_eq!(bed.begun("hang"), 1);
    assert_eq!(bed.job(held).await.holder.as_deref(), Some("worker"));
}

#[tokio::test]
async fn t35_a_clock_that_jumps_back_stalls_nothing() {
    let bed = Bed::new();
    bed.later(3_600);
    let failed = bed.wish("fail", "f", "chat", Priority::Grant, 0).await;
    let running = bed.start();
    bed.until(failed, |job| !job.error.is_empty()).await;
    let due = bed.wish("well", "w", "chat", Priority::Grant, 3_600).await;
    drop(running);
    bed.fake.well.store(true, Ordering::SeqCst);
    bed.later(0);
    let _running = bed.start();
    // What was due is due, and a pause is as long as it was.
    bed.state(due, JobState::Done).await;
    let job = bed.until(failed, |job| job.updated_at == T0).await;
    assert_eq!(
        (job.state, job.due_at),
        (JobState::Pending, Timestamp(T0.0 + 2))
    );
    bed.later(2);
    bed.state(failed, JobState::Done).await;
}

#[test]
fn some_places_are_kept_whatever_is_configured() {
    let settings = Bed::new().settings;
    for concurrency in 0..200 {
        let places = Settings {
            concurrency,
            ..settings
        }
        .places();
        assert!(places.background > 0, "{places:?}");
        assert!(places.grants > places.background && places.all > places.grants);
        assert!(places.all <= concurrency.max(3));
    }
}

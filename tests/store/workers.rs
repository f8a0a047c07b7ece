//! The queue with workers on it: two that share it, one that is killed again and again (T36), one
//! whose server restarts under it.

use crate::bed::{Bed, Raw, SOON, T0, app, postgres_options, until};
use crate::jobs::wish;
use crate::pg::Cluster;
use async_trait::async_trait;
use auth_manager::jobs::{Handler, Handlers, Outcome, Settings, Worker};
use auth_manager::store::{
    Job, JobFilter, JobKind, JobState, NewJob, PostgresOptions, PostgresStore, Priority,
    SqliteStore, Store,
};
use auth_manager::telemetry::metrics::Metrics;
use auth_manager::types::{Clock, ManualClock, SystemClock, Timestamp};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Where the store of a child is, and its folder.
const STORE: &str = "AUTH_MANAGER_TEST_STORE";
const FOLDER: &str = "AUTH_MANAGER_TEST_FOLDER";

fn worker(
    store: Arc<dyn Store>,
    handler: Arc<dyn Handler>,
    clock: Arc<dyn Clock>,
    holder: &str,
) -> (CancellationToken, AbortOnDropHandle<()>) {
    let worker = Worker {
        store,
        handlers: Handlers::new().with(JobKind::Converge, handler),
        settings: Settings {
            attempts: 50,
            concurrency: 8,
            // Longer than any test waits: what is taken over is so because its holder is gone.
            lease: Duration::from_secs(600),
            app_rate: 5_000,
            source_rate: 5_000,
            rest: Duration::from_millis(100),
            look: Duration::from_millis(20),
        },
        clock,
        metrics: Metrics::new(Default::default()),
        dice: Arc::new(|| 0.5),
        holder: holder.into(),
    };
    let stop = CancellationToken::new();
    let task = tokio::spawn(worker.run(stop.clone()));
    (stop, AbortOnDropHandle::new(task))
}

fn wishes(count: usize, lanes: usize) -> Vec<NewJob> {
    (0..count)
        .map(|n| {
            let priority = [Priority::Deny, Priority::Grant, Priority::Background][n % 3];
            let lane = format!("l{}", n % lanes);
            let mut wish = wish(&format!("k{n}"), &lane, priority, 0);
            wish.app = (n % 2 == 0).then(app);
            wish.due_at = Timestamp(0);
            wish
        })
        .collect()
}

/// Notes who runs beside whom, and how often what was done.
#[derive(Default)]
struct Watched {
    lanes: Mutex<BTreeSet<String>>,
    times: Mutex<BTreeMap<String, usize>>,
    wrong: Mutex<Vec<String>>,
}

#[async_trait]
impl Handler for Watched {
    async fn run(&self, job: &Job) -> Outcome {
        if !self.lanes.lock().insert(job.lane.clone()) {
            self.wrong.lock().push(format!("two of {}", job.lane));
        }
        sleep(Duration::from_millis(4)).await;
        *self.times.lock().entry(job.key.clone()).or_default() += 1;
        self.lanes.lock().remove(&job.lane);
        Outcome::Done
    }
}

async fn all_done(store: &dyn Store) -> bool {
    // While the server restarts nobody can say.
    matches!(store.count_jobs().await, Ok(counts) if counts.is_empty())
}

pub(crate) async fn two_replicas_share_the_queue_without_doubling(bed: Bed) {
    bed.a.enqueue(&wishes(120, 12), T0).await.unwrap();
    let watched = Arc::new(Watched::default());
    let clock = Arc::new(ManualClock::at(T0));
    let _one = worker(bed.a.clone(), watched.clone(), clock.clone(), "one");
    let _two = worker(bed.b.clone(), watched.clone(), clock, "two");
    until("all is done", async || all_done(&*bed.a).await).await;
    let wrong = watched.wrong.lock().clone();
    assert!(wrong.is_empty(), "{wrong:?}");
    let times = watched.times.lock().clone();
    assert_eq!(times.len(), 120);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

/// Makes a file a job, as an app makes an account: it looks first, may die before and after it has
/// made it, and finds it then.
struct Maker(PathBuf);

#[async_trait]
impl Handler for Maker {
    async fn run(&self, job: &Job) -> Outcome {
        sleep(Duration::from_millis(10)).await;
        let path = self.0.join(&job.key);
        let made = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path);
        sleep(Duration::from_millis(10)).await;
        match made {
            Ok(_) => Outcome::Done,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Outcome::Done,
            Err(error) => Outcome::failed(error.to_string()),
        }
    }
}

/// Another process that works at the queue until it is killed.
fn child(bed: &Bed, folder: &Path) -> Child {
    let store = match &bed.raw {
        Raw::Sqlite(folder) => folder.path().join("store.db").display().to_string(),
        Raw::Postgres(options) => format!("{}|{}", options.schema, Cluster::shared().url()),
    };
    Command::new(std::env::current_exe().unwrap())
        .args(["workers::a_worker_to_be_killed", "--exact", "--ignored"])
        .env(STORE, store)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is the child of another test, and never ends by itself"]
async fn a_worker_to_be_killed() {
    let (Ok(store), Ok(folder)) = (std::env::var(STORE), std::env::var(FOLDER)) else {
        return;
    };
    let store: Arc<dyn Store> = match store.split_once('|') {
        None => Arc::new(SqliteStore::open(store).await.unwrap()),
        Some((schema, url)) => {
            let mut options = PostgresOptions::new(url.to_owned().into());
            options.schema = schema.into();
            Arc::new(PostgresStore::connect(&options).await.unwrap())
        }
    };
    let holder = uuid::Uuid::new_v4().to_string();
    let maker = Arc::new(Maker(folder.into()));
    let (_stop, task) = worker(store, maker, Arc::new(SystemClock), &holder);
    task.await.unwrap();
}

pub(crate) async fn t36_killed_again_and_again_nothing_is_lost_and_nothing_is_made_twice(bed: Bed) {
    const JOBS: usize = 150;
    let folder = tempfile::tempdir().unwrap();
    let made = || std::fs::read_dir(folder.path()).unwrap().count();
    bed.a
        .enqueue(&wishes(JOBS, 30), SystemClock.now())
        .await
        .unwrap();
    let mut cut_off = 0;
    for _ in 0..4 {
        let before = made();
        let mut child = child(&bed, folder.path());
        until("it works", async || made() >= (before + 8).min(JOBS)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let states = vec![JobState::Running];
        let running = JobFilter {
            states,
            ..JobFilter::default()
        };
        cut_off += bed.a.jobs(&running).await.unwrap().len();
    }
    assert!(cut_off > 0, "it was never killed in the middle of one");
    let maker = Arc::new(Maker(folder.path().into()));
    let _heir = worker(bed.b.clone(), maker, Arc::new(SystemClock), "heir");
    until("all is done", async || all_done(&*bed.a).await).await;
    let all = JobFilter {
        limit: 1_000,
        ..JobFilter::default()
    };
    let jobs = bed.a.jobs(&all).await.unwrap();
    assert_eq!(jobs.len(), JOBS);
    assert!(jobs.iter().all(|job| job.state == JobState::Done));
    assert_eq!(made(), JOBS);
}

/// What goes on for a while, and notes who is in it.
#[derive(Default)]
struct Long {
    inside: Mutex<BTreeSet<String>>,
    begun: Mutex<usize>,
    wrong: Mutex<Vec<String>>,
    may_end: CancellationToken,
}

struct Leaves<'a>(&'a Long, &'a str);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.inside.lock().remove(self.1);
    }
}

#[async_trait]
impl Handler for Long {
    async fn run(&self, job: &Job) -> Outcome {
        *self.begun.lock() += 1;
        if !self.inside.lock().insert(job.lane.clone()) {
            self.wrong.lock().push(format!("two of {}", job.lane));
        }
        let _leaves = Leaves(self, &job.lane);
        self.may_end.cancelled().await;
        Outcome::Done
    }
}

/// A server that ends a connection gives back what was held by it, though the process lives: it stops
/// what it does, and two never work at one thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_whoever_the_server_lost_sight_of_stops_before_another_begins() {
    // Of its own: what holds locks there is ended.
    let cluster = Cluster::start();
    let mut options = postgres_options();
    options.url = cluster.url().into();
    let store = || async { PostgresStore::connect(&options).await.unwrap() };
    let one: Arc<dyn Store> = Arc::new(store().await);
    let two: Arc<dyn Store> = Arc::new(store().await);
    let mut wishes = wishes(6, 6);
    for wish in &mut wishes {
        (wish.priority, wish.app) = (Priority::Deny, None);
    }
    one.enqueue(&wishes, T0).await.unwrap();
    let long = Arc::new(Long::default());
    let clock = Arc::new(ManualClock::at(T0));
    let _one = worker(one.clone(), long.clone(), clock.clone(), "one");
    until("all have begun", async || *long.begun.lock() == 6).await;
    let _two = worker(two.clone(), long.clone(), clock, "two");
    // Nothing changes while both are here, for longer than an absence must last.
    sleep(one.absence() + Duration::from_secs(2)).await;
    assert_eq!((*long.begun.lock(), long.inside.lock().len()), (6, 6));
    let ended = crate::bed::client(&options).await;
    let ended = ended.query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'",
        &[],
    );
    assert!(!ended.await.unwrap().is_empty());
    until("what was lost is begun again", async || {
        *long.begun.lock() >= 12
    })
    .await;
    long.may_end.cancel();
    until("all is done", async || all_done(&*one).await).await;
    assert!(long.wrong.lock().is_empty(), "{:?}", long.wrong.lock());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_go_on_when_their_server_has_restarted() {
    let cluster = Cluster::start();
    let mut options = postgres_options();
    options.url = cluster.url().into();
    let store: Arc<dyn Store> = Arc::new(PostgresStore::connect(&options).await.unwrap());
    store
        .enqueue(&wishes(200, 50), SystemClock.now())
        .await
        .unwrap();
    let watched = Arc::new(Watched::default());
    let clock = Arc::new(SystemClock);
    let (stop, task) = worker(store.clone(), watched.clone(), clock, "one");
    let some = || watched.times.lock().len();
    until("some are done", async || some() >= 20).await;
    let restarted = tokio::task::spawn_blocking(move || {
        cluster.restart();
        cluster
    });
    let _cluster = restarted.await.unwrap();
    assert!(!task.is_finished());
    until("all is done", async || all_done(&*store).await).await;
    assert_eq!(some(), 200);
    let done = JobFilter {
        states: vec![JobState::Done],
        limit: 1_000,
        ..JobFilter::default()
    };
    assert_eq!(store.jobs(&done).await.unwrap().len(), 200);
    stop.cancel();
    timeout(SOON, task).await.expect("it ends").unwrap();
}

//! Reconciliation alone: no webhook ever arrives, and still whoever left is out, whoever came is in,
//! what somebody changed in the app is put right, and a directory that seems to have lost a third of
//! its people costs nobody anything until an operator says so.

use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::pg::Cluster;
use crate::support::relay::Relay;
use crate::support::world::World;
use crate::support::{eventually, wire};
use auth_manager::demo::authentik::{NewPerson, Options as DirectoryOptions, StandIn as Authentik};
use auth_manager::demo::door::Person;
use auth_manager::demo::mattermost::{Options, UserSnapshot};
use serde_json::Value;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const GROUPS: [&str; 2] = ["members", "sales"];

/// How a house is set up.
struct Terms {
    /// How often the directory is read whole.
    every: &'static str,
    /// How many a second may be brought up to date.
    pace: u32,
    /// The log filter.
    log: &'static str,
    /// A `postgres://` URL; empty: SQLite.
    postgres: String,
}

const USUAL: Terms = Terms {
    every: "10s",
    pace: 200,
    log: "info,auth_manager=trace",
    postgres: String::new(),
};

/// An identity provider, the bridge, the app; nobody tells anybody anything.
struct House {
    world: World,
    authentik: Authentik,
    _files: tempfile::TempDir,
    _runs: DropGuard,
}

impl House {
    async fn start(terms: Terms, fill: impl FnOnce(&Authentik)) -> Self {
        let authentik = Authentik::new(DirectoryOptions::default());
        for group in GROUPS {
            authentik.create_group(group);
        }
        fill(&authentik);
        let (_, token) = authentik.reader(
            "auth-manager",
            &[
                "authentik_core.view_user",
                "authentik_core.view_group",
                "authentik_events.view_event",
            ],
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let stop = CancellationToken::new();
        let (served, until) = (authentik.clone(), stop.clone());
        tokio::spawn(async move { served.serve(listener, until).await });
        let files = tempfile::tempdir().expect("a folder");
        let secret = files.path().join("directory.token");
        std::fs::write(&secret, &token).expect("our own folder");
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).expect("our own file");
        let settings = Settings {
            access: "any_of = [\"members\"]".into(),
            mattermost: "team = \"demo\"\n[apps.provision]\nwhen = \"on-assignment\"\n\
                 [[apps.provision.groups]]\ngroup = \"sales\"\nteam = \"sales\"\n"
                .into(),
            more: format!(
                "[jobs]\nlease = \"10s\"\napp_rate = {}\nsource_rate = {}\n\
                 [[directories]]\nid = \"authentik\"\nkind = \"authentik\"\nurl = \"http://{address}\"\n\
                 token = {{ file = {secret:?} }}\n[directories.reconcile]\nevery = \"{}\"\n",
                terms.pace, terms.pace, terms.every
            ),
            log: terms.log.into(),
            postgres: terms.postgres,
            ..Settings::default()
        };
        let world = World::with(
            settings,
            Options {
                // All of them are in one.
                max_users_per_team: 20_000,
                user_hard_limit: 20_000,
                ..Options::default()
            },
        )
        .await;
        world.mattermost.create_team("sales");
        world.taint.private(&token);
        Self {
            world,
            authentik,
            _files: files,
            _runs: stop.drop_guard(),
        }
    }

    fn hire(&self, name: &str, groups: &[&str]) -> i64 {
        hire(&self.authentik, name, groups)
    }

    async fn account(&self, name: &str, is: impl Fn(&UserSnapshot) -> bool) -> UserSnapshot {
        eventually(name, || async {
            self.world.mattermost.user(name).filter(&is)
        })
        .await
    }

    /// How many accounts the bridge made that are active.
    fn active(&self) -> usize {
        let all = self.world.mattermost.users();
        let ours = |user: &&UserSnapshot| !user.is_bot && user.is_active() && !user.is_admin();
        all.iter().filter(ours).count()
    }

    async fn peopled(&self, count: usize) {
        let started = Instant::now();
        while self.active() != count {
            let done = self.active();
            assert!(
                started.elapsed() < Duration::from_secs(1800),
                "{done} of {count}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The value of a metric.
    async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.world.bridge.ops("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    }

    /// Waits until a metric has this value.
    async fn shows(&self, name: &str, value: f64) {
        eventually(name, || async {
            (self.metric(name).await == Some(value)).then_some(())
        })
        .await;
    }

    /// Whatever a command says, and how it ended.
    async fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.world.bridge.command(arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        (output.status.code(), said)
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.world.run(arguments).await;
        serde_json::from_str(&text).expect("JSON")
    }

    /// What an administrator does in the app by hand.
    async fn by_hand(&self, method: &str, path: &str) -> u16 {
        let request = format!(
            "{method} /api/v4{path} HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer {}\r\n\
             Connection: close\r\nContent-Length: 0\r\n\r\n",
            self.world.mattermost.bot_token()
        );
        let address = self.world.mattermost_address;
        wire::exchange(address, request.as_bytes()).await.status
    }

    /// What the bridge asked the app to change since the journal was cleared.
    fn writes(&self) -> Vec<String> {
        let reads = |path: &str| path.ends_with("/users/status/ids");
        let seen = self.world.mattermost.journal();
        let writes = seen
            .iter()
            .filter(|seen| seen.method != "GET" && !reads(&seen.path));
        writes
            .map(|seen| format!("{} {}", seen.method, seen.path))
            .collect()
    }

    /// People who are still to be brought up to date, as they were last counted. Sweeps and looks come and go.
    async fn open_jobs(&self) -> f64 {
        let text = self.world.bridge.ops("/metrics").await.text();
        let counts = text.lines().filter_map(|line| {
            let (labels, count) = line.strip_prefix("auth_manager_jobs{")?.split_once("} ")?;
            let open = labels.contains("\"pending\"") || labels.contains("\"running\"");
            let ours = labels.contains("kind=\"converge\"");
            count.parse::<f64>().ok().filter(|_| open && ours)
        });
        counts.sum()
    }

    /// Waits for a look at the app that began after now.
    async fn looked_again(&self) {
        let name = "auth_manager_reconcile_app_looked_timestamp_seconds{app=\"chat\"}";
        let before = self.metric(name).await.unwrap_or_default();
        eventually("another look at the app", || async {
            (self.metric(name).await? > before).then_some(())
        })
        .await;
    }
}

fn hire(authentik: &Authentik, name: &str, groups: &[&str]) -> i64 {
    authentik.create(&NewPerson {
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..NewPerson::named(name)
    })
}

fn visitor(house: &House, name: &str, pk: i64) -> Client {
    let mut person = Person::new(0, name, name, &["members"], "");
    person.sub = house.authentik.uid(pk);
    house.world.client(person)
}

fn worker(number: usize) -> String {
    format!("worker-{number:02}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_third_vanishes_nobody_is_deactivated_until_an_operator_says_so() {
    let mut people = Vec::new();
    let house = House::start(USUAL, |authentik| {
        people.extend((0..20).map(|n| hire(authentik, &worker(n), &["members"])));
    })
    .await;
    house.peopled(20).await;
    let held = "auth_manager_reconcile_held_plans{source=\"authentik\"}";
    house.shows(held, 0.0).await;

    // A list that lacks them says nothing: they are asked for by themselves.
    house.authentik.unlist(&people[..7]);
    house.looked_again().await;
    let (code, said) = house.says(&["reconcile", "run"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(house.active(), 20);

    // Now they really are gone, all at once.
    for pk in &people[..7] {
        house.authentik.delete_silently(*pk);
    }
    house.shows(held, 1.0).await;
    let losing = "auth_manager_reconcile_differences{source=\"authentik\",kind=\"losing\"}";
    house.shows(losing, 7.0).await;
    // Two more sweeps: it is the same plan, and nobody hears of it again.
    house.looked_again().await;
    house.looked_again().await;
    assert_eq!(house.active(), 20, "nobody loses anything");
    let told = house.world.bridge.output();
    let told = told.matches("reconciliation is held").count();
    assert_eq!(told, 1, "an alert is one");
    let trail = house.world.trail().await;
    let kept: Vec<_> = trail.iter().filter(|r| r.contains("plan.held")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].contains("7 of "), "{kept:?}");

    let plans = house.json(&["reconcile", "plans", "--json"]).await;
    let id = plans[0]["id"].as_str().expect("a plan").to_owned();
    assert_eq!(plans.as_array().map(Vec::len), Some(1), "{plans}");
    let said = house.world.run(&["reconcile", "apply", &id]).await;
    assert!(said.contains("7 steps done"), "{said}");
    house.peopled(13).await;
    house.shows(held, 0.0).await;
    let trail = house.world.trail().await;
    assert!(
        trail.iter().any(|r| r.contains("plan.applied")),
        "{trail:?}"
    );
    house.world.finish_unvisited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_was_shown_is_carried_out_as_shown_or_not_at_all() {
    let house = House::start(
        Terms {
            every: "24h",
            ..USUAL
        },
        |_| {},
    )
    .await;
    // The first sweep, of an empty house, is over: the next is in a day.
    eventually("the first sweep", || async {
        let swept = "auth_manager_reconcile_swept_timestamp_seconds{source=\"authentik\"}";
        (house.metric(swept).await? > 0.0).then_some(())
    })
    .await;
    let ann = house.hire("ann", &["members"]);
    let ben = house.hire("ben", &["members"]);
    let file = house.world.bridge.folder().join("plan.json");
    let file = file.to_str().expect("a plain path");
    let plan = [
        "reconcile",
        "run",
        "--source",
        "authentik",
        "--dry-run",
        "--out",
        file,
    ];
    let said = house.world.run(&plan).await;
    assert!(said.contains("ann") && said.contains("ben"), "{said}");
    assert!(house.world.mattermost.user("ann").is_none(), "only shown");
    // The world moves on.
    house.authentik.disable_silently(ben);
    let (code, said) = house.says(&["reconcile", "apply", file]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nothing was done"), "{said}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        house.world.mattermost.user("ann").is_none(),
        "nothing of it"
    );

    house.world.run(&plan).await;
    house.world.run(&["reconcile", "apply", file]).await;
    house.account("ann", |_| true).await;
    assert!(house.world.mattermost.user("ben").is_none());
    let _ = ann;
    house.world.finish_unvisited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_changed_in_the_app_is_put_right_by_the_next_sweep_and_no_more_than_that() {
    let mut gone = 0;
    let house = House::start(USUAL, |authentik| {
        hire(authentik, "ann", &["members", "sales"]);
        gone = hire(authentik, "ben", &["members"]);
        hire(authentik, "eve", &["members"]);
        hire(authentik, "kim", &["members"]);
    })
    .await;
    let in_sales = |user: &UserSnapshot| user.teams.contains(&"sales".to_owned());
    house.account("ann", in_sales).await;
    house.peopled(4).await;
    house.authentik.disable_silently(gone);
    house.account("ben", |user| !user.is_active()).await;

    // An administrator's own doing: a place of ours taken, an account of ours given back, one closed,
    // and one place given that is nobody's business.
    house.world.mattermost.create_team("hobby");
    assert!(house.world.mattermost.add_to_team("hobby", "eve"));
    let team = house.by_hand("GET", "/teams/name/sales").await;
    assert_eq!(team, 200);
    let ann = house.account("ann", |_| true).await.id;
    let sales = house.team("sales").await;
    let path = format!("/teams/{sales}/members/{ann}");
    assert_eq!(house.by_hand("DELETE", &path).await, 200);
    assert!(house.world.mattermost.deactivate("kim"));
    assert!(house.world.mattermost.reactivate("ben"));

    house.account("ann", in_sales).await;
    house.account("ben", |user| !user.is_active()).await;
    house.looked_again().await;
    let eve = house.account("eve", UserSnapshot::is_active).await;
    assert!(eve.teams.contains(&"hobby".to_owned()), "{eve:?}");
    // Somebody closed it for a reason the bridge does not know: it says so, and leaves it.
    let kim = house.account("kim", |_| true).await;
    assert!(!kim.is_active());
    let report = house.json(&["reconcile", "report", "--json"]).await;
    let left = report[0]["differences"].as_array().expect("a list");
    assert_eq!(left.len(), 1, "{report}");
    assert_eq!(left[0]["what"], "deactivated_by_hand");
    assert_eq!(left[0]["whose"], "app");
    assert_eq!(left[0]["care"], "left");

    // What is as it should be is only looked at.
    house.looked_again().await;
    house.world.mattermost.clear_journal();
    house.looked_again().await;
    house.looked_again().await;
    let writes = house.writes();
    assert!(writes.is_empty(), "{writes:?}");
    let looked = house.world.mattermost.journal();
    assert!(looked.iter().any(|seen| seen.path == "/api/v4/users"));
    house.world.finish_unvisited().await;
}

impl House {
    async fn team(&self, name: &str) -> String {
        let request = format!(
            "GET /api/v4/teams/name/{name} HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer {}\r\n\
             Connection: close\r\n\r\n",
            self.world.mattermost.bot_token()
        );
        let address = self.world.mattermost_address;
        let team = wire::exchange(address, request.as_bytes()).await.json();
        team["id"].as_str().expect("a team").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_with_every_notification_lost_whoever_is_disabled_is_out_within_the_interval() {
    let mut pk = 0;
    let house = House::start(USUAL, |authentik| {
        pk = hire(authentik, "ann", &["members"]);
        hire(authentik, "ben", &["members"]);
    })
    .await;
    house.peopled(2).await;
    let ann = visitor(&house, "ann", pk);
    let ann = eventually("the app", || {
        let mut ann = ann.clone();
        async move { (ann.open("/").await.status == 200).then_some(ann) }
    })
    .await;
    house.authentik.disable_silently(pk);
    let lost = Instant::now();
    eventually("the end", || {
        let mut ann = ann.clone();
        async move { (ann.get("/api/v4/users/me").await.status == 403).then_some(()) }
    })
    .await;
    let took = lost.elapsed();
    assert!(
        took < Duration::from_secs(25),
        "an interval of 10 s: {took:?}"
    );
    house.account("ann", |user| !user.is_active()).await;
    assert!(house.world.mattermost.sessions_of("ann").is_empty());
    house.world.finish().await;
}

/// Imports a whole house, killing the bridge twice on the way; how long it took.
async fn import(house: &mut House, people: u64) -> Duration {
    let began = Instant::now();
    let patient = |done| assert!(began.elapsed() < Duration::from_secs(1800), "{done}");
    for part in [people / 4, people / 2] {
        while house.world.mattermost.users_created() < part {
            patient(house.world.mattermost.users_created());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        house.world.bridge.kill().await;
        let done = house.world.mattermost.users_created();
        eprintln!("killed with {done} of {people} accounts made");
        assert!(done < people, "killed too late: {done}");
        house.world.bridge.restart().await;
    }
    while house.world.mattermost.users_created() < people || house.open_jobs().await > 0.0 {
        patient(house.world.mattermost.users_created());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let took = began.elapsed();
    // Names and addresses are unique there: two of one person would be one more.
    assert_eq!(house.world.mattermost.users_created(), people);
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_a_first_import_that_is_killed_twice_makes_everybody_one_account() {
    let mut house = House::start(Terms { pace: 60, ..USUAL }, |authentik| {
        for number in 0..300 {
            hire(authentik, &format!("person-{number:04}"), &["members"]);
        }
    })
    .await;
    import(&mut house, 300).await;
    let all = house.world.mattermost.users();
    let theirs = all
        .iter()
        .filter(|user| user.username.starts_with("person-"));
    let emails: HashSet<_> = theirs.clone().map(|user| &user.email).collect();
    assert_eq!((theirs.count(), emails.len()), (300, 300));
    assert!(all.iter().all(|user| user.is_bot || !user.teams.is_empty()));
    let jobs = house.json(&["jobs", "list", "--json"]).await;
    let dead = |job: &&Value| job["state"] == "dead";
    let dead = jobs.as_array().into_iter().flatten().filter(dead).count();
    assert_eq!(dead, 0, "{jobs}");
    house.world.finish_unvisited().await;
}

/// For `tests/load/sweep`: needs a release build, and minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: tests/load/sweep runs it"]
async fn a_whole_house_of_ten_thousand() {
    let number = |name: &str, usual: u32| {
        let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(usual)
    };
    let (people, groups) = (number("SWEEP_PEOPLE", 10_000), number("SWEEP_GROUPS", 200));
    let store = std::env::var("SWEEP_STORE").unwrap_or_else(|_| "sqlite".into());
    let way = match store.as_str() {
        "sqlite" => None,
        "postgres" => {
            let cluster = tokio::task::spawn_blocking(Cluster::shared).await;
            let cluster = cluster.expect("a cluster");
            let database = cluster.database().await;
            let way = Relay::start(cluster.folder().to_owned(), true).await;
            Some((way.url(&database), way, cluster))
        }
        other => panic!("SWEEP_STORE={other}: sqlite or postgres"),
    };
    let mut house = House::start(
        Terms {
            every: "24h",
            pace: 10_000,
            log: "info",
            postgres: way.as_ref().map_or_else(String::new, |way| way.0.clone()),
        },
        |authentik| {
            authentik.seed(people as usize, groups as usize);
            for group in 1..=groups {
                let parents = if group <= 2 {
                    &GROUPS[..]
                } else {
                    &GROUPS[..1]
                };
                authentik.set_parents(&format!("group-{group:03}"), parents);
            }
        },
    )
    .await;
    let took = import(&mut house, people.into()).await;
    let imported = house.world.bridge.peak_memory() / 1024;
    println!(
        "first import ({store}): {people} accounts in {:.0} s, killed twice on the way, one each; most memory {imported} MiB",
        took.as_secs_f64()
    );
    // A process that only sweeps, at once and again: what it needs is the sweep's.
    house.world.bridge.stop().await;
    let file = house.world.bridge.config();
    let config = std::fs::read_to_string(&file).expect("its configuration");
    let often = config.replace("every = \"24h\"", "every = \"10s\"");
    std::fs::write(&file, often).expect("our own file");
    house.world.mattermost.clear_journal();
    house.world.bridge.restart().await;
    house.looked_again().await;
    house.looked_again().await;
    let swept = house
        .metric("auth_manager_reconcile_duration_seconds{source=\"authentik\"}")
        .await
        .unwrap_or(f64::INFINITY);
    let looked = house
        .metric("auth_manager_reconcile_app_duration_seconds{app=\"chat\"}")
        .await
        .unwrap_or(f64::INFINITY);
    let peak = house.world.bridge.peak_memory() / 1024;
    let writes = house.writes();
    println!(
        "full sweep without a change: {swept:.1} s for the directory ({people} people, {groups} groups), \
         {looked:.1} s for the app; {} writes to the app; most memory {peak} MiB",
        writes.len()
    );
    assert!(writes.is_empty(), "nothing differed: {writes:?}");
    assert!(swept + looked < 60.0, "a minute");
    assert!(imported < 100, "100 MiB");
    assert!(peak < 100, "100 MiB");
    house.world.bridge.stop().await;
}

//! The bridge with everything around it: stores, a directory that sends webhooks and can be asked, an
//! app that makes accounts.

use crate::ledger;
use crate::prober::{Prober, status};
use crate::support::bridge::Settings;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::pg::Cluster;
use crate::support::relay::Relay;
use crate::support::services::{Replica, Services, Setup};
use crate::way::Way;
use auth_manager::config::Config;
use auth_manager::demo::authentik::{Hook, NewPerson, Options as DirectoryOptions, StandIn};
use auth_manager::demo::door::{GROUP_MEMBERS, GROUP_VALIDATED, Person};
use auth_manager::demo::mattermost::{Options, StandIn as App};
use auth_manager::runtime;
use auth_manager::store::{Job, JobFilter, JobState, Store};
use auth_manager::types::SourceId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const PERMISSIONS: [&str; 3] = [
    "authentik_core.view_user",
    "authentik_core.view_group",
    "authentik_events.view_event",
];
const PROVISION: &str = "team = \"demo\"\n[apps.provision]\nwhen = \"on-assignment\"\n\
    [[apps.provision.groups]]\ngroup = \"sales\"\nteam = \"sales\"\n";
const SECRET: &str = "kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa";
/// Everything that the app asks for, and more.
pub(crate) const BOTH: [&str; 2] = [GROUP_VALIDATED, GROUP_MEMBERS];
pub(crate) const SALES: &str = "sales";

/// How a house is built.
pub(crate) struct Plan {
    /// On PostgreSQL, a cluster of its own.
    pub(crate) postgres: bool,
    /// `[jobs]`, beside the lease.
    pub(crate) jobs: &'static str,
    /// `[directories.reconcile] every`
    pub(crate) every: &'static str,
    /// `[[directories]]`, beside what is always said.
    pub(crate) directory: &'static str,
    /// Of the bridge's first process.
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            postgres: false,
            jobs: "app_rate = 1000\nsource_rate = 1000",
            every: "10s",
            directory: "",
            environment: Vec::new(),
        }
    }
}

pub(crate) struct Database {
    pub(crate) cluster: Cluster,
    pub(crate) way: Arc<Relay>,
}

/// Somebody in the directory.
#[derive(Clone)]
pub(crate) struct Hired {
    pub(crate) pk: i64,
    pub(crate) person: Person,
}

pub(crate) struct House {
    pub(crate) services: Services,
    /// Whether the first bridge was killed for good.
    pub(crate) killed: bool,
    /// Further bridges.
    pub(crate) replicas: Vec<Replica>,
    pub(crate) authentik: StandIn,
    pub(crate) to_app: Arc<Way>,
    pub(crate) to_directory: Arc<Way>,
    pub(crate) database: Option<Database>,
    pub(crate) prober: Prober,
    pub(crate) store: Arc<dyn Store>,
    /// Everybody there ever was, and how often what they may has changed.
    pub(crate) people: Mutex<Vec<Hired>>,
    pub(crate) turns: Mutex<HashMap<i64, usize>>,
    operator: String,
    _files: tempfile::TempDir,
    _directory_runs: DropGuard,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::built(Plan::default()).await
    }

    pub(crate) async fn built(plan: Plan) -> Self {
        let authentik = StandIn::new(DirectoryOptions {
            journal_capacity: 100_000,
            ..DirectoryOptions::default()
        });
        let (_, token) = authentik.reader("bridge-reader", &PERMISSIONS);
        for group in [GROUP_VALIDATED, GROUP_MEMBERS, SALES] {
            authentik.create_group(group);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (to_app, to_directory) = (Way::start().await, Way::start().await);
        to_directory.leads_to(listener.local_addr().expect("a bound listener"));
        let stop = CancellationToken::new();
        let (served, until) = (authentik.clone(), stop.clone());
        tokio::spawn(async move { served.serve(listener, until).await });

        let files = tempfile::tempdir().expect("a folder");
        let secret = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).expect("the folder is writable");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
                .expect("our own file");
            path.display().to_string()
        };
        let clients = format!(
            "[jobs]\nlease = \"10s\"\n{}\n\
             [[directories]]\nid = \"authentik\"\nkind = \"authentik\"\nurl = \"http://{}\"\n\
             token = {{ file = {:?} }}\ntimeout = \"3s\"\nreads = 8\ngroups_max_age = \"0s\"\n{}\n\
             [directories.hooks]\nsecrets = [{{ file = {:?} }}]\n\
             [directories.reconcile]\nevery = \"{}\"\nbrake_number = 1000\nbrake_most = 1000\n\
             [[clients]]\nid = \"operator\"\nscopes = [\"jobs\", \"users:read\"]\n\
             bearer = {{ issuer = \"services\", sub = \"operator\" }}\n",
            plan.jobs,
            to_directory.address(),
            secret("directory.token", &token),
            plan.directory,
            secret("hooks.secret", SECRET),
            plan.every,
        );
        let database = match plan.postgres {
            true => Some(Database::start().await),
            false => None,
        };
        let postgres = match &database {
            Some(database) => database.way.url(&database.cluster.database().await),
            None => String::new(),
        };
        let led = to_app.clone();
        let services = Services::with(Setup {
            tls: false,
            listen: "rate = 100000\nburst = 100000".into(),
            clients,
            settings: Settings {
                mattermost: PROVISION.into(),
                upstream: format!("http://{}", to_app.address()),
                log: "info".into(),
                postgres,
                environment: plan.environment,
                ..Settings::default()
            },
            app: Options {
                user_hard_limit: 20_000,
                max_users_per_team: 20_000,
                journal_capacity: 200_000,
                disable_bots_when_owner_is_deactivated: false,
                pbkdf2_rounds: 1,
                ..Options::default()
            },
            tell: Box::new(move |app| led.leads_to(app)),
            ..Setup::default()
        })
        .await;
        services.world.mattermost.create_team(SALES);
        let config = Config::load(&services.world.bridge.config()).expect("the bridge's own file");
        let store = runtime::store_of(&config.store).await.expect("its store");
        let operator = services.token("operator", serde_json::json!({ "exp": far() }));
        let house = Self {
            prober: Prober::start(services.world.bridge.proxy),
            services,
            killed: false,
            replicas: Vec::new(),
            authentik,
            to_app,
            to_directory,
            database,
            store,
            people: Mutex::default(),
            turns: Mutex::default(),
            operator,
            _files: files,
            _directory_runs: stop.drop_guard(),
        };
        house.hooks_go_to(&[house.services.api]);
        house
    }

    pub(crate) fn mattermost(&self) -> &App {
        &self.services.world.mattermost
    }

    /// The directory sends its webhooks there from now on.
    pub(crate) fn hooks_go_to(&self, apis: &[SocketAddr]) {
        self.authentik.clear_hooks();
        for api in apis {
            let url = format!("http://{api}/hooks/authentik");
            self.authentik.add_hook(Hook::shipped(&url, SECRET));
        }
    }

    // -- what happens in the directory -----------------------------------------------------

    /// Somebody is made, in these groups.
    pub(crate) fn hire(&self, name: &str, groups: &[&str]) -> Hired {
        let new = NewPerson {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..NewPerson::named(name)
        };
        let pk = self.authentik.create(&new);
        let hired = Hired {
            pk,
            person: Person {
                sub: self.authentik.uid(pk),
                ..Person::new(0, name, name, &[GROUP_VALIDATED, GROUP_MEMBERS, SALES], "")
            },
        };
        self.people.lock().push(hired.clone());
        self.turned(pk);
        hired
    }

    pub(crate) fn hire_many(&self, names: &str, count: usize) -> Vec<Hired> {
        let one = |number| self.hire(&format!("{names}-{number}"), &BOTH);
        (0..count).map(one).collect()
    }

    pub(crate) fn disable(&self, who: &Hired) {
        self.authentik.set_active(who.pk, false);
        self.turned(who.pk);
    }

    pub(crate) fn enable(&self, who: &Hired) {
        self.prober.forgets(&who.person.sub);
        self.authentik.set_active(who.pk, true);
        self.turned(who.pk);
    }

    pub(crate) fn join(&self, who: &Hired, group: &str) {
        self.prober.forgets(&who.person.sub);
        self.authentik.join(who.pk, group);
        self.turned(who.pk);
    }

    pub(crate) fn leave(&self, who: &Hired, group: &str) {
        self.authentik.leave(who.pk, group);
        self.turned(who.pk);
    }

    pub(crate) fn delete(&self, who: &Hired) {
        self.authentik.delete(who.pk);
        self.turned(who.pk);
    }

    fn turned(&self, pk: i64) {
        *self.turns.lock().entry(pk).or_default() += 1;
    }

    // -- what follows ----------------------------------------------------------------------

    pub(crate) fn browser(&self, who: &Hired) -> Client {
        self.services.world.client(who.person.clone())
    }

    /// Waits until the bridge refuses them, and sees to it that it does so from now on.
    pub(crate) async fn keeps_out(&self, who: &Hired) {
        self.keeps_out_with(self.browser(who)).await;
    }

    /// The same, by a browser that may have been inside.
    pub(crate) async fn keeps_out_with(&self, browser: Client) {
        eventually("a refusal", || async {
            (status(&browser, "/").await == Some(403)).then_some(())
        })
        .await;
        self.prober.keeps_out(browser);
    }

    /// Waits until everything is as the directory says.
    pub(crate) async fn settles(&self) {
        let started = std::time::Instant::now();
        loop {
            let gaps = ledger::gaps(self).await;
            if gaps.is_empty() {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(100),
                "it does not settle:\n{}\n{}",
                gaps.join("\n"),
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The end of every story.
    pub(crate) async fn finish(mut self) {
        self.settles().await;
        let twice = ledger::doubles(&self).await;
        assert!(twice.is_empty(), "{}\n{}", twice.join("\n"), self.log());
        let wrong = self.prober.wrong();
        assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), self.log());
        assert!(self.prober.refused() > 0, "nobody was asked for");
        for replica in &mut self.replicas {
            replica.bridge.stop().await;
        }
        if !self.killed {
            self.services.world.bridge.stop().await;
        }
    }

    fn log(&self) -> String {
        let output = self.services.world.bridge.output();
        // Not the prober's own.
        let said = |line: &&str| !line.contains("\"method\":\"GET\"");
        let lines: Vec<&str> = output.lines().filter(said).collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    // -- what the operator sees ------------------------------------------------------------

    pub(crate) async fn jobs(&self, states: &[JobState]) -> Vec<Job> {
        let filter = JobFilter {
            states: states.to_vec(),
            limit: 10_000,
            ..JobFilter::default()
        };
        self.store.jobs(&filter).await.unwrap_or_default()
    }

    /// A number of the first bridge's metrics; 0 when it is not there yet.
    pub(crate) async fn metric(&self, line: &str) -> i64 {
        let text = self.services.world.bridge.ops("/metrics").await.text();
        let found = text.lines().find_map(|l| {
            let number = l.strip_prefix("auth_manager_")?.strip_prefix(line)?;
            number.strip_prefix(' ')?.parse().ok()
        });
        found.unwrap_or(0)
    }

    pub(crate) async fn breaker(&self, about: &str, name: &str, open: i64) {
        let line = format!("job_breaker{{about=\"{about}\",name=\"{name}\"}}");
        eventually(&format!("{line} is {open}"), || async {
            (self.metric(&line).await == open).then_some(())
        })
        .await;
    }

    pub(crate) async fn api(&self, path: &str) -> serde_json::Value {
        let nobody = self.services.nobody();
        let reply = nobody.bearing(path, &self.operator).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// A new process after `kill -9`; its addresses are others.
    pub(crate) async fn killed_and_started(&mut self) {
        self.services.world.bridge.kill().await;
        self.services.restart_killed().await;
        self.prober.asks_at(&[self.services.world.bridge.proxy]);
        self.hooks_go_to(&[self.services.api]);
    }

    pub(crate) fn source(&self) -> SourceId {
        SourceId::new("authentik").expect("an id")
    }
}

impl Database {
    async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::start).await;
        let cluster = cluster.expect("a cluster");
        let way = Relay::start(cluster.folder().to_owned(), true).await;
        Self { cluster, way }
    }
}

/// In an hour: tokens of callers outlive their story.
fn far() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp() + 3_600
}

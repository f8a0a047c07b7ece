//! A company: its identity provider (the stand-in Authentik), which tells the bridge of its people by
//! webhook or SCIM and is read over REST; the bridge; the app. The start of stories in which nobody
//! but the identity provider says anything.

use super::bridge::{BINARY, Settings, listening};
use super::client::Client;
use super::wire;
use super::world::World;
use super::{PATIENCE, eventually};
use auth_manager::config::Config;
use auth_manager::demo::authentik::{
    BodyKind, Hook, NewPerson, Options as DirectoryOptions, ScimTarget, StandIn as Authentik,
};
use auth_manager::demo::door::Person;
use auth_manager::demo::mattermost::{Options, UserSnapshot};
use auth_manager::runtime;
use auth_manager::store::{JobFilter, JobState, Store, User};
use auth_manager::types::{IssuerId, SourceId, Subject};
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What Authentik shows with its webhooks.
pub const SECRET: &str = "kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa";

/// The groups of the company: the first two open the app, the others give something in it.
pub const GROUPS: [&str; 5] = [
    "validated",
    "mattermost-users",
    "sales",
    "leads",
    "operators",
];
/// Those that open the app.
pub const MEMBER: &[&str] = &["validated", "mattermost-users"];

/// How the company is set up.
pub struct Terms {
    /// The body of its webhooks; `None`: it sends none.
    pub hooks: Option<BodyKind>,
    /// How often the directory is read whole.
    pub every: &'static str,
    /// Whether it speaks SCIM, too.
    pub scim: bool,
    /// `[jobs]`, and other tables.
    pub more: String,
    /// Further groups that give something: `[[apps.provision.groups]]`.
    pub gives: String,
    /// A `postgres://` URL; empty: SQLite.
    pub postgres: String,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            hooks: Some(BodyKind::Mapped),
            // Beyond any test: whatever happens is the webhook's doing.
            every: "24h",
            scim: false,
            more: String::new(),
            gives: String::new(),
            postgres: String::new(),
        }
    }
}

/// Somebody of the company, as the directory and as Pomerium know them.
#[derive(Clone)]
pub struct Hired {
    /// The directory's number.
    pub pk: i64,
    /// As they sign in. Their assertion names whatever groups it says, whatever the directory says.
    pub person: Person,
}

/// See the module.
pub struct Company {
    pub world: World,
    pub authentik: Authentik,
    /// The api listener.
    pub api: SocketAddr,
    directory: SocketAddr,
    /// The bridge's store, as another process has it.
    pub store: Arc<dyn Store>,
    hooks: Option<BodyKind>,
    scim: Option<String>,
    _files: tempfile::TempDir,
    _runs: DropGuard,
}

impl Company {
    pub async fn start(terms: Terms) -> Self {
        let authentik = Authentik::new(DirectoryOptions::default());
        for group in GROUPS {
            authentik.create_group(group);
        }
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
        let secret = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).expect("our own folder");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))
                .expect("our own file");
            path.display().to_string()
        };
        let mut more = format!(
            "[listen.api]\naddress = \"127.0.0.1:0\"\nissuer = \"https://api.example.test\"\n\
             [[directories]]\nid = \"authentik\"\nkind = \"authentik\"\nurl = \"http://{address}\"\n\
             token = {{ file = {:?} }}\ngroups_max_age = \"0s\"\n\
             [directories.hooks]\nsecrets = [{{ file = {:?} }}]\n\
             [directories.reconcile]\nevery = \"{}\"\n",
            secret("directory.token", &token),
            secret("hooks.secret", SECRET),
            terms.every,
        );
        let bearer = terms.scim.then(bearer);
        if let Some((_, hash)) = &bearer {
            more.push_str(&format!(
                "[[clients]]\nid = \"authentik-scim\"\nscopes = [\"scim\"]\n\
                 static_bearer_sha256 = [\"{hash}\"]\n\
                 [[scim]]\nid = \"authentik-scim\"\nclients = [\"authentik-scim\"]\n\
                 reread = \"authentik\"\n"
            ));
        }
        more.push_str(&terms.more);
        let settings = Settings {
            mattermost: format!(
                "team = \"demo\"\n[apps.provision]\nwhen = \"on-assignment\"\n\
                 [[apps.provision.groups]]\ngroup = \"sales\"\nteam = \"sales\"\n\
                 channels = [\"deals\"]\n\
                 [[apps.provision.groups]]\ngroup_id = \"{}\"\nteam = \"sales\"\n\
                 team_admin = true\n\
                 [[apps.provision.groups]]\ngroup_id = \"{}\"\nsystem_role = \"system_admin\"\n{}",
                authentik.group_id("leads"),
                authentik.group_id("operators"),
                terms.gives,
            ),
            more,
            postgres: terms.postgres,
            ..Settings::default()
        };
        let mut world = World::with(settings, Options::default()).await;
        world.mattermost.create_team("sales");
        world.mattermost.create_channel("sales", "deals");
        let api = address_of_api(&mut world).await;
        world.taint.private(SECRET);
        world.taint.private(&token);
        if let Some((bearer, _)) = &bearer {
            world.taint.private(bearer);
        }
        let config = Config::load(&world.bridge.config()).expect("the bridge's own file");
        let store = runtime::store_of(&config.store).await.expect("its store");
        let company = Self {
            world,
            authentik,
            api,
            directory: address,
            store,
            hooks: terms.hooks,
            scim: bearer.map(|(bearer, _)| bearer),
            _files: files,
            _runs: stop.drop_guard(),
        };
        company.tells().await;
        company.read_whole().await;
        company.authentik.forget();
        company
    }

    /// Webhooks and SCIM go to where the api listens now.
    pub async fn tells(&self) {
        self.authentik.clear_hooks();
        if let Some(body) = self.hooks {
            let url = format!("http://{}/hooks/authentik", self.api);
            self.authentik.add_hook(Hook {
                body,
                ..Hook::shipped(&url, SECRET)
            });
        }
        if let Some(bearer) = &self.scim {
            let target = ScimTarget {
                url: format!("http://{}/scim/v2", self.api),
                token: bearer.clone(),
                exclude_service_accounts: true,
                twice: false,
            };
            self.authentik.scim_connect(target).await;
            self.authentik.scim_sync().await;
        }
    }

    /// Webhooks go where nobody listens, and are on record all the same.
    pub fn tells_nobody(&self) {
        self.authentik.clear_hooks();
        self.authentik.add_hook(Hook {
            body: self.hooks.unwrap_or(BodyKind::Mapped),
            ..Hook::shipped("http://127.0.0.1:1/hooks/authentik", SECRET)
        });
    }

    /// Waits for the sweep that each start of a new bridge begins with.
    async fn read_whole(&self) {
        let source = SourceId::new("authentik").expect("an id");
        eventually("the first sweep", || async {
            let state = self.store.source_state(&source).await;
            state.expect("the store answers").swept_at.map(drop)
        })
        .await;
    }

    /// A new process on the same files, after whatever ended the former one.
    pub async fn restart(&mut self) {
        self.world.bridge.restart().await;
        self.api = address_of_api(&mut self.world).await;
        self.tells().await;
    }

    /// Makes somebody in the directory. Their assertions name these groups for ever.
    pub fn hire(&self, name: &str, groups: &[&str]) -> Hired {
        let pk = self.authentik.create(&NewPerson {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..NewPerson::named(name)
        });
        let mut person = Person::new(0, name, name, groups, "");
        person.sub = self.authentik.uid(pk);
        person.email_verified = Some(false);
        Hired { pk, person }
    }

    /// A call of the directory's API by somebody with this token; the status.
    pub async fn rest(&self, method: &str, path: &str, token: &str, body: &str) -> u16 {
        send(self.directory, method, path, token, body).await
    }

    /// A delivery as Authentik would make it; the status.
    pub async fn deliver(&self, body: &str) -> u16 {
        send(self.api, "POST", "/hooks/authentik", SECRET, body).await
    }

    /// Their account in the app, once it is as the test says.
    pub async fn account(
        &self,
        whose: &Hired,
        what: &str,
        is: impl Fn(&UserSnapshot) -> bool,
    ) -> UserSnapshot {
        eventually(what, || async { self.snapshot(whose).filter(&is) }).await
    }

    /// Their account in the app now.
    pub fn snapshot(&self, whose: &Hired) -> Option<UserSnapshot> {
        self.world.mattermost.user(&name_of(whose))
    }

    /// A browser of theirs with the app open, as soon as they may.
    pub async fn comes_in(&self, who: &Hired) -> Client {
        let visitor = self.world.client(who.person.clone());
        eventually("the way in", || {
            let mut tab = visitor.clone();
            async move { (tab.open("/").await.status == 200).then_some(tab) }
        })
        .await
    }

    /// Waits until their page and call are refused, with this code, in this browser and in a new one
    /// whose assertion is the newest.
    pub async fn is_refused(&self, visitor: &mut Client, code: &str) {
        let page = eventually("the refusal", || {
            let mut tab = visitor.clone();
            async move {
                let page = tab.open("/").await;
                (page.status == 403).then_some(page)
            }
        })
        .await;
        assert!(page.text().contains(code), "{code}: {}", page.text());
        assert_eq!(visitor.get("/api/v4/users/me").await.status, 403);
        visitor.signs_in_as(visitor.person.clone());
        assert_eq!(visitor.open("/").await.status, 403);
    }

    /// Waits until no job waits or runs; what died, with why, is the text.
    pub async fn settled(&self) -> String {
        let of = |states: &[JobState]| JobFilter {
            states: states.to_vec(),
            limit: 1_000,
            ..JobFilter::default()
        };
        eventually("the end of all jobs", || async {
            let open = of(&[JobState::Pending, JobState::Running]);
            let open = self.store.jobs(&open).await.expect("the store answers");
            open.is_empty().then_some(())
        })
        .await;
        let dead = self.store.jobs(&of(&[JobState::Dead])).await;
        dead.expect("the store answers")
            .into_iter()
            .map(|job| format!("{} {}\n", job.key, job.error))
            .collect()
    }

    /// Waits until nothing is under way, neither there nor here.
    pub async fn quiet(&self) {
        assert!(self.authentik.idle(PATIENCE).await, "deliveries end");
        assert_eq!(self.settled().await, "", "no job died");
    }

    /// What is on record of somebody.
    pub async fn record(&self, whose: &Hired) -> User {
        let issuer = IssuerId::new("pomerium").expect("an id");
        let subject = Subject::new(whose.person.sub.as_str()).expect("a subject");
        let user = self.store.user_by_subject(&issuer, &subject).await;
        user.expect("the store answers")
            .expect("they are on record")
    }

    /// The bodies that Authentik has sent to the webhook, in the order in which they went.
    pub fn bodies(&self) -> Vec<String> {
        let sent = self.authentik.sent();
        let hooks = sent.into_iter().filter(|one| one.url.contains("/hooks/"));
        hooks.map(|one| one.body).collect()
    }

    /// Waits until a webhook was answered 202.
    pub async fn told(&self) {
        eventually("a webhook's 202", || async {
            let sent = self.authentik.sent();
            let taken = |one: &auth_manager::demo::authentik::Sent| one.status == Some(202);
            sent.iter().any(taken).then_some(())
        })
        .await;
    }

    /// As [`World::finish`].
    pub async fn finish(self) {
        assert_eq!(self.settled().await, "", "no job died");
        self.world.finish().await;
    }
}

/// Longest that anything may take that is not to wait for a lease.
pub const SOON: Duration = Duration::from_secs(30);

fn name_of(whose: &Hired) -> String {
    whose.person.username.clone().unwrap_or_default()
}

async fn address_of_api(world: &mut World) -> SocketAddr {
    // The newest: a process that was started again listens elsewhere.
    let find = |line: &str| listening(line, "api");
    world.bridge.line("the api's address", find).await
}

async fn send(to: SocketAddr, method: &str, path: &str, bearer: &str, body: &str) -> u16 {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {bearer}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    wire::exchange(to, request.as_bytes()).await.status
}

/// A fixed bearer and its hash.
fn bearer() -> (String, String) {
    let made = std::process::Command::new(BINARY)
        .args(["clients", "new-bearer", "--json"])
        .output()
        .expect("the binary starts");
    let made: Value = serde_json::from_slice(&made.stdout).expect("a bearer");
    let text = |key: &str| made[key].as_str().unwrap_or_default().to_owned();
    (text("bearer"), text("sha256"))
}

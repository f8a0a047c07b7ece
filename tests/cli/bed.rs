//! A folder with a configuration, and the binary run on it.

use auth_manager::audit::{Audit, Settings};
use auth_manager::demo::mattermost::{Options, StandIn};
use auth_manager::keys::AuditKey;
use auth_manager::keys::master::{FileAccess, MasterKey};
use auth_manager::store::{
    Account, AccountState, Birth, By, SeenUser, Session, SqliteStore, Store as _, User,
};
use auth_manager::types::{
    AppId, Clock as _, IssuerId, RemoteId, SessionId, Sid, Subject, SystemClock, Timestamp,
};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::{CancellationToken, DropGuard};

const BINARY: &str = env!("CARGO_BIN_EXE_auth-manager");
/// Host of the recordings.
pub(crate) const HOST: &str = "chat.localhost.test";

/// See the module.
pub(crate) struct Bed {
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Its output, of one that must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// Its complaint, of one that must have failed.
    pub(crate) fn failed(self) -> String {
        assert_eq!(self.code, 1, "{self:?}");
        self.err
    }

    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Bed {
    /// With an app that is away.
    pub(crate) async fn new() -> Self {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        Self::at(address, "nosuchtoken0123456789abcde")
    }

    /// With an app at `upstream`.
    pub(crate) fn at(upstream: SocketAddr, token: &str) -> Self {
        let bed = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        MasterKey::generate_file(&bed.path("master.key")).unwrap();
        bed.secret("bot.token", token);
        let recorded = recording("01-logged-in-get.json");
        bed.write("jwks.json", &recorded["jwks"].to_string());
        bed.write(
            "auth-manager.toml",
            &format!(
                "[listen.proxy]\naddress = \"127.0.0.1:0\"\n\
                 [store]\nsqlite = \"store.db\"\n\
                 [keys]\nmaster_key = {{ file = \"master.key\" }}\n\
                 [[issuers]]\nid = \"pomerium\"\njwks = {{ file = \"jwks.json\" }}\n\
                 [[apps]]\nid = \"chat\"\nkind = \"mattermost\"\nhost = \"{HOST}\"\n\
                 upstream = \"http://{upstream}\"\n\
                 [apps.access]\nany_of = [\"mattermost-users\"]\n\
                 [apps.mattermost]\nbot_token = {{ file = \"bot.token\" }}\nlink = \"operator\"\n"
            ),
        );
        bed
    }

    /// With a stand-in for the app.
    pub(crate) async fn with_app() -> (Self, StandIn, DropGuard) {
        let app = StandIn::new(Options {
            site_url: format!("https://{HOST}"),
            ..Options::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bed = Self::at(listener.local_addr().unwrap(), &app.bot_token());
        let stop = CancellationToken::new();
        let (server, until) = (app.clone(), stop.clone());
        tokio::spawn(async move { server.serve(listener, until).await });
        (bed, app, stop.drop_guard())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    pub(crate) fn replace(&self, from: &str, to: &str) {
        let path = self.path("auth-manager.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Runs a command on this configuration.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "").await
    }

    /// With something on its standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let config = self.path("auth-manager.toml");
        let mut all = arguments.to_vec();
        all.extend(["--config", config.to_str().unwrap()]);
        run(self.folder.path(), &all, input).await
    }

    /// Makes the audit key, as a bridge that starts does.
    pub(crate) async fn audit_key(&self) -> AuditKey {
        let master = MasterKey::from_file(&self.path("master.key"), FileAccess::OwnerOnly);
        AuditKey::load(&self.store().await, &master.unwrap())
            .await
            .unwrap()
    }

    /// The store, past the binary.
    pub(crate) async fn store(&self) -> SqliteStore {
        SqliteStore::open(self.path("store.db")).await.unwrap()
    }

    /// Somebody who has come by.
    pub(crate) async fn person(&self, name: &str) -> User {
        let seen = SeenUser {
            issuer: IssuerId::new("pomerium").unwrap(),
            subject: Subject::new(format!("sub-{name}")).unwrap(),
            email: format!("{name}@example.test"),
            email_verified: true,
            name: name.to_uppercase(),
            username: Some(name.to_owned()),
            locale: None,
            groups: Vec::new(),
            at: now(),
        };
        self.store().await.saw_user(&seen).await.unwrap()
    }

    /// Somebody with an account.
    pub(crate) async fn member(&self, name: &str) -> (User, Account) {
        let user = self.person(name).await;
        let store = self.store().await;
        let mut account = store.begin_account(&chat(), user.id, now()).await.unwrap();
        account.state = AccountState::Linked;
        account.remote = Some(RemoteId::new(format!("remote-{name}")).unwrap());
        let account = store.save_account(&account, &by()).await.unwrap();
        (user, account)
    }

    /// Somebody who is signed in.
    pub(crate) async fn visitor(&self, name: &str) -> Session {
        let (user, account) = self.member(name).await;
        let mut id = [0xff; 32];
        id[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        // Its text begins with `-`, which no option is.
        id[0] = 0xfb;
        let hour = Duration::from_secs(3600);
        let session = Session {
            id: SessionId(id),
            app: chat(),
            issuer: user.issuer.clone(),
            subject: user.subject.clone(),
            user: user.id,
            account: account.id,
            remote: account.remote.clone().unwrap(),
            sid: Sid::new(format!("sid-{name}")).unwrap(),
            former_sids: Vec::new(),
            sealed: b"a sealed secret".to_vec(),
            app_session: None,
            app_expires_at: now() + hour,
            generation: 0,
            created_at: now(),
            sid_since: now(),
            expires_at: now() + hour,
            last_seen: now(),
            admission: Default::default(),
            ended_at: None,
            end_reason: None,
            agent: "a browser\u{1b}[2J".into(),
        };
        let store = self.store().await;
        let epoch = store.epoch(user.id).await.unwrap();
        match store.birth(&session, epoch, now(), &by()).await.unwrap() {
            Birth::Stands(session) => *session,
            other => panic!("{other:?}"),
        }
    }
}

/// Runs the binary in a folder.
pub(crate) async fn run(folder: &Path, arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .env_remove("AUTH_MANAGER_CONFIG")
        .env_remove("CREDENTIALS_DIRECTORY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing closes it.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
    let output = output.await.expect("a command ends").unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Whom what is done past the binary is by.
pub(crate) fn by() -> By {
    Audit::new(Arc::new(SystemClock), Settings::default()).bridge()
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn chat() -> AppId {
    AppId::new("chat").unwrap()
}

/// A recording of a real Pomerium.
pub(crate) fn recording(name: &str) -> serde_json::Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings/pomerium");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The head that reached the upstream in an exchange of a recording.
pub(crate) fn head(name: &str, title: &str) -> String {
    let recorded = recording(name);
    let all = recorded["exchanges"].as_array().unwrap();
    let found = all.iter().find(|e| {
        e["title"].as_str().unwrap().contains(title) && e["upstream_request_head"].is_string()
    });
    let found = found.unwrap_or_else(|| panic!("{name}: {title}"));
    found["upstream_request_head"].as_str().unwrap().to_owned()
}

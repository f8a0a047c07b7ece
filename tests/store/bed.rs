//! What a test of a store stands on: two replicas of one store, people to fill it, and a way to
//! write what no store would.

use crate::pg::Cluster;
use auth_manager::audit::{Audit, Settings};
use auth_manager::store::{
    Account, AccountState, Birth, By, PostgresOptions, PostgresStore, SeenUser, Session,
    SqliteStore, Store, User,
};
use auth_manager::types::{
    AppId, IssuerId, ManualClock, RemoteId, SessionId, Sid, Subject, Timestamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// A moment to count from.
pub(crate) const T0: Timestamp = Timestamp(1_800_000_000);

/// `T0` and so many seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(T0.0 + seconds)
}

/// Whom the changes of these tests are by.
pub(crate) fn by() -> By {
    audit().bridge()
}

/// Whose clock stands at `T0`.
pub(crate) fn audit() -> Audit {
    let settings = Settings {
        replica: "test".into(),
        ..Settings::default()
    };
    Audit::new(Arc::new(ManualClock::at(T0)), settings)
}

/// Two replicas of one store. On SQLite they are two processes' worth: each has its own
/// connections, locks and signals, on one file.
pub(crate) struct Bed {
    pub(crate) a: Arc<dyn Store>,
    pub(crate) b: Arc<dyn Store>,
    pub(crate) raw: Raw,
}

/// Past the store, into its tables.
pub(crate) enum Raw {
    Sqlite(TempDir),
    Postgres(PostgresOptions),
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        Self {
            a: Arc::new(SqliteStore::open(&path).await.unwrap()),
            b: Arc::new(SqliteStore::open(&path).await.unwrap()),
            raw: Raw::Sqlite(folder),
        }
    }

    pub(crate) async fn postgres() -> Self {
        let options = postgres_options();
        Self {
            a: Arc::new(PostgresStore::connect(&options).await.unwrap()),
            b: Arc::new(PostgresStore::connect(&options).await.unwrap()),
            raw: Raw::Postgres(options),
        }
    }

    /// One more replica.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>, auth_manager::store::StoreError> {
        Ok(match &self.raw {
            Raw::Sqlite(folder) => {
                Arc::new(SqliteStore::open(folder.path().join("store.db")).await?)
            }
            Raw::Postgres(options) => Arc::new(PostgresStore::connect(options).await?),
        })
    }

    /// Runs SQL that both engines understand.
    pub(crate) async fn sql(&self, sql: &str) {
        match &self.raw {
            Raw::Sqlite(folder) => {
                let db = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
                db.execute_batch(sql).unwrap();
            }
            Raw::Postgres(options) => client(options).await.batch_execute(sql).await.unwrap(),
        }
    }

    pub(crate) async fn person(&self, name: &str) -> User {
        self.a.saw_user(&seen(name, T0)).await.unwrap()
    }

    /// A person with a linked account.
    pub(crate) async fn member(&self, name: &str) -> (User, Account) {
        let user = self.person(name).await;
        let mut account = self.a.begin_account(&app(), user.id, T0).await.unwrap();
        account.state = AccountState::Linked;
        account.remote = Some(remote(&format!("remote-{name}")));
        let account = self.a.save_account(&account, &by()).await.unwrap();
        (user, account)
    }

    /// A person with a live session on `sid`.
    pub(crate) async fn visitor(&self, name: &str, on: &str) -> (User, Session) {
        let (user, account) = self.member(name).await;
        let session = session(&user, &account, on);
        (user, self.born(&session).await)
    }

    /// Gives birth to a session that must stand.
    pub(crate) async fn born(&self, session: &Session) -> Session {
        let epoch = self.a.epoch(session.user).await.unwrap();
        stood(self.a.birth(session, epoch, T0, &by()).await.unwrap())
    }
}

/// The session of a write that must have succeeded.
pub(crate) fn stood(birth: Birth) -> Session {
    match birth {
        Birth::Stands(session) => *session,
        other => panic!("it does not stand: {other:?}"),
    }
}

/// A schema of its own in the shared cluster.
pub(crate) fn postgres_options() -> PostgresOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut options = PostgresOptions::new(Cluster::shared().url().into());
    options.schema = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    options.max_connections = 6;
    options
}

/// A connection past the store, in its schema.
pub(crate) async fn client(options: &PostgresOptions) -> tokio_postgres::Client {
    use secrecy::ExposeSecret as _;
    let url = options.url.expose_secret();
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let path = format!("SET search_path = {}", options.schema);
    client.batch_execute(&path).await.unwrap();
    client
}

pub(crate) fn app() -> AppId {
    AppId::new("chat").unwrap()
}

pub(crate) fn issuer() -> IssuerId {
    IssuerId::new("pomerium").unwrap()
}

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(format!("sub-{name}")).unwrap()
}

pub(crate) fn sid(text: &str) -> Sid {
    Sid::new(text).unwrap()
}

pub(crate) fn remote(text: &str) -> RemoteId {
    RemoteId::new(text).unwrap()
}

pub(crate) fn seen(name: &str, at: Timestamp) -> SeenUser {
    SeenUser {
        issuer: issuer(),
        subject: subject(name),
        email: format!("{name}@example.com"),
        email_verified: true,
        name: name.to_uppercase(),
        username: Some(name.to_owned()),
        locale: None,
        groups: Vec::new(),
        at,
    }
}

/// A session to be born: as long as an hour, its id from user and sid.
pub(crate) fn session(user: &User, account: &Account, on: &str) -> Session {
    let mut id = [0; 32];
    id[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    Session {
        id: SessionId(id),
        app: account.app.clone(),
        issuer: user.issuer.clone(),
        subject: user.subject.clone(),
        user: user.id,
        account: account.id,
        remote: account.remote.clone().unwrap(),
        sid: sid(on),
        former_sids: Vec::new(),
        sealed: vec![1, 2, 3],
        app_session: Some("app-session".into()),
        app_expires_at: at(7_200),
        generation: 0,
        created_at: T0,
        sid_since: T0,
        expires_at: at(3_600),
        last_seen: T0,
        admission: Default::default(),
        ended_at: None,
        end_reason: None,
        agent: "a browser".into(),
    }
}

/// Long enough for anything that should happen; reached only when it does not.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "{what}");
}

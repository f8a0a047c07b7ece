//! From Authentik to a person's state: stand-in, reader, job and intake, as the bridge puts them
//! together.

use super::*;
use crate::config::{
    AuthentikConfig, AuthentikSubject, AuthentikType, DirectoryConfig, DirectoryKind, SecretSource,
};
use crate::demo::authentik::{NewPerson, Options, StandIn};
use crate::directory::Terms;
use crate::directory::sources::open;
use crate::store::{SeenUser, Store as _, User};
use crate::tls::ClientFiles;
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PERMISSIONS: [&str; 3] = [
    "authentik_core.view_user",
    "authentik_core.view_group",
    "authentik_events.view_event",
];

struct House {
    app: StandIn,
    own: i64,
    alice: i64,
    store: Arc<SqliteStore>,
    reader: Reader,
    id: SourceId,
    _folder: tempfile::TempDir,
    stop: CancellationToken,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn house() -> House {
    let app = StandIn::new(Options::default());
    let (own, token) = app.reader("bridge-reader", &PERMISSIONS);
    let alice = app.create(&NewPerson::named("alice"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let (served, stopped) = (app.clone(), stop.clone());
    tokio::spawn(async move { served.serve(listener, stopped).await });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, token).unwrap();
    let kind = DirectoryKind::Authentik(AuthentikConfig {
        token: SecretSource::File(file),
        token_identifier: None,
        subject: AuthentikSubject::Uid,
        types: vec![AuthentikType::Internal],
        ignore: Vec::new(),
    });
    let config = DirectoryConfig::at("authentik", &url.parse().unwrap(), kind);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let tls = Arc::new(ArcSwap::from_pointee(
        ClientFiles::default().load().unwrap(),
    ));
    let source = open(&config, tls, clock.clone()).unwrap();
    let store = Arc::new(SqliteStore::in_memory().unwrap());
    let audit = Arc::new(Audit::new(clock.clone(), Settings::default()));
    let terms = Arc::new(ArcSwap::from_pointee(Terms::default()));
    let intake = Intake::new(store.clone(), audit, clock.clone(), terms);
    let reader = Reader::new(
        Arc::new(Sources::new([source])),
        store.clone(),
        Arc::new(intake),
        clock,
        Metrics::new(Default::default()),
    );
    // She has been here.
    let seen = SeenUser {
        issuer: config.issuer.clone(),
        subject: Subject::new(app.uid(alice)).unwrap(),
        email: String::new(),
        email_verified: false,
        name: "Alice".into(),
        username: Some("alice".into()),
        locale: None,
        groups: Vec::new(),
        at: SystemClock.now(),
    };
    store.saw_user(&seen).await.unwrap();
    House {
        app,
        own,
        alice,
        store,
        reader,
        id: config.id,
        _folder: folder,
        stop,
    }
}

impl House {
    async fn read(&self, what: ToRead) -> Outcome {
        let wish = wish::read(&self.id, &what, Priority::Deny, NOW, "a test");
        self.reader.run(&job(wish)).await
    }

    async fn alice(&self) -> User {
        let issuer = IssuerId::new("pomerium").unwrap();
        let subject = self
            .store
            .person(&self.id, &self.alice.to_string())
            .await
            .unwrap();
        let subject = subject.unwrap().subject.unwrap();
        self.store
            .user_by_subject(&issuer, &subject)
            .await
            .unwrap()
            .unwrap()
    }
}

#[tokio::test]
async fn whoever_is_disabled_or_deleted_in_authentik_is_turned_away_and_comes_back() {
    let house = house().await;
    let alice = person(&house.alice.to_string());
    assert_eq!(house.read(alice.clone()).await, Outcome::Done);
    assert!(!house.alice().await.state.denies());
    house.app.set_active(house.alice, false);
    assert_eq!(house.read(alice.clone()).await, Outcome::Done);
    assert!(
        house.alice().await.state.denies(),
        "disabled there, turned away here"
    );
    house.app.set_active(house.alice, true);
    assert_eq!(house.read(alice.clone()).await, Outcome::Done);
    assert!(
        !house.alice().await.state.denies(),
        "enabled again, and the same person"
    );
    // A token that lost its permission says nothing about anybody.
    house.app.set_permissions(house.own, &[], &[]);
    assert!(matches!(
        house.read(alice.clone()).await,
        Outcome::Later { counts: false, .. }
    ));
    let one = [("authentik_core.view_user", "1")];
    house
        .app
        .set_permissions(house.own, &PERMISSIONS[1..], &one);
    assert!(matches!(
        house.read(alice.clone()).await,
        Outcome::Later { counts: false, .. }
    ));
    assert!(!house.alice().await.state.denies());
    house.app.set_permissions(house.own, &PERMISSIONS, &[]);
    house.app.delete(house.alice);
    assert_eq!(house.read(alice).await, Outcome::Done);
    assert!(
        house.alice().await.state.denies(),
        "gone there, turned away here"
    );
}

#[tokio::test]
async fn a_hint_without_a_name_leads_to_whoever_changed() {
    let house = house().await;
    house.app.create_group("staff");
    house.app.join(house.alice, "staff");
    assert_eq!(house.read(ToRead::Recent).await, Outcome::Done);
    let filter = JobFilter {
        limit: 100,
        ..JobFilter::default()
    };
    let keys: Vec<String> = house
        .store
        .jobs(&filter)
        .await
        .unwrap()
        .into_iter()
        .map(|job| job.key)
        .collect();
    let group = house.app.group_id("staff");
    assert!(
        keys.contains(&format!("read/authentik/group/{group}")),
        "{keys:?}"
    );
    assert!(
        keys.contains(&format!("read/authentik/person/{}", house.alice)),
        "{keys:?}"
    );
    assert_eq!(
        house.read(ToRead::Group { id: group.clone() }).await,
        Outcome::Done
    );
    assert_eq!(
        house.read(person(&house.alice.to_string())).await,
        Outcome::Done
    );
    let word = house
        .store
        .person(&house.id, &house.alice.to_string())
        .await
        .unwrap();
    assert_eq!(word.unwrap().groups, [group]);
}

//! The reader against a stand-in that is written from Keycloak's documentation.

use super::*;
use crate::config::{DirectoryKind, SecretSource};
use crate::demo::keycloak::{CLIENT, StandIn};
use crate::directory::source::Source;
use crate::tls::ClientFiles;
use crate::types::SystemClock;
use serde_json::json;
use tokio::net::TcpListener;

struct Bed {
    app: StandIn,
    folder: tempfile::TempDir,
    reader: Keycloak,
}

async fn bed(page_size: usize) -> Bed {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), CLIENT.1).unwrap();
    let app = StandIn::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(app.clone().serve(listener));
    let own = KeycloakConfig {
        realm: "main".into(),
        client_id: CLIENT.0.into(),
        client_secret: SecretSource::File(folder.path().join("secret")),
    };
    let kind = DirectoryKind::Keycloak(own.clone());
    let mut config = DirectoryConfig::at("keycloak", &url.parse().unwrap(), kind);
    config.page_size = page_size;
    let tls = Arc::new(ArcSwap::from_pointee(
        ClientFiles::default().load().unwrap(),
    ));
    let reader = Keycloak::new(&config, &own, tls, Arc::new(SystemClock)).unwrap();
    Bed {
        app,
        folder,
        reader,
    }
}

#[tokio::test]
async fn a_person_is_read_with_the_groups_above_theirs() {
    let Bed {
        app,
        reader,
        folder: _folder,
    } = bed(2).await;
    let top = app.create_group("top", None);
    let middle = app.create_group("middle", Some(&top));
    let low = app.create_group("low", Some(&middle));
    let ids: Vec<String> = ["alice", "bob", "carol"]
        .iter()
        .map(|name| app.create(name))
        .collect();
    app.join(&ids[0], &low);
    app.join(&ids[1], &top);
    let alice = reader.person(&ids[0]).await.unwrap().unwrap();
    assert_eq!(alice.subject.as_ref().unwrap().as_str(), ids[0]);
    assert_eq!(
        (alice.name.as_str(), alice.locale.as_deref()),
        ("alice Example", Some("fr"))
    );
    assert!(alice.active && alice.human && alice.email_verified);
    let mut all = [top.clone(), middle.clone(), low.clone()];
    all.sort();
    assert_eq!(alice.groups, all);
    assert_eq!(
        reader
            .person_by_username("bob")
            .await
            .unwrap()
            .unwrap()
            .groups,
        vec![top.clone()]
    );
    let (mut from, mut people) = (None, Vec::new());
    loop {
        let page = reader.people(from.as_deref()).await.unwrap();
        assert_eq!(page.total, Some(3));
        people.extend(page.items);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    let listed = people.iter().find(|person| person.id == ids[0]).unwrap();
    assert_eq!((people.len(), &listed.groups), (3, &alice.groups));
    assert_eq!(reader.groups(None).await.unwrap().items.len(), 3);
    assert_eq!(
        reader.group(&middle).await.unwrap().unwrap().parents,
        vec![top.clone()]
    );
    assert_eq!(reader.members(&top).await.unwrap(), vec![ids[1].clone()]);
    app.set(&ids[1], "enabled", json!(false));
    app.set(&ids[2], "serviceAccountClientId", json!("x"));
    assert!(!reader.person(&ids[1]).await.unwrap().unwrap().active);
    assert!(!reader.person(&ids[2]).await.unwrap().unwrap().human);
    assert_eq!(app.granted(), 1, "one token for all of it");
    assert!(
        !reader.recent(None).await.unwrap().whole,
        "only a sweep finds what changed"
    );
}

#[tokio::test]
async fn whoever_is_gone_is_gone_by_a_clear_word_only() {
    let Bed {
        app,
        folder,
        reader,
    } = bed(100).await;
    let id = app.create("alice");
    assert_eq!(reader.look().await.unwrap(), []);
    app.blind(true);
    assert!(matches!(
        reader.person(&id).await,
        Err(SourceError::Permission(_))
    ));
    assert_eq!(reader.look().await.unwrap()[0].about, "permission");
    app.blind(false);
    app.break_with(Some(500));
    assert!(matches!(
        reader.person(&id).await,
        Err(SourceError::Unavailable(_))
    ));
    app.break_with(None);
    app.forget_tokens();
    assert!(
        reader.person(&id).await.unwrap().is_some(),
        "a token that ended is renewed"
    );
    app.delete(&id);
    assert_eq!(reader.person(&id).await.unwrap(), None);
    assert_eq!(reader.person_by_username("alice").await.unwrap(), None);
    assert!(matches!(
        reader.person("a/b").await,
        Err(SourceError::Refused(_))
    ));
    std::fs::write(
        folder.path().join("secret"),
        "wrong, and longer than before",
    )
    .unwrap();
    app.forget_tokens();
    assert!(matches!(
        reader.person(&id).await,
        Err(SourceError::Credential(_))
    ));
    assert_eq!(reader.look().await.unwrap()[0].about, "token");
}

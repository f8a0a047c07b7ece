//! The reader against the stand-in that is held to recordings of a real Keycloak.

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
    assert!(!reader.person(&ids[1]).await.unwrap().unwrap().active);
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
    app.set_roles(&[]);
    assert!(matches!(
        reader.person(&id).await,
        Err(SourceError::Permission(_))
    ));
    assert_eq!(reader.look().await.unwrap()[0].about, "permission");
    app.set_roles(&["view-users"]);
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

/// All of a list of people.
async fn everybody(reader: &Keycloak) -> Result<Vec<crate::store::Person>, SourceError> {
    let (mut from, mut people) = (None, Vec::new());
    loop {
        let page = reader.people(from.as_deref()).await?;
        people.extend(page.items);
        from = page.next;
        if from.is_none() {
            return Ok(people);
        }
    }
}

/// Of a list of people, those in a group.
fn in_group<'a>(people: &'a [crate::store::Person], group: &str) -> Vec<&'a str> {
    let group = group.to_owned();
    let of = people.iter().filter(|p| p.groups.contains(&group));
    of.map(|person| person.username.as_str()).collect()
}

#[tokio::test]
async fn a_service_account_is_nobody_however_it_is_found() {
    let Bed {
        app,
        reader,
        folder: _folder,
    } = bed(100).await;
    let staff = app.create_group("staff", None);
    let machine = app.create_service_account("backup");
    let alice = app.create("alice");
    app.join(&machine, &staff);
    app.join(&alice, &staff);
    assert!(!reader.person(&machine).await.unwrap().unwrap().human);
    let named = reader.person_by_username("service-account-backup").await;
    assert!(!named.unwrap().unwrap().human);
    let people = everybody(&reader).await.unwrap();
    assert_eq!(in_group(&people, &staff), ["alice"]);
    assert!(people.iter().all(|person| person.human));
}

#[tokio::test]
async fn an_empty_list_for_lack_of_a_role_is_no_empty_realm() {
    let Bed {
        app,
        reader,
        folder: _folder,
    } = bed(100).await;
    let alice = app.create("alice");
    app.create_group("staff", None);
    app.set_roles(&["query-users", "query-groups"]);
    for error in [
        reader.groups(None).await.map(drop).unwrap_err(),
        reader.people(None).await.map(drop).unwrap_err(),
        reader.person(&alice).await.map(drop).unwrap_err(),
        // Nobody of that id or name: not believed either.
        reader.person("nobody").await.map(drop).unwrap_err(),
        reader
            .person_by_username("alice")
            .await
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(matches!(error, SourceError::Permission(_)), "{error}");
        assert!(error.to_string().contains("view-users"), "{error}");
    }
    let found = reader.look().await.unwrap();
    let about: Vec<_> = found.iter().map(|remark| remark.about).collect();
    assert_eq!(about, ["permission", "permission"]);
}

#[tokio::test]
async fn a_list_cut_short_takes_no_group_from_anybody() {
    let Bed {
        app,
        reader,
        folder: _folder,
    } = bed(100).await;
    let staff = app.create_group("staff", None);
    let low = app.create_group("low", Some(&staff));
    for number in 0..25 {
        let id = app.create(&format!("person-{number:02}"));
        app.join(&id, if number % 2 == 0 { &staff } else { &low });
        app.create_group(&format!("other-{number}"), Some(&staff));
    }
    for longest in [None, Some(7), Some(2)] {
        app.longest_page(longest);
        let people = everybody(&reader).await.unwrap();
        assert_eq!(people.len(), 25, "{longest:?}");
        assert_eq!(in_group(&people, &staff).len(), 25, "{longest:?}");
        assert_eq!(in_group(&people, &low).len(), 12, "{longest:?}");
        assert_eq!(reader.groups(None).await.unwrap().items.len(), 27);
    }
    // Nor is one believed that never goes on.
    app.longest_page(Some(1));
    let error = reader.people(None).await.unwrap_err();
    assert!(matches!(error, SourceError::Permission(_)), "{error}");
}

#[tokio::test]
async fn nobody_loses_a_group_because_somebody_before_them_left_it() {
    let Bed {
        app,
        reader,
        folder: _folder,
    } = bed(3).await;
    let staff = app.create_group("staff", None);
    let ids: Vec<String> = (0..9)
        .map(|number| app.create(&format!("person-{number}")))
        .collect();
    for id in &ids {
        app.join(id, &staff);
    }
    let (first, group) = (ids[0].clone(), staff.clone());
    app.after("members?first=0", move |app| app.leave(&first, &group));
    let members = reader.members(&staff).await.unwrap();
    assert_eq!(members, ids[1..]);
    // Whoever sees it change each time gets no answer rather than half of one.
    for id in &ids[1..4] {
        let (id, group) = (id.clone(), staff.clone());
        app.after("members?first=0", move |app| app.leave(&id, &group));
    }
    let error = reader.members(&staff).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(reader.members(&staff).await.unwrap(), ids[4..]);
}

#[tokio::test]
async fn what_the_token_endpoint_says_is_told() {
    let Bed {
        app,
        reader,
        folder: _folder,
    } = bed(100).await;
    let said = async || reader.look().await.map(|found| found[0].text.clone());
    app.set_service_accounts(false);
    assert!(said().await.unwrap().contains("Client not enabled"));
    app.set_service_accounts(true);
    app.set_secret("another one");
    assert!(said().await.unwrap().contains("unauthorized_client"));
    app.set_realm_enabled(false);
    assert!(
        said()
            .await
            .unwrap_err()
            .to_string()
            .contains("Realm not enabled")
    );
    app.set_realm_enabled(true);
    app.demand_https(true);
    assert!(
        said()
            .await
            .unwrap_err()
            .to_string()
            .contains("HTTPS required")
    );
}

#[tokio::test]
async fn names_that_groups_share_are_told() {
    let Bed {
        app,
        reader,
        folder: _folder,
    } = bed(100).await;
    let staff = app.create_group("staff", None);
    app.create_group("sales", Some(&staff));
    assert_eq!(reader.look().await.unwrap(), []);
    app.create_group("sales", None);
    let found = reader.look().await.unwrap();
    assert!(
        !found[0].serious && found[0].text.contains("\"sales\""),
        "{found:?}"
    );
}

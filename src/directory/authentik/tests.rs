//! The reader against the stand-in, which is held to recordings of a real Authentik.

use super::*;
use crate::config::{AuthentikSubject, AuthentikType, DirectoryKind, SecretSource};
use crate::demo::authentik::{Fault, NewPerson, Options, StandIn};
use crate::directory::source::Source;
use crate::tls::{ClientCertificates, ClientFiles, ServerFiles, dev};
use crate::types::{Clock as _, SystemClock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PERMISSIONS: [&str; 3] = [
    "authentik_core.view_user",
    "authentik_core.view_group",
    "authentik_events.view_event",
];

struct Bed {
    app: StandIn,
    folder: tempfile::TempDir,
    /// The reader's own account.
    own: i64,
    url: url::Url,
    stop: CancellationToken,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Bed {
    async fn new() -> Self {
        let app = StandIn::new(Options::default());
        let (own, token) = app.reader("bridge-reader", &PERMISSIONS);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let (served, stopped) = (app.clone(), stop.clone());
        tokio::spawn(async move { served.serve(listener, stopped).await });
        let bed = Self {
            app,
            folder: tempfile::tempdir().unwrap(),
            own,
            url: url.parse().unwrap(),
            stop,
        };
        bed.write_token(&token);
        bed
    }

    fn write_token(&self, token: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, token).unwrap();
        std::fs::rename(new, self.folder.path().join("token")).unwrap();
    }

    fn config(&self) -> (DirectoryConfig, AuthentikConfig) {
        let own = AuthentikConfig {
            token: SecretSource::File(self.folder.path().join("token")),
            token_identifier: None,
            subject: AuthentikSubject::Uid,
            types: vec![AuthentikType::Internal, AuthentikType::External],
            ignore: vec!["goauthentik.io".into()],
        };
        let kind = DirectoryKind::Authentik(own.clone());
        let config = DirectoryConfig::at("authentik", &self.url, kind);
        (config, own)
    }

    fn reader(&self) -> Authentik {
        self.reader_with(|_, _| ())
    }

    fn reader_with(
        &self,
        change: impl Fn(&mut DirectoryConfig, &mut AuthentikConfig),
    ) -> Authentik {
        let (mut config, mut own) = self.config();
        change(&mut config, &mut own);
        let tls = ClientFiles::default().load().unwrap();
        let tls = Arc::new(ArcSwap::from_pointee(tls));
        Authentik::new(&config, &own, tls, Arc::new(SystemClock)).unwrap()
    }

    fn permissions(&self, global: &[&str], objects: &[(&str, &str)]) {
        self.app.set_permissions(self.own, global, objects);
    }
}

/// The word for what went wrong.
fn word<T: std::fmt::Debug>(answer: Result<T, SourceError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(SourceError::Unavailable(_)) => "unavailable",
        Err(SourceError::Timeout(_)) => "timeout",
        Err(SourceError::Credential(_)) => "credential",
        Err(SourceError::Permission(_)) => "permission",
        Err(SourceError::RateLimited(_)) => "rate",
        Err(SourceError::Refused(_)) => "refused",
    }
}

#[tokio::test]
async fn a_person_is_read_with_the_groups_they_inherit() {
    let bed = Bed::new().await;
    for name in ["staff", "all", "everybody"] {
        bed.app.create_group(name);
    }
    bed.app.set_parents("staff", &["all"]);
    // A circle, which Authentik does not forbid.
    bed.app.set_parents("all", &["everybody"]);
    bed.app.set_parents("everybody", &["all"]);
    let pk = bed.app.create(&NewPerson {
        groups: vec!["staff".into()],
        ..NewPerson::named("alice")
    });
    bed.app
        .set_attributes(pk, serde_json::json!({ "settings": { "locale": "fr" } }));
    let reader = bed.reader();
    let alice = reader.person(&pk.to_string()).await.unwrap().unwrap();
    assert_eq!(alice.id, pk.to_string());
    assert_eq!(alice.subject.as_ref().unwrap().as_str(), bed.app.uid(pk));
    assert_eq!(alice.aliases[0], format!("uid:{}", bed.app.uid(pk)));
    assert_eq!(
        (alice.username.as_str(), alice.email.as_str()),
        ("alice", "alice@example.test")
    );
    assert_eq!(alice.locale.as_deref(), Some("fr"));
    assert!(alice.active && alice.human && !alice.email_verified && alice.gone_at.is_none());
    let mut groups: Vec<String> = ["staff", "all", "everybody"]
        .iter()
        .map(|name| bed.app.group_id(name))
        .collect();
    groups.sort();
    assert_eq!(alice.groups, groups);
    let named = reader.person_by_username("alice").await.unwrap().unwrap();
    assert_eq!(named.id, alice.id);
    let listed = reader.people(None).await.unwrap();
    let found = listed
        .items
        .iter()
        .find(|person| person.id == alice.id)
        .unwrap();
    assert_eq!(found.groups, groups);
    assert_eq!((listed.next, listed.total), (None, Some(3)));
    bed.app.set_active(pk, false);
    assert!(
        !reader
            .person(&pk.to_string())
            .await
            .unwrap()
            .unwrap()
            .active
    );
}

#[tokio::test]
async fn what_a_subject_is_and_who_is_a_person_are_as_configured() {
    let bed = Bed::new().await;
    let pk = bed.app.create(&NewPerson::named("alice"));
    let shown = bed.app.user(pk).unwrap();
    for (rule, subject) in [
        (
            AuthentikSubject::Uid,
            shown["uid"].as_str().unwrap().to_owned(),
        ),
        (
            AuthentikSubject::Uuid,
            shown["uuid"].as_str().unwrap().to_owned(),
        ),
        (AuthentikSubject::Pk, pk.to_string()),
    ] {
        let reader = bed.reader_with(|_, own| own.subject = rule);
        let alice = reader.person(&pk.to_string()).await.unwrap().unwrap();
        assert_eq!(alice.subject.unwrap().as_str(), subject);
    }
    let person = |username: &str, kind: &str, path: &str| NewPerson {
        kind: kind.into(),
        path: path.into(),
        ..NewPerson::named(username)
    };
    let reader = bed.reader();
    for (username, kind, path, human) in [
        ("guest", "external", "users", true),
        ("robot", "service_account", "users", false),
        ("inner", "internal_service_account", "users", false),
        ("below", "internal", "goauthentik.io/outposts", false),
        ("beside", "internal", "goauthentik.iox", true),
    ] {
        let pk = bed.app.create(&person(username, kind, path));
        let read = reader.person(&pk.to_string()).await.unwrap().unwrap();
        assert_eq!(read.human, human, "{username}");
    }
}

#[tokio::test]
async fn whoever_is_gone_is_gone_by_a_clear_word_only() {
    let bed = Bed::new().await;
    let pk = bed.app.create(&NewPerson::named("alice"));
    let id = pk.to_string();
    let reader = bed.reader();
    assert!(reader.person(&id).await.unwrap().is_some());
    bed.app.delete(pk);
    bed.app.forget();
    assert_eq!(reader.person(&id).await.unwrap(), None);
    // Asked, whether it sees everybody, asked again.
    let asked: Vec<String> = bed
        .app
        .requests()
        .iter()
        .map(|seen| seen.target.split('?').next().unwrap_or_default().to_owned())
        .collect();
    let person = format!("/api/v3/core/users/{pk}/");
    let own = format!("/api/v3/core/users/{}/", bed.own);
    assert_eq!(
        asked,
        [
            person.as_str(),
            "/api/v3/core/users/me/",
            own.as_str(),
            person.as_str()
        ]
    );
    assert_eq!(reader.person_by_username("alice").await.unwrap(), None);
    for wrong in ["abc", "-1", "", "1/../2", "12345678901234567890"] {
        assert_eq!(word(reader.person(wrong).await), "refused", "{wrong:?}");
    }
}

#[tokio::test]
async fn t36_a_lost_permission_does_not_look_like_people_who_are_gone() {
    let bed = Bed::new().await;
    let alice = bed.app.create(&NewPerson::named("alice"));
    let bob = bed.app.create(&NewPerson::named("bob"));
    let reader = bed.reader();
    // One object only: the list is 200 and not whole, and bob is a 404 as nobody is.
    bed.permissions(
        &["authentik_core.view_group"],
        &[("authentik_core.view_user", &alice.to_string())],
    );
    assert_eq!(word(reader.person(&bob.to_string()).await), "permission");
    assert_eq!(word(reader.person_by_username("bob").await), "permission");
    assert_eq!(reader.people(None).await.unwrap().items.len(), 1);
    // Nothing at all is a 403, and never a word about bob either.
    bed.permissions(&[], &[]);
    assert_eq!(word(reader.person(&bob.to_string()).await), "permission");
    assert_eq!(word(reader.people(None).await), "permission");
    // Groups that are hidden would be memberships that are gone.
    bed.app.create_group("staff");
    bed.app.create_group("other");
    bed.app.join(bob, "staff");
    let other = bed.app.group_id("other");
    bed.permissions(&PERMISSIONS[..1], &[("authentik_core.view_group", &other)]);
    assert_eq!(word(reader.person(&bob.to_string()).await), "permission");
    assert_eq!(word(reader.people(None).await), "permission");
    assert_eq!(
        word(reader.group(&bed.app.group_id("staff")).await),
        "permission"
    );
}

#[tokio::test]
async fn refusals_are_told_apart_by_their_text() {
    let bed = Bed::new().await;
    let id = bed.app.create(&NewPerson::named("alice")).to_string();
    let reader = bed.reader();
    bed.app.revoke_token("bridge-reader-api");
    assert_eq!(word(reader.person(&id).await), "credential");
    // Renewed in its file: used without a restart.
    bed.app.give_token(bed.own, "renewed", "another-token");
    bed.write_token("another-token");
    assert_eq!(word(reader.person(&id).await), "ok");
    bed.app.expire_token("renewed", -1);
    assert_eq!(word(reader.person(&id).await), "credential");
    bed.app.give_token(bed.own, "renewed", "another-token");
    bed.app.set_active(bed.own, false);
    assert_eq!(
        word(reader.person(&id).await),
        "credential",
        "its owner is disabled"
    );
    bed.app.set_active(bed.own, true);
    bed.app
        .give_app_password(bed.own, "renewed", "another-token");
    assert_eq!(
        word(reader.person(&id).await),
        "credential",
        "an app password is none"
    );
    bed.app.give_token(bed.own, "renewed", "another-token");
    let say = |status, text: &str| Fault::Status(status, text.into());
    let users = "/api/v3/core/users/";
    for (fault, expected) in [
        (say(500, "{\"detail\":\"x\"}"), "unavailable"),
        (say(405, ""), "unavailable"),
        (say(404, "not here"), "unavailable"),
        (say(404, "{}"), "unavailable"),
        (say(403, "blocked"), "unavailable"),
        (
            say(
                403,
                "{\"detail\":\"Authentication credentials were not provided.\"}",
            ),
            "credential",
        ),
        (say(403, "{\"detail\":\"Something new\"}"), "permission"),
        (say(401, "{\"detail\":\"x\"}"), "unavailable"),
        (say(200, "{\"pk\": 1}"), "unavailable"),
        (say(200, "hello"), "unavailable"),
        (say(400, "{\"x\":[\"y\"]}"), "refused"),
        (Fault::Html, "unavailable"),
        (
            Fault::Redirect("https://elsewhere.test/".into()),
            "unavailable",
        ),
        (Fault::CloseBefore, "unavailable"),
        (Fault::CloseMidBody, "unavailable"),
        (Fault::Endless, "unavailable"),
        (Fault::RateLimited(7), "rate"),
    ] {
        bed.app.set_fault(fault.clone(), users, None);
        assert_eq!(word(reader.person(&id).await), expected, "{fault:?}");
    }
    bed.app.set_fault(Fault::RateLimited(7), users, None);
    let limited = reader.person(&id).await;
    assert!(matches!(limited, Err(SourceError::RateLimited(wait)) if wait.as_secs() == 7));
    bed.app.set_fault(Fault::Hang, users, None);
    let hasty = bed.reader_with(|config, _| config.timeout = Duration::from_millis(200));
    assert_eq!(word(hasty.person(&id).await), "timeout");
}

#[tokio::test]
async fn all_pages_are_read_and_must_follow_each_other() {
    let bed = Bed::new().await;
    bed.app.seed(250, 120);
    let reader = bed.reader();
    let (mut from, mut people) = (None, Vec::new());
    loop {
        let page = reader.people(from.as_deref()).await.unwrap();
        people.extend(page.items);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(people.len(), 252);
    assert!(
        people
            .iter()
            .filter(|p| p.username.starts_with("person"))
            .all(|p| p.groups.len() == 3)
    );
    let ids: Vec<i64> = people
        .iter()
        .map(|person| person.id.parse().unwrap())
        .collect();
    assert!(ids.is_sorted());
    let groups = reader.groups(None).await.unwrap();
    assert_eq!(
        (groups.items.len(), groups.next.as_deref()),
        (100, Some("2"))
    );
    // Past the end: everything after it went meanwhile.
    assert!(reader.people(Some("9")).await.unwrap().items.is_empty());
    let circle = r#"{"pagination":{"next":1,"current":1,"count":9},"results":[]}"#;
    bed.app.set_fault(
        Fault::Status(200, circle.into()),
        "/api/v3/core/users/",
        None,
    );
    assert_eq!(word(reader.people(None).await), "unavailable");
}

#[tokio::test]
async fn a_list_that_lacks_somebody_says_nothing_about_them() {
    let bed = Bed::new().await;
    let pk = bed.app.create(&NewPerson::named("alice"));
    bed.app.unlist(&[pk]);
    let reader = bed.reader();
    let page = reader.people(None).await.unwrap();
    assert!(page.items.iter().all(|person| person.id != pk.to_string()));
    assert!(
        reader.person(&pk.to_string()).await.unwrap().is_some(),
        "asked by themselves"
    );
}

#[tokio::test]
async fn the_tree_of_groups_is_read_again_when_it_is_old_or_asked_about() {
    let bed = Bed::new().await;
    bed.app.create_group("staff");
    bed.app.create_group("all");
    let pk = bed.app.create(&NewPerson {
        groups: vec!["staff".into()],
        ..NewPerson::named("alice")
    });
    let id = pk.to_string();
    let reader = bed.reader();
    assert_eq!(reader.person(&id).await.unwrap().unwrap().groups.len(), 1);
    bed.app.set_parents("staff", &["all"]);
    assert_eq!(
        reader.person(&id).await.unwrap().unwrap().groups.len(),
        1,
        "a minute old at most"
    );
    let staff = reader
        .group(&bed.app.group_id("staff").replace('-', ""))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(staff.parents, [bed.app.group_id("all")]);
    assert_eq!(
        reader.person(&id).await.unwrap().unwrap().groups.len(),
        2,
        "a hint about the group"
    );
    assert_eq!(reader.members(&staff.id).await.unwrap(), vec![id.clone()]);
    // A new group of theirs is not in the tree: read anew at once.
    bed.app.create_group("new");
    bed.app.join(pk, "new");
    assert_eq!(reader.person(&id).await.unwrap().unwrap().groups.len(), 3);
    bed.app.delete_group("staff");
    assert_eq!(reader.group(&staff.id).await.unwrap(), None);
    assert!(reader.members(&staff.id).await.unwrap().is_empty());
    let eager = bed.reader_with(|config, _| config.groups_max_age = Duration::ZERO);
    assert_eq!(eager.person(&id).await.unwrap().unwrap().groups.len(), 1);
    bed.app.set_parents("new", &["all"]);
    assert_eq!(eager.person(&id).await.unwrap().unwrap().groups.len(), 2);
}

#[tokio::test]
async fn recent_changes_are_those_of_users_and_of_the_event_log() {
    let bed = Bed::new().await;
    let alice = bed.app.create(&NewPerson::named("alice"));
    let bob = bed.app.create(&NewPerson::named("bob"));
    let staff = bed.app.create_group("staff");
    let reader = bed.reader();
    let first = reader.recent(None).await.unwrap();
    assert!(first.whole && first.people.contains(&alice.to_string()));
    assert_eq!(first.groups, vec![staff.clone()]);
    // What lies before the mark and its overlap is not looked at again.
    let later = serde_json::json!({ "users": SystemClock.now().0 + 500, "events": SystemClock.now().0 + 500 });
    let nothing = reader.recent(Some(&later.to_string())).await.unwrap();
    assert!(nothing.whole && nothing.people.is_empty() && nothing.groups.is_empty());
    // Somebody who joins moves no `last_updated`: the log knows the group.
    bed.app.join(bob, "staff");
    let again = reader.recent(first.high_water.as_deref()).await.unwrap();
    assert!(again.groups.contains(&staff));
    bed.app.delete(bob);
    let gone = reader.recent(again.high_water.as_deref()).await.unwrap();
    assert!(gone.people.contains(&bob.to_string()));
    assert!(reader.newest_change().await.unwrap().is_some());
    // Without the log nobody knows who joined: only a sweep does.
    bed.permissions(&PERMISSIONS[..2], &[]);
    assert!(!reader.recent(None).await.unwrap().whole);
    assert_eq!(word(reader.newest_change().await), "permission");
}

#[tokio::test]
async fn what_the_token_lacks_is_said() {
    let bed = Bed::new().await;
    let reader = bed.reader();
    assert_eq!(reader.look().await.unwrap(), []);
    let abouts = async |reader: &Authentik| {
        let found = reader.look().await.unwrap();
        found
            .iter()
            .map(|remark| (remark.about, remark.serious))
            .collect::<Vec<_>>()
    };
    bed.app.expire_token("bridge-reader-api", 3 * 86_400);
    let found = reader.look().await.unwrap();
    assert_eq!((found[0].about, found[0].serious), ("expiry", true));
    assert!(found[0].text.contains("ends in 2 days") || found[0].text.contains("ends in 3 days"));
    let named = bed.reader_with(|_, own| own.token_identifier = Some("bridge-reader-api".into()));
    assert_eq!(abouts(&named).await, [("expiry", true)]);
    let other = bed.reader_with(|_, own| own.token_identifier = Some("no-such".into()));
    assert_eq!(abouts(&other).await, [("token", false)]);
    bed.app.expire_token("bridge-reader-api", 90 * 86_400);
    assert_eq!(reader.look().await.unwrap(), [], "there is time enough");
    bed.permissions(&PERMISSIONS[..2], &[]);
    assert_eq!(abouts(&reader).await, [("permission", false)]);
    bed.permissions(&PERMISSIONS[..1], &[]);
    assert!(
        abouts(&reader).await.contains(&("permission", true)),
        "no groups"
    );
    bed.permissions(&PERMISSIONS[1..], &[("authentik_core.view_user", "3")]);
    assert!(
        abouts(&reader).await.contains(&("permission", true)),
        "single users"
    );
    bed.app.set_permissions(bed.own, &PERMISSIONS, &[]);
    bed.app.join(bed.own, "authentik Admins");
    assert_eq!(
        abouts(&reader).await,
        [("token", false)],
        "more than it needs"
    );
    bed.app.revoke_token("bridge-reader-api");
    assert_eq!(abouts(&reader).await, [("token", true)]);
    bed.app.set_fault(Fault::Html, "/", None);
    assert!(matches!(
        reader.look().await,
        Err(SourceError::Unavailable(_))
    ));
}

#[tokio::test]
async fn at_most_so_many_questions_are_asked_at_once() {
    let bed = Bed::new().await;
    let id = bed.app.create(&NewPerson::named("alice")).to_string();
    let reader = Arc::new(bed.reader_with(|config, _| config.reads = 2));
    reader.person(&id).await.unwrap();
    bed.app.set_fault(
        Fault::Slow(Duration::from_millis(60)),
        "/api/v3/core/users/",
        None,
    );
    let began = std::time::Instant::now();
    let all = (0..6).map(|_| {
        let (reader, id) = (Arc::clone(&reader), id.clone());
        tokio::spawn(async move { reader.person(&id).await.unwrap() })
    });
    for read in all.collect::<Vec<_>>() {
        read.await.unwrap();
    }
    assert!(
        began.elapsed() >= Duration::from_millis(180),
        "three rounds of two"
    );
}

#[tokio::test]
async fn an_authority_of_ones_own_is_believed_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["localhost".to_owned()];
    let paths = dev::write(folder.path(), &names, &names, &names, SystemClock.now()).unwrap();
    let server = ServerFiles {
        certificate: paths.server,
        key: paths.server_key,
        clients: ClientCertificates::Ignored,
        h2: false,
    };
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server.load().unwrap()));
    let bed = Bed::new().await;
    let id = bed.app.create(&NewPerson::named("alice")).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let app = bed.app.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (app, acceptor) = (app.clone(), acceptor.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    app.serve_stream(stream).await;
                }
            });
        }
    });
    let (mut config, own) = bed.config();
    config.url = url.parse().unwrap();
    let asked = async |ca: Option<std::path::PathBuf>| {
        let files = ClientFiles {
            ca,
            ..ClientFiles::default()
        };
        let tls = Arc::new(ArcSwap::from_pointee(files.load().unwrap()));
        let reader = Authentik::new(&config, &own, tls, Arc::new(SystemClock)).unwrap();
        reader.person(&id).await
    };
    assert!(asked(Some(paths.ca)).await.unwrap().is_some());
    assert_eq!(word(asked(None).await), "unavailable");
    let other = folder.path().join("other");
    let other = dev::write(&other, &names, &names, &names, SystemClock.now()).unwrap();
    let refused = asked(Some(other.ca)).await;
    let Err(SourceError::Unavailable(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(why.to_lowercase().contains("certificate"), "{why}");
}

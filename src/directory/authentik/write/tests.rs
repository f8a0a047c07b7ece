//! The writer against the stand-in, whose permissions are those of a real Authentik.

use super::*;
use crate::config::{AuthentikSubject, AuthentikType, DirectoryKind, SecretSource};
use crate::demo::authentik::{Fault, NewPerson, Options, StandIn};
use crate::directory::writer::Invitee;
use crate::tls::ClientFiles;
use crate::types::{Clock as _, GroupName, SystemClock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the reader's role has, everywhere.
const READER: [&str; 3] = [
    "authentik_core.view_user",
    "authentik_core.view_group",
    "authentik_events.view_event",
];
/// What the writer's role has everywhere.
const WRITER: [&str; 5] = [
    "authentik_core.view_user",
    "authentik_flows.view_flow",
    "authentik_stages_invitation.view_invitation",
    "authentik_stages_invitation.add_invitation",
    "authentik_stages_invitation.delete_invitation",
];

struct Bed {
    app: StandIn,
    folder: tempfile::TempDir,
    /// The writer's account.
    own: i64,
    url: url::Url,
    validated: String,
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
        let (_, read) = app.reader("bridge-reader", &READER);
        let (own, write) = app.reader("bridge-writer", &WRITER);
        let validated = app.create_group("validated");
        app.create_flow("enrol", "enrollment");
        app.create_flow("sign-in", "authentication");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let (served, stopped) = (app.clone(), stop.clone());
        tokio::spawn(async move { served.serve(listener, stopped).await });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("read"), read).unwrap();
        std::fs::write(folder.path().join("write"), write).unwrap();
        let bed = Self {
            app,
            folder,
            own,
            url: url.parse().unwrap(),
            validated,
            stop,
        };
        bed.may(
            &WRITER,
            &[
                "authentik_core.view_group",
                "authentik_core.add_user_to_group",
            ],
        );
        bed
    }

    /// What the writer's role has everywhere, and on the one group.
    fn may(&self, global: &[&str], on_group: &[&str]) {
        let group = self.validated.as_str();
        let objects: Vec<_> = on_group.iter().map(|name| (*name, group)).collect();
        self.app.set_permissions(self.own, global, &objects);
    }

    fn writer(&self) -> AuthentikWriter {
        self.writer_with(|_| ())
    }

    fn writer_with(&self, change: impl Fn(&mut WriteConfig)) -> AuthentikWriter {
        let path = |name: &str| SecretSource::File(self.folder.path().join(name));
        let own = AuthentikConfig {
            token: path("read"),
            token_identifier: None,
            subject: AuthentikSubject::Uid,
            types: vec![AuthentikType::Internal, AuthentikType::External],
            ignore: vec!["goauthentik.io".into()],
        };
        let kind = DirectoryKind::Authentik(own.clone());
        let config = DirectoryConfig::at("authentik", &self.url, kind);
        let mut write = WriteConfig {
            token: path("write"),
            token_identifier: None,
            groups: vec![Gate {
                name: GroupName::new("validated").unwrap(),
                id: Some(self.validated.as_str().into()),
            }],
            invitations: Some(InvitationsConfig {
                flow: "enrol".into(),
                url: Some("https://id.example.test/auth".parse().unwrap()),
                lifetime: Duration::from_secs(3600),
                longest: Duration::from_secs(7200),
                reusable: false,
            }),
        };
        change(&mut write);
        let tls = ClientFiles::default().load().unwrap();
        let tls = Arc::new(ArcSwap::from_pointee(tls));
        AuthentikWriter::new(&config, &own, &write, tls, Arc::new(SystemClock)).unwrap()
    }

    async fn harmless(&self, writer: &AuthentikWriter) -> Result<Harmless, WriteError> {
        let lineage = writer.lineage(&self.validated).await?;
        lineage.harmless(writer.groups(), &[])
    }

    fn groups_of(&self, user: i64) -> Vec<String> {
        let shown = self.app.user(user).unwrap();
        let groups = shown["groups"].as_array().unwrap();
        groups
            .iter()
            .map(|g| g.as_str().unwrap().to_owned())
            .collect()
    }
}

fn invitation() -> NewInvitation {
    NewInvitation {
        name: "grace-1".into(),
        invitee: Invitee {
            email: Some("grace@example.test".into()),
            ..Invitee::default()
        },
        expires_at: SystemClock.now() + Duration::from_secs(3600),
        single_use: true,
    }
}

fn not_allowed<T: std::fmt::Debug>(answer: Result<T, WriteError>) -> String {
    match answer {
        Err(WriteError::NotAllowed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn somebody_is_put_into_a_listed_group_as_often_as_it_is_said() {
    let bed = Bed::new().await;
    let (alice, writer) = (bed.app.create(&NewPerson::named("alice")), bed.writer());
    let group = bed.harmless(&writer).await.unwrap();
    for _ in 0..2 {
        writer.give(&alice.to_string(), &group).await.unwrap();
        assert_eq!(bed.groups_of(alice), std::slice::from_ref(&bed.validated));
    }
    // Each by the writer's token, which alone changes anything.
    let changed = bed.app.requests();
    let changed = changed.iter().filter(|seen| seen.method == "POST");
    assert_eq!(changed.count(), 2);
    for nobody in ["999999", "0", "-1", "alice"] {
        assert!(writer.give(nobody, &group).await.is_err(), "{nobody}");
    }
}

#[tokio::test]
async fn a_group_of_administrators_is_never_harmless_listed_or_not() {
    let bed = Bed::new().await;
    let writer = bed.writer();
    bed.app.set_superusers("validated", true);
    assert!(not_allowed(bed.harmless(&writer).await).contains("may do everything"));
    bed.app.set_superusers("validated", false);
    bed.app.set_role(
        "role-of-helpers",
        "helpers",
        &["authentik_core.change_user"],
        &[],
    );
    bed.app.give_role("validated", "role-of-helpers");
    assert!(not_allowed(bed.harmless(&writer).await).contains("have roles"));

    // By way of others, however far away.
    let bed = Bed::new().await;
    let writer = bed.writer();
    bed.app.create_group("middle");
    bed.app.set_parents("validated", &["middle"]);
    bed.app.set_parents("middle", &["validated"]);
    assert!(bed.harmless(&writer).await.is_ok(), "a circle ends");
    bed.app.set_parents("middle", &["authentik Admins"]);
    let why = not_allowed(bed.harmless(&writer).await);
    assert!(why.contains("authentik Admins"), "{why}");
}

#[tokio::test]
async fn a_group_above_that_is_not_shown_may_be_anything() {
    let bed = Bed::new().await;
    let writer = bed.writer();
    let hidden = bed.app.create_group("hidden");
    bed.app.set_parents("validated", &["hidden"]);
    let path = format!("/api/v3/core/groups/{hidden}/");
    bed.app.set_fault(Fault::Html, &path, None);
    assert!(bed.harmless(&writer).await.is_err());
    bed.app.clear_faults();
    // The reader sees single groups only: the one above looks as if it did not exist.
    let reader = bed.app.user_id("bridge-reader").unwrap();
    let only = [("authentik_core.view_group", bed.validated.as_str())];
    bed.app
        .set_permissions(reader, &["authentik_core.view_user"], &only);
    assert!(matches!(
        bed.harmless(&writer).await,
        Err(WriteError::Source(SourceError::Permission(_)))
    ));
}

#[tokio::test]
async fn an_invitation_is_made_listed_and_taken_back_and_its_link_is_said_once() {
    let bed = Bed::new().await;
    let writer = bed.writer();
    let (made, link) = writer.invite(&invitation()).await.unwrap();
    let [kept] = bed.app.invitations().try_into().unwrap();
    let pk = kept["pk"].as_str().unwrap().to_owned();
    assert_eq!(
        link.hand_over(),
        format!("https://id.example.test/auth/if/flow/enrol/?itoken={pk}")
    );
    assert_eq!(kept["single_use"], true);
    assert_eq!(kept["fixed_data"]["email"], "grace@example.test");
    assert_eq!(kept["fixed_data"]["attributes"]["invitation"], "grace-1");
    assert!(kept["expires"].is_string() && kept["flow"].is_string());

    // T34: what it is named by opens nothing.
    let listed = writer.list_invitations().await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&made));
    let said = format!("{made:?}");
    assert!(!said.contains(&pk) && !said.contains(&pk.replace('-', "")));

    // One of another flow is none of ours.
    let other = bed.writer_with(|own| {
        bed.app.create_flow("other", "enrollment");
        own.invitations.as_mut().unwrap().flow = "other".into();
    });
    assert!(other.list_invitations().await.unwrap().is_empty());
    assert_eq!(other.revoke(made.id).await.unwrap(), None);
    assert_eq!(writer.revoke(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(writer.revoke(made.id).await.unwrap(), None);
    assert!(bed.app.invitations().is_empty());
}

#[tokio::test]
async fn nobody_is_invited_to_a_flow_that_is_not_for_enrolment() {
    let bed = Bed::new().await;
    let to = |flow: &'static str| {
        bed.writer_with(move |own| own.invitations.as_mut().unwrap().flow = flow.into())
    };
    let why = not_allowed(to("sign-in").invite(&invitation()).await);
    assert!(why.contains("not for enrolment"), "{why}");
    assert!(matches!(
        to("nowhere").invite(&invitation()).await,
        Err(WriteError::Missing(_))
    ));
    let none = bed.writer_with(|own| own.invitations = None);
    assert!(matches!(
        none.invite(&invitation()).await,
        Err(WriteError::Unable(_))
    ));
    assert!(bed.app.invitations().is_empty());
}

#[tokio::test]
async fn an_invitation_whose_answer_got_lost_is_taken_back() {
    let bed = Bed::new().await;
    let writer = bed.writer();
    // It is made, and the connection ends before the answer.
    bed.app.set_fault(
        Fault::DropAfter,
        "/api/v3/stages/invitation/invitations/",
        Some(1),
    );
    assert!(writer.invite(&invitation()).await.is_err());
    assert!(bed.app.invitations().is_empty());
}

#[tokio::test]
async fn the_reader_s_token_writes_nothing() {
    let bed = Bed::new().await;
    let alice = bed.app.create(&NewPerson::named("alice"));
    let token = std::fs::read(bed.folder.path().join("read")).unwrap();
    let writer = bed.writer();
    let group = bed.harmless(&writer).await.unwrap();
    std::fs::write(bed.folder.path().join("write"), token).unwrap();
    assert!(matches!(
        writer.give(&alice.to_string(), &group).await,
        Err(WriteError::Source(SourceError::Permission(_)))
    ));
    assert!(bed.groups_of(alice).is_empty());
    let remarks = writer.look().await.unwrap();
    let said = format!("{remarks:?}");
    assert!(said.contains("that the directory is read with"), "{said}");
}

/// What is said about something, all of it serious.
async fn said(writer: &AuthentikWriter, about: &str) -> Vec<String> {
    let remarks = writer.look().await.unwrap();
    let found = remarks
        .into_iter()
        .filter(|r| r.about == about && r.serious);
    found.map(|remark| remark.text).collect()
}

#[tokio::test]
async fn a_writer_that_may_do_too_little_or_too_much_is_named() {
    let bed = Bed::new().await;
    let writer = bed.writer();
    assert_eq!(writer.look().await.unwrap(), []);
    let before = bed.app.invitations();

    bed.may(&WRITER, &["authentik_core.view_group"]);
    let [lacks] = said(&writer, "permission").await.try_into().unwrap();
    assert!(lacks.contains("add_user_to_group"), "{lacks}");

    let mut everywhere = WRITER.to_vec();
    everywhere.push("authentik_core.add_user_to_group");
    bed.may(&everywhere, &[]);
    let [more] = said(&writer, "permission").await.try_into().unwrap();
    assert!(more.contains("authentik Admins"), "{more}");

    bed.may(
        &WRITER[..1],
        &[
            "authentik_core.view_group",
            "authentik_core.add_user_to_group",
        ],
    );
    let lacks = said(&writer, "invitations").await;
    assert!(
        lacks.iter().any(|text| text.contains("view_flow")),
        "{lacks:?}"
    );
    assert!(
        lacks.iter().any(|text| text.contains("add_invitation")),
        "{lacks:?}"
    );

    bed.app.set_superusers("validated", true);
    assert!(said(&writer, "group").await[0].contains("may do everything"));
    bed.app.set_superusers("validated", false);

    bed.app.expire_token("bridge-writer-api", 86_400);
    assert_eq!(said(&writer, "expiry").await.len(), 1);
    bed.app.revoke_token("bridge-writer-api");
    assert_eq!(said(&writer, "token").await.len(), 1);
    // Looking changes nothing.
    assert_eq!(bed.app.invitations(), before);
    assert!(bed.groups_of(bed.own).is_empty());
}

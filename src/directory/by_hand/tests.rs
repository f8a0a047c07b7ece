//! Orders by hand against the stand-in Authentik and a real store.

use super::invite::Wish;
use super::sync::ToSync;
use super::validate::{Validated, Validation};
use super::*;
use crate::audit::{Actor, Settings};
use crate::config::{
    AccessRule, AuthentikConfig, AuthentikSubject, AuthentikType, DirectoryConfig, DirectoryKind,
    Gate, InvitationsConfig, SecretSource, WriteConfig,
};
use crate::demo::authentik::{Fault, NewPerson, Options, StandIn};
use crate::directory::sources;
use crate::directory::wanted::AppTerms;
use crate::directory::writer::Invitee;
use crate::store::{JobFilter, JobKind, Priority, SqliteStore, TrailFilter};
use crate::tls::ClientFiles;
use crate::types::{AppId, GroupName, IssuerId, SystemClock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const EVERYTHING: [&str; 8] = [
    "authentik_core.view_user",
    "authentik_core.view_group",
    "authentik_core.add_user_to_group",
    "authentik_events.view_event",
    "authentik_flows.view_flow",
    "authentik_stages_invitation.view_invitation",
    "authentik_stages_invitation.add_invitation",
    "authentik_stages_invitation.delete_invitation",
];

struct Bed {
    app: StandIn,
    hand: ByHand,
    _folder: tempfile::TempDir,
    _stop: DropGuard,
}

fn gate(name: &str, id: Option<&str>) -> Gate {
    Gate {
        name: GroupName::new(name).unwrap(),
        id: id.map(Into::into),
    }
}

impl Bed {
    /// Groups `validated`, `chat` and `power` may be given; `other` may not.
    async fn new() -> Self {
        let app = StandIn::new(Options::default());
        let (_, read) = app.reader("reader", &EVERYTHING[..4]);
        let (_, write) = app.reader("writer", &EVERYTHING);
        let listed = ["validated", "chat", "power"].map(|name| {
            let id = app.create_group(name);
            gate(name, Some(&id))
        });
        app.create_group("other");
        app.create_flow("enrol", "enrollment");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let (served, stopped) = (app.clone(), stop.clone());
        tokio::spawn(async move { served.serve(listener, stopped).await });
        let folder = tempfile::tempdir().unwrap();
        let secret = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            SecretSource::File(folder.path().join(name))
        };
        let own = AuthentikConfig {
            token: secret("read", &read),
            token_identifier: None,
            subject: AuthentikSubject::Uid,
            types: vec![AuthentikType::Internal, AuthentikType::External],
            ignore: vec!["goauthentik.io".into()],
        };
        let kind = DirectoryKind::Authentik(own);
        let mut config = DirectoryConfig::at("authentik", &url.parse().unwrap(), kind);
        config.write = Some(WriteConfig {
            token: secret("write", &write),
            token_identifier: None,
            groups: listed.to_vec(),
            invitations: Some(InvitationsConfig {
                flow: "enrol".into(),
                url: None,
                lifetime: Duration::from_secs(3600),
                longest: Duration::from_secs(7200),
                reusable: false,
            }),
        });
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let tls = ClientFiles::default().load().unwrap();
        let tls = Arc::new(ArcSwap::from_pointee(tls));
        let reader = sources::open(&config, tls.clone(), clock.clone()).unwrap();
        let writer = sources::open_writer(&config, tls, clock.clone()).unwrap();
        let store = SqliteStore::open(folder.path().join("store.db")).await;
        let chat = AppTerms {
            id: AppId::new("chat").unwrap(),
            issuer: IssuerId::new("pomerium").unwrap(),
            access: AccessRule {
                everyone: false,
                validated: Some(gate("validated", None)),
                any_of: vec![gate("chat", None), gate("other", None)],
                all_of: Vec::new(),
            },
            ahead: true,
        };
        let terms = Terms {
            apps: vec![chat],
            ..Terms::default()
        };
        let power = MappedGroup {
            name: Some(GroupName::new("power").unwrap()),
            id: None,
        };
        let hand = ByHand {
            sources: Arc::new(Sources::new([reader])),
            writers: Arc::new(Writers::new([writer])),
            store: Arc::new(store.unwrap()),
            audit: Arc::new(Audit::new(clock.clone(), Settings::default())),
            clock,
            terms: Arc::new(ArcSwap::from_pointee(terms)),
            power: ArcSwap::from_pointee(vec![power]),
        };
        Self {
            app,
            hand,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    fn by(&self) -> Witness {
        self.hand.audit.by(Actor::Bridge)
    }

    async fn validate(&self, name: &str, groups: &[&str]) -> Result<Validated, HandError> {
        let order = Validation {
            whom: Whom::Username(name.into()),
            source: None,
            groups: groups.iter().map(|name| (*name).to_owned()).collect(),
            app: None,
        };
        self.hand.validate(&order, &self.by(), false).await
    }

    async fn sync(&self, what: ToSync) -> Result<Vec<sync::Synced>, HandError> {
        self.hand.sync(&what, None, &self.by(), false).await
    }

    async fn trail(&self) -> Vec<String> {
        let all = TrailFilter {
            limit: 1000,
            ..TrailFilter::default()
        };
        let records = self.hand.store.trail(&all).await.unwrap();
        records.into_iter().map(|record| record.body).collect()
    }

    /// Changes that arrived at the directory.
    fn changes(&self) -> usize {
        let seen = self.app.requests();
        seen.iter().filter(|seen| seen.method != "GET").count()
    }
}

/// What kind of refusal it is.
fn word<T: std::fmt::Debug>(answer: Result<T, HandError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(HandError::Invalid(_)) => "invalid",
        Err(HandError::Unknown(_)) => "unknown",
        Err(HandError::Conflict(_)) => "conflict",
        Err(HandError::Store(_)) => "store",
        Err(HandError::Write(WriteError::Unable(_))) => "unable",
        Err(HandError::Write(WriteError::NotAllowed(_))) => "not allowed",
        Err(HandError::Write(WriteError::Missing(_))) => "missing",
        Err(HandError::Write(WriteError::Source(_))) => "source",
    }
}

#[tokio::test]
async fn whoever_is_validated_is_in_the_group_and_is_read_again_and_twice_is_once() {
    let bed = Bed::new().await;
    let alice = bed.app.create(&NewPerson::named("alice"));
    let first = bed.validate("alice", &[]).await.unwrap();
    assert_eq!(first.person, alice.to_string());
    let given: Vec<_> = first
        .groups
        .iter()
        .map(|g| (g.name.as_str(), g.already))
        .collect();
    assert_eq!(given, [("validated", false)], "the first of the list");
    let groups = bed.app.user(alice).unwrap()["groups"].to_string();
    assert!(groups.contains(&bed.app.group_id("validated")));

    let again = bed.validate("alice", &["validated"]).await.unwrap();
    assert!(again.groups[0].already);
    assert_eq!(bed.changes(), 1, "nothing is given twice");
    let (one, other) = (first.job.unwrap(), again.job.unwrap());
    assert_eq!((one.id, other.joined), (other.id, true), "one wish");
    let jobs = bed.hand.store.jobs(&JobFilter::default()).await.unwrap();
    assert_eq!(jobs[0].kind, JobKind::Read);
    assert!(jobs[0].payload.contains(&alice.to_string()));
    let trail = bed.trail().await;
    let ordered = trail
        .iter()
        .filter(|body| body.contains("directory.group_ordered"));
    assert_eq!(ordered.count(), 1);
    assert!(trail[0].contains(&bed.app.group_id("validated")));
}

#[tokio::test]
async fn nothing_is_given_that_is_not_listed_or_gives_power() {
    let bed = Bed::new().await;
    let alice = bed.app.create(&NewPerson::named("alice"));
    for group in ["other", "authentik Admins", "", "Validated"] {
        assert_eq!(
            word(bed.validate("alice", &[group]).await),
            "not allowed",
            "{group}"
        );
    }
    // Listed, but administrators of an app have it.
    assert_eq!(word(bed.validate("alice", &["power"]).await), "not allowed");
    bed.app.set_parents("chat", &["power"]);
    assert_eq!(word(bed.validate("alice", &["chat"]).await), "not allowed");
    // One that may not be given keeps the others from being given.
    assert_eq!(
        word(bed.validate("alice", &["validated", "chat"]).await),
        "not allowed"
    );
    // Listed, and made the administrators' meanwhile.
    bed.app.set_superusers("validated", true);
    assert_eq!(word(bed.validate("alice", &[]).await), "not allowed");
    assert_eq!(
        bed.app.user(alice).unwrap()["groups"],
        serde_json::json!([])
    );
    assert_eq!((bed.changes(), bed.trail().await.len()), (0, 0));
}

#[tokio::test]
async fn only_people_who_may_come_in_are_validated() {
    let bed = Bed::new().await;
    let carol = bed.app.create(&NewPerson::named("carol"));
    bed.app.set_active(carol, false);
    bed.app.create(&NewPerson {
        kind: "service_account".into(),
        ..NewPerson::named("robot")
    });
    for (name, says) in [
        ("carol", "conflict"),
        ("robot", "conflict"),
        ("writer", "conflict"),
        ("nobody", "unknown"),
        ("", "invalid"),
        ("a\nb", "invalid"),
    ] {
        assert_eq!(word(bed.validate(name, &[]).await), says, "{name}");
    }
    assert_eq!(bed.changes(), 0);
}

#[tokio::test]
async fn an_app_s_own_groups_are_given_where_it_is_clear_which() {
    let bed = Bed::new().await;
    bed.app.create(&NewPerson::named("alice"));
    let order = |app: &str| Validation {
        whom: Whom::Username("alice".into()),
        source: None,
        groups: Vec::new(),
        app: Some(AppId::new(app).unwrap()),
    };
    let tried = bed
        .hand
        .validate(&order("chat"), &bed.by(), true)
        .await
        .unwrap();
    let names: Vec<_> = tried.groups.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(names, ["validated", "chat"]);
    assert!(tried.job.is_none());
    assert_eq!(
        (bed.changes(), bed.trail().await.len()),
        (0, 0),
        "only tried"
    );
    let none = bed.hand.validate(&order("files"), &bed.by(), true).await;
    assert_eq!(word(none), "unknown");
}

#[test]
fn what_somebody_is_in_already_need_not_be_listed() {
    let listed = [gate("validated", Some("v")), gate("chat", Some("c"))];
    let terms = |any_of: &[Gate], all_of: &[Gate]| AppTerms {
        id: AppId::new("chat").unwrap(),
        issuer: IssuerId::new("pomerium").unwrap(),
        access: AccessRule {
            everyone: false,
            validated: Some(gate("validated", None)),
            any_of: any_of.to_vec(),
            all_of: all_of.to_vec(),
        },
        ahead: true,
    };
    let asked = |terms: &AppTerms, own: &[&str]| {
        let own: Vec<String> = own.iter().map(|id| (*id).to_owned()).collect();
        let found = validate::groups_of_app(terms, &listed, &own);
        found.map(|found| {
            let names = found.iter().map(|gate| gate.name.to_string());
            names.collect::<Vec<_>>()
        })
    };
    let staff = terms(&[], &[gate("staff", Some("S"))]);
    assert_eq!(word(asked(&staff, &["c"])), "not allowed");
    assert_eq!(asked(&staff, &["s"]).unwrap(), ["validated"]);
    // A name may be anybody's.
    let named = terms(&[], &[gate("staff", None)]);
    assert_eq!(word(asked(&named, &["s", "staff"])), "not allowed");
    let either = terms(&[gate("chat", None), gate("staff", Some("s"))], &[]);
    assert_eq!(asked(&either, &[]).unwrap(), ["validated", "chat"]);
    assert_eq!(asked(&either, &["s"]).unwrap(), ["validated"]);
    assert_eq!(asked(&either, &["c"]).unwrap(), ["validated", "chat"]);
    let neither = terms(&[gate("staff", Some("s"))], &[]);
    assert_eq!(word(asked(&neither, &["c"])), "not allowed");
    assert_eq!(asked(&neither, &["s"]).unwrap(), ["validated"]);
    let two = terms(&[gate("chat", None), gate("validated", None)], &[]);
    assert_eq!(word(asked(&two, &[])), "invalid");
    assert_eq!(asked(&two, &["c"]).unwrap(), ["validated", "chat"]);
}

#[tokio::test]
async fn what_the_directory_refused_is_on_record_as_refused() {
    let bed = Bed::new().await;
    let alice = bed.app.create(&NewPerson::named("alice"));
    let writer = bed.app.user_id("writer").unwrap();
    bed.app.set_permissions(writer, &EVERYTHING[..2], &[]);
    assert_eq!(word(bed.validate("alice", &[]).await), "source");
    assert_eq!(
        bed.app.user(alice).unwrap()["groups"],
        serde_json::json!([])
    );
    let trail = bed.trail().await;
    assert_eq!(trail.len(), 2, "{trail:?}");
    assert!(!trail[0].contains("failed") && trail[1].contains("\"code\":\"failed\""));
}

#[tokio::test]
async fn one_person_or_everybody_is_read_again() {
    let bed = Bed::new().await;
    let alice = bed.app.create(&NewPerson::named("alice"));
    let one = |whom: Whom| ToSync::Person(whom);
    let synced = bed.sync(one(Whom::Username("alice".into()))).await.unwrap();
    assert_eq!(synced[0].person, Some(alice.to_string()));
    let by_id = bed.sync(one(Whom::Id(alice.to_string()))).await.unwrap();
    assert!(by_id[0].job.as_ref().unwrap().joined, "one wish");
    assert_eq!(
        word(bed.sync(one(Whom::Username("nobody".into()))).await),
        "unknown"
    );
    assert_eq!(
        word(bed.sync(one(Whom::Id("999999".into()))).await),
        "unknown"
    );
    assert_eq!(
        word(bed.sync(one(Whom::User(UserId::generate()))).await),
        "unknown"
    );

    let all = bed.sync(ToSync::Everybody).await.unwrap();
    assert_eq!(all.len(), 1);
    let jobs = bed.hand.store.jobs(&JobFilter::default()).await.unwrap();
    let kinds: Vec<_> = jobs.iter().map(|job| (job.kind, job.priority)).collect();
    assert_eq!(
        kinds,
        [
            (JobKind::Read, Priority::Deny),
            (JobKind::Sweep, Priority::Background)
        ]
    );
    let trail = bed.trail().await;
    assert_eq!(trail.len(), 3);
    assert!(
        trail
            .iter()
            .all(|body| body.contains("directory.read_ordered"))
    );
    assert!(
        trail.iter().all(|body| !body.contains("alice")),
        "{trail:?}"
    );
}

#[tokio::test]
async fn whoever_is_on_record_is_read_again_though_the_directory_is_away_or_they_are_gone() {
    let bed = Bed::new().await;
    let alice = bed.app.create(&NewPerson::named("alice"));
    let source = bed.hand.sources.all().remove(0);
    let word_of = source.person(&alice.to_string()).await.unwrap().unwrap();
    let (store, by) = (&bed.hand.store, bed.hand.audit.bridge());
    store
        .put_person(&word_of, SystemClock.now(), &by)
        .await
        .unwrap();
    bed.app.delete(alice);
    let id = Whom::Id(alice.to_string());
    let gone = bed.sync(ToSync::Person(id.clone())).await.unwrap();
    assert_eq!(gone[0].person, Some(alice.to_string()));
    bed.app.set_fault(Fault::CloseBefore, "/", None);
    assert!(bed.sync(ToSync::Person(id)).await.is_ok());
    let unknown = Whom::Username("somebody".into());
    assert_eq!(word(bed.sync(ToSync::Person(unknown)).await), "source");
}

#[tokio::test]
async fn an_invitation_is_bounded_and_its_link_is_on_no_record() {
    let bed = Bed::new().await;
    let invite = async |wish: &Wish| bed.hand.invite(wish, &bed.by(), false).await;
    let plain = Wish::default();
    for (wish, says) in [
        (
            Wish {
                lifetime: Some(Duration::from_secs(7201)),
                ..plain.clone()
            },
            "invalid",
        ),
        (
            Wish {
                lifetime: Some(Duration::from_secs(1)),
                ..plain.clone()
            },
            "invalid",
        ),
        (
            Wish {
                reusable: true,
                ..plain.clone()
            },
            "not allowed",
        ),
        (
            Wish {
                label: Some("a b".into()),
                ..plain.clone()
            },
            "invalid",
        ),
        (
            Wish {
                label: Some("a".repeat(33)),
                ..plain.clone()
            },
            "invalid",
        ),
    ] {
        assert_eq!(word(invite(&wish).await), says, "{wish:?}");
    }
    for email in [
        "x",
        "a@b",
        "a@b@c.de",
        "\"A\" <a@b.de>",
        "a@b.de\nBcc: c@d.ef",
    ] {
        let wish = Wish {
            invitee: Invitee {
                email: Some(email.into()),
                ..Invitee::default()
            },
            ..plain.clone()
        };
        assert_eq!(word(invite(&wish).await), "invalid", "{email:?}");
    }
    assert_eq!((bed.changes(), bed.trail().await.len()), (0, 0));

    let wish = Wish {
        label: Some("grace".into()),
        invitee: Invitee {
            email: Some("grace@example.test".into()),
            ..Invitee::default()
        },
        ..plain
    };
    let invited = invite(&wish).await.unwrap();
    assert!(invited.new.single_use && invited.new.name.starts_with("grace-"));
    let printed = format!("{invited:?}");
    let (made, link) = invited.made.unwrap();
    let link = link.hand_over();
    let secret = link.rsplit('=').next().unwrap();
    let (_, listed) = bed.hand.invitations(None).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&made));
    let by = bed.by();
    let revoked = bed.hand.revoke_invitation(None, made.id, &by, false).await;
    assert_eq!(revoked.unwrap(), made);
    let again = bed.hand.revoke_invitation(None, made.id, &by, false).await;
    assert_eq!(word(again), "unknown");
    let trail = bed.trail().await.join("\n");
    assert!(trail.contains("invitation.ordered") && trail.contains("invitation.revoked"));
    for (what, text) in [("the trail", &trail), ("what prints", &printed)] {
        assert!(!text.contains(secret), "{what}: {text}");
    }
    assert!(!trail.contains("grace@"), "{trail}");
    assert!(bed.app.invitations().is_empty());
}

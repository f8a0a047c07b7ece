//! `check` on directories.

use crate::bed::Bed;
use auth_manager::demo::authentik::{Fault, NewPerson, Options, StandIn};
use auth_manager::store::{SeenUser, Store as _};
use auth_manager::types::{IssuerId, Subject};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const PERMISSIONS: [&str; 3] = [
    "authentik_core.view_user",
    "authentik_core.view_group",
    "authentik_events.view_event",
];

struct Neighbour {
    app: StandIn,
    own: i64,
    _stop: DropGuard,
}

async fn beside(bed: &Bed) -> Neighbour {
    let app = StandIn::new(Options::default());
    let (own, token) = app.reader("bridge-reader", &PERMISSIONS);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (served, until) = (app.clone(), stop.clone());
    tokio::spawn(async move { served.serve(listener, until).await });
    bed.secret("directory.token", &token);
    bed.replace(
        "[[apps]]\n",
        &format!(
            "[[directories]]\nid = \"authentik\"\nkind = \"authentik\"\nurl = \"http://{address}\"\n\
             token = {{ file = \"directory.token\" }}\n[[apps]]\n"
        ),
    );
    Neighbour {
        app,
        own,
        _stop: stop.drop_guard(),
    }
}

/// Level and text of what is said about something.
async fn said(bed: &Bed, about: &str) -> Vec<(String, String)> {
    let report = bed.run(&["check", "--json"]).await.json();
    let text = |v: &serde_json::Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let all = report["verdicts"].as_array().unwrap().clone();
    let found: Vec<_> = all
        .iter()
        .filter(|v| v["about"] == about)
        .map(|v| {
            (
                text(v, "level"),
                format!("{} {}", text(v, "text"), text(v, "remedy")),
            )
        })
        .collect();
    assert!(!found.is_empty(), "{about}: {report:#}");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_and_its_token_are_judged() {
    let (bed, _app, _runs) = Bed::with_app().await;
    let there = beside(&bed).await;
    let one = async |about: &str| said(&bed, about).await.remove(0);
    let (level, text) = one("directory authentik").await;
    assert!(level == "ok" && text.contains("2 users"), "{level} {text}");

    there.app.expire_token("bridge-reader-api", 86_400);
    let (level, text) = one("directory authentik: expiry").await;
    assert!(
        level == "error" && text.contains("bridge-reader-api"),
        "{level} {text}"
    );
    there.app.expire_token("bridge-reader-api", 90 * 86_400);

    there.app.set_permissions(there.own, &PERMISSIONS[..1], &[]);
    let (level, text) = one("directory authentik: permission").await;
    assert!(
        level == "error" && text.contains("all objects"),
        "{level} {text}"
    );

    there.app.revoke_token("bridge-reader-api");
    let (level, _) = one("directory authentik: token").await;
    assert_eq!(level, "error");

    there.app.set_fault(Fault::Html, "/", None);
    let (level, text) = one("directory authentik").await;
    assert!(level == "error" && text.contains("502"), "{level} {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t33_a_subject_rule_that_does_not_fit_the_assertions_is_named_with_the_one_that_does() {
    let (bed, _app, _runs) = Bed::with_app().await;
    let there = beside(&bed).await;
    let pk = there.app.create(&NewPerson::named("alice"));
    let store = bed.store().await;
    let (level, text) = said(&bed, "directory authentik: subject").await.remove(0);
    assert!(
        level == "note" && text.contains("nobody has signed in"),
        "{level} {text}"
    );
    let shown = there.app.user(pk).unwrap();
    let seen = |subject: &str| SeenUser {
        issuer: IssuerId::new("pomerium").unwrap(),
        subject: Subject::new(subject).unwrap(),
        email: "alice@example.test".into(),
        email_verified: false,
        name: "Alice".into(),
        username: Some("alice".into()),
        locale: None,
        groups: Vec::new(),
        at: crate::bed::now(),
    };
    store
        .saw_user(&seen(shown["uuid"].as_str().unwrap()))
        .await
        .unwrap();
    let (level, text) = said(&bed, "directory authentik: subject").await.remove(0);
    assert!(
        level == "error" && text.contains("subject = \"uuid\""),
        "{level} {text}"
    );
    bed.replace(
        "kind = \"authentik\"\n",
        "kind = \"authentik\"\nsubject = \"uuid\"\n",
    );
    let (level, text) = said(&bed, "directory authentik: subject").await.remove(0);
    assert!(level == "ok" && text.contains("1 person"), "{level} {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_done_by_hand_is_judged() {
    let (bed, _app, _runs) = Bed::with_app().await;
    let there = beside(&bed).await;
    let group = there.app.create_group("validated");
    let (writer, token) = there.app.reader("bridge-writer", &[]);
    bed.secret("write.token", &token);
    bed.replace(
        "[[apps]]\n",
        &format!(
            "[directories.write]\ntoken = {{ file = \"write.token\" }}\n\
             token_identifier = \"bridge-writer-api\"\n\
             groups = [{{ name = \"validated\", id = {group:?} }}]\n[[apps]]\n"
        ),
    );
    let give = "authentik_core.add_user_to_group";
    let on_it = [
        ("authentik_core.view_group", group.as_str()),
        (give, &group),
    ];
    let may = |global: &[&str]| there.app.set_permissions(writer, global, &on_it);
    may(&[PERMISSIONS[0]]);
    const ABOUT: &str = "directory authentik: by hand";
    let about = |what: &str| format!("{ABOUT}: {what}");
    let (level, text) = said(&bed, ABOUT).await.remove(0);
    assert!(level == "ok" && text.contains("1 group"), "{level} {text}");

    may(&[PERMISSIONS[0], give]);
    let (level, text) = said(&bed, &about("permission")).await.remove(0);
    assert!(
        level == "error" && text.contains("administrator"),
        "{level} {text}"
    );
    may(&[PERMISSIONS[0]]);
    there.app.expire_token("bridge-writer-api", 86_400);
    let (level, text) = said(&bed, &about("expiry")).await.remove(0);
    assert!(
        level == "error" && text.contains("bridge-writer-api"),
        "{level} {text}"
    );
    there.app.revoke_token("bridge-writer-api");
    let (level, _) = said(&bed, &about("token")).await.remove(0);
    assert_eq!(level, "error");
    // Nobody was put anywhere by looking.
    assert_eq!(
        there.app.user(writer).unwrap()["groups"],
        serde_json::json!([])
    );
}

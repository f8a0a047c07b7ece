//! A person is shown whole, and erased; who was disabled stays out.

use crate::bed::{Bed, T0, app, at, by, sid};
use auth_manager::store::archive::{Erasure, PersonRows};
use auth_manager::store::{
    Claim, Claimed, EndReason, KeptAnswer, Revoked, StoreError, UserState, Which,
};
use auth_manager::types::ClientId;
use std::time::Duration;

pub(crate) async fn a_person_is_shown_whole_and_nobody_else(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    bed.visitor("bob", "s2").await;
    bed.a
        .end_sessions(
            &Which::Session(session.id),
            EndReason::Logout,
            at(9_000),
            at(7),
            &by(),
        )
        .await
        .unwrap();
    let sign_in = Which::Sid(app(), user.issuer.clone(), user.subject.clone(), sid("s7"));
    bed.a
        .end_sessions(&sign_in, EndReason::Revoked, at(9_000), at(8), &by())
        .await
        .unwrap();
    let rows = bed.place().person(user.id).await.unwrap();
    let count = |name: &str| rows.iter().find(|r| r.table == name).map(|r| r.rows.len());
    assert_eq!(count("users"), Some(1));
    assert_eq!(count("accounts"), Some(1));
    assert_eq!(count("sessions"), Some(1));
    assert_eq!(count("tombstones"), Some(2));
    assert_eq!(count("revocations"), Some(1));
    let text = format!("{rows:?}");
    assert!(
        text.contains("alice@example.com") && !text.contains("bob"),
        "{text}"
    );
    let sealed = |of: &PersonRows| of.columns.iter().any(|c| c == "sealed");
    assert!(
        !rows.iter().any(sealed),
        "sealed secrets are not the person's"
    );
    let nobody = auth_manager::types::UserId::generate();
    assert!(bed.place().person(nobody).await.unwrap().is_empty());
}

fn claim(key: &str) -> Claim {
    Claim {
        client: ClientId::new("helpdesk").unwrap(),
        key: key.to_owned(),
        fingerprint: [7; 32],
        holder: uuid::Uuid::new_v4(),
        lease: Duration::from_secs(60),
        keep: Duration::from_secs(86_400),
        most: 100,
    }
}

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 200,
        etag: Some("\"e\"".into()),
        body: body.to_owned(),
    }
}

pub(crate) async fn an_erased_person_is_gone_and_a_disabled_one_stays_out(bed: Bed) {
    let (user, session) = bed.visitor("alice", "s1").await;
    let (_, bob) = bed.visitor("bob", "s2").await;
    let place = bed.place();
    let erase = async |unclosed| place.erase(user.id, unclosed, at(20)).await;
    // Neither while a session lives, nor before the app was told of its end.
    assert!(matches!(erase(false).await, Err(StoreError::Changed)));
    assert!(matches!(erase(true).await, Err(StoreError::Changed)));
    let which = Which::User(user.id, None);
    bed.a
        .end_sessions(&which, EndReason::Revoked, at(9_000), at(7), &by())
        .await
        .unwrap();
    assert!(matches!(erase(false).await, Err(StoreError::Changed)));
    bed.a.session_closed(session.id).await.unwrap();
    // What a service was answered about each of them.
    for (key, id) in [("k-alice", user.id), ("k-bob", bob.user)] {
        let claim = claim(key);
        assert_eq!(bed.a.claim(&claim, at(8)).await.unwrap(), Claimed::Ours);
        let answer = answer(&format!("{{\"user\":\"{id}\",\"email\":\"x\"}}"));
        bed.a.keep_answer(&claim, &answer).await.unwrap();
    }
    let answered = async |key: &str| match bed.b.claim(&claim(key), at(21)).await.unwrap() {
        Claimed::Answered(answer) => answer.body,
        other => panic!("{key}: {other:?}"),
    };
    let before = bed.a.newest_revocation().await.unwrap();
    let erased = erase(false).await.unwrap().unwrap();
    assert!(!erased.stays_disabled);
    let gone: Vec<_> = erased.removed.iter().map(|r| (r.table, r.rows)).collect();
    assert_eq!(
        gone,
        [
            ("sessions", 1),
            ("accounts", 1),
            ("users", 1),
            ("claims", 1)
        ]
    );
    // It is known that the request was answered, and nothing of what was said.
    assert_eq!(answered("k-alice").await, "{}");
    assert!(answered("k-bob").await.contains(&bob.user.to_string()));
    assert!(bed.b.user(user.id).await.unwrap().is_none());
    assert!(bed.b.session(session.id).await.unwrap().is_none());
    assert!(bed.b.session(bob.id).await.unwrap().is_some());
    let log = bed.b.revocations_after(before, 9).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].number, &log[0].what),
        (before + 1, &Revoked::User(user.id))
    );
    assert_eq!(erase(false).await.unwrap(), None);
    // The sign-in that was under way is still over; a new one is a stranger's.
    let stands = bed
        .b
        .tombstone(&app(), &user.issuer, &user.subject, &sid("s1"), at(21))
        .await;
    assert!(stands.unwrap().is_some());
    assert_ne!(bed.person("alice").await.id, user.id);

    // Without its token closed, when the operator says so.
    let which = Which::User(bob.user, None);
    bed.a
        .set_user_state(bob.user, UserState::Disabled, "left in May", at(30), &by())
        .await
        .unwrap();
    bed.a
        .end_sessions(&which, EndReason::Revoked, at(9_000), at(31), &by())
        .await
        .unwrap();
    let erased = place.erase(bob.user, true, at(32)).await.unwrap().unwrap();
    assert!(erased.stays_disabled);
    let stub = bed.b.user(bob.user).await.unwrap().unwrap();
    assert_eq!(stub.state, UserState::Disabled);
    assert_eq!(
        (stub.email.as_str(), stub.name.as_str(), stub.username),
        ("", "", None)
    );
    assert_eq!(stub.state_reason, "erased");
    assert!(stub.groups.is_empty());
    let rows = place.person(bob.user).await.unwrap();
    let left: Vec<_> = rows
        .iter()
        .filter(|r| r.erasure == Erasure::Deletes && !r.rows.is_empty())
        .map(|r| r.table)
        .collect();
    assert_eq!(left, ["users"]);
}

pub(crate) async fn what_a_directory_said_is_shown_and_erased_but_for_a_denial(bed: Bed) {
    use crate::directory::{said, source};
    let (alice, bob) = (bed.person("alice").await, bed.person("bob").await);
    let mut gone = said("bob");
    (gone.active, gone.gone_at) = (false, Some(T0));
    for word in [&said("alice"), &gone, &said("carol")] {
        bed.a.put_person(word, T0, &by()).await.unwrap();
    }
    let place = bed.place();
    let rows = place.person(alice.id).await.unwrap();
    let shown = |table: &str| rows.iter().find(|r| r.table == table).unwrap().rows.len();
    assert_eq!(
        (shown("directory_people"), shown("directory_aliases")),
        (1, 2)
    );
    assert!(!format!("{rows:?}").contains("carol"));

    let before = bed.a.newest_revocation().await.unwrap();
    place.erase(alice.id, false, at(1)).await.unwrap().unwrap();
    let log = bed.b.revocations_after(before, 9).await.unwrap();
    let told = Revoked::Person(alice.issuer.clone(), alice.subject.clone());
    assert!(log.iter().any(|entry| entry.what == told), "{log:?}");
    let authentik = source("authentik");
    let word = async |id: &str| bed.b.person(&authentik, id).await.unwrap();
    assert_eq!(word("pk-alice").await, None);
    assert!(word("pk-carol").await.is_some());

    place.erase(bob.id, false, at(1)).await.unwrap().unwrap();
    let left = word("pk-bob")
        .await
        .expect("without it they are let in as a stranger");
    assert!(left.denies() && left.subject == Some(bob.subject.clone()));
    assert_eq!(
        (
            left.name.as_str(),
            left.email.as_str(),
            left.username.as_str()
        ),
        ("", "", "")
    );
    assert!(left.groups.is_empty());
    let by_alias = bed.b.person_by_alias(&authentik, "uid:bob").await.unwrap();
    assert_eq!(by_alias.map(|found| found.id).as_deref(), Some("pk-bob"));
}

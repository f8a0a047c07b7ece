//! What a real Authentik does that nobody would expect. Numbers are those of the differences that
//! recording it brought to light, as `src/directory` and `src/api` cite them.

use super::{in_sales, is_gone};
use crate::support::company::{Company, MEMBER, Terms};
use crate::support::socket::End;
use crate::support::{PATIENCE, eventually};
use auth_manager::demo::authentik::BodyKind;
use auth_manager::store::UserState;
use serde_json::Value;

async fn by(body: BodyKind) -> Company {
    Company::start(Terms {
        hooks: Some(body),
        ..Terms::default()
    })
    .await
}

/// Difference 9: a body is made at each delivery and arrives in any order; `model_deleted` was recorded
/// before `model_created` of the same user. Whatever a body says, what is so now counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_told_before_the_creation_is_a_deletion() {
    for body in [BodyKind::Mapped, BodyKind::Default] {
        let company = by(body).await;
        let alice = company.hire("alice", MEMBER);
        company.account(&alice, "the account", |_| true).await;
        company.quiet().await;
        company.authentik.forget();
        company.tells_nobody();
        let bob = company.hire("bob", MEMBER);
        company
            .authentik
            .set_profile(alice.pk, "Another Name", "", "");
        company.authentik.delete(bob.pk);
        company.authentik.delete(alice.pk);
        assert!(company.authentik.idle(PATIENCE).await);
        let mut bodies: Vec<String> = Vec::new();
        for body in company.bodies() {
            // Each once: here every delivery fails, and is tried again.
            if !bodies.contains(&body) {
                bodies.push(body);
            }
        }
        // Deletions first, creations last.
        bodies.sort_by_key(|body| {
            let place = ["model_deleted", "model_updated", "model_created"];
            place.iter().position(|action| body.contains(action))
        });
        assert!(bodies[0].contains("model_deleted"), "{bodies:?}");
        assert!(
            bodies
                .last()
                .is_some_and(|body| body.contains("model_created"))
        );
        for body in &bodies {
            assert_eq!(company.deliver(body).await, 202, "{body}");
        }
        company.account(&alice, "the deactivation", is_gone).await;
        assert_eq!(company.settled().await, "");
        assert_eq!(company.record(&alice).await.state, UserState::Tombstoned);
        assert!(
            company.snapshot(&bob).is_none(),
            "nobody is made who is gone"
        );
        assert_eq!(company.world.mattermost.users_created(), 1);
        for one in [&alice, &bob] {
            let mut visitor = company.world.client(one.person.clone());
            if one.pk == alice.pk {
                company.is_refused(&mut visitor, "access.disabled").await;
            }
        }
        company.finish().await;
    }
}

/// Difference 11: events with a message have no action in front of it. Those that were recorded change
/// nothing about a person; a body that says nothing at all has the directory's own log asked what changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_an_action_is_no_change_and_one_that_says_nothing_asks_what_changed() {
    let company = by(BodyKind::Default).await;
    let alice = company.hire("alice", MEMBER);
    company.account(&alice, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    let socket = visitor.socket().await.expect("a socket");
    company.quiet().await;
    company.authentik.lose_hooks(true);
    company.authentik.set_active(alice.pk, false);
    company.authentik.forget();
    let every = include_str!("../../data/recordings/authentik/09-every-action-default-body.json");
    let bare = recorded(every, |_, says| {
        !says["body"]
            .as_str()
            .and_then(|text| text.split(' ').next())
            .is_some_and(|first| first.ends_with(':'))
    });
    assert!(!bare.is_empty(), "the recording has some");
    for body in &bare {
        assert_eq!(company.deliver(body).await, 202, "{body}");
    }
    company.quiet().await;
    assert!(company.authentik.requests().is_empty(), "nothing is asked");
    assert_eq!(visitor.open("/").await.status, 200);

    let retries = include_str!("../../data/recordings/authentik/08-delivery-retries.json");
    let other = recorded(retries, |step, _| step.contains("notification.uuid"));
    assert_eq!(company.deliver(&other[0]).await, 202, "{}", other[0]);
    assert!(matches!(socket.ended().await, End::Closed(Some(_))));
    company.is_refused(&mut visitor, "access.disabled").await;
    company.account(&alice, "the deactivation", is_gone).await;
    company.finish().await;
}

/// Bodies of a recording that are chosen by step and content.
fn recorded(text: &str, chosen: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let recording: Value = serde_json::from_str(text).expect("JSON");
    let exchanges = recording["exchanges"].as_array().expect("a list");
    let bodies = exchanges.iter().filter_map(|one| {
        let text = one["request"]["body_text"].as_str()?;
        let body: Value = serde_json::from_str(text).ok()?;
        let step = one["step"].as_str().unwrap_or_default();
        chosen(step, &body).then(|| text.to_owned())
    });
    bodies.collect()
}

/// Difference 15: whoever deletes themselves is gone without a webhook, and their own events with them.
/// The sweep finds it; here it comes by the command, `lost` has the schedule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_deletes_themselves_is_found_gone_by_the_next_sweep() {
    let company = by(BodyKind::Mapped).await;
    let alice = company.hire("alice", MEMBER);
    company.account(&alice, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    assert!(company.authentik.idle(PATIENCE).await);
    company.authentik.forget();
    company
        .authentik
        .give_token(alice.pk, "own", "an-own-token");
    let path = format!("/api/v3/core/users/{}/", alice.pk);
    assert_eq!(company.rest("DELETE", &path, "an-own-token", "").await, 204);
    assert!(company.authentik.idle(PATIENCE).await);
    assert_eq!(company.bodies(), [""; 0]);
    assert_eq!(visitor.open("/").await.status, 200, "nobody was told");
    company.world.run(&["reconcile", "run"]).await;
    company.is_refused(&mut visitor, "access.disabled").await;
    company.account(&alice, "the deactivation", is_gone).await;
    assert_eq!(company.record(&alice).await.state, UserState::Tombstoned);
    company.finish().await;
}

/// Differences 14 and 40: disabling is told by one `model_updated`, with no event of a logout. One hint
/// is enough, and it need not be about the end of anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hint_about_anything_brings_all_that_is_so_now() {
    let company = by(BodyKind::Mapped).await;
    let alice = company.hire("alice", MEMBER);
    company.account(&alice, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    company.quiet().await;
    // Everything waits behind a busy worker (difference 18), and says what is so when it goes.
    company.authentik.hold_hooks(true);
    company
        .authentik
        .set_profile(alice.pk, "Another Name", "", "");
    company.authentik.join(alice.pk, "sales");
    company.authentik.set_active(alice.pk, false);
    company.authentik.set_active(alice.pk, true);
    company.authentik.set_active(alice.pk, false);
    assert_eq!(visitor.open("/").await.status, 200);
    company.authentik.hold_hooks(false);
    company.is_refused(&mut visitor, "access.disabled").await;
    company.account(&alice, "the deactivation", is_gone).await;
    company.authentik.set_active(alice.pk, true);
    let back = |user: &_| in_sales(user) && !is_gone(user);
    company.account(&alice, "back, with the team", back).await;
    assert_eq!(company.world.mattermost.users_created(), 1);
    company.finish().await;
}

/// Difference 17: whoever may write events writes what they like. A forged deletion is a question, and
/// the answer is that everything is as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_a_forged_event_changes_nothing() {
    let company = by(BodyKind::Mapped).await;
    let alice = company.hire("alice", MEMBER);
    company.account(&alice, "the account", |_| true).await;
    let mut visitor = company.comes_in(&alice).await;
    company.quiet().await;
    let (_, forger) = company
        .authentik
        .reader("forger", &["authentik_events.add_event"]);
    company.authentik.forget();
    let forged = serde_json::json!({
        "action": "model_deleted", "app": "authentik.events.middleware",
        "context": { "model": {
            "pk": alice.pk, "app": "authentik_core", "name": "alice", "model_name": "user",
        } },
    });
    let path = "/api/v3/events/events/";
    let forged = forged.to_string();
    let written = company.rest("POST", path, &forger, &forged).await;
    assert_eq!(written, 201);
    company.told().await;
    eventually("the question", || async {
        let asked = company.authentik.requests();
        let about = format!("/core/users/{}/", alice.pk);
        asked
            .iter()
            .any(|seen| seen.target.contains(&about))
            .then_some(())
    })
    .await;
    assert_eq!(company.settled().await, "");
    assert_eq!(visitor.open("/").await.status, 200);
    assert!(
        company
            .snapshot(&alice)
            .is_some_and(|user| user.is_active())
    );
    assert_eq!(company.record(&alice).await.state, UserState::Active);
    company.finish().await;
}

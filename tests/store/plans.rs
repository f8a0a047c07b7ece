//! Plans that wait for a person's word.

use crate::bed::{Bed, at};
use auth_manager::store::{PlanFilter, PlanState, StoredLook, StoredPlan};
use auth_manager::types::{AppId, SourceId};
use std::time::Duration;
use uuid::Uuid;

fn plan(source: &str, digest: &str, made_at: i64) -> StoredPlan {
    StoredPlan {
        id: Uuid::now_v7(),
        app: None,
        source: SourceId::new(source).unwrap(),
        state: PlanState::Held,
        digest: digest.into(),
        why: "too many".into(),
        body: "{}".into(),
        made_at: at(made_at),
        state_since: at(made_at),
        by: String::new(),
    }
}

fn held(source: &str) -> PlanFilter {
    PlanFilter {
        source: Some(SourceId::new(source).unwrap()),
        state: Some(PlanState::Held),
        ..PlanFilter::default()
    }
}

/// As a page has it.
fn listed(plan: &StoredPlan) -> StoredPlan {
    StoredPlan {
        body: String::new(),
        ..plan.clone()
    }
}

pub(crate) async fn one_plan_waits_for_a_directory(bed: Bed) {
    let first = bed.a.hold_plan(&plan("home", "a", 1)).await.unwrap();
    let elsewhere = bed.a.hold_plan(&plan("work", "a", 1)).await.unwrap();
    let second = bed.b.hold_plan(&plan("home", "b", 2)).await.unwrap();
    let waiting = bed.a.plans(&held("home")).await.unwrap();
    assert_eq!(waiting, [listed(&second)]);
    assert_eq!(
        bed.a.plans(&held("work")).await.unwrap(),
        [listed(&elsewhere)]
    );
    let former = bed.a.plan(first.id).await.unwrap().unwrap();
    assert_eq!(former.state, PlanState::Superseded);
    assert_eq!(former.state_since, at(2));
    bed.a
        .supersede_plans(&second.source, None, at(3))
        .await
        .unwrap();
    assert!(bed.b.plans(&held("home")).await.unwrap().is_empty());
    assert_eq!(bed.b.plans(&PlanFilter::default()).await.unwrap().len(), 3);
}

pub(crate) async fn an_equal_plan_keeps_its_id_and_its_no(bed: Bed) {
    let first = bed.a.hold_plan(&plan("home", "a", 1)).await.unwrap();
    assert_eq!(bed.b.hold_plan(&plan("home", "a", 9)).await.unwrap(), first);
    assert!(
        bed.a
            .end_plan(first.id, PlanState::Dismissed, "root", at(10))
            .await
            .unwrap()
    );
    let again = bed.b.hold_plan(&plan("home", "a", 11)).await.unwrap();
    assert_eq!((again.id, again.state), (first.id, PlanState::Dismissed));
    assert_eq!(again.by, "root");
    // Another one is held all the same.
    let other = bed.b.hold_plan(&plan("home", "b", 12)).await.unwrap();
    assert_eq!(other.state, PlanState::Held);
}

pub(crate) async fn a_plan_is_ended_once(bed: Bed) {
    let held = bed.a.hold_plan(&plan("home", "a", 1)).await.unwrap();
    let (yes, no) = tokio::join!(
        bed.a.end_plan(held.id, PlanState::Applied, "a", at(2)),
        bed.b.end_plan(held.id, PlanState::Dismissed, "b", at(2)),
    );
    assert!(yes.unwrap() != no.unwrap());
    assert!(
        !bed.a
            .end_plan(held.id, PlanState::Applied, "c", at(3))
            .await
            .unwrap()
    );
    assert!(bed.a.plan(Uuid::now_v7()).await.unwrap().is_none());
}

pub(crate) async fn an_ended_plan_is_forgotten_and_a_held_one_is_not(bed: Bed) {
    let former = bed.a.hold_plan(&plan("home", "a", 1)).await.unwrap();
    let held = bed.a.hold_plan(&plan("home", "b", 2)).await.unwrap();
    let gone = bed.a.purge(at(1_000), Duration::from_secs(10)).await;
    assert_eq!(gone.unwrap(), 1);
    assert!(bed.b.plan(former.id).await.unwrap().is_none());
    assert!(bed.b.plan(held.id).await.unwrap().is_some());
}

pub(crate) async fn a_plan_of_one_app_stands_beside_its_directorys(bed: Bed) {
    let of_app = |digest, made_at| StoredPlan {
        app: Some(AppId::new("chat").unwrap()),
        ..plan("home", digest, made_at)
    };
    let whole = bed.a.hold_plan(&plan("home", "a", 1)).await.unwrap();
    let chat = bed.b.hold_plan(&of_app("a", 2)).await.unwrap();
    assert_ne!(whole.id, chat.id, "an equal one of something else");
    let home = whole.source.clone();
    assert_eq!(bed.a.held_plans().await.unwrap(), [(home.clone(), 2)]);
    assert_eq!(bed.a.hold_plan(&of_app("a", 9)).await.unwrap(), chat);
    // Neither supersedes the other.
    bed.a.supersede_plans(&home, None, at(3)).await.unwrap();
    assert_eq!(bed.b.held_plans().await.unwrap(), [(home.clone(), 1)]);
    assert_eq!(bed.b.plan(chat.id).await.unwrap(), Some(chat.clone()));
    let app = chat.app.as_ref();
    bed.b.supersede_plans(&home, app, at(4)).await.unwrap();
    assert!(bed.a.held_plans().await.unwrap().is_empty());
}

pub(crate) async fn one_plan_is_proposed_for_a_directory(bed: Bed) {
    let proposed = |source, made_at| StoredPlan {
        state: PlanState::Proposed,
        by: "helpdesk".into(),
        ..plan(source, "a", made_at)
    };
    let waits = bed.a.hold_plan(&plan("home", "a", 1)).await.unwrap();
    let first = proposed("home", 2);
    bed.a.propose_plan(&first).await.unwrap();
    // Somebody who died over it does it again.
    bed.b.propose_plan(&first).await.unwrap();
    assert_eq!(bed.b.plan(first.id).await.unwrap(), Some(first.clone()));
    let elsewhere = proposed("work", 2);
    bed.b.propose_plan(&elsewhere).await.unwrap();
    let second = proposed("home", 3);
    bed.b.propose_plan(&second).await.unwrap();
    assert_eq!(bed.a.plan(first.id).await.unwrap(), None, "it was replaced");
    assert!(bed.a.plan(elsewhere.id).await.unwrap().is_some());
    assert_eq!(bed.a.plan(waits.id).await.unwrap(), Some(waits.clone()));
    assert_eq!(
        bed.a.held_plans().await.unwrap(),
        [(waits.source.clone(), 1)]
    );

    // It is carried out or replaced, and nothing else: a no would be the last word about what waits.
    let end = |to| bed.a.end_plan(second.id, to, "root", at(4));
    assert!(!end(PlanState::Dismissed).await.unwrap());
    assert!(end(PlanState::Applied).await.unwrap());
    assert!(!end(PlanState::Applied).await.unwrap());
    bed.b.propose_plan(&second).await.unwrap();
    let kept = bed.b.plan(second.id).await.unwrap().unwrap();
    assert_eq!(kept.state, PlanState::Applied, "it was decided about");
}

pub(crate) async fn the_last_look_at_an_app_is_kept(bed: Bed) {
    let look = |app: &str, looked_at| StoredLook {
        app: AppId::new(app).unwrap(),
        looked_at: at(looked_at),
        body: format!("{{\"at\":{looked_at}}}"),
    };
    bed.a.put_look(&look("chat", 9)).await.unwrap();
    bed.b.put_look(&look("wiki", 1)).await.unwrap();
    // The clock was set back: the last is the last.
    bed.b.put_look(&look("chat", 5)).await.unwrap();
    let chat = look("chat", 5);
    let all = [
        (chat.app.clone(), at(5)),
        (AppId::new("wiki").unwrap(), at(1)),
    ];
    assert_eq!(bed.a.looks().await.unwrap(), all);
    let kept = bed.a.last_look(&chat.app).await.unwrap();
    assert_eq!(kept, Some(chat));
    let other = AppId::new("other").unwrap();
    assert_eq!(bed.a.last_look(&other).await.unwrap(), None);
}

//! What provisioning remembers.

use crate::bed::{Bed, T0, app, at, by, remote};
use auth_manager::store::{
    Account, DeactivatedFor, Deactivation, DeactivationStage, Membership, MembershipEnd,
    MembershipState, SeatCount, Store, TrailFilter,
};
use auth_manager::types::{AppId, MembershipKind, UserId};
use std::sync::Arc;

fn membership(user: UserId, kind: MembershipKind, target: &str) -> Membership {
    Membership {
        app: app(),
        user,
        remote: remote("remote-alice"),
        kind,
        target: target.into(),
        name: format!("the {target}"),
        state: MembershipState::Intent,
        since: T0,
    }
}

async fn kinds(store: &Arc<dyn Store>) -> Vec<String> {
    let records = store.trail(&TrailFilter::default()).await.unwrap();
    let ours = records
        .into_iter()
        .filter(|r| r.kind.starts_with("membership.") || r.kind.contains("activated"));
    ours.map(|r| r.kind).collect()
}

pub(crate) async fn a_membership_is_an_intent_first_and_on_record_when_given(bed: Bed) {
    let (user, _) = bed.member("alice").await;
    let of = membership(user.id, MembershipKind::Team, "t1");
    bed.a.intend_membership(&of).await.unwrap();
    assert_eq!(
        bed.b.memberships(&app(), user.id).await.unwrap(),
        std::slice::from_ref(&of)
    );
    assert!(kinds(&bed.b).await.is_empty());
    assert!(bed.a.membership_granted(&of, at(5), &by()).await.unwrap());
    // Twice is once, and a later intent does not make it one again.
    assert!(!bed.b.membership_granted(&of, at(6), &by()).await.unwrap());
    bed.a.intend_membership(&of).await.unwrap();
    let given = Membership {
        state: MembershipState::Granted,
        since: at(5),
        ..of.clone()
    };
    assert_eq!(
        bed.b.memberships(&app(), user.id).await.unwrap(),
        std::slice::from_ref(&given)
    );
    assert!(
        bed.a
            .end_membership(&given, MembershipEnd::Withdrawn, &by())
            .await
            .unwrap()
    );
    assert!(
        !bed.b
            .end_membership(&given, MembershipEnd::Withdrawn, &by())
            .await
            .unwrap()
    );
    assert!(bed.b.memberships(&app(), user.id).await.unwrap().is_empty());
    assert_eq!(
        kinds(&bed.b).await,
        ["membership.granted", "membership.withdrawn"]
    );
}

pub(crate) async fn what_came_to_nothing_or_went_by_itself_is_not_withdrawn(bed: Bed) {
    let (user, _) = bed.member("alice").await;
    let intent = membership(user.id, MembershipKind::Team, "t1");
    bed.a.intend_membership(&intent).await.unwrap();
    assert!(
        bed.a
            .end_membership(&intent, MembershipEnd::Withdrawn, &by())
            .await
            .unwrap()
    );
    bed.a.intend_membership(&intent).await.unwrap();
    bed.a
        .membership_granted(&intent, at(1), &by())
        .await
        .unwrap();
    assert!(
        bed.a
            .end_membership(&intent, MembershipEnd::Forgotten, &by())
            .await
            .unwrap()
    );
    assert_eq!(kinds(&bed.b).await, ["membership.granted"]);
    // None that is not on record is given.
    assert!(
        !bed.a
            .membership_granted(&intent, at(2), &by())
            .await
            .unwrap()
    );
}

pub(crate) async fn memberships_are_of_one_person_one_app_and_one_account(bed: Bed) {
    let (alice, _) = bed.member("alice").await;
    let (bob, _) = bed.member("bob").await;
    let one = membership(alice.id, MembershipKind::Channel, "c1");
    let others = [
        Membership {
            kind: MembershipKind::ChannelAdmin,
            ..one.clone()
        },
        Membership {
            remote: remote("another"),
            ..one.clone()
        },
        Membership {
            user: bob.id,
            remote: remote("remote-bob"),
            ..one.clone()
        },
        Membership {
            app: AppId::new("wiki").unwrap(),
            ..one.clone()
        },
    ];
    for of in others.iter().chain([&one]) {
        bed.a.intend_membership(of).await.unwrap();
    }
    let of_alice = bed.b.memberships(&app(), alice.id).await.unwrap();
    assert_eq!(of_alice.len(), 3);
    assert!(
        bed.a
            .end_membership(&one, MembershipEnd::Forgotten, &by())
            .await
            .unwrap()
    );
    assert_eq!(bed.b.memberships(&app(), alice.id).await.unwrap().len(), 2);
    assert_eq!(bed.b.memberships(&app(), bob.id).await.unwrap().len(), 1);
}

pub(crate) async fn a_deactivation_is_on_record_when_the_app_wrote_it_down(bed: Bed) {
    let (_, account) = bed.member("alice").await;
    assert_eq!((account.deactivated, account.bots.len()), (None, 0));
    let meant = Account {
        deactivated: Some(Deactivation {
            why: DeactivatedFor::Absent,
            at: at(3),
            stage: DeactivationStage::Asked,
        }),
        bots: vec![remote("bot1"), remote("bot2")],
        ..account
    };
    let meant = bed.a.save_account(&meant, &by()).await.unwrap();
    let read = bed.b.account(&app(), meant.user).await.unwrap().unwrap();
    assert_eq!(read, meant);
    assert!(kinds(&bed.b).await.is_empty());
    let done = Account {
        deactivated: Some(Deactivation {
            why: DeactivatedFor::Absent,
            at: at(3),
            stage: DeactivationStage::Done(1_795_575_016_744),
        }),
        ..meant
    };
    let done = bed.a.save_account(&done, &by()).await.unwrap();
    assert_eq!(done.deactivated.unwrap().done_at(), Some(1_795_575_016_744));
    let back = Account {
        deactivated: None,
        bots: Vec::new(),
        ..done
    };
    let back = bed.b.save_account(&back, &by()).await.unwrap();
    assert_eq!((back.deactivated, back.bots.len()), (None, 0));
    assert_eq!(
        kinds(&bed.a).await,
        ["account.deactivated", "account.reactivated"]
    );
}

pub(crate) async fn a_days_seats_are_counted_once(bed: Bed) {
    let count = |day, used, total| SeatCount { day, used, total };
    let wiki = AppId::new("wiki").unwrap();
    bed.a
        .put_seat_count(&app(), &count(11, 9, Some(250)))
        .await
        .unwrap();
    bed.b
        .put_seat_count(&app(), &count(10, 7, None))
        .await
        .unwrap();
    bed.a
        .put_seat_count(&app(), &count(10, 8, Some(250)))
        .await
        .unwrap();
    bed.a
        .put_seat_count(&wiki, &count(10, 1, None))
        .await
        .unwrap();
    assert_eq!(
        bed.b.seat_counts(&app(), 0).await.unwrap(),
        [count(10, 8, Some(250)), count(11, 9, Some(250))]
    );
    assert_eq!(
        bed.b.seat_counts(&app(), 11).await.unwrap(),
        [count(11, 9, Some(250))]
    );
    assert_eq!(
        bed.b.seat_counts(&wiki, 0).await.unwrap(),
        [count(10, 1, None)]
    );
}

pub(crate) async fn an_apps_memberships_are_read_page_by_page(bed: Bed) {
    let (alice, _) = bed.member("alice").await;
    let (bob, _) = bed.member("bob").await;
    let mut all = Vec::new();
    for (user, whose) in [(alice.id, "remote-alice"), (bob.id, "remote-bob")] {
        let membership = |user, kind, target| Membership {
            remote: remote(whose),
            ..membership(user, kind, target)
        };
        for target in ["t2", "T1", "t1"] {
            let of = membership(user, MembershipKind::Team, target);
            bed.a.intend_membership(&of).await.unwrap();
            all.push(of);
        }
        let channel = membership(user, MembershipKind::Channel, "c1");
        bed.a.intend_membership(&channel).await.unwrap();
        all.push(channel);
    }
    let mut read: Vec<Membership> = Vec::new();
    loop {
        let page = bed.b.memberships_of(&app(), read.last(), 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    let key = |of: &Membership| (of.user, of.kind.as_str(), of.target.clone());
    all.sort_by_key(key);
    assert_eq!(read, all, "each once, in one order on both engines");
    let elsewhere = AppId::new("wiki").unwrap();
    let none = bed.b.memberships_of(&elsewhere, None, 3).await.unwrap();
    assert!(none.is_empty());
}

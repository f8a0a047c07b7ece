//! Requests that must not act twice.

use crate::bed::{Bed, T0, at};
use auth_manager::store::{Claim, Claimed, KeptAnswer};
use auth_manager::types::ClientId;
use std::time::Duration;
use uuid::Uuid;

fn claim(key: &str, of: u8) -> Claim {
    Claim {
        client: ClientId::new("helpdesk").unwrap(),
        key: key.into(),
        fingerprint: [of; 32],
        holder: Uuid::now_v7(),
        lease: Duration::from_secs(60),
        keep: Duration::from_secs(1_000),
        most: 3,
    }
}

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        etag: Some("\"x\"".into()),
        body: body.into(),
    }
}

pub(crate) async fn a_request_is_carried_out_once_and_answered_again(bed: Bed) {
    let first = claim("k", 1);
    assert_eq!(bed.a.claim(&first, T0).await.unwrap(), Claimed::Ours);
    let second = claim("k", 1);
    assert_eq!(
        bed.b.claim(&second, at(1)).await.unwrap(),
        Claimed::UnderWay
    );
    bed.a.keep_answer(&first, &answer("{}")).await.unwrap();
    let again = bed.b.claim(&second, at(2)).await.unwrap();
    assert_eq!(again, Claimed::Answered(answer("{}")));
    // Later than any lease, the answer is still the answer.
    let again = bed.b.claim(&claim("k", 1), at(900)).await.unwrap();
    assert_eq!(again, Claimed::Answered(answer("{}")));
}

pub(crate) async fn a_key_stands_for_one_request_of_one_client(bed: Bed) {
    let first = claim("k", 1);
    assert_eq!(bed.a.claim(&first, T0).await.unwrap(), Claimed::Ours);
    assert_eq!(
        bed.b.claim(&claim("k", 2), T0).await.unwrap(),
        Claimed::Other
    );
    bed.a.keep_answer(&first, &answer("{}")).await.unwrap();
    assert_eq!(
        bed.b.claim(&claim("k", 2), T0).await.unwrap(),
        Claimed::Other
    );
    assert_eq!(
        bed.b.claim(&claim("K", 2), T0).await.unwrap(),
        Claimed::Ours
    );
    let others = Claim {
        client: ClientId::new("grafana").unwrap(),
        ..claim("k", 2)
    };
    assert_eq!(bed.b.claim(&others, T0).await.unwrap(), Claimed::Ours);
}

pub(crate) async fn a_claim_of_the_dead_is_taken_over_and_only_the_heir_answers(bed: Bed) {
    let dead = claim("k", 1);
    assert_eq!(bed.a.claim(&dead, T0).await.unwrap(), Claimed::Ours);
    let heir = claim("k", 1);
    assert_eq!(bed.b.claim(&heir, at(59)).await.unwrap(), Claimed::UnderWay);
    assert_eq!(bed.b.claim(&heir, at(60)).await.unwrap(), Claimed::Ours);
    // It was not dead after all: neither its answer nor its giving up counts.
    bed.a.keep_answer(&dead, &answer("late")).await.unwrap();
    bed.a.give_up_claim(&dead).await.unwrap();
    let third = bed.a.claim(&claim("k", 1), at(61)).await.unwrap();
    assert_eq!(third, Claimed::UnderWay);
    bed.b.keep_answer(&heir, &answer("{}")).await.unwrap();
    let third = bed.a.claim(&claim("k", 1), at(62)).await.unwrap();
    assert_eq!(third, Claimed::Answered(answer("{}")));
}

pub(crate) async fn a_refused_request_leaves_its_key_free(bed: Bed) {
    let first = claim("k", 1);
    assert_eq!(bed.a.claim(&first, T0).await.unwrap(), Claimed::Ours);
    bed.a.give_up_claim(&first).await.unwrap();
    assert_eq!(
        bed.b.claim(&claim("k", 2), T0).await.unwrap(),
        Claimed::Ours
    );
}

pub(crate) async fn answers_are_kept_for_a_time_and_in_number(bed: Bed) {
    for n in 0..5 {
        let one = claim(&format!("k{n}"), 1);
        assert_eq!(bed.a.claim(&one, at(n)).await.unwrap(), Claimed::Ours);
        bed.a.keep_answer(&one, &answer("{}")).await.unwrap();
    }
    let stands = async |key: &str, now| {
        let again = claim(key, 2);
        let found = bed.b.claim(&again, now).await.unwrap();
        if found == Claimed::Ours {
            bed.b.give_up_claim(&again).await.unwrap();
        }
        found == Claimed::Other
    };
    // The newest three, and the one that was claimed since they were counted.
    assert!(!stands("k0", at(10)).await);
    assert!(!stands("k1", at(10)).await);
    assert!(stands("k2", at(10)).await && stands("k4", at(10)).await);
    assert!(stands("k4", at(1_004)).await);
    assert!(!stands("k4", at(1_005)).await);
    // What is past its time is removed in the end, in no other's way.
    let keep = Duration::from_secs(1_000_000);
    assert_eq!(bed.a.purge(at(1_003), keep).await.unwrap(), 1);
    assert_eq!(bed.a.purge(at(1_003), keep).await.unwrap(), 0);
}

pub(crate) async fn one_of_many_claims_is_carried_out(bed: Bed) {
    for round in 0..20 {
        let key = format!("k{round}");
        let tries = (0..6).map(|n| {
            let store = if n % 2 == 0 { &bed.a } else { &bed.b }.clone();
            let one = claim(&key, 1);
            tokio::spawn(async move { store.claim(&one, T0).await.unwrap() })
        });
        let mut ours = 0;
        for outcome in tries.collect::<Vec<_>>() {
            match outcome.await.unwrap() {
                Claimed::Ours => ours += 1,
                other => assert_eq!(other, Claimed::UnderWay),
            }
        }
        assert_eq!(ours, 1);
    }
}

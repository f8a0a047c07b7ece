//! The directory answers what is not so: lists that lack people, counts that are wrong, pages that get
//! lost, errors, nothing at all. None of it takes anything from anybody, or gives it.

use crate::house::{BOTH, House, Plan, SALES};
use crate::support::eventually;
use auth_manager::demo::authentik::Fault;
use std::time::Duration;

const USERS: &str = "/api/v3/core/users/";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_answers_in_parts_takes_nothing_from_anybody() {
    let house = House::built(Plan {
        directory: "page_size = 4",
        ..Plan::default()
    })
    .await;
    let people = house.hire_many("person", 10);
    house.join(&people[3], SALES);
    house.settles().await;
    house.disable(&people[0]);
    house.keeps_out(&people[0]).await;
    house.settles().await;
    let mut inside = house
        .services
        .world
        .signed_in(people[1].person.clone())
        .await;
    let done = house.mattermost().done().len();

    let empty = r#"{"pagination":{"next":0,"previous":0,"count":11,"current":1,"total_pages":3,"start_index":0,"end_index":0},"results":[],"autocomplete":{}}"#;
    let none = r#"{"pagination":{"next":0,"previous":0,"count":0,"current":1,"total_pages":1,"start_index":0,"end_index":0},"results":[],"autocomplete":{}}"#;
    let page = |text: &str| Fault::Status(200, text.into());
    let all: Vec<i64> = people.iter().map(|who| who.pk).collect();
    house.authentik.unlist(&all[..6]);
    swept(&house, true).await;
    house.authentik.unlist(&[]);
    let faults = [
        // Wrong counts, and nobody at all.
        (0, page(empty)),
        (0, page(none)),
        // The second page is lost, then the third.
        (
            1,
            Fault::Status(404, "{\"detail\":\"Invalid page.\"}".into()),
        ),
        (2, Fault::CloseMidBody),
        (0, Fault::Status(500, "{\"detail\":\"x\"}".into())),
        (0, Fault::Html),
        (0, Fault::Redirect("http://127.0.0.1:1/".into())),
    ];
    for (spared, fault) in faults {
        house.authentik.set_fault_after(spared, fault, USERS, None);
        swept(&house, false).await;
        house.authentik.clear_faults();
    }
    assert_eq!(inside.me().await["username"], "person-1");
    assert_eq!(house.mattermost().done().len(), done, "nothing was written");
    house.finish().await;
}

/// A sweep of now, by the command; whether it may have ended well is the test's to say.
async fn swept(house: &House, well: bool) {
    let run = house
        .services
        .world
        .bridge
        .command(&["reconcile", "run", "--source", "authentik"]);
    let output = run.await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if well {
        assert!(output.status.success(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_slow_away_and_restarts_is_believed_once_it_answers() {
    let house = House::new().await;
    let people = house.hire_many("person", 6);
    house.settles().await;
    house.disable(&people[0]);
    house.keeps_out(&people[0]).await;

    house
        .authentik
        .set_fault(Fault::Slow(Duration::from_millis(400)), USERS, Some(20));
    house.disable(&people[1]);
    house.keeps_out(&people[1]).await;
    // Longer than it is waited for.
    house.authentik.set_fault(Fault::Hang, USERS, Some(2));
    house.disable(&people[2]);
    house.hire("comer", &BOTH);
    // It limits our rate, and then it restarts.
    house
        .authentik
        .set_fault(Fault::RateLimited(1), "/api/v3/core/groups/", Some(2));
    house.leave(&people[3], BOTH[1]);
    house.to_directory.close();
    house.authentik.lose_hooks(true);
    house.delete(&people[4]);
    house.enable(&people[0]);
    let source = house.source();
    eventually("the trouble on record", || async {
        let state = house.store.source_state(&source).await.ok()?;
        (!state.error.is_empty()).then_some(())
    })
    .await;
    house.authentik.lose_hooks(false);
    house.to_directory.reopen().await;
    house.keeps_out(&people[2]).await;
    house.keeps_out(&people[3]).await;
    house.keeps_out(&people[4]).await;
    house.finish().await;
}

//! Connections to the app break: before it reads, while it answers, after it has done what was asked;
//! and it restarts, with all it knew.

use crate::house::{BOTH, House};
use crate::support::eventually;
use auth_manager::demo::mattermost::Fault;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_whose_connections_break_makes_one_account_a_person() {
    let house = House::new().await;
    let leavers = house.hire_many("leaver", 3);
    house.settles().await;
    house.disable(&leavers[0]);
    house.keeps_out(&leavers[0]).await;
    let app = house.mattermost();
    // Accounts are made and nobody is told of it.
    app.set_fault_times(Fault::DropAfterCreate, "/api/v4/users", 3);
    house.hire_many("made", 3);
    house.settles().await;
    for (fault, name) in [
        (Fault::CloseBefore, "before"),
        (Fault::CloseMidBody, "middle"),
        (Fault::DropAfter, "after"),
        (Fault::Html, "page"),
    ] {
        app.set_fault_times(fault, "/api/v4/", 3);
        house.hire(name, &BOTH);
    }
    // What takes away is carried out, and its answer is lost.
    app.set_fault_times(Fault::DropAfter, "/api/v4/users/", 2);
    house.disable(&leavers[1]);
    house.keeps_out(&leavers[1]).await;
    house.settles().await;
    app.clear_faults();
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_restarts_misses_nothing() {
    let house = House::new().await;
    let people = house.hire_many("person", 6);
    house.settles().await;
    house.to_app.close();
    house.hire_many("comer", 6);
    house.disable(&people[0]);
    house.keeps_out(&people[0]).await;
    house.breaker("app", "chat", 2).await;
    house.to_app.reopen().await;
    house.disable(&people[1]);
    house.keeps_out(&people[1]).await;
    // Again, in the middle of catching up.
    eventually("the first of them", || async {
        house
            .mattermost()
            .user("comer-0")
            .or(house.mattermost().user("comer-5"))
    })
    .await;
    house.to_app.cut().await;
    house.enable(&people[0]);
    house.finish().await;
}

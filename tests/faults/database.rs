//! PostgreSQL restarts, dies, and is cut off: whoever waited for it waits a little longer, nobody is let
//! in meanwhile who must not be, and every webhook that was answered 202 counts.

use crate::house::{BOTH, House, Plan};
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_restarts_dies_and_is_cut_off_loses_nothing() {
    let house = House::built(Plan {
        postgres: true,
        ..Plan::default()
    })
    .await;
    let database = house.database.as_ref().expect("PostgreSQL");
    let people = house.hire_many("person", 8);
    house.settles().await;
    house.disable(&people[0]);
    house.keeps_out(&people[0]).await;

    // A connection is cut in the middle of the work.
    house.hire_many("cut", 4);
    database.way.close();
    database.way.reopen().await;
    // It restarts, as for an upgrade.
    house.hire_many("fast", 4);
    house.disable(&people[1]);
    block_in_place(|| database.cluster.restart());
    // It dies, and stays away for a while: webhooks are refused, and come again.
    house.hire_many("dead", 4);
    block_in_place(|| database.cluster.control(&["-m", "immediate", "stop"]));
    house.disable(&people[2]);
    house.hire("meanwhile", &BOTH);
    house.prober.rounds(10).await;
    block_in_place(|| database.cluster.control(&["restart"]));
    for who in &people[1..3] {
        house.keeps_out(who).await;
    }
    house.enable(&people[0]);
    house.finish().await;
}

//! Two bridges on one PostgreSQL, one of which is killed in the middle of its work: the other takes
//! over what it held, and nothing is done twice.

use crate::house::{House, Plan};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_replica_held_the_other_carries_out_once() {
    let mut house = House::built(Plan {
        postgres: true,
        // So that it is killed in the middle.
        jobs: "app_rate = 20\nsource_rate = 1000",
        ..Plan::default()
    })
    .await;
    let other = house.services.replica().await;
    let doors = [house.services.world.bridge.proxy, other.bridge.proxy];
    let apis = [house.services.api, other.api];
    house.replicas.push(other);
    house.prober.asks_at(&doors);
    // Both hear of everything, as if somebody had configured it so.
    house.hooks_go_to(&apis);
    let people = house.hire_many("person", 60);
    house.disable(&people[0]);
    house.keeps_out(&people[0]).await;
    eventually("the middle of the work", || async {
        (house.mattermost().users_created() > 15).then_some(())
    })
    .await;
    house.services.world.bridge.kill().await;
    house.killed = true;
    house.hooks_go_to(&apis[1..]);
    house.prober.asks_at(&doors[1..]);
    house.disable(&people[1]);
    house.disable(&people[2]);
    house.finish().await;
}

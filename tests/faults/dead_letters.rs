//! What failed too often is dead: it is shown everywhere, and one command makes all of it try again.

use crate::house::{BOTH, House, Plan};
use crate::support::eventually;
use auth_manager::demo::mattermost::Fault;
use auth_manager::store::JobState;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_shown_and_one_command_retries_all_of_them() {
    let house = House::built(Plan {
        jobs: "attempts = 1",
        // No sweep wakes them.
        every: "1h",
        ..Plan::default()
    })
    .await;
    let leaver = house.hire("leaver", &BOTH);
    house.settles().await;
    house.disable(&leaver);
    house.keeps_out(&leaver).await;
    house.settles().await;
    let failing = Fault::Status(
        503,
        "{\"id\":\"api.x\",\"message\":\"no\",\"status_code\":503}".into(),
    );
    house.mattermost().set_fault(failing, "/api/v4/users");
    // Fewer than open the breaker: these are not an app that is away.
    house.hire_many("comer", 3);
    eventually("dead letters", || async {
        (house.jobs(&[JobState::Dead]).await.len() == 3).then_some(())
    })
    .await;
    let world = &house.services.world;
    let listed = world.run(&["jobs", "list", "--dead", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), 3);
    for job in listed {
        assert!(
            !job["error"].as_str().unwrap_or_default().is_empty(),
            "{job}"
        );
    }
    let page = house.api("/api/v1/jobs?state=dead").await;
    assert_eq!(page["items"].as_array().expect("a list").len(), 3);
    eventually("the metric", || async {
        let line = "jobs{kind=\"converge\",app=\"chat\",state=\"dead\"}";
        (house.metric(line).await == 3).then_some(())
    })
    .await;

    house.mattermost().clear_faults();
    let said = world.run(&["jobs", "retry", "--dead"]).await;
    assert!(said.contains('3'), "{said}");
    house.finish().await;
}

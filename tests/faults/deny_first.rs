//! Whoever must go does not wait for thousands who come.

use crate::house::{BOTH, House, Plan};
use crate::support::eventually;
use auth_manager::store::JobState;

/// Who come.
const GRANTS: usize = 2_000;
/// What may still be written for people who come once somebody must go: what had begun by then, and
/// what finishes while the directory is asked about them.
const MOST: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_must_go_overtakes_thousands_who_come() {
    let house = House::built(Plan {
        // So slowly that they wait whatever machine this is.
        jobs: "app_rate = 25\nsource_rate = 1000",
        every: "1h",
        ..Plan::default()
    })
    .await;
    let leaver = house.hire("leaver", &BOTH);
    house.settles().await;
    let browser = house.services.world.signed_in(leaver.person.clone()).await;
    let account = house.mattermost().user("leaver").expect("an account");

    // By a listing, not by two thousand webhooks: those are another story.
    house.authentik.lose_hooks(true);
    house.hire_many("comer", GRANTS);
    house.authentik.lose_hooks(false);
    let sweep = ["reconcile", "run", "--source", "authentik"];
    house.services.world.run(&sweep).await;
    eventually("grants that wait", || async {
        (house.jobs(&[JobState::Pending]).await.len() > GRANTS / 2).then_some(())
    })
    .await;
    let before = house.mattermost().done().len();
    house.disable(&leaver);
    house.keeps_out_with(browser).await;
    let path = format!("/api/v4/users/{}/active", account.id);
    let at = eventually("the end of their account", || async {
        let done = house.mattermost().done();
        done.iter()
            .position(|done| done.path == path && done.is_ok())
    })
    .await;
    assert!(at >= before);
    assert!(at - before < MOST, "{} writes came before it", at - before);
    let waiting = house.jobs(&[JobState::Pending]).await.len();
    assert!(
        waiting > GRANTS / 2,
        "only {waiting} waited: this says nothing"
    );
    house.prober.rounds(2).await;
    let wrong = house.prober.wrong();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(house.prober.refused() > 0);
}

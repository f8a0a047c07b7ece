//! The app answers 500 to everything: its breaker opens, nobody is let in, nothing is lost, and the
//! breaker closes by itself.

use crate::house::{BOTH, House};
use auth_manager::demo::mattermost::Fault;
use auth_manager::store::JobState;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_answers_500_opens_its_breaker_and_gets_everything_once_it_is_back() {
    let house = House::new().await;
    let leaver = house.hire("leaver", &BOTH);
    house.settles().await;
    let browser = house.services.world.signed_in(leaver.person.clone()).await;

    let failing = Fault::Status(
        500,
        "{\"id\":\"api.x\",\"message\":\"no\",\"status_code\":500}".into(),
    );
    house.mattermost().set_fault(failing, "/api/v4/");
    house.hire_many("comer", 8);
    house.breaker("app", "chat", 2).await;
    house.disable(&leaver);
    // Refused here, though nobody can be told there.
    house.keeps_out_with(browser).await;
    let attempts = house.mattermost().journal().len();
    house.prober.rounds(10).await;
    // The breaker's sense: an app that is away is not asked again and again (its bot's own checks aside).
    let more = house.mattermost().journal().len() - attempts;
    assert!(more < 60, "{more} requests to an app that is away");
    assert!(
        house.jobs(&[JobState::Dead]).await.is_empty(),
        "none dies of it"
    );

    house.mattermost().clear_faults();
    house.breaker("app", "chat", 0).await;
    house.finish().await;
}

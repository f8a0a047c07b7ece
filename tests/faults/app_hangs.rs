//! The app takes requests and never answers: each ends by its own time limit, others are served, and
//! what takes access away has places that nothing that hangs can fill.

use crate::house::{BOTH, House};
use crate::support::eventually;
use auth_manager::demo::mattermost::Fault;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_hangs_is_given_up_and_nobody_waits_behind_it() {
    let house = House::new().await;
    let leaver = house.hire("leaver", &BOTH);
    house.settles().await;
    // Only what making an account needs hangs.
    let account = house.mattermost().user("leaver").expect("an account");
    house
        .mattermost()
        .set_fault(Fault::Hang, "/api/v4/users/email/");
    let began = Instant::now();
    house.hire_many("comer", 20);
    eventually("grants that hang", || async {
        let asked = house.mattermost().journal();
        let hang = asked
            .iter()
            .filter(|seen| seen.path.starts_with("/api/v4/users/email/comer"));
        (hang.count() >= 4).then_some(())
    })
    .await;
    house.disable(&leaver);
    house.keeps_out(&leaver).await;
    eventually("the end of their account", || async {
        let now = house.mattermost().user(&account.id)?;
        (!now.is_active()).then_some(())
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(18),
        "it waited for what hangs: {:?}",
        began.elapsed()
    );
    // 20 s is the longest that a question to the app takes.
    eventually("grants that are given up", || async {
        let failed = "job_attempts_total{kind=\"converge\",outcome=\"failed\"}";
        (house.metric(failed).await >= 4).then_some(())
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );
    house.mattermost().clear_faults();
    house.finish().await;
}

//! The app limits our rate: what it asks for in `Retry-After` it gets, and no attempt is lost to it.

use crate::house::{BOTH, House};
use crate::support::eventually;
use auth_manager::demo::mattermost::Fault;
use std::time::Duration;

const WAIT: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_limits_our_rate_is_left_alone_for_as_long_as_it_asks() {
    let house = House::new().await;
    let leaver = house.hire("leaver", &BOTH);
    house.settles().await;
    house.disable(&leaver);
    house.keeps_out(&leaver).await;
    house.settles().await;

    let limited = Fault::RateLimited(WAIT);
    house
        .mattermost()
        .set_fault_times(limited, "/api/v4/users", 1);
    house.hire("comer", &BOTH);
    let done = || house.mattermost().done();
    let refused = eventually("the 429", || async {
        done().into_iter().find(|done| done.status == 429)
    })
    .await;
    house.settles().await;
    let next = done()
        .into_iter()
        .find(|done| done.at > refused.at && done.is_ok())
        .expect("the account was made");
    let waited = next.at - refused.at;
    assert!(waited >= Duration::from_secs(WAIT), "{waited:?}: {next:?}");
    // It is no failure: neither of the job nor of the app.
    assert_eq!(
        house
            .metric("job_breaker{about=\"app\",name=\"chat\"}")
            .await,
        0
    );
    let postponed = "job_attempts_total{kind=\"converge\",outcome=\"postponed\"}";
    assert_eq!(house.metric(postponed).await, 1);
    house.finish().await;
}

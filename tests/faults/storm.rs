//! Five thousand webhooks at once: doubled, in any order, garbage among them. Each is answered soon,
//! memory has an end, and the directory is asked far less often than it told.

use crate::house::{BOTH, House, Plan};
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use std::time::{Duration, Instant};

const WEBHOOKS: usize = 5_000;
const PEOPLE: usize = 100;
/// Connections at once: an Authentik has fewer threads.
const AT_ONCE: usize = 64;
/// What the bridge may have grown by, in KiB.
const MEMORY: u64 = 64 * 1024;
/// Authentik gives up after 30 s. Half of that for the slowest, on a machine that does much else.
const SLOWEST: Duration = Duration::from_secs(15);
const USUAL: Duration = Duration::from_millis(500);
const BEARER: &str = "Bearer kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_webhooks_is_taken_whole_and_asks_little() {
    let house = House::built(Plan {
        jobs: "app_rate = 1000\nsource_rate = 200",
        every: "1h",
        ..Plan::default()
    })
    .await;
    let people = house.hire_many("person", PEOPLE);
    house.disable(&people[0]);
    house.keeps_out(&people[0]).await;
    house.settles().await;
    house.authentik.forget();
    let before = house.services.world.bridge.peak_memory();
    // What happened meanwhile, of which only the storm tells.
    house.authentik.lose_hooks(true);
    house.disable(&people[1]);
    house.leave(&people[2], BOTH[0]);

    let mut bodies = Vec::with_capacity(WEBHOOKS);
    let mut event = String::new();
    for number in 0..WEBHOOKS {
        // One in five tells again what was told.
        if number % 5 != 4 {
            event = uuid::Uuid::new_v4().to_string();
        }
        let action = ["model_updated", "model_created"][number % 2];
        bodies.push(match number % 50 {
            13 => "{\"v\":1".to_owned(),
            26 => "\u{0}\u{1}garbage".to_owned(),
            39 => "[]".to_owned(),
            _ => json!({
                "v": 1, "event_id": event, "action": action,
                "model": { "pk": people[number * 7 % PEOPLE].pk, "app": "authentik_core", "model_name": "user" },
            })
            .to_string(),
        });
    }
    let peer = house.services.nobody();
    let sent = stream::iter(bodies).map(|body| {
        let peer = &peer;
        async move {
            let began = Instant::now();
            let headers = [("authorization", BEARER)];
            let answer = peer.post("/hooks/authentik", &headers, body).await;
            (answer.status, began.elapsed())
        }
    });
    let answers: Vec<(u16, Duration)> = sent.buffer_unordered(AT_ONCE).collect().await;

    let garbage = answers.iter().filter(|(status, _)| *status == 400).count();
    let taken = answers.iter().filter(|(status, _)| *status == 202).count();
    assert_eq!((taken, garbage), (WEBHOOKS - 300, 300));
    let mut times: Vec<Duration> = answers.iter().map(|(_, time)| *time).collect();
    times.sort_unstable();
    let (usual, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    assert!(usual < USUAL && slowest < SLOWEST, "{usual:?}, {slowest:?}");
    let grown = house.services.world.bridge.peak_memory() - before;
    assert!(grown < MEMORY, "{grown} KiB more");

    for who in &people[1..3] {
        house.keeps_out(who).await;
    }
    house.settles().await;
    let asked = house.authentik.requests();
    let reads = asked
        .iter()
        .filter(|seen| seen.target.starts_with("/api/v3/core/users/"));
    let reads = reads.count();
    // Each person at first, and once more for every two seconds that the storm took.
    assert!((PEOPLE..WEBHOOKS / 3).contains(&reads), "{reads} questions");
    house.authentik.lose_hooks(false);
    house.finish().await;
}

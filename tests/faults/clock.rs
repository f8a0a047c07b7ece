//! The wall clock of the bridge jumps: an hour and a day ahead, an hour back. Jobs go on, pauses are no
//! longer for it, and what the directory said while the clock was ahead keeps no newer word out (T35).
//!
//! By `libfaketime` in front of the real binary: its steady clock is left alone, as it is by whoever
//! sets a machine's clock.

use crate::house::{BOTH, House, Plan};
use std::path::PathBuf;

const MISSING: &str = "libfaketime is needed for this test and was not found. Install it (Debian: \
    `apt-get install -y libfaketime`; Nix: `libfaketime`), or name the library in \
    AUTH_MANAGER_TEST_FAKETIME.";

fn library() -> PathBuf {
    let named = std::env::var_os("AUTH_MANAGER_TEST_FAKETIME").map(PathBuf::from);
    let usual = || {
        let lib = std::fs::read_dir("/usr/lib")
            .into_iter()
            .flatten()
            .flatten();
        lib.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
            .chain([PathBuf::from("/usr/lib/faketime/libfaketimeMT.so.1")])
            .find(|path| path.exists())
    };
    named.or_else(usual).unwrap_or_else(|| panic!("{MISSING}"))
}

/// The clock of a bridge.
struct Clock(tempfile::NamedTempFile);

impl Clock {
    fn right() -> Self {
        let clock = Self(tempfile::NamedTempFile::new().expect("a file"));
        clock.is_off_by("+0");
        clock
    }

    fn is_off_by(&self, seconds: &str) {
        // In place and in one write: it is read at every look at the clock.
        std::fs::write(self.0.path(), seconds).expect("our own file");
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", library().display().to_string()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.0.path().display().to_string(),
            ),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_a_clock_that_jumps_keeps_nobody_in_and_loses_nothing() {
    let clock = Clock::right();
    let house = House::built(Plan {
        // No sweep helps: each word must be taken by itself.
        every: "24h",
        environment: clock.environment(),
        ..Plan::default()
    })
    .await;
    let people = house.hire_many("person", 10);
    house.settles().await;
    house.disable(&people[0]);
    house.keeps_out(&people[0]).await;
    let mut number = 1;
    for (off, name) in [("+3600", "hour"), ("+86400", "day"), ("-3600", "back")] {
        let [first, second, third] = [number, number + 1, number + 2];
        number += 3;
        let mut inside = house
            .services
            .world
            .signed_in(people[first].person.clone())
            .await;
        assert_eq!(inside.me().await["id"].as_str().map(str::len), Some(26));
        clock.is_off_by(off);
        // Who comes and goes meanwhile. (No assertion is good now: their times are of another clock.)
        house.hire(name, &BOTH);
        house.disable(&people[second]);
        house.leave(&people[third], BOTH[1]);
        house.settles().await;
        clock.is_off_by("+0");
        // What was said then does not keep out what is said now.
        house.disable(&people[first]);
        house.keeps_out_with(inside).await;
        house.keeps_out(&people[second]).await;
        house.keeps_out(&people[third]).await;
        house.enable(&people[second]);
        house.settles().await;
        house
            .services
            .world
            .signed_in(people[second].person.clone())
            .await;
    }
    house.finish().await;
}

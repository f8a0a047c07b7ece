//! Everything at once, in an order that a seed chooses: people come, go and change while app, directory
//! and store fail and the bridge is killed. Then the faults end, and everything is as the directory says.
//!
//! The seed is printed; `FAULTS_SEED=… tests/run --test faults mixture` plays it again.

use crate::house::{BOTH, Hired, House, Plan, SALES};
use auth_manager::demo::authentik::Fault as DirectoryFault;
use auth_manager::demo::mattermost::Fault as AppFault;
use std::time::Duration;
use tokio::task::block_in_place;

const STEPS: u32 = 60;
const PEOPLE: usize = 12;

/// Numbers of a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

fn seed() -> u64 {
    let given = std::env::var("FAULTS_SEED").ok();
    let fresh = || u64::from(uuid::Uuid::new_v4().as_fields().0);
    let seed = given
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(fresh);
    println!("FAULTS_SEED={seed}");
    seed | 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_in_whatever_order_it_ends_as_the_directory_says_on_sqlite() {
    mixed(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_in_whatever_order_it_ends_as_the_directory_says_on_postgresql() {
    mixed(true).await;
}

async fn mixed(postgres: bool) {
    let mut dice = Dice(seed());
    let mut house = House::built(Plan {
        postgres,
        ..Plan::default()
    })
    .await;
    let mut people = house.hire_many("person", PEOPLE);
    // Somebody who must never be let in, whatever happens.
    let outsider = house.hire("outsider", &[BOTH[0]]);
    house.settles().await;
    house.keeps_out(&outsider).await;
    let mut told = Vec::new();
    for step in 0..STEPS {
        let what = match dice.below(2) {
            0 => change(&house, &mut dice, &mut people, step),
            _ => fail(&mut house, &mut dice).await,
        };
        told.push(what);
        house.prober.rounds(1).await;
    }
    println!("{}", told.join("; "));
    house.mattermost().clear_faults();
    house.authentik.clear_faults();
    house.authentik.unlist(&[]);
    house.authentik.lose_hooks(false);
    house.authentik.hold_hooks(false);
    if house.to_app.is_closed() {
        house.to_app.reopen().await;
    }
    if house.to_directory.is_closed() {
        house.to_directory.reopen().await;
    }
    // Nobody waits for the pauses of what failed: the operator's one command.
    house.services.world.run(&["jobs", "retry", "--dead"]).await;
    house.finish().await;
}

/// Something happens in the directory.
fn change(house: &House, dice: &mut Dice, people: &mut Vec<Hired>, step: u32) -> String {
    let at = dice.below(people.len());
    let who = people[at].clone();
    let name = who.person.email.clone();
    match dice.below(8) {
        0 => {
            people.push(house.hire(&format!("comer-{step}"), &BOTH));
            format!("comer-{step}")
        }
        1 | 2 => {
            house.disable(&who);
            format!("disable {name}")
        }
        3 => {
            house.enable(&who);
            format!("enable {name}")
        }
        4 => {
            house.leave(&who, BOTH[dice.below(2)]);
            format!("{name} leaves")
        }
        5 => {
            BOTH.iter().for_each(|group| house.join(&who, group));
            format!("{name} joins")
        }
        6 => {
            house.join(&who, SALES);
            format!("{name} sells")
        }
        _ => {
            house.delete(&who);
            people.remove(at);
            format!("delete {name}")
        }
    }
}

/// Something fails, or is mended.
async fn fail(house: &mut House, dice: &mut Dice) -> String {
    let (app, directory) = (house.mattermost().clone(), house.authentik.clone());
    match dice.below(16) {
        0 => {
            let fault = AppFault::Status(
                500,
                "{\"id\":\"x\",\"message\":\"x\",\"status_code\":500}".into(),
            );
            app.set_fault_times(fault, "/api/v4/", 6);
            "app: 500".into()
        }
        1 => {
            app.set_fault_times(AppFault::RateLimited(1), "/api/v4/users", 2);
            "app: 429".into()
        }
        2 => {
            app.set_fault_times(AppFault::DropAfter, "/api/v4/", 4);
            "app: answers get lost".into()
        }
        3 => {
            app.set_fault_times(AppFault::CloseMidBody, "/api/v4/users", 4);
            "app: answers break off".into()
        }
        4 => {
            app.set_fault_times(AppFault::Slow(Duration::from_millis(300)), "/api/v4/", 10);
            "app: slow".into()
        }
        5 if !house.to_app.is_closed() => {
            house.to_app.close();
            "app: away".into()
        }
        5 | 6 if house.to_app.is_closed() => {
            house.to_app.reopen().await;
            "app: back".into()
        }
        7 => {
            let fault = DirectoryFault::Status(500, "{\"detail\":\"x\"}".into());
            directory.set_fault(fault, "/api/v3/core/users/", Some(5));
            "directory: 500".into()
        }
        8 => {
            directory.set_fault_after(
                1,
                DirectoryFault::CloseMidBody,
                "/api/v3/core/users/",
                Some(2),
            );
            "directory: pages get lost".into()
        }
        9 => {
            let all: Vec<i64> = house.people.lock().iter().map(|who| who.pk).collect();
            directory.unlist(&all[..all.len() / 2]);
            "directory: lists are not whole".into()
        }
        10 => {
            let lost = dice.below(2) == 0;
            directory.lose_hooks(lost);
            format!("directory: webhooks lost: {lost}")
        }
        11 => {
            let held = dice.below(2) == 0;
            directory.hold_hooks(held);
            format!("directory: webhooks late: {held}")
        }
        12 if !house.to_directory.is_closed() => {
            house.to_directory.close();
            "directory: away".into()
        }
        12 | 13 if house.to_directory.is_closed() => {
            house.to_directory.reopen().await;
            "directory: back".into()
        }
        14 => {
            house.killed_and_started().await;
            "bridge: killed".into()
        }
        _ => {
            let Some(database) = &house.database else {
                house.to_app.cut().await;
                return "app: cut".into();
            };
            if dice.below(2) == 0 {
                database.way.close();
                database.way.reopen().await;
                return "store: cut".into();
            }
            block_in_place(|| {
                database.cluster.control(&["-m", "immediate", "stop"]);
                database.cluster.control(&["restart"]);
            });
            "store: dies".into()
        }
    }
}

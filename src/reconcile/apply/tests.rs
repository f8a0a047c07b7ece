use super::super::plan::tests::{person, plan, world};
use super::super::world::tests::Paged;
use super::*;
use crate::types::Timestamp;
use async_trait::async_trait;
use parking_lot::Mutex;

/// Notes what it is told, in order.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

#[async_trait]
impl TakesIn for Notes {
    async fn person(&self, word: Person, _why: &str) -> Result<bool, StoreError> {
        let gone = if word.gone_at.is_some() { " gone" } else { "" };
        self.0.lock().push(format!("person {}{gone}", word.id));
        Ok(true)
    }

    async fn group(&self, group: &DirectoryGroup, _why: &str) -> Result<bool, StoreError> {
        self.0
            .lock()
            .push(format!("group {} {}", group.id, group.name));
        Ok(true)
    }

    async fn again(&self, _: &Person, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

fn silent(_: Progress) {}

#[tokio::test]
async fn what_takes_away_goes_before_a_thousand_new_ones() {
    let known = world(vec![person(5000, &["g1"])]);
    let mut now = world((1..=1000).map(|n| person(n, &["g1"])).collect());
    let leaver = gone(&person(5000, &["g1"]), Timestamp(200));
    now.people.insert(leaver.id.clone(), leaver);
    let plan = plan(&known, &now);
    let notes = Notes::default();
    let applied = super::now(&plan, &now, &Paged::of(vec![]), &notes, &silent)
        .await
        .unwrap();
    assert_eq!(
        applied,
        Applied {
            done: 1001,
            held: 0
        }
    );
    assert_eq!(notes.0.lock()[0], "person 5000 gone");
}

#[tokio::test]
async fn of_a_held_plan_only_what_takes_nothing_away_is_done() {
    let known = world((1..=50).map(|n| person(n, &["g1"])).collect());
    let mut now = known.clone();
    for n in 1..=25 {
        let word = gone(&person(n, &["g1"]), Timestamp(200));
        now.people.insert(word.id.clone(), word);
    }
    let newcomer = person(99, &["g1"]);
    now.people.insert(newcomer.id.clone(), newcomer);
    // Renamed: whom it takes access from is held, and so is the name.
    now.groups.get_mut("g2").unwrap().name = "pages".into();
    let plan = plan(&known, &now);
    assert!(plan.held.is_some());
    let notes = Notes::default();
    let applied = super::now(&plan, &now, &Paged::of(vec![]), &notes, &silent)
        .await
        .unwrap();
    assert_eq!(applied, Applied { done: 1, held: 26 });
    assert_eq!(*notes.0.lock(), ["person 99"]);
}

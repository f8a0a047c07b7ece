use super::super::apply;
use super::super::plan::tests::{ByName, person, plan, world};
use super::super::world::gone;
use super::super::world::tests::Paged;
use super::*;
use crate::store::{
    By, Change, DirectoryGroup, Draft, Person, PlanFilter, Put, Scribe, SqliteStore,
};
use crate::types::ManualClock;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Mute;

impl Scribe for Mute {
    fn records(&self, _: &Change<'_>) -> Vec<Draft> {
        Vec::new()
    }
}

/// A store, and who takes words into it until it dies.
struct Bed {
    store: SqliteStore,
    clock: ManualClock,
    /// Words that it still takes.
    lives: AtomicUsize,
    taken: AtomicUsize,
}

impl Bed {
    fn new() -> Self {
        Self {
            store: SqliteStore::in_memory().unwrap(),
            clock: ManualClock::at(Timestamp(1_000)),
            lives: AtomicUsize::new(usize::MAX),
            taken: AtomicUsize::new(0),
        }
    }

    fn live(&self) -> Result<(), StoreError> {
        let lives = self.lives.load(Ordering::SeqCst);
        if lives == 0 {
            return Err(StoreError::Unavailable("killed".into()));
        }
        self.lives.store(lives - 1, Ordering::SeqCst);
        self.taken.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn sweep<'a>(&'a self, source: &'a Paged) -> Sweep<'a> {
        Sweep {
            source,
            directory: &self.store,
            plans: &self.store,
            judge: &ByName,
            to: self,
            brake: Brake::default(),
            clock: &self.clock,
        }
    }

    async fn run(&self, source: &Paged) -> Result<Swept, SweepError> {
        self.sweep(source).run(&|_| ()).await
    }

    async fn known(&self) -> World {
        let source = SourceId::new("home").unwrap();
        World::known(&self.store, &source).await.unwrap()
    }

    async fn present(&self) -> usize {
        let known = self.known().await;
        known.people.values().filter(|p| !p.denies()).count()
    }
}

#[async_trait]
impl TakesIn for Bed {
    async fn person(&self, word: Person, _: &str) -> Result<bool, StoreError> {
        self.live()?;
        let by: By = Arc::new(Mute);
        let put = self.store.put_person(&word, word.read_at, &by).await?;
        Ok(!matches!(put, Put::Older))
    }

    async fn group(&self, group: &DirectoryGroup, _: &str) -> Result<bool, StoreError> {
        self.live()?;
        Ok(self.store.put_group(group, group.read_at).await?.is_some())
    }

    async fn again(&self, _: &Person, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

fn house(people: std::ops::RangeInclusive<u32>) -> Paged {
    let mut source = Paged::of(people.map(|n| person(n, &["g1"])).collect());
    for word in &mut source.listed {
        word.read_at = Timestamp(1_000);
    }
    source
}

#[tokio::test]
async fn a_sweep_alone_converges_and_the_next_one_writes_nothing() {
    let bed = Bed::new();
    let first = bed.run(&house(1..=40)).await.unwrap();
    assert_eq!(first.applied.done, 42, "40 people and 2 groups");
    assert_eq!(bed.present().await, 40);
    bed.taken.store(0, Ordering::SeqCst);
    bed.clock.set(Timestamp(2_000));
    let again = bed.run(&house(1..=40)).await.unwrap();
    assert!(again.plan.is_empty(), "{:?}", again.plan);
    assert_eq!(bed.taken.load(Ordering::SeqCst), 0);
    let source = &again.plan.source;
    let state = bed.store.source_state(source).await.unwrap();
    assert_eq!(state.swept_at, Some(Timestamp(2_000)));
}

#[tokio::test]
async fn t10_a_list_undoes_nothing_that_was_asked_about_in_the_same_second() {
    let bed = Bed::new();
    bed.run(&house(1..=3)).await.unwrap();
    // The page was printed while they were there under another name; then they were disabled, and the
    // webhook's read was quicker than the sweep.
    let mut source = house(1..=3);
    for word in &mut source.listed {
        word.read_at = Timestamp(2_000);
    }
    let disabled = Person {
        active: false,
        ..source.listed[1].clone()
    };
    source.unlisted.push(disabled.clone());
    source.listed[1].username = "renamed".into();
    let known = bed.known().await;
    let world = World::read(&source, &known, &bed.clock, &|_| ())
        .await
        .unwrap();
    let plan = plan(&known, &world);
    assert_eq!(plan.people.len(), 1);
    bed.person(disabled.clone(), "a webhook").await.unwrap();
    // Asked again, the directory says what it says now.
    let now = Paged::of(vec![disabled.clone()]);
    apply::now(&plan, &world, &now, &bed, &|_| ())
        .await
        .unwrap();
    let kept = bed.known().await.people.remove(&disabled.id).unwrap();
    assert!(kept.denies(), "{kept:?}");
}

#[tokio::test]
async fn t36_an_import_that_is_killed_twice_goes_on_where_it_was() {
    let bed = Bed::new();
    let source = house(1..=100);
    for _ in 0..2 {
        bed.lives.store(30, Ordering::SeqCst);
        assert!(bed.run(&source).await.is_err());
        let id = source.listed[0].source.clone();
        let state = bed.store.source_state(&id).await.unwrap();
        assert_eq!(state.swept_at, None);
    }
    bed.lives.store(usize::MAX, Ordering::SeqCst);
    bed.run(&source).await.unwrap();
    assert_eq!(bed.present().await, 100);
    assert_eq!(bed.taken.load(Ordering::SeqCst), 102, "each of them once");
}

#[tokio::test]
async fn when_a_third_vanishes_nobody_loses_anything_until_somebody_says_so() {
    let bed = Bed::new();
    bed.run(&house(1..=30)).await.unwrap();
    bed.clock.set(Timestamp(2_000));
    let shrunk = house(11..=30);
    let swept = bed.run(&shrunk).await.unwrap();
    let held = swept.held.expect("held");
    assert!(held.why.contains("10 of 30"), "{}", held.why);
    assert_eq!((bed.present().await, swept.applied.held), (30, 10));
    // The same again is the same plan: whoever approves of it approves of that one.
    bed.clock.set(Timestamp(3_000));
    let again = bed.run(&shrunk).await.unwrap().held.expect("held");
    assert_eq!(again.id, held.id);

    let plan = waiting(&bed.store, held.id).await.unwrap();
    let tell = &|_| ();
    let applied = apply::exactly(&plan, &shrunk, &bed.store, &bed, &bed.clock, tell).await;
    assert_eq!(applied.unwrap().unwrap().done, 10);
    assert_eq!(bed.present().await, 20);
    bed.clock.set(Timestamp(4_000));
    assert!(bed.run(&shrunk).await.unwrap().plan.is_empty());
    let stored = bed.store.plans(&PlanFilter::default()).await.unwrap();
    assert_eq!(stored[0].state, PlanState::Superseded);
}

#[tokio::test]
async fn a_plan_is_carried_out_as_shown_or_not_at_all() {
    let bed = Bed::new();
    bed.run(&house(1..=30)).await.unwrap();
    bed.clock.set(Timestamp(2_000));
    let shrunk = house(11..=30);
    let (plan, _) = bed.sweep(&shrunk).look(&|_| ()).await.unwrap();
    assert_eq!(plan.people.len(), 10);
    let tell = &|_| ();
    // One of them is there again.
    let other = house(10..=30);
    let moved = apply::exactly(&plan, &other, &bed.store, &bed, &bed.clock, tell).await;
    let moved = moved.unwrap().unwrap_err();
    assert_eq!((moved[0].what, moved[0].id.as_str()), ("person", "10"));
    assert_eq!((moved.len(), bed.present().await), (1, 30));
    // What is on record of one of them is something else by now.
    let known = bed.known().await;
    let by: By = Arc::new(Mute);
    let word = gone(&known.people["3"], Timestamp(2_500));
    bed.store
        .put_person(&word, Timestamp(2_500), &by)
        .await
        .unwrap();
    let moved = apply::exactly(&plan, &shrunk, &bed.store, &bed, &bed.clock, tell).await;
    assert_eq!(moved.unwrap().unwrap_err()[0].id, "3");
    assert_eq!(bed.present().await, 29);
}

#[tokio::test]
async fn a_directory_that_gives_half_an_answer_changes_nothing() {
    let bed = Bed::new();
    bed.run(&house(1..=30)).await.unwrap();
    bed.clock.set(Timestamp(2_000));
    let mut source = house(5..=30);
    source.failing = Some("person/2");
    let error = bed.run(&source).await.unwrap_err();
    assert_eq!(bed.present().await, 30);
    let state = bed
        .store
        .source_state(&source.listed[0].source)
        .await
        .unwrap();
    assert_eq!(state.swept_at, Some(Timestamp(1_000)));
    assert_eq!(state.error, error.to_string());
}

#[test]
fn two_plans_of_the_same_steps_are_the_same_whenever_they_were_made() {
    let known = world((1..=30).map(|n| person(n, &["g1"])).collect());
    let mut now = known.clone();
    for n in 1..=20 {
        let word = gone(&person(n, &["g1"]), Timestamp(200));
        now.people.insert(word.id.clone(), word);
    }
    let first = on_record(&plan(&known, &now), "many").unwrap();
    let again = on_record(&plan(&known, &now), "many").unwrap();
    assert_ne!(first.id, again.id);
    assert_eq!(first.digest, again.digest);
    now.people.insert("99".into(), person(99, &["g1"]));
    let other = on_record(&plan(&known, &now), "many").unwrap();
    assert_ne!(first.digest, other.digest);
}

#[test]
fn what_is_no_plan_is_not_carried_out() {
    for text in ["", "{}", "[]", "null"] {
        assert!(matches!(read_plan(text), Err(PlanError::Unreadable(_))));
    }
    let empty = plan(&world(vec![]), &world(vec![]));
    let text = serde_json::to_string(&empty).unwrap();
    assert_eq!(read_plan(&text).unwrap(), empty);
    let newer = text.replace("\"version\":1", "\"version\":2");
    assert!(matches!(read_plan(&newer), Err(PlanError::Unreadable(_))));
}

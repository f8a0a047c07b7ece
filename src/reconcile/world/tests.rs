use super::super::plan::tests::{group, person, world};
use super::*;
use crate::directory::source::{Page, Remark};
use crate::types::ManualClock;
use async_trait::async_trait;
use parking_lot::Mutex;

/// A directory of so many pages.
#[derive(Default)]
pub(in crate::reconcile) struct Paged {
    /// What its list shows, three a page.
    pub(in crate::reconcile) listed: Vec<Person>,
    /// Whom it has, but does not list.
    pub(in crate::reconcile) unlisted: Vec<Person>,
    pub(in crate::reconcile) groups: Vec<DirectoryGroup>,
    /// Answers that fail: `person/7`, `page/2`, `group/g1`.
    pub(in crate::reconcile) failing: Option<&'static str>,
    asked: Mutex<Vec<String>>,
    id: Option<SourceId>,
}

impl Paged {
    pub(in crate::reconcile) fn of(listed: Vec<Person>) -> Self {
        Self {
            listed,
            groups: vec![group("g1", "chat"), group("g2", "wiki")],
            id: Some(SourceId::new("home").unwrap()),
            ..Self::default()
        }
    }

    fn ask(&self, what: String) -> Result<(), SourceError> {
        let fails = self.failing.is_some_and(|failing| failing == what);
        self.asked.lock().push(what);
        match fails {
            true => Err(SourceError::Unavailable("it is tired".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Source for Paged {
    fn id(&self) -> &SourceId {
        self.id.as_ref().unwrap()
    }

    async fn person(&self, id: &str) -> Result<Option<Person>, SourceError> {
        self.ask(format!("person/{id}"))?;
        let all = self.listed.iter().chain(&self.unlisted);
        Ok(all.into_iter().find(|p| p.id == id).cloned())
    }

    async fn person_by_username(&self, _: &str) -> Result<Option<Person>, SourceError> {
        Ok(None)
    }

    async fn people(&self, from: Option<&str>) -> Result<Page<Person>, SourceError> {
        let at: usize = from.map_or(0, |from| from.parse().unwrap());
        self.ask(format!("page/{at}"))?;
        let items: Vec<_> = self.listed.iter().skip(at * 3).take(3).cloned().collect();
        Ok(Page {
            items,
            next: (self.listed.len() > (at + 1) * 3).then(|| (at + 1).to_string()),
            total: Some(self.listed.len() as u64),
        })
    }

    async fn group(&self, id: &str) -> Result<Option<DirectoryGroup>, SourceError> {
        self.ask(format!("group/{id}"))?;
        Ok(self.groups.iter().find(|g| g.id == id).cloned())
    }

    async fn groups(&self, _: Option<&str>) -> Result<Page<DirectoryGroup>, SourceError> {
        Ok(Page {
            items: self.groups.clone(),
            next: None,
            total: None,
        })
    }

    async fn members(&self, _: &str) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    async fn look(&self) -> Result<Vec<Remark>, SourceError> {
        Ok(Vec::new())
    }
}

async fn read(source: &Paged, known: &World) -> Result<World, SourceError> {
    let clock = ManualClock::at(Timestamp(200));
    World::read(source, known, &clock, &|_| ()).await
}

#[tokio::test]
async fn all_pages_are_read_and_nobody_is_asked_for_who_is_listed() {
    let source = Paged::of((1..=10).map(|n| person(n, &["g1"])).collect());
    let known = world((1..=10).map(|n| person(n, &["g1"])).collect());
    // As of the second before: see `listed_at`.
    let mut listed = known.clone();
    for person in listed.people.values_mut() {
        person.read_at.0 -= 1;
    }
    for group in listed.groups.values_mut() {
        group.read_at.0 -= 1;
    }
    assert_eq!(read(&source, &known).await.unwrap(), listed);
    let asked = source.asked.lock().clone();
    assert_eq!(asked, ["page/0", "page/1", "page/2", "page/3"]);
}

#[tokio::test]
async fn a_list_that_lacks_somebody_is_no_proof() {
    let mut source = Paged::of(vec![person(1, &["g1"])]);
    source.unlisted = vec![person(2, &["g1"])];
    let known = world((1..=3).map(|n| person(n, &["g1"])).collect());
    let world = read(&source, &known).await.unwrap();
    assert_eq!(world.people["2"], person(2, &["g1"]));
    let third = &world.people["3"];
    assert_eq!(third.gone_at, Some(Timestamp(200)));
    assert!(!third.active && third.groups.is_empty());
}

#[tokio::test]
async fn one_unclear_answer_and_there_is_no_picture() {
    for failing in ["page/1", "person/9", "group/g9"] {
        let mut source = Paged::of((1..=5).map(|n| person(n, &["g1"])).collect());
        source.failing = Some(failing);
        let mut known = world((1..=9).map(|n| person(n, &["g1"])).collect());
        known.groups.insert("g9".into(), group("g9", "gone?"));
        assert!(read(&source, &known).await.is_err(), "{failing}");
    }
}

#[tokio::test]
async fn who_is_gone_is_not_asked_for_again_but_comes_back_with_the_list() {
    let mut known = world(vec![person(1, &["g1"])]);
    for n in [2, 3] {
        let word = gone(&person(n, &["g1"]), Timestamp(50));
        known.people.insert(word.id.clone(), word);
    }
    let source = Paged::of(vec![person(1, &["g1"]), person(3, &["g1"])]);
    let world = read(&source, &known).await.unwrap();
    assert_eq!(*source.asked.lock(), ["page/0"]);
    assert_eq!(world.people["2"].gone_at, Some(Timestamp(50)));
    assert_eq!(world.people["3"].gone_at, None);
}

#[tokio::test]
async fn a_group_that_is_gone_says_so() {
    let mut known = world(vec![]);
    known.groups.insert("g9".into(), group("g9", "old"));
    let world = read(&Paged::of(vec![]), &known).await.unwrap();
    assert_eq!(world.groups["g9"].gone_at, Some(Timestamp(200)));
    assert_eq!(world.groups["g9"].name, "old");
}

use super::*;
use crate::jobs::wish;
use crate::store::{
    By, Change, DirectoryStore as _, Draft, JobFilter, JobStore as _, Person, PlanFilter,
    PlanState, PlanStore as _, Priority, Scribe, SeenUser, SqliteStore, User,
};
use crate::types::{IssuerId, SourceId, Subject};
use async_trait::async_trait;

struct Mute;

impl Scribe for Mute {
    fn records(&self, _: &Change<'_>) -> Vec<Draft> {
        Vec::new()
    }
}

/// Holds more than so many.
struct MoreThan(u64);

#[async_trait]
impl Brakes for MoreThan {
    async fn holds(
        &self,
        _: &SourceId,
        losing: u64,
        present: u64,
    ) -> Result<Option<String>, StoreError> {
        Ok((losing > self.0).then(|| format!("{losing} of {present}")))
    }
}

const NOW: Timestamp = Timestamp(1_000);

fn source() -> SourceId {
    SourceId::new("idp").unwrap()
}

fn app() -> AppId {
    AppId::new("chat").unwrap()
}

/// People whom their identity provider has let go, and who have a shadow user.
async fn people(store: &SqliteStore, count: usize) -> Vec<User> {
    let issuer = IssuerId::new("pomerium").unwrap();
    let mut users = Vec::new();
    for number in 0..count {
        let subject = Subject::new(format!("sub-{number}")).unwrap();
        let seen = SeenUser {
            issuer: issuer.clone(),
            subject: subject.clone(),
            email: String::new(),
            email_verified: false,
            name: String::new(),
            username: None,
            locale: None,
            groups: Vec::new(),
            at: NOW,
        };
        users.push(store.told_of_user(&seen, true).await.unwrap().unwrap());
        let word = Person {
            source: source(),
            id: format!("p{number}"),
            aliases: Vec::new(),
            issuer: issuer.clone(),
            subject: Some(subject),
            username: format!("p{number}"),
            name: String::new(),
            email: String::new(),
            email_verified: false,
            locale: None,
            active: false,
            human: true,
            groups: Vec::new(),
            read_at: NOW,
            gone_at: None,
        };
        let by: By = Arc::new(Mute);
        store.put_person(&word, NOW, &by).await.unwrap();
    }
    users
}

fn report(differences: impl IntoIterator<Item = (UserId, Drifted)>) -> Report {
    let difference = |(user, what)| Difference {
        user,
        remote: None,
        what,
        place: None,
        attributes: Vec::new(),
        whose: Whose::App,
        care: Care::Mend,
    };
    Report {
        app: app(),
        looked_at: NOW,
        accounts: 40,
        present: 40,
        strangers: 0,
        some_strangers: Vec::new(),
        counts: BTreeMap::new(),
        left_out: 0,
        differences: differences.into_iter().map(difference).collect(),
        problems: Vec::new(),
    }
}

fn all_active(users: &[User]) -> Report {
    report(users.iter().map(|user| (user.id, Drifted::Active)))
}

async fn jobs(store: &SqliteStore) -> usize {
    store.jobs(&JobFilter::default()).await.unwrap().len()
}

async fn healed(store: &SqliteStore, report: &mut Report, most: u64) -> Healed {
    let later = Timestamp(NOW.0 + 60);
    let brakes = MoreThan(most);
    let held = crowd::hold(report, store, &brakes, later).await.unwrap();
    let looked = Looked {
        report: report.clone(),
        plans: held,
    };
    heal(&looked, store, later).await.unwrap()
}

#[tokio::test]
async fn a_crowd_that_went_keeps_its_accounts_until_somebody_says_so() {
    let store = SqliteStore::in_memory().unwrap();
    let users = people(&store, 12).await;
    let mut first = all_active(&users);
    let done = healed(&store, &mut first, 10).await;
    assert_eq!((done.queued, done.held.len()), (0, 1));
    assert!(done.held[0].1, "it is new: somebody must hear of it");
    assert!(first.differences.iter().all(|d| d.care == Care::Held));
    assert_eq!(jobs(&store).await, 0);

    // The same again is the same plan, and nobody hears of it twice; nor is it less of a crowd once a
    // few of them came back.
    let done = healed(&store, &mut all_active(&users), 10).await;
    assert!(!done.held[0].1);
    let done = healed(&store, &mut all_active(&users[..3]), 10).await;
    assert_eq!((done.queued, done.held.len()), (0, 1));

    // A no is a no for just these people as they are.
    let id = done.held[0].0.id;
    store
        .end_plan(id, PlanState::Dismissed, "root", NOW)
        .await
        .unwrap();
    let mut after = all_active(&users[..3]);
    let done = healed(&store, &mut after, 10).await;
    assert_eq!((done.queued, done.held.len()), (0, 0));
    assert!(after.differences.iter().all(|d| d.care == Care::Left));
}

#[tokio::test]
async fn a_plan_whose_people_all_came_back_is_over() {
    let store = SqliteStore::in_memory().unwrap();
    let users = people(&store, 12).await;
    healed(&store, &mut all_active(&users), 10).await;
    healed(&store, &mut report([]), 10).await;
    let held = PlanFilter {
        state: Some(PlanState::Held),
        ..PlanFilter::default()
    };
    assert!(store.plans(&held).await.unwrap().is_empty());
    assert!(store.held_plans().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_few_are_brought_up_to_date_at_once_and_deny_goes_first() {
    let store = SqliteStore::in_memory().unwrap();
    let users = people(&store, 3).await;
    let mut report = report([
        (users[0].id, Drifted::Active),
        (users[1].id, Drifted::Lacks),
        (users[1].id, Drifted::Keeps),
        (users[2].id, Drifted::Lacks),
    ]);
    let done = healed(&store, &mut report, 10).await;
    assert_eq!((done.queued, done.held.len()), (3, 0));
    let jobs = store.jobs(&JobFilter::default()).await.unwrap();
    let urgent = jobs.iter().filter(|job| job.priority == Priority::Deny);
    assert_eq!(urgent.count(), 2);
}

#[tokio::test]
async fn who_is_cared_for_already_is_left_to_it() {
    let store = SqliteStore::in_memory().unwrap();
    let users = people(&store, 2).await;
    let wish = wish::converge(&app(), users[0].id, Priority::Grant, NOW, "a test");
    store.enqueue(&[wish], NOW).await.unwrap();
    let mut seen = all_active(&users);
    heal::judge(&mut seen, &store).await.unwrap();
    let care: Vec<_> = seen.differences.iter().map(|d| d.care).collect();
    assert_eq!(care, [Care::Waits, Care::Mend]);
    let done = healed(&store, &mut seen, 10).await;
    assert_eq!(done.queued, 1, "and the other one");
}

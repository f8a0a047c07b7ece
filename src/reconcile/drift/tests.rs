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
        leave: Leave,
        present: u64,
    ) -> Result<Option<String>, StoreError> {
        let losing = leave.now;
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
    let held = crowd::hold(report, &[], store, &brakes, later)
        .await
        .unwrap();
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

/// Holds everybody, whenever they go.
struct Always;

#[async_trait]
impl Brakes for Always {
    async fn holds(
        &self,
        _: &SourceId,
        leave: Leave,
        _: u64,
    ) -> Result<Option<String>, StoreError> {
        Ok(Some(format!("{} and {}", leave.now, leave.later)))
    }
}

#[tokio::test]
async fn who_is_within_the_grace_waits_with_the_others_and_stays_when_it_is_over() {
    let store = SqliteStore::in_memory().unwrap();
    let users = people(&store, 3).await;
    let ids: Vec<_> = users.iter().map(|user| user.id).collect();
    let mut seen = report([]);
    let plans = crowd::hold(&mut seen, &ids, &store, &Always, NOW).await;
    let plans = plans.unwrap();
    assert_eq!(plans[0].people.len(), 3);
    assert_eq!(plans[0].held.as_deref(), Some("0 and 3"));
    let looked = Looked {
        report: seen,
        plans,
    };
    let first = heal(&looked, &store, NOW).await.unwrap();
    for user in &users {
        let held = held_by(user, &app(), &store).await.unwrap();
        assert_eq!(held, Some(first.held[0].0.id));
    }

    // The grace is over, and by now nothing is wrong with so few.
    let mut seen = all_active(&users);
    let done = healed(&store, &mut seen, 10).await;
    assert_eq!((done.queued, done.held.len()), (0, 1));
    assert!(!done.held[0].1, "it is the same plan");
    assert!(seen.differences.iter().all(|d| d.care == Care::Held));
}

#[tokio::test]
async fn a_yes_is_not_asked_for_again_unless_they_came_back_and_went_again() {
    let store = SqliteStore::in_memory().unwrap();
    let users = people(&store, 12).await;
    let held = healed(&store, &mut all_active(&users), 10).await.held;
    let (id, later) = (held[0].0.id, Timestamp(NOW.0 + 90));
    let ended = store.end_plan(id, PlanState::Applied, "root", later);
    assert!(ended.await.unwrap());
    assert_eq!(held_by(&users[0], &app(), &store).await.unwrap(), None);
    // A crash left them behind, or their grace is only over now.
    let done = healed(&store, &mut all_active(&users), 10).await;
    assert_eq!((done.queued, done.held.len()), (12, 0));

    // They are in again, and go again: who said yes then did not mean this.
    let by: By = Arc::new(Mute);
    for number in 0..12 {
        let id = format!("p{number}");
        let gone = store.person(&source(), &id).await.unwrap().unwrap();
        let back = Person {
            active: true,
            read_at: Timestamp(later.0 + 10),
            ..gone.clone()
        };
        store.put_person(&back, back.read_at, &by).await.unwrap();
        let again = Person {
            read_at: Timestamp(later.0 + 20),
            ..gone
        };
        store.put_person(&again, again.read_at, &by).await.unwrap();
    }
    for job in store.jobs(&JobFilter::default()).await.unwrap() {
        store.cancel_job(job.id, later, &by).await.unwrap();
    }
    let done = healed(&store, &mut all_active(&users), 10).await;
    assert_eq!((done.queued, done.held.len()), (0, 1));
}

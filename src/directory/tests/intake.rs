//! Taking words in: the order of what follows, what a crash leaves, and whom it concerns.

use crate::audit::{Audit, Settings};
use crate::config::{AccessRule, DirectoryRules, Gate};
use crate::directory::intake::{Intake, Terms, Took};
use crate::directory::wanted::AppTerms;
use crate::store::{
    AccountState, DirectoryGroup, DirectoryStore as _, Job, JobFilter, JobStore as _, Person,
    PersonFilter, Priority, SeenUser, SourceState, SqliteStore, StateBy, Store as _, User,
    UserState,
};
use crate::types::{
    AppId, GroupName, IssuerId, ManualClock, RemoteId, SourceId, Subject, Timestamp,
};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

const T0: Timestamp = Timestamp(1_800_000_000);

struct Bed {
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    audit: Arc<Audit>,
    terms: Arc<ArcSwap<Terms>>,
    intake: Intake,
}

fn issuer() -> IssuerId {
    IssuerId::new("pomerium").unwrap()
}

fn subject(name: &str) -> Subject {
    Subject::new(format!("sub-{name}")).unwrap()
}

fn source() -> SourceId {
    SourceId::new("authentik").unwrap()
}

fn said(name: &str, groups: &[&str], at: Timestamp) -> Person {
    Person {
        source: source(),
        id: format!("pk-{name}"),
        aliases: vec![format!("uid:{name}")],
        issuer: issuer(),
        subject: Some(subject(name)),
        username: name.into(),
        name: name.to_uppercase(),
        email: format!("{name}@example.com"),
        email_verified: true,
        locale: None,
        active: true,
        human: true,
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        read_at: at,
        gone_at: None,
    }
}

impl Bed {
    async fn new(grace: u64) -> Self {
        let clock = Arc::new(ManualClock::at(T0));
        let audit = Arc::new(Audit::new(clock.clone(), Settings::default()));
        let store = Arc::new(SqliteStore::in_memory().unwrap());
        let app = |id: &str, ahead| AppTerms {
            id: AppId::new(id).unwrap(),
            issuer: issuer(),
            access: AccessRule {
                everyone: false,
                validated: None,
                any_of: vec![Gate {
                    name: GroupName::new(id).unwrap(),
                    id: None,
                }],
                all_of: Vec::new(),
            },
            ahead,
        };
        let terms = Arc::new(ArcSwap::from_pointee(Terms {
            rules: DirectoryRules {
                grace: Duration::from_secs(grace),
                ..DirectoryRules::default()
            },
            apps: vec![app("chat", true), app("notes", false)],
            mapping: String::new(),
        }));
        let intake = Intake::new(store.clone(), audit.clone(), clock.clone(), terms.clone());
        let bed = Self {
            store,
            clock,
            audit,
            terms,
            intake,
        };
        for id in ["chat", "notes", "other"] {
            bed.group(id, id, T0).await;
        }
        bed
    }

    async fn group(&self, id: &str, name: &str, at: Timestamp) -> usize {
        let group = DirectoryGroup {
            source: source(),
            id: id.into(),
            name: name.into(),
            parents: Vec::new(),
            read_at: at,
            gone_at: None,
        };
        self.intake
            .take_in_group(&group, "a test")
            .await
            .unwrap()
            .people
    }

    async fn says(&self, word: Person) -> Took {
        self.intake.take_in(word, "a test").await.unwrap().took
    }

    async fn user(&self, name: &str) -> Option<User> {
        let found = self.store.user_by_subject(&issuer(), &subject(name)).await;
        found.unwrap()
    }

    async fn seen(&self, name: &str) -> User {
        let seen = SeenUser {
            issuer: issuer(),
            subject: subject(name),
            email: format!("{name}@example.com"),
            email_verified: true,
            name: name.into(),
            username: None,
            locale: None,
            groups: Vec::new(),
            at: T0,
        };
        self.store.saw_user(&seen).await.unwrap()
    }

    /// With a linked account at `chat`.
    async fn member(&self, name: &str) -> User {
        let user = self.seen(name).await;
        let chat = AppId::new("chat").unwrap();
        let mut account = self.store.begin_account(&chat, user.id, T0).await.unwrap();
        account.state = AccountState::Linked;
        account.remote = Some(RemoteId::new(format!("remote-{name}")).unwrap());
        let by = self.audit.bridge();
        self.store.save_account(&account, &by).await.unwrap();
        user
    }

    async fn jobs(&self) -> Vec<Job> {
        self.store.jobs(&JobFilter::default()).await.unwrap()
    }

    /// The one job there is: app and priority; it is done then.
    async fn job(&self) -> Option<(String, Priority)> {
        let jobs = self.jobs().await;
        assert!(jobs.len() <= 1, "{jobs:?}");
        let job = jobs.into_iter().next()?;
        let by = self.audit.bridge();
        let clock = self.clock.clone();
        let now = crate::types::Clock::now(&*clock);
        self.store.cancel_job(job.id, now, &by).await.unwrap();
        self.store
            .forget_jobs(now + Duration::from_secs(1))
            .await
            .unwrap();
        Some((job.app.unwrap().to_string(), job.priority))
    }

    /// The one job there is looks at an app; it is done then.
    async fn only_looks_at(&self, app: &str) {
        let jobs = self.jobs().await;
        assert_eq!(jobs[0].key, format!("sweep/app/{app}"), "{jobs:?}");
        self.job().await;
    }

    async fn unsettled(&self) -> usize {
        let filter = PersonFilter {
            unsettled: true,
            ..PersonFilter::default()
        };
        self.store.words(&filter).await.unwrap().len()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(T0.0 + seconds)
}

#[tokio::test]
async fn an_app_that_wants_it_has_an_account_made_ahead_and_nobody_else() {
    let bed = Bed::new(0).await;
    assert_eq!(bed.says(said("alice", &["notes"], T0)).await, Took::New);
    assert!(
        bed.user("alice").await.is_none(),
        "notes waits for the visit"
    );
    assert_eq!(bed.job().await, None);
    assert_eq!(
        bed.says(said("alice", &["chat"], at(1))).await,
        Took::Changed
    );
    let user = bed.user("alice").await.expect("a shadow user");
    assert_eq!(
        (user.state, user.email.as_str()),
        (UserState::Pending, "alice@example.com")
    );
    assert_eq!(bed.job().await, Some(("chat".into(), Priority::Grant)));
    assert_eq!(bed.says(said("alice", &["chat"], at(2))).await, Took::Same);
    assert_eq!(bed.job().await, None, "nothing follows twice");
    let mut robot = said("robot", &["chat"], T0);
    robot.human = false;
    bed.says(robot).await;
    assert!(bed.user("robot").await.is_none());
    let mut unknown = said("nobody", &["chat"], T0);
    unknown.subject = None;
    bed.says(unknown).await;
    assert_eq!(bed.job().await, None);
}

#[tokio::test]
async fn what_takes_away_is_urgent() {
    let bed = Bed::new(0).await;
    bed.member("alice").await;
    bed.says(said("alice", &["chat", "other"], T0)).await;
    assert_eq!(bed.job().await, Some(("chat".into(), Priority::Grant)));
    bed.says(said("alice", &["chat"], at(1))).await;
    assert_eq!(
        bed.job().await,
        Some(("chat".into(), Priority::Deny)),
        "a group less"
    );
    bed.says(said("alice", &[], at(2))).await;
    assert_eq!(bed.job().await, Some(("chat".into(), Priority::Deny)));
    let mut inactive = said("alice", &[], at(3));
    inactive.active = false;
    bed.says(inactive).await;
    let user = bed.user("alice").await.unwrap();
    assert_eq!(user.state, UserState::Disabled);
    assert_eq!(user.state_by, StateBy::Directory(source()));
}

#[tokio::test]
async fn t36_what_a_crash_left_undone_is_done_by_the_same_word_or_by_tending() {
    let bed = Bed::new(0).await;
    bed.member("alice").await;
    bed.says(said("alice", &["chat"], T0)).await;
    bed.job().await;
    // The word got in, and nothing after it.
    let mut inactive = said("alice", &["chat"], at(1));
    inactive.active = false;
    let by = bed.audit.bridge();
    bed.store.put_person(&inactive, at(1), &by).await.unwrap();
    assert_eq!(bed.user("alice").await.unwrap().state, UserState::Active);
    inactive.read_at = at(2);
    assert_eq!(bed.says(inactive.clone()).await, Took::Same);
    assert_eq!(bed.user("alice").await.unwrap().state, UserState::Disabled);
    assert_eq!(bed.job().await, Some(("chat".into(), Priority::Deny)));
    assert_eq!(bed.unsettled().await, 0);
    // Or nobody says it again.
    let active = said("alice", &["chat"], at(3));
    bed.store.put_person(&active, at(3), &by).await.unwrap();
    bed.clock.set(at(4));
    assert_eq!(bed.intake.tend().await.unwrap(), 0, "somebody may be at it");
    bed.clock.set(at(60));
    assert_eq!(bed.intake.tend().await.unwrap(), 1);
    assert_eq!(bed.user("alice").await.unwrap().state, UserState::Active);
    assert_eq!(bed.intake.tend().await.unwrap(), 0);
}

#[tokio::test]
async fn a_grace_suspends_and_then_disables() {
    let bed = Bed::new(600).await;
    bed.member("alice").await;
    bed.says(said("alice", &["chat"], T0)).await;
    bed.job().await;
    let mut gone = said("alice", &["chat"], at(1));
    gone.gone_at = Some(at(1));
    bed.clock.set(at(1));
    bed.says(gone).await;
    assert_eq!(bed.user("alice").await.unwrap().state, UserState::Suspended);
    assert_eq!(bed.job().await, None, "the account stands");
    bed.clock.set(at(600));
    bed.intake.tend().await.unwrap();
    assert_eq!(bed.user("alice").await.unwrap().state, UserState::Suspended);
    bed.clock.set(at(601));
    bed.intake.tend().await.unwrap();
    assert_eq!(
        bed.user("alice").await.unwrap().state,
        UserState::Tombstoned
    );
    // It may be so for thousands at once: a look at the app goes by the brake.
    bed.only_looks_at("chat").await;
    // For good: the id's own word does not bring them back.
    bed.says(said("alice", &["chat"], at(700))).await;
    assert_eq!(
        bed.user("alice").await.unwrap().state,
        UserState::Tombstoned
    );
}

#[tokio::test]
async fn a_group_that_says_something_else_concerns_whoever_is_in_it() {
    let bed = Bed::new(0).await;
    bed.says(said("alice", &["other"], T0)).await;
    bed.says(said("bob", &["notes"], T0)).await;
    assert_eq!(
        bed.group("other", "other", at(1)).await,
        0,
        "it says the same"
    );
    assert_eq!(bed.group("other", "chat", at(2)).await, 1);
    assert!(
        bed.user("alice").await.is_some(),
        "an account is wanted now"
    );
    assert!(bed.user("bob").await.is_none());
}

#[tokio::test]
async fn t33_a_word_about_another_subject_is_not_believed() {
    let bed = Bed::new(0).await;
    bed.member("alice").await;
    bed.says(said("alice", &["chat"], T0)).await;
    bed.job().await;
    let mut moved = said("mallory", &["chat"], at(1));
    moved.id = "pk-alice".into();
    assert_eq!(bed.says(moved.clone()).await, Took::Quarantined);
    let alice = bed.user("alice").await.unwrap();
    assert!(alice.state.denies(), "{:?}", alice.state);
    assert_ne!(alice.name, "MALLORY");
    assert!(bed.user("mallory").await.is_none());
    assert_eq!(bed.job().await, None, "both accounts stay as they are");
    // What can't be told at the moment does not lift it.
    let mut unclear = moved.clone();
    (unclear.subject, unclear.read_at) = (None, at(2));
    assert_eq!(bed.says(unclear).await, Took::Quarantined);
    assert!(bed.user("alice").await.unwrap().state.denies());
    let by = bed.audit.bridge();
    assert!(
        bed.intake
            .forget(&source(), "pk-alice", &by, "settled")
            .await
            .unwrap()
    );
    moved.read_at = at(3);
    assert_eq!(bed.says(moved).await, Took::New);
    assert!(bed.user("mallory").await.is_some());
    assert!(
        bed.user("alice").await.unwrap().state.denies(),
        "an operator's matter"
    );
}

#[tokio::test]
async fn who_came_in_while_it_was_being_said_that_they_may_not_is_disabled_all_the_same() {
    let bed = Bed::new(0).await;
    let mut word = said("alice", &["chat"], T0);
    word.active = false;
    bed.says(word).await;
    assert_eq!((bed.unsettled().await, bed.job().await), (0, None));
    // Let in by an assertion a moment before.
    assert_eq!(bed.seen("alice").await.state, UserState::Active);
    bed.clock.set(at(60));
    assert_eq!(bed.intake.tend().await.unwrap(), 1);
    assert_eq!(bed.user("alice").await.unwrap().state, UserState::Disabled);
    assert_eq!(bed.intake.tend().await.unwrap(), 0);
}

#[tokio::test]
async fn t35_who_was_hired_while_the_clock_was_behind_is_not_forgotten() {
    let bed = Bed::new(0).await;
    let swept = async |when| {
        let state = SourceState {
            swept_at: Some(at(when)),
            answered_at: Some(at(when)),
            ..SourceState::default()
        };
        bed.store.put_source_state(&source(), &state).await.unwrap();
    };
    // Before the clock was set back.
    swept(86_400).await;
    bed.says(said("alice", &["chat"], T0)).await;
    assert!(bed.user("alice").await.is_none());
    bed.clock.set(at(60));
    bed.intake.tend().await.unwrap();
    assert!(bed.user("alice").await.is_none(), "its age is not known");
    swept(61).await;
    bed.clock.set(at(75));
    assert_eq!(bed.intake.tend().await.unwrap(), 1);
    assert!(bed.user("alice").await.is_some());
    assert_eq!(bed.job().await, Some(("chat".into(), Priority::Grant)));
    assert_eq!(bed.intake.tend().await.unwrap(), 0);
}

#[tokio::test]
async fn other_terms_are_gone_by_for_everybody_and_once() {
    let bed = Bed::new(0).await;
    bed.says(said("alice", &["notes"], T0)).await;
    assert_eq!(
        bed.intake.adopt_terms().await.unwrap(),
        1,
        "none were known"
    );
    assert_eq!(bed.intake.adopt_terms().await.unwrap(), 0);
    assert_eq!(bed.job().await, None);
    let mut terms = (**bed.terms.load()).clone();
    terms.apps[1].ahead = true;
    bed.terms.store(Arc::new(terms.clone()));
    assert_eq!(bed.intake.adopt_terms().await.unwrap(), 1);
    assert_eq!(bed.job().await, Some(("notes".into(), Priority::Grant)));
    terms.mapping = "another team".into();
    bed.terms.store(Arc::new(terms));
    assert_eq!(bed.intake.adopt_terms().await.unwrap(), 1);
    assert_eq!(bed.job().await, Some(("notes".into(), Priority::Grant)));
    // A gate that is no longer theirs ends their sessions, and takes away before it gives.
    let alice = bed.member("alice").await;
    let mut terms = (**bed.terms.load()).clone();
    terms.apps[0].ahead = false;
    bed.terms.store(Arc::new(terms));
    let (issuer, subject) = (issuer(), subject("alice"));
    let before = bed.store.epoch(alice.id).await.unwrap();
    let recheck = bed.intake.recheck(&issuer, &subject, "a reload");
    recheck.await.unwrap();
    let jobs = bed.jobs().await;
    let of = |app: &str| {
        let job = jobs
            .iter()
            .find(|job| job.app.as_ref().is_some_and(|a| a.as_str() == app));
        job.map(|job| job.priority)
    };
    assert_eq!(of("chat"), Some(Priority::Deny), "an account, and no gate");
    assert_eq!(of("notes"), Some(Priority::Grant));
    let after = bed.store.epoch(alice.id).await.unwrap();
    assert_eq!(
        before, after,
        "nobody was signed in: no token dies for nothing"
    );
}

#[tokio::test]
async fn a_changed_configuration_deactivates_nobody_past_the_brake() {
    let bed = Bed::new(0).await;
    bed.member("alice").await;
    bed.says(said("alice", &["chat"], T0)).await;
    bed.job().await;
    bed.intake.adopt_terms().await.unwrap();
    while bed.job().await.is_some() {}
    let mut terms = (**bed.terms.load()).clone();
    terms.apps[0].access.any_of[0].name = GroupName::new("others").unwrap();
    bed.terms.store(Arc::new(terms));
    assert_eq!(bed.intake.adopt_terms().await.unwrap(), 1);
    bed.only_looks_at("chat").await;
    // At somebody's own word it is done.
    let (issuer, subject) = (issuer(), subject("alice"));
    let recheck = bed.intake.recheck(&issuer, &subject, "a plan");
    recheck.await.unwrap();
    assert_eq!(bed.job().await, Some(("chat".into(), Priority::Deny)));
}

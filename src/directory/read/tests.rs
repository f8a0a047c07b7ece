//! What `read` jobs do, with a directory in memory and a real store.

mod together;

use super::*;
use crate::audit::{Audit, Settings};
use crate::directory::source::{Page, Recent, Remark};
use crate::store::{
    By, DirectoryStore as _, JobFilter, JobKind, JobState, JobStore as _, SqliteStore,
};
use crate::types::{IssuerId, ManualClock, Subject, SystemClock};
use std::collections::BTreeMap;
use uuid::Uuid;

fn by() -> By {
    Audit::new(Arc::new(SystemClock), Settings::default()).bridge()
}

const NOW: Timestamp = Timestamp(1_800_000_000);

/// A directory that says what it is told to.
struct Fake {
    id: SourceId,
    people: Mutex<BTreeMap<String, Person>>,
    groups: Mutex<BTreeMap<String, (DirectoryGroup, Vec<String>)>>,
    /// Left out of the list of groups.
    unlisted: Mutex<Vec<String>>,
    recent: Mutex<Recent>,
    marks: Mutex<Vec<Option<String>>>,
    error: Mutex<Option<SourceError>>,
}

impl Fake {
    fn broken(&self) -> Result<(), SourceError> {
        self.error.lock().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Source for Fake {
    fn id(&self) -> &SourceId {
        &self.id
    }

    async fn person(&self, id: &str) -> Result<Option<Person>, SourceError> {
        self.broken()?;
        Ok(self.people.lock().get(id).cloned())
    }

    async fn person_by_username(&self, _: &str) -> Result<Option<Person>, SourceError> {
        Ok(None)
    }

    async fn people(&self, _: Option<&str>) -> Result<Page<Person>, SourceError> {
        panic!("no read job lists everybody")
    }

    async fn group(&self, id: &str) -> Result<Option<DirectoryGroup>, SourceError> {
        self.broken()?;
        Ok(self.groups.lock().get(id).map(|(group, _)| group.clone()))
    }

    async fn groups(&self, _: Option<&str>) -> Result<Page<DirectoryGroup>, SourceError> {
        self.broken()?;
        let unlisted = self.unlisted.lock();
        let all = self.groups.lock();
        let listed = all
            .values()
            .filter(|(group, _)| !unlisted.contains(&group.id));
        Ok(Page {
            items: listed.map(|(group, _)| group.clone()).collect(),
            next: None,
            total: None,
        })
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, SourceError> {
        let all = self.groups.lock();
        Ok(all
            .get(group)
            .map(|(_, members)| members.clone())
            .unwrap_or_default())
    }

    async fn recent(&self, mark: Option<&str>) -> Result<Recent, SourceError> {
        self.broken()?;
        self.marks.lock().push(mark.map(str::to_owned));
        Ok(self.recent.lock().clone())
    }

    async fn look(&self) -> Result<Vec<Remark>, SourceError> {
        Ok(Vec::new())
    }
}

/// Takes words into the store, and nothing follows.
struct Keeps(Arc<SqliteStore>);

#[async_trait]
impl TakesIn for Keeps {
    async fn person(&self, word: Person, _: &str) -> Result<bool, StoreError> {
        let put = self.0.put_person(&word, NOW, &by()).await?;
        Ok(put != crate::store::Put::Older)
    }

    async fn group(&self, group: &DirectoryGroup, _: &str) -> Result<bool, StoreError> {
        Ok(self.0.put_group(group, NOW).await?.is_some())
    }

    async fn again(&self, _: &Person, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Bed {
    fake: Arc<Fake>,
    store: Arc<SqliteStore>,
    reader: Reader,
    clock: Arc<ManualClock>,
    metrics: Metrics,
}

fn bed() -> Bed {
    let id = SourceId::new("authentik").unwrap();
    let fake = Arc::new(Fake {
        id,
        people: Mutex::default(),
        groups: Mutex::default(),
        unlisted: Mutex::default(),
        recent: Mutex::default(),
        marks: Mutex::default(),
        error: Mutex::default(),
    });
    let store = Arc::new(SqliteStore::in_memory().unwrap());
    let clock = Arc::new(ManualClock::at(NOW));
    let metrics = Metrics::new(Default::default());
    let all: [Arc<dyn Source>; 1] = [fake.clone()];
    let reader = Reader::new(
        Arc::new(Sources::new(all)),
        store.clone(),
        Arc::new(Keeps(store.clone())),
        clock.clone(),
        metrics.clone(),
    );
    Bed {
        fake,
        store,
        reader,
        clock,
        metrics,
    }
}

impl Bed {
    fn person(&self, id: &str, groups: &[&str]) -> Person {
        let person = Person {
            source: self.fake.id.clone(),
            id: id.into(),
            aliases: Vec::new(),
            issuer: IssuerId::new("pomerium").unwrap(),
            subject: Some(Subject::new(format!("sub-{id}")).unwrap()),
            username: format!("user-{id}"),
            name: String::new(),
            email: String::new(),
            email_verified: false,
            locale: None,
            active: true,
            human: true,
            groups: groups.iter().map(|id| (*id).to_owned()).collect(),
            read_at: self.clock.now(),
            gone_at: None,
        };
        self.fake.people.lock().insert(id.into(), person.clone());
        person
    }

    fn group(&self, id: &str, parents: &[&str], members: &[&str]) {
        let group = DirectoryGroup {
            source: self.fake.id.clone(),
            id: id.into(),
            name: format!("group {id}"),
            parents: parents.iter().map(|id| (*id).to_owned()).collect(),
            read_at: self.clock.now(),
            gone_at: None,
        };
        let members = members.iter().map(|id| (*id).to_owned()).collect();
        self.fake.groups.lock().insert(id.into(), (group, members));
    }

    async fn known(&self, id: &str) -> Option<Person> {
        self.store.person(&self.fake.id, id).await.unwrap()
    }

    async fn run(&self, what: ToRead) -> Outcome {
        self.clock.set(self.clock.now() + Duration::from_secs(1));
        let wish = wish::read(&self.fake.id, &what, Priority::Deny, NOW, "a test");
        self.reader.run(&job(wish)).await
    }

    /// What was wished, by key; and nothing of it is open after that.
    async fn wished(&self) -> Vec<(String, Priority)> {
        let filter = JobFilter {
            states: vec![JobState::Pending],
            limit: 1_000,
            ..JobFilter::default()
        };
        let jobs = self.store.jobs(&filter).await.unwrap();
        for job in &jobs {
            self.store.cancel_job(job.id, NOW, &by()).await.unwrap();
        }
        let mut keys: Vec<_> = jobs
            .into_iter()
            .map(|job| (job.key, job.priority))
            .collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        keys
    }
}

fn job(wish: NewJob) -> Job {
    Job {
        id: Uuid::nil(),
        kind: wish.kind,
        key: wish.key,
        lane: wish.lane,
        app: wish.app,
        source: wish.source,
        user: wish.user,
        priority: wish.priority,
        payload: wish.payload,
        why: wish.why,
        state: JobState::Running,
        attempts: 1,
        due_at: NOW,
        again: false,
        holder: None,
        leased_until: None,
        error: String::new(),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn person(id: &str) -> ToRead {
    ToRead::Person { id: id.into() }
}

fn keys(ids: &[&str]) -> Vec<(String, Priority)> {
    let key = |id: &&str| (format!("read/authentik/person/{id}"), Priority::Deny);
    ids.iter().map(key).collect()
}

#[tokio::test]
async fn a_person_is_taken_in_and_their_end_as_well() {
    let bed = bed();
    bed.person("1", &["a"]);
    assert_eq!(bed.run(person("1")).await, Outcome::Done);
    assert_eq!(bed.known("1").await.unwrap().groups, ["a"]);
    bed.fake.people.lock().clear();
    assert_eq!(bed.run(person("1")).await, Outcome::Done);
    let gone = bed.known("1").await.unwrap();
    assert!(
        gone.gone_at.is_some() && gone.subject.is_some(),
        "who they were stays known"
    );
    let since = gone.gone_at;
    assert_eq!(bed.run(person("1")).await, Outcome::Done);
    assert_eq!(
        bed.known("1").await.unwrap().gone_at,
        since,
        "since the first time"
    );
    // Somebody never heard of leaves no trace.
    assert_eq!(bed.run(person("2")).await, Outcome::Done);
    assert!(bed.known("2").await.is_none());
    // They may come back.
    bed.person("1", &["a"]);
    assert_eq!(bed.run(person("1")).await, Outcome::Done);
    assert!(bed.known("1").await.unwrap().gone_at.is_none());
}

#[tokio::test]
async fn what_can_not_be_read_changes_nothing_for_anybody() {
    let bed = bed();
    bed.person("1", &["a"]);
    bed.run(person("1")).await;
    let known = bed.known("1").await;
    bed.fake.people.lock().clear();
    let why = || "why".to_owned();
    for (error, expected) in [
        (SourceError::Unavailable(why()), "counts"),
        (SourceError::Timeout(why()), "counts"),
        (SourceError::Credential(why()), "waits"),
        (SourceError::Permission(why()), "waits"),
        (SourceError::RateLimited(Duration::from_secs(9)), "alone"),
        (SourceError::Refused(why()), "never"),
    ] {
        *bed.fake.error.lock() = Some(error.clone());
        let outcome = bed.run(person("1")).await;
        let got = match &outcome {
            Outcome::Later { counts: true, .. } => "counts",
            Outcome::Later {
                counts: false,
                after,
                ..
            } if !after.is_zero() => "waits",
            Outcome::Wait { after, .. } if after.as_secs() == 9 => "alone",
            Outcome::Never { .. } => "never",
            other => panic!("{error}: {other:?}"),
        };
        assert_eq!(got, expected, "{error}");
        assert_eq!(bed.known("1").await, known, "{error}");
        let state = bed.store.source_state(&bed.fake.id).await.unwrap();
        assert_eq!(state.error, error.to_string(), "the operator sees it");
    }
    let counted = bed.metrics.encode();
    for kind in [
        "unavailable",
        "timeout",
        "credential",
        "permission",
        "rate_limited",
        "refused",
    ] {
        let line = format!(
            "auth_manager_directory_errors_total{{source=\"authentik\",kind=\"{kind}\"}} 1"
        );
        assert!(counted.contains(&line), "{line}");
    }
    *bed.fake.error.lock() = None;
    bed.person("1", &["a"]);
    assert_eq!(bed.run(person("1")).await, Outcome::Done);
    let state = bed.store.source_state(&bed.fake.id).await.unwrap();
    assert!(state.error.is_empty() && state.answered_at.is_some());
    assert!(
        bed.metrics
            .encode()
            .contains("auth_manager_directory_answered_timestamp_seconds")
    );
}

#[tokio::test]
async fn a_group_concerns_everybody_who_is_or_was_in_it_or_below() {
    let bed = bed();
    bed.group("top", &[], &["1"]);
    bed.group("low", &["top"], &["2"]);
    bed.group("other", &[], &["3"]);
    // By our record 4 is in it; the directory no longer says so.
    let four = bed.person("4", &["top"]);
    bed.store.put_person(&four, NOW, &by()).await.unwrap();
    let done = bed.run(ToRead::Group { id: "top".into() }).await;
    assert_eq!(done, Outcome::Done);
    assert_eq!(bed.wished().await, keys(&["1", "2", "4"]));
    let known = bed.store.groups(&bed.fake.id).await.unwrap();
    assert_eq!(known.len(), 1, "the one that was asked about");
    // Gone: everybody in it by our record.
    bed.fake.groups.lock().remove("top");
    bed.run(ToRead::Group { id: "top".into() }).await;
    assert_eq!(bed.wished().await, keys(&["2", "4"]));
    assert!(
        bed.store.groups(&bed.fake.id).await.unwrap()[0]
            .gone_at
            .is_some()
    );
    // Never heard of, and not there.
    assert_eq!(
        bed.run(ToRead::Group { id: "none".into() }).await,
        Outcome::Done
    );
    assert_eq!(bed.wished().await, []);
}

#[tokio::test]
async fn all_groups_concern_those_below_what_changed() {
    let bed = bed();
    bed.group("a", &[], &["1"]);
    bed.group("b", &["a"], &["2"]);
    bed.group("c", &[], &["3"]);
    bed.run(ToRead::Groups).await;
    assert_eq!(bed.wished().await, keys(&["1", "2", "3"]));
    bed.run(ToRead::Groups).await;
    assert_eq!(bed.wished().await, [], "nothing changed");
    bed.group("a", &["c"], &["1"]);
    bed.run(ToRead::Groups).await;
    assert_eq!(bed.wished().await, keys(&["1", "2"]));
    // A list that lacks one says nothing; it is asked for by itself.
    bed.fake.unlisted.lock().push("c".into());
    bed.run(ToRead::Groups).await;
    assert_eq!(bed.wished().await, []);
    let gone = async || {
        let known = bed.store.groups(&bed.fake.id).await.unwrap();
        known
            .iter()
            .find(|group| group.id == "c")
            .unwrap()
            .gone_at
            .is_some()
    };
    assert!(!gone().await);
    let three = bed.person("3", &["c"]);
    bed.store.put_person(&three, NOW, &by()).await.unwrap();
    bed.fake.groups.lock().remove("c");
    bed.run(ToRead::Groups).await;
    assert!(gone().await);
    let people = bed.wished().await;
    assert!(people.contains(&keys(&["3"])[0]), "{people:?}");
}

#[tokio::test]
async fn a_hint_that_says_nothing_is_answered_from_the_directorys_own_log() {
    let bed = bed();
    *bed.fake.recent.lock() = Recent {
        people: vec!["1".into()],
        groups: vec!["a".into()],
        high_water: Some("one".into()),
        whole: true,
    };
    assert_eq!(bed.run(ToRead::Recent).await, Outcome::Done);
    let group = ("read/authentik/group/a".to_owned(), Priority::Deny);
    assert_eq!(bed.wished().await, [vec![group], keys(&["1"])].concat());
    bed.fake.recent.lock().high_water = Some("two".into());
    bed.run(ToRead::Recent).await;
    assert_eq!(*bed.fake.marks.lock(), [None, Some("one".to_owned())]);
    bed.wished().await;
    // What it can't tell is found by a sweep, and its mark stays.
    *bed.fake.recent.lock() = Recent::default();
    bed.run(ToRead::Recent).await;
    assert_eq!(bed.wished().await[0].0, "sweep/authentik");
    let state = bed.store.source_state(&bed.fake.id).await.unwrap();
    assert_eq!(state.high_water.as_deref(), Some("two"));
}

#[tokio::test]
async fn what_is_no_job_of_a_configured_directory_goes_to_the_operator() {
    let bed = bed();
    let wish = wish::read(&bed.fake.id, &person("1"), Priority::Deny, NOW, "a test");
    let mut elsewhere = job(wish.clone());
    elsewhere.source = Some(SourceId::new("other").unwrap());
    let mut strange = job(wish.clone());
    strange.payload = "{\"what\":\"everything\"}".into();
    let mut nowhere = job(wish);
    nowhere.source = None;
    for job in [elsewhere, strange, nowhere] {
        assert!(matches!(bed.reader.run(&job).await, Outcome::Never { .. }));
    }
    assert_eq!(bed.reader.patience(), Duration::from_secs(60));
    assert_eq!(JobKind::Read.as_str(), "read");
}

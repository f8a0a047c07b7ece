use super::super::world::{World, gone};
use super::*;
use crate::types::{IssuerId, Subject};

pub(in crate::reconcile) fn person(n: u32, groups: &[&str]) -> Person {
    Person {
        source: SourceId::new("home").unwrap(),
        id: n.to_string(),
        aliases: vec![format!("uid:{n:04}")],
        issuer: IssuerId::new("pomerium").unwrap(),
        subject: Some(Subject::new(format!("s{n}")).unwrap()),
        username: format!("user{n}"),
        name: format!("User {n}"),
        email: format!("user{n}@example.com"),
        email_verified: false,
        locale: None,
        active: true,
        human: true,
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        read_at: Timestamp(100),
        gone_at: None,
    }
}

pub(in crate::reconcile) fn group(id: &str, name: &str) -> DirectoryGroup {
    DirectoryGroup {
        source: SourceId::new("home").unwrap(),
        id: id.to_owned(),
        name: name.to_owned(),
        parents: Vec::new(),
        read_at: Timestamp(100),
        gone_at: None,
    }
}

pub(in crate::reconcile) fn world(people: Vec<Person>) -> World {
    World {
        people: people.into_iter().map(|p| (p.id.clone(), p)).collect(),
        groups: [("g1", "chat"), ("g2", "wiki")]
            .map(|(id, name)| (id.to_owned(), group(id, name)))
            .into(),
    }
}

/// Admits to the app that is called like the group.
pub(in crate::reconcile) struct ByName;

impl Judge for ByName {
    fn with<'a>(&'a self, groups: &'a BTreeMap<String, DirectoryGroup>) -> Admits<'a> {
        Box::new(|word| {
            if word.denies() {
                return BTreeSet::new();
            }
            let named = word.groups.iter().filter_map(|id| groups.get(id));
            named
                .filter(|group| group.gone_at.is_none())
                .filter_map(|group| AppId::new(group.name.clone()).ok())
                .collect()
        })
    }
}

pub(in crate::reconcile) fn plan(known: &World, now: &World) -> Plan {
    let source = SourceId::new("home").unwrap();
    let brake = Brake::default();
    Plan::compute(&source, Timestamp(200), known, now, &ByName, &brake)
}

fn chat() -> AppId {
    AppId::new("chat").unwrap()
}

#[test]
fn what_is_the_same_is_no_step_whenever_it_was_read() {
    let known = world((1..50).map(|n| person(n, &["g1"])).collect());
    let mut later = known.clone();
    for word in later.people.values_mut() {
        word.read_at = Timestamp(999);
    }
    assert!(plan(&known, &later).is_empty());
}

#[test]
fn whoever_loses_something_comes_first() {
    let known = world(vec![
        person(1, &["g1"]),
        person(2, &["g1"]),
        person(9, &["g1"]),
    ]);
    let now = world(vec![
        person(1, &["g1", "g2"]),
        person(2, &["g1"]),
        person(3, &["g1"]),
        gone(&person(9, &["g1"]), Timestamp(200)),
    ]);
    let plan = plan(&known, &now);
    let ids: Vec<_> = plan.people.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["9", "1", "3"]);
    assert_eq!(plan.people[0].what, What::Gone);
    assert_eq!(plan.people[0].loses, [chat()]);
    assert_eq!(plan.people[1].what, What::Groups);
    assert_eq!(plan.people[2].what, What::New);
    assert_eq!(plan.held, None);
    let sum = plan.summary();
    assert_eq!((sum.losing, sum.gaining, sum.new, sum.other), (1, 1, 1, 0));
}

#[test]
fn every_change_of_a_person_has_its_word() {
    let off = |mut p: Person| {
        p.active = false;
        p
    };
    let renamed = |mut p: Person| {
        p.name = "Somebody Else".into();
        p
    };
    let back = gone(&person(4, &[]), Timestamp(150));
    let known = world(vec![
        person(1, &[]),
        off(person(2, &[])),
        person(3, &[]),
        back,
    ]);
    let now = world(vec![
        off(person(1, &[])),
        person(2, &[]),
        renamed(person(3, &[])),
        person(4, &[]),
    ]);
    let plan = plan(&known, &now);
    let whats: BTreeMap<_, _> = (plan.people.iter())
        .map(|s| (s.id.as_str(), s.what))
        .collect();
    assert_eq!(
        whats,
        [
            ("1", What::Deactivated),
            ("2", What::Reactivated),
            ("3", What::Profile),
            ("4", What::Returned)
        ]
        .into()
    );
}

#[test]
fn a_group_that_is_renamed_takes_access_from_all_who_are_in_it() {
    let known = world((1..=20).map(|n| person(n, &["g1"])).collect());
    let mut now = known.clone();
    now.groups.insert("g1".into(), group("g1", "talk"));
    let plan = plan(&known, &now);
    assert_eq!(plan.groups.len(), 1);
    assert_eq!(plan.people.len(), 20);
    assert!(plan.people.iter().all(|step| step.loses == [chat()]));
    assert!(plan.people.iter().all(|step| !step.changes_the_word()));
    assert!(plan.held.is_some(), "{plan:?}");
}

#[test]
fn a_third_that_vanishes_is_held() {
    let known = world((1..=300).map(|n| person(n, &["g1"])).collect());
    let mut now = known.clone();
    for n in 1..=90 {
        let word = gone(&person(n, &["g1"]), Timestamp(200));
        now.people.insert(word.id.clone(), word);
    }
    let plan = plan(&known, &now);
    assert_eq!(plan.summary().losing, 90);
    assert!(plan.held.as_deref().unwrap().contains("90 of 300"));
}

#[test]
fn a_first_import_is_never_held() {
    let now = world((1..=5_000).map(|n| person(n, &["g1"])).collect());
    let plan = plan(&World::default(), &now);
    assert_eq!(plan.summary().new, 5_000);
    assert_eq!(plan.held, None);
}

#[test]
fn a_plan_names_nobody_and_survives_being_written_down() {
    let known = world(vec![person(1, &["g1"])]);
    let now = world(vec![
        gone(&person(1, &["g1"]), Timestamp(200)),
        person(2, &["g1"]),
    ]);
    let plan = plan(&known, &now);
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains("user1") && !text.contains("User 1") && !text.contains("example.com"));
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn the_end_of_somebody_who_is_gone_already_is_no_step() {
    let known = world(vec![gone(&person(1, &["g1"]), Timestamp(150))]);
    let later = world(vec![gone(&known.people["1"], Timestamp(500))]);
    assert!(plan(&known, &later).is_empty());
}

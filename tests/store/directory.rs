//! What directories say of people and groups.

use crate::bed::{Bed, T0, at, by, issuer, seen, subject};
use auth_manager::store::{
    DirectoryGroup, Person, PersonFilter, Put, Revoked, SaidOf, SourceState, StateBy, UserState,
    Word,
};
use auth_manager::types::{SourceId, Timestamp};

pub(crate) fn source(text: &str) -> SourceId {
    SourceId::new(text).unwrap()
}

/// What `authentik` says of somebody, at `T0`.
pub(crate) fn said(name: &str) -> Person {
    Person {
        source: source("authentik"),
        id: format!("pk-{name}"),
        aliases: vec![format!("uid:{name}"), format!("uuid:{name}")],
        issuer: issuer(),
        subject: Some(subject(name)),
        username: name.into(),
        name: name.to_uppercase(),
        email: format!("{name}@example.com"),
        email_verified: true,
        locale: None,
        active: true,
        human: true,
        groups: vec!["g1".into(), "g2".into()],
        read_at: T0,
        gone_at: None,
    }
}

fn group(id: &str, name: &str, read_at: Timestamp) -> DirectoryGroup {
    DirectoryGroup {
        source: source("authentik"),
        id: id.into(),
        name: name.into(),
        parents: Vec::new(),
        read_at,
        gone_at: None,
    }
}

async fn put(bed: &Bed, person: &Person) -> Put {
    let now = person.read_at;
    bed.a.put_person(person, now, &by()).await.unwrap()
}

async fn log(bed: &Bed) -> Vec<Revoked> {
    let entries = bed.b.revocations_after(0, 100).await.unwrap();
    entries.into_iter().map(|entry| entry.what).collect()
}

async fn words_of(bed: &Bed, name: &str) -> Vec<Word> {
    let said = bed.b.said_of(&[(issuer(), subject(name))]).await.unwrap();
    let [said] = <[SaidOf; 1]>::try_from(said).unwrap();
    assert_eq!(said.subject, subject(name));
    said.words
}

async fn word(bed: &Bed, name: &str) -> Word {
    let words = words_of(bed, name).await;
    assert_eq!(words.len(), 1);
    words.into_iter().next().unwrap()
}

pub(crate) async fn a_word_is_kept_as_said_and_told(bed: Bed) {
    let mut odd = said("alice");
    odd.name = "A \"quoted\" \0 name \u{1f980}".into();
    odd.locale = Some("fr".into());
    odd.groups = vec!["g2".into(), "g\"1".into(), "g2".into()];
    assert_eq!(put(&bed, &odd).await, Put::Changed(None));
    let stored = bed.b.person(&odd.source, &odd.id).await.unwrap().unwrap();
    let kept = Person {
        name: "A \"quoted\" \u{fffd} name \u{1f980}".into(),
        groups: vec!["g\"1".into(), "g2".into()],
        ..odd.clone()
    };
    assert_eq!(stored, kept);
    assert_eq!(
        log(&bed).await,
        [Revoked::Person(issuer(), subject("alice"))]
    );
    assert_eq!(bed.b.person(&odd.source, "pk-bob").await.unwrap(), None);
    assert_eq!(bed.b.person(&source("other"), &odd.id).await.unwrap(), None);
}

pub(crate) async fn the_same_word_again_only_moves_its_time(bed: Bed) {
    put(&bed, &said("alice")).await;
    let mut again = said("alice");
    again.read_at = at(9);
    again.groups.reverse();
    assert_eq!(put(&bed, &again).await, Put::Same);
    assert_eq!(word(&bed, "alice").await.person.read_at, at(9));
    assert_eq!(log(&bed).await.len(), 1, "nothing to judge anew");
}

pub(crate) async fn an_older_word_never_replaces_a_newer_one(bed: Bed) {
    let mut gone = said("alice");
    (gone.active, gone.read_at) = (false, at(10));
    put(&bed, &gone).await;
    let mut late = said("alice");
    late.read_at = at(9);
    assert_eq!(put(&bed, &late).await, Put::Older);
    assert!(!word(&bed, "alice").await.person.active);
    assert_eq!(log(&bed).await.len(), 1);
    // Of one second, what comes later counts.
    late.read_at = at(10);
    assert!(matches!(put(&bed, &late).await, Put::Changed(Some(_))));
}

pub(crate) async fn a_word_of_a_clock_that_was_ahead_keeps_no_newer_one_out(bed: Bed) {
    let mut ahead = said("alice");
    ahead.read_at = at(86_400);
    put(&bed, &ahead).await;
    let mut ahead = group("g1", "chat", at(86_400));
    bed.a.put_group(&ahead, at(86_400)).await.unwrap();
    // Replicas' clocks differ a little: so little it may be a newer one.
    let mut gone = said("alice");
    (gone.active, gone.read_at) = (false, at(86_350));
    let late = bed.a.put_person(&gone, at(86_350), &by()).await.unwrap();
    assert_eq!(late, Put::Older);
    // The clock is right again.
    gone.read_at = at(10);
    assert!(matches!(put(&bed, &gone).await, Put::Changed(Some(_))));
    let word = word(&bed, "alice").await;
    assert!(!word.person.active && word.person.read_at == at(10));
    assert_eq!(word.denied_since, Some(at(10)));
    (ahead.name, ahead.read_at) = ("talk".into(), at(10));
    assert!(bed.a.put_group(&ahead, at(10)).await.unwrap().is_some());
    let of = bed.b.groups(&source("authentik")).await.unwrap();
    assert_eq!((of[0].name.as_str(), of[0].read_at), ("talk", at(10)));
}

pub(crate) async fn a_change_gives_what_was_known(bed: Bed) {
    put(&bed, &said("alice")).await;
    let mut moved = said("alice");
    (moved.groups, moved.read_at) = (vec!["g3".into()], at(5));
    let before = put(&bed, &moved).await;
    assert_eq!(before, Put::Changed(Some(Box::new(said("alice")))));
    assert_eq!(log(&bed).await.len(), 2);
}

pub(crate) async fn another_subject_is_told_of_both(bed: Bed) {
    put(&bed, &said("alice")).await;
    let mut moved = said("alice");
    (moved.subject, moved.read_at) = (Some(subject("bob")), at(5));
    put(&bed, &moved).await;
    let told = log(&bed).await;
    assert!(told.contains(&Revoked::Person(issuer(), subject("bob"))));
    let alices = told
        .iter()
        .filter(|w| **w == Revoked::Person(issuer(), subject("alice")));
    assert_eq!(alices.count(), 2);
    let of = async |name| words_of(&bed, name).await.len();
    assert_eq!((of("alice").await, of("bob").await), (0, 1));
    // Nobody: nothing to judge.
    let mut unknown = said("carol");
    unknown.subject = None;
    put(&bed, &unknown).await;
    assert_eq!(log(&bed).await.len(), 3);
}

pub(crate) async fn a_denial_has_its_date(bed: Bed) {
    let say = async |active, gone: Option<i64>, when| {
        let mut person = said("alice");
        person.active = active;
        (person.gone_at, person.read_at) = (gone.map(at), at(when));
        put(&bed, &person).await;
        word(&bed, "alice").await.denied_since
    };
    assert_eq!(say(true, None, 0).await, None);
    assert_eq!(say(false, None, 10).await, Some(at(10)));
    assert_eq!(say(false, None, 20).await, Some(at(10)), "confirmed");
    assert_eq!(
        say(false, Some(30), 30).await,
        Some(at(30)),
        "another reason"
    );
    assert_eq!(say(false, Some(40), 40).await, Some(at(30)));
    let gone_at = word(&bed, "alice").await.person.gone_at;
    assert_eq!(gone_at, Some(at(30)), "it went once");
    assert_eq!(say(true, None, 50).await, None);
    assert_eq!(say(false, None, 60).await, Some(at(60)));
}

pub(crate) async fn a_person_is_found_by_other_ids(bed: Bed) {
    put(&bed, &said("alice")).await;
    let by_alias = async |alias| {
        let found = bed.b.person_by_alias(&source("authentik"), alias).await;
        found.unwrap().map(|person| person.id)
    };
    assert_eq!(by_alias("uid:alice").await.as_deref(), Some("pk-alice"));
    assert_eq!(by_alias("uid:bob").await, None);
    let mut renamed = said("alice");
    (renamed.aliases, renamed.read_at) = (vec!["uid:new".into()], at(1));
    put(&bed, &renamed).await;
    assert_eq!(by_alias("uid:alice").await, None);
    assert_eq!(by_alias("uid:new").await.as_deref(), Some("pk-alice"));
    // Two people have it: nobody is meant.
    let mut other = said("bob");
    other.aliases = vec!["uid:new".into()];
    put(&bed, &other).await;
    assert_eq!(by_alias("uid:new").await, None);
    let elsewhere = bed.b.person_by_alias(&source("other"), "uid:bob").await;
    assert_eq!(elsewhere.unwrap(), None);
}

pub(crate) async fn people_come_in_pages_by_what_is_asked(bed: Bed) {
    for (name, read_at) in [("a", 0), ("b", 5), ("c", 10)] {
        let mut person = said(name);
        person.read_at = at(read_at);
        put(&bed, &person).await;
    }
    let mut gone = said("d");
    (gone.gone_at, gone.groups) = (Some(T0), vec!["g10".into()]);
    put(&bed, &gone).await;
    let mut other = said("a");
    (other.source, other.groups) = (source("a-scim"), vec!["g1".into()]);
    put(&bed, &other).await;

    let ids = async |filter: PersonFilter| -> Vec<String> {
        let people = bed.b.people(&filter).await.unwrap();
        people
            .iter()
            .map(|p| format!("{}/{}", p.source, p.id))
            .collect()
    };
    let all = PersonFilter::default;
    let everyone = ids(all()).await;
    assert_eq!(everyone.len(), 5);
    assert_eq!(everyone[0], "a-scim/pk-a");
    let mut filter = PersonFilter { limit: 2, ..all() };
    let mut paged = Vec::new();
    loop {
        let page = bed.b.people(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some((last.source.clone(), last.id.clone()));
        paged.extend(page.iter().map(|p| format!("{}/{}", p.source, p.id)));
    }
    assert_eq!(paged, everyone);
    let authentik = Some(source("authentik"));
    let of = |filter: PersonFilter| PersonFilter {
        source: authentik.clone(),
        ..filter
    };
    assert_eq!(ids(of(all())).await.len(), 4);
    assert_eq!(
        ids(of(PersonFilter {
            present: true,
            ..all()
        }))
        .await
        .len(),
        3
    );
    // Exactly this group, not one whose id begins alike.
    let g1 = PersonFilter {
        group: Some("g1".into()),
        ..all()
    };
    assert_eq!(ids(of(g1)).await.len(), 3);
    let before = PersonFilter {
        read_before: Some(at(10)),
        present: true,
        ..all()
    };
    assert_eq!(ids(of(before)).await, ["authentik/pk-a", "authentik/pk-b"]);
}

pub(crate) async fn all_that_decides_is_read_at_once(bed: Bed) {
    let alice = bed.person("alice").await;
    put(&bed, &said("alice")).await;
    let mut other = said("alice");
    (other.source, other.active) = (source("a-scim"), false);
    put(&bed, &other).await;
    put(&bed, &said("bob")).await;
    bed.person("carol").await;
    let set = async |state, when| {
        let by = by();
        let set = bed.a.set_user_state(alice.id, state, "", at(when), &by);
        set.await.unwrap();
    };
    set(UserState::Disabled, 3).await;
    let whom = ["bob", "alice", "carol", "nobody"].map(|name| (issuer(), subject(name)));
    let counts = async || -> Vec<_> {
        let said = bed.b.said_of(&whom).await.unwrap();
        said.iter()
            .map(|of| (of.words.len(), of.pardoned_at))
            .collect()
    };
    assert_eq!(counts().await, [(1, None), (2, None), (0, None), (0, None)]);
    set(UserState::Active, 4).await;
    assert_eq!(
        counts().await,
        [(1, None), (2, Some(at(4))), (0, None), (0, None)]
    );
    assert!(bed.b.said_of(&[]).await.unwrap().is_empty());
}

pub(crate) async fn a_word_is_settled_as_it_was_read(bed: Bed) {
    let unsettled = async || {
        let filter = PersonFilter {
            unsettled: true,
            ..PersonFilter::default()
        };
        bed.b.words(&filter).await.unwrap().len()
    };
    put(&bed, &said("alice")).await;
    let first = word(&bed, "alice").await;
    assert!(!first.settled);
    let mut other = said("alice");
    other.groups = vec!["g2".into()];
    put(&bed, &other).await;
    bed.a.settle(&[first]).await.unwrap();
    assert_eq!(unsettled().await, 1, "it was another word");
    bed.a.settle(&[word(&bed, "alice").await]).await.unwrap();
    assert_eq!(unsettled().await, 0);
    other.read_at = at(1);
    assert_eq!(put(&bed, &other).await, Put::Same);
    assert_eq!(unsettled().await, 0);
    // A group that they are in says something else.
    bed.a.put_group(&group("g1", "x", T0), T0).await.unwrap();
    assert_eq!(unsettled().await, 0, "not theirs");
    bed.a.put_group(&group("g2", "chat", T0), T0).await.unwrap();
    assert_eq!(unsettled().await, 1);
}

/// What followed from a word when nobody had come yet followed for nobody.
pub(crate) async fn who_comes_for_the_first_time_unsettles_what_was_said_of_them(bed: Bed) {
    put(&bed, &said("alice")).await;
    put(&bed, &said("bob")).await;
    let before = [word(&bed, "alice").await, word(&bed, "bob").await];
    bed.a.settle(&before).await.unwrap();
    bed.b.saw_user(&seen("alice", at(5))).await.unwrap();
    assert!(!word(&bed, "alice").await.settled);
    assert!(word(&bed, "bob").await.settled, "another one");
    // Whoever had read it before they came does not settle it.
    bed.a.settle(&before).await.unwrap();
    let now = word(&bed, "alice").await;
    assert!(!now.settled);
    bed.a.settle(&[now]).await.unwrap();
    let mut anew = seen("alice", at(6));
    anew.name = "Alice A".into();
    bed.b.saw_user(&anew).await.unwrap();
    assert!(word(&bed, "alice").await.settled, "no first time");
}

pub(crate) async fn a_forgotten_word_is_told(bed: Bed) {
    put(&bed, &said("alice")).await;
    let authentik = source("authentik");
    bed.a
        .forget_person(&authentik, "pk-alice", at(1), &by())
        .await
        .unwrap();
    assert_eq!(bed.b.person(&authentik, "pk-alice").await.unwrap(), None);
    assert_eq!(
        bed.b
            .person_by_alias(&authentik, "uid:alice")
            .await
            .unwrap(),
        None
    );
    assert_eq!(log(&bed).await.len(), 2);
    bed.a
        .forget_person(&authentik, "pk-alice", at(1), &by())
        .await
        .unwrap();
    assert_eq!(log(&bed).await.len(), 2);
}

pub(crate) async fn one_of_many_first_words_is_the_first(bed: Bed) {
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 {
                bed.a.clone()
            } else {
                bed.b.clone()
            };
            let mut person = said("alice");
            person.name = format!("name {n}");
            tokio::spawn(async move { store.put_person(&person, T0, &by()).await.unwrap() })
        })
        .collect();
    let mut first = 0;
    for writer in writers {
        first += usize::from(writer.await.unwrap() == Put::Changed(None));
    }
    assert_eq!(first, 1);
}

pub(crate) async fn a_group_is_told_when_it_says_something_else(bed: Bed) {
    let put = async |group: DirectoryGroup| bed.a.put_group(&group, T0).await.unwrap();
    assert_eq!(put(group("g1", "chat", T0)).await, Some(None));
    assert_eq!(put(group("g1", "chat", at(1))).await, None);
    assert_eq!(log(&bed).await, [Revoked::Groups]);
    let renamed = put(group("g1", "talk", at(2))).await;
    assert_eq!(renamed, Some(Some(group("g1", "chat", at(1)))));
    assert_eq!(put(group("g1", "chat", at(1))).await, None, "it is older");
    let mut gone = group("g1", "talk", at(3));
    gone.gone_at = Some(at(3));
    assert!(put(gone.clone()).await.is_some());
    gone.gone_at = Some(at(4));
    assert_eq!(put(gone).await, None, "it went once");
    assert_eq!(log(&bed).await.len(), 3);
    let mut other = group("g0", "chat", T0);
    other.source = source("scim");
    put(other).await;
    let of = bed.b.groups(&source("authentik")).await.unwrap();
    assert_eq!(
        (of.len(), of[0].name.as_str(), of[0].gone_at),
        (1, "talk", Some(at(3)))
    );
    assert_eq!(bed.b.all_groups().await.unwrap().len(), 2);
}

pub(crate) async fn a_sources_times_never_go_back(bed: Bed) {
    let authentik = source("authentik");
    let state = async || bed.b.source_state(&authentik).await.unwrap();
    assert_eq!(state().await, SourceState::default());
    let heard = async |when, tested| bed.a.heard(&authentik, at(when), tested).await.unwrap();
    heard(5, false).await;
    heard(4, true).await;
    assert!(log(&bed).await.is_empty());
    // A reader that began before those arrived.
    let swept = SourceState {
        swept_at: Some(at(9)),
        cursor: Some("page=2".into()),
        error: "a 502".into(),
        ..SourceState::default()
    };
    bed.b.put_source_state(&authentik, &swept).await.unwrap();
    let fresh = [Revoked::Groups];
    assert_eq!(log(&bed).await, fresh, "all its words are fresh again");
    let both = SourceState {
        heard_at: Some(at(5)),
        tested_at: Some(at(4)),
        ..swept
    };
    assert_eq!(state().await, both);
    let late = SourceState::default();
    bed.a.put_source_state(&authentik, &late).await.unwrap();
    heard(2, true).await;
    let expected = SourceState {
        cursor: None,
        error: String::new(),
        ..both
    };
    assert_eq!(state().await, expected);
    assert_eq!(log(&bed).await, fresh);
    // Written by a clock that was a day ahead: who comes after it knows better.
    let state_at = |when| SourceState {
        swept_at: Some(at(when)),
        answered_at: Some(at(when + 1)),
        ..SourceState::default()
    };
    bed.a
        .put_source_state(&authentik, &state_at(86_400))
        .await
        .unwrap();
    bed.a
        .put_source_state(&authentik, &state_at(20))
        .await
        .unwrap();
    let now = state().await;
    assert_eq!(
        (now.swept_at, now.answered_at),
        (Some(at(20)), Some(at(21)))
    );
    let all = bed.b.source_states().await.unwrap();
    assert_eq!((all.len(), &all[0].0), (1, &authentik));
}

pub(crate) async fn a_person_told_of_is_pending_until_they_come(bed: Bed) {
    let told = seen("alice", at(5));
    assert_eq!(bed.a.told_of_user(&told, false).await.unwrap(), None);
    let user = bed.a.told_of_user(&told, true).await.unwrap().unwrap();
    assert_eq!(
        (user.state, &user.state_by),
        (UserState::Pending, &StateBy::Nobody)
    );
    let mut renamed = seen("alice", at(6));
    renamed.name = "Alice B".into();
    renamed.groups = vec![auth_manager::types::GroupName::new("x").unwrap()];
    let again = bed.b.told_of_user(&renamed, true).await.unwrap().unwrap();
    assert_eq!((again.id, again.name.as_str()), (user.id, "Alice B"));
    assert!(again.groups.is_empty(), "groups are the assertion's");
    // An older word changes nothing; whoever comes is pending no more, whatever their clock says.
    let older = bed.a.told_of_user(&told, false).await.unwrap().unwrap();
    assert_eq!(older.name, "Alice B");
    let came = bed.a.saw_user(&seen("alice", at(1))).await.unwrap();
    assert_eq!((came.id, came.state), (user.id, UserState::Active));
    let told = bed
        .a
        .told_of_user(&seen("alice", at(9)), true)
        .await
        .unwrap();
    assert_eq!(told.unwrap().state, UserState::Active);
}

pub(crate) async fn who_denied_decides_who_may_lift(bed: Bed) {
    use UserState::{Active, Disabled, Suspended, Tombstoned};
    let (user, session) = bed.visitor("alice", "s1").await;
    let (one, two) = (source("one"), source("two"));
    let says = async |source: &SourceId, state| {
        let by = by();
        let set = bed
            .a
            .directory_sets_state(user.id, source, state, "said", at(1), &by);
        set.await.unwrap().unwrap().0
    };
    let operator = async |state| {
        let by = by();
        let set = bed.a.set_user_state(user.id, state, "ordered", at(2), &by);
        set.await.unwrap().unwrap().0
    };
    let suspended = says(&one, Suspended).await;
    assert_eq!(suspended.state, Suspended);
    assert_eq!(suspended.state_by, StateBy::Directory(one.clone()));
    let ended = bed.b.session(session.id).await.unwrap().unwrap();
    assert!(ended.ended_at.is_some(), "turned away at once");
    assert_eq!(says(&two, Active).await.state, Suspended, "another's");
    assert_eq!(says(&one, Active).await.state, Active);
    assert_eq!(says(&one, Disabled).await.state, Disabled);
    assert_eq!(says(&two, Suspended).await.state, Disabled, "not milder");
    assert_eq!(
        says(&two, Disabled).await.state_by,
        StateBy::Directory(two.clone())
    );
    assert_eq!(says(&one, Active).await.state, Disabled, "it is two's now");
    // An operator lifts it, and takes it over.
    assert_eq!(operator(Active).await.state_by, StateBy::Operator);
    says(&one, Disabled).await;
    assert_eq!(operator(Disabled).await.state_by, StateBy::Operator);
    for state in [Active, Suspended, Disabled, Tombstoned] {
        let kept = says(&one, state).await;
        assert_eq!(
            (kept.state, kept.state_by),
            (Disabled, StateBy::Operator),
            "{state}"
        );
    }
    operator(Active).await;
    says(&one, Tombstoned).await;
    assert_eq!(says(&one, Active).await.state, Tombstoned, "for good");
    assert_eq!(operator(Active).await.state, Active);
}

//! What follows from words: who is turned away, which gate is open, what an app should have.

mod intake;

use super::gate::{self, DecidedBy, Says, View};
use super::index::Index;
use super::standing::{MOVED, Standing, Verdict, Why};
use super::wanted::{AppTerms, WantedState, wanted};
use crate::config::{AccessRule, DirectoryRules, Gate};
use crate::error::Code;
use crate::store::{DirectoryGroup, Person, SaidOf, SourceState, StateBy, User, UserState, Word};
use crate::types::{AppId, GroupName, IssuerId, SourceId, Subject, Timestamp, UserId};
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_800_000_000);
const HOUR: i64 = 3600;

fn ago(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds)
}

fn source(id: &str) -> SourceId {
    SourceId::new(id).unwrap()
}

fn names(names: &[&str]) -> Vec<GroupName> {
    names.iter().map(|n| GroupName::new(*n).unwrap()).collect()
}

/// What a source says of `alice`, a minute ago.
fn word(of: &str, groups: &[&str]) -> Word {
    Word {
        person: Person {
            source: source(of),
            id: format!("{of}-7"),
            aliases: Vec::new(),
            issuer: IssuerId::new("pomerium").unwrap(),
            subject: Some(Subject::new("sub-alice").unwrap()),
            username: "alice".into(),
            name: "Alice".into(),
            email: "alice@example.com".into(),
            email_verified: true,
            locale: None,
            active: true,
            human: true,
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            read_at: ago(60),
            gone_at: None,
        },
        denied_since: None,
        number: 1,
        settled: true,
    }
}

fn inactive(mut word: Word, since: Timestamp) -> Word {
    word.person.active = false;
    word.denied_since = Some(since);
    word
}

fn gone(mut word: Word, since: Timestamp) -> Word {
    word.person.gone_at = Some(since);
    word.denied_since = Some(since);
    word
}

fn group(of: &str, id: &str, name: &str) -> DirectoryGroup {
    DirectoryGroup {
        source: source(of),
        id: id.into(),
        name: name.into(),
        parents: Vec::new(),
        read_at: ago(60),
        gone_at: None,
    }
}

/// A world of words, groups and sweeps.
struct World {
    index: Index,
    standing: Standing,
}

fn world(words: Vec<Word>, groups: &[DirectoryGroup]) -> World {
    pardoned(words, groups, None)
}

fn pardoned(words: Vec<Word>, groups: &[DirectoryGroup], at: Option<Timestamp>) -> World {
    let mut index = Index::of(groups, &[]);
    let said = SaidOf {
        issuer: IssuerId::new("pomerium").unwrap(),
        subject: Subject::new("sub-alice").unwrap(),
        words,
        pardoned_at: at,
    };
    let standing = Standing::of(&said, &mut index);
    World { index, standing }
}

impl World {
    fn view(&self) -> View<'_> {
        View {
            standing: Some(&self.standing),
            index: &self.index,
        }
    }

    fn says(&self, gate: &Gate) -> Says {
        self.view().says(gate, &DirectoryRules::default(), NOW)
    }

    fn judge(&self, rule: &AccessRule, asserted: &[&str]) -> Result<(), Code> {
        self.judge_by(rule, asserted, &DirectoryRules::default())
    }

    fn judge_by(
        &self,
        rule: &AccessRule,
        asserted: &[&str],
        rules: &DirectoryRules,
    ) -> Result<(), Code> {
        gate::judge(rule, &names(asserted), &self.view(), rules, NOW)
    }

    fn alone(&self, rule: &AccessRule) -> Option<Result<(), Code>> {
        gate::by_directories(rule, &self.view(), &DirectoryRules::default(), NOW)
    }
}

fn named(name: &str) -> Gate {
    Gate {
        name: GroupName::new(name).unwrap(),
        id: None,
    }
}

fn bound(name: &str, id: &str) -> Gate {
    Gate {
        id: Some(id.into()),
        ..named(name)
    }
}

fn any(gates: &[Gate]) -> AccessRule {
    AccessRule {
        everyone: false,
        validated: None,
        any_of: gates.to_vec(),
        all_of: Vec::new(),
    }
}

fn chat() -> AccessRule {
    any(&[named("chat")])
}

// ---- the rule by itself ---------------------------------------------------------------------------

fn nobody_said() -> World {
    world(Vec::new(), &[])
}

#[test]
fn the_rule_denies_unless_it_says_otherwise() {
    let mute = any(&[]);
    assert_eq!(
        nobody_said().judge(&mute, &["a"]),
        Err(Code::AccessNotGranted)
    );
    let only_validated = AccessRule {
        validated: Some(named("v")),
        ..any(&[])
    };
    assert_eq!(
        nobody_said().judge(&only_validated, &["v"]),
        Err(Code::AccessNotGranted)
    );
    let everyone = AccessRule {
        everyone: true,
        ..any(&[])
    };
    assert_eq!(nobody_said().judge(&everyone, &[]), Ok(()));
}

#[test]
fn pending_comes_before_not_granted() {
    let rule = AccessRule {
        validated: Some(named("validated")),
        ..chat()
    };
    let judge = |asserted| nobody_said().judge(&rule, asserted);
    assert_eq!(judge(&["chat"]), Err(Code::AccessPending));
    assert_eq!(judge(&["validated"]), Err(Code::AccessNotGranted));
    assert_eq!(judge(&["validated", "chat"]), Ok(()));
}

#[test]
fn names_are_exact() {
    for near in ["Chat", "chat ", "chats", "cha"] {
        assert_eq!(
            nobody_said().judge(&chat(), &[near]),
            Err(Code::AccessNotGranted),
            "{near:?}"
        );
    }
}

#[test]
fn all_means_all_and_any_means_any() {
    let rule = AccessRule {
        all_of: vec![named("c"), named("d")],
        ..any(&[named("a"), named("b")])
    };
    let judge = |asserted| nobody_said().judge(&rule, asserted);
    assert_eq!(judge(&["a", "c"]), Err(Code::AccessNotGranted));
    assert_eq!(judge(&["c", "d"]), Err(Code::AccessNotGranted));
    assert_eq!(judge(&["b", "c", "d"]), Ok(()));
}

// ---- what directories say -------------------------------------------------------------------------

#[test]
fn t10_whoever_a_directory_turns_away_is_out_whatever_the_assertion_says() {
    let everyone = AccessRule {
        everyone: true,
        ..any(&[])
    };
    for (denied, why) in [
        (inactive(word("one", &["g"]), ago(5)), Why::Inactive),
        (gone(word("one", &["g"]), ago(5)), Why::Gone),
        // A denial does not age.
        (
            inactive(word("one", &["g"]), ago(900 * HOUR)),
            Why::Inactive,
        ),
    ] {
        let world = world(vec![denied], &[group("one", "g", "chat")]);
        let denial = world.standing.denial().expect("turned away");
        assert_eq!((denial.why, &denial.source), (why, &source("one")));
        for rule in [&everyone, &chat()] {
            assert_eq!(world.judge(rule, &["chat"]), Err(Code::AccessDisabled));
            assert_eq!(world.alone(rule), Some(Err(Code::AccessDisabled)));
        }
    }
}

#[test]
fn t10_one_sources_no_beats_anothers_yes() {
    let groups = [group("one", "g", "chat"), group("two", "h", "chat")];
    let denied = world(
        vec![word("one", &["g"]), inactive(word("two", &["h"]), ago(5))],
        &groups,
    );
    assert_eq!(denied.judge(&chat(), &["chat"]), Err(Code::AccessDisabled));
    let left = world(vec![word("one", &["g"]), word("two", &[])], &groups);
    assert_eq!(left.says(&named("chat")), Says::No);
    assert_eq!(left.judge(&chat(), &["chat"]), Err(Code::AccessNotGranted));
    // A source that does not know the group has no say about it.
    let ignorant = world(vec![word("one", &["g"]), word("two", &["h"])], &groups[..1]);
    assert_eq!(ignorant.says(&named("chat")), Says::Yes);
}

#[test]
fn an_operator_forgives_what_was_denied_until_then_and_nothing_later() {
    let groups = [group("one", "g", "chat")];
    let denied = || vec![inactive(word("one", &["g"]), ago(100))];
    let forgiven = pardoned(denied(), &groups, Some(ago(99)));
    assert_eq!(forgiven.standing.verdict, Verdict::Unknown);
    // The word itself still gives nothing.
    assert_eq!(forgiven.judge(&chat(), &["chat"]), Ok(()));
    assert_eq!(
        forgiven.judge(&chat(), &["other"]),
        Err(Code::AccessNotGranted)
    );
    // What came in the same second may have come after it.
    for at in [100, 101] {
        let earlier = pardoned(denied(), &groups, Some(ago(at)));
        assert!(earlier.standing.denial().is_some());
    }
    let mut both = denied();
    both.push(gone(word("two", &[]), ago(50)));
    assert!(
        pardoned(both, &groups, Some(ago(99)))
            .standing
            .denial()
            .is_some()
    );
}

#[test]
fn t33_an_id_that_is_gone_leaves_its_subject_to_nobody() {
    // A new person of the same source with the same subject: a user name that was given again.
    let mut newcomer = word("one", &["g"]);
    newcomer.person.id = "one-8".into();
    let world = world(
        vec![gone(word("one", &["g"]), ago(100)), newcomer],
        &[group("one", "g", "chat")],
    );
    assert_eq!(world.judge(&chat(), &["chat"]), Err(Code::AccessDisabled));
}

#[test]
fn a_fresh_word_decides_and_a_stale_one_leaves_it_to_the_assertion() {
    let groups = [group("one", "g", "chat"), group("one", "x", "other")];
    let said = |groups_of: &[&str], age| {
        let mut word = word("one", groups_of);
        word.person.read_at = ago(age);
        world(vec![word], &groups)
    };
    let day = 24 * HOUR;
    assert_eq!(said(&["x"], day).says(&named("chat")), Says::No);
    assert_eq!(said(&["x"], day + 1).says(&named("chat")), Says::Nothing);
    assert_eq!(
        said(&["x"], day).judge(&chat(), &["chat"]),
        Err(Code::AccessNotGranted)
    );
    assert_eq!(said(&["x"], day + 1).judge(&chat(), &["chat"]), Ok(()));
    assert_eq!(said(&["g"], day).judge(&chat(), &["other"]), Ok(()));
    assert_eq!(
        said(&["g"], day + 1).judge(&chat(), &["other"]),
        Err(Code::AccessNotGranted)
    );
    // What a source that only tells (SCIM) said stands, yes and no, until it says otherwise.
    let pushed = |groups_of: &[&str]| {
        let mut world = said(groups_of, 90 * day);
        let state = SourceState {
            heard_at: Some(ago(89 * day)),
            ..SourceState::default()
        };
        world.index.update(&[], &[(source("one"), state)]);
        world
    };
    let configured = DirectoryRules {
        connections: [(source("one"), None)].into(),
        ..DirectoryRules::default()
    };
    let says = |groups_of| {
        pushed(groups_of)
            .view()
            .says(&named("chat"), &configured, NOW)
    };
    assert_eq!((says(&["x"]), says(&["g"])), (Says::No, Says::Yes));
    assert_eq!(
        pushed(&["g"]).judge_by(&chat(), &["other"], &configured),
        Ok(())
    );
    // Nobody could take back what one said that is no longer configured.
    assert_eq!(pushed(&["x"]).says(&named("chat")), Says::Nothing);
    assert_eq!(pushed(&["g"]).says(&named("chat")), Says::Nothing);
    assert_eq!(
        pushed(&["g"]).judge(&chat(), &["other"]),
        Err(Code::AccessNotGranted)
    );
    // A word of a time that has not come gives nothing, and takes what it takes.
    assert_eq!(said(&["g"], -day).says(&named("chat")), Says::Nothing);
    assert_eq!(said(&["x"], -day).says(&named("chat")), Says::No);
    assert_eq!(said(&["g"], -30).says(&named("chat")), Says::Yes);
    // A later complete sweep confirms every word.
    let mut word = word("one", &["x"]);
    word.person.read_at = ago(90 * HOUR);
    let mut swept = world(vec![word], &groups);
    let state = SourceState {
        swept_at: Some(ago(HOUR)),
        ..SourceState::default()
    };
    swept.index.update(&[], &[(source("one"), state)]);
    assert_eq!(swept.says(&named("chat")), Says::No);
}

#[test]
fn an_assertion_without_groups_is_never_given_more_than_it_says() {
    let world = world(vec![word("one", &["g"])], &[group("one", "g", "chat")]);
    assert_eq!(world.judge(&chat(), &["other"]), Ok(()), "it names some");
    // As a Pomerium service account with the person's id does.
    assert_eq!(world.judge(&chat(), &[]), Err(Code::AccessNotGranted));
    let rules = DirectoryRules::default();
    let never = DirectoryRules {
        may_grant: false,
        ..rules.clone()
    };
    assert_eq!(
        world.judge_by(&chat(), &["other"], &never),
        Err(Code::AccessNotGranted)
    );
    let always = DirectoryRules {
        grant_to_empty: true,
        ..rules
    };
    assert_eq!(world.judge_by(&chat(), &[], &always), Ok(()));
}

/// A SCIM connection "scim" that says these groups since `scim` seconds, beside the directory "one",
/// which is asked about whomever it names and said its own `one` seconds ago.
fn beside_scim(says: (&[&str], i64), one: (&[&str], i64)) -> (World, DirectoryRules) {
    let (mut pushed, mut asked) = (word("scim", says.0), word("one", one.0));
    pushed.person.read_at = ago(says.1);
    asked.person.read_at = ago(one.1);
    let groups = [
        group("scim", "g", "chat"),
        group("scim", "x", "other"),
        group("one", "g", "chat"),
        group("one", "x", "other"),
    ];
    let mut world = world(vec![pushed, asked], &groups);
    let heard = SourceState {
        heard_at: Some(ago(says.1)),
        ..SourceState::default()
    };
    world.index.update(&[], &[(source("scim"), heard)]);
    let rules = DirectoryRules {
        connections: [(source("scim"), Some(source("one")))].into(),
        ..DirectoryRules::default()
    };
    (world, rules)
}

/// Recorded (24), and seen again: Authentik makes groups before it says who is in them, loses
/// memberships of people who are new, and never says who is in a group by another one.
#[test]
fn what_scim_was_not_told_shuts_no_gate_that_the_directory_holds_open() {
    let says = |scim: (&[&str], i64), one: (&[&str], i64)| {
        let (world, rules) = beside_scim(scim, one);
        world.view().says(&named("chat"), &rules, NOW)
    };
    assert_eq!(says((&[], 20), (&["g"], 10)), Says::Yes, "asked since");
    assert_eq!(
        says((&[], 900), (&["g"], 600)),
        Says::Yes,
        "however long ago"
    );
    assert_eq!(
        says((&[], 10), (&["g"], 20)),
        Says::Yes,
        "it is being asked"
    );
    // Taken out, and the directory does not answer.
    assert_eq!(says((&[], 299), (&["g"], 600)), Says::Yes);
    assert_eq!(says((&[], 300), (&["g"], 600)), Says::No);
    // It has not answered for long: a connection that says it again begins no new wait.
    assert_eq!(says((&[], 10), (&["g"], HOUR)), Says::Yes);
    assert_eq!(says((&[], 10), (&["g"], HOUR + 1)), Says::No);
    // A clock that was ahead wrote it: nobody waits for that time to come.
    assert_eq!(says((&[], -3600), (&["g"], 10)), Says::No);
    // The directory's own no, whatever the connection says; and its silence.
    assert_eq!(says((&["g"], 10), (&[], 20)), Says::No);
    assert_eq!(says((&[], 20), (&[], 10)), Says::No);
    assert_eq!(says((&[], 20), (&["g"], 25 * HOUR)), Says::No, "too old");
    // A connection beside which nobody is asked.
    let (world, rules) = beside_scim((&[], 20), (&["g"], 10));
    let alone = DirectoryRules {
        connections: [(source("scim"), None)].into(),
        ..rules
    };
    assert_eq!(world.view().says(&named("chat"), &alone, NOW), Says::No);
}

#[test]
fn what_scim_was_not_told_is_taken_away_as_the_directory_says() {
    let groups = |one: (&[&str], i64)| {
        let (world, rules) = beside_scim((&["g", "x"], 10), one);
        let wanted = wanted(&app(), None, &world.view(), &rules, NOW);
        let of = wanted.groups.iter();
        let mut of: Vec<_> = of.map(|g| (g.source.to_string(), g.id.clone())).collect();
        of.sort();
        of
    };
    let of = |source: &str, id: &str| (source.to_owned(), id.to_owned());
    assert_eq!(groups((&["g"], 5)), [of("one", "g"), of("scim", "g")]);
    let both = [
        of("one", "g"),
        of("one", "x"),
        of("scim", "g"),
        of("scim", "x"),
    ];
    assert_eq!(groups((&["g", "x"], 5)), both);
}

#[test]
fn a_bound_gate_is_open_to_its_group_whatever_it_is_called() {
    let gate = bound("chat", "g");
    let rule = any(std::slice::from_ref(&gate));
    let renamed = world(vec![word("one", &["g"])], &[group("one", "g", "talk")]);
    assert_eq!(renamed.judge(&rule, &["talk"]), Ok(()));
    // Deleted, and the name made again: neither the assertion's name nor the new group's helps.
    let mut old = group("one", "g", "chat");
    old.gone_at = Some(ago(9));
    let again = world(
        vec![word("one", &["h"])],
        &[old.clone(), group("one", "h", "chat")],
    );
    assert_eq!(again.judge(&rule, &["chat"]), Err(Code::AccessNotGranted));
    assert_eq!(
        again.judge(&chat(), &["chat"]),
        Ok(()),
        "by name alone it would"
    );
    // Even whoever the source still lists in the group that is gone.
    let listed = world(vec![word("one", &["g"])], &[old]);
    assert_eq!(listed.judge(&rule, &["chat"]), Err(Code::AccessNotGranted));
    // An id that no source has ever named.
    let strange = world(vec![word("one", &["h"])], &[group("one", "h", "chat")]);
    assert_eq!(strange.says(&gate), Says::No);
    // Without a directory's word the name is all there is.
    assert_eq!(nobody_said().judge(&rule, &["chat"]), Ok(()));
}

#[test]
fn a_group_that_is_gone_admits_nobody_by_name() {
    let mut gone = group("one", "g", "chat");
    gone.gone_at = Some(ago(9));
    let world = world(vec![word("one", &["g"])], &[gone]);
    assert_eq!(world.says(&named("chat")), Says::No);
    assert_eq!(world.judge(&chat(), &["chat"]), Err(Code::AccessNotGranted));
}

#[test]
fn a_source_that_never_names_groups_says_nothing_of_them() {
    let mute = world(vec![word("one", &[])], &[]);
    assert_eq!(mute.says(&named("chat")), Says::Nothing);
    assert_eq!(mute.judge(&chat(), &["chat"]), Ok(()));
    assert_eq!(mute.alone(&chat()), None);
    // It does, once it has named one.
    let speaks = world(vec![word("one", &[])], &[group("one", "x", "other")]);
    assert_eq!(speaks.says(&named("chat")), Says::No);
}

#[test]
fn names_change_in_place() {
    let mut world = world(vec![word("one", &["g"])], &[group("one", "g", "chat")]);
    assert_eq!(world.says(&named("chat")), Says::Yes);
    world.index.update(&[group("one", "g", "talk")], &[]);
    assert_eq!(world.says(&named("chat")), Says::No);
    assert_eq!(world.says(&named("talk")), Says::Yes);
}

#[test]
fn directories_alone_decide_only_what_they_say() {
    let groups = [group("one", "g", "chat"), group("one", "v", "validated")];
    let rule = AccessRule {
        validated: Some(named("validated")),
        ..chat()
    };
    let alone = |of: &[&str]| world(vec![word("one", of)], &groups).alone(&rule);
    assert_eq!(alone(&["g", "v"]), Some(Ok(())));
    assert_eq!(alone(&["g"]), Some(Err(Code::AccessPending)));
    assert_eq!(alone(&["v"]), Some(Err(Code::AccessNotGranted)));
    assert_eq!(nobody_said().alone(&rule), None);
    let mut stale = word("one", &["v"]);
    stale.person.read_at = ago(90 * HOUR);
    assert_eq!(world(vec![stale], &groups).alone(&rule), None);
}

#[test]
fn a_decision_names_every_gate_and_who_decided() {
    let groups = [group("one", "g", "chat"), group("one", "v", "validated")];
    let world = world(vec![word("one", &["g"])], &groups);
    let rule = AccessRule {
        validated: Some(named("validated")),
        ..any(&[bound("chat", "g")])
    };
    let rules = DirectoryRules::default();
    let asserted = names(&["validated"]);
    let gates = gate::explain(&rule, &asserted, &world.view(), &rules, NOW);
    let told: Vec<_> = gates
        .iter()
        .map(|g| (g.key, g.directories, g.assertion, g.open, g.decided_by))
        .collect();
    assert_eq!(
        told,
        [
            ("validated", Says::No, true, false, DecidedBy::Directory),
            ("any_of", Says::Yes, false, true, DecidedBy::Directory)
        ]
    );
    assert_eq!(gates[1].sources.len(), 1);
    assert!(gates[1].sources[0].is_in && gates[1].sources[0].source == source("one"));
}

// ---- what an app should have ----------------------------------------------------------------------

fn app() -> AppTerms {
    AppTerms {
        id: AppId::new("chat").unwrap(),
        issuer: IssuerId::new("pomerium").unwrap(),
        access: chat(),
        ahead: true,
    }
}

fn user(state: UserState, by: StateBy, since: Timestamp) -> User {
    User {
        id: UserId::generate(),
        issuer: IssuerId::new("pomerium").unwrap(),
        subject: Subject::new("sub-alice").unwrap(),
        email: String::new(),
        email_verified: false,
        name: String::new(),
        username: None,
        locale: None,
        groups: names(&["chat"]),
        state,
        state_reason: String::new(),
        state_by: by,
        state_since: since,
        created_at: NOW,
        updated_at: NOW,
        epoch: 0,
    }
}

fn what(world: &World, user: Option<&User>, rules: &DirectoryRules) -> WantedState {
    wanted(&app(), user, &world.view(), rules, NOW).account
}

#[test]
fn without_a_directorys_word_nothing_is_given_and_nothing_taken() {
    let rules = DirectoryRules::default();
    let active = user(UserState::Active, StateBy::Nobody, NOW);
    let stays = |world: &World| {
        let wanted = what(world, Some(&active), &rules);
        assert!(matches!(wanted, WantedState::Leave { .. }), "{wanted:?}");
    };
    // The user's asserted groups open the gate, and are not asked.
    stays(&nobody_said());
    let mut stale = word("one", &["g"]);
    stale.person.read_at = ago(90 * HOUR);
    stays(&world(vec![stale], &[group("one", "g", "chat")]));
    stays(&world(vec![word("one", &[])], &[]));
    let mut robot = word("one", &["g"]);
    robot.person.human = false;
    stays(&world(vec![robot], &[group("one", "g", "chat")]));
}

#[test]
fn what_is_said_is_given_and_taken() {
    let groups = [group("one", "g", "chat"), group("one", "x", "other")];
    let rules = DirectoryRules::default();
    let given = world(vec![word("one", &["g", "x"])], &groups);
    let wanted = wanted(&app(), None, &given.view(), &rules, NOW);
    assert_eq!(wanted.account, WantedState::Present);
    let of: Vec<_> = wanted
        .groups
        .iter()
        .map(|g| (g.name.as_str(), g.for_power))
        .collect();
    assert_eq!(of, [("chat", true), ("other", true)]);
    let absent = |wanted| matches!(wanted, WantedState::Absent { .. });
    assert!(absent(what(
        &world(vec![word("one", &["x"])], &groups),
        None,
        &rules
    )));
    let denied = world(vec![inactive(word("one", &["g"]), ago(5))], &groups);
    assert!(absent(what(&denied, None, &rules)));
    // What gives power needs a fresher word.
    let mut older = word("one", &["g"]);
    older.person.read_at = ago(2 * HOUR);
    let older = world(vec![older], &groups);
    let wanted = super::wanted::wanted(&app(), None, &older.view(), &rules, NOW);
    assert_eq!(
        (wanted.groups.len(), wanted.groups[0].for_power),
        (1, false)
    );
}

#[test]
fn accounts_stand_for_a_grace_and_no_longer() {
    let groups = [group("one", "g", "chat")];
    let rules = DirectoryRules {
        grace: Duration::from_secs(600),
        ..DirectoryRules::default()
    };
    let one = StateBy::Directory(source("one"));
    for (since, stands) in [(ago(599), true), (ago(600), false)] {
        let world = world(vec![inactive(word("one", &["g"]), since)], &groups);
        let suspended = user(UserState::Suspended, one.clone(), since);
        for who in [None, Some(&suspended)] {
            let wanted = what(&world, who, &rules);
            assert_eq!(
                matches!(wanted, WantedState::Leave { .. }),
                stands,
                "{wanted:?}"
            );
        }
        // An operator's order has no grace.
        let disabled = user(UserState::Disabled, StateBy::Operator, NOW);
        let wanted = what(&world, Some(&disabled), &rules);
        assert!(matches!(wanted, WantedState::Absent { .. }));
    }
}

#[test]
fn t33_accounts_of_an_id_that_changed_hands_are_nobodys_to_touch() {
    let mut moved = inactive(word("one", &[]), ago(5));
    moved.person.aliases = vec![format!("{MOVED}pomerium/sub-bob")];
    let world = world(vec![moved], &[group("one", "g", "chat")]);
    assert_eq!(world.standing.denial().map(|d| d.why), Some(Why::Moved));
    assert_eq!(world.judge(&chat(), &["chat"]), Err(Code::AccessDisabled));
    let one = StateBy::Directory(source("one"));
    let rules = DirectoryRules::default();
    let disabled = user(UserState::Disabled, one, ago(5));
    let stays = what(&world, Some(&disabled), &rules);
    assert!(matches!(stays, WantedState::Leave { .. }), "{stays:?}");
    let ordered = user(UserState::Disabled, StateBy::Operator, ago(5));
    let taken = what(&world, Some(&ordered), &rules);
    assert!(matches!(taken, WantedState::Absent { .. }), "{taken:?}");
}

#[test]
fn ten_thousand_people_in_two_hundred_groups_stay_small() {
    let ids: Vec<String> = (0..200)
        .map(|n| format!("{n:08}-0000-4000-8000-000000000000"))
        .collect();
    let groups: Vec<_> = ids.iter().map(|id| group("one", id, id)).collect();
    let mut index = Index::of(&groups, &[]);
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    let said = SaidOf {
        issuer: IssuerId::new("pomerium").unwrap(),
        subject: Subject::new("sub-alice").unwrap(),
        words: vec![word("one", &all)],
        pardoned_at: None,
    };
    let standing = Standing::of(&said, &mut index);
    let bytes = size_of::<Standing>() + standing.heap_bytes();
    // Ten megabytes for all of them, less than a thousand bytes each.
    assert!(bytes <= 1000, "{bytes} bytes a person");
}

#[test]
fn a_person_is_explained_at_each_app_of_theirs() {
    let looked = |words: Vec<Word>| {
        let mut index = Index::of(&[group("one", "g", "chat")], &[]);
        let said = SaidOf {
            issuer: IssuerId::new("pomerium").unwrap(),
            subject: Subject::new("sub-alice").unwrap(),
            words,
            pardoned_at: None,
        };
        let standing = Standing::of(&said, &mut index);
        super::explain::Looked::of(standing, index)
    };
    let elsewhere = AppTerms {
        id: AppId::new("notes").unwrap(),
        issuer: IssuerId::new("other").unwrap(),
        ..app()
    };
    let apps = [app(), elsewhere];
    let rules = DirectoryRules::default();
    let alice = user(UserState::Active, StateBy::Nobody, NOW);
    let tell =
        |words, user: &User| super::explain::explain(&apps, user, &looked(words), &rules, NOW);

    let told = tell(vec![word("one", &["g"])], &alice);
    assert_eq!(told.apps.len(), 1, "not at an app of another issuer");
    assert!(told.apps[0].comes_in);
    assert_eq!(told.apps[0].decided_by, "in chat by the directory's word");
    assert_eq!((told.words[0].age, told.words[0].groups.len()), (60, 1));
    let told = tell(vec![word("one", &[])], &alice);
    assert_eq!(told.apps[0].code, Some("access.not_granted"));
    assert_eq!(
        told.apps[0].decided_by,
        "in none of chat by the directory's word"
    );
    let told = tell(vec![inactive(word("one", &["g"]), ago(9))], &alice);
    assert_eq!(told.apps[0].code, Some("access.disabled"));
    assert!(told.apps[0].decided_by.contains("says one since"));
    let told = tell(Vec::new(), &alice);
    assert_eq!(told.apps[0].decided_by, "in chat by the assertion");
    assert!(matches!(
        told.apps[0].wanted.account,
        WantedState::Leave { .. }
    ));
    let disabled = user(UserState::Disabled, StateBy::Operator, NOW);
    let told = tell(vec![word("one", &["g"])], &disabled);
    assert!(told.apps[0].decided_by.starts_with("disabled by operator"));
}

//! `[apps.access]` with groups bound to ids, and `[directory]`.

use super::*;

const ANY: &str = "any_of = [\"mattermost-users\"]";

fn rules(house: &House, text: &str) -> Result<DirectoryRules, ConfigErrors> {
    let config = house.load(&with_store(&format!("{MINIMAL}\n[directory]\n{text}\n")));
    config.map(|config| config.directory)
}

#[test]
fn a_group_may_be_bound_to_an_id() {
    let house = House::new();
    let bound = "validated = { name = \"v\", id = \"id-v\" }\n\
                 any_of = [\"a\", { id = \"id-b\", name = \"b\" }]\nall_of = [\"c\"]";
    let config = house.load(&with_store(MINIMAL).replace(ANY, bound));
    let access = config.unwrap_or_else(|e| panic!("{e}")).apps[0]
        .access
        .clone();
    let told = |gate: &Gate| (gate.name.to_string(), gate.id.as_deref().map(str::to_owned));
    let all: Vec<_> = access
        .validated
        .iter()
        .chain(&access.any_of)
        .chain(&access.all_of)
        .map(told)
        .collect();
    let some = |name: &str, id: Option<&str>| (name.to_owned(), id.map(str::to_owned));
    assert_eq!(
        all,
        [
            some("v", Some("id-v")),
            some("a", None),
            some("b", Some("id-b")),
            some("c", None)
        ]
    );
}

#[test]
fn a_group_that_is_none_is_a_mistake_and_never_left_out() {
    let house = House::new();
    for bad in [
        "7",
        "{ name = \"a\" }",
        "{ id = \"x\" }",
        "{ name = \"a\", id = 7 }",
        "{ name = \"a\", id = \"x\", uuid = \"y\" }",
        "{ name = \"a\", id = \"\" }",
        "{ name = \"a\", id = \" x\" }",
        "{ name = \"\", id = \"x\" }",
        "\" a\"",
        "\"\"",
    ] {
        house.one(
            ANY,
            &format!("any_of = [\"good\", {bad}]"),
            "apps[chat].access.any_of",
        );
        house.one(
            ANY,
            &format!("{ANY}\nall_of = [{bad}]"),
            "apps[chat].access.all_of",
        );
        // Without it everybody would pass for validated.
        house.one(
            ANY,
            &format!("{ANY}\nvalidated = {bad}"),
            "apps[chat].access.validated",
        );
    }
}

#[test]
fn what_directories_say_is_weighed_as_documented() {
    let house = House::new();
    assert_eq!(
        rules(&house, "").unwrap_or_else(|e| panic!("{e}")),
        DirectoryRules::default()
    );
    let other = rules(
        &house,
        "max_age = \"30m\"\nadmin_max_age = \"5m\"\nmay_grant = false\ngrace = \"7d\"",
    );
    let other = other.unwrap_or_else(|e| panic!("{e}"));
    let minutes = |n: u64| Duration::from_secs(n * 60);
    assert_eq!(
        other,
        DirectoryRules {
            max_age: minutes(30),
            admin_max_age: minutes(5),
            may_grant: false,
            grant_to_empty: false,
            grace: minutes(7 * 24 * 60),
            ..DirectoryRules::default()
        }
    );
    // A shorter age is one for power, too.
    let short = rules(&house, "max_age = \"10m\"").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(short.admin_max_age, minutes(10));
    for (text, key) in [
        (
            "max_age = \"1h\"\nadmin_max_age = \"2h\"",
            "directory.admin_max_age",
        ),
        ("max_age = \"0s\"", "directory.max_age"),
        (
            "may_grant = false\ninsecure_grant_without_groups = true",
            "directory.insecure_grant_without_groups",
        ),
    ] {
        let errors = rules(&house, text).expect_err(text).0;
        assert!(
            errors.iter().any(|error| error.key == key),
            "{text}: {errors:#?}"
        );
    }
    let text = format!("{MINIMAL}\n[directory]\ninsecure_grant_without_groups = true\n");
    let weak = house
        .load(&with_store(&text))
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(weak.insecure, ["directory.insecure_grant_without_groups"]);
}

//! Operations on a resource, one by one and at random.

use super::*;
use crate::api::scim::resource::Said;
use crate::store::ScimKind;
use proptest::prelude::*;
use serde_json::json;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user() -> Said {
    let user = json!({
        "userName": "alice", "active": true, "name": { "givenName": "A", "familyName": "B" },
        "emails": [
            { "value": "w@x", "type": "work", "primary": true }, { "value": "h@x", "type": "home" },
        ],
        ENTERPRISE: { "department": "d", "manager": { "value": "m" } },
        "own": ["a"],
    });
    Said::read(ScimKind::User, user, false).unwrap()
}

fn read(operations: Value, strict: bool) -> Result<Patch, ScimError> {
    let body = json!({ "schemas": [SCHEMA], "Operations": operations });
    Patch::read(body.as_object().unwrap(), 1000, strict)
}

fn after(operation: Value) -> Result<Value, ScimError> {
    let patch = read(json!([operation]), false)?;
    apply(&patch, user(), false).map(|said| Value::Object(said.body))
}

fn changed(operation: Value, name: &str) -> Value {
    let shown = operation.to_string();
    let body = after(operation).unwrap_or_else(|error| panic!("{shown}: {error:?}"));
    body.get(name).cloned().unwrap_or_default()
}

#[test]
fn paths_of_every_form_lead_where_they_say() {
    let work = |path: &str, value: Value| json!({ "op": "replace", "path": path, "value": value });
    for (operation, name, wanted) in [
        (work("displayName", json!("x")), "displayName", json!("x")),
        (work("DISPLAYNAME", json!("x")), "displayName", json!("x")),
        (
            work(
                "urn:ietf:params:scim:schemas:core:2.0:User:title",
                json!("x"),
            ),
            "title",
            json!("x"),
        ),
        (
            work("name.givenName", json!("x")),
            "name",
            json!({ "givenName": "x", "familyName": "B" }),
        ),
        // Parts that are not named stay.
        (
            work("name", json!({ "givenName": "x" })),
            "name",
            json!({ "givenName": "x", "familyName": "B" }),
        ),
        (
            work("emails[type eq \"home\"].value", json!("n@x")),
            "emails",
            json!([
                { "value": "w@x", "type": "work", "primary": true }, { "value": "n@x", "type": "home" },
            ]),
        ),
        (
            work("emails[type eq \"home\"]", json!({ "value": "n@x" })),
            "emails",
            json!([{ "value": "w@x", "type": "work", "primary": true }, { "value": "n@x" }]),
        ),
        (work("emails", json!([])), "emails", json!([])),
        (work("emails", Value::Null), "emails", Value::Null),
        (
            work(&format!("{ENTERPRISE}:department"), json!("x")),
            ENTERPRISE,
            json!({ "department": "x", "manager": { "value": "m" } }),
        ),
        (
            work(&format!("{ENTERPRISE}:manager.value"), json!("n")),
            ENTERPRISE,
            json!({ "department": "d", "manager": { "value": "n" } }),
        ),
        (
            work(ENTERPRISE, json!({ "division": "v" })),
            ENTERPRISE,
            json!({ "department": "d", "division": "v", "manager": { "value": "m" } }),
        ),
        (
            json!({ "op": "remove", "path": ENTERPRISE }),
            ENTERPRISE,
            Value::Null,
        ),
        (
            json!({ "op": "remove", "path": format!("{ENTERPRISE}:manager") }),
            ENTERPRISE,
            json!({ "department": "d" }),
        ),
        (
            json!({ "op": "remove", "path": "name.givenName" }),
            "name",
            json!({ "familyName": "B" }),
        ),
        (
            json!({ "op": "remove", "path": "emails[type eq \"work\"]" }),
            "emails",
            json!([{ "value": "h@x", "type": "home" }]),
        ),
        (
            json!({ "op": "remove", "path": "emails[primary eq true].primary" }),
            "emails",
            json!([{ "value": "w@x", "type": "work" }, { "value": "h@x", "type": "home" }]),
        ),
        (
            json!({ "op": "remove", "path": "emails", "value": [{ "value": "w@x" }] }),
            "emails",
            json!([{ "value": "h@x", "type": "home" }]),
        ),
        (
            json!({ "op": "remove", "path": "emails[type eq \"other\"]" }),
            "title",
            Value::Null,
        ),
        (
            json!({ "op": "add", "path": "own", "value": ["a", "b"] }),
            "own",
            json!(["a", "b"]),
        ),
        (
            json!({ "op": "add", "value": { "urn:example:Own:colour": "green" } }),
            "urn:example:Own",
            json!({ "colour": "green" }),
        ),
        // In passing, what is ours is no matter.
        (
            json!({ "op": "replace", "value":
                { "schemas": [], "meta": {}, "groups": [], "title": "x" } }),
            "title",
            json!("x"),
        ),
    ] {
        assert_eq!(changed(operation.clone(), name), wanted, "{operation}");
    }
}

#[test]
fn one_value_is_primary() {
    let add = json!({ "op": "add", "path": "emails", "value":
        [{ "value": "n@x", "primary": true }] });
    let emails = changed(add, "emails");
    assert_eq!(emails[0]["primary"], false);
    assert_eq!(emails[2]["primary"], true);
    let set =
        json!({ "op": "replace", "path": "emails[type eq \"home\"].primary", "value": "True" });
    let emails = changed(set, "emails");
    assert_eq!(
        (&emails[0]["primary"], &emails[1]["primary"]),
        (&json!(false), &json!(true))
    );
}

#[test]
fn what_is_not_there_is_made_as_the_filter_says_unless_strict() {
    let operation = json!([{ "op": "replace",
        "path": "phoneNumbers[type eq \"work\" and primary eq true].value", "value": "1" }]);
    let patch = read(operation, true).unwrap();
    let made = apply(&patch, user(), false).unwrap();
    assert_eq!(
        made.body["phoneNumbers"],
        json!([{ "type": "work", "primary": true, "value": "1" }])
    );
    let refused = apply(&patch, user(), true).unwrap_err();
    assert_eq!(refused.kind(), Some(ScimType::NoTarget));
}

#[test]
fn t31_work_is_bounded_however_it_is_asked_for() {
    let members: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let mut group = Said::read(ScimKind::Group, json!({ "displayName": "g" }), false).unwrap();
    group.members = Some(members);
    let one = json!({ "op": "remove", "path": "members[value eq \"none\"]" });
    let few = read(json!(vec![one.clone(); 50]), false).unwrap();
    assert!(apply(&few, group.clone(), false).is_ok());
    let many = read(json!(vec![one; 1000]), false).unwrap();
    assert!(apply(&many, group, false).is_err());
    let operation = json!({ "op": "remove", "path": "x" });
    assert!(read(json!(vec![operation; 1001]), false).is_err());
}

fn any_value() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(vec!["", "x", "True", "work", "w@x", "é"]).prop_map(Value::from),
    ];
    simple.prop_recursive(3, 12, 3, |inner| {
        let name = prop::sample::select(vec![
            "value",
            "type",
            "primary",
            "userName",
            "name.givenName",
            "emails",
            "members",
            "id",
            "emails[type eq \"work\"].value",
            "groups",
            ENTERPRISE,
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..3).prop_map(|all| {
                let all = all
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(all.collect())
            }),
        ]
    })
}

fn any_operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "Replace", "REMOVE"]);
    let path = prop::option::of(prop::sample::select(vec![
        "userName",
        "active",
        "emails",
        "emails.value",
        "emails[type eq \"work\"]",
        "emails[type eq \"none\"].value",
        "emails[not (value pr)]",
        "name",
        "name.givenName",
        "own",
        "own[value eq \"a\"]",
        "own.x",
        "externalId",
        "members",
        "members[value eq \"x\"]",
        "displayName",
        "urn:example:Own",
        "urn:example:Own:x.y",
    ]));
    (op, path, prop::option::of(any_value())).prop_map(|(op, path, value)| {
        let mut operation = json!({ "op": op });
        if let Some(path) = path {
            operation["path"] = path.into();
        }
        if let Some(value) = value {
            operation["value"] = value;
        }
        operation
    })
}

proptest! {
    #[test]
    fn whatever_is_asked_a_resource_stays_one(
        operations in prop::collection::vec(any_operation(), 1..6),
        strict in any::<bool>(),
        of_group in any::<bool>(),
    ) {
        let Ok(patch) = read(Value::from(operations), strict) else { return Ok(()) };
        let said = match of_group {
            true => Said::read(
                ScimKind::Group,
                json!({ "displayName": "g", "members": [{ "value": "x" }] }),
                false,
            ).unwrap(),
            false => user(),
        };
        if let Ok(after) = apply(&patch, said, strict) {
            // As good as one that is sent whole, and the same again.
            let whole = Value::Object(after.body.clone());
            let read = Said::read(after.kind, whole, false).unwrap();
            prop_assert_eq!(read.body, after.body);
            prop_assert_eq!(after.members.is_some(), of_group);
        }
    }

    #[test]
    fn t31_no_bytes_make_a_parser_panic(text in "\\PC{0,60}", path in ".{0,60}") {
        let _ = crate::api::scim::filter::parse(&text);
        let _ = crate::api::scim::filter::parse_path(&path);
        let _ = after(json!({ "op": "replace", "path": path, "value": text }));
    }
}

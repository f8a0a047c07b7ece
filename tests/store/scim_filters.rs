//! Filters, held against their plain meaning: for any filter the store must find exactly the
//! resources that pass when each is judged by itself.

use crate::bed::Bed;
use crate::scim::make;
use auth_manager::api::scim::filter::{compile, judge, parse};
use auth_manager::api::scim::resource::show;
use auth_manager::store::{ScimKind, ScimResource, ScimSearch};
use auth_manager::types::SourceId;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Texts that are alike in what could be confused.
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "Ab",
    "b",
    "é",
    "É",
    "a%b",
    "a_b",
    "a'b",
    "a\"b",
    "\\",
    "work",
    "home",
    "x ",
    "ß",
    "10",
    "9",
    "true",
    "null",
    "日本",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac",
];

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(TEXTS).prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(0),
        json!(-0.0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(10),
        json!(9),
        json!(1e300),
    ])
}

fn simple() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::String),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => number(),
    ]
}

fn email() -> impl Strategy<Value = Value> {
    (
        text(),
        prop::option::of(text()),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(value, kind, primary)| {
            let mut one = json!({ "value": value });
            if let Some(kind) = kind {
                one["type"] = kind.into();
            }
            if let Some(primary) = primary {
                one["primary"] = primary.into();
            }
            one
        })
}

fn user() -> impl Strategy<Value = Value> {
    (
        prop::option::of(text()),
        prop::option::of(text()),
        prop::option::of(any::<bool>()),
        prop::collection::vec(email(), 0..4),
        prop::option::of(text()),
        prop::option::of(simple()),
        prop::option::of(prop::collection::vec(simple(), 0..3)),
    )
        .prop_map(|(title, family, active, emails, department, extra, list)| {
            let mut user = json!({ "emails": emails });
            if let Some(title) = title {
                user["title"] = title.into();
            }
            if let Some(family) = family {
                user["name"] = json!({ "familyName": family });
            }
            if let Some(active) = active {
                user["active"] = active.into();
            }
            if let Some(department) = department {
                user[ENTERPRISE] = json!({ "department": department });
            }
            if let Some(extra) = extra {
                user["extra"] = extra;
            }
            if let Some(list) = list {
                user["list"] = list.into();
            }
            user
        })
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "title",
        "TITLE",
        "userName",
        "active",
        "name.familyName",
        "name",
        "emails",
        "emails.value",
        "emails.type",
        "emails.primary",
        "extra",
        "list",
        "list.value",
        "id",
        "externalId",
        "nothing",
        "nothing.at",
        "groups",
        "groups.value",
        "schemas",
        "meta.created",
        "meta.resourceType",
        "urn:ietf:params:scim:schemas:core:2.0:User:title",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:Department",
        "urn:other:title",
    ])
    .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => text().prop_map(|text| Value::String(text).to_string()),
        1 => number().prop_map(|number| number.to_string()),
        1 => prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
        1 => Just("\"2027-01-15T08:00:00Z\"".to_owned()),
    ]
}

fn op() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ",
    ])
}

fn comparison(path: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (path, prop::option::weighted(0.85, (op(), value()))).prop_map(|(path, rest)| match rest {
        Some((op, value)) => format!("{path} {op} {value}"),
        None => format!("{path} pr"),
    })
}

fn joined(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} or {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b}) and {a}")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

fn filter() -> impl Strategy<Value = String> {
    let sub = prop::sample::select(vec!["value", "type", "primary", "display", "Type"]);
    let inside = joined(comparison(sub.prop_map(str::to_owned)));
    let attr = prop::sample::select(vec!["emails", "Emails", "list", "name", "nothing"]);
    let brackets = (attr, inside).prop_map(|(attr, inside)| format!("{attr}[{inside}]"));
    joined(prop_oneof![3 => comparison(path()), 1 => brackets])
}

/// What a client would be shown of it.
async fn shown(bed: &Bed, resource: &ScimResource) -> Value {
    let mut whole = show::whole("https://bridge/scim/v2", resource);
    let idp = SourceId::new("idp").unwrap();
    let ids = [resource.id.clone()];
    let groups = bed.a.scim_groups_of(&idp, &ids).await.unwrap();
    let groups: Vec<_> = (groups.iter())
        .filter(|edge| edge.direct)
        .map(|edge| json!({ "value": edge.group }))
        .collect();
    whole.insert("groups".into(), groups.into());
    Value::Object(whole)
}

pub(crate) async fn the_store_finds_what_passes_and_nothing_else(bed: Bed) {
    let idp = SourceId::new("idp").unwrap();
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let seed = [7; 32];
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let mut users = Vec::new();
    for n in 0..60 {
        let mut body = user().new_tree(&mut runner).unwrap().current();
        body["userName"] = format!("{}{n}", if n % 2 == 0 { "Ab" } else { "a" }).into();
        if n % 3 == 0 {
            body["externalId"] = format!("X{n}").into();
        }
        users.push(
            make(&bed.a, "idp", ScimKind::User, body, &[])
                .await
                .unwrap(),
        );
    }
    let some: Vec<_> = users
        .iter()
        .step_by(4)
        .map(|user| user.id.clone())
        .collect();
    let body = json!({ "displayName": "some" });
    make(&bed.a, "idp", ScimKind::Group, body, &some)
        .await
        .unwrap();
    let mut all = Vec::new();
    for user in &users {
        all.push((user.id.clone(), shown(&bed, user).await));
    }

    let (mut asked, mut found_some) = (0, 0);
    for _ in 0..1500 {
        let text = filter().new_tree(&mut runner).unwrap().current();
        let parsed = parse(&text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        // What can't be compared so is refused, and has no meaning to hold it against.
        let Ok(condition) = compile::condition(&parsed, &[ScimKind::User]) else {
            continue;
        };
        let search = ScimSearch {
            kinds: vec![ScimKind::User],
            condition: Some(condition),
            limit: 1000,
            ..ScimSearch::default()
        };
        let found = bed.a.scim_search(&idp, &search).await.unwrap();
        let ids: BTreeSet<_> = found.resources.iter().map(|r| r.id.clone()).collect();
        let wanted: BTreeSet<_> = (all.iter())
            .filter(|(_, shown)| judge::resource(&parsed, ScimKind::User, shown))
            .map(|(id, _)| id.clone())
            .collect();
        assert_eq!(found.total, ids.len() as i64);
        if ids != wanted {
            let odd = ids.symmetric_difference(&wanted).next().unwrap();
            let (_, shown) = all.iter().find(|(id, _)| id == odd).unwrap();
            panic!(
                "{text}\nfound by the store: {}, passes: {}\n{shown:#}",
                ids.contains(odd),
                wanted.contains(odd)
            );
        }
        asked += 1;
        found_some += usize::from(!ids.is_empty() && ids.len() < users.len());
    }
    assert!(
        asked > 700 && found_some > 250,
        "{asked} asked, {found_some} found some"
    );
}

pub(crate) async fn t31_what_a_client_says_is_never_sql(bed: Bed) {
    let idp = SourceId::new("idp").unwrap();
    let body = json!({ "userName": "alice", "title": "x' OR 'a' = 'a" });
    make(&bed.a, "idp", ScimKind::User, body, &[])
        .await
        .unwrap();
    let count = |text: String| {
        let (store, idp) = (bed.a.clone(), idp.clone());
        async move {
            let parsed = parse(&text).unwrap();
            let condition = compile::condition(&parsed, &[ScimKind::User]).unwrap();
            let search = ScimSearch {
                kinds: vec![ScimKind::User],
                condition: Some(condition),
                limit: 10,
                ..ScimSearch::default()
            };
            store.scim_search(&idp, &search).await.unwrap().total
        }
    };
    assert_eq!(count(r#"title eq "x' OR 'a' = 'a""#.into()).await, 1);
    for hostile in [
        r#"userName eq "x' OR '1'='1""#,
        r#"userName co "%""#,
        r#"userName sw "_""#,
        r#"userName eq "?1""#,
        r#"userName eq "$1""#,
        r#"userName eq "\u0000""#,
        r#"userName eq "'; DROP TABLE scim_resources; --""#,
        "a-b.c-d eq 1",
        "urn:x:y.z eq \"1\"",
    ] {
        assert_eq!(count(hostile.into()).await, 0, "{hostile}");
    }
    assert_eq!(count("userName pr".into()).await, 1);
}

pub(crate) async fn pages_come_in_the_order_that_is_asked_for(bed: Bed) {
    let idp = SourceId::new("idp").unwrap();
    for (name, title, mails) in [
        (
            "c",
            Some("B"),
            json!([{ "value": "z@x" }, { "value": "a@x", "primary": true }]),
        ),
        ("a", None, json!([])),
        ("b", Some("a"), json!([{ "value": "b@x" }])),
        ("d", Some("c"), json!([{ "value": "0@x" }])),
    ] {
        let mut body = json!({ "userName": name, "emails": mails });
        if let Some(title) = title {
            body["title"] = title.into();
        }
        make(&bed.a, "idp", ScimKind::User, body, &[])
            .await
            .unwrap();
    }
    let names = |by: &'static str, descending: bool, offset: i64, limit: u32| {
        let (store, idp) = (bed.b.clone(), idp.clone());
        async move {
            let sort = compile::sort(by, descending, &[ScimKind::User]).unwrap();
            let search = ScimSearch {
                kinds: vec![ScimKind::User],
                sort: Some(sort),
                offset,
                limit,
                ..ScimSearch::default()
            };
            let found = store.scim_search(&idp, &search).await.unwrap();
            assert_eq!(found.total, 4);
            let name = |resource: &ScimResource| {
                let body: Value = serde_json::from_str(&resource.body).unwrap();
                body["userName"].as_str().unwrap().to_owned()
            };
            found
                .resources
                .iter()
                .map(name)
                .collect::<Vec<_>>()
                .concat()
        }
    };
    assert_eq!(names("userName", false, 0, 10).await, "abcd");
    assert_eq!(names("userName", true, 0, 10).await, "dcba");
    assert_eq!(names("userName", false, 1, 2).await, "bc");
    assert_eq!(names("userName", false, 0, 0).await, "");
    // What has none comes last, or first when it is turned round.
    assert_eq!(names("title", false, 0, 10).await, "bcda");
    assert_eq!(names("title", true, 0, 10).await, "adcb");
    // Of several the primary one counts.
    assert_eq!(names("emails", false, 0, 10).await, "dcba");
    assert_eq!(names("emails.value", true, 0, 10).await, "abcd");
    assert_eq!(names("meta.created", false, 0, 10).await, "cabd");
    assert_eq!(names("id", true, 0, 10).await, "dbac");
}

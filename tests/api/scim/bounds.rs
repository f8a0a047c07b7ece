//! Everything is bounded, and what is refused is refused in SCIM's words.

use super::{Bed, USER, patch, refused};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_filter_bombs_are_refused() {
    let bed = Bed::start().await;
    bed.user("alice").await;
    let ask = |filter: String| {
        let bed = &bed;
        async move {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter,
            });
            bed.ask("POST", "/Users/.search", body).await
        }
    };
    for bomb in [
        "(".repeat(5000),
        format!("{}userName pr{}", "(".repeat(200), ")".repeat(200)),
        format!("{}userName pr{}", "not (".repeat(200), ")".repeat(200)),
        vec!["userName co \"a\""; 200].join(" or "),
        format!("userName eq \"{}\"", "a".repeat(20_000)),
        format!("emails[{}]", vec!["value pr"; 200].join(" and ")),
        "userName eq".into(),
        "active gt true".into(),
        "members.display eq \"x\"".into(),
    ] {
        let reply = ask(bomb).await;
        assert_eq!(refused(&reply), (400, "invalidFilter".into()), "{reply:?}");
    }
    let most = vec!["userName co \"a\""; 100].join(" or ");
    assert_eq!(ask(most).await.json()["totalResults"], 1);
    let sort = bed.ask("GET", "/Users?sortBy=members", Value::Null).await;
    assert_eq!(refused(&sort), (400, "invalidPath".into()));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_bodies_nesting_and_operations_are_bounded() {
    let bed = Bed::with(crate::desk::settings(), "body = \"64KiB\"").await;
    let user = bed.user("alice").await;
    let path = format!("/Users/{user}");
    // Ten thousand operations, and as many values.
    let one = json!({ "op": "add", "path": "title", "value": "x" });
    let many = patch(json!(vec![one; 1001]));
    assert_eq!(bed.ask("PATCH", &path, many).await.status, 413);
    let steps = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": vec![json!({ "method": "DELETE", "path": "/Users/x" }); 101],
    });
    assert_eq!(bed.ask("POST", "/Bulk", steps).await.status, 413);
    let long = json!({ "userName": "b", "title": "x".repeat(70_000) });
    assert_eq!(bed.ask("POST", "/Users", long).await.status, 413);
    let deep = format!(
        "{{\"userName\":\"b\",\"x\":{}1{}}}",
        "[".repeat(100),
        "]".repeat(100)
    );
    let reply = bed.ask("POST", "/Users", Value::String(deep)).await;
    assert_eq!(refused(&reply), (400, "invalidValue".into()));
    let deeper = format!(
        "{{\"userName\":\"b\",\"x\":{}1{}}}",
        "[".repeat(9000),
        "]".repeat(9000)
    );
    let reply = bed.ask("POST", "/Users", Value::String(deeper)).await;
    assert_eq!(refused(&reply), (400, "invalidSyntax".into()));
    let wide = json!({ "userName": "b", "x": vec![1; 6000] });
    let reply = bed.ask("POST", "/Users", wide).await;
    assert_eq!(refused(&reply), (400, "invalidValue".into()));
    // Nothing of it was made.
    let all = bed.must(200, "GET", "/Users", Value::Null).await;
    assert_eq!(all["totalResults"], 1);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let bed = Bed::start().await;
    let user = bed.user("alice").await;
    let path = format!("/Users/{user}");
    let before = bed.must(200, "GET", &path, Value::Null).await;
    for (body, status, kind) in [
        (json!({}), 400, "invalidValue"),
        (json!({ "userName": "" }), 400, "invalidValue"),
        (json!({ "userName": 1 }), 400, "invalidValue"),
        (json!({ "userName": "x".repeat(300) }), 400, "invalidValue"),
        (
            json!({ "userName": "b", "active": "perhaps" }),
            400,
            "invalidValue",
        ),
        (
            json!({ "userName": "b", "externalId": 7 }),
            400,
            "invalidValue",
        ),
        (
            json!({ "userName": "b", "externalId": "x-alice" }),
            409,
            "uniqueness",
        ),
        (Value::String("{".into()), 400, "invalidSyntax"),
        (json!([1]), 400, "invalidSyntax"),
    ] {
        let reply = bed.ask("POST", "/Users", body.clone()).await;
        assert_eq!(refused(&reply), (status, kind.into()), "{body}");
    }
    let html = [("content-type", "text/html")];
    let reply = bed
        .ask_with("POST", "/Users", &html, json!({ "userName": "b" }))
        .await;
    assert_eq!(reply.status, 415);
    for (operation, kind) in [
        (json!({ "op": "remove" }), "noTarget"),
        (
            json!({ "op": "move", "path": "title", "value": "x" }),
            "invalidSyntax",
        ),
        (json!({ "op": "add", "path": "title" }), "invalidValue"),
        (
            json!({ "op": "add", "path": "emails[type eq", "value": "x" }),
            "invalidPath",
        ),
        (
            json!({ "op": "replace", "path": "id", "value": "x" }),
            "mutability",
        ),
        (
            json!({ "op": "replace", "path": "groups", "value": [] }),
            "mutability",
        ),
        (json!({ "op": "remove", "path": "userName" }), "mutability"),
        (
            json!({ "op": "replace", "path": "userName", "value": "" }),
            "invalidValue",
        ),
        (json!({ "op": "replace", "value": "x" }), "invalidValue"),
    ] {
        // What came before it is undone with it.
        let both = json!([{ "op": "add", "path": "title", "value": "half" }, operation]);
        let reply = bed.ask("PATCH", &path, patch(both)).await;
        assert_eq!(refused(&reply), (400, kind.into()), "{operation}");
    }
    let after = bed.must(200, "GET", &path, Value::Null).await;
    assert_eq!(after, before);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_connection_takes_what_the_schemas_say() {
    let bed = Bed::start().await;
    let ask = |method: &'static str, path: String, body: Value| {
        let bed = &bed;
        async move { bed.ask_as(&bed.other, method, &path, &[], body).await }
    };
    let good = json!({ "schemas": [USER], "userName": "alice", "active": true });
    let made = ask("POST", "/Users".into(), good).await;
    assert_eq!(made.status, 201);
    let path = format!("/Users/{}", made.json()["id"].as_str().unwrap());
    for body in [
        json!({ "userName": "b" }),
        json!({ "schemas": [USER, "urn:example:unknown"], "userName": "b" }),
        json!({ "schemas": [USER], "userName": "b", "own": 1 }),
        json!({ "schemas": [USER], "userName": "b", "active": "False" }),
        json!({ "schemas": [USER], "userName": "b", "emails": { "value": "x" } }),
        json!({ "schemas": [USER], "userName": "b", "title": 1 }),
        json!({ "schemas": [USER], "userName": "b",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {} }),
    ] {
        let reply = ask("POST", "/Users".into(), body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
    }
    for operation in [
        json!({ "op": "Replace", "path": "title", "value": "x" }),
        json!({ "op": "add", "path": "own", "value": "x" }),
        json!({ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "x" }),
        json!({ "op": "replace", "path": "active", "value": "False" }),
    ] {
        let reply = ask("PATCH", path.clone(), patch(json!([operation]))).await;
        assert_eq!(reply.status, 400, "{operation}");
    }
    // 204, unless attributes are asked for.
    let title = || patch(json!([{ "op": "add", "path": "title", "value": "t" }]));
    let silent = ask("PATCH", path.clone(), title()).await;
    assert_eq!((silent.status, silent.text.as_str()), (204, ""));
    assert_eq!(silent.header("etag"), "W/\"2\"");
    let asked = ask("PATCH", format!("{path}?attributes=title"), title()).await;
    assert_eq!((asked.status, &asked.json()["title"]), (200, &json!("t")));
    // A value array would empty the list, by the letter: not done.
    let group = json!({ "schemas": [super::GROUP], "displayName": "g",
        "members": [{ "value": made.json()["id"] }] });
    let group = ask("POST", "/Groups".into(), group).await.json();
    let at = format!("/Groups/{}", group["id"].as_str().unwrap());
    let remove = json!([{ "op": "remove", "path": "members", "value": [{ "value": "x" }] }]);
    assert_eq!(ask("PATCH", at.clone(), patch(remove)).await.status, 400);
    let nobody = json!([{ "op": "add", "path": "members", "value": [{ "value": "nobody" }] }]);
    assert_eq!(ask("PATCH", at, patch(nobody)).await.status, 400);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let bed = Bed::slow().await;
    let mut refused = None;
    for _ in 0..20 {
        let reply = bed.ask("GET", "/Users?count=0", Value::Null).await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    bed.finish().await;
}

//! `auth-manager scim`, beside the running bridge.

use super::Bed;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_says_how_it_is_doing() {
    let bed = Bed::start().await;
    let user = bed.user("alice").await;
    bed.group("staff", &[&user]).await;
    bed.must(
        200,
        "PATCH",
        &format!("/Users/{user}"),
        super::patch(serde_json::json!([{ "op": "replace", "path": "active", "value": false }])),
    )
    .await;
    let bridge = &bed.services.world.bridge;
    let all: Value = serde_json::from_str(&bridge.run(&["scim", "list", "--json"]).await).unwrap();
    let [first, second] = all.as_array().unwrap().as_slice() else {
        panic!("two of them: {all}");
    };
    assert_eq!(
        (&first["id"], &first["clients"][0]),
        (&"idp".into(), &"hook".into())
    );
    let counts = ["active", "inactive", "groups", "due", "gone_lately"];
    let counts: Vec<_> = counts
        .iter()
        .map(|name| first[*name].as_i64().unwrap())
        .collect();
    assert_eq!(counts, [0, 1, 1, 0, 1], "{first}");
    assert!(first["heard_at"].is_i64());
    assert_eq!(
        (&second["heard_at"], &second["strict"]),
        (&Value::Null, &true.into())
    );
    let table = bridge.run(&["scim", "list"]).await;
    assert!(
        table.contains("up to date") && table.contains("never"),
        "{table}"
    );
    bed.finish().await;
}

//! `auth-manager scim`, beside the running bridge.

use super::Bed;
use crate::support::bridge::BINARY;
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
    let config = bed.services.world.bridge.folder().join("auth-manager.toml");
    let list = |json: bool| {
        let mut command = std::process::Command::new(BINARY);
        command.args(["scim", "list", "--config"]).arg(&config);
        if json {
            command.arg("--json");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all: Value = serde_json::from_str(&list(true)).unwrap();
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
    let table = list(false);
    assert!(
        table.contains("up to date") && table.contains("never"),
        "{table}"
    );
    bed.finish().await;
}

use crate::bed::Bed;

fn states(list: &serde_json::Value) -> Vec<String> {
    let all = list.as_array().unwrap().iter();
    all.map(|k| k["state"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_announced_promoted_and_revoked() {
    let bed = Bed::new().await;
    bed.run(&["migrate"]).await.ok();
    let dry = bed.run(&["keys", "rotate", "--dry-run"]).await.ok();
    assert!(dry.contains("the first"), "{dry}");
    bed.run(&["keys", "rotate"]).await.ok();
    let announced = bed.run(&["keys", "rotate"]).await.ok();
    assert!(
        announced.contains("is announced") && announced.contains("sign from"),
        "{announced}"
    );
    let list = bed.run(&["keys", "list", "--json"]).await;
    assert!(!list.out.contains("sealed"), "{list:?}");
    let list = list.json();
    let mut found = states(&list);
    found.sort();
    assert_eq!(found, ["announced", "signing"]);
    let waits = bed.run(&["keys", "rotate"]).await.ok();
    assert!(waits.contains("announced already"), "{waits}");

    let jwks = bed.run(&["keys", "jwks"]).await.json();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    assert!(jwks["keys"][0]["d"].is_null());

    bed.run(&["keys", "rotate", "--now"]).await.ok();
    let list = bed.run(&["keys", "list", "--json"]).await.json();
    let mut found = states(&list);
    found.sort();
    assert_eq!(found, ["retired", "signing"]);

    let all = list.as_array().unwrap();
    let signing = all.iter().find(|k| k["state"] == "signing").unwrap();
    let kid = signing["id"].as_str().unwrap();
    let dry = bed.run(&["keys", "revoke", kid, "--dry-run"]).await.ok();
    assert!(dry.contains("would be revoked; another key signs"), "{dry}");
    bed.run(&["keys", "revoke", &kid[..12]]).await.ok();
    let list = bed.run(&["keys", "list", "--json"]).await.json();
    let mut found = states(&list);
    found.sort();
    assert_eq!(found, ["retired", "revoked", "signing"]);
    let unknown = bed.run(&["keys", "revoke", "nothing"]).await.failed();
    assert!(unknown.contains("keys list"), "{unknown}");
}

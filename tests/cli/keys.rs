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
    let list = bed.run(&["keys", "list", "--json"]).await.json();
    let kinds: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|k| &k["kind"])
        .collect();
    assert_eq!(kinds.len(), 3, "{list}");
    let announced = bed.run(&["keys", "rotate", "--kind", "session"]).await.ok();
    assert!(
        announced.contains("is announced") && announced.contains("sign from"),
        "{announced}"
    );
    let list = bed
        .run(&["keys", "list", "--kind", "session", "--json"])
        .await;
    assert!(!list.out.contains("sealed"), "{list:?}");
    let list = list.json();
    let mut found = states(&list);
    found.sort();
    assert_eq!(found, ["announced", "signing"]);
    let waits = bed.run(&["keys", "rotate", "--kind", "session"]).await.ok();
    assert!(waits.contains("announced already"), "{waits}");

    let jwks = bed.run(&["keys", "jwks"]).await.json();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 4);
    assert!(jwks["keys"][0]["d"].is_null());
    let jwks = bed.run(&["keys", "jwks", "--kind", "session"]).await.json();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);

    bed.run(&["keys", "rotate", "--kind", "session", "--now"])
        .await
        .ok();
    let list = bed
        .run(&["keys", "list", "--kind", "session", "--json"])
        .await
        .json();
    let mut found = states(&list);
    found.sort();
    assert_eq!(found, ["retired", "signing"]);

    let all = list.as_array().unwrap();
    let signing = all.iter().find(|k| k["state"] == "signing").unwrap();
    let kid = signing["id"].as_str().unwrap();
    let dry = bed.run(&["keys", "revoke", kid, "--dry-run"]).await.ok();
    assert!(dry.contains("would be revoked; another key signs"), "{dry}");
    bed.run(&["keys", "revoke", &kid[..12]]).await.ok();
    let list = bed
        .run(&["keys", "list", "--kind", "session", "--json"])
        .await
        .json();
    let mut found = states(&list);
    found.sort();
    assert_eq!(found, ["retired", "revoked", "signing"]);
    let unknown = bed.run(&["keys", "revoke", "nothing"]).await.failed();
    assert!(unknown.contains("keys list"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_every_kind_are_rotated_and_each_by_itself() {
    let bed = Bed::new().await;
    bed.run(&["migrate"]).await.ok();
    bed.run(&["keys", "rotate"]).await.ok();
    let all = bed.run(&["keys", "rotate", "--now"]).await.ok();
    for kind in ["session", "access_token", "introspection"] {
        assert!(all.contains(&format!("{kind}: ")), "{all}");
        let of = ["keys", "list", "--kind", kind, "--json"];
        let mut found = states(&bed.run(&of).await.json());
        found.sort();
        assert_eq!(found, ["retired", "signing"], "{kind}");
    }
    bed.run(&["keys", "rotate", "--kind", "access_token"])
        .await
        .ok();
    let list = bed.run(&["keys", "list", "--json"]).await.json();
    let announced: Vec<_> = (list.as_array().unwrap().iter())
        .filter(|k| k["state"] == "announced")
        .map(|k| k["kind"].as_str().unwrap())
        .collect();
    assert_eq!(announced, ["access_token"]);
    let signing = (list.as_array().unwrap().iter())
        .find(|k| k["state"] == "signing" && k["kind"] == "access_token")
        .unwrap();
    let revoke = ["keys", "revoke", signing["id"].as_str().unwrap()];
    let said = bed.run(&revoke).await.ok();
    assert!(said.contains("services exchange anew"), "{said}");
    let wrong = bed.run(&["keys", "rotate", "--kind", "jewellery"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("access_token"), "{wrong:?}");
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_key_takes_over_and_the_former_is_missed_until_it_has() {
    let bed = Bed::new().await;
    bed.run(&["migrate"]).await.ok();
    bed.run(&["keys", "rotate"]).await.ok();
    let said = bed.run(&["keys", "rewrap"]).await.ok();
    assert!(said.contains("already"), "{said}");

    std::fs::rename(bed.path("master.key"), bed.path("former.key")).unwrap();
    auth_manager::keys::MasterKey::generate_file(&bed.path("master.key")).unwrap();
    // Too early: named, with what hangs on it, by each that would need it.
    let check = bed.run(&["check", "--json"]).await.json();
    let texts = check["verdicts"].to_string();
    assert!(texts.contains("3 signing keys are sealed under"), "{texts}");
    let start = bed.run(&["serve"]).await.failed();
    assert!(
        start.contains("3 signing keys are still sealed under it") && start.contains("--forget"),
        "{start}"
    );
    let refused = bed.run(&["keys", "rewrap"]).await;
    assert!(
        refused.code == 0 && refused.out.contains("already"),
        "{refused:?}"
    );
    let status = bed.run(&["keys", "status", "--json"]).await.json();
    assert_eq!(status["master_keys"][1]["role"], "missing", "{status}");
    let lost = status["master_keys"][1]["id"].as_str().unwrap().to_owned();
    let kept = bed
        .run(&["keys", "rewrap", "--forget", &lost])
        .await
        .failed();
    assert!(kept.contains("3 signing keys are"), "{kept}");

    bed.replace(
        "[keys]\n",
        "[keys]\nformer_master_keys = [{ file = \"former.key\" }]\n",
    );
    let dry = bed.run(&["keys", "rewrap", "--dry-run"]).await.ok();
    assert!(dry.contains("3 records would be"), "{dry}");
    let check = bed.run(&["check", "--json"]).await.json();
    let texts = check["verdicts"].to_string();
    assert!(texts.contains("until then it must stay"), "{texts}");
    let done = bed.run(&["keys", "rewrap", "--json"]).await;
    assert_eq!(
        done.json(),
        serde_json::json!({ "done": 3, "left": 0, "refused": [] })
    );
    // On record once, by whom: not the runs that found nothing to do, were refused or only tried.
    let list = ["audit", "list", "--kind", "key.rewrapped", "--json"];
    let recorded = bed.run(&list).await.json();
    assert_eq!(recorded.as_array().unwrap().len(), 1, "{recorded}");
    let record = &recorded[0]["record"];
    assert_eq!(record["actor"]["type"], "operator");
    assert_eq!(record["detail"]["done"], 3);
    let shown = bed.run(&["keys", "status"]).await.ok();
    assert!(shown.contains("may be taken out"), "{shown}");
    let check = bed.run(&["check", "--json"]).await.json();
    let texts = check["verdicts"].to_string();
    assert!(texts.contains("it may be taken out"), "{texts}");

    bed.replace("former_master_keys = [{ file = \"former.key\" }]\n", "");
    std::fs::remove_file(bed.path("former.key")).unwrap();
    let jwks = bed.run(&["keys", "jwks"]).await.json();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_master_key_that_is_lost_can_be_ended() {
    let bed = Bed::new().await;
    bed.run(&["migrate"]).await.ok();
    let session = bed.visitor("alice").await;
    // Sealed by a key that nobody has: nine bytes say so.
    let db = rusqlite::Connection::open(bed.path("store.db")).unwrap();
    let seal = [&[1, 9, 9, 9, 9, 9, 9, 9, 9][..], &[0; 40]].concat();
    db.execute("UPDATE sessions SET sealed = ?1", [seal])
        .unwrap();
    let start = bed.run(&["serve"]).await.failed();
    assert!(
        start.contains("0909090909090909 is not configured"),
        "{start}"
    );
    assert!(start.contains("1 session is still"), "{start}");
    let dry = bed.run(&[
        "keys",
        "rewrap",
        "--forget",
        "0909090909090909",
        "--dry-run",
    ]);
    let dry = dry.await.ok();
    assert!(dry.contains("1 session would end"), "{dry}");
    bed.run(&["keys", "rewrap", "--forget", "0909090909090909"])
        .await
        .ok();
    let id = session.id.to_string();
    let shown = bed.run(&["sessions", "list", "--all", "--json"]).await;
    assert!(shown.out.contains(&id) || shown.code != 0, "{shown:?}");
    let status = bed.run(&["keys", "status", "--json"]).await.json();
    assert_eq!(
        status["master_keys"].as_array().unwrap().len(),
        1,
        "{status}"
    );
}

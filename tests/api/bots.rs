//! `auth-manager bots`: made, adopted, rotated, settled after a crash, removed.

use crate::support::caller::{Served, code};
use crate::support::eventually;
use auth_manager::demo::mattermost::{Fault, NewUser};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

fn ours(served: &Served) -> usize {
    let tokens = served.world.mattermost.access_tokens_of("reports");
    (tokens.iter())
        .filter(|(description, _)| description.starts_with("auth-manager reports "))
        .count()
}

async fn listed(served: &Served, arguments: &[&str]) -> Value {
    let all = [&["bots", "list", "--json"], arguments].concat();
    let text = served.world.run(&all).await;
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_is_taken_listed_and_removed() {
    let served = Served::start().await;
    let mattermost = &served.world.mattermost;
    assert_eq!(listed(&served, &[]).await, json!([]));
    // No bot may make another: the command says who does.
    let add = ["bots", "add", "chat", "reports"];
    for arguments in [&add[..], &[&add[..], &["--dry-run"]].concat()] {
        let refused = served.world.bridge.command(arguments).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let told = said.contains("mmctl --local user convert reports --bot");
        assert!(!refused.status.success() && told, "{said}");
    }
    mattermost.create_user(NewUser {
        username: "reports".into(),
        bot: true,
        ..NewUser::default()
    });
    let dry = served.world.run(&[&add[..], &["--dry-run"]].concat()).await;
    assert!(
        dry.contains("would be taken") && ours(&served) == 0,
        "{dry}"
    );
    let made = served.world.run(&[&add[..], &["--json"]].concat()).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(
        (&made["settled"], &made["services"]),
        (&json!(true), &json!(["reports"]))
    );
    served.ready().await;
    assert_eq!(listed(&served, &["--check"]).await[0]["note"], "accepted");
    let again = served
        .world
        .bridge
        .command(&["bots", "add", "chat", "reports"])
        .await;
    assert!(!again.status.success());
    // A token made by hand is nobody's here.
    mattermost.issue_access_token("reports").unwrap();
    let dry = served
        .world
        .run(&["bots", "remove", "chat", "reports", "--dry-run"])
        .await;
    assert!(
        dry.contains("reports can no longer call the app") && ours(&served) == 1,
        "{dry}"
    );
    served
        .world
        .run(&["bots", "remove", "chat", "reports"])
        .await;
    assert_eq!(ours(&served), 0);
    assert_eq!(mattermost.access_tokens_of("reports").len(), 1);
    eventually("the bridge has forgotten it", async || {
        let answer = served.reports.get("/api/v4/users/me").await;
        (answer.status == 503).then(|| assert_eq!(code(&answer), "service.bot_missing"))
    })
    .await;
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_bot_without_power_is_adopted() {
    let served = Served::start().await;
    let mattermost = &served.world.mattermost;
    for (username, bot, roles, deactivated) in [
        ("person", false, "", false),
        ("powerful", true, "system_user system_admin", false),
        ("disabled", true, "", true),
    ] {
        mattermost.create_user(NewUser {
            username: username.into(),
            bot,
            roles: roles.into(),
            deactivated,
            ..NewUser::default()
        });
    }
    // The bridge's own bot is the last.
    for username in ["person", "powerful", "disabled", "pomerium-bridge"] {
        let arguments = ["bots", "add", "chat", "reports", "--username", username];
        let refused = served.world.bridge.command(&arguments).await;
        assert!(!refused.status.success(), "{username}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(username), "{said}");
        // What is only tried promises no more.
        let tried = [&arguments[..], &["--dry-run"]].concat();
        let refused = served.world.bridge.command(&tried).await;
        assert!(!refused.status.success(), "{username}: {refused:?}");
    }
    assert_eq!(listed(&served, &[]).await, json!([]));
    let arguments = [
        "bots",
        "add",
        "chat",
        "reports",
        "--username",
        "powerful",
        "--administrator",
    ];
    served.world.run(&arguments).await;
    served.ready().await;
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_load_costs_no_call() {
    let served = Served::start().await.with_bot().await;
    let former = served.token();
    let (stop, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let square = served.world.town_square();
    let callers: Vec<_> = (0..3)
        .map(|n| {
            let (caller, stop, calls) = (served.reports.clone(), stop.clone(), calls.clone());
            let square = square.clone();
            tokio::spawn(async move {
                let post = json!({ "channel_id": square, "message": "x" });
                while !stop.load(Ordering::Relaxed) {
                    let answer = match n {
                        0 => caller.post("/api/v4/posts", &post).await,
                        _ => caller.get("/api/v4/users/me").await,
                    };
                    assert!(
                        matches!(answer.status, 200 | 201),
                        "{} {}",
                        answer.status,
                        answer.text()
                    );
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let dry = served
        .world
        .run(&["bots", "rotate", "chat", "reports", "--dry-run"])
        .await;
    assert!(dry.contains("would get another token") && served.token() == former);
    for _ in 0..2 {
        served
            .world
            .run(&["bots", "rotate", "chat", "reports"])
            .await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call failed");
    }
    assert!(calls.load(Ordering::Relaxed) > 20);
    assert_ne!(served.token(), former);
    assert_eq!(ours(&served), 1);
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rotations_at_once_leave_one_token_that_works() {
    let served = Served::start().await.with_bot().await;
    let rotate = ["bots", "rotate", "chat", "reports"];
    let (a, b) = tokio::join!(
        served.world.bridge.command(&rotate),
        served.world.bridge.command(&rotate)
    );
    assert!(a.status.success() && b.status.success(), "{a:?} {b:?}");
    assert_eq!(ours(&served), 1);
    served.ready().await;
    assert_eq!(listed(&served, &["--check"]).await[0]["note"], "accepted");
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_a_rotation_that_stops_anywhere_is_finished_later() {
    let mut served = Served::start().await.with_bot().await;
    let mattermost = served.world.mattermost.clone();
    let rotate = ["bots", "rotate", "chat", "reports"];
    // The token is made, and nobody is told: the former one stays in use.
    let former = served.token();
    mattermost.set_fault_times(Fault::DropAfter, "/api/v4/users/", 1);
    let failed = served.world.bridge.command(&rotate).await;
    assert!(!failed.status.success());
    mattermost.clear_faults();
    assert_eq!(ours(&served), 2);
    assert_eq!(served.reports.get("/api/v4/users/me").await.status, 200);
    // The next rotation clears what was lost, and the former one.
    served.world.run(&rotate).await;
    assert_eq!(ours(&served), 1);
    assert_ne!(served.token(), former);
    // The new one is in use, and the former one could not be revoked.
    let former = served.token();
    let fault = Fault::Status(
        503,
        "{\"id\":\"x\",\"message\":\"x\",\"status_code\":503}".into(),
    );
    mattermost.set_fault(fault, "/api/v4/users/tokens/revoke");
    let failed = served.world.bridge.command(&rotate).await;
    assert!(!failed.status.success());
    assert_eq!(listed(&served, &[]).await[0]["settled"], false);
    assert_eq!(served.reports.get("/api/v4/users/me").await.status, 200);
    assert_ne!(served.token(), former);
    assert_eq!(ours(&served), 2);
    mattermost.clear_faults();
    // A bridge that starts finishes it.
    served.world.bridge.kill().await;
    served.restart().await;
    eventually("the bot is settled", async || {
        (ours(&served) == 1).then_some(())
    })
    .await;
    assert_ne!(served.token(), former);
    assert_eq!(served.reports.get("/api/v4/users/me").await.status, 200);
    assert_eq!(listed(&served, &[]).await[0]["settled"], true);
    served.world.finish().await;
}

/// What operators ordered of bots, as the audit trail has it.
async fn ordered(served: &Served) -> Vec<Value> {
    let trail = served.world.trail().await;
    let records = trail.iter().map(|r| serde_json::from_str(r).unwrap());
    records
        .filter(|r: &Value| r["kind"] == "bot.ordered")
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ordered_of_a_bot_is_on_record_first_or_not_done() {
    let served = Served::start().await.with_bot().await;
    let mattermost = served.world.mattermost.clone();
    let former = served.token();
    for arguments in [
        ["bots", "rotate", "chat", "reports", "--dry-run"],
        ["bots", "remove", "chat", "reports", "--dry-run"],
    ] {
        served.world.run(&arguments).await;
    }
    assert_eq!(ordered(&served).await.len(), 1, "a try is no order");
    served
        .world
        .run(&["bots", "rotate", "chat", "reports"])
        .await;
    // What fails behind it was ordered all the same.
    let fault = Fault::Status(
        503,
        "{\"id\":\"x\",\"message\":\"x\",\"status_code\":503}".into(),
    );
    mattermost.set_fault(fault, "/api/v4/users/tokens/revoke");
    let remove = ["bots", "remove", "chat", "reports"];
    assert!(!served.world.bridge.command(&remove).await.status.success());
    mattermost.clear_faults();
    served.world.run(&remove).await;
    let orders: Vec<_> = (ordered(&served).await.iter())
        .map(|r| {
            assert_eq!(
                (&r["actor"]["type"], &r["app"]),
                (&json!("operator"), &json!("chat"))
            );
            assert_eq!(r["detail"]["bot"], "reports");
            r["detail"]["order"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(orders, ["add", "rotate", "remove", "remove"]);
    assert_ne!(former, "");

    // A trail that can't be written: nothing is done.
    served.world.run(&["bots", "add", "chat", "reports"]).await;
    let store = served.world.bridge.folder().join("auth-manager.db");
    let change = |sql: &str| {
        let db = rusqlite::Connection::open(&store).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        db.execute_batch(sql).unwrap();
    };
    change("ALTER TABLE audit_records RENAME TO audit_away");
    let token = served.token();
    for order in ["rotate", "remove"] {
        let refused = served
            .world
            .bridge
            .command(&["bots", order, "chat", "reports"])
            .await;
        assert!(!refused.status.success(), "{order}");
    }
    assert_eq!((served.token(), ours(&served)), (token, 1));
    change("ALTER TABLE audit_away RENAME TO audit_records");
    served.ready().await;
    served.world.finish().await;
}

/// What `check` says of bots: about, level and text; and whether it found errors.
async fn checked(served: &Served) -> (Vec<(String, String, String)>, bool) {
    let output = served.world.bridge.command(&["check", "--json"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    served.world.taint.operator("check", &said);
    let report: Value = serde_json::from_str(&said).unwrap();
    let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let all = report["verdicts"].as_array().unwrap().iter();
    let ours = all.filter(|v| text(v, "about").contains(": bot "));
    let ours = ours.map(|v| (text(v, "about"), text(v, "level"), text(v, "text")));
    (ours.collect(), output.status.code() == Some(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_has_a_line_for_each_bot_and_names_what_is_wrong_with_it() {
    let mut served = Served::start().await;
    let mattermost = served.world.mattermost.clone();
    let says = async |served: &Served, level: &str, words: &str| {
        let (lines, errors) = checked(served).await;
        let [(about, found, text)] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!(
            (about.as_str(), found.as_str()),
            ("app chat: bot reports", level),
            "{text}"
        );
        assert!(text.contains(words), "{text}");
        assert_eq!(errors, level == "error", "{lines:?}");
    };
    says(
        &served,
        "error",
        "has no token yet: reports can call nothing",
    )
    .await;
    served = served.with_bot().await;
    says(&served, "ok", "the app accepts it as reports, for reports").await;
    // What became of the account since.
    mattermost.set_roles("reports", "system_user system_admin");
    says(&served, "warning", "has a role beyond system_user").await;
    mattermost.set_roles("reports", "system_user");
    mattermost.revoke_access_tokens("reports");
    says(&served, "error", "the app does not accept its token").await;
    served
        .world
        .run(&["bots", "rotate", "chat", "reports"])
        .await;
    says(&served, "ok", "the app accepts it").await;
    // A token that is sealed for another name, or by nobody we know.
    let store = served.world.bridge.folder().join("auth-manager.db");
    let change = |sql: &str| {
        let db = rusqlite::Connection::open(&store).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        db.execute_batch(sql).unwrap();
    };
    change("UPDATE bots SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)");
    says(&served, "error", "its sealed token does not open").await;
    served
        .world
        .run(&["bots", "rotate", "chat", "reports"])
        .await;

    // One that the operator manages, an administrator; and one that nobody is any more.
    let file = served.world.bridge.folder().join("service.token");
    mattermost.create_user(NewUser {
        username: "powerful".into(),
        bot: true,
        roles: "system_user system_admin".into(),
        ..NewUser::default()
    });
    let (_, token) = mattermost.issue_access_token("powerful").unwrap();
    std::fs::write(&file, token).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let by_file = format!("bot_token = {{ file = {file:?} }}");
    served
        .reload(|text| text.replace("bot = \"reports\"", &by_file))
        .await;
    let (lines, errors) = checked(&served).await;
    let [powerful, unused] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(
        (powerful.0.as_str(), powerful.1.as_str(), errors),
        ("app chat: bot of reports", "warning", false),
        "{lines:?}"
    );
    assert!(
        powerful
            .2
            .contains("powerful has a role beyond system_user"),
        "{lines:?}"
    );
    assert_eq!(
        (unused.0.as_str(), unused.1.as_str()),
        ("app chat: bot reports", "note")
    );
    assert!(unused.2.contains("no service is it"), "{lines:?}");
    served.world.finish().await;
}

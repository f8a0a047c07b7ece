//! `/bridge/{app}`: what an app is to a visitor, told to a service that passes their assertion on,
//! and to the visitor themselves.

use crate::support::caller::{Caller, Served, code};
use crate::support::client::{Client, Request};
use crate::support::wire::Response;
use auth_manager::demo::door::{Minter, Person, alice, bob, denis, nora, paul};
use serde_json::Value;

fn about(method: &str, assertion: &str) -> Request {
    Request::new(method, "/bridge/chat").assertions(&[assertion])
}

/// A visitor whom a service introduces.
fn visitor(served: &Served, person: Person) -> Client {
    served.world.client(person)
}

fn assertion(served: &Served, visitor: &Client) -> String {
    let token = served.world.minter.mint(&visitor.claims()).unwrap();
    served
        .world
        .taint
        .private(token.rsplit('.').next().unwrap());
    token
}

async fn ask(served: &Served, caller: &Caller, method: &str, visitor: &Client) -> Value {
    let answer = caller
        .send(&about(method, &assertion(served, visitor)))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

/// Asks until the account is made.
async fn prepared(served: &Served, caller: &Caller, visitor: &Client) -> Value {
    crate::support::eventually("the visit is prepared", async || {
        let answer = ask(served, caller, "POST", visitor).await;
        (answer["state"] != "preparing").then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_changes_nothing_and_preparing_is_the_first_page() {
    let served = Served::start().await;
    let mut alice = visitor(&served, alice());
    for _ in 0..2 {
        let looked = ask(&served, &served.reports, "GET", &alice).await;
        assert_eq!(looked["state"], "new");
        assert_eq!(looked["next"], "https://chat.example.test/");
        assert!(
            looked.get("user").is_none() && looked.get("cookies").is_none(),
            "{looked}"
        );
    }
    assert_eq!(
        served.world.run(&["users", "list", "--json"]).await.trim(),
        "[]"
    );
    assert_eq!(served.world.mattermost.users_created(), 0);
    let ready = prepared(&served, &served.reports, &alice).await;
    assert_eq!(
        (&ready["state"], &ready["account"]["state"]),
        (&"ready".into(), &"linked".into())
    );
    assert_eq!(ready["account"]["username"], "alice");
    assert_eq!(served.world.mattermost.logins_performed(), 1);
    // The cookies are the visit's own: with them, and an assertion of the same sign-in, the page is
    // there at once; without an assertion they open nothing.
    let cookies: Vec<&str> = (ready["cookies"].as_array().unwrap().iter())
        .map(|text| text.as_str().unwrap())
        .collect();
    assert_eq!(cookies.len(), 3);
    assert!(
        cookies[0].starts_with("MMAUTHTOKEN=") && cookies[0].contains("HttpOnly"),
        "{cookies:?}"
    );
    for text in &cookies {
        let (pair, _) = text.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        alice.cookies.insert(name.into(), value.into());
    }
    served.world.taint.private(
        cookies[0]
            .split('.')
            .nth(2)
            .unwrap()
            .split(';')
            .next()
            .unwrap(),
    );
    let page = alice.send(alice.page("/")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let without = alice.send(alice.page("/").assertions(&[])).await;
    assert_eq!(without.status, 401);
    assert_eq!(served.world.mattermost.logins_performed(), 1);
    let looked = ask(&served, &served.reports, "GET", &alice).await;
    assert_eq!(looked["state"], "ready");
    assert!(looked["session"]["until"].as_i64() > looked["session"]["since"].as_i64());
    assert!(looked.get("cookies").is_none());
    // A client without that scope prepares, and gets no cookies.
    let bob = visitor(&served, bob());
    let ready = prepared(&served, &served.other, &bob).await;
    assert!(
        ready["state"] == "ready" && ready.get("cookies").is_none(),
        "{ready}"
    );
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_is_what_the_next_page_would_meet() {
    let served = Served::start().await;
    let (paul, nora) = (visitor(&served, paul()), visitor(&served, nora()));
    let denis = visitor(&served, denis());
    prepared(&served, &served.reports, &denis).await;
    served.world.disable(&denis.person).await;
    crate::support::eventually("denis is turned away", || {
        let mut denis = denis.clone();
        async move { (denis.send(denis.page("/")).await.status == 403).then_some(()) }
    })
    .await;
    for (mut visitor, code) in [
        (paul, "access.pending"),
        (nora, "access.not_granted"),
        (denis, "access.disabled"),
    ] {
        for method in ["GET", "POST"] {
            let told = ask(&served, &served.reports, method, &visitor).await;
            assert_eq!(
                (&told["state"], &told["code"]),
                (&"refused".into(), &code.into()),
                "{told}"
            );
            assert!(told.get("next").is_none() && told.get("cookies").is_none());
        }
        let page = visitor.send(visitor.page("/")).await;
        assert_eq!(page.status, 403);
        assert!(page.text().contains(code), "{}", page.text());
    }
    // Logged out is signed out, here as there.
    let mut alice = served.world.signed_in(alice()).await;
    alice.send(alice.api("POST", "/api/v4/users/logout")).await;
    for method in ["GET", "POST"] {
        let told = ask(&served, &served.reports, method, &alice).await;
        assert_eq!(told["state"], "signed_out");
        assert_eq!(told["next"], "https://chat.example.test/.pomerium/sign_out");
    }
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_an_assertion_must_be_for_this_app_good_and_alone() {
    let served = Served::start().await;
    let alice = visitor(&served, alice());
    let minted =
        |claims: &auth_manager::demo::door::Claims| served.world.minter.mint(claims).unwrap();
    let claims = || alice.claims();
    let stranger = Minter::generate().unwrap().mint(&claims()).unwrap();
    let wrong = [
        (
            minted(
                &claims()
                    .set("aud", "notes.example.test")
                    .set("iss", "notes.example.test"),
            ),
            "assertion.",
        ),
        (
            minted(&claims().set("iat", 1_000).set("exp", 1_300)),
            "assertion.expired",
        ),
        (
            minted(&claims().set("sub", "").set("user", "")),
            "assertion.anonymous",
        ),
        (stranger, "assertion."),
        ("x.y.z".to_owned(), "assertion."),
        (String::new(), "assertion.malformed"),
    ];
    let refused = |answer: &Response, inner: &str| {
        assert_eq!(
            (answer.status, code(answer).as_str()),
            (422, "api.assertion")
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(inner), "{detail}");
    };
    for (token, inner) in &wrong {
        refused(&served.reports.send(&about("POST", token)).await, inner);
    }
    refused(
        &served
            .reports
            .send(&Request::new("GET", "/bridge/chat"))
            .await,
        "assertion.missing",
    );
    let good = assertion(&served, &alice);
    let two = Request::new("GET", "/bridge/chat").assertions(&[&good, &good]);
    refused(&served.reports.send(&two).await, "assertion.duplicate");
    // It says whom it is about, never who asks.
    let address = served.reports.address;
    let plain =
        format!("GET /bridge/chat HTTP/1.1\r\nHost: a\r\nX-Pomerium-Jwt-Assertion: {good}\r\n\r\n");
    let bytes = crate::support::wire::exchange_raw(address, plain.as_bytes()).await;
    assert!(!String::from_utf8_lossy(&bytes).contains("200 OK"));
    assert_eq!(
        served.world.run(&["users", "list", "--json"]).await.trim(),
        "[]"
    );
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_that_is_passed_on_is_no_replay_and_good_for_one_client_only() {
    let mut served = Served::start().await;
    let mut alice = served.world.signed_in(alice()).await;
    let token = assertion(&served, &alice);
    // The visitor used it, and the service they used it at passes it on.
    let used = alice.api("GET", "/api/v4/users/me").assertions(&[&token]);
    assert_eq!(alice.send(used).await.status, 200);
    for _ in 0..4 {
        assert_eq!(served.reports.send(&about("GET", &token)).await.status, 200);
    }
    let fifth = served.reports.send(&about("GET", &token)).await;
    assert_eq!(
        (fifth.status, code(&fifth).as_str()),
        (422, "api.assertion")
    );
    let other = served.other.send(&about("GET", &token)).await;
    assert!(
        other.json()["detail"]
            .as_str()
            .unwrap()
            .contains("assertion.replayed")
    );
    // It was no use of it there either: Envoy's retry of the visitor's own request still passes.
    let again = alice.api("GET", "/api/v4/users/me").assertions(&[&token]);
    assert_eq!(alice.send(again).await.status, 200);
    // A client that is not listed for the host speaks for nobody.
    served
        .reload(|text| text.replacen("hosts = [\"chat.example.test\"]", "hosts = []", 1))
        .await;
    let token = assertion(&served, &alice);
    let answer = served.reports.send(&about("GET", &token)).await;
    assert_eq!((answer.status, code(&answer).as_str()), (403, "api.host"));
    // Nor was the assertion used up by asking.
    assert_eq!(served.other.send(&about("GET", &token)).await.status, 200);
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_is_one_clients_wherever_it_is_passed_on() {
    let files = "https://files.example.test";
    let mut served = Served::start().await;
    let exchanges = |text: &str| {
        let text = text.replace(
            "scopes = [\"bridge\"]",
            &format!("scopes = [\"bridge\", \"exchange\"]\naudiences = [{files:?}]"),
        );
        format!("{text}\n[[audiences]]\nid = {files:?}\n")
    };
    served.reload(exchanges).await;
    let alice = served.world.signed_in(alice()).await;
    let exchange = |token: &str| {
        let form = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("audience", files),
        ];
        let body = form.map(|(name, value)| format!("{name}={}", value.replace(':', "%3A")));
        Request::new("POST", "/api/v1/oauth/exchange")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.join("&"))
    };
    // Introduced by one, it is traded by no other.
    let token = assertion(&served, &alice);
    assert_eq!(served.reports.send(&about("GET", &token)).await.status, 200);
    let traded = served.other.send(&exchange(&token)).await;
    assert_eq!(traded.status, 400, "{}", traded.text());
    // Nor the other way round; whoever traded it may introduce as well.
    let token = assertion(&served, &alice);
    let traded = served.other.send(&exchange(&token)).await;
    assert_eq!(traded.status, 200, "{}", traded.text());
    let answer = traded.json();
    let traded = answer["access_token"].as_str().unwrap();
    served
        .world
        .taint
        .private(traded.rsplit('.').next().unwrap());
    let stolen = served.reports.send(&about("GET", &token)).await;
    let detail = stolen.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        stolen.status == 422 && detail.contains("assertion.replayed"),
        "{detail}"
    );
    assert_eq!(served.other.send(&about("GET", &token)).await.status, 200);
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_visit_is_on_record_with_the_client_that_asked() {
    let served = Served::start().await;
    let (alice, bob) = (visitor(&served, alice()), visitor(&served, bob()));
    prepared(&served, &served.reports, &alice).await;
    // Again: the session is there, and the cookies are handed over all the same.
    let ready = ask(&served, &served.reports, "POST", &alice).await;
    assert_eq!(ready["cookies"].as_array().unwrap().len(), 3);
    prepared(&served, &served.other, &bob).await;
    let trail: Vec<Value> = (served.world.trail().await.iter())
        .map(|record| serde_json::from_str(record).unwrap())
        .collect();
    let of = |kind: &str| -> Vec<&Value> { trail.iter().filter(|r| r["kind"] == kind).collect() };
    for kind in ["session.started", "account.created"] {
        let by: Vec<_> = (of(kind).iter())
            .map(|r| &r["detail"]["introduced_by"])
            .collect();
        assert_eq!(by, ["reports", "other"], "{kind}: {trail:#?}");
    }
    let writes = of("api.write");
    let handed: Vec<_> = (writes.iter())
        .map(|r| (&r["actor"]["id"], &r["code"], &r["detail"]["cookies"]))
        .map(|(id, code, cookies)| {
            (
                id.as_str().unwrap(),
                code.as_str().unwrap(),
                cookies.as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        handed,
        [
            ("reports", "visit.prepared", true),
            ("reports", "visit.prepared", true),
            ("other", "visit.prepared", false)
        ]
    );
    let alices = of("session.started")[0];
    for record in &writes[..2] {
        assert_eq!(
            (&record["user"], &record["session"]),
            (&alices["user"], &alices["session"])
        );
    }
    // What a visitor does themselves names nobody.
    let carol = served.world.signed_in(denis()).await;
    drop(carol);
    let trail = served.world.trail().await;
    let last = trail
        .iter()
        .rfind(|r| r.contains("session.started"))
        .unwrap();
    assert!(!last.contains("introduced_by"), "{last}");
    served.world.finish().await;
}

/// Changes the bridge's store past it.
fn past_the_bridge(served: &Served, sql: &str) {
    let store = served.world.bridge.folder().join("auth-manager.db");
    let db = rusqlite::Connection::open(store).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    db.execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_no_cookie_is_handed_over_unrecorded_or_of_a_session_that_ended_elsewhere() {
    let served = Served::start().await;
    let alice = visitor(&served, alice());
    prepared(&served, &served.reports, &alice).await;
    past_the_bridge(&served, "ALTER TABLE audit_records RENAME TO audit_away");
    let about_alice = about("POST", &assertion(&served, &alice));
    let refused = served.reports.send(&about_alice).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.text().contains("MMAUTHTOKEN"));
    past_the_bridge(&served, "ALTER TABLE audit_away RENAME TO audit_records");
    assert_eq!(
        ask(&served, &served.reports, "POST", &alice).await["state"],
        "ready"
    );
    // Another replica ended it, and this one has not heard yet.
    past_the_bridge(
        &served,
        "UPDATE sessions SET ended_at = created_at, end_reason = 'revoked'",
    );
    let told = ask(&served, &served.reports, "POST", &alice).await;
    assert_eq!(told["state"], "preparing", "{told}");
    assert!(told.get("cookies").is_none() && told.get("session").is_none());
    served.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_sees_it_for_themselves_without_cookies() {
    let served = Served::start().await;
    let look = "/.auth-manager/bridge";
    let mut nora = visitor(&served, nora());
    let answer = nora.send(nora.api("GET", look)).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (200, &"access.not_granted".into())
    );
    let mut alice = served.world.signed_in(alice()).await;
    let answer = alice.send(alice.api("GET", look)).await;
    assert_eq!(
        (answer.status, &answer.json()["state"]),
        (200, &"ready".into())
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        Some("same-origin")
    );
    assert!(answer.header("set-cookie").is_none() && answer.json().get("cookies").is_none());
    assert!(!answer.text().contains(&alice.cookies["MMAUTHTOKEN"]));
    let answer = alice.send(alice.api("POST", look)).await;
    assert_eq!(answer.status, 405);
    let answer = alice.send(alice.api("GET", look).assertions(&[])).await;
    assert_eq!(answer.status, 401);
    let answer = alice.send(alice.api("GET", "/.auth-manager/other")).await;
    assert_eq!(answer.status, 404);
    served.world.finish().await;
}

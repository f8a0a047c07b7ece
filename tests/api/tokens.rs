//! Tokens as services meet them: introspection, exchange, revocation, by a stock client, and what
//! ends them.

use crate::support::eventually;
use crate::support::services::{Authority, Identity, Services, Setup};
use crate::support::stock::Stock;
use auth_manager::demo::door::{Minter, alice};
use serde_json::{Value, json};
use time::Duration;

const FILES: &str = "https://files.example.test";
const HIDDEN: &str = "https://hidden.example.test";
const HOST: &str = "chat.example.test";

/// Who trades, who is served, who looks visitors up, who ends sessions.
fn clients() -> String {
    format!(
        "[[audiences]]\nid = {FILES:?}\nscopes = [\"read\", \"write\"]\nclaims = [\"email\"]\n\
         groups = [\"mattermost-users\", \"admins\"]\n\
         [[audiences]]\nid = {HIDDEN:?}\nsubject = \"pairwise\"\n\
         [[clients]]\nid = \"trader\"\ncertificate_names = [\"trader.internal\"]\n\
         scopes = [\"exchange\"]\nhosts = [{HOST:?}]\naudiences = [{FILES:?}, {HIDDEN:?}]\n\
         [[clients]]\nid = \"rival\"\ncertificate_names = [\"rival.internal\"]\n\
         scopes = [\"exchange\"]\nhosts = [{HOST:?}]\naudiences = [{FILES:?}]\n\
         [[clients]]\nid = \"files\"\ncertificate_names = [\"files.internal\"]\n\
         scopes = [\"introspect\"]\naudiences = [{FILES:?}]\n\
         [[clients]]\nid = \"hidden\"\ncertificate_names = [\"hidden.internal\"]\n\
         scopes = [\"introspect\"]\naudiences = [{HIDDEN:?}]\n\
         [[clients]]\nid = \"lookup\"\ncertificate_names = [\"lookup.internal\"]\n\
         scopes = [\"introspect\", \"users:read\"]\nhosts = [{HOST:?}]\n\
         [[clients]]\nid = \"warden\"\ncertificate_names = [\"warden.internal\"]\n\
         scopes = [\"sessions\"]\nhosts = [{HOST:?}]\n"
    )
}

async fn start() -> Services {
    Services::with(Setup {
        crl: true,
        clients: clients(),
        ..Setup::default()
    })
    .await
}

fn identity(services: &Services, client: &str) -> Identity {
    services.authority.client(&[&format!("{client}.internal")])
}

async fn stock(services: &Services, client: &str) -> Stock {
    Stock::start(services, Some(&identity(services, client))).await
}

/// Trades a visitor's assertion or cookie for a token.
async fn trade(stock: &mut Stock, subject: &str, kind: &str, audience: &str) -> Value {
    let order = json!({ "subject": subject, "kind": kind, "audience": audience });
    stock.ask("exchange", order).await
}

fn token(answer: &Value) -> String {
    assert_eq!(answer["status"], 200, "{answer}");
    answer["body"]["access_token"].as_str().unwrap().to_owned()
}

async fn active(stock: &mut Stock, token: &str) -> bool {
    let answer = stock.ask("introspect", json!({ "token": token })).await;
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(answer["cache"], "no-store");
    answer["body"]["active"].as_bool().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_client_trades_verifies_and_asks() {
    let services = start().await;
    let visitor = services.world.signed_in(alice()).await;
    let assertion = services.world.minter.mint(&visitor.claims()).unwrap();
    services.world.taint.private(&assertion);
    let mut trader = stock(&services, "trader").await;
    let mut files = stock(&services, "files").await;

    let order = json!({
        "subject": assertion, "kind": "jwt", "audience": FILES, "scope": "read admin",
    });
    let answer = trader.ask("exchange", order).await;
    let good = token(&answer);
    services.world.taint.private(&good);
    let body = &answer["body"];
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], "read");
    assert_eq!(
        body["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    assert!(body["expires_in"].as_u64().unwrap() <= 300);
    assert_eq!(answer["cache"], "no-store");

    // From the metadata and the key set alone, by somebody without a certificate.
    let mut anybody = Stock::start(&services, None).await;
    let claims = anybody
        .ask("verify", json!({ "token": good, "audience": FILES }))
        .await;
    assert_eq!(claims["client_id"], "trader", "{claims}");
    assert_eq!(claims["act"], json!({ "sub": "trader" }));
    assert_eq!(claims["scope"], "read");
    assert_eq!(claims["email"], alice().email);
    assert_eq!(claims["groups"], json!(["mattermost-users"]));
    assert!(claims["cnf"]["x5t#S256"].as_str().unwrap().len() == 43);
    assert!(claims.get("auth_time").is_none() && claims.get("name").is_none());
    let wrong = json!({ "token": good, "audience": HIDDEN });
    assert_eq!(anybody.ask("verify", wrong).await["refused"], "token");

    // The service that it is for may ask; its answer is what the token says.
    let answer = files.ask("introspect", json!({ "token": good })).await;
    assert_eq!(answer["body"]["active"], true, "{answer}");
    for member in [
        "sub",
        "aud",
        "exp",
        "scope",
        "client_id",
        "cnf",
        "sid",
        "act",
    ] {
        assert_eq!(answer["body"][member], claims[member], "{member}");
    }
    let order = json!({ "token": good, "client": "files" });
    let signed = files.ask("introspect_signed", order).await;
    assert_eq!(signed["body"], answer["body"]);

    // The cookie itself, for who may look visitors up.
    let cookie = visitor.cookies["MMAUTHTOKEN"].clone();
    let mut lookup = stock(&services, "lookup").await;
    let answer = lookup.ask("introspect", json!({ "token": cookie })).await;
    assert_eq!(answer["body"]["sub"], claims["sub"], "{answer}");
    assert_eq!(answer["body"]["sid"], claims["sid"]);
    assert_eq!(answer["body"]["email"], alice().email);
    // And traded, it gives the same session.
    let other = token(&trade(&mut trader, &cookie, "access_token", FILES).await);
    services.world.taint.private(&other);
    assert!(active(&mut files, &other).await);
    assert!(!active(&mut lookup, &other).await);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_client_is_refused_for_every_reason() {
    let mut services = start().await;
    let visitor = services.world.signed_in(alice()).await;
    let mint = || {
        let assertion = services.world.minter.mint(&visitor.claims()).unwrap();
        services.world.taint.private(&assertion);
        assertion
    };
    let mut trader = stock(&services, "trader").await;
    let mut files = stock(&services, "files").await;
    let good = token(&trade(&mut trader, &mint(), "jwt", FILES).await);
    services.world.taint.private(&good);

    // Wrong scope, on both sides.
    let answer = trade(&mut files, &mint(), "jwt", FILES).await;
    assert_eq!(answer["status"], 403, "{answer}");
    let answer = trader.ask("introspect", json!({ "token": good })).await;
    assert_eq!(
        (&answer["status"], &answer["body"]["code"]),
        (&403.into(), &"api.scope".into())
    );
    let order = json!({ "subject": mint(), "kind": "jwt", "audience": FILES, "scope": "admin" });
    let answer = trader.ask("exchange", order).await;
    assert_eq!(answer["body"]["error"], "invalid_scope", "{answer}");

    // Wrong audience.
    let mut rival = stock(&services, "rival").await;
    for audience in [HIDDEN, "https://unknown.example.test"] {
        let answer = trade(&mut rival, &mint(), "jwt", audience).await;
        assert_eq!(answer["body"]["error"], "invalid_target", "{answer}");
    }
    let mut hidden = stock(&services, "hidden").await;
    assert!(!active(&mut hidden, &good).await);

    // Assertions that the road would not take, and one that another client passed on.
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let stranger = Minter::generate().unwrap();
    let elsewhere = visitor.claims().set("aud", "notes.example.test");
    let old = visitor.claims().set("iat", now - 900).set("exp", now - 600);
    for (what, assertion) in [
        (
            "another host's",
            services.world.minter.mint(&elsewhere).unwrap(),
        ),
        ("old", services.world.minter.mint(&old).unwrap()),
        ("another key's", stranger.mint(&visitor.claims()).unwrap()),
        (
            "nobody's",
            services
                .world
                .minter
                .mint(&visitor.claims().set("sub", "").set("user", ""))
                .unwrap(),
        ),
        ("garbage", "x.y.z".to_owned()),
        ("an exchanged token", good.clone()),
    ] {
        let answer = trade(&mut trader, &assertion, "jwt", FILES).await;
        assert_eq!(answer["status"], 400, "{what}: {answer}");
        assert_eq!(answer["body"]["error"], "invalid_request", "{what}");
        let said = "The subject token is not accepted.";
        assert_eq!(answer["body"]["error_description"], said, "{what}");
    }
    let taken = mint();
    token(&trade(&mut rival, &taken, "jwt", FILES).await);
    let answer = trade(&mut trader, &taken, "jwt", FILES).await;
    assert_eq!(answer["body"]["error"], "invalid_request", "{answer}");
    // Yet the road itself is not touched by what was passed on.
    let mut tab = visitor.clone();
    let request = visitor.page("/").assertions(&[&taken]);
    assert_eq!(tab.send(request).await.status, 200);

    // Revoked: by the client that has it, and by nobody else.
    let answer = rival.ask("revoke", json!({ "token": good })).await;
    assert_eq!(answer["body"]["error"], "unauthorized_client", "{answer}");
    assert!(active(&mut files, &good).await);
    for token in [good.as_str(), "garbage", good.as_str()] {
        let answer = trader.ask("revoke", json!({ "token": token })).await;
        assert_eq!(
            (&answer["status"], &answer["length"]),
            (&200.into(), &0.into())
        );
    }
    assert!(!active(&mut files, &good).await);
    // On record, by whom, each time it was taken back; neither the refused nor what was no token.
    let trail = services.world.trail().await;
    let records = trail
        .iter()
        .filter(|body| body.contains("\"token.revoked\""));
    let records: Vec<Value> = records.map(|b| serde_json::from_str(b).unwrap()).collect();
    assert!(!records.is_empty());
    for record in &records {
        assert_eq!(record["kind"], "api.write");
        assert_eq!(record["actor"]["id"], "trader");
        assert!(record["detail"]["token"].is_string(), "{record}");
    }
    assert!(records.len() <= 2, "{records:?}");

    // No certificate, another authority's, a revoked one.
    let mut nobody = Stock::start(&services, None).await;
    let answer = nobody.ask("introspect", json!({ "token": good })).await;
    assert_eq!(answer["status"], 401, "{answer}");
    let other = Authority::new("another authority").client(&["files.internal"]);
    let mut other = Stock::start(&services, Some(&other)).await;
    let answer = other.ask("introspect", json!({ "token": good })).await;
    assert_eq!(answer["refused"], "connection", "{answer}");
    let lost = identity(&services, "files");
    let list = services.authority.revocation_list(&[&lost], Duration::DAY);
    services.replace("clients.crl", &list);
    services.hang_up().await;
    let mut lost = Stock::start(&services, Some(&lost)).await;
    let answer = lost.ask("introspect", json!({ "token": good })).await;
    assert_eq!(answer["refused"], "connection", "{answer}");
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t37_a_token_dies_with_what_it_came_from_and_every_no_is_alike() {
    let services = start().await;
    let mut trader = stock(&services, "trader").await;
    let mut files = stock(&services, "files").await;
    let mut hidden = stock(&services, "hidden").await;
    let mut lookup = stock(&services, "lookup").await;
    let mut visitor = services.world.signed_in(alice()).await;
    let cookie = visitor.cookies["MMAUTHTOKEN"].clone();
    let mut all = Vec::new();
    for audience in [FILES, HIDDEN] {
        let one = token(&trade(&mut trader, &cookie, "access_token", audience).await);
        services.world.taint.private(&one);
        all.push(one);
    }
    assert!(active(&mut files, &all[0]).await && active(&mut hidden, &all[1]).await);

    // Disabled: nothing of theirs is good, and nothing more is to be had.
    services.world.disable(&alice()).await;
    assert!(!active(&mut files, &all[0]).await && !active(&mut hidden, &all[1]).await);
    assert!(!active(&mut lookup, &cookie).await);
    let assertion = services.world.minter.mint(&visitor.claims()).unwrap();
    services.world.taint.private(&assertion);
    eventually("the road knows", async || {
        let mut trader = stock(&services, "trader").await;
        let assertion = services.world.minter.mint(&visitor.claims()).unwrap();
        services.world.taint.private(&assertion);
        let answer = trade(&mut trader, &assertion, "jwt", FILES).await;
        (answer["body"]["code"] == "access.disabled").then_some(())
    })
    .await;
    let answer = trade(&mut trader, &cookie, "access_token", FILES).await;
    assert_eq!(answer["status"], 400, "{answer}");

    // Enabled again, the ended session stays ended; a new one is another.
    services.world.enable(&alice()).await;
    assert!(!active(&mut files, &all[0]).await);
    visitor.signs_in_as(alice());
    let mut visitor = eventually("the door is open again", async || {
        let mut tab = visitor.clone();
        (tab.open("/").await.status == 200).then_some(tab)
    })
    .await;
    let cookie = visitor.cookies["MMAUTHTOKEN"].clone();
    let again = token(&trade(&mut trader, &cookie, "access_token", FILES).await);
    services.world.taint.private(&again);
    assert!(active(&mut files, &again).await);

    // Who has no session at the app: the sign-in alone, until something of theirs is revoked.
    let other = services.world.client(alice());
    let assertion = services.world.minter.mint(&other.claims()).unwrap();
    services.world.taint.private(&assertion);
    let alone = token(&trade(&mut trader, &assertion, "jwt", FILES).await);
    services.world.taint.private(&alone);
    assert!(active(&mut files, &alone).await);

    // A session is ended by who may, and its tokens with it.
    let mut warden = stock(&services, "warden").await;
    let answer = warden.ask("revoke", json!({ "token": cookie })).await;
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(visitor.open("/").await.status, 401);
    assert!(!active(&mut files, &again).await && !active(&mut files, &alone).await);
    // The person signed out: their assertion is worth no token.
    let assertion = services.world.minter.mint(&visitor.claims()).unwrap();
    services.world.taint.private(&assertion);
    let answer = trade(&mut trader, &assertion, "jwt", FILES).await;
    assert_eq!(answer["body"]["code"], "session.signed_out", "{answer}");

    let mut bodies = std::collections::BTreeSet::new();
    for text in [
        "garbage", "a.b.c", &all[0], &all[1], &again, &alone, &cookie,
    ] {
        let answer = files.ask("introspect", json!({ "token": text })).await;
        bodies.insert(format!(
            "{} {} {}",
            answer["status"], answer["kind"], answer["length"]
        ));
        assert_eq!(answer["body"], json!({ "active": false }));
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_rule_decides_about_tokens_as_about_requests() {
    let services = start().await;
    let mut trader = stock(&services, "trader").await;
    let mut files = stock(&services, "files").await;
    let visitor = services.world.signed_in(alice()).await;
    for (groups, code) in [
        (json!(["mattermost-users"]), "access.pending"),
        (json!(["validated"]), "access.not_granted"),
    ] {
        let claims = visitor.claims().set("groups", groups);
        let assertion = services.world.minter.mint(&claims).unwrap();
        services.world.taint.private(&assertion);
        let answer = trade(&mut trader, &assertion, "jwt", FILES).await;
        assert_eq!(answer["body"]["code"], code, "{answer}");
    }
    // A rule that changes counts for tokens that are out already.
    let cookie = visitor.cookies["MMAUTHTOKEN"].clone();
    let good = token(&trade(&mut trader, &cookie, "access_token", FILES).await);
    services.world.taint.private(&good);
    assert!(active(&mut files, &good).await);
    let file = services.world.bridge.config();
    let text = std::fs::read_to_string(&file).unwrap();
    let stricter = text.replace("any_of = [\"mattermost-users\"]", "any_of = [\"others\"]");
    assert_ne!(text, stricter);
    std::fs::write(&file, stricter).unwrap();
    services.world.bridge.hang_up();
    eventually("the new rule counts", async || {
        let mut files = stock(&services, "files").await;
        (!active(&mut files, &good).await).then_some(())
    })
    .await;
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_whoever_was_turned_away_since_is_vouched_for_no_more() {
    let services = start().await;
    let mut trader = stock(&services, "trader").await;
    let mut files = stock(&services, "files").await;
    let mut visitor = services.world.signed_in(alice()).await;
    let cookie = visitor.cookies["MMAUTHTOKEN"].clone();
    let good = token(&trade(&mut trader, &cookie, "access_token", FILES).await);
    services.world.taint.private(&good);
    let groups = std::mem::take(&mut visitor.person.groups);
    assert_eq!(visitor.get("/api/v4/users/me").await.status, 403);
    let refused = trade(&mut trader, &cookie, "access_token", FILES).await;
    assert_eq!(refused["body"]["error"], "invalid_request", "{refused}");
    assert!(!active(&mut files, &good).await);
    // With the group back the very session and token count again, by an assertion that is newer
    // than the one that was turned away (they count seconds).
    visitor.person.groups = groups;
    eventually("they are vouched for again", async || {
        assert_eq!(visitor.clone().get("/api/v4/users/me").await.status, 200);
        active(&mut stock(&services, "files").await, &good)
            .await
            .then_some(())
    })
    .await;
    let again = token(&trade(&mut trader, &cookie, "access_token", FILES).await);
    services.world.taint.private(&again);
    assert!(active(&mut files, &good).await);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_signing_key_takes_its_tokens_along() {
    let services = start().await;
    let mut trader = stock(&services, "trader").await;
    let mut files = stock(&services, "files").await;
    let visitor = services.world.signed_in(alice()).await;
    let cookie = visitor.cookies["MMAUTHTOKEN"].clone();
    let good = token(&trade(&mut trader, &cookie, "access_token", FILES).await);
    services.world.taint.private(&good);
    assert!(active(&mut files, &good).await);
    let keys = services
        .world
        .run(&["keys", "jwks", "--kind", "access_token"])
        .await;
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let kid = keys["keys"][0]["kid"].as_str().unwrap();
    services.world.run(&["keys", "revoke", kid]).await;
    eventually("the token is worth nothing", async || {
        let mut files = stock(&services, "files").await;
        (!active(&mut files, &good).await).then_some(())
    })
    .await;
    // By itself, too, a service that reads the keys again sees it; and the session is as it was.
    let order = json!({ "token": good, "audience": FILES });
    let answer = trader.ask("verify", order).await;
    assert!(answer.get("client_id").is_none(), "{answer}");
    let again = token(&trade(&mut trader, &cookie, "access_token", FILES).await);
    services.world.taint.private(&again);
    assert!(active(&mut files, &again).await);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_no_token_cookie_or_assertion_is_logged_good_or_bad() {
    let services = start().await;
    let mut trader = stock(&services, "trader").await;
    let mut lookup = stock(&services, "lookup").await;
    let mut warden = stock(&services, "warden").await;
    let visitor = services.world.signed_in(alice()).await;
    let mint = |claims| {
        let assertion = services.world.minter.mint(&claims).unwrap();
        services.world.taint.private(&assertion);
        assertion
    };
    let cookie = visitor.cookies["MMAUTHTOKEN"].clone();
    services.world.taint.private(&cookie);
    let good = mint(visitor.claims());
    let bad = mint(visitor.claims().set("aud", "notes.example.test"));
    for (subject, kind) in [(&good, "jwt"), (&bad, "jwt"), (&cookie, "access_token")] {
        for kind in [kind, "refresh_token"] {
            let answer = trade(&mut trader, subject, kind, FILES).await;
            if let Some(token) = answer["body"]["access_token"].as_str() {
                services.world.taint.private(token);
                assert!(!active(&mut lookup, token).await);
                trader.ask("revoke", json!({ "token": token })).await;
            }
        }
        lookup.ask("introspect", json!({ "token": subject })).await;
        warden.ask("revoke", json!({ "token": subject })).await;
    }
    let bridge = &services.world.bridge;
    eventually("what was done is in the log", async || {
        let said = bridge.output();
        let all = ["token exchanged", "token revoked", "session revoked"];
        all.iter().all(|done| said.contains(done)).then_some(())
    })
    .await;
    // What was marked private is looked for in the whole log, and in the metrics.
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_admin_may_change_can_need_a_certificate_and_a_token() {
    let services = Services::with(Setup {
        listen: "require_both = true".into(),
        clients: clients(),
        ..Setup::default()
    })
    .await;
    let visitor = services.world.signed_in(alice()).await;
    let assertion = services.world.minter.mint(&visitor.claims()).unwrap();
    services.world.taint.private(&assertion);
    let mut trader = stock(&services, "trader").await;
    let mut files = stock(&services, "files").await;
    let traded = token(&trade(&mut trader, &assertion, "jwt", FILES).await);
    services.world.taint.private(&traded);

    let with_certificate = services.named(&["admin.internal"]);
    let bearer = format!("Bearer {}", services.token("admin", json!({})));
    let bearer = [("authorization", bearer.as_str())];
    let form = format!("token={traded}");
    let one = with_certificate.form("/oauth2/revoke", &[], &form).await;
    let other = services
        .nobody()
        .form("/oauth2/revoke", &bearer, &form)
        .await;
    for half in [&one, &other] {
        assert_eq!(
            (half.status, half.code().as_str()),
            (403, "api.both_needed")
        );
    }
    // Of two clients they are none.
    let mixed = services.named(&["reader.internal"]);
    let mixed = mixed.form("/oauth2/revoke", &bearer, &form).await;
    assert_eq!(mixed.status, 401);
    assert!(active(&mut files, &traded).await);
    // What admin reads needs one; what is no change of admin's, too.
    assert_eq!(with_certificate.get("/api/v1/keys").await.status, 200);
    let both = with_certificate
        .form("/oauth2/revoke", &bearer, &form)
        .await;
    assert_eq!(both.status, 200, "{both:?}");
    assert!(!active(&mut files, &traded).await);
    // A client takes its own token back, and who has the scope sessions anybody's, with one.
    for client in ["trader", "warden"] {
        let traded = token(
            &trade(
                &mut trader,
                &visitor.cookies["MMAUTHTOKEN"],
                "access_token",
                FILES,
            )
            .await,
        );
        services.world.taint.private(&traded);
        let peer = services.caller(&identity(&services, client));
        let form = format!("token={traded}");
        let answer = peer.form("/oauth2/revoke", &[], &form).await;
        assert_eq!(answer.status, 200, "{client}: {answer:?}");
        assert!(!active(&mut files, &traded).await);
    }
    services.finish().await;
}

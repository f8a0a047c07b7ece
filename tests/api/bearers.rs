//! Callers with bearers: static ones, access tokens, assertions that clients sign themselves; and
//! what is neither.

use super::CLIENTS;
use crate::support::eventually;
use crate::support::services::{AUDIENCE, ISSUER, OWN, Services};
use auth_manager::demo::door::{Claims, Minter, alice};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use time::OffsetDateTime;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_bearer_is_its_clients_and_reaches_nothing_beyond_its_scopes() {
    let services = Services::start().await;
    let nobody = services.nobody();
    let answer = nobody.bearing(CLIENTS, &services.secret).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "api.scope"));
    let (shorter, _) = services.secret.split_at(services.secret.len() - 1);
    for wrong in [shorter, &format!("{}A", services.secret), "amb_", "x.y.z"] {
        let answer = nobody.bearing(CLIENTS, wrong).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "api.unauthenticated")
        );
    }
    // Two credentials that disagree are none.
    let reader = services.named(&["reader.internal"]);
    assert_eq!(reader.bearing(CLIENTS, &services.secret).await.status, 401);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_tokens_are_believed_only_when_everything_about_them_is_right() {
    let services = Services::start().await;
    let nobody = services.nobody();
    let good = services.token("asker", json!({}));
    // Until they end they are good, again and again.
    for _ in 0..2 {
        assert_eq!(nobody.bearing(CLIENTS, &good).await.status, 200);
    }
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let stranger = Minter::generate().unwrap();
    let wrong = [
        (
            "expired",
            services.token("asker", json!({ "iat": now - 600, "exp": now - 300 })),
        ),
        (
            "too long",
            services.token("asker", json!({ "exp": now + 7200 })),
        ),
        (
            "to come",
            services.token("asker", json!({ "nbf": now + 300 })),
        ),
        (
            "elsewhere",
            services.token("asker", json!({ "aud": "https://other.test" })),
        ),
        (
            "no audience",
            services.token("asker", json!({ "aud": null })),
        ),
        (
            "another issuer",
            services.token("asker", json!({ "iss": "https://id.example.test" })),
        ),
        ("nobody we know", services.token("somebody", json!({}))),
        (
            "another key",
            services.sign(&stranger, "at+jwt", ISSUER, "asker", json!({})),
        ),
        (
            "another kind",
            services.sign(&services.signer, "JWT", ISSUER, "asker", json!({})),
        ),
    ];
    let mut bodies = std::collections::BTreeSet::new();
    for (what, token) in &wrong {
        let answer = nobody.bearing(CLIENTS, token).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "api.unauthenticated"),
            "{what}"
        );
        assert!(
            answer
                .header("www-authenticate")
                .contains("error=\"invalid_token\"")
        );
        bodies.insert(answer.text.replace(answer.header("x-request-id"), ""));
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // With the right certificate and a wrong token: still nobody.
    let asker = services.named(&["asker.internal"]);
    assert_eq!(asker.bearing(CLIENTS, &wrong[0].1).await.status, 401);
    assert_eq!(asker.bearing(CLIENTS, &good).await.status, 200);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_a_client_assertion_is_not_good_twice() {
    let services = Services::start().await;
    let nobody = services.nobody();
    let one = services.assertion("one", json!({}));
    assert_eq!(nobody.bearing(CLIENTS, &one).await.status, 200);
    assert_eq!(nobody.bearing(CLIENTS, &one).await.status, 401);
    let again = services.assertion("one", json!({ "nonce": "another" }));
    assert_eq!(nobody.bearing(CLIENTS, &again).await.status, 401);
    // Twenty at once: one of them.
    let race = services.assertion("race", json!({}));
    let all = (0..20).map(|_| nobody.bearing(CLIENTS, &race));
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
    let unnamed = services.assertion("", json!({}));
    assert_eq!(nobody.bearing(CLIENTS, &unnamed).await.status, 401);
    // What the client signs is for nobody else, and as nobody else.
    let elsewhere = services.assertion("two", json!({ "aud": [AUDIENCE, "https://other.test"] }));
    assert_eq!(nobody.bearing(CLIENTS, &elsewhere).await.status, 401);
    let other = services.sign(
        &services.signer,
        "JWT",
        OWN,
        "asker",
        json!({ "jti": "three" }),
    );
    assert_eq!(nobody.bearing(CLIENTS, &other).await.status, 401);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_a_client_assertion_from_before_a_restart_is_refused() {
    let mut services = Services::start().await;
    let one = services.assertion("one", json!({}));
    assert_eq!(services.nobody().bearing(CLIENTS, &one).await.status, 200);
    services.restart().await;
    assert_eq!(services.nobody().bearing(CLIENTS, &one).await.status, 401);
    let fresh = services.assertion("two", json!({}));
    assert_eq!(services.nobody().bearing(CLIENTS, &fresh).await.status, 200);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scope_of_a_token_cuts_what_the_client_may() {
    let services = Services::start().await;
    let nobody = services.nobody();
    for (scope, status) in [
        (json!("users:read introspect"), 200),
        (json!("openid users:read"), 200),
        (json!("introspect"), 403),
        (json!("openid profile"), 403),
        (json!(""), 403),
        // What the client does not have, a token does not give.
        (json!("admin"), 403),
    ] {
        let token = services.token("asker", json!({ "scope": scope }));
        let answer = nobody.bearing(CLIENTS, &token).await;
        assert_eq!(answer.status, status, "{scope}: {}", answer.text);
    }
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_bound_to_a_certificate_is_good_with_it_alone() {
    let services = Services::start().await;
    let own = services.authority.client(&["asker.internal"]);
    let der = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    let cnf = json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(hash) });
    let token = services.token("asker", json!({ "cnf": cnf }));
    assert_eq!(
        services.caller(&own).bearing(CLIENTS, &token).await.status,
        200
    );
    assert_eq!(services.nobody().bearing(CLIENTS, &token).await.status, 401);
    // Another certificate of the same client is another certificate.
    let other = services.named(&["asker.internal"]);
    assert_eq!(other.bearing(CLIENTS, &token).await.status, 401);
    let dpop = services.token("asker", json!({ "cnf": { "jkt": "x" } }));
    assert_eq!(services.nobody().bearing(CLIENTS, &dpop).await.status, 401);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_not_services_nor_services_people() {
    let services = Services::start().await;
    let world = &services.world;
    let claims = Claims::new(&alice(), "sid-1", &world.host);
    let assertion = world.minter.mint(&claims).unwrap();
    world.taint.private(&assertion);
    // A visitor's assertion is no authentication, wherever it stands.
    let nobody = services.nobody();
    assert_eq!(nobody.bearing(CLIENTS, &assertion).await.status, 401);
    let headers = [("x-pomerium-jwt-assertion", assertion.as_str())];
    let answer = nobody
        .try_send(Method::GET, CLIENTS, &headers)
        .await
        .unwrap();
    assert_eq!(answer.status, 401);
    let cookies = [("cookie", format!("MMAUTHTOKEN={assertion}"))];
    let cookies = [(cookies[0].0, cookies[0].1.as_str())];
    let answer = nobody
        .try_send(Method::GET, CLIENTS, &cookies)
        .await
        .unwrap();
    assert_eq!(answer.status, 401);
    // Beside a service's own credential it changes nothing about who calls.
    let reader = services.named(&["reader.internal"]);
    let answer = reader
        .try_send(Method::GET, CLIENTS, &headers)
        .await
        .unwrap();
    assert_eq!(answer.status, 200);

    // And what a service has opens no door for visitors.
    let token = services.token("admin", json!({}));
    for line in [
        format!("X-Pomerium-Jwt-Assertion: {token}"),
        format!("Authorization: Bearer {token}"),
        format!("Authorization: Bearer {}", services.secret),
    ] {
        let request = format!(
            "GET /api/v4/users/me HTTP/1.1\r\nHost: {}\r\n{line}\r\nConnection: close\r\n\r\n",
            world.host
        );
        let answer = crate::support::wire::exchange(world.bridge.proxy, request.as_bytes()).await;
        assert_eq!(answer.status, 401, "{line}");
    }
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t09_new_keys_of_an_issuer_count_at_once_and_removed_ones_no_longer() {
    let mut services = Services::start().await;
    let nobody = services.nobody();
    let old = services.token("asker", json!({}));
    assert_eq!(nobody.bearing(CLIENTS, &old).await.status, 200);
    services.signer = Minter::generate().unwrap();
    services.replace("services.json", &services.signer.jwks());
    // The first token of the new key makes the bridge look; the cooldown may hold it back a moment.
    eventually("the new key counts", async || {
        let token = services.token("asker", json!({}));
        (nobody.bearing(CLIENTS, &token).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(nobody.bearing(CLIENTS, &old).await.status, 401);
    services.finish().await;
}

//! Every operation of the listener asks who calls, and whether it may.

use crate::support::services::{Services, Setup};
use reqwest::Method;
use serde_json::json;

/// May do nothing that there is.
const POWERLESS: &str = "[[clients]]\nid = \"powerless\"\nscopes = [\"scim\"]\n\
                         bearer = { issuer = \"services\", sub = \"powerless\" }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_document_asks_who_calls_and_for_a_scope() {
    // Served to everybody; to every known caller.
    const OPEN: [&str; 2] = [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
    ];
    const KNOWN: [&str; 1] = ["/openapi.json"];
    let setup = Setup {
        clients: POWERLESS.into(),
        ..Setup::default()
    };
    let services = Services::with(setup).await;
    let nobody = services.nobody();
    let token = services.token("powerless", json!({}));
    let bearer = format!("Bearer {token}");
    let document = nobody.bearing("/openapi.json", &token).await.json();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for name in operations.as_object().unwrap().keys() {
            let Ok(method) = name.to_ascii_uppercase().parse::<Method>() else {
                continue;
            };
            if OPEN.contains(&path.as_str()) {
                continue;
            }
            // Values that no record has: who may not ask must not learn so.
            let target = path.replace(['{', '}'], "x");
            let refused = nobody.try_send(method.clone(), &target, &[]).await.unwrap();
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (401, "api.unauthenticated"),
                "{method} {path}"
            );
            if KNOWN.contains(&path.as_str()) {
                continue;
            }
            let headers = [("authorization", bearer.as_str())];
            let refused = nobody
                .try_send(method.clone(), &target, &headers)
                .await
                .unwrap();
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (403, "api.scope"),
                "{method} {path}"
            );
            asked += 1;
        }
    }
    assert!(asked > 10, "{document}");
    services.finish().await;
}

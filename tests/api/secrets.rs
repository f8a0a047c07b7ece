//! No secret of a caller in logs, metrics or what commands print (T34).

use super::CLIENTS;
use crate::support::eventually;
use crate::support::services::Services;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_no_bearer_is_logged_at_any_level_good_or_bad() {
    let services = Services::start().await;
    let nobody = services.nobody();
    // A line of each kind: let in, refused, refused for its scope, not there, misplaced.
    let good = services.token("asker", json!({ "scope": "introspect" }));
    let bad = services.token("asker", json!({ "aud": "https://other.test" }));
    let own = services.assertion("x", json!({}));
    let refused = nobody.bearing(CLIENTS, &bad).await;
    for token in [&good, &bad, &own, &services.secret] {
        for path in [CLIENTS, "/api/v1/nothing"] {
            nobody.bearing(path, token).await;
        }
        let basic = format!("Basic {token}");
        let headers = [("authorization", basic.as_str()), ("x-api-key", token)];
        nobody
            .try_send(Method::POST, CLIENTS, &headers)
            .await
            .unwrap();
        let query = format!("{CLIENTS}?access_token={token}");
        nobody.get(&query).await;
    }
    // The refusal left a line, with who and why, under the id that its caller was told.
    let id = refused.header("x-request-id").to_owned();
    let bridge = &services.world.bridge;
    let line = eventually("its line", async || {
        let said = bridge.output();
        let line = said.lines().find(|line| line.contains(&id));
        line.map(str::to_owned)
    })
    .await;
    assert!(
        line.contains("api.unauthenticated") && line.contains("aud is not the api"),
        "{line}"
    );
    let listed = services.world.run(&["clients", "list"]).await;
    assert!(
        listed.contains("hook") && listed.contains("static bearer"),
        "{listed}"
    );
    services.finish().await;
}

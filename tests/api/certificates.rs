//! Callers with certificates: known, unknown, of another authority, expired, revoked; and trust that
//! changes while the bridge runs.

use super::CLIENTS;
use crate::support::eventually;
use crate::support::services::{API, AUDIENCE, Authority, Services, Setup};
use time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_known_by_its_certificate_and_may_do_what_its_scopes_say() {
    let services = Services::start().await;
    for names in [&["Reader.INTERNAL"][..], &["spiffe://example.test/reader"]] {
        let answer = services.named(names).get(CLIENTS).await;
        assert_eq!(answer.status, 200, "{names:?}: {}", answer.text);
        assert_eq!(answer.header("cache-control"), "no-store");
        let items = answer.json()["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), 5);
    }
    // HTTP/2, by the same listener.
    let reader = services.authority.client(&["reader.internal"]);
    assert_eq!(
        services.peer(Some(&reader), true).get(CLIENTS).await.status,
        200
    );

    let nobody = services.nobody().get(CLIENTS).await;
    assert_eq!(
        (nobody.status, nobody.code().as_str()),
        (401, "api.unauthenticated")
    );
    assert_eq!(
        nobody.header("www-authenticate"),
        "Bearer realm=\"auth-manager\""
    );
    // Of the right authority, but nobody we know; and of two clients at once.
    for names in [
        &["stranger.internal"][..],
        &["reader.internal", "admin.internal"],
    ] {
        let answer = services.named(names).get(CLIENTS).await;
        assert_eq!(answer.status, 401, "{names:?}");
    }
    // What everybody may read.
    let keys = services.nobody().get("/.well-known/jwks.json").await;
    assert_eq!(keys.status, 200);
    assert!(keys.header("cache-control").starts_with("public, max-age="));
    let metadata = services
        .nobody()
        .get("/.well-known/oauth-authorization-server")
        .await;
    assert_eq!(metadata.json()["issuer"], AUDIENCE);
    assert!(
        metadata.json()["jwks_uri"]
            .as_str()
            .unwrap()
            .ends_with("/.well-known/jwks.json")
    );
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_another_authority_or_that_have_ended_are_refused_in_the_handshake() {
    let services = Services::start().await;
    let (other, namesake) = (
        Authority::new("another authority"),
        Authority::new("the services' authority"),
    );
    for identity in [
        other.client(&["reader.internal"]),
        // Of the same name, but of another key.
        namesake.client(&["reader.internal"]),
        services.authority.expired("reader.internal"),
        // A listener's certificate is no caller's.
        services.authority.server("reader.internal"),
    ] {
        let refused = services.caller(&identity).try_get(CLIENTS).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let bridge = &services.world.bridge;
    for reason in [
        "UnknownIssuer",
        "BadSignature",
        "expired",
        "extended key usage",
    ] {
        eventually(reason, async || {
            let said = bridge.output();
            let told = |l: &str| l.contains("TLS with a peer failed") && l.contains(reason);
            said.lines().any(told).then_some(())
        })
        .await;
    }
    // Who shows none is still served.
    assert_eq!(services.nobody().get(CLIENTS).await.status, 401);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_is_refused_and_so_is_everybody_once_the_list_is_old() {
    let setup = Setup {
        crl: true,
        ..Setup::default()
    };
    let mut services = Services::with(setup).await;
    let lost = services.authority.client(&["reader.internal"]);
    let kept = services.authority.client(&["reader.internal"]);
    // One connection each, kept open.
    let (lost_peer, kept_peer) = (services.caller(&lost), services.caller(&kept));
    assert_eq!(lost_peer.get(CLIENTS).await.status, 200);
    assert_eq!(kept_peer.get(CLIENTS).await.status, 200);

    let list = services.authority.revocation_list(&[&lost], Duration::DAY);
    services.replace("clients.crl", &list);
    services.hang_up().await;
    // The open connection ends: what let it in no longer holds.
    eventually("the revoked connection ends", async || {
        lost_peer.try_get(CLIENTS).await.is_err().then_some(())
    })
    .await;
    assert!(services.caller(&lost).try_get(CLIENTS).await.is_err());
    assert_eq!(services.caller(&kept).get(CLIENTS).await.status, 200);
    let said = services.world.bridge.output();
    assert!(said.contains("Revoked"), "{said}");

    // A list that nobody renewed lets nobody in; who needs no certificate still comes.
    let old = services
        .authority
        .revocation_list(&[&lost], -Duration::HOUR);
    services.replace("clients.crl", &old);
    services.hang_up().await;
    assert!(services.caller(&kept).try_get(CLIENTS).await.is_err());
    let token = services.token("asker", serde_json::json!({}));
    assert_eq!(services.nobody().bearing(CLIENTS, &token).await.status, 200);

    // What is no list at all changes nothing, and is said.
    services.replace("clients.crl", "not a list");
    services.world.bridge.hang_up();
    let bridge = &services.world.bridge;
    eventually("the mistake is named", async || {
        let said = bridge.output();
        said.contains("the former ones stay").then_some(())
    })
    .await;
    assert!(services.caller(&kept).try_get(CLIENTS).await.is_err());
    let fresh = services.authority.revocation_list(&[&lost], Duration::DAY);
    services.replace("clients.crl", &fresh);
    services.hang_up().await;
    assert_eq!(services.caller(&kept).get(CLIENTS).await.status, 200);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authority_counts_without_a_restart_and_the_former_no_longer() {
    let mut services = Services::start().await;
    let former = services.authority.client(&["reader.internal"]);
    assert_eq!(services.caller(&former).get(CLIENTS).await.status, 200);
    let new = Authority::new("the new authority");
    services.replace("ca.pem", &new.pem());
    services.hang_up().await;
    assert!(services.caller(&former).try_get(CLIENTS).await.is_err());
    let identity = new.client(&["reader.internal"]);
    assert_eq!(services.caller(&identity).get(CLIENTS).await.status, 200);
    // The listener's own certificate likewise; callers know both authorities.
    let own = new.server(API);
    services.replace("server.pem", &own.certificate);
    services.replace("server-key.pem", &own.key);
    services.hang_up().await;
    assert_eq!(services.caller(&identity).get(CLIENTS).await.status, 200);
    services.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_and_its_scopes_change_on_a_reload() {
    let services = Services::start().await;
    let reader = services.named(&["reader.internal"]);
    assert_eq!(reader.get(CLIENTS).await.status, 200);
    let file = services.world.bridge.config();
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text.replace(
        "id = \"reader\"\nscopes = [\"users:read\"]",
        "id = \"reader\"\nscopes = [\"jobs\"]",
    );
    assert_ne!(text, changed);
    std::fs::write(&file, changed).unwrap();
    services.world.bridge.hang_up();
    eventually("the scope is gone", async || {
        (reader.get(CLIENTS).await.status == 403).then_some(())
    })
    .await;
    services.finish().await;
}

//! Webhooks of Authentik: whether they arrive, tried by Authentik's own transport test, and which
//! mistake it is when they don't.
//!
//! `ask` speaks to Authentik · `rules` looks at what decides which events are sent. Forms of answers
//! about transports are recorded; those about rules, bindings and matchers are from its API's schema.

mod ask;
mod rules;

use super::report::Report;
use crate::cli::out::{clean, roughly};
use crate::config::{ApiListener, Config, DirectoryConfig, DirectoryKind, HooksConfig};
use crate::runtime;
use crate::store::Store;
use crate::types::{Clock, SourceId, Timestamp};
use ask::{Answer, Authentik, Trouble};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long the test may take to arrive in the store, once Authentik says that it was sent.
const PATIENCE: Duration = Duration::from_secs(10);
const SHIPPED: &str =
    "Apply config/authentik/blueprint.yaml (or main.tf), as README.md says under Webhooks.";

/// A transport, as far as it matters.
#[derive(Debug, Clone, Deserialize)]
struct Transport {
    pk: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    webhook_url: String,
    #[serde(default)]
    send_once: bool,
    #[serde(default)]
    webhook_mapping_headers: Option<String>,
    #[serde(default)]
    webhook_mapping_body: Option<String>,
}

/// All about the webhooks of one directory.
pub(super) async fn judge(
    report: &mut Report,
    config: &Config,
    directory: &DirectoryConfig,
    clock: &Arc<dyn Clock>,
) {
    let about = format!("hooks {}", directory.id);
    let DirectoryKind::Authentik(own) = &directory.kind else {
        return;
    };
    let (Some(hooks), Some(api)) = (&directory.hooks, &config.api) else {
        report.note(
            about,
            "no webhooks are configured: changes are noticed when people sign in, and by sweeps",
        );
        return;
    };
    let store = open(config).await;
    if let Some(store) = &store {
        heard(report, &about, directory, hooks, store, clock.now()).await;
    }
    let authentik = match Authentik::new(directory, &own.token) {
        Ok(authentik) => authentik,
        Err(error) => {
            return report.error(about, error, "Look at `token` and `ca` of the directory.");
        }
    };
    let transports = match authentik.all::<Transport>("events/transports/").await {
        Ok(transports) => transports,
        Err(trouble) => return unseen(report, &about, "transports", &trouble),
    };
    let Some(transport) = find(report, &about, &transports, api, &directory.id) else {
        return;
    };
    settings(report, &about, transport);
    rules::judge(report, &about, &authentik, transport).await;
    if !listens(api).await {
        report.note(
            about,
            "the transport test was not tried, since no bridge listens at listen.api.address: run this again while it runs",
        );
        return;
    }
    fire(
        report, &about, &authentik, transport, directory, store, clock,
    )
    .await;
}

/// The store, if it is there and of this version: a check makes nothing.
async fn open(config: &Config) -> Option<Arc<dyn Store>> {
    let schema = runtime::schema_of(&config.store).await.ok()?;
    if schema.found != Some(schema.known) {
        return None;
    }
    runtime::store_of(&config.store).await.ok()
}

async fn heard(
    report: &mut Report,
    about: &str,
    directory: &DirectoryConfig,
    hooks: &HooksConfig,
    store: &Arc<dyn Store>,
    now: Timestamp,
) {
    let Ok(state) = store.source_state(&directory.id).await else {
        return;
    };
    match state.heard_at.max(state.tested_at) {
        None => report.note(about, "nothing has ever arrived"),
        Some(at) if now.since(at) > hooks.silent_after => report.warning(
            about,
            format!("nothing has arrived for {}", roughly(now.0 - at.0)),
            "If people signed in since, webhooks are lost: read on.",
        ),
        Some(at) => report.ok(about, format!("last heard {} ago", roughly(now.0 - at.0))),
    }
}

fn unseen(report: &mut Report, about: &str, what: &str, trouble: &Trouble) {
    match trouble {
        Trouble::Forbidden => report.note(
            about,
            format!(
                "the token may not see {what}: give its role view_notificationtransport, \
                 change_notificationtransport, view_notificationrule, view_policybinding, \
                 view_eventmatcherpolicy, and add_notificationtransport on our transport, to have them checked, or press Test at the transport in Authentik"
            ),
        ),
        Trouble::Other(why) => report.warning(
            about,
            format!("Authentik was not to be asked about {what}: {why}"),
            "Look at what is said about the directory itself.",
        ),
    }
}

/// The transport that is meant.
fn find<'a>(
    report: &mut Report,
    about: &str,
    transports: &'a [Transport],
    api: &ApiListener,
    id: &SourceId,
) -> Option<&'a Transport> {
    let wanted = format!("{}/hooks/authentik", api.issuer);
    let own = format!("/hooks/authentik/{id}");
    let is_hook = |t: &&Transport| {
        t.webhook_url.ends_with("/hooks/authentik") || t.webhook_url.ends_with(&own)
    };
    let mut hooks = transports.iter().filter(is_hook);
    let exact = (hooks.clone()).find(|t| t.webhook_url.starts_with(&api.issuer));
    if let Some(transport) = exact.or_else(|| hooks.next()) {
        if exact.is_none() {
            report.note(
                about,
                format!(
                    "transport {} goes to {}, which is not below listen.api.issuer ({})",
                    clean(&transport.name),
                    clean(&transport.webhook_url),
                    api.issuer
                ),
            );
        }
        return Some(transport);
    }
    let ours = transports
        .iter()
        .find(|t| t.webhook_url.starts_with(&api.issuer) || t.name.contains("auth-manager"));
    match ours {
        Some(transport) => report.error(
            about,
            format!(
                "wrong address: transport {} goes to {}",
                clean(&transport.name),
                clean(&transport.webhook_url)
            ),
            format!("Set its webhook_url to {wanted}."),
        ),
        None => report.error(
            about,
            format!("no transport: none of Authentik's goes to {wanted}"),
            SHIPPED,
        ),
    }
    None
}

fn settings(report: &mut Report, about: &str, transport: &Transport) {
    let name = clean(&transport.name);
    if transport.mode != "webhook" {
        report.error(
            about,
            format!("transport {name} is of mode {}", clean(&transport.mode)),
            "Set its mode to webhook: other modes send another body.",
        );
    }
    if transport.webhook_mapping_headers.is_none() {
        report.error(
            about,
            format!("transport {name} has no header mapping: it sends no secret"),
            SHIPPED,
        );
    }
    if transport.webhook_mapping_body.is_none() {
        report.note(
            about,
            format!(
                "transport {name} has no body mapping: sign-ins don't say whose they are, and what comes twice is not known again"
            ),
        );
    }
    if !transport.send_once {
        report.warning(
            about,
            format!(
                "send_once of transport {name} is off: each event is delivered to every member of the recipient group"
            ),
            "Switch it on.",
        );
    }
}

/// Whether somebody accepts where the api listens.
async fn listens(api: &ApiListener) -> bool {
    let mut address = api.address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let connect = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(address));
    matches!(connect.await, Ok(Ok(_)))
}

/// Has Authentik send its test, and waits for it.
async fn fire(
    report: &mut Report,
    about: &str,
    authentik: &Authentik,
    transport: &Transport,
    directory: &DirectoryConfig,
    store: Option<Arc<dyn Store>>,
    clock: &Arc<dyn Clock>,
) {
    let tested = async || match &store {
        Some(store) => store.source_state(&directory.id).await.ok()?.tested_at,
        None => None,
    };
    // A test that arrived before must not be taken for this one, and times are whole seconds.
    let before = tested().await;
    for _ in 0..30 {
        if Some(clock.now()) > before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let path = format!("events/transports/{}/test/", transport.pk);
    let answer = match authentik.post(&path).await {
        Ok(answer) => answer,
        Err(Trouble::Forbidden) => {
            report.note(
                about,
                "the token may not fire the transport test (change_notificationtransport and, for this one transport at least, add_notificationtransport): press Test at the transport in Authentik, then `auth-manager hooks list` shows whether it arrived",
            );
            return;
        }
        Err(Trouble::Other(why)) => {
            report.warning(
                about,
                format!("the transport test was not fired: {why}"),
                "",
            );
            return;
        }
    };
    if !answer.is_success() {
        let (what, remedy) = explain(&answer);
        let said = clean(&answer.text.chars().take(300).collect::<String>());
        return report.error(about, format!("{what}; Authentik says: {said}"), remedy);
    }
    if store.is_none() {
        report.note(
            about,
            "Authentik says that the transport test was taken; there is no store to look it up in",
        );
        return;
    }
    let arrived = async {
        while tested().await <= before {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, arrived).await {
        Ok(()) => report.ok(about, "the transport test was fired, and arrived"),
        Err(_) => report.error(
            about,
            format!(
                "the transport test was taken by somebody at {}, and did not arrive here",
                clean(&transport.webhook_url)
            ),
            "Does the address lead to this bridge, with this store? A redirect counts as success to Authentik.",
        ),
    }
}

/// Which mistake Authentik's complaint about the receiver is.
fn explain(answer: &Answer) -> (&'static str, &'static str) {
    let text = answer.text.to_ascii_lowercase();
    let has = |word: &str| text.contains(word);
    if answer.status == 405 && text.is_empty() {
        // Difference 16: an expression that does not compile.
        return (
            "a mapping of the transport breaks",
            "Its secret may hold a quote or a backslash: use `openssl rand -hex 32`, and apply the blueprint again.",
        );
    }
    if has("401") {
        return (
            "wrong secret: the bridge refuses what Authentik sends",
            "Is it the file that the blueprint's !File names, readable by Authentik's worker, and the one of directories.hooks.secrets? After a change apply the blueprint again, and send SIGHUP to the bridge.",
        );
    }
    if has("403") {
        return (
            "the secret is another directory's than the address names",
            "End the transport's webhook_url in /hooks/authentik.",
        );
    }
    if has("404") || has("405") {
        return (
            "wrong address: what answers there is not /hooks/authentik",
            "Set the transport's webhook_url to the api listener's address and /hooks/authentik.",
        );
    }
    if has("certificate") || has("ssl") {
        return (
            "Authentik does not believe the listener's certificate",
            "Give the transport the authority (webhook_ca, 2026.5 and later), or the worker a bundle that has it.",
        );
    }
    if has("503") {
        return (
            "the bridge could not put it on record",
            "Look at its store.",
        );
    }
    (
        "Authentik's server does not reach the bridge",
        "Is the address right as seen from Authentik's server and worker, and open between them?",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_complaints_are_told_apart() {
        for (status, text, what) in [
            (
                500,
                "\"401 Client Error: Unauthorized for url: http://x/\"",
                "wrong secret",
            ),
            (
                500,
                "\"404 Client Error: Not Found for url: http://x/\"",
                "wrong address",
            ),
            (
                500,
                "\"503 Server Error: Service Unavailable for url\"",
                "on record",
            ),
            (405, "", "mapping"),
            (
                500,
                "\"[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer\"",
                "certificate",
            ),
            (
                500,
                "\"HTTPConnectionPool: Connection refused\"",
                "does not reach",
            ),
        ] {
            let answer = Answer {
                status,
                text: text.to_owned(),
            };
            assert!(explain(&answer).0.contains(what), "{text}");
        }
    }
}

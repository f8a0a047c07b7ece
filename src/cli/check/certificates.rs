//! Certificate files: that they fit, for which names, until when.

use super::report::Report;
use crate::cli::out::roughly;
use crate::config::{Config, JwksSource, ProxyTls, StoreConfig};
use crate::tls::{ClientCertificates, PeerName, ServerFiles, peer, pem, validity};
use crate::types::Timestamp;
use std::path::Path;

/// Whoever renews by hand should hear of it so long before.
const SOON: i64 = 21 * 86_400;

/// The listener's own, and the authorities of the peers.
pub(super) fn judge(report: &mut Report, config: &Config, now: Timestamp) {
    match &config.proxy.tls {
        Some(tls) => listener(report, tls, config.proxy.http2, now),
        None => report.note(
            "listen.proxy",
            format!(
                "plain HTTP on {}: Pomerium must run on this machine",
                config.proxy.address
            ),
        ),
    }
    for issuer in &config.issuers {
        if let JwksSource::Url { ca: Some(ca), .. } = &issuer.jwks {
            authorities(report, &format!("issuer {}", issuer.id), ca, now);
        }
    }
    for app in &config.apps {
        if let Some(ca) = &app.upstream_ca {
            authorities(report, &format!("app {}", app.id), ca, now);
        }
    }
    if let StoreConfig::Postgres { ca: Some(ca), .. } = &config.store {
        authorities(report, "store", ca, now);
    }
}

fn listener(report: &mut Report, tls: &ProxyTls, h2: bool, now: Timestamp) {
    let about = "listen.proxy.tls";
    let files = ServerFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        clients: match &tls.client_ca {
            Some(ca) => ClientCertificates::Required { ca: ca.clone() },
            None => ClientCertificates::Ignored,
        },
        h2,
    };
    if let Err(error) = files.load() {
        return report.error(
            about,
            error.to_string(),
            "certs/README.md says what must be in them.",
        );
    }
    let Ok(chain) = pem::certificates(&tls.certificate) else {
        return;
    };
    for (at, certificate) in chain.iter().enumerate() {
        let what = if at == 0 { "certificate" } else { "its chain" };
        until(report, about, &tls.certificate, what, certificate, now);
    }
    let names = chain.first().and_then(|leaf| peer::names(leaf).ok());
    let names: Vec<String> = names
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| match name {
            PeerName::Dns(name) => Some(name),
            PeerName::Uri(_) | PeerName::Spki(_) => None,
        })
        .collect();
    if names.is_empty() {
        report.warning(
            about,
            format!("{} has no DNS name", tls.certificate.display()),
            "Pomerium compares the host in `to:` with it: issue it for that name (an IP address in `to:` needs an IP name).",
        );
    } else {
        report.ok(
            about,
            format!("Pomerium's `to:` may name {}", names.join(", ")),
        );
    }
    if let Some(ca) = &tls.client_ca {
        authorities(report, about, ca, now);
        report.ok(
            about,
            format!(
                "Pomerium must show a certificate of {} for {}",
                ca.display(),
                tls.client_names.join(" or ")
            ),
        );
    }
}

fn authorities(report: &mut Report, about: &str, path: &Path, now: Timestamp) {
    if let Err(error) = pem::roots(path) {
        return report.error(about, error.to_string(), "Name a PEM file of authorities.");
    }
    for certificate in pem::certificates(path).unwrap_or_default() {
        until(report, about, path, "authority", &certificate, now);
    }
}

fn until(report: &mut Report, about: &str, path: &Path, what: &str, der: &[u8], now: Timestamp) {
    let path = path.display();
    let Some((from, until)) = validity::of(der) else {
        return report.warning(
            about,
            format!("{path}: {what}: when it ends can't be read"),
            "",
        );
    };
    let left = until.0 - now.0;
    if from > now {
        report.error(
            about,
            format!("{path}: {what}: valid from {from} only"),
            "Is this machine's clock right?",
        );
    } else if left <= 0 {
        report.error(
            about,
            format!("{path}: {what}: expired {} ago ({until})", roughly(left)),
            "Issue a new one; a running bridge takes it up by itself.",
        );
    } else if left < SOON {
        report.warning(
            about,
            format!("{path}: {what}: expires in {} ({until})", roughly(left)),
            "Issue a new one; a running bridge takes it up by itself.",
        );
    } else {
        report.ok(about, format!("{path}: {what}: valid until {until}"));
    }
}

//! Certificate files: that they fit, for which names, until when.

use super::report::Report;
use crate::cli::out::roughly;
use crate::config::{ApiListener, Config, JwksSource, ProxyTls, StoreConfig};
use crate::tls::{ClientCertificates, PeerName, ServerFiles, peer, pem, validity};
use crate::types::Timestamp;
use std::path::Path;
use url::Url;

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
    if let Some(listener) = &config.api {
        api(report, listener, now);
    }
    let people = config.issuers.iter().map(|i| ("issuer", &i.id, &i.jwks));
    let services = config
        .api_issuers
        .iter()
        .map(|i| ("api issuer", &i.id, &i.jwks));
    for (kind, id, jwks) in people.chain(services) {
        if let JwksSource::Url { ca: Some(ca), .. } = jwks {
            authorities(report, &format!("{kind} {id}"), ca, now);
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
    let names = own(report, about, &tls.certificate, now);
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

/// What the api listener shows, and whom it believes.
fn api(report: &mut Report, listener: &ApiListener, now: Timestamp) {
    let about = "listen.api.tls";
    let Some(tls) = &listener.tls else {
        return report.note(
            "listen.api",
            format!(
                "plain HTTP on {}: nobody can show a certificate",
                listener.address
            ),
        );
    };
    let files = ServerFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        clients: match &tls.client_ca {
            Some(ca) => ClientCertificates::Optional {
                ca: ca.clone(),
                crl: tls.client_crl.clone(),
            },
            None => ClientCertificates::Ignored,
        },
        h2: true,
    };
    if let Err(error) = files.load() {
        return report.error(
            about,
            error.to_string(),
            "certs/README.md says what must be in them.",
        );
    }
    let names = own(report, about, &tls.certificate, now);
    let host = Url::parse(&listener.issuer).ok();
    let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
    if names.iter().all(|name| name != host) {
        report.warning(
            about,
            format!("{} is not for {host}", tls.certificate.display()),
            "Services find the bridge by listen.api.issuer: its host should be a name of the certificate.",
        );
    }
    if let Some(ca) = &tls.client_ca {
        authorities(report, about, ca, now);
    }
    let Some(path) = &tls.client_crl else { return };
    for list in pem::revocation_lists(path).unwrap_or_default() {
        match validity::next_update(&list) {
            Some(next) if next <= now => report.error(
                about,
                format!(
                    "{}: the revocation list was to be renewed by {next}",
                    path.display()
                ),
                "No client certificate is taken until it is: let the authority sign a new one.",
            ),
            Some(next) => report.ok(
                about,
                format!(
                    "{}: revocation list, to be renewed by {next}",
                    path.display()
                ),
            ),
            None => report.warning(
                about,
                format!(
                    "{}: until when the revocation list is good can't be read",
                    path.display()
                ),
                "",
            ),
        }
    }
}

/// A listener's own certificate: until when it is good, and its DNS names.
fn own(report: &mut Report, about: &str, path: &Path, now: Timestamp) -> Vec<String> {
    let chain = pem::certificates(path).unwrap_or_default();
    for (at, certificate) in chain.iter().enumerate() {
        let what = if at == 0 { "certificate" } else { "its chain" };
        until(report, about, path, what, certificate, now);
    }
    let names = chain.first().and_then(|leaf| peer::names(leaf).ok());
    let names = names.unwrap_or_default().into_iter();
    names
        .filter_map(|name| match name {
            PeerName::Dns(name) => Some(name),
            PeerName::Uri(_) | PeerName::Spki(_) => None,
        })
        .collect()
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

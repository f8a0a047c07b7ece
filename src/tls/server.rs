//! What a listener offers: certificate, key, ALPN, and which client certificates it takes.
//!
//! That a client certificate is signed by our authority is checked in the handshake; whose it is,
//! afterwards, by [`super::peer`]: with TLS 1.3 a client learns of a refusal in the handshake only
//! as a broken connection (recordings/pomerium, difference 31), so the reason must be logged here.
//!
//! A client that sends an IP address as SNI is served like one that sends none (recordings/pomerium,
//! difference 32: Pomerium does for `to: https://<IP>`): rustls ignores such a name.

use super::pem::{self, TlsError};
use super::{Role, provider};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which client certificates a listener takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    Ignored,
    /// One is asked for; whoever brings none is served, whoever brings a wrong one is not.
    Optional {
        /// The authorities that sign them.
        ca: PathBuf,
        /// Their revocation lists. With them, who is on one is refused, and so is everybody whose
        /// issuer has none here or one that is past its `nextUpdate`: a list that nobody renews
        /// must not let a stolen key in (T11).
        crl: Option<PathBuf>,
    },
    /// Nobody is served without one.
    Required {
        /// The authorities that sign them.
        ca: PathBuf,
    },
}

/// The files of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// Certificate chain, the leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Client certificates.
    pub clients: ClientCertificates,
    /// Offers HTTP/2 beside HTTP/1.1. Off by default: a Pomerium route with WebSockets speaks
    /// HTTP/1.1, and Envoy would pick h2 when offered.
    pub h2: bool,
}

impl ServerFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file is missing or unusable, or certificate and key don't belong together.
    pub fn load(&self) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match &self.clients {
            ClientCertificates::Ignored => builder.with_no_client_auth(),
            ClientCertificates::Optional { ca, crl } => {
                builder.with_client_cert_verifier(verifier(ca, crl.as_deref(), true)?)
            }
            ClientCertificates::Required { ca } => {
                builder.with_client_cert_verifier(verifier(ca, None, false)?)
            }
        };
        let chain = pem::certificates(&self.certificate)?;
        let key = pem::private_key(&self.key)?;
        let mut config =
            builder
                .with_single_cert(chain, key)
                .map_err(|source| TlsError::Unusable {
                    path: self.certificate.clone(),
                    source,
                })?;
        config.alpn_protocols = alpn(self.h2);
        Ok(config)
    }

    /// The files with certificates in them, and what they are for.
    #[must_use]
    pub fn certificates(&self) -> Vec<(Role, PathBuf)> {
        let mut files = vec![(Role::Own, self.certificate.clone())];
        match &self.clients {
            ClientCertificates::Ignored => {}
            ClientCertificates::Optional { ca, .. } | ClientCertificates::Required { ca } => {
                files.push((Role::Authority, ca.clone()));
            }
        }
        files
    }

    /// Every file, for [`super::reload`].
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.certificate.clone(), self.key.clone()];
        match &self.clients {
            ClientCertificates::Ignored => {}
            ClientCertificates::Optional { ca, crl } => {
                paths.push(ca.clone());
                paths.extend(crl.clone());
            }
            ClientCertificates::Required { ca } => paths.push(ca.clone()),
        }
        paths
    }
}

fn verifier(
    ca: &Path,
    crl: Option<&Path>,
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(pem::roots(ca)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    if let Some(crl) = crl {
        builder = builder
            .with_crls(pem::revocation_lists(crl)?)
            .enforce_revocation_expiration();
    }
    if optional {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|error| pem::content(crl.unwrap_or(ca), format!("can't verify clients: {error}")))
}

pub(super) fn alpn(h2: bool) -> Vec<Vec<u8>> {
    let mut protocols = Vec::new();
    if h2 {
        protocols.push(b"h2".to_vec());
    }
    protocols.push(b"http/1.1".to_vec());
    protocols
}

//! How we call others: whom we believe, and what we show.

use super::pem::{self, TlsError};
use super::{Role, provider, server};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;

/// The files of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// Authorities to believe *instead of* the public ones; with a private authority named, a
    /// public one that was talked into a certificate is of no use to anybody.
    pub ca: Option<PathBuf>,
    /// Certificate chain and private key to show when asked.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Offers HTTP/2 beside HTTP/1.1.
    pub h2: bool,
}

impl ClientFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file is missing or unusable, or certificate and key don't belong together.
    pub fn load(&self) -> Result<ClientConfig, TlsError> {
        let roots = match &self.ca {
            Some(ca) => pem::roots(ca)?,
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(pem::certificates(certificate)?, pem::private_key(key)?)
                .map_err(|source| TlsError::Unusable {
                    path: certificate.clone(),
                    source,
                })?,
        };
        config.alpn_protocols = server::alpn(self.h2);
        Ok(config)
    }

    /// The files with certificates in them, and what they are for.
    #[must_use]
    pub fn certificates(&self) -> Vec<(Role, PathBuf)> {
        let own = self.identity.iter().map(|(own, _)| (Role::Own, own));
        let all = own.chain(self.ca.iter().map(|ca| (Role::Authority, ca)));
        all.map(|(role, path)| (role, path.clone())).collect()
    }

    /// Every file, for [`super::reload`].
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let identity = self.identity.iter().flat_map(|(a, b)| [a, b]);
        self.ca.iter().chain(identity).cloned().collect()
    }
}

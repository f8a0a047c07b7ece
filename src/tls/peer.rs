//! Who a client is, by its certificate: names (subject alternative names, exact) or the hash of its
//! public key. Asked after the handshake, which has checked the signature chain.
//!
//! The common name of the subject is never looked at (RFC 9525 §2).

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use std::fmt;
use webpki::EndEntityCert;

/// Which peers are let in: one match is enough. An empty list lets nobody in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinnedNames {
    /// DNS names, ASCII case ignored. A wildcard matches only itself, as a text.
    pub dns: Vec<String>,
    /// URI names, for example `spiffe://…`: exact text.
    pub uri: Vec<String>,
    /// SHA-256 of the subject public key info (RFC 7469 §2.4).
    pub spki_sha256: Vec<[u8; 32]>,
}

/// A name that a peer's certificate proves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerName {
    /// A DNS name, lower case.
    Dns(String),
    /// A URI.
    Uri(String),
    /// The SHA-256 of its public key.
    Spki([u8; 32]),
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(name) => write!(f, "uri:{name}"),
            Self::Spki(hash) => {
                f.write_str("spki-sha256:")?;
                hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A peer whose certificate the handshake has checked: what it proves, and its thumbprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Every name; the hash of its key comes last.
    pub names: Vec<PeerName>,
    /// SHA-256 of the certificate: `x5t#S256` of tokens that are bound to it (RFC 8705 §3.1).
    pub thumbprint: [u8; 32],
}

impl Peer {
    /// Who showed this chain, the leaf first; `None` when there was none.
    ///
    /// # Errors
    /// When the certificate can't be read.
    pub fn of(chain: &[CertificateDer<'_>]) -> Result<Option<Self>, PeerError> {
        let Some(leaf) = chain.first() else {
            return Ok(None);
        };
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(digest(&SHA256, leaf).as_ref());
        Ok(Some(Self {
            names: names(leaf)?,
            thumbprint,
        }))
    }
}

/// Why a peer is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It showed none.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// It can't be read.
    #[error("the peer's certificate can't be read")]
    Unreadable,
    /// Its names are not on the list.
    #[error("the peer's certificate is for {}, which is not pinned", list(.0))]
    NotPinned(Vec<PeerName>),
}

/// The first of the peer's names that is pinned. `chain` is what
/// `ServerConnection::peer_certificates` gives, the leaf first.
///
/// # Errors
/// When there is no certificate or none of its names is pinned.
pub fn admitted(chain: &[CertificateDer<'_>], pinned: &PinnedNames) -> Result<PeerName, PeerError> {
    let leaf = chain.first().ok_or(PeerError::NoCertificate)?;
    let found = names(leaf)?;
    match found.iter().find(|name| pinned.holds(name)) {
        Some(name) => Ok(name.clone()),
        None => Err(PeerError::NotPinned(found)),
    }
}

/// Every name that a certificate proves; the hash of its key comes last.
///
/// # Errors
/// When the certificate can't be read.
pub fn names(certificate: &CertificateDer<'_>) -> Result<Vec<PeerName>, PeerError> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|_| PeerError::Unreadable)?;
    let dns = certificate.valid_dns_names();
    let uri = certificate.valid_uri_names();
    let mut found: Vec<_> = dns
        .map(|name| PeerName::Dns(name.to_ascii_lowercase()))
        .chain(uri.map(|name| PeerName::Uri(name.to_owned())))
        .collect();
    let hash = digest(&SHA256, &certificate.subject_public_key_info());
    found.extend(hash.as_ref().try_into().ok().map(PeerName::Spki));
    Ok(found)
}

impl PinnedNames {
    /// Whether nothing is pinned, so that nobody is let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.uri.is_empty() && self.spki_sha256.is_empty()
    }

    fn holds(&self, name: &PeerName) -> bool {
        match name {
            PeerName::Dns(name) => self.dns.iter().any(|pin| pin.eq_ignore_ascii_case(name)),
            PeerName::Uri(name) => self.uri.contains(name),
            PeerName::Spki(hash) => self.spki_sha256.contains(hash),
        }
    }
}

/// For the log: bounded, and nothing in it can break a line.
fn list(names: &[PeerName]) -> String {
    let shown: Vec<_> = (names.iter().take(MOST_SHOWN))
        .map(|name| {
            name.to_string()
                .escape_debug()
                .take(200)
                .collect::<String>()
        })
        .collect();
    let more = if names.len() > MOST_SHOWN {
        ", …"
    } else {
        ""
    };
    shown.join(", ") + more
}

const MOST_SHOWN: usize = 4;

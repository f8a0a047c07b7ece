//! Certificates and keys from PEM files; every failure names the file and what to do.

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why TLS can't be set up from its files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{path}: {source}; check that it exists and that this user may read it")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file can't be made.
    #[error("{path}: can't be made: {source}; an existing file is never overwritten")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path}: {why}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// The pieces don't fit together.
    #[error("{path}: {source}; certificate and key must belong together, the leaf first")]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The TLS library refuses its own defaults.
    #[error(transparent)]
    Library(#[from] rustls::Error),
    /// A development certificate can't be made.
    #[error("a development certificate can't be made: {0}")]
    Development(String),
}

/// The certificates in `path`, the leaf first.
///
/// # Errors
/// When the file can't be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| content(path, format!("is no PEM file: {error}")))?;
    if found.is_empty() {
        return Err(content(
            path,
            "holds no certificate (a block that begins `-----BEGIN CERTIFICATE-----`)",
        ));
    }
    Ok(found)
}

/// The private key in `path`: PKCS#8, SEC1 or PKCS#1.
///
/// # Errors
/// When the file can't be read or holds no unencrypted key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        content(
            path,
            "holds no private key that can be read; write an unencrypted one, for example with \
             `openssl pkcs8 -topk8 -nodes`",
        )
    })
}

/// The authorities in `path`, each of which must be usable.
///
/// # Errors
/// When the file can't be read or holds something that is no authority.
pub fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| content(path, format!("holds an unusable certificate: {error}")))?;
    }
    Ok(roots)
}

/// The revocation lists in `path`.
///
/// # Errors
/// When the file can't be read or holds none.
pub fn revocation_lists(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| content(path, format!("is no PEM file: {error}")))?;
    if found.is_empty() {
        return Err(content(
            path,
            "holds no revocation list (a block that begins `-----BEGIN X509 CRL-----`); an \
             authority that revoked nothing still signs an empty one",
        ));
    }
    Ok(found)
}

pub(super) fn content(path: &Path, why: impl Into<String>) -> TlsError {
    TlsError::Content {
        path: path.to_owned(),
        why: why.into(),
    }
}

/// At most [`MAX_FILE`]; more is an error, not a cut.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mut text = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut text))
        .map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })?;
    if text.len() as u64 > MAX_FILE {
        return Err(content(
            path,
            "is larger than 4 MiB: not a certificate or key",
        ));
    }
    Ok(text)
}

/// A bundle of all public authorities is about 250 KiB.
const MAX_FILE: u64 = 4 << 20;

//! A certificate authority for development and tests: one root, one server certificate, two client
//! certificates (Pomerium's and a service's), ECDSA P-256. Not for production: the root's key lies beside the rest.

use super::pem::TlsError;
use crate::types::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
    SignatureAlgorithm,
};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Where the development certificates lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevPaths {
    /// The authority's certificate: for both sides.
    pub ca: PathBuf,
    /// The authority's private key.
    pub ca_key: PathBuf,
    /// Our listener's certificate.
    pub server: PathBuf,
    /// Its private key.
    pub server_key: PathBuf,
    /// The client's certificate, for Pomerium (`tls_client_cert_file`).
    pub client: PathBuf,
    /// Its private key.
    pub client_key: PathBuf,
    /// A service's certificate, for the api listener.
    pub service: PathBuf,
    /// Its private key.
    pub service_key: PathBuf,
}

/// A development authority in memory, for whoever needs more certificates than [`write()`] makes.
pub struct DevAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    now: Timestamp,
}

/// A certificate and its private key, as PEM.
pub struct DevCertificate {
    /// The certificate.
    pub certificate: String,
    /// PKCS#8.
    pub key: Zeroizing<String>,
}

/// What a development certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevUsage {
    /// A listener.
    Server,
    /// A caller.
    Client,
}

impl DevAuthority {
    /// A new authority, valid from a day before `now` (clocks differ) for ten years.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn new(now: Timestamp) -> Result<Self, TlsError> {
        let mut params = params("auth-manager development CA", now, TEN_YEARS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key()?).map_err(failed)?;
        Ok(Self { issuer, now })
    }

    /// The authority's certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a certificate for `names`: IP addresses, URIs (with `://`) or DNS names; valid for 825
    /// days, the longest that some clients accept.
    ///
    /// # Errors
    /// When a name can't stand in a certificate.
    pub fn issue(&self, usage: DevUsage, names: &[String]) -> Result<DevCertificate, TlsError> {
        self.issue_of(&PKCS_ECDSA_P256_SHA256, usage, names)
    }

    /// As [`Self::issue`], with a key of another kind.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub fn issue_of(
        &self,
        kind: &'static SignatureAlgorithm,
        usage: DevUsage,
        names: &[String],
    ) -> Result<DevCertificate, TlsError> {
        let common = names.first().map_or("auth-manager", String::as_str);
        let mut params = params(common, self.now, DAYS_825)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match usage {
            DevUsage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            DevUsage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.subject_alt_names = names
            .iter()
            .map(|name| san(name))
            .collect::<Result<_, _>>()?;
        let key = KeyPair::generate_for(kind).map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(DevCertificate {
            certificate: certificate.pem(),
            key: Zeroizing::new(key.serialize_pem()),
        })
    }
}

/// Writes a new authority, a server certificate for `server_names`, a client certificate for
/// `client_names` and one for a service, `service_names`, into `folder`, keys with mode 0600. Nothing that exists is overwritten.
///
/// # Errors
/// When a file exists or can't be written, or a name can't stand in a certificate.
pub fn write(
    folder: &Path,
    server_names: &[String],
    client_names: &[String],
    service_names: &[String],
    now: Timestamp,
) -> Result<DevPaths, TlsError> {
    let paths = DevPaths {
        ca: folder.join("ca.pem"),
        ca_key: folder.join("ca-key.pem"),
        server: folder.join("server.pem"),
        server_key: folder.join("server-key.pem"),
        client: folder.join("client.pem"),
        client_key: folder.join("client-key.pem"),
        service: folder.join("service.pem"),
        service_key: folder.join("service-key.pem"),
    };
    let authority = DevAuthority::new(now)?;
    let server = authority.issue(DevUsage::Server, server_names)?;
    let client = authority.issue(DevUsage::Client, client_names)?;
    let service = authority.issue(DevUsage::Client, service_names)?;
    fs::create_dir_all(folder).map_err(|source| TlsError::Write {
        path: folder.to_owned(),
        source,
    })?;
    let ca_key = Zeroizing::new(authority.issuer.key().serialize_pem());
    put(&paths.ca, &authority.certificate(), 0o644)?;
    put(&paths.ca_key, &ca_key, 0o600)?;
    put(&paths.server, &server.certificate, 0o644)?;
    put(&paths.server_key, &server.key, 0o600)?;
    put(&paths.client, &client.certificate, 0o644)?;
    put(&paths.client_key, &client.key, 0o600)?;
    put(&paths.service, &service.certificate, 0o644)?;
    put(&paths.service_key, &service.key, 0o600)?;
    Ok(paths)
}

fn put(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|source| TlsError::Write {
            path: path.to_owned(),
            source,
        })
}

fn key() -> Result<KeyPair, TlsError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)
}

fn params(common: &str, now: Timestamp, life: Duration) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::default();
    params.not_before = date(now - DAY)?;
    params.not_after = date(now + life)?;
    params.distinguished_name = DistinguishedName::new();
    // An organisation beside it tells one authority from the next in a browser's list.
    params
        .distinguished_name
        .push(DnType::OrganizationName, "auth-manager development");
    // X.520: a common name has at most 64 characters.
    let common: String = common.chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, common);
    Ok(params)
}

fn san(name: &str) -> Result<SanType, TlsError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let text = name.try_into().map_err(failed)?;
    Ok(if name.contains("://") {
        SanType::URI(text)
    } else {
        SanType::DnsName(text)
    })
}

fn date(at: Timestamp) -> Result<time::OffsetDateTime, TlsError> {
    time::OffsetDateTime::from_unix_timestamp(at.0)
        .map_err(|error| TlsError::Development(error.to_string()))
}

fn failed(error: rcgen::Error) -> TlsError {
    TlsError::Development(error.to_string())
}

const DAY: Duration = Duration::from_secs(86_400);
const DAYS_825: Duration = Duration::from_secs(825 * 86_400);
const TEN_YEARS: Duration = Duration::from_secs(3650 * 86_400);

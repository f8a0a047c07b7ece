//! An authority of the test's own, a certificate for the bridge and one for Pomerium.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Name of the bridge in its certificate.
pub const BRIDGE: &str = "bridge.example.test";
/// Name in Pomerium's client certificate.
pub const POMERIUM: &str = "pomerium-client.example.test";

/// PEM files.
pub struct Certs {
    pub ca: PathBuf,
    pub server: PathBuf,
    pub server_key: PathBuf,
    pub client: PathBuf,
    pub client_key: PathBuf,
    /// Of the same authority, but not named Pomerium.
    pub stranger: PathBuf,
    pub stranger_key: PathBuf,
}

impl Certs {
    /// Makes them in `folder`.
    pub fn make(folder: &Path) -> Self {
        Self::named(folder, BRIDGE)
    }

    /// Makes them in `folder`, the server's for another name.
    pub fn named(folder: &Path, server: &str) -> Self {
        let name_of_server = server;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        ca.distinguished_name
            .push(DnType::CommonName, "the test's authority");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            path
        };
        let issue = |name: &str, file: &str, usage: ExtendedKeyUsagePurpose| {
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
            params.extended_key_usages = vec![usage];
            params.distinguished_name.push(DnType::CommonName, name);
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &ca).unwrap();
            let certificate = write(&format!("{file}.pem"), &certificate.pem());
            (
                certificate,
                write(&format!("{file}-key.pem"), &key.serialize_pem()),
            )
        };
        let (server, server_key) = issue(
            name_of_server,
            "server",
            ExtendedKeyUsagePurpose::ServerAuth,
        );
        let (client, client_key) = issue(POMERIUM, "client", ExtendedKeyUsagePurpose::ClientAuth);
        let (stranger, stranger_key) = issue(
            "stranger.example.test",
            "stranger",
            ExtendedKeyUsagePurpose::ClientAuth,
        );
        let ca = write("ca.pem", &ca.pem());
        Self {
            ca,
            server,
            server_key,
            client,
            client_key,
            stranger,
            stranger_key,
        }
    }
}

//! TLS in front of something that has none, and a client's side of it; both can be given other
//! certificates while they run.

use super::certs::Certs;
use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
    let chain = CertificateDer::pem_file_iter(path).expect("a file");
    chain.map(|c| c.expect("PEM")).collect()
}

/// What a server shows that has these certificates.
pub fn server(certs: &Certs) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_file(&certs.server_key).expect("a key");
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_no_client_auth()
        .with_single_cert(chain(&certs.server), key)
        .expect("a pair");
    Arc::new(config)
}

/// What Pomerium does: believes these authorities, shows this certificate.
pub fn client(believes: &[&Path], shows: &Certs) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for path in believes {
        for authority in chain(path) {
            roots.add(authority).expect("an authority");
        }
    }
    let key = PrivateKeyDer::from_pem_file(&shows.client_key).expect("a key");
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain(&shows.client), key)
        .expect("a pair");
    Arc::new(config)
}

/// A connection by TLS.
///
/// # Errors
/// When there is none.
pub async fn connect(
    address: SocketAddr,
    name: &'static str,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name).expect("a name");
    TlsConnector::from(config).connect(name, stream).await
}

/// Takes TLS off in front of something whose address is told later; new connections meet the
/// certificates of the moment.
pub async fn for_later(
    config: Arc<ArcSwap<ServerConfig>>,
    behind: tokio::sync::oneshot::Receiver<SocketAddr>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    tokio::spawn(async move {
        let behind = behind.await.expect("an address");
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(config.load_full());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut server = TcpStream::connect(behind).await.ok()?;
                copy_bidirectional(&mut stream, &mut server).await.ok()
            });
        }
    });
    address
}

//! An HTTP client whose TLS follows its files: when they have changed it is made anew, with the same
//! settings. Requests that are under way end on the client they began with.

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;

type Settings = dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync;

/// See the module.
pub struct HttpClient {
    tls: Arc<ArcSwap<ClientConfig>>,
    settings: Box<Settings>,
    made: ArcSwap<Made>,
}

struct Made {
    of: Arc<ClientConfig>,
    client: reqwest::Client,
}

impl HttpClient {
    /// A client with these settings, and this TLS as it is at the time of each request.
    ///
    /// # Errors
    /// When no client can be made of them.
    pub fn new(
        tls: Arc<ArcSwap<ClientConfig>>,
        settings: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, reqwest::Error> {
        let settings: Box<Settings> = Box::new(settings);
        let made = Made::new(tls.load_full(), &settings)?;
        Ok(Self {
            tls,
            settings,
            made: ArcSwap::from_pointee(made),
        })
    }

    /// The client of the moment. What can't be made anew changes nothing: the former one stays.
    #[must_use]
    pub fn current(&self) -> reqwest::Client {
        let tls = self.tls.load();
        let made = self.made.load();
        if Arc::ptr_eq(&tls, &made.of) {
            return made.client.clone();
        }
        match Made::new(Arc::clone(&tls), &self.settings) {
            Ok(fresh) => {
                let client = fresh.client.clone();
                self.made.store(Arc::new(fresh));
                client
            }
            Err(error) => {
                tracing::error!(%error, "no client can be made of the new certificates: the former one stays");
                made.client.clone()
            }
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}

impl Made {
    fn new(of: Arc<ClientConfig>, settings: &Settings) -> Result<Self, reqwest::Error> {
        let builder =
            reqwest::Client::builder().tls_backend_preconfigured(ClientConfig::clone(&of));
        let client = settings(builder).build()?;
        Ok(Self { of, client })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ClientCertificates, ClientFiles, ServerFiles, dev};
    use crate::types::{Clock as _, SystemClock};
    use std::path::Path;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsAcceptor;

    /// A set of certificates for localhost: what a client believes that knows it, and a server.
    fn set(folder: &Path) -> (ClientConfig, rustls::ServerConfig) {
        let names = ["localhost".to_owned()];
        let paths = dev::write(folder, &names, &names, &names, SystemClock.now()).unwrap();
        let client = ClientFiles {
            ca: Some(paths.ca),
            ..ClientFiles::default()
        };
        let server = ServerFiles {
            certificate: paths.server,
            key: paths.server_key,
            clients: ClientCertificates::Ignored,
            h2: false,
        };
        (client.load().unwrap(), server.load().unwrap())
    }

    #[tokio::test]
    async fn a_request_believes_what_the_files_say_then() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (believes_one, _) = set(one.path());
        let (believes_two, server) = set(two.path());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "https://localhost:{}/",
            listener.local_addr().unwrap().port()
        );
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(server));
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer).await;
            }
        });
        let tls = Arc::new(ArcSwap::from_pointee(believes_one));
        let client = HttpClient::new(tls.clone(), |client| client.no_proxy()).unwrap();
        let get = async || client.current().get(&url).send().await;
        assert!(get().await.is_err(), "another authority");
        tls.store(Arc::new(believes_two.clone()));
        assert_eq!(get().await.unwrap().status(), 200);
        let (believes_other, _) = set(&one.path().join("again"));
        tls.store(Arc::new(believes_other));
        assert!(get().await.is_err(), "no longer");
        tls.store(Arc::new(believes_two));
        assert_eq!(get().await.unwrap().status(), 200);
    }
}

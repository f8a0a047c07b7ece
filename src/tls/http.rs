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

//! Connections: where to, how long anything may take, and who gets one.

use crate::store::{Result, StoreError};
use arc_swap::ArcSwap;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Longest wait for a free connection of the pool, and for a new one to stand.
pub(super) const CONNECT: Duration = Duration::from_secs(3);

/// Longest time of one method, all its statements together. The server's own limits
/// (`statement_timeout`, 5 s) are below it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Where the shared store is.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgresql://user:password@host/database`, or `host=… user=…`. Needs the right to make the
    /// schema, or a schema that is there.
    pub url: SecretString,
    /// Connections in the pool. Two more are kept beside it, for locks and for notifications.
    pub max_connections: usize,
    /// TLS towards the server, as it is when a connection is made. When given, a connection without TLS is refused, whatever the URL
    /// says; without it, a URL that demands TLS is refused.
    pub tls: Option<Arc<ArcSwap<ClientConfig>>>,
    /// The PostgreSQL schema that holds our tables: 1 to 40 of a–z, 0–9 and `_`, starting with a
    /// letter.
    pub schema: String,
}

impl PostgresOptions {
    /// Sixteen connections, no TLS, the schema `auth_manager`.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 16,
            tls: None,
            schema: "auth_manager".into(),
        }
    }

    /// The checked options of every connection.
    pub(super) fn config(&self) -> Result<Config> {
        let first = |c: char| c.is_ascii_lowercase();
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let schema = &self.schema;
        if schema.len() > 40 || !schema.starts_with(first) || !schema.chars().all(rest) {
            return Err(StoreError::Schema(
                "its name must be 1 to 40 of a-z, 0-9 and _, starting with a letter".into(),
            ));
        }
        let mut config = Config::from_str(self.url.expose_secret())
            // The parser's message may show a part of the URL, and the password is one.
            .map_err(|_| StoreError::Unavailable("its URL can't be read".into()))?;
        // search_path: the schema alone. lock_timeout is below statement_timeout, and a connection
        // of ours that sits in a transaction has lost its task.
        let ours = format!(
            "-c search_path={schema} -c statement_timeout=5s -c lock_timeout=4s \
             -c idle_in_transaction_session_timeout=15s"
        );
        let options = match config.get_options() {
            Some(theirs) => format!("{theirs} {ours}"),
            None => ours,
        };
        config
            .options(options)
            .application_name("auth-manager")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(PATIENCE)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        if self.tls.is_some() {
            config.ssl_mode(SslMode::Require);
        }
        Ok(config)
    }
}

/// TLS of the next connection: whatever the files say then.
#[derive(Clone)]
pub(super) struct FollowingTls(pub(super) Arc<ArcSwap<ClientConfig>>);

impl MakeTlsConnect<Socket> for FollowingTls {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(
        &mut self,
        domain: &str,
    ) -> std::result::Result<Self::TlsConnect, Self::Error> {
        let newest = ClientConfig::clone(&self.0.load());
        MakeTlsConnect::<Socket>::make_tls_connect(&mut MakeRustlsConnect::new(newest), domain)
    }
}

/// The pool; no connection is made before the first is asked for.
pub(super) fn pool(options: &PostgresOptions) -> Result<Pool> {
    let config = options.config()?;
    // Verified: one more round trip before a connection is handed out, so that one that died while
    // it lay in the pool (a restart of the server, a firewall) costs no revocation. Nothing on the
    // hot path asks the store.
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Verified,
    };
    let manager = match &options.tls {
        Some(tls) => {
            let tls = FollowingTls(Arc::clone(tls));
            Manager::from_config(config, tls, recycling)
        }
        None => Manager::from_config(config, NoTls, recycling),
    };
    Pool::builder(manager)
        .max_size(options.max_connections.max(1))
        .wait_timeout(Some(CONNECT))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(CONNECT))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> PostgresOptions {
        PostgresOptions::new(url.to_owned().into())
    }

    #[test]
    fn a_schema_that_would_need_quoting_is_refused() {
        let mut options = options("postgresql://a@b/c");
        assert!(options.config().is_ok());
        for bad in ["", "1a", "A", "a b", "a\"", "a,b", &"a".repeat(41)] {
            options.schema = bad.to_owned();
            assert!(
                matches!(options.config(), Err(StoreError::Schema(_))),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn nothing_of_the_url_is_shown() {
        let options = options("postgresql://a:hunter2@[/c");
        let error = options.config().unwrap_err().to_string();
        assert!(!error.contains("hunter2"));
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn options_of_the_url_stay_but_ours_come_last() {
        let config = options("postgresql://a@b/c?options=-c%20statement_timeout%3D0").config();
        let config = config.unwrap();
        let text = config.get_options().unwrap();
        assert!(text.starts_with("-c statement_timeout=0 "));
        assert!(text.contains("-c statement_timeout=5s"));
    }

    /// A server that speaks as far as TLS, and says whether the handshake was good.
    #[tokio::test]
    async fn a_connection_believes_what_the_files_say_then() {
        use crate::tls::{ClientCertificates, ClientFiles, ServerFiles, dev};
        use crate::types::{Clock as _, SystemClock};
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let names = ["localhost".to_owned()];
        let set = |folder: &std::path::Path| {
            let paths = dev::write(folder, &names, &names, &names, SystemClock.now()).unwrap();
            let client = ClientFiles {
                ca: Some(paths.ca.clone()),
                ..ClientFiles::default()
            };
            (client.load().unwrap(), paths)
        };
        let ((believes_one, _), (believes_two, paths)) = (set(one.path()), set(two.path()));
        let server = ServerFiles {
            certificate: paths.server,
            key: paths.server_key,
            clients: ClientCertificates::Ignored,
            h2: false,
        };
        let server = Arc::new(server.load().unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // SSLRequest (PostgreSQL's protocol, message formats), answered with yes.
                let mut asked = [0; 8];
                let _ = stream.read_exact(&mut asked).await;
                let _ = stream.write_all(b"S").await;
                let acceptor = tokio_rustls::TlsAcceptor::from(server.clone());
                let mut good = false;
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    // Whoever believes us goes on to say who they are.
                    good = stream.read_u8().await.is_ok();
                }
                let _ = tell.send(good);
            }
        });
        let mut options = options(&format!("postgresql://a@localhost:{port}/b"));
        let tls = Arc::new(ArcSwap::from_pointee(believes_one.clone()));
        options.tls = Some(tls.clone());
        let pool = pool(&options).unwrap();
        for (believed, good) in [
            (None, false),
            (Some(believes_two), true),
            (Some(believes_one), false),
        ] {
            if let Some(config) = believed {
                tls.store(Arc::new(config));
            }
            assert!(pool.get().await.is_err(), "it is no PostgreSQL");
            assert_eq!(told.recv().await, Some(good));
        }
    }
}

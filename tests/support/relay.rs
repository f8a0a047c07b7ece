//! The way from a bridge to PostgreSQL: TCP on one side, the cluster's Unix socket on the other. It
//! can be closed, as if the server had stopped, and can keep notifications back.

use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

/// `NotificationResponse` of the protocol's version 3.
const NOTIFICATION: u8 = b'A';

/// A running relay.
pub struct Relay {
    address: SocketAddr,
    server: PathBuf,
    notifies: bool,
    open: Mutex<CancellationToken>,
}

impl Relay {
    /// To the server whose socket is in `folder`; `notifies`: notifications pass.
    pub async fn start(folder: PathBuf, notifies: bool) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let relay = Arc::new(Self {
            address: listener.local_addr().expect("a bound listener"),
            server: folder.join(".s.PGSQL.5432"),
            notifies,
            open: Mutex::new(CancellationToken::new()),
        });
        relay.clone().accept(listener);
        relay
    }

    /// The `postgres://` URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.address)
    }

    /// Cuts every connection and refuses new ones.
    pub fn close(&self) {
        self.open.lock().cancel();
    }

    /// Lets connections through again.
    pub async fn reopen(self: &Arc<Self>) {
        *self.open.lock() = CancellationToken::new();
        let listener = super::eventually("the relay's port", || async {
            TcpListener::bind(self.address).await.ok()
        });
        self.clone().accept(listener.await);
    }

    fn accept(self: Arc<Self>, listener: TcpListener) {
        let open = self.open.lock().clone();
        tokio::spawn(open.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                let carried = self.clone().carry(client);
                tokio::spawn(open.clone().run_until_cancelled_owned(carried));
            }
        }));
    }

    async fn carry(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = UnixStream::connect(&self.server).await else {
            return;
        };
        // An answer is several messages: else each waits for the one before to be acknowledged.
        let _ = client.set_nodelay(true);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            _ = copy(from_client, to_server) => {}
            _ = self.answers(BufReader::new(from_server), to_client) => {}
        }
    }

    /// Message by message, since a notification is one.
    async fn answers(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        loop {
            let kind = from.read_u8().await?;
            let length = from.read_u32().await?;
            let mut rest = vec![0; length as usize - 4];
            from.read_exact(&mut rest).await?;
            if kind == NOTIFICATION && !self.notifies {
                continue;
            }
            let mut message = vec![kind];
            message.extend_from_slice(&length.to_be_bytes());
            message.extend_from_slice(&rest);
            to.write_all(&message).await?;
        }
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<u64> {
    tokio::io::copy(&mut from, &mut to).await
}

//! A way to a neighbour: TCP on both sides. It can be closed, as if the neighbour had stopped, and
//! opened again.

use crate::support::eventually;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub(crate) struct Way {
    address: SocketAddr,
    to: Mutex<Option<SocketAddr>>,
    open: Mutex<CancellationToken>,
}

impl Way {
    /// Open, to nowhere yet.
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let way = Arc::new(Self {
            address: listener.local_addr().expect("a bound listener"),
            to: Mutex::default(),
            open: Mutex::default(),
        });
        way.clone().accept(listener);
        way
    }

    pub(crate) fn leads_to(&self, to: SocketAddr) {
        *self.to.lock() = Some(to);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn close(&self) {
        self.open.lock().cancel();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.open.lock().is_cancelled()
    }

    pub(crate) async fn reopen(self: &Arc<Self>) {
        let listener = eventually("the way's own port", || async {
            TcpListener::bind(self.address).await.ok()
        });
        let listener = listener.await;
        *self.open.lock() = CancellationToken::new();
        self.clone().accept(listener);
    }

    /// Cuts what is open now, and nothing else.
    pub(crate) async fn cut(self: &Arc<Self>) {
        self.close();
        self.reopen().await;
    }

    fn accept(self: Arc<Self>, listener: TcpListener) {
        let open = self.open.lock().clone();
        tokio::spawn(open.clone().run_until_cancelled_owned(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(to) = *self.to.lock() else { continue };
                tokio::spawn(open.clone().run_until_cancelled_owned(async move {
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        tokio::io::copy_bidirectional(&mut client, &mut server)
                            .await
                            .ok();
                    }
                }));
            }
        }));
    }
}

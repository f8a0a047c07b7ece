//! Asks all the time as people who must not come in, with assertions that are good and name every
//! group, and with the cookies they had: every answer must be a refusal. No answer is one, too.

use crate::support::client::Client;
use crate::support::wire::read_response;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Between two rounds: not to take the machine from those whom this is about.
const PAUSE: Duration = Duration::from_millis(40);
/// Longer than this nobody waits for an answer.
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Book {
    out: Mutex<Vec<Client>>,
    doors: Mutex<Vec<SocketAddr>>,
    wrong: Mutex<Vec<String>>,
    refused: AtomicU64,
    rounds: AtomicU64,
}

pub(crate) struct Prober {
    book: Arc<Book>,
    _stop: DropGuard,
}

impl Prober {
    pub(crate) fn start(door: SocketAddr) -> Self {
        let book = Arc::new(Book::default());
        book.doors.lock().push(door);
        let stop = CancellationToken::new();
        let asks = ask(book.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(asks));
        Self {
            book,
            _stop: stop.drop_guard(),
        }
    }

    /// From now on they must be refused.
    pub(crate) fn keeps_out(&self, client: Client) {
        self.book.out.lock().push(client);
    }

    /// They may come in again, or it is not known.
    pub(crate) fn forgets(&self, sub: &str) {
        self.book
            .out
            .lock()
            .retain(|client| client.person.sub != sub);
    }

    /// The bridges there are now.
    pub(crate) fn asks_at(&self, doors: &[SocketAddr]) {
        *self.book.doors.lock() = doors.to_vec();
    }

    /// How often somebody was refused.
    pub(crate) fn refused(&self) -> u64 {
        self.book.refused.load(Ordering::Relaxed)
    }

    /// Waits until it has asked everybody so many times more.
    pub(crate) async fn rounds(&self, count: u64) {
        let until = self.book.rounds.load(Ordering::Relaxed) + count;
        crate::support::eventually("the prober's rounds", || async {
            (self.book.rounds.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.book.wrong.lock().clone()
    }
}

async fn ask(book: Arc<Book>) {
    loop {
        let (out, doors) = (book.out.lock().clone(), book.doors.lock().clone());
        for mut client in out {
            for door in &doors {
                client.address = *door;
                for target in ["/", "/api/v4/users/me"] {
                    let Some(status) = status(&client, target).await else {
                        continue;
                    };
                    // They may have been let in again while this was asked.
                    let still = book.out.lock();
                    let still = still.iter().any(|c| c.person.sub == client.person.sub);
                    if matches!(status, 401 | 403 | 503) {
                        book.refused.fetch_add(1, Ordering::Relaxed);
                    } else if still {
                        let text = format!("{} got {status} at {target}", client.person.email);
                        book.wrong.lock().push(text);
                    }
                }
            }
        }
        book.rounds.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}

/// The status of the answer, if one came.
pub(crate) async fn status(client: &Client, target: &str) -> Option<u16> {
    let request = match target {
        "/" => client.page(target),
        target => client.api("GET", target),
    };
    let bytes = client.bytes(&request);
    let exchange = async {
        let mut stream = TcpStream::connect(client.address).await.ok()?;
        stream.write_all(&bytes).await.ok()?;
        Some(read_response(&mut stream, false).await?.status)
    };
    tokio::time::timeout(LONGEST, exchange).await.ok()?
}

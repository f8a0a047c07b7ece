//! How long a connection may keep us waiting: a head that has begun must be complete in time
//! (T40), a connection between two requests may idle for long, since Envoy keeps its own for an
//! hour and a bridge that closes first makes sporadic 503s (facts, Pomerium §3).
//!
//! hyper's own `header_read_timeout` can't tell the two apart: its clock also runs while a
//! connection idles, and it costs a timer a request. This one arms a timer only when a head comes
//! in pieces.

use super::Place;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A connection may idle for so long between two requests: longer than Envoy's hour.
const IDLE: Duration = Duration::from_secs(75 * 60);

/// Whether a connection is between two requests: shared by the stream and the service above it.
#[derive(Debug, Clone)]
pub struct Turn(Arc<AtomicBool>);

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Turn {
    /// A head is complete: what comes now is a body, and bodies take their time.
    pub fn request(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// The answer's head is out: what comes next is a head.
    pub fn answered(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_head(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that gives up on slow heads and endless idling.
#[derive(Debug)]
pub struct Patient<S> {
    stream: S,
    turn: Turn,
    head_timeout: Duration,
    /// When the head that is under way began.
    began: Option<Instant>,
    last: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// Goes with the stream, into a tunnel too.
    place: Option<Place>,
}

impl<S> Patient<S> {
    /// Watches over `stream`, whose first head has begun: who connects has something to say.
    pub fn new(stream: S, turn: Turn, head_timeout: Duration) -> Self {
        Self {
            stream,
            turn,
            head_timeout,
            began: Some(Instant::now()),
            last: Instant::now(),
            timer: None,
            place: None,
        }
    }

    /// Carries the connection's place among the listener's, until the stream is dropped.
    #[must_use]
    pub fn holding(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The stream itself and its place, for a tunnel, which keeps both to its end.
    pub fn into_parts(self) -> (S, Option<Place>) {
        (self.stream, self.place)
    }

    /// When to give up, as things stand.
    fn deadline(&self) -> Option<Instant> {
        match (self.turn.is_head(), self.began) {
            (true, Some(began)) => Some(began + self.head_timeout),
            (true, None) => Some(self.last + IDLE),
            (false, _) => None,
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline() else {
            return Poll::Pending;
        };
        // The idle timer is armed once and looks again when it fires; only a head that comes in
        // pieces moves it forward.
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, into);
        if polled.is_pending() {
            return match this.poll_patience(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            };
        }
        if into.filled().len() > before {
            let now = Instant::now();
            this.last = now;
            if !this.turn.is_head() {
                this.began = None;
            } else if this.began.is_none() {
                this.began = Some(now);
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // An answer goes out: the head that asked for it was complete.
        self.began = None;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.began = None;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const HEAD: Duration = Duration::from_secs(30);

    async fn read_error(watched: &mut Patient<tokio::io::DuplexStream>) -> io::ErrorKind {
        let mut byte = [0; 1];
        watched.read_exact(&mut byte).await.unwrap_err().kind()
    }

    #[tokio::test(start_paused = true)]
    async fn t40_a_head_that_has_begun_must_be_complete_in_time() {
        let (mut client, server) = duplex(64);
        let mut watched = Patient::new(server, Turn::default(), HEAD);
        let began = Instant::now();
        let drip = tokio::spawn(async move {
            for _ in 0..100 {
                client.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            io::Result::Ok(())
        });
        let mut bytes = [0; 64];
        while watched.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
        assert_eq!(began.elapsed(), HEAD);
        drip.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_idle_longer_than_envoy_keeps_it() {
        let (_client, server) = duplex(64);
        let mut watched = Patient::new(server, Turn::default(), HEAD);
        watched.write_all(b"an answer").await.unwrap();
        let began = Instant::now();
        assert_eq!(read_error(&mut watched).await, io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), IDLE);
        assert!(IDLE > Duration::from_secs(3600));
    }

    #[tokio::test(start_paused = true)]
    async fn t40_who_connects_and_says_nothing_is_cut() {
        let (_client, server) = duplex(64);
        let mut watched = Patient::new(server, Turn::default(), HEAD);
        let began = Instant::now();
        assert_eq!(read_error(&mut watched).await, io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_takes_its_time_and_the_next_head_begins_anew() {
        let (mut client, server) = duplex(64);
        let turn = Turn::default();
        let mut watched = Patient::new(server, turn.clone(), HEAD);
        let mut bytes = [0; 4];
        client.write_all(b"head").await.unwrap();
        watched.read_exact(&mut bytes).await.unwrap();
        turn.request();
        let slow = async {
            tokio::time::sleep(HEAD * 100).await;
            client.write_all(b"body").await.unwrap();
            client
        };
        let (mut client, read) = tokio::join!(slow, watched.read_exact(&mut bytes));
        read.unwrap();
        watched.write_all(b"answer").await.unwrap();
        turn.answered();
        let later = async {
            tokio::time::sleep(HEAD * 10).await;
            client.write_all(b"next").await.unwrap();
            client
        };
        let (_client, read) = tokio::join!(later, watched.read_exact(&mut bytes));
        read.unwrap();
        assert_eq!(&bytes, b"next");
    }
}

//! One open socket: bytes both ways, judged on the way up, followed on the way down, cut between
//! two frames. An idle socket holds no buffer.

use super::frames::{Boundary, Judge, Judgement, close_frame};
use super::tunnels::{Cut, Registration};
use crate::apps::Rules;
use crate::proxy::edge::{Patient, Place};
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What a cut waits for the rest of a frame that is under way.
const REST_OF_FRAME: Duration = Duration::from_millis(300);
/// What writing the close frame may take: a peer that does not read is not waited for.
const LAST_WORD: Duration = Duration::from_secs(1);

thread_local! {
    /// One buffer for all tunnels of a thread: bytes stay in it no longer than one poll.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; 16 << 10].into());
}

/// A direction that can be read and one that can be written, of whatever kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

enum Reader {
    Tcp(OwnedReadHalf),
    Other(ReadHalf<Box<dyn Stream>>),
}

enum Writer {
    Tcp(OwnedWriteHalf),
    Other(WriteHalf<Box<dyn Stream>>),
}

impl Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, into),
            Self::Other(half) => Pin::new(half).poll_read(cx, into),
        }
    }

    /// Reads what is there into the thread's buffer and hands it to `use_it` before anything else
    /// can run; `None` at the end of the stream.
    async fn read<R>(&mut self, mut use_it: impl FnMut(&[u8]) -> R) -> io::Result<Option<R>> {
        poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(self.poll_read(cx, &mut buffer))?;
                let bytes = buffer.filled();
                Poll::Ready(Ok((!bytes.is_empty()).then(|| use_it(bytes))))
            })
        })
        .await
    }
}

impl Writer {
    /// Writes as much as goes without waiting; gives what is left.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let sent = match self {
            Self::Tcp(half) => match half.try_write(bytes) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
                Err(e) => return Err(e),
            },
            // The rest is written by `write_all` below, which registers its own waker.
            Self::Other(half) => match Pin::new(half).poll_write(&mut cx, bytes) {
                Poll::Ready(n) => n?,
                Poll::Pending => 0,
            },
        };
        Ok(bytes[sent..].to_vec())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = match self {
            Self::Tcp(half) => half.write(bytes).await?,
            Self::Other(half) => half.write(bytes).await?,
        };
        if n == 0 {
            Err(io::ErrorKind::WriteZero.into())
        } else {
            Ok(n)
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.write_all(bytes).await,
            Self::Other(half) => {
                half.write_all(bytes).await?;
                half.flush().await
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) => Ok(()),
            Self::Other(half) => half.flush().await,
        }
    }

    async fn shutdown(&mut self) {
        let _ = match self {
            Self::Tcp(half) => half.shutdown().await,
            Self::Other(half) => half.shutdown().await,
        };
    }
}

/// Both directions, what was read too much, and the place the connection takes at its listener.
type Halves = (Reader, Writer, Bytes, Option<Place>);

fn halves(upgraded: Upgraded) -> Halves {
    let tcp = |stream: TcpStream, read, place| {
        let (r, w) = stream.into_split();
        (Reader::Tcp(r), Writer::Tcp(w), read, place)
    };
    // The app's side is a plain stream; the browser's side is one under hygiene's patience, which
    // ends where a tunnel begins.
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return tcp(parts.io.into_inner(), parts.read_buf, None),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<Patient<TcpStream>>>() {
        Ok(parts) => {
            let (stream, place) = parts.io.into_inner().into_parts();
            tcp(stream, parts.read_buf, place)
        }
        // Under TLS the place stays inside the stream.
        Err(upgraded) => {
            let stream: Box<dyn Stream> = Box::new(TokioIo::new(upgraded));
            let (r, w) = split(stream);
            (Reader::Other(r), Writer::Other(w), Bytes::new(), None)
        }
    }
}

/// How a direction ended.
enum End {
    /// The peer is done.
    Closed,
    /// The browser said what must not pass.
    Refused,
}

/// From the browser to the app: whole messages, each judged.
async fn up(
    from: &mut Reader,
    to: &mut Writer,
    early: Bytes,
    rules: &dyn Rules,
) -> io::Result<End> {
    let mut judge = Judge::default();
    let judged = |judge: &mut Judge, bytes: &[u8]| judge.take(bytes, |m| rules.admits_message(m));
    if !early.is_empty() {
        match judged(&mut judge, &early) {
            Judgement::Pass(bytes) => to.write_all(&bytes).await?,
            Judgement::Refuse | Judgement::Malformed(_) => return Ok(End::Refused),
        }
    }
    // Even empty it keeps the connection's read buffer.
    drop(early);
    loop {
        let step = from
            .read(|bytes| match judged(&mut judge, bytes) {
                Judgement::Pass(pass) => Ok(to.write_now(&pass)),
                Judgement::Refuse | Judgement::Malformed(_) => Err(()),
            })
            .await?;
        match step {
            None => return Ok(End::Closed),
            Some(Err(())) => return Ok(End::Refused),
            Some(Ok(rest)) => {
                let rest = rest?;
                if !rest.is_empty() {
                    to.write_all(&rest).await?;
                }
                to.flush().await?;
            }
        }
        judge.rest();
    }
}

/// The way down: what is on its way to the browser survives a cut, so that the frame under way can
/// be completed.
#[derive(Default)]
struct Down {
    boundary: Boundary,
    /// Counted by `boundary`, not yet written from `at` on.
    pending: Vec<u8>,
    at: usize,
}

impl Down {
    async fn drain(&mut self, to: &mut Writer) -> io::Result<()> {
        while self.at < self.pending.len() {
            self.at += to.write(&self.pending[self.at..]).await?;
        }
        self.pending = Vec::new();
        self.at = 0;
        to.flush().await
    }

    /// From the app to the browser: bytes as they come, followed so that a cut finds a frame's end.
    async fn relay(&mut self, from: &mut Reader, to: &mut Writer) -> io::Result<()> {
        loop {
            self.drain(to).await?;
            let step = from
                .read(|bytes| {
                    self.boundary.pass(bytes).map_err(|_| not_a_frame())?;
                    to.write_now(bytes)
                })
                .await?;
            let Some(rest) = step else { return Ok(()) };
            self.pending = rest?;
        }
    }

    /// Completes the frame that is under way and nothing behind it.
    async fn complete_frame(&mut self, from: &mut Reader, to: &mut Writer) -> io::Result<()> {
        loop {
            self.drain(to).await?;
            if self.boundary.is_between() {
                return Ok(());
            }
            let step = from
                .read(|bytes| {
                    let n = self
                        .boundary
                        .rest_of_frame(bytes)
                        .map_err(|_| not_a_frame())?;
                    to.write_now(&bytes[..n])
                })
                .await?;
            self.pending = step.ok_or(io::ErrorKind::UnexpectedEof)??;
        }
    }
}

fn not_a_frame() -> io::Error {
    io::Error::other("the app sends what is no WebSocket frame")
}

/// Lets the frame that is under way end, then says why and hangs up.
async fn say_goodbye(
    down: &mut Down,
    from: &mut Reader,
    to: &mut Writer,
    (code, reason): (u16, &'static str),
) {
    // A frame that does not end leaves no place for a close frame: then only the connection ends.
    let complete = tokio::time::timeout(REST_OF_FRAME, down.complete_frame(from, to)).await;
    if let Ok(Ok(())) = complete {
        let frame = close_frame(code, reason);
        let _ = tokio::time::timeout(LAST_WORD, to.write_all(&frame)).await;
    }
    // The frame, then FIN; the peer's answer is not waited for (tried-for-real, 16).
    let _ = tokio::time::timeout(LAST_WORD, to.shutdown()).await;
}

/// Carries a socket until it ends or is cut; gives the reason of a cut.
pub(super) async fn carry(
    browser: Upgraded,
    app: Upgraded,
    registration: Registration,
    rules: Arc<dyn Rules>,
) -> Option<Cut> {
    let (mut browser_in, mut browser_out, from_browser, place) = halves(browser);
    let (mut app_in, mut app_out, from_app, _) = halves(app);
    let mut way_down = Down::default();
    let followed = way_down.boundary.pass(&from_app).is_ok();
    way_down.pending = from_app.to_vec();
    drop(from_app);
    let cut = {
        let up = up(&mut browser_in, &mut app_out, from_browser, &*rules);
        let down = way_down.relay(&mut app_in, &mut browser_out);
        tokio::select! {
            biased;
            cut = registration.cord.wait() => Some(cut),
            end = up => match end {
                Ok(End::Refused) => Some(Cut::Refused),
                _ => None,
            },
            _ = down, if followed => None,
        }
    };
    match cut {
        Some(cut) => {
            say_goodbye(&mut way_down, &mut app_in, &mut browser_out, cut.close()).await;
        }
        // What the app said last has been written; the browser's last word may still matter to it.
        None => {
            browser_out.shutdown().await;
            app_out.shutdown().await;
        }
    }
    drop((registration, place));
    cut
}

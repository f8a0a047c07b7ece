//! The two bodies of the road: what goes down to the browser and what goes up to the app. Both
//! stream; neither gathers more than it must.

use super::forward::Lease;
use crate::api::apps::Streamed;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Why a body ended early.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the browser gets: the bridge's own words, or the app's body as it comes.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// A text of the bridge's own.
    Text(Option<Bytes>),
    /// The app's, streamed. Once read to its end, its connection goes back to the pool.
    App(AppBody),
}

impl Body {
    /// A body that is `text`.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::Text(Some(text.into()))
    }
}

/// The app's body with the connection it comes over.
#[derive(Debug)]
pub struct AppBody {
    body: Incoming,
    lease: Option<Lease>,
    /// The filter's word on trailers: they are header fields that come late.
    clean: fn(&mut HeaderMap),
    /// Read to its end: a chunked body says so by nothing else.
    ended: bool,
}

impl AppBody {
    pub(super) fn new(body: Incoming, lease: Option<Lease>, clean: fn(&mut HeaderMap)) -> Self {
        Self {
            body,
            lease,
            clean,
            ended: false,
        }
    }
}

impl Drop for AppBody {
    fn drop(&mut self) {
        // A body that was not read to its end leaves a connection that can't be used again.
        if let Some(lease) = self.lease.take()
            && (self.ended || self.body.is_end_stream())
        {
            lease.give_back();
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Text(text) => Poll::Ready(text.take().map(|t| Ok(Frame::data(t)))),
            Self::App(app) => {
                let mut polled = Pin::new(&mut app.body).poll_frame(cx);
                match &mut polled {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Some(trailers) = frame.trailers_mut() {
                            app.ended = true;
                            (app.clean)(trailers);
                        }
                    }
                    Poll::Ready(None) => app.ended = true,
                    _ => {}
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.is_none(),
            Self::App(app) => app.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            Self::App(app) => app.body.size_hint(),
        }
    }
}

/// What the app gets.
#[derive(Debug)]
pub enum UpstreamBody {
    /// Nothing.
    Empty,
    /// The browser's body, streamed, with a copy of its beginning kept for one replay.
    Kept(Incoming, Arc<Kept>),
    /// The same of a service, whose body comes through the api's router.
    Streamed(Streamed, Arc<Kept>),
    /// A body that is at hand: a replay, or one that had to be judged.
    Whole(Option<Bytes>),
}

impl UpstreamBody {
    /// A service's body.
    pub(super) fn streamed(body: Streamed, kept: Arc<Kept>) -> Self {
        Self::Streamed(body, kept)
    }
}

/// A copy of a request body as long as it is small: what a renewed session replays.
#[derive(Debug)]
pub struct Kept {
    limit: usize,
    state: Mutex<KeptState>,
}

#[derive(Debug)]
struct KeptState {
    bytes: BytesMut,
    complete: bool,
    lost: bool,
}

impl Kept {
    /// Keeps at most `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        let state = KeptState {
            bytes: BytesMut::new(),
            complete: false,
            lost: false,
        };
        Arc::new(Self {
            limit,
            state: Mutex::new(state),
        })
    }

    /// The whole body, if all of it came and was small enough.
    pub fn whole(&self) -> Option<Bytes> {
        let state = self.state.lock();
        (state.complete && !state.lost).then(|| Bytes::copy_from_slice(&state.bytes))
    }

    fn take_note(&self, frame: Option<&Frame<Bytes>>) {
        let mut state = self.state.lock();
        match frame {
            None => state.complete = true,
            // Trailers are not replayed: a request that has them is not kept.
            Some(frame) => match frame.data_ref() {
                Some(data) if !state.lost && state.bytes.len() + data.len() <= self.limit => {
                    state.bytes.extend_from_slice(data);
                }
                _ => {
                    state.lost = true;
                    state.bytes = BytesMut::new();
                }
            },
        }
    }
}

impl HttpBody for UpstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Kept(body, kept) => poll_kept(body, kept, cx),
            Self::Streamed(body, kept) => poll_kept(body, kept, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_none(),
            Self::Kept(body, _) => body.is_end_stream(),
            Self::Streamed(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Kept(body, _) => body.size_hint(),
            Self::Streamed(body, _) => body.size_hint(),
        }
    }
}

/// Polls a body and keeps what comes.
fn poll_kept<B>(
    body: &mut B,
    kept: &Kept,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let polled = Pin::new(&mut *body).poll_frame(cx);
    match &polled {
        Poll::Ready(Some(Ok(frame))) => {
            kept.take_note(Some(frame));
            if body.is_end_stream() {
                kept.take_note(None);
            }
        }
        Poll::Ready(None) => kept.take_note(None),
        _ => {}
    }
    polled.map(|next| next.map(|frame| frame.map_err(Into::into)))
}

//! Bodies that announce a length and may end before it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// A body, whole or cut off half-way.
#[derive(Debug)]
pub(super) struct Sent {
    announced: u64,
    rest: Option<Bytes>,
    cut: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Sent {
    /// The whole body.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            announced: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            rest: Some(bytes).filter(|bytes| !bytes.is_empty()),
            cut: None,
        }
    }

    /// The first half; then the connection breaks.
    pub(super) fn half(bytes: &Bytes) -> Self {
        // The pause lets the first half leave before the connection is closed.
        let pause = tokio::time::sleep(Duration::from_millis(20));
        Self {
            announced: u64::try_from(bytes.len().max(2)).unwrap_or(u64::MAX),
            rest: Some(bytes.slice(..bytes.len() / 2)),
            cut: Some(Box::pin(pause)),
        }
    }
}

/// The error that ends a connection on purpose.
pub(super) fn cut() -> io::Error {
    io::Error::other("the connection is cut, as ordered")
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.cut {
            None => Poll::Ready(None),
            Some(pause) => pause.as_mut().poll(context).map(|()| Some(Err(cut()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.cut.is_none()
    }
}

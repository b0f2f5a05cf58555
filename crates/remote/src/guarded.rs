//! Connections that end when nobody wants them any more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Ends the stream that it watches when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Guard(Arc<Dropped>);

/// Whether the guard is gone, and who has to know.
#[derive(Debug, Default)]
struct Dropped {
    is_so: AtomicBool,
    waiting: AtomicWaker,
}

/// A stream that fails as soon as its guard is dropped.
///
/// russh runs a connection in a task of its own, which in some states (key exchange, a full send
/// window) does not look whether anybody is still interested. Through its stream it always does:
/// that task alone reads and writes, so there is one waker.
pub(crate) struct Guarded<S> {
    stream: S,
    guard: Arc<Dropped>,
}

impl Guard {
    pub(crate) fn watch<S>(&self, stream: S) -> Guarded<S> {
        Guarded {
            stream,
            guard: Arc::clone(&self.0),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.is_so.store(true, Ordering::Release);
        self.0.waiting.wake();
    }
}

impl<S> Guarded<S> {
    /// What the stream says, unless the guard is gone.
    fn unless_dropped<T>(
        &mut self,
        context: &mut Context<'_>,
        ask: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if !self.is_dropped() {
            let said = ask(&mut self.stream, context);
            if said.is_ready() {
                return said;
            }
            self.guard.waiting.register(context.waker());
            // It may have been dropped before it knew whom to wake.
            if !self.is_dropped() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }

    fn is_dropped(&self) -> bool {
        self.guard.is_so.load(Ordering::Acquire)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.unless_dropped(context, |stream, context| {
            Pin::new(stream).poll_read(context, buffer)
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unless_dropped(context, |stream, context| {
            Pin::new(stream).poll_write(context, bytes)
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_dropped(context, |stream, context| {
            Pin::new(stream).poll_flush(context)
        })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Not checked: closing is what a stream without a guard should do.
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

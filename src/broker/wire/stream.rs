//! A stream whose frames are made readable on their way in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::io::{AsyncRead, AsyncWrite};

use super::frames::Frames;
use super::owned::Abort;

/// Read at once: as much as the largest frame that RabbitMQ sends unless configured otherwise.
const READ_BYTES: usize = 128 * 1024;

/// `stream`, read through [`Frames`] and written to as it is. Both fail once it is aborted.
pub(super) struct Readable<S> {
    stream: S,
    abort: Abort,
    frames: Frames,
    incoming: Box<[u8]>,
    /// Bytes for the reader, and how many of them it has read.
    outgoing: Vec<u8>,
    given: usize,
}

impl<S> Readable<S> {
    pub(super) fn new(stream: S, abort: Abort) -> Self {
        let incoming = vec![0; READ_BYTES].into();
        Self { stream, abort, frames: Frames::default(), incoming, outgoing: Vec::new(), given: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Readable<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.abort.check_for(cx.waker())?;
        while this.given == this.outgoing.len() {
            this.outgoing.clear();
            this.given = 0;
            let count = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut this.incoming))?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            this.frames.pass(&this.incoming[..count], &mut this.outgoing)?;
        }
        let ready = &this.outgoing[this.given..];
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        this.given += count;
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Readable<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.abort.check()?;
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.abort.check()?;
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}

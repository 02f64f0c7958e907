//! The byte stream under a WebSocket: a TCP socket, or the simulation's.
//!
//! What a connection needs of a socket and no more: attempts that never wait, and readiness. In a build for production there is one kind,
//! so that every call is the socket's own. A [`Detached`] stream is on its way from one runtime to another.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

#[cfg(any(test, feature = "fuzzing"))]
use crate::simulation::socket::Socket as Simulated;

/// A stream that no runtime drives yet.
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    #[cfg(any(test, feature = "fuzzing"))]
    Simulated(Simulated),
}

impl Detached {
    /// Puts the stream onto the runtime of the caller.
    pub(crate) fn attach(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Stream::Tcp),
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => Ok(Stream::Simulated(socket)),
        }
    }
}

/// A stream on its shard.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(any(test, feature = "fuzzing"))]
    Simulated(Simulated),
}

impl Stream {
    /// Reads what is there; `WouldBlock` when there is nothing. 0 bytes: the stream has ended.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => socket.try_read(buffer),
        }
    }

    /// Writes what fits; `WouldBlock` when nothing does.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => socket.try_write_vectored(&[IoSlice::new(bytes)]),
        }
    }

    /// As [`Self::try_write`], from several places.
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(slices),
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => socket.try_write_vectored(slices),
        }
    }

    /// Reads what is there, and is woken for more when there is nothing. Nothing read: the stream has ended.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => socket.poll_read(context, buffer),
        }
    }

    /// Waits until a read may find something.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => socket.readable().await,
        }
    }

    /// Ready when a write may find room; an error shows itself in the write.
    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(context),
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => socket.poll_write_ready(context),
        }
    }

    /// Ends our direction, after what was written. A peer that is gone already needs no end.
    pub(crate) fn end_writing(&self) {
        match self {
            Self::Tcp(stream) => {
                let _ = socket2::SockRef::from(stream).shutdown(Shutdown::Write);
            }
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => socket.shut_down(),
        }
    }

    /// Has the kernel forget what it holds for the peer when the stream is dropped.
    pub(crate) fn reset_on_drop(&self) {
        match self {
            Self::Tcp(stream) => {
                let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Simulated(socket) => socket.reset_on_drop(),
        }
    }
}

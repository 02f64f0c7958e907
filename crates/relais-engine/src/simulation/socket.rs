//! A socket that is none: two queues of bytes with a kernel's manners, and a client's end to pull at.
//!
//! The engine's end takes as much as there is room for, in pieces as small as the client's end says, and is woken as a runtime would wake
//! it. It never waits by itself and knows no time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use crate::stream::Detached;

/// The engine's end.
pub(crate) struct Socket(Arc<Mutex<Wire>>);

/// The client's end.
#[derive(Clone)]
pub(crate) struct Peer(Arc<Mutex<Wire>>);

/// How a direction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    /// Nothing more comes.
    Closed,
    /// Broken off; what was on its way may be lost.
    Reset,
}

struct Wire {
    to_engine: VecDeque<u8>,
    to_client: VecDeque<u8>,
    /// What the kernel holds for a client that does not read.
    room_bytes: usize,
    /// Most bytes of one write.
    write_bytes_max: usize,
    /// Most bytes of one read.
    read_bytes_max: usize,
    client: End,
    engine: End,
    resets_on_drop: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Both ends of a new link.
pub(crate) fn link(room_bytes: usize, write_bytes_max: usize) -> (Socket, Peer) {
    let wire = Arc::new(Mutex::new(Wire {
        to_engine: VecDeque::new(),
        to_client: VecDeque::new(),
        room_bytes: room_bytes.max(1),
        write_bytes_max: write_bytes_max.max(1),
        read_bytes_max: usize::MAX,
        client: End::Open,
        engine: End::Open,
        resets_on_drop: false,
        reader: None,
        writer: None,
    }));
    (Socket(Arc::clone(&wire)), Peer(wire))
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    fn room(&self) -> usize {
        self.room_bytes.saturating_sub(self.to_client.len())
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

impl Socket {
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = lock(&self.0);
        if wire.to_engine.is_empty() {
            return match wire.client {
                End::Open => Err(ErrorKind::WouldBlock.into()),
                End::Closed => Ok(0),
                End::Reset => Err(ErrorKind::ConnectionReset.into()),
            };
        }
        let bytes = buffer
            .len()
            .min(wire.to_engine.len())
            .min(wire.read_bytes_max);
        for (place, byte) in buffer.iter_mut().zip(wire.to_engine.drain(..bytes)) {
            *place = byte;
        }
        Ok(bytes)
    }

    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut wire = lock(&self.0);
        if wire.client == End::Reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let mut left = wire.room().min(wire.write_bytes_max);
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        if left == 0 && wanted > 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut written = 0;
        for slice in slices {
            let bytes = slice.len().min(left);
            wire.to_client.extend(&slice[..bytes]);
            written += bytes;
            left -= bytes;
        }
        Ok(written)
    }

    pub(crate) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.try_read(buffer.initialize_unfilled()) {
            Ok(bytes) => {
                buffer.advance(bytes);
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                lock(&self.0).reader = Some(context.waker().clone());
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| {
            let mut wire = lock(&self.0);
            if wire.to_engine.is_empty() && wire.client == End::Open {
                wire.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = lock(&self.0);
        if wire.room() == 0 && wire.client != End::Reset {
            wire.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn shut_down(&self) {
        lock(&self.0).engine = End::Closed;
    }

    pub(crate) fn reset_on_drop(&self) {
        lock(&self.0).resets_on_drop = true;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut wire = lock(&self.0);
        if wire.resets_on_drop {
            wire.engine = End::Reset;
            wire.to_client.clear();
        } else if wire.engine == End::Open {
            wire.engine = End::Closed;
        }
        wire.reader = None;
        wire.writer = None;
    }
}

impl Peer {
    /// Bytes on their way to the engine.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let mut wire = lock(&self.0);
        if wire.client == End::Open && wire.engine == End::Open {
            wire.to_engine.extend(bytes);
            wire.wake_reader();
        }
    }

    /// At most so many of the bytes that the engine has written.
    pub(crate) fn take(&self, bytes_max: usize) -> Vec<u8> {
        let mut wire = lock(&self.0);
        let bytes = bytes_max.min(wire.to_client.len());
        let taken = wire.to_client.drain(..bytes).collect();
        if bytes > 0 {
            wire.wake_writer();
        }
        taken
    }

    /// Bytes that wait for this end.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.0).to_client.len()
    }

    /// Whether the engine has ended its direction.
    pub(crate) fn engine_end(&self) -> End {
        lock(&self.0).engine
    }

    /// Nothing more will be sent from here.
    pub(crate) fn close(&self) {
        self.end(End::Closed);
    }

    /// Cuts the link.
    pub(crate) fn reset(&self) {
        self.end(End::Reset);
    }

    /// From now on reads and writes of the engine come in pieces of so many bytes.
    pub(crate) fn split(&self, read_bytes_max: usize, write_bytes_max: usize) {
        let mut wire = lock(&self.0);
        wire.read_bytes_max = read_bytes_max.max(1);
        wire.write_bytes_max = write_bytes_max.max(1);
    }

    fn end(&self, end: End) {
        let mut wire = lock(&self.0);
        wire.client = end;
        wire.wake_reader();
        wire.wake_writer();
    }
}

impl From<Socket> for Detached {
    fn from(socket: Socket) -> Self {
        Self::Simulated(socket)
    }
}

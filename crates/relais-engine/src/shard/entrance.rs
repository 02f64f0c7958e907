//! The accept loop of a shard: takes connections from the kernel, keeps the WebSockets and passes the others on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use tokio::net::{TcpListener, TcpStream};

use super::Shard;
use crate::accept::{Door, Handshake};
use crate::service::Service;
use crate::stream::Stream;

/// Connections taken before the others get their turn.
const ACCEPTS_A_TURN: usize = 16;

/// Out of descriptors, a short rest lets some close.
const REST: Duration = Duration::from_millis(50);

impl<S: Service> Shard<S> {
    /// Accepts until the door closes.
    pub(super) fn listen(self: &Rc<Self>, listener: std::net::TcpListener, door: Arc<Door>) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, shard = self.index, "unable to listen");
                return;
            }
        };
        let shard = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::select! {
                () = door.closed() => {}
                () = shard.accept_all(&listener, &door) => {}
            }
        });
    }

    async fn accept_all(self: &Rc<Self>, listener: &TcpListener, door: &Door) {
        let mut in_turn = 0;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some((stream, read)) = self.receive(stream, peer, door) {
                        door.long_way(stream, read, peer).await;
                    }
                }
                Err(error) => rest_after(&error).await,
            }
            in_turn += 1;
            if in_turn % ACCEPTS_A_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// One read has the whole request of nearly everyone. A WebSocket stays here; who else comes is given back, with what was read.
    fn receive(
        self: &Rc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        door: &Door,
    ) -> Option<(TcpStream, Bytes)> {
        let mut shared = self.take_read_buffer();
        // Before the runtime has looked at the socket, so that it need not.
        let read = match recv(stream.as_raw_fd(), &mut shared, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => None,
            Ok(bytes) => Some(bytes),
            Err(Errno::EAGAIN | Errno::EINTR) => Some(0),
            Err(_) => None,
        };
        let visitor = read.and_then(|read| self.let_in(stream, &shared[..read], peer, door));
        self.read_buffer.replace(shared);
        visitor
    }

    fn let_in(
        self: &Rc<Self>,
        stream: TcpStream,
        read: &[u8],
        peer: SocketAddr,
        door: &Door,
    ) -> Option<(TcpStream, Bytes)> {
        match self.admitted(read, peer, door) {
            Some(handshake) => {
                let opening = self
                    .engine
                    .opening(&handshake.request, handshake.endpoint, peer);
                let rest = &read[handshake.length..];
                let (stream, switch) = (Stream::Tcp(stream), Some(handshake.switch));
                self.open_websocket(&opening, stream, switch, rest);
                None
            }
            None => Some((stream, Bytes::copy_from_slice(read))),
        }
    }

    /// The opening handshake in `read`, with a place for its connection. The gate is asked last: it may count whom it lets in.
    fn admitted(&self, read: &[u8], peer: SocketAddr, door: &Door) -> Option<Handshake> {
        let handshake = door.handshake(read)?;
        if !self.engine.admit() {
            return None;
        }
        if !door.lets_in(&handshake, peer) {
            self.engine.connection_gone();
            return None;
        }
        Some(handshake)
    }
}

/// A connection that died in the backlog is nothing.
async fn rest_after(error: &io::Error) {
    let harmless = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !harmless {
        tracing::warn!(%error, "unable to accept a connection");
        tokio::time::sleep(REST).await;
    }
}

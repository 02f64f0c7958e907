//! One client connection: its socket, how far its handshake has come, and what is unfinished in either direction.
//!
//! In: bytes that the swarm read. Out: packets, handed to a `Handler`, and bytes written straight to the socket. It holds
//! a buffer only while a frame is incomplete or the kernel refuses bytes. It never reconnects: a lost connection ends the run, unless the
//! scenario says otherwise ([`Handler::lost`]) and dials again.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::error::LoadError;
use crate::wire::{self, Packet};

/// What a scenario does with packets. Called from the swarm's loop, one connection at a time.
pub trait Handler {
    /// JSON to send with CONNECT (`auth` of a stock client); empty for none.
    fn auth(&mut self, _index: usize) -> String {
        String::new()
    }
    /// CONNECT was accepted: its JSON object, for scenarios that come back as the same session.
    fn connected(&mut self, _index: usize, _object: &[u8], _now: u64) {}
    /// CONNECT was accepted: send what comes first.
    fn ready(&mut self, _conn: &mut Conn, _index: usize) {}
    /// An event arrived. `now` was read once for everything that came in the same read.
    fn event(&mut self, _index: usize, _array: &[u8], _now: u64) {}
    /// An acknowledgement arrived.
    fn ack(&mut self, _conn: &mut Conn, _index: usize, _id: u64, _array: &[u8], _now: u64) {}
    /// The connection is gone, or never came to be. An error ends the run, which is the default.
    fn lost(&mut self, _index: usize, error: LoadError, _now: u64) -> Result<(), LoadError> {
        Err(error)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Dialing,
    Upgrading,
    Opening,
    Connecting,
    Ready,
    Gone,
}

/// One connection.
pub struct Conn {
    stream: TcpStream,
    phase: Phase,
    input: Vec<u8>,
    output: Vec<u8>,
    /// When the connection was dialled, by the swarm's clock.
    pub dialled: u64,
}

impl Conn {
    /// Starts to connect, from an address of one's own where `source` names it; the swarm reports when the socket is writable.
    pub fn dial(addr: SocketAddr, source: Option<Ipv4Addr>, now: u64) -> Result<Self, LoadError> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
            .map_err(|errno| LoadError::io("socket")(errno.into()))?;
        if let Some(source) = source {
            rustix::net::bind(&socket, &SocketAddr::from((source, 0)))
                .map_err(|errno| LoadError::io("bind a source address")(errno.into()))?;
        }
        match rustix::net::connect(&socket, &addr) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(errno) => return Err(LoadError::io("connect")(errno.into())),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).map_err(LoadError::io("nodelay"))?;
        Ok(Self {
            stream,
            phase: Phase::Dialing,
            input: Vec::new(),
            output: Vec::new(),
            dialled: now,
        })
    }

    /// Adds one text frame to what the next flush writes.
    #[inline]
    pub fn queue(&mut self, parts: &[&[u8]]) {
        wire::push_text(&mut self.output, parts);
    }

    /// Whether the kernel has yet to take bytes, or the connection is still being made.
    pub fn wants_write(&self) -> bool {
        self.phase == Phase::Dialing || (!self.output.is_empty() && self.phase != Phase::Gone)
    }

    /// Whether CONNECT was accepted.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// The socket became writable: finish dialling, then write what waits.
    pub fn writable(&mut self, index: usize, addr: SocketAddr) -> Result<(), LoadError> {
        if self.phase == Phase::Dialing {
            if let Some(error) = self.stream.take_error().map_err(LoadError::io("connect"))? {
                return Err(self.closed(index, error.to_string()));
            }
            self.phase = Phase::Upgrading;
            self.output.extend_from_slice(
                format!(
                    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                )
                .as_bytes(),
            );
        }
        self.flush(index)
    }

    /// Writes what is queued, as far as the kernel takes it.
    pub fn flush(&mut self, index: usize) -> Result<(), LoadError> {
        let mut written = 0;
        while written < self.output.len() {
            match self.stream.write(&self.output[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.closed(index, error.to_string())),
            }
        }
        self.output.drain(..written);
        Ok(())
    }

    /// Takes the bytes of one read, and hands every packet that they complete to `handler`.
    pub fn take<H: Handler>(
        &mut self,
        index: usize,
        bytes: &[u8],
        now: u64,
        handler: &mut H,
    ) -> Result<(), LoadError> {
        if bytes.is_empty() {
            return Err(self.closed(index, "end of stream".to_owned()));
        }
        if self.input.is_empty() {
            let used = self.consume(index, bytes, now, handler)?;
            self.input.extend_from_slice(&bytes[used..]);
        } else {
            let mut input = std::mem::take(&mut self.input);
            input.extend_from_slice(bytes);
            let used = self.consume(index, &input, now, handler)?;
            input.drain(..used);
            self.input = input;
        }
        Ok(())
    }

    fn consume<H: Handler>(
        &mut self,
        index: usize,
        input: &[u8],
        now: u64,
        handler: &mut H,
    ) -> Result<usize, LoadError> {
        let mut at = 0;
        if self.phase == Phase::Upgrading {
            let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Ok(0);
            };
            if !input.starts_with(b"HTTP/1.1 101") {
                return Err(self.closed(index, String::from_utf8_lossy(&input[..end]).into_owned()));
            }
            self.phase = Phase::Opening;
            at = end + 4;
        }
        while let Some(frame) =
            wire::next_frame(input, &mut at).map_err(|source| LoadError::Wire { index, source })?
        {
            match frame.opcode {
                1 => self.packet(index, frame.payload, now, handler)?,
                8 => return Err(self.closed(index, close_reason(frame.payload))),
                _ => {}
            }
        }
        Ok(at)
    }

    #[inline]
    fn packet<H: Handler>(
        &mut self,
        index: usize,
        payload: &[u8],
        now: u64,
        handler: &mut H,
    ) -> Result<(), LoadError> {
        match wire::packet(payload) {
            Packet::Event(array) => handler.event(index, array, now),
            Packet::Ack(id, array) => handler.ack(self, index, id, array, now),
            Packet::Ping => self.queue(&[b"3"]),
            Packet::Open => {
                self.phase = Phase::Connecting;
                self.queue(&[b"40", handler.auth(index).as_bytes()]);
            }
            Packet::Connected(object) => {
                self.phase = Phase::Ready;
                handler.connected(index, object, now);
                handler.ready(self, index);
            }
            Packet::Refused(reason) => {
                return Err(self.closed(index, String::from_utf8_lossy(reason).into_owned()));
            }
            Packet::Other => {}
        }
        Ok(())
    }

    /// Makes the close of this socket a reset, so that thousands of them do not sit in TIME_WAIT and use up the ports of
    /// the next run.
    pub fn reset_on_close(&self) {
        sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).ok();
    }

    /// Lets go of the socket's peer: nothing more is read or written.
    pub fn give_up(&mut self) {
        self.phase = Phase::Gone;
        (self.input, self.output) = (Vec::new(), Vec::new());
        self.stream.shutdown(std::net::Shutdown::Both).ok();
    }

    /// Whether [`Self::give_up`] was called.
    pub fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    fn closed(&self, index: usize, reason: String) -> LoadError {
        let phase = match self.phase {
            Phase::Dialing => "dialling",
            Phase::Upgrading => "upgrading",
            Phase::Opening => "waiting for OPEN",
            Phase::Connecting => "waiting for CONNECT",
            Phase::Ready | Phase::Gone => "in use",
        };
        LoadError::Closed {
            index,
            phase,
            reason,
        }
    }

    /// The socket, for reading.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsFd for Conn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn close_reason(payload: &[u8]) -> String {
    match payload {
        [a, b, text @ ..] => format!(
            "close {} {}",
            u16::from_be_bytes([*a, *b]),
            String::from_utf8_lossy(text)
        ),
        _ => "close without a code".to_owned(),
    }
}

//! One connection on its shard: an Engine.IO session (or a plain WebSocket) with its transport, outbox and sessions.
//!
//! Packets come in from a transport, frames leave through the outbox. Whatever the service is told happens here and in
//! [`crate::session`]; which bytes travel how is the transports' affair.

mod bucket;
mod closing;
mod heartbeat;
mod incoming;
mod outgoing;
mod packed;
mod plain;
mod rare;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use relais_protocol::socketio::Decoder;
use relais_protocol::websocket::Reader;
use smallvec::SmallVec;

use crate::close::Reason;
use crate::command::Opening;
use crate::endpoint::{Endpoint, Wire};
use crate::outbox::Outbox;
use crate::service::{Service, Transport};
use crate::session::Session;
use crate::shard::{Deadline, Shard};
use crate::sid::ConnectionId;
use crate::stream::Stream;
use crate::transport::polling::Polling;
use bucket::Bucket;
pub(crate) use packed::Packed;
use rare::Rare;

/// How far the life of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Packets flow.
    Open,
    /// Something went wrong where nobody could be told (in the middle of a fan-out): the flusher closes it.
    Doomed(Reason),
    /// Sessions are gone; what is written, and the closing handshake, may still end properly.
    Closing,
    /// Nothing left but the memory.
    Closed,
}

/// One connection.
pub(crate) struct Connection<S: Service> {
    pub(crate) shard: Rc<Shard<S>>,
    pub(crate) id: ConnectionId,
    pub(crate) endpoint: Endpoint,
    /// Hash of the credentials that opened it.
    pub(crate) identity: u64,
    pub(crate) state: Cell<State>,
    pub(crate) transport: Cell<Transport>,
    /// Given back to the service with each CONNECT.
    pub(crate) opening: Packed,
    pub(crate) outbox: RefCell<Outbox>,
    pub(crate) is_dirty: Cell<bool>,
    /// The tick in which a fan-out was last written to it straight.
    straight_in: Cell<u32>,
    /// The kernel's buffer is full: the transport's task waits for room.
    pub(crate) is_blocked: Cell<bool>,
    /// Set when the transport is or becomes a WebSocket; dropped with the connection's end, whoever still holds the connection.
    pub(crate) stream: RefCell<Option<Stream>>,
    pub(crate) reader: RefCell<Reader>,
    /// Sessions that cannot take more: while there are any, nothing is read.
    pub(crate) gates: Cell<u16>,
    /// Has it served as a WebSocket: for something to read, room to write, an opened gate, and the end.
    pub(crate) waker: RefCell<Option<Waker>>,
    pub(crate) polling: RefCell<Option<Box<Polling>>>,
    pub(crate) decoder: RefCell<Decoder>,
    pub(crate) sessions: RefCell<SmallVec<[Rc<Session<S>>; 1]>>,
    /// What it needs for a while only.
    rare: RefCell<Option<Box<Rare>>>,
    /// CONNECTs in the current minute.
    attempts: Cell<(u32, u32)>,
    /// The number of the look for the newest ping's pong that comes next; 0: it came.
    pub(crate) looks_for_pong: Cell<u16>,
    /// For control packets.
    control: Bucket,
}

impl<S: Service> Connection<S> {
    /// Registers a connection on its shard and starts its clocks.
    pub(crate) fn open(shard: &Rc<Shard<S>>, opening: &Opening, transport: Transport) -> Rc<Self> {
        let number = shard.connections.borrow().next();
        let connection = Rc::new(Self {
            shard: Rc::clone(shard),
            id: ConnectionId::random(shard.settings().node, shard.index, number),
            endpoint: opening.endpoint,
            identity: opening.identity,
            state: Cell::new(State::Open),
            transport: Cell::new(transport),
            opening: match opening.endpoint.wire {
                Wire::Plain => Packed::bare(opening),
                Wire::SocketIo | Wire::EngineIo | Wire::WebSocket => {
                    Packed::of(opening, |name| shard.wants_header(name))
                }
            },
            outbox: RefCell::default(),
            is_dirty: Cell::new(false),
            straight_in: Cell::new(0),
            is_blocked: Cell::new(false),
            stream: RefCell::default(),
            reader: RefCell::default(),
            gates: Cell::new(0),
            waker: RefCell::default(),
            polling: RefCell::default(),
            decoder: RefCell::default(),
            sessions: RefCell::default(),
            rare: RefCell::default(),
            attempts: Cell::new((0, 0)),
            looks_for_pong: Cell::new(0),
            control: Bucket::default(),
        });
        shard
            .connections
            .borrow_mut()
            .insert(Rc::clone(&connection));
        shard.stats.connections.add(1);
        shard.stats.connections_total.add(1);
        connection.start_clocks();
        connection
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    pub(crate) fn payload_bytes_max(&self) -> usize {
        self.endpoint
            .max_payload_bytes
            .unwrap_or(self.shard.settings().max_payload_bytes)
    }

    /// Has whoever serves the transport look at it again.
    pub(crate) fn wake(&self) {
        if let Some(polling) = &*self.polling.borrow() {
            polling.wake();
        }
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// A session cannot take more: reading stops.
    pub(crate) fn close_gate(&self) {
        self.gates.set(self.gates.get().saturating_add(1));
    }

    /// A session can take more again.
    pub(crate) fn open_gate(&self) {
        self.gates.set(self.gates.get().saturating_sub(1));
        self.wake();
    }

    /// Whether commands of its sessions are in flight.
    pub(crate) fn has_commands(&self) -> bool {
        let sessions = self.sessions.borrow();
        sessions.iter().any(|session| session.has_commands())
    }

    pub(crate) fn is_gate_closed(&self) -> bool {
        self.gates.get() > 0
    }

    /// Counts a control packet; false when there are too many of them.
    pub(crate) fn allow_control(&self) -> bool {
        let per_second = self.shard.settings().control_per_second;
        self.control.take(self.shard.age(), per_second)
    }

    /// Counts a CONNECT; how many there were in this minute.
    fn count_attempt(&self) -> u32 {
        let minute = u32::try_from(self.shard.age().as_secs() / 60).unwrap_or(u32::MAX);
        let (last, count) = self.attempts.get();
        let count = if last == minute { count + 1 } else { 1 };
        self.attempts.set((minute, count));
        count
    }

    fn start_clocks(&self) {
        let settings = self.shard.settings();
        if self.endpoint.heartbeat {
            self.shard
                .after(settings.ping_interval, self.id, Deadline::Ping);
        }
        self.expect_session();
    }
}

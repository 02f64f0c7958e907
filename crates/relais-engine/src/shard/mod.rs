//! A shard: one thread, one runtime, and everything that lives on it.
//!
//! Owns connections, sessions, hub, wheel and the shared read buffer, all without locks. What comes in: commands and deliveries
//! through bounded channels, bytes through the sockets. Nothing here blocks or waits for the store.

mod commands;
mod entrance;
pub(crate) mod pace;
mod ready;
mod slots;
mod tasks;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Waker;
use std::time::Duration;

use http::HeaderName;
use relais_protocol::{engineio, name::NameRules, plain, socketio, websocket};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::chance::Map;
use crate::command::Command;
use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::handle::EngineHandle;
use crate::heartbeat::{Wheel, slot_for};
use crate::hub::census::Census;
use crate::hub::scope::ScopeHub;
use crate::log::Log;
use crate::outbox::{Joined, OutboxLimits, Spares};
use crate::panics::guard;
use crate::room::{Scope, Sid};
use crate::service::Service;
use crate::session::Session;
use crate::settings::Settings;
use crate::sid::ConnectionId;
use crate::stats::ShardStats;
use pace::Pace;
use ready::Ready;
use slots::Slots;

/// What a deadline in the wheel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// Send a ping.
    Ping = 0,
    /// The pong must be here.
    Pong = 1,
    /// A namespace must be connected.
    Connect = 2,
    /// A closing connection must be gone.
    Close = 3,
}

/// An entry of the wheel: whose, by number and mark, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WheelKey {
    number: u32,
    /// The deadline in the lowest bits, above it a part of the connection's secret: its number may be somebody else's by then.
    mark: u32,
}

impl WheelKey {
    fn new(id: ConnectionId, deadline: Deadline) -> Self {
        Self {
            number: id.number(),
            mark: id.mark() & !DEADLINE_BITS | deadline as u32,
        }
    }

    fn is_of(self, id: ConnectionId) -> bool {
        (self.mark ^ id.mark()) & !DEADLINE_BITS == 0
    }

    fn deadline(self) -> Deadline {
        match self.mark & DEADLINE_BITS {
            0 => Deadline::Ping,
            1 => Deadline::Pong,
            2 => Deadline::Connect,
            _ => Deadline::Close,
        }
    }
}

const DEADLINE_BITS: u32 = 3;

/// Everything that lives on one thread.
pub(crate) struct Shard<S: Service> {
    pub(crate) index: u16,
    pub(crate) service: Arc<S>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) engine: EngineHandle,
    pub(crate) stats: Arc<ShardStats>,
    pub(crate) limits: Limits,
    pub(crate) connections: RefCell<Slots<Rc<Connection<S>>>>,
    /// Those whose socket has something for them.
    pub(crate) ready: Arc<Ready>,
    pub(crate) sessions: RefCell<Map<Sid, Rc<Session<S>>>>,
    pub(crate) hub: RefCell<Map<Scope, ScopeHub<Rc<Session<S>>>>>,
    /// What others may know of the hub.
    pub(crate) census: Arc<Census>,
    pub(crate) wheel: RefCell<Wheel<WheelKey>>,
    /// One for all connections: a read is parsed before the next connection's turn. Whoever takes it puts it back.
    pub(crate) read_buffer: RefCell<Vec<u8>>,
    /// Connections with something to write at the end of this tick.
    dirty: RefCell<Vec<Rc<Connection<S>>>>,
    /// Whether a fan-out is written at once or at the end of the tick.
    pub(crate) pace: Pace,
    pub(crate) spares: Spares,
    pub(crate) joined: RefCell<Joined>,
    flusher: RefCell<Option<Waker>>,
    missed: Arc<AtomicBool>,
    root: Arc<str>,
    started: Instant,
    is_stopping: Cell<bool>,
}

/// Limits in the form in which the layers below want them.
pub(crate) struct Limits {
    pub(crate) outbox: OutboxLimits,
    pub(crate) socketio: socketio::Limits,
    pub(crate) plain: plain::Limits,
}

impl Limits {
    fn of(settings: &Settings) -> Self {
        let names = NameRules {
            bytes_max: settings.name_bytes_max,
            ..NameRules::default()
        };
        Self {
            outbox: OutboxLimits {
                bytes_max: settings.outbox_bytes_max,
                frames_max: settings.outbox_frames_max,
            },
            socketio: socketio::Limits {
                attachments_max: settings.attachments_max,
                attachments_bytes_max: settings
                    .max_payload_bytes
                    .saturating_mul(settings.attachments_max.max(1)),
                depth_max: settings.json_depth_max,
                namespace: names,
                event_name: names,
            },
            plain: plain::Limits {
                depth_max: settings.json_depth_max,
                event_name: names,
                ..plain::Limits::default()
            },
        }
    }
}

fn has_slack(used: usize, capacity: usize) -> bool {
    capacity > 1024 && used < capacity / 4
}

/// The receiving ends of a shard's port.
pub(crate) struct Inbox {
    pub(crate) deliveries: mpsc::Receiver<Arc<Delivery>>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) missed: Arc<AtomicBool>,
    pub(crate) stats: Arc<ShardStats>,
    pub(crate) census: Arc<Census>,
}

impl<S: Service> Shard<S> {
    /// Runs a shard on the calling thread until it is told to stop.
    pub(crate) fn run(
        index: u16,
        engine: EngineHandle,
        service: Arc<S>,
        log: Arc<dyn Log>,
        inbox: Inbox,
        runtime: &tokio::runtime::Runtime,
    ) {
        let shard = Rc::new(Self::new(index, engine, service, log, &inbox));
        let local = tokio::task::LocalSet::new();
        local.block_on(runtime, shard.live(inbox));
    }

    /// Works until it is told to stop. Needs a `LocalSet` around it.
    pub(crate) async fn live(self: Rc<Self>, inbox: Inbox) {
        tasks::run(Rc::clone(&self), inbox).await;
        // They hold the shard, and it holds them.
        self.connections.borrow_mut().clear();
        self.sessions.borrow_mut().clear();
        self.hub.borrow_mut().clear();
    }

    pub(crate) fn new(
        index: u16,
        engine: EngineHandle,
        service: Arc<S>,
        log: Arc<dyn Log>,
        inbox: &Inbox,
    ) -> Self {
        let settings = engine.settings();
        let now = Instant::now();
        let horizon = settings
            .ping_interval
            .max(settings.ping_timeout)
            .max(settings.connect_timeout);
        let slot = slot_for(settings.ping_interval.min(settings.ping_timeout));
        Self {
            index,
            service,
            log,
            stats: Arc::clone(&inbox.stats),
            limits: Limits::of(settings),
            connections: RefCell::default(),
            ready: Arc::default(),
            sessions: RefCell::default(),
            hub: RefCell::default(),
            census: Arc::clone(&inbox.census),
            wheel: RefCell::new(Wheel::new(now, slot, horizon)),
            read_buffer: RefCell::default(),
            dirty: RefCell::default(),
            pace: Pace::default(),
            spares: Spares::default(),
            joined: RefCell::default(),
            flusher: RefCell::default(),
            missed: Arc::clone(&inbox.missed),
            root: Arc::from("/"),
            started: now,
            is_stopping: Cell::new(false),
            engine,
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.engine.settings()
    }

    /// Whether the application wants this header of a request; one about which it panics is kept.
    pub(crate) fn wants_header(&self, name: &HeaderName) -> bool {
        guard(|| self.service.wants_header(name)).unwrap_or(true)
    }

    /// The shared buffer, in full length: the first to take it makes it, as does the next after a panic of the application took it along.
    pub(crate) fn take_read_buffer(&self) -> Vec<u8> {
        let mut buffer = self.read_buffer.take();
        buffer.resize(self.settings().read_buffer_bytes.max(4096), 0);
        buffer
    }

    /// Gives back what a crowd that has gone has left in the maps.
    fn tidy(&self) {
        self.connections.borrow_mut().tidy();
        let mut sessions = self.sessions.borrow_mut();
        if has_slack(sessions.len(), sessions.capacity()) {
            sessions.shrink_to_fit();
        }
        self.spares.tidy();
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> Option<Rc<Connection<S>>> {
        let connections = self.connections.borrow();
        let holder = connections.get(id.number())?;
        holder.id.is(id).then(|| Rc::clone(holder))
    }

    /// Whose deadline an entry of the wheel is; nobody's any more when the connection has gone.
    fn holder(&self, key: WheelKey) -> Option<Rc<Connection<S>>> {
        let connections = self.connections.borrow();
        let holder = connections.get(key.number)?;
        key.is_of(holder.id).then(|| Rc::clone(holder))
    }

    pub(crate) fn session(&self, sid: &Sid) -> Option<Rc<Session<S>>> {
        self.sessions.borrow().get(sid).cloned()
    }

    /// Has a connection flushed at the end of this tick.
    pub(crate) fn mark_dirty(&self, connection: &Rc<Connection<S>>) {
        if connection.is_dirty.replace(true) {
            return;
        }
        self.dirty.borrow_mut().push(Rc::clone(connection));
        self.wake_flusher();
    }

    /// Has the flusher end this tick.
    pub(crate) fn wake_flusher(&self) {
        if let Some(flusher) = self.flusher.borrow_mut().take() {
            flusher.wake();
        }
    }

    pub(crate) fn at(&self, time: Instant, id: ConnectionId, deadline: Deadline) {
        let key = WheelKey::new(id, deadline);
        self.wheel.borrow_mut().insert(time, key);
    }

    pub(crate) fn after(&self, wait: Duration, id: ConnectionId, deadline: Deadline) {
        self.at(Instant::now() + wait, id, deadline);
    }

    /// The name of the namespace that nearly everyone uses, shared.
    pub(crate) fn root(&self) -> Arc<str> {
        Arc::clone(&self.root)
    }

    /// How long ago the shard began; what rate limits count in.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn websocket_limits(&self, payload_bytes_max: usize) -> websocket::Limits {
        websocket::Limits {
            message_bytes_max: payload_bytes_max,
            fragments_max: u32::try_from(self.settings().fragments_max).unwrap_or(u32::MAX),
        }
    }

    pub(crate) fn payload_limits(&self, payload_bytes_max: usize) -> engineio::PayloadLimits {
        engineio::PayloadLimits {
            payload_bytes_max,
            ..engineio::PayloadLimits::default()
        }
    }
}

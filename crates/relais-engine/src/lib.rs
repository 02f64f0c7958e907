//! A Socket.IO and plain JSON WebSocket server library: shards, transports, sessions, hub, outbox, heartbeat, resume.
//!
//! Knows no application, user or database: those come through [`Service`] and [`Log`].
//!
//! ```text
//!  HTTP runtime                 shard (one thread, one runtime, owns its connections)
//!                                accept ─► a whole opening handshake ─► connection
//!  handle(request) ◄── else ──────┘
//!                 ──poll/post──► inbox ─► connection ─► session ─► Service::event ─► Flow
//!                 ──socket──────►                          ▲   │ acks, emits
//!  publish(delivery) ───────────► inbox ─► hub (scope, rooms) ▼
//!                                                        outbox ─► one flush a tick
//! ```
//!
//! Invariants: a connection lives on one shard; a hub applies position p + 1 only and reads the [`Log`] for what it missed;
//! a session that replays is off the hub; publishing never blocks; every queue has a limit in [`Settings`].

mod accept;
mod ack_id;
mod chance;
mod close;
mod command;
mod connection;
mod delivery;
mod endpoint;
mod frame;
mod handle;
mod heartbeat;
mod http;
mod hub;
mod log;
mod outbox;
mod panics;
mod raw;
mod registry;
mod replay;
mod room;
mod service;
mod session;
mod settings;
mod shard;
mod sid;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "a fuzzer uses a part of it, the tests all")
)]
mod simulation;
mod socket;
mod stats;
mod stream;
mod transport;

pub use accept::{AcceptLimits, Listener, serve, serve_endpoints};
pub use close::{CloseCode, Reason};
pub use delivery::{Delivery, OutEvent, Publication};
pub use endpoint::{Endpoint, Wire};
pub use handle::{EngineHandle, StartError};
pub use http::{RequestBody, ResponseBody, discard_body};
pub use log::{Log, LogError, LogPage, NoLog};
pub use raw::{Raw, RawMessage};
pub use room::{Offset, Position, Room, Scope, Sid};
pub use service::{
    Accept, Connect, Event, Flow, Interval, LocalFuture, Refuse, Reply, Resume, Service, Transport,
};
pub use settings::Settings;
pub use socket::{AckError, Socket};
pub use stats::Stats;

/// What the fuzz targets call. Only with the feature `fuzzing`, which no program may use.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// Runs one input through the whole session state machine, on a simulated clock, network and log.
    ///
    /// # Panics
    /// When the engine breaks a promise.
    pub fn session_machine(input: &[u8]) {
        crate::simulation::machine::run(input);
    }
}

//! Socket.IO v5 packets: what rides in an Engine.IO message.
//!
//! [`Decoder`] is what a connection holds: texts and binary attachments go in, whole packets come out. It uses
//! [`Packet::decode`], which reads one text. [`encode`] writes the packets that a server sends. The format is
//! that of the default parser of the reference implementation:
//!
//! ```text
//! <type>[<attachments>-][<namespace>,][<ack id>][<JSON>]
//! ```
//!
//! Which namespaces exist, who is connected to them and what an event means is for the layers above.

mod args;
mod attachments;
mod decode;
pub mod encode;
mod error;
mod packet;
mod reassembly;

pub use args::{Args, ArgsIter};
pub use encode::EventOut;
pub use error::DecodeError;
pub use packet::{Ack, Body, Event, Packet, PacketType, Recovery};
pub use reassembly::{BinaryPacket, Decoder};

use crate::json::DEPTH_MAX_DEFAULT;
use crate::name::NameRules;

/// Largest acknowledgement id: the largest integer that a JavaScript client counts exactly.
pub const ACK_ID_MAX: u64 = (1 << 53) - 1;

/// Names that stand for something else in every client, and are never events.
pub const RESERVED_EVENTS: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// What one packet may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most binary attachments of a packet. Default 10; more than 128 are never taken.
    pub attachments_max: usize,
    /// Most bytes of all attachments of one packet. Default 10,000,000: ten of the largest message.
    pub attachments_bytes_max: usize,
    /// Deepest nesting of the payload, its outer array included. Default 64, at most 127.
    pub depth_max: u8,
    /// The rule for namespaces.
    pub namespace: NameRules,
    /// The rule for event names.
    pub event_name: NameRules,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attachments_max: 10,
            attachments_bytes_max: 10_000_000,
            depth_max: DEPTH_MAX_DEFAULT,
            namespace: NameRules::default(),
            event_name: NameRules::default(),
        }
    }
}

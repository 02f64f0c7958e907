//! Engine.IO v4: packets, the payloads of long-polling, and the facts of the opening handshake.
//!
//! A WebSocket text message is one packet ([`Packet::decode`]); a binary one is a message packet as it is. A
//! polling body is several packets ([`Payload`]). Query strings, the answer `0{…}` and the error bodies are in
//! [`Query`], [`OpenPacket`] and [`HandshakeError`]. Sessions, timers and HTTP belong to the engine.

mod handshake;
mod open;
mod packet;
mod payload;
mod query;

pub use handshake::{Handshake, HandshakeError, Transport, handshake};
pub use open::OpenPacket;
pub use packet::{EngineError, Packet, PacketType, write_packet};
pub use payload::{Base64, Payload, PayloadLimits, PayloadPacket, PayloadWriter};
pub use query::{Query, QueryPairs};

//! Bytes to packets and back, for every form that Relais speaks on the wire.
//!
//! Four layers, each usable alone:
//!
//! - [`websocket`]: RFC 6455 frames and messages, as a server reads and writes them;
//! - [`engineio`]: Engine.IO v4 packets, polling payloads, the opening handshake's facts;
//! - [`socketio`]: Socket.IO v5 packets with namespaces, acknowledgements and binary attachments;
//! - [`plain`]: the envelope of the applications that use a WebSocket without Socket.IO.
//!
//! [`json`] is the one pass over a payload that all of them share, and [`name`] the rule for event and
//! namespace names.
//!
//! What goes in is borrowed and what comes out borrows from it; every limit is a parameter; every refusal is
//! a typed error that knows the close code or HTTP status it leads to. There is no I/O here, no clock, no
//! async, no session: whether an event may come *now* is the engine's question, whether it is well formed is
//! this crate's.

pub mod engineio;
pub mod json;
pub mod name;
pub mod plain;
pub mod socketio;
pub mod websocket;

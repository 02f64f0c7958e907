//! The packet that answers a handshake.
//!
//! In: the session's facts. Out: `0{"sid":…}`.

use bytes::BufMut;
use serde::Serialize;

use super::packet::PacketType;

/// `0{"sid":"…","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`.
///
/// Clients in typed languages insist that `upgrades` is a list and the numbers are integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OpenPacket<'a> {
    /// The session's id, a bearer secret.
    pub sid: &'a str,
    /// Transports to change to: `["websocket"]` on polling, `[]` on WebSocket.
    pub upgrades: &'a [&'a str],
    /// Milliseconds between the server's pings.
    #[serde(rename = "pingInterval")]
    pub ping_interval_ms: u64,
    /// Milliseconds that a pong may take.
    #[serde(rename = "pingTimeout")]
    pub ping_timeout_ms: u64,
    /// Largest message or polling body, in bytes.
    #[serde(rename = "maxPayload")]
    pub max_payload_bytes: u64,
}

impl OpenPacket<'_> {
    /// Appends the packet, digit included.
    pub fn write(&self, out: &mut impl BufMut) {
        out.put_u8(PacketType::Open as u8);
        serde_json::to_writer(out.writer(), self).expect(
            "strings and integers always serialize, and a growing buffer takes every write",
        );
    }
}

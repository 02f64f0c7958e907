//! One Engine.IO packet in its text form: a digit, then the data.
//!
//! In: the text of a WebSocket message or of one part of a polling payload. Out: a borrowed [`Packet`].

use bytes::BufMut;

use crate::websocket::CloseCode;

/// The seven kinds of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PacketType {
    /// `0`: the handshake's answer; only the server sends it.
    Open = b'0',
    /// `1`: the transport is to be closed.
    Close = b'1',
    /// `2`: heartbeat from the server, or the client's probe.
    Ping = b'2',
    /// `3`: the answer to a ping.
    Pong = b'3',
    /// `4`: a message of the layer above.
    Message = b'4',
    /// `5`: the client has changed to this transport.
    Upgrade = b'5',
    /// `6`: nothing; releases a pending poll.
    Noop = b'6',
}

impl PacketType {
    /// The kind that this first byte of a packet stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'0' => Self::Open,
            b'1' => Self::Close,
            b'2' => Self::Ping,
            b'3' => Self::Pong,
            b'4' => Self::Message,
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            _ => return None,
        })
    }
}

/// A packet, borrowed from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: PacketType,
    /// What follows the digit; `probe` in a probe.
    pub data: &'a str,
}

/// Why what a client sent on an open session is refused. The session is closed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A packet of no bytes.
    #[error("empty packet")]
    EmptyPacket,
    /// A first byte that is no packet type.
    #[error("unknown packet type {byte:#04x}")]
    UnknownType {
        /// The byte.
        byte: u8,
    },
    /// A polling body that is not UTF-8.
    #[error("payload that is not UTF-8")]
    InvalidUtf8,
    /// A binary packet that is not base64.
    #[error("binary packet that is not base64")]
    InvalidBase64,
    /// A polling body over [`PayloadLimits::payload_bytes_max`](super::PayloadLimits).
    #[error("payload over {bytes_max} bytes")]
    PayloadTooBig {
        /// The limit.
        bytes_max: usize,
    },
    /// More packets in a polling body than [`PayloadLimits::packets_max`](super::PayloadLimits).
    #[error("payload of more than {packets_max} packets")]
    TooManyPackets {
        /// The limit.
        packets_max: usize,
    },
}

impl EngineError {
    /// HTTP status of the POST that carried it: 413 for a body over its size, else 400.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::PayloadTooBig { .. } => 413,
            Self::EmptyPacket
            | Self::UnknownType { .. }
            | Self::InvalidUtf8
            | Self::InvalidBase64
            | Self::TooManyPackets { .. } => 400,
        }
    }

    /// Close code when it came by WebSocket.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::EmptyPacket | Self::UnknownType { .. } | Self::InvalidBase64 => {
                CloseCode::PROTOCOL_ERROR
            }
            Self::InvalidUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::PayloadTooBig { .. } | Self::TooManyPackets { .. } => CloseCode::TOO_BIG,
        }
    }
}

impl<'a> Packet<'a> {
    /// Decodes one packet. Binary packets of polling payloads (`b…`) are [`Payload`](super::Payload)'s.
    ///
    /// # Errors
    /// [`EngineError::EmptyPacket`] or [`EngineError::UnknownType`].
    pub fn decode(text: &'a str) -> Result<Self, EngineError> {
        let byte = *text.as_bytes().first().ok_or(EngineError::EmptyPacket)?;
        let kind = PacketType::from_byte(byte).ok_or(EngineError::UnknownType { byte })?;
        // A packet type is ASCII, so the second byte starts a character.
        Ok(Self {
            kind,
            data: &text[1..],
        })
    }

    /// `2probe`: the client asks whether this transport works.
    #[must_use]
    pub fn is_probe(self) -> bool {
        self.kind == PacketType::Ping && self.data == "probe"
    }
}

/// Appends a packet in its text form.
pub fn write_packet(out: &mut impl BufMut, kind: PacketType, data: &str) {
    out.put_u8(kind as u8);
    out.put_slice(data.as_bytes());
}

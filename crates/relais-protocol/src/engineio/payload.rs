//! The bodies of long-polling: packets separated by 0x1e, binary ones as `b` and base64.
//!
//! In: a POST body and limits; out: an iterator of borrowed packets. The other way: [`PayloadWriter`] appends
//! packets to the body of a GET. Sizes are checked before anything is taken apart, so a body of a million
//! separators costs one count over its bytes.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::BufMut;

use super::packet::{EngineError, Packet, PacketType, write_packet};

const SEPARATOR: u8 = 0x1e;

/// Clients differ in whether they pad.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What one POST may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadLimits {
    /// Largest body, in bytes: the `maxPayload` that the handshake announced. Default 1,000,000.
    pub payload_bytes_max: usize,
    /// Most packets in one body. Default 1,024.
    pub packets_max: usize,
}

impl Default for PayloadLimits {
    fn default() -> Self {
        Self {
            payload_bytes_max: 1_000_000,
            packets_max: 1_024,
        }
    }
}

/// One packet of a polling body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadPacket<'a> {
    /// A packet in text form.
    Text(Packet<'a>),
    /// A message packet with binary data.
    Binary(Base64<'a>),
}

/// Binary data that is still base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base64<'a>(&'a str);

impl Base64<'_> {
    /// The bytes; at most three quarters of the text's length.
    ///
    /// # Errors
    /// [`EngineError::InvalidBase64`].
    pub fn decode(self) -> Result<Vec<u8>, EngineError> {
        LENIENT
            .decode(self.0)
            .map_err(|_| EngineError::InvalidBase64)
    }
}

/// The packets of one polling body, in order.
#[derive(Debug, Clone)]
pub struct Payload<'a> {
    rest: Option<&'a str>,
}

impl<'a> Payload<'a> {
    /// Checks a body's size, encoding and number of packets. An empty body is one empty packet: an error of
    /// the first item.
    ///
    /// # Errors
    /// [`EngineError::PayloadTooBig`] (413), [`EngineError::TooManyPackets`], [`EngineError::InvalidUtf8`].
    pub fn decode(body: &'a [u8], limits: &PayloadLimits) -> Result<Self, EngineError> {
        if body.len() > limits.payload_bytes_max {
            return Err(EngineError::PayloadTooBig {
                bytes_max: limits.payload_bytes_max,
            });
        }
        if memchr::memchr_iter(SEPARATOR, body).count() >= limits.packets_max {
            return Err(EngineError::TooManyPackets {
                packets_max: limits.packets_max,
            });
        }
        let text = std::str::from_utf8(body).map_err(|_| EngineError::InvalidUtf8)?;
        Ok(Self { rest: Some(text) })
    }
}

impl<'a> Iterator for Payload<'a> {
    type Item = Result<PayloadPacket<'a>, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let part = match memchr::memchr(SEPARATOR, rest.as_bytes()) {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                &rest[..at]
            }
            None => {
                self.rest = None;
                rest
            }
        };
        let packet = match part.strip_prefix('b') {
            Some(base64) => Ok(PayloadPacket::Binary(Base64(base64))),
            None => Packet::decode(part).map(PayloadPacket::Text),
        };
        if packet.is_err() {
            // The session is closed by it; what follows must not be acted on.
            self.rest = None;
        }
        Some(packet)
    }
}

/// Writes the body of a poll's answer.
#[derive(Debug)]
pub struct PayloadWriter<'a, B> {
    out: &'a mut B,
    is_empty: bool,
}

impl<'a, B: BufMut> PayloadWriter<'a, B> {
    /// Appends to `out`, which holds no packet yet.
    pub fn new(out: &'a mut B) -> Self {
        Self {
            out,
            is_empty: true,
        }
    }

    /// Appends a packet.
    pub fn packet(&mut self, kind: PacketType, data: &str) {
        self.separate();
        write_packet(self.out, kind, data);
    }

    /// Appends a packet that is encoded already, digit included: the payload of a WebSocket text frame.
    pub fn encoded(&mut self, packet: &[u8]) {
        self.separate();
        self.out.put_slice(packet);
    }

    /// Appends a binary message packet.
    pub fn binary(&mut self, data: &[u8]) {
        self.separate();
        self.out.put_u8(b'b');
        // Chunks of a multiple of three encode without padding, so they can stand one after another.
        let mut buffer = [0u8; 1024];
        for chunk in data.chunks(768) {
            let bytes = STANDARD
                .encode_slice(chunk, &mut buffer)
                .expect("768 bytes are 1,024 characters of base64");
            self.out.put_slice(&buffer[..bytes]);
        }
    }

    /// Whether nothing was appended: an empty body must not be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    fn separate(&mut self) {
        if !self.is_empty {
            self.out.put_u8(SEPARATOR);
        }
        self.is_empty = false;
    }
}

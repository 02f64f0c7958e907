//! One frame header from a client.
//!
//! In: the first bytes of a frame, as many as there are. Out: the header and its length, "not enough yet", or
//! the error, at the earliest byte that shows it. Whether the frame may come at this point of a message is
//! the reader's question.

use super::WebSocketError;

/// Longest header of a masked frame, in bytes.
pub const HEADER_BYTES_MAX: usize = 14;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The next part of a fragmented message.
    Continuation = 0x0,
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// The end of the connection.
    Close = 0x8,
    /// A question that wants a pong with the same payload.
    Ping = 0x9,
    /// The answer to a ping, or a sign of life.
    Pong = 0xA,
}

impl Opcode {
    /// Close, ping and pong: short, never fragmented, allowed inside a fragmented message.
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    fn from_bits(bits: u8) -> Result<Self, WebSocketError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            opcode => return Err(WebSocketError::UnknownOpcode { opcode }),
        })
    }
}

/// A decoded frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this frame ends its message.
    pub is_final: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// Payload length in bytes; its top bit is never set.
    pub payload_bytes: u64,
    /// The masking key.
    pub mask: [u8; 4],
}

/// What the first byte alone says.
pub(super) fn decode_first(byte: u8) -> Result<(bool, Opcode), WebSocketError> {
    if byte & 0x70 != 0 {
        return Err(WebSocketError::ReservedBits);
    }
    let opcode = Opcode::from_bits(byte & 0x0F)?;
    let is_final = byte & 0x80 != 0;
    if opcode.is_control() && !is_final {
        return Err(WebSocketError::FragmentedControl);
    }
    Ok((is_final, opcode))
}

impl FrameHeader {
    /// Decodes a header from the front of `bytes`; the second part of the result is its length, 6 to 14.
    /// `None` when more bytes are needed to tell.
    ///
    /// # Errors
    /// Those of [`WebSocketError`] that concern a header alone, all 1002. Lengths must be written in the fewest bytes,
    /// as RFC 6455 section 5.2 demands.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, WebSocketError> {
        let Some(first) = bytes.first() else {
            return Ok(None);
        };
        let (is_final, opcode) = decode_first(*first)?;
        let Some(second) = bytes.get(1) else {
            return Ok(None);
        };
        if second & 0x80 == 0 {
            return Err(WebSocketError::Unmasked);
        }
        let short = second & 0x7F;
        if opcode.is_control() && short > 125 {
            return Err(WebSocketError::LongControl);
        }
        let Some((payload_bytes, mask_at)) = decode_length(short, &bytes[2..])? else {
            return Ok(None);
        };
        let Some(mask) = bytes[mask_at..].first_chunk::<4>() else {
            return Ok(None);
        };
        let header = Self {
            is_final,
            opcode,
            payload_bytes,
            mask: *mask,
        };
        Ok(Some((header, mask_at + 4)))
    }
}

/// The payload length and the offset of the mask.
fn decode_length(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, WebSocketError> {
    match short {
        126 => {
            let Some(bytes) = rest.first_chunk::<2>() else {
                return Ok(None);
            };
            let length = u64::from(u16::from_be_bytes(*bytes));
            if length < 126 {
                return Err(WebSocketError::BadLength);
            }
            Ok(Some((length, 4)))
        }
        127 => {
            if rest.first().is_some_and(|byte| byte & 0x80 != 0) {
                return Err(WebSocketError::BadLength);
            }
            let Some(bytes) = rest.first_chunk::<8>() else {
                return Ok(None);
            };
            let length = u64::from_be_bytes(*bytes);
            if length < 1 << 16 {
                return Err(WebSocketError::BadLength);
            }
            Ok(Some((length, 10)))
        }
        length => Ok(Some((u64::from(length), 2))),
    }
}

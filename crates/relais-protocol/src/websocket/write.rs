//! Frames from the server: never masked, never fragmented, lengths in the fewest bytes.
//!
//! In: payloads and the caller's buffer. Out: bytes appended to it. [`FrameBuilder`] makes one shared frame
//! whose payload length is not known before it is written, without moving the payload.

use bytes::{BufMut, Bytes};

use super::{CloseCode, Opcode};

/// Longest header that a server writes, in bytes.
const SERVER_HEADER_BYTES_MAX: usize = 10;

/// Most bytes of payload in a control frame.
const CONTROL_BYTES_MAX: usize = 125;

/// Length of the header for a payload: 2, 4 or 10 bytes.
#[must_use]
pub const fn header_len(payload_bytes: usize) -> usize {
    match payload_bytes {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// Appends the header of a final, unmasked frame.
pub fn write_header(out: &mut impl BufMut, opcode: Opcode, payload_bytes: usize) {
    out.put_u8(0x80 | opcode as u8);
    match payload_bytes {
        0..=125 => out.put_u8(payload_bytes as u8),
        126..=0xFFFF => {
            out.put_u8(126);
            out.put_u16(payload_bytes as u16);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(payload_bytes as u64);
        }
    }
}

/// Appends a whole frame.
pub fn write_frame(out: &mut impl BufMut, opcode: Opcode, payload: &[u8]) {
    write_header(out, opcode, payload.len());
    out.put_slice(payload);
}

/// Appends a ping; a payload over 125 bytes is cut.
pub fn write_ping(out: &mut impl BufMut, payload: &[u8]) {
    write_frame(
        out,
        Opcode::Ping,
        &payload[..payload.len().min(CONTROL_BYTES_MAX)],
    );
}

/// Appends a pong; a payload over 125 bytes is cut (a client's ping never is).
pub fn write_pong(out: &mut impl BufMut, payload: &[u8]) {
    write_frame(
        out,
        Opcode::Pong,
        &payload[..payload.len().min(CONTROL_BYTES_MAX)],
    );
}

/// Appends a close frame; a reason over 123 bytes is cut between two characters.
pub fn write_close(out: &mut impl BufMut, code: CloseCode, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    write_header(out, Opcode::Close, 2 + reason.len());
    out.put_u16(code.get());
    out.put_slice(reason.as_bytes());
}

/// Appends the close frame that answers one without a code.
pub fn write_close_empty(out: &mut impl BufMut) {
    write_header(out, Opcode::Close, 0);
}

/// One frame to be shared by many recipients, header and payload in one allocation.
///
/// ```
/// # use relais_protocol::websocket::{FrameBuilder, Opcode};
/// let mut frame = FrameBuilder::new(Opcode::Text, 16);
/// frame.payload().extend_from_slice(b"2");
/// assert_eq!(&frame.finish()[..], b"\x81\x012");
/// ```
#[derive(Debug)]
pub struct FrameBuilder {
    opcode: Opcode,
    /// Ten bytes kept free for the header, then the payload.
    buffer: Vec<u8>,
}

impl FrameBuilder {
    /// Starts a frame, with room for a payload of about this size.
    #[must_use]
    pub fn new(opcode: Opcode, payload_bytes_about: usize) -> Self {
        let mut buffer = Vec::with_capacity(SERVER_HEADER_BYTES_MAX + payload_bytes_about);
        buffer.extend_from_slice(&[0; SERVER_HEADER_BYTES_MAX]);
        Self { opcode, buffer }
    }

    /// Where the payload goes: append to it, and do nothing else.
    pub fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The frame. The header is written right before the payload, so that nothing moves.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let payload_bytes = self.buffer.len().saturating_sub(SERVER_HEADER_BYTES_MAX);
        let start = SERVER_HEADER_BYTES_MAX - header_len(payload_bytes);
        write_header(
            &mut &mut self.buffer[start..SERVER_HEADER_BYTES_MAX],
            self.opcode,
            payload_bytes,
        );
        Bytes::from(self.buffer).slice(start..)
    }
}

//! Frames from the server: never masked, never fragmented, lengths in the fewest bytes.
//!
//! In: payloads and the caller's buffer. Out: bytes appended to it. Who writes a payload before its length is
//! known leaves [`header_len`] bytes of room in front of it, or writes the header into a buffer of its own.

use bytes::BufMut;

use super::{CloseCode, Opcode};

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

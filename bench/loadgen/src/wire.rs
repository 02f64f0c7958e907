//! Bytes on the wire, as a client sees them: masked WebSocket text frames out, frames and Socket.IO packets in.
//!
//! In: the bytes of one connection. Out: borrowed packets. It is written for counting cheaply, not for checking a server:
//! it reads a frame's header and the first bytes of its payload, and leaves JSON alone. Compression and fragmented
//! messages are never negotiated or expected; a server that sends either is reported as an error.

/// What the generator cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A frame with reserved bits, a mask, or a part of a message.
    #[error("unexpected frame header {0:#04x} {1:#04x}")]
    Header(u8, u8),
}

/// One unmasked frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// WebSocket opcode: 1 text, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// The payload, borrowed from the input.
    pub payload: &'a [u8],
}

/// A Socket.IO packet, as far as the generator cares.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Engine.IO OPEN.
    Open,
    /// Engine.IO PING, to be answered by `3`.
    Ping,
    /// CONNECT was accepted: its JSON object.
    Connected(&'a [u8]),
    /// CONNECT was refused, with the server's reason.
    Refused(&'a [u8]),
    /// An event: its JSON array.
    Event(&'a [u8]),
    /// An acknowledgement: its number and its JSON array.
    Ack(u64, &'a [u8]),
    /// Anything else.
    Other,
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Appends `parts`, joined, to `out` as one masked text frame.
pub fn push_text(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(0x81);
    match length {
        0..126 => out.push(0x80 | length as u8),
        126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    for part in parts {
        out.extend_from_slice(part);
    }
    for (byte, key) in out[start..].iter_mut().zip(MASK.iter().cycle()) {
        *byte ^= key;
    }
}

/// Reads the next frame at `at` and moves `at` behind it; `None` when the rest of it has not arrived.
#[inline]
pub fn next_frame<'a>(input: &'a [u8], at: &mut usize) -> Result<Option<Frame<'a>>, WireError> {
    let rest = &input[*at..];
    let [first, second, ..] = *rest else {
        return Ok(None);
    };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 || first & 0x0f == 0 {
        return Err(WireError::Header(first, second));
    }
    let (header, length): (usize, usize) = match (second, rest) {
        (126, [_, _, a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        (127, [_, _, a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (10, length as usize)
        }
        (126 | 127, _) => return Ok(None),
        _ => (2, usize::from(second)),
    };
    let Some(payload) = rest.get(header..header.saturating_add(length)) else {
        return Ok(None);
    };
    *at += header + length;
    Ok(Some(Frame {
        opcode: first & 0x0f,
        payload,
    }))
}

/// Classifies the payload of a text frame.
#[inline]
pub fn packet(payload: &[u8]) -> Packet<'_> {
    match payload {
        [b'4', b'2', rest @ ..] => Packet::Event(rest),
        [b'4', b'3', rest @ ..] => ack(rest),
        [b'4', b'0', rest @ ..] => Packet::Connected(rest),
        [b'4', b'4', rest @ ..] => Packet::Refused(rest),
        [b'0', ..] => Packet::Open,
        [b'2', ..] => Packet::Ping,
        _ => Packet::Other,
    }
}

fn ack(rest: &[u8]) -> Packet<'_> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let id = rest[..digits].iter().fold(0u64, |id, digit| {
        id.wrapping_mul(10) + u64::from(digit - b'0')
    });
    Packet::Ack(id, &rest[digits..])
}

/// The send time that a payload carries as `"t":<nanoseconds>`, wherever in the event it stands.
pub fn stamp(event: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"t\":";
    let at = event.windows(KEY.len()).position(|window| window == KEY)?;
    let digits = event[at + KEY.len()..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0u64, |value, digit| {
        value.wrapping_mul(10) + u64::from(digit - b'0')
    }))
}

/// The text that stands as `"<key>":"…"` in JSON, wherever it is; for names and ids that need no escapes.
pub fn text<'a>(json: &'a [u8], key: &str) -> Option<&'a str> {
    let pattern = format!("\"{key}\":\"");
    let at = json
        .windows(pattern.len())
        .position(|window| window == pattern.as_bytes())?;
    let rest = &json[at + pattern.len()..];
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// The offset of an event, as a stock client finds it: the last argument, when it is a text.
pub fn offset(event: &[u8]) -> Option<&str> {
    let rest = event.strip_suffix(b"\"]")?;
    let start = rest.iter().rposition(|byte| *byte == b'"')? + 1;
    // The event's name is no argument.
    (start > 2).then(|| std::str::from_utf8(&rest[start..]).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_only_when_all_of_it_is_there() {
        let bytes = b"\x81\x0842[\"msg\"\x81\x012";
        for cut in 0..10 {
            assert_eq!(next_frame(&bytes[..cut], &mut 0), Ok(None), "cut at {cut}");
        }
        let mut at = 0;
        let frame = next_frame(bytes, &mut at).unwrap().unwrap();
        assert_eq!(
            (frame.opcode, frame.payload, at),
            (1, &b"42[\"msg\""[..], 10)
        );
        assert_eq!(next_frame(bytes, &mut at).unwrap().unwrap().payload, b"2");
        assert_eq!(next_frame(bytes, &mut at), Ok(None));
    }

    #[test]
    fn long_lengths_are_read_from_two_and_eight_bytes() {
        for (header, length) in [
            (&b"\x81\x7e\x01\x00"[..], 256),
            (b"\x81\x7f\0\0\0\0\0\x01\0\0", 65_536),
        ] {
            let mut bytes = header.to_vec();
            bytes.resize(header.len() + length, b'x');
            let frame = next_frame(&bytes, &mut 0).unwrap().unwrap();
            assert_eq!(frame.payload.len(), length);
        }
    }

    #[test]
    fn masked_or_fragmented_frames_from_a_server_are_refused() {
        assert_eq!(
            next_frame(b"\x81\x81", &mut 0),
            Err(WireError::Header(0x81, 0x81))
        );
        assert_eq!(
            next_frame(b"\x01\x01", &mut 0),
            Err(WireError::Header(0x01, 0x01))
        );
    }

    #[test]
    fn a_text_frame_is_masked_and_reads_back() {
        let mut out = Vec::new();
        push_text(&mut out, &[b"42", b"[\"join\"]"]);
        assert_eq!(out[..2], [0x81, 0x80 | 10]);
        let text: Vec<u8> = out[6..]
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(b, k)| b ^ k)
            .collect();
        assert_eq!(text, b"42[\"join\"]");
    }

    #[test]
    fn texts_and_offsets_are_found_where_stock_clients_find_them() {
        let connected = br#"{"sid":"a-1","pid":"b.2"}"#;
        assert_eq!(text(connected, "sid"), Some("a-1"));
        assert_eq!(text(connected, "pid"), Some("b.2"));
        assert_eq!(text(connected, "token"), None);
        assert_eq!(offset(br#"["connected",{"a":"b"},"1.2.0"]"#), Some("1.2.0"));
        assert_eq!(offset(br#"["connected",{"a":"b"}]"#), None);
        assert_eq!(offset(br#"["connected"]"#), None);
    }

    #[test]
    fn acks_carry_their_number_and_events_their_stamp() {
        assert_eq!(packet(b"4317[{\"t\":5}]"), Packet::Ack(17, b"[{\"t\":5}]"));
        assert_eq!(stamp(b"[\"msg\",{\"t\":1234,\"text\":\"x\"}]"), Some(1234));
        assert_eq!(stamp(b"[\"msg\",{\"text\":\"x\",\"t\":9}]"), Some(9));
        assert_eq!(stamp(b"[\"msg\",{}]"), None);
    }
}

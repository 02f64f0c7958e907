//! Bytes ready for a socket: WebSocket frames with their headers, shared by everyone who gets them.
//!
//! A frame is one packet: a text or binary message with its binary attachments behind it. Where the payload begins is known, so that
//! polling can use the same bytes without the headers. Built once, then immutable.

use std::sync::Arc;

use bytes::Bytes;
use relais_protocol::plain::{Envelope, Mark};
use relais_protocol::socketio::encode::{
    EventOut, write_ack, write_connect, write_connect_error, write_disconnect,
};
use relais_protocol::websocket::Opcode;
use relais_protocol::websocket::write::{header_len, write_close, write_close_empty, write_header};

use crate::ack_id::AckId;
use crate::close::CloseCode;
use crate::room::Offset;
use crate::service::Reply;

/// A frame shared by recipients, on any shard.
pub(crate) type FrameRef = Arc<Frame>;

/// Longest header of an unmasked frame: the first payload always begins here, its header right before it.
const HEADER_BYTES_MAX: usize = 10;

/// One packet with its attachments, as WebSocket frames back to back.
pub(crate) struct Frame {
    buffer: Vec<u8>,
    start: u8,
    opcode: Opcode,
    volatile: bool,
    /// End of the first payload.
    end: u32,
    /// Payloads of the attachments.
    attachments: Vec<(u32, u32)>,
}

impl Frame {
    /// What goes onto a WebSocket.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[usize::from(self.start)..]
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - usize::from(self.start)
    }

    pub(crate) fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// The first payload, and whether it is binary; `None` for control frames, which only WebSockets have.
    pub(crate) fn payload(&self) -> Option<(&[u8], bool)> {
        let is_binary = match self.opcode {
            Opcode::Text => false,
            Opcode::Binary => true,
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => return None,
        };
        Some((&self.buffer[HEADER_BYTES_MAX..self.end as usize], is_binary))
    }

    /// Payloads of the attachments, in order.
    pub(crate) fn attachments(&self) -> impl Iterator<Item = &[u8]> {
        self.attachments
            .iter()
            .map(|(from, to)| &self.buffer[*from as usize..*to as usize])
    }

    #[cfg(test)]
    pub(crate) fn for_test(bytes: usize, volatile: bool) -> FrameRef {
        let mut builder = Builder::new(Opcode::Text, bytes);
        builder
            .buffer
            .resize(HEADER_BYTES_MAX + bytes.saturating_sub(2), b'x');
        builder.finish(&[], volatile)
    }
}

struct Builder {
    buffer: Vec<u8>,
    opcode: Opcode,
}

impl Builder {
    fn new(opcode: Opcode, payload_hint: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_BYTES_MAX + payload_hint);
        buffer.resize(HEADER_BYTES_MAX, 0);
        Self { buffer, opcode }
    }

    fn finish(mut self, attachments: &[Bytes], volatile: bool) -> FrameRef {
        let end = self.buffer.len();
        let payload_bytes = end - HEADER_BYTES_MAX;
        let start = HEADER_BYTES_MAX - header_len(payload_bytes);
        let mut place_of_header = &mut self.buffer[start..HEADER_BYTES_MAX];
        write_header(&mut place_of_header, self.opcode, payload_bytes);
        let mut places = Vec::new();
        if !attachments.is_empty() {
            places.reserve_exact(attachments.len());
            let more: usize = attachments.iter().map(|a| a.len() + HEADER_BYTES_MAX).sum();
            self.buffer.reserve_exact(more);
            for attachment in attachments {
                write_header(&mut self.buffer, Opcode::Binary, attachment.len());
                let from = self.buffer.len();
                self.buffer.extend_from_slice(attachment);
                places.push((place(from), place(self.buffer.len())));
            }
        }
        Arc::new(Frame {
            buffer: self.buffer,
            start: u8::try_from(start).unwrap_or(0),
            opcode: self.opcode,
            volatile,
            end: place(end),
            attachments: places,
        })
    }
}

/// Frames are bounded by payload limits far under 4 GiB.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a frame is smaller than 4 GiB")
}

/// An event as a Socket.IO packet inside an Engine.IO message.
pub(crate) struct EventParts<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) ack: Option<u64>,
    pub(crate) name: &'a str,
    pub(crate) args: &'a [u8],
    pub(crate) attachments: &'a [Bytes],
    /// Appended as the last argument.
    pub(crate) offset: Option<Offset>,
    pub(crate) volatile: bool,
}

pub(crate) fn event(parts: &EventParts<'_>) -> FrameRef {
    let offset = parts.offset.map(|offset| offset.to_string());
    let event = EventOut {
        namespace: parts.namespace,
        name: parts.name,
        args: json(parts.args),
        offset: offset.as_deref(),
        id: parts.ack,
        attachments: parts.attachments.len(),
    };
    let mut builder = message(event.bytes_about());
    event.write(&mut builder.buffer);
    builder.finish(parts.attachments, parts.volatile)
}

pub(crate) fn ack(namespace: &str, id: u64, reply: &Reply) -> FrameRef {
    let mut builder = message(reply.args.len() + namespace.len() + 32);
    let attachments = reply.attachments.len();
    write_ack(
        &mut builder.buffer,
        namespace,
        id,
        json(&reply.args),
        attachments,
    );
    builder.finish(&reply.attachments, false)
}

/// An event as a plain JSON frame.
pub(crate) fn plain_event(
    name: &str,
    args: &[u8],
    at_ms: i64,
    offset: Option<Offset>,
    volatile: bool,
) -> FrameRef {
    let position = offset.map(|offset| Mark {
        position: offset.position,
        index: offset.index,
    });
    let envelope = Envelope {
        event: name,
        data: json(args),
        at_ms,
        position,
        id: None,
    };
    plain(&envelope, volatile)
}

/// The answer to an event of a plain JSON client.
pub(crate) fn plain_ack(id: &AckId, reply: &Reply, at_ms: i64) -> FrameRef {
    id.with_text(|id| {
        let envelope = Envelope {
            event: "ack",
            data: json(&reply.args),
            at_ms,
            position: None,
            id: Some(id),
        };
        plain(&envelope, false)
    })
}

fn plain(envelope: &Envelope<'_>, volatile: bool) -> FrameRef {
    let mut builder = Builder::new(Opcode::Text, envelope.bytes_about());
    envelope.write(&mut builder.buffer);
    builder.finish(&[], volatile)
}

pub(crate) fn connect(namespace: &str, sid: &str, pid: Option<&str>) -> FrameRef {
    let mut builder = message(namespace.len() + sid.len() + pid.map_or(0, str::len) + 32);
    write_connect(&mut builder.buffer, namespace, sid, pid);
    builder.finish(&[], false)
}

pub(crate) fn connect_error(namespace: &str, text: &str, data: Option<&[u8]>) -> FrameRef {
    let mut builder = message(namespace.len() + text.len() + 64);
    write_connect_error(&mut builder.buffer, namespace, text, data.map(json));
    builder.finish(&[], false)
}

pub(crate) fn disconnect(namespace: &str) -> FrameRef {
    let mut builder = message(namespace.len() + 8);
    write_disconnect(&mut builder.buffer, namespace);
    builder.finish(&[], false)
}

/// An Engine.IO message, to be filled with a Socket.IO packet.
fn message(payload_hint: usize) -> Builder {
    let mut builder = Builder::new(Opcode::Text, payload_hint + 1);
    builder.buffer.push(b'4');
    builder
}

/// Raw JSON of the application. What is not UTF-8 cannot be JSON, and must never become a text frame.
fn json(args: &[u8]) -> &str {
    std::str::from_utf8(args).unwrap_or_else(|_| {
        tracing::error!("event arguments that are not UTF-8 were replaced by null");
        "null"
    })
}

/// An Engine.IO packet that is no message: `0{…}`, `2`, `3probe`, `6`.
pub(crate) fn engine(packet: &[u8]) -> FrameRef {
    let mut builder = Builder::new(Opcode::Text, packet.len());
    builder.buffer.extend_from_slice(packet);
    builder.finish(&[], false)
}

/// Text as it is, or as an Engine.IO message.
pub(crate) fn text(text: &str, engine_message: bool) -> FrameRef {
    let mut builder = Builder::new(Opcode::Text, text.len() + 1);
    if engine_message {
        builder.buffer.push(b'4');
    }
    builder.buffer.extend_from_slice(text.as_bytes());
    builder.finish(&[], false)
}

/// Bytes as they are; an Engine.IO message needs no mark on them.
pub(crate) fn binary(bytes: &[u8]) -> FrameRef {
    let mut builder = Builder::new(Opcode::Binary, bytes.len());
    builder.buffer.extend_from_slice(bytes);
    builder.finish(&[], false)
}

/// A close frame; the reason is cut to what a control frame may hold.
pub(crate) fn close(code: Option<CloseCode>, reason: &str) -> FrameRef {
    let mut buffer = Vec::with_capacity(2 + reason.len() + 2);
    match code {
        Some(code) => write_close(&mut buffer, code, reason),
        None => write_close_empty(&mut buffer),
    }
    let end = place(buffer.len());
    Arc::new(Frame {
        buffer,
        start: 0,
        opcode: Opcode::Close,
        volatile: false,
        end,
        attachments: Vec::new(),
    })
}

/// A ping of the WebSocket itself, where no Engine.IO is spoken.
pub(crate) fn ping() -> FrameRef {
    Builder::new(Opcode::Ping, 0).finish(&[], false)
}

pub(crate) fn pong(payload: &[u8]) -> FrameRef {
    let mut builder = Builder::new(Opcode::Pong, payload.len());
    builder.buffer.extend_from_slice(payload);
    builder.finish(&[], true)
}

/// Bytes of HTTP, which no WebSocket is on yet.
pub(crate) fn http(bytes: Vec<u8>) -> FrameRef {
    let end = place(bytes.len());
    Arc::new(Frame {
        buffer: bytes,
        start: 0,
        // Like a control frame, nothing that polling could have.
        opcode: Opcode::Ping,
        volatile: false,
        end,
        attachments: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(args: &'a [u8], attachments: &'a [Bytes]) -> EventParts<'a> {
        EventParts {
            namespace: "/",
            ack: None,
            name: "e",
            args,
            attachments,
            offset: None,
            volatile: false,
        }
    }

    fn payload(frame: &Frame) -> &str {
        std::str::from_utf8(frame.payload().unwrap().0).unwrap()
    }

    #[test]
    fn events_look_as_the_protocol_wants_them() {
        assert_eq!(payload(&event(&parts(b"", &[]))), r#"42["e"]"#);
        assert_eq!(payload(&event(&parts(b"1,{}", &[]))), r#"42["e",1,{}]"#);
        let with_offset = event(&EventParts {
            namespace: "/custom",
            ack: Some(120),
            name: "a\"b",
            offset: Some(Offset {
                epoch: 3,
                position: 17,
                index: Some(0),
            }),
            ..parts(b"1", &[])
        });
        assert_eq!(payload(&with_offset), r#"42/custom,120["a\"b",1,"3.17.0"]"#);
    }

    #[test]
    fn attachments_follow_their_packet_in_frames_of_their_own() {
        let attachments = [Bytes::from_static(b"\x01\x02"), Bytes::from_static(b"")];
        let frame = event(&parts(br#"{"_placeholder":true,"num":0}"#, &attachments));
        assert!(payload(&frame).starts_with("452-["));
        assert!(frame.bytes().ends_with(&[0x82, 2, 1, 2, 0x82, 0]));
        let list: Vec<_> = frame.attachments().collect();
        assert_eq!(list, [&[1u8, 2][..], &[]]);
    }

    #[test]
    fn headers_take_the_fewest_bytes() {
        for (payload, header) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = text(&"x".repeat(payload), false);
            assert_eq!(frame.len(), payload + header);
            assert_eq!(frame.bytes()[0], 0x81);
        }
    }

    #[test]
    fn the_other_packets_look_as_the_protocol_wants_them() {
        assert_eq!(payload(&connect("/", "s", None)), r#"40{"sid":"s"}"#);
        assert_eq!(
            payload(&connect("/a", "s", Some("p"))),
            r#"40/a,{"sid":"s","pid":"p"}"#
        );
        assert_eq!(
            payload(&connect_error("/a", "Invalid namespace", None)),
            r#"44/a,{"message":"Invalid namespace"}"#
        );
        assert_eq!(payload(&disconnect("/a")), "41/a,");
        assert_eq!(payload(&ack("/", 7, &Reply::json("1"))), "437[1]");
        assert_eq!(
            close(Some(CloseCode::RESTART), "drain").bytes(),
            b"\x88\x07\x03\xf4drain"
        );
    }
}

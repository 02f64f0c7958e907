//! The packets that a server sends, appended to the caller's buffer.
//!
//! The Engine.IO digit `4` is not written: on WebSocket and in polling it comes before, and
//! [`engineio::write_packet`](crate::engineio::write_packet) or one `put_u8(b'4')` puts it there. Arguments are JSON text that is already
//! encoded, values with commas between them, as [`Args::raw`](super::Args::raw) gives it; it is copied as it is, so it must be
//! well formed. Namespaces must not hold a comma, which the format cannot carry; those that came from a client
//! never do.

use bytes::BufMut;

use super::PacketType;
use crate::json::{write_integer, write_string};

/// An event to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventOut<'a> {
    /// The namespace, with its slash.
    pub namespace: &'a str,
    /// The event's name.
    pub name: &'a str,
    /// Encoded arguments with commas between them; may be empty.
    pub args: &'a str,
    /// The recovery offset, appended as one more argument, for clients that understand it.
    pub offset: Option<&'a str>,
    /// Asks the client for an acknowledgement with this id.
    pub id: Option<u64>,
    /// How many binary messages follow; their placeholders are in `args`.
    pub attachments: usize,
}

impl EventOut<'_> {
    /// Appends `2["name",args…,"offset"]`, or `5<n>-…` when there are attachments.
    pub fn write(&self, out: &mut impl BufMut) {
        write_head(
            out,
            PacketType::Event,
            self.namespace,
            self.id,
            self.attachments,
        );
        out.put_u8(b'[');
        write_string(out, self.name);
        if !self.args.is_empty() {
            out.put_u8(b',');
            out.put_slice(self.args.as_bytes());
        }
        if let Some(offset) = self.offset {
            out.put_u8(b',');
            write_string(out, offset);
        }
        out.put_u8(b']');
    }

    /// About how many bytes [`write`](Self::write) appends: exact unless names need escapes.
    #[must_use]
    pub fn bytes_about(&self) -> usize {
        let offset = self.offset.map_or(0, |offset| offset.len() + 3);
        32 + self.namespace.len() + self.name.len() + self.args.len() + offset
    }
}

/// Appends the answer to a CONNECT: `0{"sid":"…"}`, with `"pid"` when the session can be recovered.
pub fn write_connect(out: &mut impl BufMut, namespace: &str, sid: &str, pid: Option<&str>) {
    write_head(out, PacketType::Connect, namespace, None, 0);
    out.put_slice(b"{\"sid\":");
    write_string(out, sid);
    if let Some(pid) = pid {
        out.put_slice(b",\"pid\":");
        write_string(out, pid);
    }
    out.put_u8(b'}');
}

/// Appends a refusal: `4{"message":"…"}`, with encoded `data` beside the message when there is some.
///
/// Dart clients do not reconnect after it: use it for refusals that last, and close the transport for those that pass.
pub fn write_connect_error(
    out: &mut impl BufMut,
    namespace: &str,
    message: &str,
    data: Option<&str>,
) {
    write_head(out, PacketType::ConnectError, namespace, None, 0);
    out.put_slice(b"{\"message\":");
    write_string(out, message);
    if let Some(data) = data {
        out.put_slice(b",\"data\":");
        out.put_slice(data.as_bytes());
    }
    out.put_u8(b'}');
}

/// Appends the answer to a client's event: `3<id>[args…]`, or `6<n>-…` when there are attachments.
pub fn write_ack(out: &mut impl BufMut, namespace: &str, id: u64, args: &str, attachments: usize) {
    write_head(out, PacketType::Ack, namespace, Some(id), attachments);
    out.put_u8(b'[');
    out.put_slice(args.as_bytes());
    out.put_u8(b']');
}

/// Appends `1`: the server ends the namespace. Dart clients do not reconnect after it.
pub fn write_disconnect(out: &mut impl BufMut, namespace: &str) {
    write_head(out, PacketType::Disconnect, namespace, None, 0);
}

/// Appends `{"_placeholder":true,"num":n}`, which stands for attachment n.
pub fn write_placeholder(out: &mut impl BufMut, num: usize) {
    out.put_slice(b"{\"_placeholder\":true,\"num\":");
    write_integer(out, num as u64);
    out.put_u8(b'}');
}

/// Everything up to the payload. `kind` is the plain kind; attachments turn it into the binary one.
fn write_head(
    out: &mut impl BufMut,
    kind: PacketType,
    namespace: &str,
    id: Option<u64>,
    attachments: usize,
) {
    let kind = match kind {
        PacketType::Event if attachments > 0 => PacketType::BinaryEvent,
        PacketType::Ack if attachments > 0 => PacketType::BinaryAck,
        kind => kind,
    };
    out.put_u8(kind as u8);
    if kind.is_binary() {
        write_integer(out, attachments as u64);
        out.put_u8(b'-');
    }
    debug_assert!(!namespace.contains(','), "no comma fits into a namespace");
    if namespace != "/" {
        out.put_slice(namespace.as_bytes());
        out.put_u8(b',');
    }
    if let Some(id) = id {
        write_integer(out, id);
    }
}

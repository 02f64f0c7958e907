//! A packet with attachments arrives as a text and then so many binary messages, with nothing in between.
//!
//! In: texts and binary messages in the order of the connection. Out: packets that are whole. A connection that
//! sends no binary holds one empty word.

use bytes::Bytes;

use super::{DecodeError, Limits, Packet};

/// The decoding state of one connection, over all of its namespaces.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Option<Box<Pending>>,
}

#[derive(Debug)]
struct Pending {
    packet: BinaryPacket,
    expected: usize,
    bytes: usize,
}

/// A packet and its attachments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryPacket {
    text: Box<str>,
    /// The attachments; placeholder `num` n is number n.
    pub attachments: Vec<Bytes>,
}

impl BinaryPacket {
    /// The packet that the attachments belong to.
    ///
    /// # Errors
    /// None with the limits that it was received under.
    pub fn packet(&self, limits: &Limits) -> Result<Packet<'_>, DecodeError> {
        Packet::decode(&self.text, limits)
    }
}

impl Decoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a text. `None` when attachments have to come before the packet is whole.
    ///
    /// # Errors
    /// [`DecodeError`]: the connection is to be closed.
    pub fn text<'a>(
        &mut self,
        text: &'a str,
        limits: &Limits,
    ) -> Result<Option<Packet<'a>>, DecodeError> {
        if self.pending.is_some() {
            return Err(DecodeError::TextInsteadOfAttachment);
        }
        let packet = Packet::decode(text, limits)?;
        let expected = packet.attachments();
        if expected == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Box::new(Pending {
            packet: BinaryPacket {
                text: text.into(),
                attachments: Vec::with_capacity(expected),
            },
            expected,
            bytes: 0,
        }));
        Ok(None)
    }

    /// Takes a binary message; gives the packet that it completes, if it does.
    ///
    /// # Errors
    /// [`DecodeError::UnexpectedBinary`] or [`DecodeError::AttachmentsTooBig`]: the connection is to be closed.
    pub fn binary(
        &mut self,
        data: Bytes,
        limits: &Limits,
    ) -> Result<Option<BinaryPacket>, DecodeError> {
        let pending = self.pending.as_mut().ok_or(DecodeError::UnexpectedBinary)?;
        pending.bytes = pending.bytes.saturating_add(data.len());
        if pending.bytes > limits.attachments_bytes_max {
            return Err(DecodeError::AttachmentsTooBig {
                bytes_max: limits.attachments_bytes_max,
            });
        }
        pending.packet.attachments.push(data);
        if pending.packet.attachments.len() < pending.expected {
            return Ok(None);
        }
        Ok(self.pending.take().map(|pending| pending.packet))
    }
}

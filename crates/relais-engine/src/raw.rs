//! A connection that speaks no Socket.IO: Engine.IO messages, or plain WebSocket messages.

use crate::close::CloseCode;

/// A message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawMessage<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

/// What a raw connection can do, behind [`Raw`]: the transports implement it.
pub(crate) trait RawSink {
    fn endpoint(&self) -> u16;
    fn send(&self, message: RawMessage<'_>);
    fn close(&self, code: CloseCode, reason: &str);
}

/// The way back to the sender of a [`RawMessage`].
pub struct Raw<'a>(pub(crate) &'a dyn RawSink);

impl Raw<'_> {
    /// The number that [`crate::EngineHandle::handle`] was given.
    pub fn endpoint(&self) -> u16 {
        self.0.endpoint()
    }

    /// Sends a message of the same kind as the connection's.
    pub fn send(&self, message: RawMessage<'_>) {
        self.0.send(message);
    }

    /// Closes the connection.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.close(code, reason);
    }
}

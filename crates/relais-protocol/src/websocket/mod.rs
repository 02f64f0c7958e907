//! The server's side of RFC 6455: frames from clients in, frames for clients out.
//!
//! [`Reader`] takes what a socket gave, from whatever buffer it was read into, and hands out [`Message`]s that
//! borrow from that buffer. [`header`] has the single frame header, [`write`](mod@write) the frames that go
//! out, [`close`] the table of close codes. The opening handshake is HTTP's, except for [`accept_key`].
//!
//! No extension is negotiated, so every reserved bit is an error.

pub mod close;
mod error;
pub mod header;
mod key;
mod mask;
mod reader;
mod text;
pub mod write;

pub use close::{CloseCode, CloseReason};
pub use error::WebSocketError;
pub use header::{FrameHeader, Opcode};
pub use key::{InvalidKey, accept_key};
pub use mask::unmask;
pub use reader::{Message, Reader};

/// What one connection may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest message, over all of its fragments, in bytes. Default 1 MiB.
    pub message_bytes_max: usize,
    /// Most frames that one message may be cut into. Default 1,024.
    pub fragments_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 1 << 20,
            fragments_max: 1_024,
        }
    }
}

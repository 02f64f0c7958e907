//! Why a connection has to be closed, for a client that broke RFC 6455 or a limit.
//!
//! Each variant leads to one close code, by [`WebSocketError::close_code`].

use super::CloseCode;

/// A violation by the client. The connection cannot go on: send a close frame with
/// [`close_code`](Self::close_code), then close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebSocketError {
    /// A reserved bit is set though no extension was negotiated.
    #[error("reserved bits set in a frame header")]
    ReservedBits,
    /// An opcode that RFC 6455 does not define.
    #[error("unknown opcode {opcode:#x}")]
    UnknownOpcode {
        /// The four bits.
        opcode: u8,
    },
    /// A frame from a client without a mask.
    #[error("unmasked frame")]
    Unmasked,
    /// A control frame without FIN.
    #[error("fragmented control frame")]
    FragmentedControl,
    /// A control frame of more than 125 bytes.
    #[error("control frame of more than 125 bytes")]
    LongControl,
    /// A length that was not written in the fewest bytes, or has its top bit set.
    #[error("frame length in a form that is not allowed")]
    BadLength,
    /// A continuation frame while no message is open.
    #[error("continuation frame without a message")]
    UnexpectedContinuation,
    /// A text or binary frame inside a fragmented message.
    #[error("new message inside a fragmented one")]
    InterleavedMessage,
    /// A close frame with one byte of payload.
    #[error("close frame with half a code")]
    HalfCloseCode,
    /// A close frame with a code that must not be sent.
    #[error("close code {code} must not be sent")]
    BadCloseCode {
        /// What the client sent.
        code: u16,
    },
    /// Text, or a close reason, that is not UTF-8.
    #[error("text that is not UTF-8")]
    InvalidUtf8,
    /// A message, declared or accumulated, over [`Limits::message_bytes_max`](super::Limits).
    #[error("message over {bytes_max} bytes")]
    MessageTooBig {
        /// The limit.
        bytes_max: usize,
    },
    /// A message in more frames than [`Limits::fragments_max`](super::Limits).
    #[error("message in more than {fragments_max} frames")]
    TooManyFragments {
        /// The limit.
        fragments_max: u32,
    },
}

impl WebSocketError {
    /// The code for the close frame: 1002, 1007 or 1009.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::UnknownOpcode { .. }
            | Self::Unmasked
            | Self::FragmentedControl
            | Self::LongControl
            | Self::BadLength
            | Self::UnexpectedContinuation
            | Self::InterleavedMessage
            | Self::HalfCloseCode
            | Self::BadCloseCode { .. } => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::MessageTooBig { .. } | Self::TooManyFragments { .. } => CloseCode::TOO_BIG,
        }
    }
}

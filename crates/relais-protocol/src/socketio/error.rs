//! Why a Socket.IO packet is refused. The specification closes the connection in every case.

use crate::json::JsonError;
use crate::name::NameError;
use crate::websocket::CloseCode;

/// A packet that a client must not send. Close the transport with [`close_code`](Self::close_code); on polling,
/// answer 400 and close the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes, or a first byte that is no packet type.
    #[error("unknown packet type")]
    UnknownType,
    /// CONNECT_ERROR, which only servers send.
    #[error("a client must not send CONNECT_ERROR")]
    ConnectErrorFromClient,
    /// The number of attachments is missing, zero, or not a number.
    #[error("illegal number of attachments")]
    BadAttachments,
    /// More attachments than [`Limits::attachments_max`](super::Limits).
    #[error("more than {attachments_max} attachments")]
    TooManyAttachments {
        /// The limit.
        attachments_max: usize,
    },
    /// Attachments of more bytes than [`Limits::attachments_bytes_max`](super::Limits).
    #[error("attachments over {bytes_max} bytes")]
    AttachmentsTooBig {
        /// The limit.
        bytes_max: usize,
    },
    /// The namespace breaks the rule for names.
    #[error("bad namespace: {0}")]
    BadNamespace(NameError),
    /// An acknowledgement id that is missing, misplaced, or over 2^53 - 1.
    #[error("bad acknowledgement id")]
    BadAckId,
    /// The payload is not JSON, or nested too deep.
    #[error("bad payload: {0}")]
    BadJson(#[from] JsonError),
    /// The payload has another shape than its packet type demands.
    #[error("payload of a wrong shape")]
    BadShape,
    /// The event's name breaks the rule for names.
    #[error("bad event name: {0}")]
    BadEventName(NameError),
    /// The event's name is one of [`RESERVED_EVENTS`](super::RESERVED_EVENTS), or has characters that no string can hold.
    #[error("reserved or impossible event name")]
    ReservedEventName,
    /// A placeholder without an attachment, an attachment without a placeholder, or one used twice.
    #[error("placeholders do not match the attachments")]
    BadPlaceholder,
    /// A text while attachments are outstanding.
    #[error("text while attachments are outstanding")]
    TextInsteadOfAttachment,
    /// A binary message that no packet announced.
    #[error("binary message that no packet announced")]
    UnexpectedBinary,
}

impl DecodeError {
    /// The close code: 1009 for sizes and counts, 1008 for names that policy forbids, else 1002.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::TooManyAttachments { .. } | Self::AttachmentsTooBig { .. } => CloseCode::TOO_BIG,
            Self::BadNamespace(_) | Self::BadEventName(_) | Self::ReservedEventName => {
                CloseCode::POLICY
            }
            Self::UnknownType
            | Self::ConnectErrorFromClient
            | Self::BadAttachments
            | Self::BadAckId
            | Self::BadJson(_)
            | Self::BadShape
            | Self::BadPlaceholder
            | Self::TextInsteadOfAttachment
            | Self::UnexpectedBinary => CloseCode::PROTOCOL_ERROR,
        }
    }
}

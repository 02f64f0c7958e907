//! Close codes: the table of those that Relais sends, and the reading of those that clients send.
//!
//! | code | sent when | a client should |
//! |---|---|---|
//! | 1000 | the session ended as both sides wished | stay away |
//! | 1002 | the client broke a protocol | not repeat itself |
//! | 1007 | text that is not UTF-8 | not repeat itself |
//! | 1008 | refused by policy: token, rate, origin | stay away until it has something better |
//! | 1009 | a message over the limit | send less |
//! | 1011 | a fault of the server | reconnect |
//! | 1012 | the server restarts or drains | reconnect, spread over time |
//! | 1013 | overload | reconnect later |
//! | 4008 | the client reads too slowly | reconnect and resume |

use super::WebSocketError;

/// A close code, as sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: done.
    pub const NORMAL: Self = Self(1000);
    /// 1002: protocol violated.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1007: payload inconsistent with its type.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: refused by policy.
    pub const POLICY: Self = Self(1008);
    /// 1009: message too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: server fault.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: service restart; used when draining.
    pub const RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 4008: slow consumer; the session can be resumed.
    pub const SLOW_CONSUMER: Self = Self(4008);

    /// A code that may stand in a close frame.
    ///
    /// # Errors
    /// [`WebSocketError::BadCloseCode`] for codes that are reserved or undefined: under 1000, 1004 to 1006,
    /// 1015 to 2999, from 5000.
    pub fn new(code: u16) -> Result<Self, WebSocketError> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Self(code)),
            _ => Err(WebSocketError::BadCloseCode { code }),
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// What a close frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseReason<'a> {
    /// The code.
    pub code: CloseCode,
    /// At most 123 bytes of text, often empty.
    pub text: &'a str,
}

impl<'a> CloseReason<'a> {
    /// Reads a close frame's payload; `None` when it is empty, which is allowed.
    ///
    /// # Errors
    /// 1002 for one byte or a bad code, 1007 for a reason that is not UTF-8.
    pub fn decode(payload: &'a [u8]) -> Result<Option<Self>, WebSocketError> {
        match payload {
            [] => Ok(None),
            [_] => Err(WebSocketError::HalfCloseCode),
            [high, low, text @ ..] => {
                let code = CloseCode::new(u16::from_be_bytes([*high, *low]))?;
                let text = std::str::from_utf8(text).map_err(|_| WebSocketError::InvalidUtf8)?;
                Ok(Some(Self { code, text }))
            }
        }
    }
}

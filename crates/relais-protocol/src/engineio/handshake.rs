//! What an HTTP request to the Engine.IO path is, and the errors that refuse it.
//!
//! In: the query, whether the method is GET, whether it asks for an upgrade to WebSocket. Out: a
//! [`Handshake`], or the [`HandshakeError`] that the reference server answers in the same case, checked in the
//! same order. Whether a sid exists, and on which transport it is, only the engine knows; it uses the same errors.

use std::borrow::Cow;

use super::Query;

/// How packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long-polling.
    Polling,
    /// WebSocket.
    WebSocket,
}

impl Transport {
    /// The name in the query and in `upgrades`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// What a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake<'a> {
    /// A new session on this transport.
    Open(Transport),
    /// To go on with a session: a poll, a POST, or (by WebSocket) an upgrade.
    Resume {
        /// The transport of this request.
        transport: Transport,
        /// The session.
        sid: Cow<'a, str>,
    },
}

/// The six refusals of an Engine.IO server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HandshakeError {
    /// 0: `transport` is missing or unknown.
    #[error("Transport unknown")]
    TransportUnknown,
    /// 1: no such session.
    #[error("Session ID unknown")]
    SessionUnknown,
    /// 2: a handshake that is not a GET.
    #[error("Bad handshake method")]
    BadMethod,
    /// 3: anything else that does not fit, such as another transport than the session's.
    #[error("Bad request")]
    BadRequest,
    /// 4: refused by the server's policy.
    #[error("Forbidden")]
    Forbidden,
    /// 5: `EIO` is not 4.
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
}

impl HandshakeError {
    /// The `code` of the body.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::TransportUnknown => 0,
            Self::SessionUnknown => 1,
            Self::BadMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    /// The `message` of the body, in the reference server's words.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::TransportUnknown => "Transport unknown",
            Self::SessionUnknown => "Session ID unknown",
            Self::BadMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }

    /// HTTP status: 403 for [`Forbidden`](Self::Forbidden), else 400.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            Self::TransportUnknown
            | Self::SessionUnknown
            | Self::BadMethod
            | Self::BadRequest
            | Self::UnsupportedVersion => 400,
        }
    }

    /// The body, of type `application/json`: `{"code":1,"message":"Session ID unknown"}`.
    #[must_use]
    pub fn body(self) -> String {
        format!(
            r#"{{"code":{},"message":"{}"}}"#,
            self.code(),
            self.message()
        )
    }
}

/// Says what a request wants.
///
/// A request that asks for an upgrade to WebSocket counts as WebSocket even when its query says `polling`: native
/// Dart clients do that.
///
/// # Errors
/// [`HandshakeError`], in the reference server's order: transport, then (without a sid) method, upgrade, version. Of a request with a
/// sid, another version than the session's is a bad request.
pub fn handshake<'a>(
    query: &Query<'a>,
    is_get: bool,
    is_upgrade: bool,
) -> Result<Handshake<'a>, HandshakeError> {
    let named = match query.transport.as_deref() {
        Some("polling") => Transport::Polling,
        Some("websocket") => Transport::WebSocket,
        _ => return Err(HandshakeError::TransportUnknown),
    };
    let transport = if is_upgrade {
        Transport::WebSocket
    } else {
        named
    };
    if let Some(sid) = &query.sid {
        let is_other_version = query.eio.as_deref() != Some("4");
        if is_other_version || (transport == Transport::WebSocket && !is_upgrade) {
            return Err(HandshakeError::BadRequest);
        }
        return Ok(Handshake::Resume {
            transport,
            sid: sid.clone(),
        });
    }
    if !is_get {
        return Err(HandshakeError::BadMethod);
    }
    if transport == Transport::WebSocket && !is_upgrade {
        return Err(HandshakeError::BadRequest);
    }
    if query.eio.as_deref() != Some("4") {
        return Err(HandshakeError::UnsupportedVersion);
    }
    Ok(Handshake::Open(transport))
}

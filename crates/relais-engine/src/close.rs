//! Why connections and sessions end: WebSocket close codes, and the reason told to the service.
//!
//! Code ranges say what a client should do: 1000 do not come back, 1002 to 1009 a fault of the client,
//! 1011 to 1013 and 4008 come back (the session is resumable).

/// A WebSocket close code. A polling connection shows none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// Done.
    pub const NORMAL: Self = Self(1000);
    /// The peer violated RFC 6455, Engine.IO or Socket.IO.
    pub const PROTOCOL: Self = Self(1002);
    /// Text that is not UTF-8.
    pub const INVALID_TEXT: Self = Self(1007);
    /// Refused: a token, a flood, a policy.
    pub const POLICY: Self = Self(1008);
    /// A message over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// A fault of the server.
    pub const INTERNAL: Self = Self(1011);
    /// The server restarts or drains; come back.
    pub const RESTART: Self = Self(1012);
    /// Overloaded; come back later.
    pub const TRY_LATER: Self = Self(1013);
    /// The reader was too slow; the session is resumable.
    pub const SLOW_CONSUMER: Self = Self(4008);
}

/// Why a session ended, as told to [`crate::Service::disconnected`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client left: DISCONNECT, an Engine.IO close, or WebSocket close 1000.
    ClientLeft,
    /// The transport broke or was closed with another code; the client may come back.
    TransportLost,
    /// No pong within interval and timeout.
    Heartbeat,
    /// The outbox was full.
    SlowConsumer,
    /// The engine drains.
    Drain,
    /// The peer broke a rule of a protocol or a limit.
    Protocol,
    /// The service or [`crate::EngineHandle::close_sessions`] ended it.
    Closed,
    /// A newer connection took the session over. Nothing of the session is gone: the newer one carries it on.
    Fenced,
}

impl Reason {
    /// Whether the client said that it goes: then nobody needs to wait for its return.
    pub fn is_clean(self) -> bool {
        matches!(self, Self::ClientLeft)
    }
}

//! Why connections and sessions end: the WebSocket close code that a client sees, and the reason told to the service.

/// A WebSocket close code. A polling connection shows none of it.
pub use relais_protocol::websocket::CloseCode;

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

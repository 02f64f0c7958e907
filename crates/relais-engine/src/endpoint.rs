//! What a request reached: which number the application gave it, and what is spoken there.

/// An address under which the engine is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A number of the application's choice; comes back in [`crate::Connect::endpoint`] and [`crate::Raw::endpoint`].
    pub id: u16,
    /// What is spoken there.
    pub wire: Wire,
    /// Largest message; `None`: [`crate::Settings::max_payload_bytes`].
    pub max_payload_bytes: Option<usize>,
    /// Whether silent peers are found by pings. Default true.
    pub heartbeat: bool,
}

/// The protocol of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Socket.IO v5 over Engine.IO v4.
    SocketIo,
    /// Engine.IO v4 alone; messages go to [`crate::Service::message`].
    EngineIo,
    /// Plain WebSocket; messages go to [`crate::Service::message`].
    WebSocket,
    /// Plain JSON over WebSocket: a session for each connection, events as frames `{type, data, id}`, with the same service, rooms, hub,
    /// log and limits as a Socket.IO session. See [`relais_protocol::plain`].
    Plain,
}

impl Wire {
    /// Whether Engine.IO packets are on it, and with them polling; else bare WebSocket messages.
    pub(crate) fn is_engineio(self) -> bool {
        match self {
            Self::SocketIo | Self::EngineIo => true,
            Self::WebSocket | Self::Plain => false,
        }
    }
}

impl Endpoint {
    /// An endpoint with the engine's own payload limit.
    pub fn new(id: u16, wire: Wire) -> Self {
        Self {
            id,
            wire,
            max_payload_bytes: None,
            heartbeat: true,
        }
    }
}

impl From<u16> for Endpoint {
    fn from(id: u16) -> Self {
        Self::new(id, Wire::SocketIo)
    }
}

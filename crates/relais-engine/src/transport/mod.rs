//! How bytes travel: long-polling, WebSocket, and the change from one to the other.

pub(crate) mod polling;
pub(crate) mod upgrade;
pub(crate) mod websocket;

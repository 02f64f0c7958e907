//! The engine as every thread sees it: publish, move sessions between rooms, count, drain, and answer HTTP.
//!
//! Only sends messages to shards; owns none of what they own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use crate::close::CloseCode;
use crate::delivery::Delivery;
use crate::endpoint::Endpoint;
use crate::log::Log;
use crate::room::{Room, Scope, Sid};
use crate::service::Service;
use crate::settings::Settings;
use crate::stats::Stats;

/// The body of every response of the engine.
pub type ResponseBody = Full<Bytes>;

/// The engine, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
}

/// The engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is out of its range.
    #[error("invalid setting: {name}")]
    Setting {
        /// Which.
        name: &'static str,
    },
    /// A shard's thread or runtime could not be made.
    #[error("unable to start a shard")]
    Shard(#[source] std::io::Error),
}

impl EngineHandle {
    /// Starts the shards.
    ///
    /// # Errors
    /// A setting out of range, or no threads left.
    pub fn start<S: Service>(
        settings: Settings,
        service: Arc<S>,
        log: Arc<dyn Log>,
    ) -> Result<Self, StartError> {
        let _ = (service, log);
        Ok(Self {
            shared: Arc::new(Shared { settings }),
        })
    }

    /// The settings that it runs with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Gives a delivery to every shard. Never blocks and never fails: a shard whose inbox is full reads a durable
    /// delivery from the log within 2 s; one without position is lost there, and counted.
    ///
    /// Durable deliveries of a scope should come in the order of their positions; any other order costs reads of the log.
    pub fn publish(&self, delivery: Arc<Delivery>) {
        let _ = delivery;
    }

    /// Puts a session into a room. When it returns true, every record above the position that its shard has applied reaches it.
    /// False: no such session here, or too many rooms.
    pub async fn enter(&self, scope: Scope, sid: &Sid, room: &Room) -> bool {
        let _ = (scope, sid, room);
        false
    }

    /// Takes a session out of a room once it was given every record up to `until`; `None`: now.
    pub async fn leave(&self, scope: Scope, sid: &Sid, room: &Room, until: Option<u64>) {
        let _ = (scope, sid, room, until);
    }

    /// Takes every session in `who` out of `room`, once each was given every record up to `until`. Returns the sessions concerned.
    pub async fn evict(
        &self,
        scope: Scope,
        who: &Room,
        room: &Room,
        until: Option<u64>,
    ) -> Vec<Sid> {
        let _ = (scope, who, room, until);
        Vec::new()
    }

    /// Closes the transports of all sessions in a room, with what waits for them written first. Returns how many.
    pub async fn close_sessions(
        &self,
        scope: Scope,
        room: &Room,
        code: CloseCode,
        reason: &str,
    ) -> usize {
        let _ = (scope, room, code, reason);
        0
    }

    /// How many sessions are in any of the rooms (each once); of the whole scope when `rooms` is empty.
    pub async fn count(&self, scope: Scope, rooms: &[Room]) -> usize {
        let _ = (scope, rooms);
        0
    }

    /// Ids of the sessions in a room.
    pub async fn members(&self, scope: Scope, room: &Room) -> Vec<Sid> {
        let _ = (scope, room);
        Vec::new()
    }

    /// Counters, all shards together.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Refuses new connections with 503 and closes the transports of all others with 1012, spread over `window`;
    /// returns when none is left, or 2 s after the window. Sessions stay resumable.
    pub async fn drain(&self, window: Duration) {
        let _ = window;
    }

    /// Ends the shards' threads, and with them every connection. For after [`Self::drain`].
    pub async fn stop(&self) {}

    /// Answers one HTTP request to an endpoint: handshake, polling, WebSocket and upgrade. `peer` is the client's address.
    ///
    /// Sets no CORS headers and checks no origin: that is the server's around it. Bodies are read up to the payload limit.
    pub async fn handle<B>(
        &self,
        request: Request<B>,
        endpoint: impl Into<Endpoint>,
        peer: SocketAddr,
    ) -> Response<ResponseBody>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let _ = (request, endpoint.into(), peer);
        Response::new(Full::default())
    }
}

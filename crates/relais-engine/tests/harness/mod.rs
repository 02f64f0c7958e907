//! An engine on loopback with a log in memory, a service that does what its clients say, and a bare WebSocket client.
//!
//! Everything is waited for by what can be observed; nothing sleeps for a guess.

// Each test file uses another part of it.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

pub mod client;
pub mod log;
pub mod service;

use std::net::SocketAddr;
use std::sync::Arc;

use relais_engine::{
    AcceptLimits, Endpoint, EngineHandle, Interval, Listener, OutEvent, Room, Scope, Settings,
    Wire, serve_endpoints,
};

pub use client::{Client, Incoming};
pub use log::MemoryLog;
pub use service::TestService;

/// The scope that tests use unless they say otherwise.
pub const SCOPE: Scope = Scope(7);

/// An engine that listens.
pub struct Server {
    pub address: SocketAddr,
    pub engine: EngineHandle,
    pub log: Arc<MemoryLog>,
    pub service: Arc<TestService>,
}

impl Server {
    pub async fn start(settings: Settings) -> Self {
        let log = Arc::new(MemoryLog::default());
        let service = Arc::new(TestService::new(Arc::clone(&log)));
        let engine =
            EngineHandle::start(settings, Arc::clone(&service), Arc::clone(&log) as _).unwrap();
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr();
        let (limits, never) = (AcceptLimits::default(), std::future::pending());
        tokio::spawn(serve_endpoints(
            engine.clone(),
            listener,
            limits,
            never,
            endpoint,
        ));
        Self {
            address,
            engine,
            log,
            service,
        }
    }

    /// Appends a record for a room to the log and publishes it.
    pub fn append_and_publish(&self, room: &str, text: &str) -> u64 {
        let delivery = self.log.append(event(room, text));
        let position = delivery.position().unwrap().position;
        self.engine.publish(delivery);
        position
    }
}

fn endpoint(path: &str) -> Option<Endpoint> {
    let wire = match path {
        "/raw" => Wire::WebSocket,
        path if path.starts_with("/plain") => Wire::Plain,
        _ => Wire::SocketIo,
    };
    Some(Endpoint::new(0, wire))
}

/// What the clock on the wall shows, whenever it is looked at: 2026-01-02T03:04:05.678Z.
pub const NOW_MS: i64 = 1_767_323_045_678;

/// Settings for tests: a few shards, quick checks of the head.
pub fn settings(shards: usize) -> Settings {
    Settings {
        shards,
        head_check_interval: std::time::Duration::from_millis(20),
        wall_clock: || NOW_MS,
        ..Settings::default()
    }
}

pub fn event(room: &str, text: &str) -> Vec<OutEvent> {
    vec![OutEvent::to_room(
        Room::from(room),
        "msg",
        format!("\"{text}\""),
    )]
}

pub fn stay(room: &str, since: u64, until: Option<u64>) -> Interval {
    Interval {
        room: Room::from(room),
        since,
        until,
    }
}

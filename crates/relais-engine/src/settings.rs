//! Every limit and interval of the engine, with its default. Units stand last in the names.

use std::time::Duration;

use crate::handle::StartError;

/// Limits and intervals of an engine. [`Settings::default`] has the documented values.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of shards, each with a thread of its own. Default: the machine's cores. At least 1, at most 256.
    pub shards: usize,
    /// Number of this node in a cluster; it is part of each Engine.IO sid. Default 0.
    pub node: u16,
    /// Heartbeat: from one ping to the next. Default 25 s; rounded to the wheel's slots.
    pub ping_interval: Duration,
    /// Heartbeat: how long a pong may take. Default 20 s.
    pub ping_timeout: Duration,
    /// How long a connection may stay without a connected namespace, at first and again each time that it has left the last one. Default 45 s.
    pub connect_timeout: Duration,
    /// How long an upgrade may take from probe to end. Default 10 s.
    pub upgrade_timeout: Duration,
    /// How long the service may take to decide a CONNECT. Default 15 s; then the transport is closed.
    pub accept_timeout: Duration,
    /// How long the body of a POST may take. Default 30 s; then 400.
    pub body_timeout: Duration,
    /// How long a closing WebSocket waits for its peer's close frame. Default 2 s.
    pub close_timeout: Duration,
    /// Largest message and largest polling payload. Default 1 MiB; `maxPayload` of the handshake.
    pub max_payload_bytes: usize,
    /// Most fragments of one message. Default 1,024.
    pub fragments_max: usize,
    /// Most attachments of one packet. Default 10.
    pub attachments_max: usize,
    /// Most bytes waiting for one connection; one frame always fits an empty outbox. Default 1 MiB.
    pub outbox_bytes_max: usize,
    /// Most frames waiting for one connection. Default 1,024.
    pub outbox_frames_max: usize,
    /// A replay reads the next page when fewer bytes than this wait. Default 64 KiB.
    pub replay_low_water_bytes: usize,
    /// Records of one page of the log. Default 128.
    pub replay_page_records: u32,
    /// Most namespaces of one connection. Default 8.
    pub namespaces_max: usize,
    /// Most rooms of one session. Default 128.
    pub rooms_max: usize,
    /// Deepest nesting of the JSON of a packet. Default 64, at most 127.
    pub json_depth_max: u8,
    /// Longest name of an event, namespace or room that a client may send. Default 255.
    pub name_bytes_max: usize,
    /// Most pipelined events of one session in flight. Default 64.
    pub pipeline_max: usize,
    /// Most events of one session held behind a barrier before reading stops. Default 64.
    pub held_max: usize,
    /// How long such a session may keep its connection from being read, heartbeats included. Default 1 s; then [`crate::Service::overloaded`]
    /// answers what cannot be held, until nothing is held any more.
    pub gate_closed_max: Duration,
    /// Most server-to-client acks awaited from one session. Default 256.
    pub acks_max: usize,
    /// Token bucket for control frames and packets (ping, pong, noop) of one connection: this many a second, twice that at once. Default 20.
    pub control_per_second: u32,
    /// Deliveries and requests that may wait for one shard; a delivery beyond is read from the log. Default 4,096.
    pub inbox_max: usize,
    /// Most connections of all shards together; more are refused with 503. Default 100,000.
    pub connections_max: usize,
    /// Shared read buffer of a shard. Default 64 KiB.
    pub read_buffer_bytes: usize,
    /// How often a shard compares what it applied with the head of the log. Default 0.8 s: what two checks see missing is found within 2 s.
    pub head_check_interval: Duration,
    /// Name of the query parameter in which requests may carry a credential. What a request carries there and in `Authorization` has to be
    /// what opened its connection. Default none.
    pub credential_parameter: Option<&'static str>,
    /// Called by the thread of a shard each time before it rests; has to be quick. Default nothing.
    pub on_rest: Option<fn()>,
    /// Whether `WebSocket` upgrades of polling sessions are offered. Default true.
    pub allow_upgrades: bool,
    /// Milliseconds of Unix time, for the `timestamp` of plain JSON frames and nothing else. Default the system's clock.
    pub wall_clock: fn() -> i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            node: 0,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(45),
            upgrade_timeout: Duration::from_secs(10),
            accept_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(2),
            max_payload_bytes: 1024 * 1024,
            fragments_max: 1024,
            attachments_max: 10,
            outbox_bytes_max: 1024 * 1024,
            outbox_frames_max: 1024,
            replay_low_water_bytes: 64 * 1024,
            replay_page_records: 128,
            namespaces_max: 8,
            rooms_max: 128,
            json_depth_max: 64,
            name_bytes_max: 255,
            pipeline_max: 64,
            held_max: 64,
            gate_closed_max: Duration::from_secs(1),
            acks_max: 256,
            control_per_second: 20,
            inbox_max: 4096,
            connections_max: 100_000,
            read_buffer_bytes: 64 * 1024,
            head_check_interval: Duration::from_millis(800),
            credential_parameter: None,
            on_rest: None,
            allow_upgrades: true,
            wall_clock: system_clock,
        }
    }
}

fn system_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

impl Settings {
    /// What would make an engine that cannot work.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let wrong = |name| Err(StartError::Setting { name });
        if !(1..=256).contains(&self.shards) {
            return wrong("shards");
        }
        if self.ping_interval.is_zero() {
            return wrong("ping_interval");
        }
        if self.ping_timeout.is_zero() {
            return wrong("ping_timeout");
        }
        if self.inbox_max == 0 {
            return wrong("inbox_max");
        }
        if self.pipeline_max == 0 || self.held_max == 0 {
            return wrong("pipeline_max");
        }
        if self.replay_page_records == 0 {
            return wrong("replay_page_records");
        }
        if self.max_payload_bytes > u32::MAX as usize / 32 {
            return wrong("max_payload_bytes");
        }
        Ok(())
    }
}

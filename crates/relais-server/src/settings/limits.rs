//! The limits that hold hostile input down, each a setting with the default that nobody needs to change.
//!
//! Comes in: the gathered values. Goes out: [`Limits`], in range. Limits of load (outbox, events, connections from one address) that
//! operators do change stand in [`Settings`](super::Settings) itself.

use std::time::Duration;

use super::{RawSettings, SettingsError};

/// Limits of what a single peer may make us read, hold or wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until the headers of a request are there.
    pub header_timeout: Duration,
    /// Headers of a request.
    pub headers_max: usize,
    /// Bytes of a request's head.
    pub header_bytes_max: usize,
    /// Until the body of a request is there.
    pub body_timeout: Duration,
    /// Bytes of a body that is sent to a route of an app.
    pub body_bytes_max: usize,
    /// Connections that speak HTTP at once.
    pub http_connections_max: usize,
    /// Connections of clients at once.
    pub connections_max: usize,
    /// Until a client has connected to a namespace.
    pub connect_timeout: Duration,
    /// Until an upgrade is finished.
    pub upgrade_timeout: Duration,
    /// Fragments of one message.
    pub fragments_max: usize,
    /// Attachments of one packet.
    pub attachments_max: usize,
    /// Nesting of JSON.
    pub json_depth_max: u8,
    /// Pings and packets without content, a second.
    pub control_packets_per_second_max: u32,
    /// Namespaces of one connection.
    pub namespaces_max: usize,
    /// Rooms that a session may join.
    pub session_rooms_max: usize,
    /// Notifications that an inbox keeps.
    pub inbox_max: u32,
    /// Bytes of the name of an event or namespace.
    pub name_bytes_max: usize,
    /// Bytes that the store keeps in memory to read from.
    pub store_cache_bytes_max: usize,
    /// How long what is to be stored may have to wait for the disk.
    pub store_wait_max: Duration,
    /// Wrong API keys of one address that cost nothing.
    pub key_guesses_max: u32,
    /// Longest delay of an address that guesses on.
    pub key_delay_ms_max: u64,
}

impl Limits {
    /// What `connections_max` is where nobody has set it.
    pub const CONNECTIONS_MAX: usize = 100_000;

    pub(super) fn read(raw: &RawSettings) -> Result<Self, SettingsError> {
        let size = |key, range| raw.number(key, range).map(|number| number as usize);
        let time = |key, range| raw.number(key, range).map(Duration::from_millis);
        Ok(Self {
            header_timeout: time("header_timeout_ms", 100..=300_000)?,
            headers_max: size("headers_max", 16..=1_000)?,
            header_bytes_max: size("header_bytes_max", 8_192..=65_536)?,
            body_timeout: time("body_timeout_ms", 100..=300_000)?,
            body_bytes_max: size("body_bytes_max", 1_024..=104_857_600)?,
            http_connections_max: size("http_connections_max", 16..=10_000_000)?,
            connections_max: size("connections_max", 1..=10_000_000)?,
            connect_timeout: time("connect_timeout_ms", 100..=300_000)?,
            upgrade_timeout: time("upgrade_timeout_ms", 100..=300_000)?,
            fragments_max: size("fragments_max", 1..=1_000_000)?,
            attachments_max: size("attachments_max", 0..=128)?,
            json_depth_max: size("json_depth_max", 8..=120)? as u8,
            control_packets_per_second_max: size("control_packets_per_second_max", 1..=1_000_000)?
                as u32,
            namespaces_max: size("namespaces_max", 1..=128)?,
            session_rooms_max: size("session_rooms_max", 1..=10_000)?,
            inbox_max: size("inbox_max", 1..=100_000)? as u32,
            name_bytes_max: size("name_bytes_max", 32..=255)?,
            store_cache_bytes_max: size("store_cache_bytes_max", 5_242_880..=1_099_511_627_776)?,
            store_wait_max: time("store_wait_ms_max", 1..=60_000)?,
            key_guesses_max: size("key_guesses_max", 0..=1_000_000)? as u32,
            key_delay_ms_max: raw.number("key_delay_ms_max", 1_000..=3_600_000)?,
        })
    }
}

#[cfg(test)]
impl Limits {
    /// As they are when nothing is set.
    pub fn defaults() -> Self {
        let nothing = std::collections::BTreeMap::new();
        let raw = RawSettings::gather(&nothing, &|_| None, Some(std::path::Path::new("/dev/null")));
        let limits = raw.and_then(|raw| Self::read(&raw));
        limits.expect("the defaults are in range")
    }
}

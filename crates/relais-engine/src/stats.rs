//! Counters of an engine, for metrics. Each shard writes its own; a reader adds them up.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What an engine did and holds, all shards together.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats { $($(#[$doc])* pub $name: u64,)* }

        /// One shard's counters. Only that shard writes, so a plain load and store is enough.
        #[derive(Debug, Default)]
        pub(crate) struct ShardStats { $(pub(crate) $name: Counter,)* }

        impl Stats {
            pub(crate) fn add(&mut self, shard: &ShardStats) {
                $(self.$name = self.$name.wrapping_add(shard.$name.get());)*
            }
        }
    };
}

counters! {
    /// Open connections, of any transport.
    connections,
    /// Of these, those on WebSocket.
    websockets,
    /// Sessions in a namespace.
    sessions,
    /// Connections since start.
    connections_total,
    /// Sessions resumed since start.
    resumed_total,
    /// Events received from clients.
    events_in_total,
    /// Of these, those refused because too many of their session waited already.
    overloaded_total,
    /// Events delivered to sessions by the hub and by replay.
    events_out_total,
    /// Bytes written to WebSockets and polls.
    bytes_out_total,
    /// Volatile events dropped: a full outbox or a full inbox.
    volatile_dropped_total,
    /// Deliveries that found a shard's inbox full. Durable ones are read from the log later; others are lost.
    inbox_full_total,
    /// Connections closed because their reader was too slow.
    slow_consumers_total,
    /// Connections closed for breaking a protocol or a limit.
    protocol_errors_total,
    /// Connections that missed a heartbeat.
    heartbeats_missed_total,
    /// Times that a shard had to read the log for records that it missed.
    catch_ups_total,
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.store(self.get().wrapping_sub(n), Ordering::Relaxed);
    }

    /// For the few counts that other threads keep.
    pub(crate) fn add_shared(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}

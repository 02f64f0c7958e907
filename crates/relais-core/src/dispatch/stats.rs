//! Figures that the dispatcher keeps: what HTTP statistics are mapped from.

use serde_json::json;

use super::Dispatcher;
use super::tenant::{Tenant, held, read};
use crate::capability::facts;
use crate::event::Facts;
use crate::ids::Monotonic;

const SECONDS: u64 = 60;

/// Events of the last minute, by seconds.
#[derive(Debug)]
pub(super) struct PerMinute {
    seconds: [u32; SECONDS as usize],
    newest: u64,
}

impl Default for PerMinute {
    fn default() -> Self {
        Self {
            seconds: [0; SECONDS as usize],
            newest: 0,
        }
    }
}

impl PerMinute {
    pub(super) fn count(&mut self, now: Monotonic) {
        self.advance(now);
        self.seconds[(self.newest % SECONDS) as usize] += 1;
    }

    pub(super) fn total(&mut self, now: Monotonic) -> u64 {
        self.advance(now);
        self.seconds.iter().map(|count| u64::from(*count)).sum()
    }

    fn advance(&mut self, now: Monotonic) {
        let second = now.0 / 1_000;
        for passed in (self.newest + 1..=second).take(SECONDS as usize) {
            self.seconds[(passed % SECONDS) as usize] = 0;
        }
        // Seconds that were skipped because more than a minute passed were all cleared above: a minute has no more.
        self.newest = self.newest.max(second);
    }
}

/// Figures about one tenant, or the sum over all tenants in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sessions with a transport now.
    pub active_connections: u64,
    /// Sessions that connected or came back since the tenant was taken into use.
    pub total_connections: u64,
    /// Users with a device, in grace or not.
    pub connected_users: u64,
    /// Rooms with somebody in them.
    pub rooms: u64,
    /// Messages stored in the last 60 s.
    pub messages_per_minute: u64,
    /// Since the process started.
    pub uptime_seconds: u64,
    /// Tenants with a user online.
    pub active_tenants: u64,
}

impl Stats {
    /// `{activeConnections, totalConnections, connectedUsers, rooms, messagesPerMinute, uptimeSeconds, activeTenants}`.
    pub fn facts(&self) -> Facts {
        facts::object(json!({
            "activeConnections": self.active_connections,
            "totalConnections": self.total_connections,
            "connectedUsers": self.connected_users,
            "rooms": self.rooms,
            "messagesPerMinute": self.messages_per_minute,
            "uptimeSeconds": self.uptime_seconds,
            "activeTenants": self.active_tenants,
        }))
    }
}

impl Tenant {
    pub(super) fn stats(&self, now: Monotonic) -> Stats {
        let counts = read(&self.roster).counts();
        Stats {
            active_connections: counts.connected as u64,
            total_connections: self.connections.load(std::sync::atomic::Ordering::Relaxed),
            connected_users: counts.users as u64,
            rooms: counts.rooms as u64,
            messages_per_minute: held(&self.messages).total(now),
            uptime_seconds: now.0 / 1_000,
            active_tenants: u64::from(counts.users > 0),
        }
    }
}

impl Dispatcher {
    /// Figures over all tenants in use.
    pub fn stats(&self, now: Monotonic) -> Stats {
        let uptime_seconds = now.0 / 1_000;
        let all = self.all_in_use();
        let all = all.iter().map(|tenant| tenant.stats(now));
        all.fold(
            Stats {
                uptime_seconds,
                ..Stats::default()
            },
            |sum, one| Stats {
                active_connections: sum.active_connections + one.active_connections,
                total_connections: sum.total_connections + one.total_connections,
                connected_users: sum.connected_users + one.connected_users,
                rooms: sum.rooms + one.rooms,
                messages_per_minute: sum.messages_per_minute + one.messages_per_minute,
                uptime_seconds,
                active_tenants: sum.active_tenants + one.active_tenants,
            },
        )
    }
}

//! The one place that reads the machine's clocks: wall-clock time for people, monotonic time for periods.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use relais_core::ids::{Id, Moment, Monotonic, Timestamp};
use uuid::Uuid;

/// Both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Now, on both.
    pub fn now(&self) -> Moment {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Moment {
            wall: Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            monotonic: Monotonic(
                u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            ),
        }
    }

    /// A fresh id (UUIDv7).
    pub fn new_id(&self) -> Id {
        Id(Uuid::now_v7())
    }
}

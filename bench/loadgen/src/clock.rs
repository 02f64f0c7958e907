//! Monotonic time as plain nanoseconds, and evenly spaced deadlines.
//!
//! Out: `Clock::now`, which is what payloads carry as their send time, and `Pace`, which says when the next operation is
//! due. A pace never forgets: an operation that starts late keeps the time at which it was due, so that a generator or a
//! server that falls behind shows in the latency instead of hiding in a lower rate.

use std::time::{Duration, Instant};

/// Nanoseconds since the generator started.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts at zero, now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    #[inline]
    pub fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// A fixed rate.
pub struct Pace {
    next: u64,
    interval: u64,
}

impl Pace {
    /// `per_second` operations a second, the first one at `now`.
    pub fn new(now: u64, per_second: f64) -> Self {
        Self {
            next: now,
            interval: (1e9 / per_second) as u64,
        }
    }

    /// The due time of an operation that should have started by `now`, if there is one.
    pub fn due(&mut self, now: u64) -> Option<u64> {
        (self.next <= now).then(|| {
            let due = self.next;
            self.next += self.interval;
            due
        })
    }

    /// How long until the next operation is due.
    pub fn wait(&self, now: u64) -> Duration {
        Duration::from_nanos(self.next.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_operation_keeps_the_time_at_which_it_was_due() {
        let mut pace = Pace::new(100, 1e9 / 10.0);
        assert_eq!(pace.due(99), None);
        assert_eq!(pace.due(125), Some(100));
        assert_eq!(pace.due(125), Some(110));
        assert_eq!(pace.due(125), Some(120));
        assert_eq!(pace.due(125), None);
        assert_eq!(pace.wait(125), Duration::from_nanos(5));
    }
}

//! Whether one more transaction may wait for the writer: not by how many wait, but by how long it would have to.
//!
//! In: what the writer did, batch by batch. Out: yes or no, from atomics alone, before anything of the transaction is made. While the writer
//! keeps up, everybody is let in. When what it takes up has waited too long, or the batch at work takes too long, only as many may wait as it
//! has lately committed in the time allowed; so the wait stays about that long, on a fast disk and on a slow one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Over which time the rate of commits is taken.
const RATE_WINDOW: Duration = Duration::from_millis(250);

/// The door to the writer's queue.
pub(super) struct Door {
    wait_max_us: u64,
    began: Instant,
    /// How long the oldest of the last batch had waited, in µs.
    waited_us: AtomicU64,
    /// When the batch at work began, in µs since `began`; 0: none is.
    at_work_since_us: AtomicU64,
    /// Transactions a second, as last measured while there was no rest; 0: not yet.
    per_second: AtomicU64,
    /// The stretch being measured: when it began, and transactions in it. Only the writer touches these.
    stretch_us: AtomicU64,
    stretch_count: AtomicU64,
}

impl Door {
    pub(super) fn new(wait_max: Duration) -> Self {
        Self {
            wait_max_us: micros(wait_max).max(1),
            began: Instant::now(),
            waited_us: AtomicU64::new(0),
            at_work_since_us: AtomicU64::new(0),
            per_second: AtomicU64::new(0),
            stretch_us: AtomicU64::new(0),
            stretch_count: AtomicU64::new(0),
        }
    }

    /// Whether one more may wait behind `waiting` others.
    pub(super) fn lets_in(&self, waiting: usize) -> bool {
        waiting == 0 || self.lets_in_at(waiting as u64, self.now())
    }

    fn lets_in_at(&self, waiting: u64, now_us: u64) -> bool {
        let since = self.at_work_since_us.load(Ordering::Relaxed);
        let at_work = match since {
            0 => 0,
            since => now_us.saturating_sub(since),
        };
        let waited = self.waited_us.load(Ordering::Relaxed).max(at_work);
        if waited <= self.wait_max_us {
            return true;
        }
        let per_second = self.per_second.load(Ordering::Relaxed);
        waiting < per_second.saturating_mul(self.wait_max_us) / 1_000_000
    }

    /// The writer has something to do.
    pub(super) fn begin(&self) {
        self.begin_at(self.now());
    }

    fn begin_at(&self, now_us: u64) {
        self.at_work_since_us.store(now_us, Ordering::Relaxed);
        if self.stretch_us.load(Ordering::Relaxed) == 0 {
            self.stretch_us.store(now_us, Ordering::Relaxed);
            self.stretch_count.store(0, Ordering::Relaxed);
        }
    }

    /// A batch of `count` is committed, whose oldest had waited that long when it was taken up.
    pub(super) fn end(&self, count: usize, waited: Duration) {
        self.end_at(count as u64, micros(waited), self.now());
    }

    fn end_at(&self, count: u64, waited_us: u64, now_us: u64) {
        self.waited_us.store(waited_us, Ordering::Relaxed);
        let counted = self.stretch_count.load(Ordering::Relaxed) + count;
        self.stretch_count.store(counted, Ordering::Relaxed);
        let took = now_us.saturating_sub(self.stretch_us.load(Ordering::Relaxed));
        if took >= micros(RATE_WINDOW) {
            let rate = counted.saturating_mul(1_000_000) / took;
            self.per_second.store(rate.max(1), Ordering::Relaxed);
            self.stretch_us.store(now_us, Ordering::Relaxed);
            self.stretch_count.store(0, Ordering::Relaxed);
        }
    }

    /// The work at hand is done. A stretch that began long ago without being full says nothing of what the writer could do.
    pub(super) fn rest(&self) {
        self.at_work_since_us.store(0, Ordering::Relaxed);
        if self.waited_us.load(Ordering::Relaxed) < self.wait_max_us / 10 {
            self.stretch_us.store(0, Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        // 0 means "never".
        micros(self.began.elapsed()).max(1)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    fn door() -> Door {
        Door::new(Duration::from_millis(500))
    }

    #[test]
    fn while_the_writer_keeps_up_everybody_is_let_in() {
        let door = door();
        door.begin_at(1);
        door.end_at(1_000, 20 * MS, 30 * MS);
        door.rest();
        assert!(door.lets_in_at(16_000, 31 * MS));
    }

    #[test]
    fn a_writer_that_is_behind_takes_on_what_it_can_do_in_time() {
        let door = door();
        door.begin_at(1);
        // 10,000 a second over 300 ms, and what was taken up had waited too long.
        door.end_at(3_000, 600 * MS, 300 * MS);
        assert!(door.lets_in_at(4_000, 301 * MS));
        assert!(!door.lets_in_at(6_000, 301 * MS));
        // What is taken up has waited less again: all are welcome.
        door.end_at(1_000, 400 * MS, 400 * MS);
        assert!(door.lets_in_at(6_000, 401 * MS));
    }

    #[test]
    fn a_sync_that_does_not_end_closes_the_door_for_all_but_the_first() {
        let door = door();
        door.begin_at(1);
        assert!(door.lets_in_at(100, 400 * MS));
        assert!(!door.lets_in_at(100, 600 * MS));
        assert!(door.lets_in(0));
        door.end_at(1, 0, 700 * MS);
        door.rest();
        assert!(door.lets_in_at(100, 701 * MS));
    }
}

//! A token bucket in one word: so many a second, and twice that many at once. It knows no clock; whoever asks says how late it is.

use std::cell::Cell;
use std::time::Duration;

/// How long an empty bucket takes to be full: what may come at once is what comes in this time.
const FILL_US: u64 = 2_000_000;

/// Kept as the time at which it will be full again, in microseconds; full at first.
#[derive(Default)]
pub(super) struct Bucket(Cell<u64>);

impl Bucket {
    /// Takes one token; false when there is none. `now` never goes back.
    pub(super) fn take(&self, now: Duration, per_second: u32) -> bool {
        let Some(token_us) = 1_000_000_u64.checked_div(u64::from(per_second)) else {
            return false;
        };
        let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let full_at_us = self.0.get().max(now_us).saturating_add(token_us);
        let is_there = full_at_us - now_us <= FILL_US;
        if is_there {
            self.0.set(full_at_us);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these many are let through, evenly spread over a time.
    fn taken(bucket: &Bucket, from: Duration, over: Duration, count: u32) -> usize {
        let at = |number| from + over * number / count;
        (0..count)
            .filter(|number| bucket.take(at(*number), 20))
            .count()
    }

    #[test]
    fn twice_the_rate_comes_at_once_and_then_no_more_than_the_rate() {
        let bucket = Bucket::default();
        let second = Duration::from_secs(1);
        assert_eq!(taken(&bucket, second, Duration::ZERO, 100), 40);
        // Twice as many as there may be, for half a minute.
        let sustained = taken(&bucket, second, second * 30, 1200);
        assert!((599..=600).contains(&sustained), "{sustained}");
        // Two full bursts do not meet where one second ends and the next begins.
        let later = taken(&bucket, second * 32, Duration::ZERO, 100);
        assert!((20..=21).contains(&later), "{later}");
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_held_up() {
        let bucket = Bucket::default();
        assert_eq!(
            taken(&bucket, Duration::ZERO, Duration::from_secs(60), 1200),
            1200
        );
        assert_eq!(
            taken(&bucket, Duration::from_secs(60), Duration::ZERO, 100),
            40
        );
    }

    #[test]
    fn a_rate_of_nothing_lets_nothing_through() {
        assert!(!Bucket::default().take(Duration::from_secs(9), 0));
    }
}

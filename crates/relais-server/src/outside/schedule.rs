//! When something that failed is tried again, and under which id it is told every time.

use std::time::Duration;

use rand::Rng as _;
use relais_core::event::Record;
use relais_core::ids::{Id, Timestamp};
use sha2::{Digest as _, Sha256};
use uuid::Builder;

/// Attempts at one thing, over about nine hours; then it is dead.
pub const ATTEMPTS_MAX: u32 = 20;

const FIRST_MS: u64 = 1_000;
const LONGEST_MS: u64 = 3_600_000;

/// How long to wait after so many failed attempts: twice as long each time, an hour at most, and up to half of it less by chance, so that what failed
/// together does not come back together.
pub fn wait(attempts: u32) -> Duration {
    let doubled = FIRST_MS << attempts.saturating_sub(1).min(20);
    let longest = doubled.min(LONGEST_MS);
    Duration::from_millis(rand::rng().random_range(longest / 2..=longest))
}

/// That much later.
pub fn after(now: Timestamp, wait: Duration) -> Timestamp {
    Timestamp(now.0 + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 2))
}

/// The id of what a queue tells of a record to somebody: the same whenever it is worked out.
pub fn id(queue: &str, record: &Record, whom: &str) -> Id {
    let mut hash = Sha256::new();
    for part in [queue, &record.tenant.app, &record.tenant.tenant, whom] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(record.epoch.0.to_be_bytes());
    hash.update(record.position.0.to_be_bytes());
    let hash = hash.finalize();
    let mut chance = [0; 10];
    chance.copy_from_slice(&hash[..10]);
    let at = u64::try_from(record.at.0).unwrap_or_default();
    Id(Builder::from_unix_timestamp_millis(at, &chance).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        for (attempts, longest) in [
            (1, 1_000),
            (2, 2_000),
            (5, 16_000),
            (13, 3_600_000),
            (99, 3_600_000),
        ] {
            let waited = wait(attempts).as_millis() as u64;
            assert!(
                (longest / 2..=longest).contains(&waited),
                "{attempts}: {waited}"
            );
        }
    }
}

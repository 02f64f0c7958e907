//! A coarse wheel of deadlines: one per shard instead of a timer per connection.
//!
//! In: keys with the time at which they are due. Out: the keys that are due now. A key fires in the slot in which its time
//! lies, so up to one slot early and never late by more than the caller's tick. It does not know what a key stands for.

use std::time::Duration;

use tokio::time::Instant;

/// Deadlines sorted into slots of equal length.
pub(crate) struct Wheel<K> {
    slots: Vec<Vec<Entry<K>>>,
    slot: Duration,
    origin: Instant,
    /// Slots before this one have fired.
    next: u64,
}

struct Entry<K> {
    /// Milliseconds after the origin.
    at_ms: u64,
    key: K,
}

impl<K> Wheel<K> {
    /// Slots of `slot` each, enough of them that `horizon` is not a whole turn away.
    pub(crate) fn new(now: Instant, slot: Duration, horizon: Duration) -> Self {
        let slots = horizon.as_nanos() / slot.as_nanos().max(1) + 2;
        let slots = usize::try_from(slots).unwrap_or(usize::MAX).min(4096);
        Self {
            slots: std::iter::repeat_with(Vec::new).take(slots).collect(),
            slot,
            origin: now,
            next: 0,
        }
    }

    /// Files a key under its time; a time that is past fires with the next call.
    pub(crate) fn insert(&mut self, at: Instant, key: K) {
        let at_ms = self.millis(at);
        let slot = self.position(self.number(at_ms).max(self.next));
        let entries = &mut self.slots[slot];
        // Slots are many and fill evenly: to double their room would waste half of it.
        if entries.len() == entries.capacity() {
            entries.reserve_exact(entries.len() / 4 + 2);
        }
        entries.push(Entry { at_ms, key });
    }

    /// Takes out everything that is due, in the order of slots, with the time that it was filed under, in whole milliseconds.
    pub(crate) fn expire(&mut self, now: Instant, due: &mut Vec<(Instant, K)>) {
        let last = self.number(self.millis(now));
        // After a long sleep one turn shows every slot.
        let turn = self.slots.len() as u64;
        let from = self.next.max(last.saturating_sub(turn - 1));
        for number in from..=last {
            let slot = self.position(number);
            let entries = std::mem::take(&mut self.slots[slot]);
            for entry in entries {
                if self.number(entry.at_ms) <= last {
                    due.push((self.origin + Duration::from_millis(entry.at_ms), entry.key));
                } else {
                    self.slots[slot].push(entry);
                }
            }
        }
        self.next = self.next.max(last + 1);
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    fn number(&self, at_ms: u64) -> u64 {
        let slot_ms = u64::try_from(self.slot.as_millis()).unwrap_or(u64::MAX);
        at_ms / slot_ms.max(1)
    }

    fn position(&self, number: u64) -> usize {
        usize::try_from(number % self.slots.len() as u64).unwrap_or(0)
    }
}

/// A slot fine enough for the interval, and never finer than 5 ms or coarser than 100 ms.
pub(crate) fn slot_for(shortest: Duration) -> Duration {
    (shortest / 20).clamp(Duration::from_millis(5), Duration::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(wheel: &mut Wheel<u32>, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.expire(now, &mut due);
        due.into_iter().map(|(_, key)| key).collect()
    }

    #[test]
    fn a_key_fires_in_its_slot_and_once() {
        let start = Instant::now();
        let ms = |n| start + Duration::from_millis(n);
        let mut wheel = Wheel::new(start, Duration::from_millis(100), Duration::from_secs(1));
        wheel.insert(ms(250), 1);
        wheel.insert(ms(950), 2);
        assert_eq!(fired(&mut wheel, ms(150)), [0u32; 0]);
        assert_eq!(fired(&mut wheel, ms(210)), [1]);
        assert_eq!(fired(&mut wheel, ms(260)), [0u32; 0]);
        assert_eq!(fired(&mut wheel, ms(5000)), [2]);
    }

    #[test]
    fn a_key_beyond_the_horizon_waits_for_its_turn() {
        let start = Instant::now();
        let ms = |n| start + Duration::from_millis(n);
        let mut wheel = Wheel::new(start, Duration::from_millis(100), Duration::from_secs(1));
        wheel.insert(ms(3050), 7);
        for now in (0..30).map(|n| ms(n * 100)) {
            assert_eq!(fired(&mut wheel, now), [0u32; 0]);
        }
        assert_eq!(fired(&mut wheel, ms(3060)), [7]);
    }

    #[test]
    fn a_time_that_is_past_fires_with_the_next_tick() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, Duration::from_millis(10), Duration::from_secs(1));
        let later = start + Duration::from_millis(500);
        assert_eq!(fired(&mut wheel, later), [0u32; 0]);
        wheel.insert(start, 3);
        assert_eq!(fired(&mut wheel, later + Duration::from_millis(10)), [3]);
    }
}

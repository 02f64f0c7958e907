//! When a fan-out is written: at once, or at the end of the tick.
//!
//! One write for each recipient and tick is the least there can be. A delivery that is alone in its tick is best written straight,
//! while its recipients' memory is warm; several for the same recipients are best joined into one write at the end of the tick. What
//! is still to come cannot be known, so the ticks before decide. A recipient is written to straight once a tick, so a wrong guess
//! costs one write. It knows neither connections nor frames.

use std::cell::Cell;

/// Straight writes of one tick; whoever comes behind waits for the flusher, which lets other tasks in between.
const STRAIGHT_MAX: u32 = 512;

/// Ticks without a meeting until writing straight is tried again.
const TICKS_OF_JOINING: u32 = 16;

/// What this tick has shown, and what that means for the next ones.
pub(crate) struct Pace {
    tick: Cell<u32>,
    /// Straight writes that this tick may still have.
    left: Cell<u32>,
    /// Frames given to recipients in this tick.
    given: Cell<u32>,
    /// Of these, those that met another one for the same recipient.
    met: Cell<u32>,
    /// Ticks for which everything waits for the flusher.
    joining: Cell<u32>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            tick: Cell::new(1),
            left: Cell::new(STRAIGHT_MAX),
            given: Cell::new(0),
            met: Cell::new(0),
            joining: Cell::new(0),
        }
    }
}

impl Pace {
    /// Whether a recipient with nothing waiting is written to now. `last` is its own note of the tick in which it last was.
    pub(crate) fn is_straight(&self, last: &Cell<u32>) -> bool {
        self.given.set(self.given.get() + 1);
        let tick = self.tick.get();
        if last.get() == tick {
            self.met();
            return false;
        }
        if self.joining.get() > 0 || self.left.get() == 0 {
            return false;
        }
        self.left.set(self.left.get() - 1);
        last.set(tick);
        true
    }

    /// Several frames for one recipient were written together.
    pub(crate) fn met(&self) {
        self.met.set(self.met.get() + 1);
    }

    /// Whether the flusher has a tick to end.
    pub(crate) fn is_begun(&self) -> bool {
        self.given.get() > 0
    }

    /// The flusher has written everything.
    pub(crate) fn end_tick(&self) {
        let (given, met) = (self.given.replace(0), self.met.replace(0));
        self.tick.set(self.tick.get().wrapping_add(1));
        self.left.set(STRAIGHT_MAX);
        // An ack or two beside a fan-out is no reason to wait.
        if met.saturating_mul(4) > given {
            self.joining.set(TICKS_OF_JOINING);
        } else if given > 0 {
            self.joining.set(self.joining.get().saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tick in which each recipient is given that many frames; which of them were written straight.
    fn tick(pace: &Pace, recipients: &[Cell<u32>], frames: usize) -> usize {
        let mut straight = 0;
        for _ in 0..frames {
            let written = recipients.iter().filter(|last| pace.is_straight(last));
            straight += written.count();
        }
        pace.end_tick();
        straight
    }

    #[test]
    fn a_delivery_alone_in_its_tick_is_written_straight() {
        let pace = Pace::default();
        let recipients = vec![Cell::new(0); 100];
        assert_eq!(tick(&pace, &recipients, 1), 100);
        assert_eq!(tick(&pace, &recipients, 1), 100);
    }

    #[test]
    fn several_in_a_tick_wait_for_its_end_until_they_are_alone_again() {
        let pace = Pace::default();
        let recipients = vec![Cell::new(0); 100];
        assert_eq!(tick(&pace, &recipients, 3), 100);
        for _ in 0..TICKS_OF_JOINING {
            assert_eq!(tick(&pace, &recipients, 1), 0);
        }
        assert_eq!(tick(&pace, &recipients, 1), 100);
    }

    #[test]
    fn deliveries_for_different_recipients_do_not_wait_for_each_other() {
        let pace = Pace::default();
        let recipients = vec![Cell::new(0); 100];
        for _ in 0..3 {
            let halves = recipients.chunks(50);
            let straight: usize = halves
                .map(|half| half.iter().filter(|last| pace.is_straight(last)).count())
                .sum();
            assert_eq!(straight, 100);
            pace.end_tick();
        }
    }

    #[test]
    fn a_crowd_is_not_written_to_in_one_go() {
        let pace = Pace::default();
        let recipients = vec![Cell::new(0); 1000];
        assert_eq!(tick(&pace, &recipients, 1), STRAIGHT_MAX as usize);
    }
}

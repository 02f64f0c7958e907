//! What a store may forget, and when: pure rules, no I/O, no clock.
//!
//! In go limits, the present time and what is held; out comes what to trim. Messages, memberships and read marks
//! are never forgotten, so nothing here is about them.

use relais_core::ids::{Position, SessionId, TenantKey, Timestamp};

/// Says whether a session is open on this node now, for the clean-up of stays.
pub type Alive<'a> = &'a (dyn Fn(&TenantKey, &SessionId) -> bool + Send + Sync);

/// Limits of the log. A record goes when it is older than the window or when its room holds more than its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Age of the oldest record that is kept, and how long a session may come back. Default 24 hours.
    pub window_ms: i64,
    /// Records that a room keeps. Default 10,000.
    pub room_records_max: u64,
    /// Records without a room (direct messages, notices to users) that a tenant keeps. Default 100,000.
    pub roomless_records_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            window_ms: 24 * 60 * 60 * 1000,
            room_records_max: 10_000,
            roomless_records_max: 100_000,
        }
    }
}

/// What was forgotten by one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Records taken from logs.
    pub records: u64,
    /// Stays of sessions in rooms.
    pub stays: u64,
}

/// What to do with the stored stay of a session in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StayVerdict {
    /// Leave it as it is.
    Keep,
    /// The session lives: remember that it was seen now.
    Refresh,
    /// Nobody can need it any more.
    Remove,
}

/// What is held against anybody is kept so long after its end, so that a clock that jumps takes nothing that lasts.
const ENDED_KEPT_MS: i64 = 60 * 60 * 1000;

/// Restrictions that ended up to then are forgotten.
pub fn restrictions_ended(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(ENDED_KEPT_MS))
}

impl Retention {
    /// Stamps before this one are outside the window.
    pub fn expires_before(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_sub(self.window_ms))
    }

    /// Where to cut a page of a log, given as `(position, at)` in the order of positions: everything up to the
    /// returned position goes. What was committed before an expired record is at least as old, whatever a clock
    /// that jumped has stamped on it.
    pub fn expired_up_to(
        &self,
        now: Timestamp,
        page: impl IntoIterator<Item = (Position, Timestamp)>,
    ) -> Option<Position> {
        let before = self.expires_before(now);
        page.into_iter()
            .filter(|(_, at)| *at < before)
            .map(|(position, _)| position)
            .max()
    }

    /// How many records a room (or what is without one) keeps.
    pub fn records_max(&self, roomless: bool) -> u64 {
        if roomless {
            self.roomless_records_max
        } else {
            self.room_records_max
        }
    }

    /// What to do with a stay that was last known to be in use at `seen_at` (for a closed one: when it was closed).
    ///
    /// A living session is only written down again after an eighth of the window, and a dead one is given a quarter
    /// more than the window: so that whoever is away for less than the window is always recovered, as long as
    /// the rule is applied at least once in an eighth of it.
    pub fn stay(
        &self,
        now: Timestamp,
        seen_at: Timestamp,
        closed: bool,
        alive: bool,
    ) -> StayVerdict {
        let age_ms = now.0.saturating_sub(seen_at.0);
        if closed {
            return match age_ms > self.window_ms {
                true => StayVerdict::Remove,
                false => StayVerdict::Keep,
            };
        }
        match alive {
            true if age_ms > self.window_ms / 8 => StayVerdict::Refresh,
            false if age_ms > self.window_ms + self.window_ms / 4 => StayVerdict::Remove,
            _ => StayVerdict::Keep,
        }
    }

    /// Stays last seen before this stamp are worth asking [`Retention::stay`] about.
    pub fn stays_due_before(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_sub(self.window_ms / 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Retention = Retention {
        window_ms: 8_000,
        room_records_max: 3,
        roomless_records_max: 5,
    };

    #[test]
    fn a_record_stamped_by_a_clock_that_jumped_ahead_goes_with_its_older_neighbours() {
        let page = [(1, 0), (2, 99_000), (3, 1_000), (4, 5_000)];
        let page = page.map(|(position, at)| (Position(position), Timestamp(at)));
        assert_eq!(
            RULE.expired_up_to(Timestamp(10_000), page),
            Some(Position(3))
        );
    }

    #[test]
    fn nothing_inside_the_window_is_cut() {
        let page = [(Position(1), Timestamp(2_000))];
        assert_eq!(RULE.expired_up_to(Timestamp(10_000), page), None);
    }

    #[test]
    fn a_living_session_keeps_its_open_stays_however_old_they_are() {
        let verdict = RULE.stay(Timestamp(1_000_000), Timestamp(0), false, true);
        assert_eq!(verdict, StayVerdict::Refresh);
    }

    #[test]
    fn a_dead_session_keeps_its_stays_for_the_window_after_it_was_last_seen() {
        assert_eq!(
            RULE.stay(Timestamp(9_000), Timestamp(0), false, false),
            StayVerdict::Keep
        );
        assert_eq!(
            RULE.stay(Timestamp(10_001), Timestamp(0), false, false),
            StayVerdict::Remove
        );
    }

    #[test]
    fn a_closed_stay_goes_after_the_window_even_if_its_session_lives() {
        assert_eq!(
            RULE.stay(Timestamp(8_000), Timestamp(0), true, true),
            StayVerdict::Keep
        );
        assert_eq!(
            RULE.stay(Timestamp(8_001), Timestamp(0), true, true),
            StayVerdict::Remove
        );
    }
}

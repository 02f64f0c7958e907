//! The life of tokens on open sessions: announced a minute ahead, renewed in place, and at their end the transport is closed.
//!
//! Ends are kept in monotonic time, so that a clock that jumps ends nobody's session. One entry a session whose token has an end;
//! gone with the session.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use relais_core::ids::{Moment, Monotonic, Timestamp};
use relais_engine::{Scope, Sid};

/// How long before its end a token is announced as expiring.
const AHEAD_MS: u64 = 60_000;
/// What clocks may differ by, as at the door.
const LEEWAY_MS: u64 = 5_000;

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose scope.
    pub scope: Scope,
    /// Which session.
    pub sid: Sid,
    /// What.
    pub what: What,
}

/// What is due of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Tell it that its token ends then.
    Announce(Timestamp),
    /// The token has ended.
    End,
}

/// When an entry is due, and which it is.
type Ticket = (Monotonic, u64);

struct Entry {
    scope: Scope,
    sid: Sid,
    ends: Monotonic,
    expires_at: Timestamp,
    is_announced: bool,
}

#[derive(Default)]
struct Entries {
    by_time: BTreeMap<Ticket, Entry>,
    /// When each is due.
    times: HashMap<u64, Monotonic>,
    numbers: u64,
}

impl Entries {
    fn insert(&mut self, ticket: Ticket, entry: Entry) {
        self.times.insert(ticket.1, ticket.0);
        self.by_time.insert(ticket, entry);
    }
}

/// All sessions whose tokens have an end.
#[derive(Default)]
pub struct Expiries(Mutex<Entries>);

impl Expiries {
    /// Watches a session's token, until its end or until the number is forgotten.
    pub fn watch(&self, scope: Scope, sid: Sid, expires_at: Timestamp, now: Moment) -> u64 {
        let left_ms = u64::try_from(expires_at.0.saturating_sub(now.wall.0)).unwrap_or(0);
        let ends = now.monotonic.plus(left_ms).plus(LEEWAY_MS);
        let announced = Monotonic(now.monotonic.plus(left_ms).0.saturating_sub(AHEAD_MS));
        let entry = Entry {
            scope,
            sid,
            ends,
            expires_at,
            is_announced: false,
        };
        let mut entries = self.entries();
        entries.numbers += 1;
        let number = entries.numbers;
        entries.insert((announced, number), entry);
        number
    }

    /// The session is gone, or has another token.
    pub fn forget(&self, number: u64) {
        let mut entries = self.entries();
        if let Some(at) = entries.times.remove(&number) {
            entries.by_time.remove(&(at, number));
        }
    }

    /// What is due by now.
    pub fn take_due(&self, now: Monotonic) -> Vec<Due> {
        let mut entries = self.entries();
        let mut due = Vec::new();
        while let Some(((at, number), mut entry)) = entries.by_time.pop_first() {
            if at > now {
                entries.by_time.insert((at, number), entry);
                break;
            }
            entries.times.remove(&number);
            let what = if entry.is_announced {
                What::End
            } else {
                What::Announce(entry.expires_at)
            };
            due.push(Due {
                scope: entry.scope,
                sid: entry.sid.clone(),
                what,
            });
            if !entry.is_announced {
                entry.is_announced = true;
                entries.insert((entry.ends, number), entry);
            }
        }
        due
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment {
        wall: Timestamp(1_000_000),
        monotonic: Monotonic(500_000),
    };

    fn watched(expiries: &Expiries, left_ms: i64) -> u64 {
        expiries.watch(
            Scope(1),
            Sid::from("s"),
            Timestamp(NOW.wall.0 + left_ms),
            NOW,
        )
    }

    fn due(expiries: &Expiries, after_ms: u64) -> Vec<What> {
        expiries
            .take_due(NOW.monotonic.plus(after_ms))
            .into_iter()
            .map(|due| due.what)
            .collect()
    }

    #[test]
    fn a_token_is_announced_a_minute_ahead_and_ends_after_the_leeway() {
        let expiries = Expiries::default();
        watched(&expiries, 100_000);
        assert_eq!(due(&expiries, 39_999), []);
        assert_eq!(
            due(&expiries, 40_000),
            [What::Announce(Timestamp(1_100_000))]
        );
        assert_eq!(due(&expiries, 104_999), []);
        assert_eq!(due(&expiries, 105_000), [What::End]);
        assert_eq!(due(&expiries, u64::MAX - 500_000), []);
    }

    #[test]
    fn a_token_with_less_than_a_minute_left_is_announced_at_once() {
        let expiries = Expiries::default();
        watched(&expiries, 2_000);
        assert_eq!(due(&expiries, 0), [What::Announce(Timestamp(1_002_000))]);
        assert_eq!(due(&expiries, 7_000), [What::End]);
    }

    #[test]
    fn a_session_that_is_forgotten_is_not_ended_announced_or_not() {
        let expiries = Expiries::default();
        let (early, late) = (watched(&expiries, 100_000), watched(&expiries, 2_000));
        assert_eq!(due(&expiries, 0).len(), 1);
        expiries.forget(early);
        expiries.forget(late);
        assert_eq!(due(&expiries, 1_000_000), []);
    }
}

//! The order of one scope on one shard: what was applied, what was missed, who leaves and who joins at which position.
//!
//! Applies position p + 1 only. At or below p: dropped. Above p + 1: the log is read from p, by whoever owns this value.

use std::sync::Arc;

use super::census::Attendance;
use super::members::{MemberId, Members};
use crate::delivery::{Delivery, OutEvent};
use crate::room::{Position, Room};

/// One scope's members and place in its log.
pub(crate) struct ScopeHub<M> {
    pub(crate) members: Members<M>,
    applied: Option<Position>,
    /// The newest position that a publication or the head has shown; above `applied` means: read the log.
    seen: u64,
    /// A read of the log is under way; only its pages are applied.
    reading: bool,
    /// Stays that end once their position was applied.
    leaves: Vec<Leave>,
    /// Replayed up to this position, and waiting for the shard to get there.
    joiners: Vec<(u64, M)>,
    /// Sessions that replay, joiners included: they will come.
    expected: usize,
    /// The head at the last check.
    last_head: u64,
}

struct Leave {
    member: MemberId,
    room: Room,
    until: u64,
}

/// What is to be done with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Deliver it now, then [`ScopeHub::advance`].
    Apply,
    /// Known, or will be found by the read under way.
    Drop,
    /// Something is missing before it: read the log.
    Read,
    /// The log has begun another life: sessions of the old one cannot go on.
    NewEpoch,
}

impl<M: Clone> ScopeHub<M> {
    /// A scope whose first member is about to register. The head is taken now: what is committed later will be published to us.
    pub(crate) fn new(head: Option<Position>, attendance: Attendance) -> Self {
        Self {
            members: Members::new(attendance),
            applied: head,
            seen: head.map_or(0, |head| head.position),
            reading: false,
            leaves: Vec::new(),
            joiners: Vec::new(),
            expected: 0,
            last_head: 0,
        }
    }

    /// A session replays and will join; the scope is kept for it.
    pub(crate) fn expect(&mut self) {
        self.expected += 1;
    }

    /// It has joined, or it is gone.
    pub(crate) fn unexpect(&mut self) {
        self.expected = self.expected.saturating_sub(1);
    }

    /// Whether there are sessions that are not members yet.
    pub(crate) fn has_replays(&self) -> bool {
        self.expected > 0
    }

    /// Members, and those that will be.
    pub(crate) fn sessions(&self) -> usize {
        self.members.len() + self.expected
    }

    /// A joiner is gone.
    pub(crate) fn forget_joiner(&mut self, is_it: impl Fn(&M) -> bool) {
        self.unexpect();
        self.joiners.retain(|(_, joiner)| !is_it(joiner));
    }

    pub(crate) fn applied(&self) -> Option<Position> {
        self.applied
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.expected == 0 && !self.reading
    }

    /// Judges a published delivery.
    pub(crate) fn judge(&mut self, position: Option<Position>) -> Verdict {
        let Some(position) = position else {
            return Verdict::Apply;
        };
        let Some(applied) = self.applied else {
            return Verdict::Apply;
        };
        match position.epoch.cmp(&applied.epoch) {
            std::cmp::Ordering::Less => return Verdict::Drop,
            std::cmp::Ordering::Greater => return Verdict::NewEpoch,
            std::cmp::Ordering::Equal => {}
        }
        self.seen = self.seen.max(position.position);
        if position.position <= applied.position || self.reading {
            Verdict::Drop
        } else if position.position == applied.position + 1 {
            Verdict::Apply
        } else {
            Verdict::Read
        }
    }

    /// Judges what the log's head says: whether something was published that never came. A publication may still be on its way, so
    /// only what the last check has seen already counts, unless `is_urgent`.
    pub(crate) fn judge_head(&mut self, head: Option<Position>, is_urgent: bool) -> Verdict {
        let (Some(head), Some(applied)) = (head, self.applied) else {
            return Verdict::Drop;
        };
        if head.epoch > applied.epoch {
            return Verdict::NewEpoch;
        }
        if head.epoch == applied.epoch {
            let known = if is_urgent {
                head.position
            } else {
                self.last_head
            };
            self.seen = self.seen.max(known);
            self.last_head = head.position;
        }
        if self.is_behind() && !self.reading {
            Verdict::Read
        } else {
            Verdict::Drop
        }
    }

    /// Judges a delivery that came from a page of the log.
    pub(crate) fn judge_page(&self, position: Option<Position>) -> Verdict {
        match (position, self.applied) {
            (Some(position), Some(applied)) if position.epoch > applied.epoch => Verdict::NewEpoch,
            (Some(position), Some(applied))
                if position.epoch == applied.epoch && position.position == applied.position + 1 =>
            {
                Verdict::Apply
            }
            (Some(position), Some(applied)) if position.position > applied.position + 1 => {
                Verdict::Read
            }
            _ => Verdict::Drop,
        }
    }

    /// Whether a read of the log is needed to reach what was seen.
    pub(crate) fn is_behind(&self) -> bool {
        self.applied
            .is_some_and(|applied| applied.position < self.seen)
    }

    /// How many records that are known of were not applied yet.
    pub(crate) fn lag(&self) -> u64 {
        let applied = self.applied.map_or(u64::MAX, |applied| applied.position);
        self.seen.saturating_sub(applied)
    }

    /// Marks a read as begun; where from.
    pub(crate) fn begin_reading(&mut self) -> Option<u64> {
        if self.reading {
            return None;
        }
        self.reading = true;
        self.applied.map(|applied| applied.position)
    }

    pub(crate) fn end_reading(&mut self) {
        self.reading = false;
    }

    /// Gives each event of a delivery to its members: event number, the event, the member. For `ahead` see [`Members::visit`].
    pub(crate) fn give(
        &mut self,
        delivery: &Arc<Delivery>,
        ahead: impl Fn(&M),
        mut each: impl FnMut(usize, &OutEvent, &M),
    ) {
        for (number, event) in delivery.events().iter().enumerate() {
            self.members
                .visit(&event.to, &event.except, &ahead, |member| {
                    each(number, event, member)
                });
        }
    }

    /// Takes a position as applied: stays that end with it end now, and those who waited for it come back to be joined.
    #[must_use]
    pub(crate) fn advance(&mut self, position: Position) -> Vec<(u64, M)> {
        self.applied = Some(position);
        self.seen = self.seen.max(position.position);
        let mut at = 0;
        while at < self.leaves.len() {
            if self.leaves[at].until <= position.position {
                let leave = self.leaves.swap_remove(at);
                self.members.leave(leave.member, &leave.room);
            } else {
                at += 1;
            }
        }
        if self.joiners.is_empty() {
            return Vec::new();
        }
        let (due, later) = std::mem::take(&mut self.joiners)
            .into_iter()
            .partition(|(at, _)| *at <= position.position);
        self.joiners = later;
        due
    }

    /// Leaves a room once `until` was applied; now if it was, or if there is no log.
    pub(crate) fn leave(&mut self, member: MemberId, room: &Room, until: Option<u64>) {
        let applied = self.applied.map_or(u64::MAX, |applied| applied.position);
        match until {
            Some(until) if until > applied => self.leaves.push(Leave {
                member,
                room: room.clone(),
                until,
            }),
            _ => self.members.leave(member, room),
        }
    }

    /// Enters a room, and forgets that it was about to be left.
    pub(crate) fn join(&mut self, member: MemberId, room: &Room, rooms_max: usize) -> bool {
        self.leaves
            .retain(|leave| leave.member != member || leave.room != *room);
        self.members.join(member, room, rooms_max)
    }

    pub(crate) fn remove(&mut self, member: MemberId) {
        self.leaves.retain(|leave| leave.member != member);
        self.members.remove(member);
    }

    /// A replay has reached `position`. True: the shard is exactly there, join now. False with the shard still before it: it
    /// will come back from [`Self::advance`]. `None`: the shard is past it, read on.
    pub(crate) fn meet(&mut self, position: u64, member: &M) -> Option<bool> {
        let applied = self.applied.map_or(position, |applied| applied.position);
        match position.cmp(&applied) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(true),
            std::cmp::Ordering::Greater => {
                self.joiners.push((position, member.clone()));
                Some(false)
            }
        }
    }
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;

//! What a session must hear, may hear and must not hear, out of the log and its stays in rooms; and how far it has heard.
//!
//! A stay begins for certain with the head of the log at the join. What the shard had not applied by then may be heard too, since it comes
//! by live: between the two, nobody was promised anything.

use super::log::Book;
use crate::delivery::OutEvent;
use crate::room::{Offset, Room};
use crate::service::Interval;

/// Whether an event is for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Is {
    Not,
    Maybe,
    Must,
}

/// A stay in a room: at positions above `from` for certain, above `maybe_from` perhaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) room: Room,
    pub(crate) maybe_from: u64,
    pub(crate) from: u64,
    /// The last position for certain, and the last perhaps.
    pub(crate) until: Option<(u64, u64)>,
}

impl Stay {
    fn holds(&self, position: u64) -> Is {
        let (certain, perhaps) = self.until.unwrap_or((u64::MAX, u64::MAX));
        if position > perhaps || position <= self.maybe_from {
            Is::Not
        } else if position <= self.from || position > certain {
            Is::Maybe
        } else {
            Is::Must
        }
    }

    /// As a service would keep it.
    pub(crate) fn interval(&self) -> Interval {
        Interval {
            room: self.room.clone(),
            since: self.from,
            until: self.until.map(|(certain, _)| certain),
        }
    }
}

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) scope: u32,
    pub(crate) epoch: u32,
    pub(crate) user: u64,
    /// Rooms that it is always in, its own among them.
    pub(crate) always: Vec<Room>,
    pub(crate) stays: Vec<Stay>,
    /// What it has heard, on the link that counts.
    pub(crate) heard: Heard,
}

/// How far: everything before event `index` of the record at `position`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Heard {
    pub(crate) position: u64,
    pub(crate) index: u16,
}

impl Heard {
    /// Behind an event.
    pub(crate) fn after(position: u64, index: u16) -> Self {
        Self {
            position,
            index: index + 1,
        }
    }

    /// Behind all of a record.
    pub(crate) fn whole(position: u64) -> Self {
        Self {
            position: position + 1,
            index: 0,
        }
    }

    pub(crate) fn of(offset: Offset) -> Self {
        match offset.index {
            Some(index) => Self::after(offset.position, index),
            None => Self::whole(offset.position),
        }
    }
}

impl Truth {
    fn is_in(&self, room: &Room, position: u64) -> Is {
        if self.always.contains(room) {
            return Is::Must;
        }
        let stays = self.stays.iter().filter(|stay| stay.room == *room);
        stays
            .map(|stay| stay.holds(position))
            .max()
            .unwrap_or(Is::Not)
    }

    /// Whether an event of the record at `position` is for it.
    pub(crate) fn hears(&self, event: &OutEvent, position: u64) -> Is {
        let strongest = |rooms: &[Room]| {
            let is = rooms.iter().map(|room| self.is_in(room, position));
            is.max().unwrap_or(Is::Not)
        };
        match (strongest(&event.to), strongest(&event.except)) {
            (_, Is::Must) => Is::Not,
            (to, Is::Not) => to,
            (to, Is::Maybe) => to.min(Is::Maybe),
        }
    }

    /// The first event that it must hear in `from..to`.
    pub(crate) fn first_missing(&self, book: &Book, from: Heard, to: Heard) -> Option<(u64, u16)> {
        let last = to.position.min(book.end_of(self.epoch));
        (from.position.max(1)..=last).find_map(|position| {
            let record = book.record(self.epoch, position)?;
            let missing = (0_u16..).zip(record.events()).find(|(index, event)| {
                let at = Heard {
                    position,
                    index: *index,
                };
                at >= from && at < to && self.hears(event, position) == Is::Must
            });
            missing.map(|(index, _)| (position, index))
        })
    }

    /// Is in a room from now on.
    pub(crate) fn join(&mut self, room: Room, applied: u64, head: u64) {
        let known = |stay: &Stay| stay.room == room && stay.until.is_none();
        if !self.stays.iter().any(known) {
            self.stays.push(Stay {
                room,
                maybe_from: applied,
                from: head,
                until: None,
            });
        }
    }

    /// Is not in a room after `until`; what was committed by `now`, in the epoch of the session, may still come.
    pub(crate) fn leave(&mut self, room: &Room, until: u64, now: u64) {
        for stay in &mut self.stays {
            if stay.room == *room && stay.until.is_none() {
                stay.until = Some((until, now));
            }
        }
    }
}

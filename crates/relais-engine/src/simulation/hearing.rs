//! What a client holds against the truth: each record once, ascending and for it, nothing missing before any offset, and honest gaps.

use super::agent::Agent;
use super::truth::{Heard, Is};
use super::wire::numbers;
use crate::room::Offset;

impl Agent {
    /// A resumed session begins where the client said that it was.
    pub(super) fn began(&mut self, args: &str) {
        let words: Vec<u64> = numbers(args).collect();
        let [position, index, ..] = words[..] else {
            return self.wrong(|| format!("began at {args:?}"));
        };
        let at = Heard {
            position,
            index: u16::try_from(index).unwrap_or(0),
        };
        let heard = self.heard();
        self.note(|| format!("begins at {at:?}, heard {heard:?}"));
        if heard != Some(at) {
            self.wrong(|| format!("begins at {at:?} although it has heard {heard:?}"));
        }
    }

    /// A record: the next one for it, once, and with its own offset.
    pub(super) fn record(&mut self, args: &str, offset: Option<&str>) {
        let words: Vec<u64> = numbers(args).take(4).collect();
        let [scope, epoch, position, index] = words[..] else {
            return self.wrong(|| format!("was sent a record {args:?}"));
        };
        self.note(|| format!("hears {epoch}.{position}.{index}"));
        let index = u16::try_from(index).unwrap_or(0);
        let sid = self.sid.clone().unwrap_or_default();
        let mut world = self.world.lock();
        let world = &mut *world;
        let Some(truth) = world.truths.get_mut(&sid) else {
            return;
        };
        let at = Heard { position, index };
        let book = &world.books[truth.scope as usize];
        let event = book
            .record(truth.epoch, position)
            .and_then(|record| record.events().get(usize::from(index)));
        let is = event.map_or(Is::Not, |event| truth.hears(event, position));
        let events = book.record(truth.epoch, position);
        let is_last = events.is_some_and(|record| record.events().len() == usize::from(index) + 1);
        // Behind the last event all of the record is seen.
        let (behind, its_offset) = match is_last {
            true => (Heard::whole(position), format!("{epoch}.{position}")),
            false => (
                Heard::after(position, index),
                format!("{epoch}.{position}.{index}"),
            ),
        };
        let missing = truth.first_missing(book, truth.heard, at);
        let heard = truth.heard;
        if at >= heard {
            truth.heard = behind;
        }
        let is_right = offset.is_none_or(|offset| offset == its_offset);
        let is_home =
            is_right && scope == u64::from(truth.scope) && epoch == u64::from(truth.epoch);
        let number = self.number;
        if !is_home {
            world.wrong(|| {
                format!("client {number} ({sid}) was sent {args}, of another scope or epoch, or at {offset:?}")
            });
        } else if at < heard {
            world.wrong(|| {
                format!("client {number} ({sid}) was sent {args} although it had heard {heard:?}")
            });
        } else if let Some(missing) = missing {
            world.wrong(|| {
                format!("client {number} ({sid}) was sent {args}, but not {missing:?} before it")
            });
        } else if is == Is::Not {
            world.wrong(|| format!("client {number} ({sid}) was sent {args}, which is not for it"));
        }
    }

    /// An offset says that everything up to it was sent.
    pub(super) fn hears_up_to(&mut self, offset: &str, name: &str) {
        let Some(offset) = Offset::parse(offset) else {
            return self.wrong(|| format!("was sent {name} with offset {offset}"));
        };
        let sid = self.sid.clone().unwrap_or_default();
        let mut world = self.world.lock();
        let world = &mut *world;
        let Some(truth) = world.truths.get_mut(&sid) else {
            return;
        };
        let at = Heard::of(offset);
        let book = &world.books[truth.scope as usize];
        let missing = truth.first_missing(book, truth.heard, at);
        let (heard, epoch) = (truth.heard, truth.epoch);
        truth.heard = heard.max(at);
        let number = self.number;
        if offset.epoch != epoch {
            world.wrong(|| {
                format!(
                    "client {number} ({sid}) was sent {name} of epoch {}",
                    offset.epoch
                )
            });
        } else if at < heard {
            world.wrong(|| format!("client {number} ({sid}) was sent {name} at {offset} although it had heard {heard:?}"));
        } else if let Some(missing) = missing {
            world.wrong(|| format!("client {number} ({sid}) was sent {name} at {offset}, but not {missing:?} before it"));
        }
    }

    /// What is told to be missing was trimmed, and begins behind what was heard.
    pub(super) fn gap(&mut self, args: &str) {
        let words: Vec<u64> = numbers(args).take(2).collect();
        let [from, to] = words[..] else {
            return self.wrong(|| format!("was sent a gap {args:?}"));
        };
        self.note(|| format!("hears of a gap {from} to {to}"));
        let sid = self.sid.clone().unwrap_or_default();
        let mut world = self.world.lock();
        let world = &mut *world;
        let Some(truth) = world.truths.get_mut(&sid) else {
            return;
        };
        let book = &world.books[truth.scope as usize];
        let begin = Heard {
            position: from,
            index: 0,
        };
        let missing = truth.first_missing(book, truth.heard, begin);
        let is_trimmed = to <= book.trimmed || book.epoch() != truth.epoch;
        truth.heard = truth.heard.max(Heard::whole(to));
        let number = self.number;
        if let Some(missing) = missing {
            world.wrong(|| format!("client {number} ({sid}) was told of a gap {from} to {to}, but {missing:?} is missing too"));
        } else if !is_trimmed {
            world.wrong(|| {
                format!(
                    "client {number} ({sid}) was told of a gap {from} to {to}, which is still there"
                )
            });
        }
    }

    pub(super) fn volatile(&mut self, args: &str) {
        let words: Vec<u64> = numbers(args).take(2).collect();
        let [scope, number] = words[..] else {
            return self.wrong(|| format!("was sent {args:?}"));
        };
        if scope != u64::from(self.scope) {
            self.wrong(|| format!("was sent a volatile event of scope {scope}"));
        }
        if !self.volatiles.insert(number) {
            self.wrong(|| format!("was sent volatile event {number} again"));
        }
    }
}

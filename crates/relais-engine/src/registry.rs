//! Which shard holds which live session, with the generation that tells an older connection of it from the newer one.
//!
//! Locks are held for one map operation and never across an `.await`.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::room::{Room, Sid};

const PARTS: usize = 16;

/// All live sessions of this engine.
#[derive(Default)]
pub(crate) struct Registry {
    parts: [Mutex<HashMap<Sid, Entry>>; PARTS],
    hasher: RandomState,
}

/// Where a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) shard: u16,
    /// Counts the connections that a session has had; an older one's doings are void.
    pub(crate) generation: u64,
}

/// What a claim found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Our own.
    pub(crate) generation: u64,
    /// The connection that is to be fenced before ours is answered.
    pub(crate) older: Option<Entry>,
}

impl Registry {
    /// Makes `shard` the holder of a session from now on.
    pub(crate) fn claim(&self, sid: &Sid, shard: u16) -> Claim {
        let mut part = self.part(sid.as_str());
        let older = part.get(sid).copied();
        let generation = older.map_or(1, |older| older.generation + 1);
        part.insert(sid.clone(), Entry { shard, generation });
        Claim { generation, older }
    }

    /// Forgets a session, unless a newer generation holds it.
    pub(crate) fn release(&self, sid: &Sid, generation: u64) {
        let mut part = self.part(sid.as_str());
        if part
            .get(sid)
            .is_some_and(|entry| entry.generation == generation)
        {
            part.remove(sid);
        }
    }

    pub(crate) fn find(&self, sid: &Sid) -> Option<Entry> {
        self.part(sid.as_str()).get(sid).copied()
    }

    /// The shard of the session whose own room this is.
    pub(crate) fn shard_of(&self, room: &Room) -> Option<u16> {
        let sid = std::str::from_utf8(room.as_bytes()).ok()?;
        self.part(sid).get(sid).map(|entry| entry.shard)
    }

    fn part(&self, sid: &str) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        let at = usize::try_from(self.hasher.hash_one(sid) % PARTS as u64).unwrap_or(0);
        // A panic while a part was locked leaves a map that is still a map.
        self.parts[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_close_of_an_older_generation_is_void() {
        let registry = Registry::default();
        let sid = Sid::from("s");
        let first = registry.claim(&sid, 0);
        assert_eq!(first.older, None);
        let second = registry.claim(&sid, 1);
        assert_eq!(
            second.older,
            Some(Entry {
                shard: 0,
                generation: first.generation
            })
        );
        registry.release(&sid, first.generation);
        assert_eq!(registry.find(&sid).unwrap().shard, 1);
        registry.release(&sid, second.generation);
        assert_eq!(registry.find(&sid), None);
    }
}

//! Which shard holds which live session, with the generation that tells an older connection of it from the newer one.
//!
//! Locks are held for one map operation and never across an `.await`.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::room::{Room, Sid};

const PARTS: usize = 16;

/// All live sessions of this engine.
#[derive(Default)]
pub(crate) struct Registry {
    parts: [Mutex<HashMap<Sid, Holder>>; PARTS],
    hasher: RandomState,
}

/// Where a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) shard: u16,
    /// Counts the connections that a session has had; an older one's doings are void.
    pub(crate) generation: u64,
}

/// Connections of a session, at most one for each shard: the newest there, and with it all that are older.
pub(crate) type Olders = SmallVec<[Entry; 1]>;

/// What a claim found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Our own.
    pub(crate) generation: u64,
    /// The connections that are to be fenced before ours is answered: the last holder, and those that it has not fenced yet itself.
    pub(crate) older: Olders,
}

/// Who holds a session.
struct Holder {
    entry: Entry,
    /// What it has still to fence.
    unfenced: Olders,
}

impl Registry {
    /// Makes `shard` the holder of a session from now on.
    pub(crate) fn claim(&self, sid: &Sid, shard: u16) -> Claim {
        let mut part = self.part(sid.as_str());
        let (generation, older) = match part.remove(sid) {
            Some(Holder { entry, unfenced }) => {
                let elsewhere = unfenced.into_iter().filter(|one| one.shard != entry.shard);
                let older = std::iter::once(entry).chain(elsewhere).collect();
                (entry.generation + 1, older)
            }
            None => (1, Olders::new()),
        };
        let holder = Holder {
            entry: Entry { shard, generation },
            unfenced: Olders::clone(&older),
        };
        part.insert(sid.clone(), holder);
        Claim { generation, older }
    }

    /// All that the claim found is fenced. Whether it is still the newest: who has claimed the session since has inherited what was not
    /// fenced then.
    pub(crate) fn fenced(&self, sid: &Sid, generation: u64) -> bool {
        let mut part = self.part(sid.as_str());
        match part.get_mut(sid) {
            Some(holder) if holder.entry.generation == generation => {
                holder.unfenced = Olders::new();
                true
            }
            Some(_) | None => false,
        }
    }

    /// Forgets a session, unless a newer generation holds it.
    pub(crate) fn release(&self, sid: &Sid, generation: u64) {
        let mut part = self.part(sid.as_str());
        if part
            .get(sid)
            .is_some_and(|holder| holder.entry.generation == generation)
        {
            part.remove(sid);
        }
    }

    pub(crate) fn find(&self, sid: &Sid) -> Option<Entry> {
        self.part(sid.as_str()).get(sid).map(|holder| holder.entry)
    }

    /// The shard of the session whose own room this is.
    pub(crate) fn shard_of(&self, room: &Room) -> Option<u16> {
        let sid = std::str::from_utf8(room.as_bytes()).ok()?;
        self.part(sid).get(sid).map(|holder| holder.entry.shard)
    }

    fn part(&self, sid: &str) -> MutexGuard<'_, HashMap<Sid, Holder>> {
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

    fn entry(shard: u16, claim: &Claim) -> Entry {
        let generation = claim.generation;
        Entry { shard, generation }
    }

    #[test]
    fn the_close_of_an_older_generation_is_void() {
        let registry = Registry::default();
        let sid = Sid::from("s");
        let first = registry.claim(&sid, 0);
        assert!(first.older.is_empty());
        let second = registry.claim(&sid, 1);
        assert_eq!(second.older[..], [entry(0, &first)]);
        registry.release(&sid, first.generation);
        assert_eq!(registry.find(&sid).unwrap().shard, 1);
        registry.release(&sid, second.generation);
        assert_eq!(registry.find(&sid), None);
    }

    #[test]
    fn a_claim_inherits_what_the_one_before_it_has_not_fenced() {
        let registry = Registry::default();
        let sid = Sid::from("s");
        let first = registry.claim(&sid, 0);
        let second = registry.claim(&sid, 1);
        let third = registry.claim(&sid, 2);
        assert_eq!(third.older[..], [entry(1, &second), entry(0, &first)]);
        assert!(!registry.fenced(&sid, second.generation));
        assert!(registry.fenced(&sid, third.generation));
        let fourth = registry.claim(&sid, 1);
        assert_eq!(fourth.older[..], [entry(2, &third)]);
        // On one shard the newest stands for all.
        let fifth = registry.claim(&sid, 1);
        assert_eq!(fifth.older[..], [entry(1, &fourth), entry(2, &third)]);
        let sixth = registry.claim(&sid, 0);
        assert_eq!(sixth.older[..], [entry(1, &fifth), entry(2, &third)]);
    }
}

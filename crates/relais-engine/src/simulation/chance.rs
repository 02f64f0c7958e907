//! Chance that can be repeated: a generator, and the engine's own draws while a simulation runs on the thread.
//!
//! The generator is written out here, so that a seed means the same schedule whatever a library does.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;

/// Without keys: the same order in every run.
pub(crate) type Hashing = BuildHasherDefault<DefaultHasher>;

/// A stream of numbers out of a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`; 0 when that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

thread_local! {
    static OF_THE_ENGINE: RefCell<Option<Chance>> = const { RefCell::new(None) };
}

/// Until it is dropped, the engine's draws on this thread come from the seed.
pub(crate) struct Seeded;

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        OF_THE_ENGINE.set(Some(Chance::new(seed)));
        Self
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        OF_THE_ENGINE.set(None);
    }
}

/// Random bytes for the engine; the operating system's where no simulation runs.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    OF_THE_ENGINE.with_borrow_mut(|chance| match chance {
        Some(chance) => std::array::from_fn(|_| chance.next().to_be_bytes()[0]),
        None => rand::random(),
    })
}

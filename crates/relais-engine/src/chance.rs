//! Where chance comes into the engine: secrets of ids, and the order of maps that are walked.
//!
//! In production it is the operating system's. In the simulation it comes from the seed, so that a run can be repeated; nothing else in
//! this crate may draw or depend on chance where it can be seen.

use std::collections::HashMap;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use crate::simulation::chance::{Hashing, bytes};

#[cfg(not(any(test, feature = "fuzzing")))]
use std::hash::RandomState as Hashing;

/// A map that is walked somewhere: the order is part of what the engine does.
pub(crate) type Map<K, V> = HashMap<K, V, Hashing>;

/// Random bytes that nobody can guess.
#[cfg(not(any(test, feature = "fuzzing")))]
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

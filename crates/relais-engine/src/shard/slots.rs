//! Numbered places for the connections of a shard: finding one is an index, and a place costs one word.
//!
//! A number is used again once its holder has gone, so whoever keeps one has to check whom it finds. It knows nothing of connections.

/// Values by number.
pub(crate) struct Slots<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    /// The number that the next [`Self::insert`] gives.
    pub(crate) fn next(&self) -> u32 {
        self.free
            .last()
            .copied()
            .unwrap_or_else(|| number(self.entries.len()))
    }

    pub(crate) fn insert(&mut self, value: T) {
        match self.free.pop() {
            Some(at) => self.entries[at as usize] = Some(value),
            None => self.entries.push(Some(value)),
        }
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.entries.get(at as usize)?.as_ref()
    }

    pub(crate) fn remove(&mut self, at: u32) -> Option<T> {
        let value = self.entries.get_mut(at as usize)?.take()?;
        self.free.push(at);
        Some(value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten()
    }

    /// Gives back what a crowd that has gone has left behind the last one that is still here.
    pub(crate) fn tidy(&mut self) {
        let used = self.entries.len() - self.free.len();
        if self.entries.len() < 1024 || used > self.entries.len() / 4 {
            return;
        }
        let kept = self.entries.iter().rposition(Option::is_some);
        self.entries.truncate(kept.map_or(0, |last| last + 1));
        self.entries.shrink_to_fit();
        let end = number(self.entries.len());
        self.free.retain(|at| *at < end);
        self.free.shrink_to_fit();
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Connections are bounded far under 2^32.
fn number(at: usize) -> u32 {
    u32::try_from(at).expect("connections of a shard are fewer than 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_once_its_holder_has_gone() {
        let mut slots = Slots::default();
        for name in ["a", "b", "c"] {
            slots.insert(name);
        }
        assert_eq!(slots.remove(1), Some("b"));
        assert_eq!((slots.remove(1), slots.get(1)), (None, None));
        assert_eq!(slots.next(), 1);
        slots.insert("d");
        assert_eq!(slots.next(), 3);
        assert_eq!(slots.values().collect::<Vec<_>>(), [&"a", &"d", &"c"]);
    }

    #[test]
    fn a_crowd_that_has_gone_leaves_nothing() {
        let mut slots = Slots::default();
        (0..5000).for_each(|at| slots.insert(at));
        (1..5000).for_each(|at| assert_eq!(slots.remove(at), Some(at)));
        slots.tidy();
        assert_eq!((slots.get(0), slots.next()), (Some(&0), 1));
        assert!(slots.entries.capacity() < 100 && slots.free.capacity() < 100);
    }
}

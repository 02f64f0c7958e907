//! The allocator of the server, and how memory that nobody uses goes back to the system.
//!
//! The allocator gives pages back while it is asked for memory, and looks only at those of the asking thread. After a crowd or an attack
//! has gone nobody asks, and what each thread freed for others stays. So threads that have nothing to do call [`give_back`].
//!
//! Holds the only unsafe call of the workspace; every other crate forbids them.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// For `#[global_allocator]`.
pub use mimalloc::MiMalloc as Allocator;

/// How often a thread looks at most. It takes some tens of microseconds, and pages that were given back have to be fetched again.
const EVERY: Duration = Duration::from_secs(3);

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Gives back what this thread holds free, at most once in three seconds. To be called by a thread before it rests.
pub fn give_back() {
    let now = Instant::now();
    let is_due = |last: Instant| now.duration_since(last) >= EVERY;
    if LAST.get().is_none_or(is_due) {
        LAST.set(Some(now));
        collect();
    }
}

#[expect(unsafe_code, reason = "the allocator is a C library")]
fn collect() {
    // SAFETY: takes no pointer, and may be called by any thread at any time; it touches only what is free already.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator;

    #[test]
    fn what_is_in_use_is_left_alone() {
        let kept: Vec<Vec<u8>> = (0..1_000).map(|n| vec![n as u8; 1_000]).collect();
        drop(
            (0..10_000)
                .map(|n| vec![n as u8; 1_000])
                .collect::<Vec<_>>(),
        );
        give_back();
        give_back();
        assert!((0..1_000).all(|n| kept[n].iter().all(|byte| *byte == n as u8)));
    }
}

//! How many connections the limit of open files leaves, and who is told of it.
//!
//! The soft limit is raised to the hard one at the start, by [`raise`]. What is left for connections is told after that; nothing here ends a start.

use rlimit::Resource;

use crate::settings::{Limits, Settings};

/// Files that are not connections of clients: the store, the log, HTTP requests under way.
const KEPT: u64 = 256;

/// Nobody who has set no `connections_max` is told of a limit above this: a server on somebody's own machine.
const CONNECTIONS_ENOUGH: usize = 4_096;

/// Raises the soft limit as far as the hard one allows.
pub fn raise() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "unable to raise the limit of open files");
    }
}

/// As set, and no more than there are files for: whoever is refused with 503 comes back, whom the kernel cannot accept waits and slows
/// down all others.
pub fn connections_max(settings: &Settings) -> usize {
    let files = rlimit::getrlimit(Resource::NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    let files = usize::try_from(files.saturating_sub(KEPT)).unwrap_or(usize::MAX);
    settings.limits.connections_max.min(files.max(1))
}

/// Tells of connections that were asked for, or that anybody needs, and that there are no files for.
pub fn warn(settings: &Settings) {
    let (possible, wanted) = (connections_max(settings), settings.limits.connections_max);
    if is_too_low(possible, wanted) {
        tracing::warn!(
            possible,
            wanted,
            "fewer connections are possible than connections_max, because the hard limit of open files (ulimit -Hn) is low"
        );
    }
}

fn is_too_low(possible: usize, wanted: usize) -> bool {
    let is_set = wanted != Limits::CONNECTIONS_MAX;
    possible < wanted && (is_set || possible < CONNECTIONS_ENOUGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_that_was_set_or_is_needed_by_anybody_is_missed() {
        let default = Limits::CONNECTIONS_MAX;
        assert!(!is_too_low(default, default));
        assert!(!is_too_low(20_000, default));
        assert!(is_too_low(768, default));
        assert!(is_too_low(20_000, 50_000));
        assert!(!is_too_low(5_000, 5_000));
    }
}

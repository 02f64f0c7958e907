//! What other threads may know of a shard's hub: whether anybody there could hear of a delivery.
//!
//! Counters by hash, written by the shard alone and read by whoever publishes, without a lock. A collision means a delivery for nobody;
//! a shard with members is never taken for one without. A session's own room is not counted here: the registry knows its shard.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::room::{Room, Scope};

const SCOPES: usize = 1024;
const ROOMS: usize = 65_536;

/// One shard's counters.
pub(crate) struct Census {
    scopes: Box<[AtomicU32]>,
    rooms: Box<[AtomicU32]>,
}

/// Where a room is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot(usize);

impl Spot {
    pub(crate) fn of(scope: Scope, room: &Room) -> Self {
        let mut hasher = DefaultHasher::new();
        scope.hash(&mut hasher);
        room.hash(&mut hasher);
        Self(usize::try_from(hasher.finish() % ROOMS as u64).unwrap_or(0))
    }
}

impl Default for Census {
    fn default() -> Self {
        let counters = |count| std::iter::repeat_with(AtomicU32::default).take(count);
        Self {
            scopes: counters(SCOPES).collect(),
            rooms: counters(ROOMS).collect(),
        }
    }
}

impl Census {
    /// Whether the shard may have sessions of the scope.
    ///
    /// Whoever has committed a record asks after that: then a shard that is not counted yet takes a head that has the record.
    pub(crate) fn has_scope(&self, scope: Scope) -> bool {
        fence(Ordering::SeqCst);
        self.scope(scope).load(Ordering::SeqCst) > 0
    }

    /// Whether the shard may have members of the room.
    pub(crate) fn has_room(&self, spot: Spot) -> bool {
        self.rooms[spot.0].load(Ordering::Acquire) > 0
    }

    fn scope(&self, scope: Scope) -> &AtomicU32 {
        &self.scopes[scope.0 as usize % SCOPES]
    }
}

/// One scope's part in the census of its shard, from its first session to its last.
pub(crate) struct Attendance {
    census: Arc<Census>,
    scope: Scope,
}

impl Attendance {
    /// Counts a scope. The head of its log is to be taken after this.
    pub(crate) fn begin(census: &Arc<Census>, scope: Scope) -> Self {
        census.scope(scope).fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Self {
            census: Arc::clone(census),
            scope,
        }
    }

    /// A room has its first member.
    pub(crate) fn open(&self, room: &Room) {
        let spot = Spot::of(self.scope, room);
        self.census.rooms[spot.0].fetch_add(1, Ordering::AcqRel);
    }

    /// Its last one has gone.
    pub(crate) fn close(&self, room: &Room) {
        let spot = Spot::of(self.scope, room);
        self.census.rooms[spot.0].fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.census.scope(self.scope).fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Attendance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attendance({})", self.scope.0)
    }
}

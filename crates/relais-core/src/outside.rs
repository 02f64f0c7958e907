//! What the server keeps in order to reach the world outside: how far the log was told there, errands that wait, and where pushes go.
//!
//! Nothing here is decided by a capability, and no client sees it: a follower reads a tenant's log from its cursor, tells what it finds,
//! and parks as an [`Errand`] what could not be told now. The same store keeps it all ([`Outside`](crate::ports::Outside)), so that the
//! cursor moves on in one transaction with what was parked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Facts;
use crate::ids::{Id, Position, Timestamp, UserId};

/// Errands that waited in vain and are kept, in one queue of a tenant; the oldest go.
pub const DEAD_MAX: usize = 1_000;
/// Subscriptions of one user; the oldest go.
pub const SUBSCRIPTIONS_MAX: usize = 10;
/// Subscriptions that one question about a room finds.
pub const SUBSCRIBED_MAX: usize = 10_000;
/// Pushes that are remembered as shown by one browser; the oldest are forgotten, and stay until they are seen.
pub const SHOWN_MAX: usize = 100;

/// Something to be told outside of the server, kept until it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errand {
    /// A UUIDv7, always the same for the same thing: to park it twice is to park it once.
    pub id: Id,
    /// Who carries it out: a follower's name.
    pub queue: Arc<str>,
    /// Not before this.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Nobody tries any more: it waits to be looked at and sent again by hand.
    pub is_dead: bool,
    /// When what it tells of happened.
    pub created_at: Timestamp,
    /// Why the last attempt failed.
    pub reason: Option<Arc<str>>,
    /// What to tell, as its queue understands it.
    pub data: Facts,
}

/// Which errands of a tenant to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are due by then, the one that is due longest first.
    Due(Timestamp),
    /// Those that nobody tries any more, newest first, older than this one.
    Dead {
        /// Exclusive.
        before: Option<Id>,
    },
}

/// What waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Errands that will be tried again.
    pub count: u64,
    /// When the first of them is due.
    pub next: Option<Timestamp>,
}

/// Where a user's browser takes pushes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Whose.
    pub user: UserId,
    /// The push service's address for this browser.
    pub endpoint: Arc<str>,
    /// The browser's public key, base64url.
    pub p256dh: Arc<str>,
    /// The secret shared with the browser, base64url.
    pub auth: Arc<str>,
    /// Since when.
    pub created_at: Timestamp,
    /// When the user last came with it and a good token.
    pub proved_at: Timestamp,
    /// What was pushed and not withdrawn, oldest first, each tag once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<Shown>,
}

impl Subscription {
    /// Up to where something was shown under a tag.
    pub fn shown(&self, tag: &str) -> Option<u64> {
        let found = self.shown.iter().find(|shown| *shown.tag == *tag);
        found.map(|shown| shown.order)
    }

    /// Something is shown under a tag, in the place of what was.
    pub fn show(&mut self, new: Shown) {
        self.hide(&new.tag);
        self.shown.push(new);
        let over = self.shown.len().saturating_sub(SHOWN_MAX);
        self.shown.drain(..over);
    }

    /// What was shown under a tag is no more.
    pub fn hide(&mut self, tag: &str) {
        self.shown.retain(|shown| *shown.tag != *tag);
    }

    /// Takes the place of an older one with the same address: of the same user it goes on with what is shown.
    pub fn replace(&mut self, old: Subscription) {
        if old.user == self.user {
            (self.created_at, self.shown) = (old.created_at, old.shown);
        }
    }
}

/// A push that a browser shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What it is about: a newer one under the same tag takes its place.
    pub tag: Arc<str>,
    /// Grows with what is newer: the `seq` of a message, the position of anything else.
    pub order: u64,
}

/// One change of what is kept for the world outside.
#[derive(Clone, Debug, PartialEq)]
pub enum OutsideChange {
    /// A follower has told everything up to this position; never backwards.
    Follow {
        /// Its name.
        follower: Arc<str>,
        /// Up to here.
        position: Position,
    },
    /// Keep an errand; in the place of the same one.
    Park(Errand),
    /// Forget an errand.
    Finish(Id),
    /// Keep a subscription. The address is this user's alone from now on; if it was before, its age and what it shows stay.
    Subscribe(Subscription),
    /// Forget an address.
    Unsubscribe {
        /// Only if it is this user's.
        user: UserId,
        /// Which.
        endpoint: Arc<str>,
    },
    /// A browser shows a push. No such subscription: no change.
    Show {
        /// Whose.
        user: UserId,
        /// Which.
        endpoint: Arc<str>,
        /// What.
        shown: Shown,
    },
    /// A browser shows it no longer.
    Hide {
        /// Whose.
        user: UserId,
        /// Which.
        endpoint: Arc<str>,
        /// What.
        tag: Arc<str>,
    },
}

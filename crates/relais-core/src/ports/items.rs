//! What is asked of the store about items.

use std::sync::Arc;

use crate::event::Item;
use crate::ids::{ItemId, Shelf, UserId};

/// A client's temporary id for an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TemporaryId {
    /// Where the item lies.
    pub shelf: Shelf,
    /// In whose name it was created; `None`: nobody's.
    pub owner: Option<UserId>,
    /// What the client chose.
    pub key: Arc<str>,
}

impl TemporaryId {
    /// Under which an item was created, if it has one.
    pub fn of(item: &Item) -> Option<Self> {
        Some(Self {
            shelf: item.key.shelf.clone(),
            owner: item.owner.as_ref().map(|owner| owner.id.clone()),
            key: item.temporary_id.clone()?,
        })
    }
}

/// Which items to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemQuery {
    /// Where they lie.
    pub shelf: Shelf,
    /// Only those with this status.
    pub status: Option<Arc<str>>,
    /// Only those that this user owns or was given; `None`: all.
    pub of: Option<UserId>,
    /// Only those that were created before this one; none where it is not there.
    pub before: Option<ItemId>,
    /// 1 to 100.
    pub limit: u32,
}

/// A page of items.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemPage {
    /// Newest first.
    pub items: Vec<Item>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// A page of items that a user has to do with.
#[derive(Clone, Debug, PartialEq)]
pub struct UserItems {
    /// Oldest first.
    pub items: Vec<Item>,
    /// What to ask for next; `None`: there is nothing more.
    pub next: Option<u64>,
}

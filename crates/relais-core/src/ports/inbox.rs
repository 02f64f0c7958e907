//! What is asked of the store about inboxes.

use crate::event::Notification;
use crate::ids::{Id, RoomKey, UserId};

/// Whose inboxes a notification goes into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// One user's.
    User(UserId),
    /// Those of all kept members of a room, at this commit.
    Members(RoomKey),
}

/// Which notifications to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxQuery {
    /// Whose inbox.
    pub user: UserId,
    /// Only those that came before this one. When it is not there, it is gone with everything before it: the page is empty.
    pub before: Option<Id>,
    /// 1 to 100.
    pub limit: u32,
}

/// A page of an inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxPage {
    /// Newest first, in the order of commits.
    pub notifications: Vec<Notified>,
    /// Whether there are older ones.
    pub has_more: bool,
    /// How many of the whole inbox are unread.
    pub unread: u64,
}

/// A notification in somebody's inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Notified {
    /// What it says.
    pub notification: Notification,
    /// Whether this user has read it.
    pub is_read: bool,
}

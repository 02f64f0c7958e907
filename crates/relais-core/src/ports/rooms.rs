//! What a store says of rooms: what they are, who is known of them, and how somebody stands to them. Plain data.

use std::sync::Arc;

use super::Membership;
use crate::event::Person;
use crate::ids::{RoomKey, Seq, Timestamp, UserId};

/// What somebody said that a room is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// Which room.
    pub room: RoomKey,
    /// For people.
    pub name: Arc<str>,
    /// One of the sorts of its kind; the kind itself where it has none.
    pub sort: Arc<str>,
    /// Since when.
    pub created_at: Timestamp,
    /// By whom; `None`: the backend.
    pub created_by: Option<UserId>,
}

/// A room as it is now, for one user or for nobody in particular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// Whether anybody has said what it is.
    pub info: Option<RoomInfo>,
    /// Kept membership of the user.
    pub membership: Membership,
    /// The newest seq.
    pub last_seq: Seq,
    /// Messages after the user's read mark that the user may see and has not sent, among the newest 1,000 after it.
    pub unread: u32,
}

/// Somebody that is known of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPerson {
    /// As they were last remembered; a member who never came has the id for a name.
    pub person: Person,
    /// Kept membership.
    pub membership: Membership,
    /// Whether the token claimed the room.
    pub claims: bool,
}

/// Messages among which the unread ones are counted.
pub const UNREAD_MAX: u32 = 1_000;
/// People that are known of one room.
pub const ROOM_PEOPLE_MAX: usize = 10_000;

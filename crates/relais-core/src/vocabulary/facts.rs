//! What the core tells, under its own names: the facts of each kind of event, of a session's beginning, and of statistics.
//!
//! Each says what it holds and whether it is always there, for the documents that are written from an app file. What an operation
//! takes and answers is the [catalogue](super::catalogue)'s.

use crate::event::EventKind;

/// What a fact or a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// Written as it is.
    Plain(Holds),
    /// Anything that a client or backend chose; every path below it is allowed.
    Open,
    /// An object with these facts.
    Object(&'static [Fact]),
    /// A list of objects with these facts.
    List(&'static [Fact]),
}

/// What stands in a fact that is no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A text.
    Text,
    /// An id that the server made: a UUID.
    Uuid,
    /// A text or a whole number, as somebody else chose it.
    Id,
    /// A whole number from 0.
    Integer,
    /// True or false.
    Boolean,
    /// A time in ISO 8601.
    Time,
    /// A list of ids of users.
    Ids,
    /// A list of texts.
    Texts,
    /// A role that the file declares.
    Role,
    /// A status of `[presence]`, or `offline`.
    Presence,
    /// A status of an item.
    ItemStatus,
    /// The name of an `[items]` table.
    ItemKind,
}

/// A named fact: its name, what it holds, and whether it is always there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fact(pub &'static str, pub Type, pub bool);

use Holds::{
    Boolean, Id, Ids, Integer, ItemKind, ItemStatus, Presence, Role, Text, Texts, Time, Uuid,
};
use Type::{List, Object, Open, Plain};

pub(super) const fn has(name: &'static str, holds: Holds) -> Fact {
    Fact(name, Plain(holds), true)
}

const fn perhaps(name: &'static str, holds: Holds) -> Fact {
    Fact(name, Plain(holds), false)
}

const PERSON: &[Fact] = &[has("id", Id), has("name", Text), perhaps("role", Role)];

/// Facts of every event, whatever its kind: they come from the record itself, not from its body.
pub(super) const ENVELOPE: &[Fact] = &[
    Fact("actor", Object(PERSON), false),
    perhaps("target", Id),
    perhaps("position", Integer),
    perhaps("at", Time),
    perhaps("tenant", Text),
    Fact("room", Open, false), // checked against the room kinds of the file
];

pub(super) const MESSAGE: &[Fact] = &[
    has("id", Uuid),
    has("seq", Integer),
    Fact("sender", Object(PERSON), true),
    perhaps("recipient", Id),
    has("kind", Text),
    has("body", Text),
    perhaps("channel", Text),
    perhaps("key", Text),
    perhaps("replyTo", Uuid),
    has("mentions", Ids),
    has("createdAt", Time),
    perhaps("editedAt", Time),
    perhaps("deletedAt", Time),
];
/// Of somebody who is or was here.
pub(super) const PRESENCE: &[Fact] = &[
    has("userId", Id),
    has("userName", Text),
    perhaps("role", Role),
    perhaps("online", Boolean),
    has("status", Presence),
    perhaps("customStatus", Text),
    perhaps("lastSeen", Time),
];
/// Of anybody, known or not.
pub(super) const SOMEBODY: &[Fact] = &[
    has("userId", Id),
    perhaps("userName", Text),
    perhaps("role", Role),
    has("online", Boolean),
    has("status", Presence),
    perhaps("customStatus", Text),
    perhaps("lastSeen", Time),
];
const CHANGED: &[Fact] = &[
    has("userId", Id),
    has("userName", Text),
    perhaps("role", Role),
    has("online", Boolean),
    has("status", Presence),
    perhaps("customStatus", Text),
    has("lastSeen", Time),
];
const READ: &[Fact] = &[
    has("userId", Id),
    has("userName", Text),
    has("seq", Integer),
    perhaps("recipient", Id),
];
const TYPING: &[Fact] = &[
    has("userId", Id),
    has("userName", Text),
    has("isTyping", Boolean),
    perhaps("recipient", Id),
    perhaps("roomId", Id),
];
const MENTION: &[Fact] = &[has("messageId", Uuid), has("excerpt", Text)];
const RELAY: &[Fact] = &[has("event", Text), Fact("data", Open, true)];
pub(super) const NOTIFICATION: &[Fact] = &[
    has("id", Uuid),
    has("title", Text),
    has("message", Text),
    perhaps("type", Text),
    Fact("data", Open, false),
    has("read", Boolean),
    has("createdAt", Time),
];
const NOTIFICATIONS_READ: &[Fact] = &[perhaps("id", Uuid), has("all", Boolean)];
const MEMBERSHIP: &[Fact] = &[
    has("userId", Id),
    perhaps("itemId", Id),
    Fact("owner", Object(PERSON), false),
];
pub(super) const FILE: &[Fact] = &[
    has("id", Uuid),
    has("filename", Text),
    has("url", Text),
    has("thumbnailUrl", Text),
    has("contentType", Text),
    has("bytes", Integer),
];
pub(super) const ITEM: &[Fact] = &[
    has("id", Id),
    has("kind", ItemKind),
    perhaps("status", ItemStatus),
    Fact("fields", Open, true), // checked against the items' fields
    Fact("owner", Object(PERSON), false),
    perhaps("assignee", Id),
    perhaps("reason", Text),
    Fact("files", List(FILE), false),
    perhaps("key", Text),
    has("createdAt", Time),
    has("updatedAt", Time),
];
pub(super) const ROOM: &[Fact] = &[
    has("id", Text),
    has("name", Text),
    has("kind", Text),
    has("unread", Integer),
    has("lastSeq", Integer),
];
pub(super) const MEMBER: &[Fact] = &[has("userId", Id), has("addedAt", Time)];

/// The facts of an event's body.
pub(super) const fn event_facts(kind: EventKind) -> &'static [Fact] {
    match kind {
        EventKind::MessageSent | EventKind::MessageEdited | EventKind::MessageDeleted => MESSAGE,
        EventKind::MessageRead => READ,
        EventKind::MessageMentioned => MENTION,
        EventKind::RoomJoined | EventKind::RoomLeft => PRESENCE,
        EventKind::MemberAdded | EventKind::MemberRemoved => MEMBERSHIP,
        EventKind::TypingChanged => TYPING,
        EventKind::PresenceOnline | EventKind::PresenceOffline | EventKind::PresenceChanged => {
            CHANGED
        }
        EventKind::RelaySent => RELAY,
        EventKind::NotifySent => NOTIFICATION,
        EventKind::NotifyRead => NOTIFICATIONS_READ,
        EventKind::ItemCreated
        | EventKind::ItemUpdated
        | EventKind::ItemMoved
        | EventKind::ItemAssigned
        | EventKind::ItemFileAttached => ITEM,
    }
}

/// Facts of what opens a session: `connected`, and what follows it.
pub(super) const SESSION: &[Fact] = &[
    Fact("user", Object(PERSON), true),
    has("permissions", Texts),
    has("tenant", Text),
    has("sessionId", Text),
    has("resumed", Boolean),
    has("rooms", Texts),
    Fact("online", List(PRESENCE), true),
];

/// Counters for `GET /metrics` and statistics routes. "Now" is this node's view, "total" since its start.
pub(super) const COUNTERS: &[Fact] = &[
    has("activeConnections", Integer),
    has("totalConnections", Integer),
    has("connectedUsers", Integer),
    has("rooms", Integer),
    has("activeTenants", Integer),
    has("messagesPerMinute", Integer),
    has("uptimeSeconds", Integer),
];

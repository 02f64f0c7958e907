//! What the core can be asked and what it tells, under its own names: the words that an app file maps to and from.
//!
//! Three tables: the facts of each kind of event, the fields that each operation takes, and the facts of each
//! operation's reply. A file that names anything else is told so at start. Nothing here runs on the hot path.

use crate::event::EventKind;

/// What a fact or a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    /// Text, number, boolean, list of those: written as it is.
    Plain,
    /// Anything that a client or backend chose; every path below it is allowed.
    Open,
    /// An object with these facts.
    Object(&'static [Fact]),
    /// A list of objects with these facts.
    List(&'static [Fact]),
}

/// A named fact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fact(pub(super) &'static str, pub(super) Type);

use Type::{List, Object, Open, Plain};

const PERSON: &[Fact] = &[Fact("id", Plain), Fact("name", Plain), Fact("role", Plain)];

/// Facts of every event, whatever its kind: they come from the record itself, not from its body.
pub(super) const ENVELOPE: &[Fact] = &[
    Fact("actor", Object(PERSON)),
    Fact("target", Plain),
    Fact("position", Plain),
    Fact("at", Plain),
    Fact("tenant", Plain),
    Fact("room", Open), // checked against the room kinds of the file
];

const MESSAGE: &[Fact] = &[
    Fact("id", Plain),
    Fact("seq", Plain),
    Fact("sender", Object(PERSON)),
    Fact("recipient", Plain),
    Fact("kind", Plain),
    Fact("body", Plain),
    Fact("channel", Plain),
    Fact("key", Plain),
    Fact("replyTo", Plain),
    Fact("mentions", Plain),
    Fact("createdAt", Plain),
    Fact("editedAt", Plain),
    Fact("deletedAt", Plain),
];
const PRESENCE: &[Fact] = &[
    Fact("userId", Plain),
    Fact("userName", Plain),
    Fact("role", Plain),
    Fact("online", Plain),
    Fact("status", Plain),
    Fact("customStatus", Plain),
    Fact("lastSeen", Plain),
];
const READ: &[Fact] = &[
    Fact("userId", Plain),
    Fact("userName", Plain),
    Fact("seq", Plain),
    Fact("recipient", Plain),
];
const TYPING: &[Fact] = &[
    Fact("userId", Plain),
    Fact("userName", Plain),
    Fact("isTyping", Plain),
    Fact("recipient", Plain),
    Fact("roomId", Plain),
];
const MENTION: &[Fact] = &[Fact("messageId", Plain), Fact("excerpt", Plain)];
const RELAY: &[Fact] = &[Fact("event", Plain), Fact("data", Open)];
const NOTIFICATION: &[Fact] = &[
    Fact("id", Plain),
    Fact("title", Plain),
    Fact("message", Plain),
    Fact("type", Plain),
    Fact("data", Open),
    Fact("read", Plain),
    Fact("createdAt", Plain),
];
const FILE: &[Fact] = &[
    Fact("id", Plain),
    Fact("filename", Plain),
    Fact("url", Plain),
    Fact("thumbnailUrl", Plain),
    Fact("contentType", Plain),
    Fact("bytes", Plain),
];
const ITEM: &[Fact] = &[
    Fact("id", Plain),
    Fact("kind", Plain),
    Fact("status", Plain),
    Fact("fields", Open), // checked against the items' fields
    Fact("owner", Object(PERSON)),
    Fact("assignee", Plain),
    Fact("reason", Plain),
    Fact("files", List(FILE)),
    Fact("key", Plain),
    Fact("createdAt", Plain),
    Fact("updatedAt", Plain),
];
const ROOM: &[Fact] = &[
    Fact("id", Plain),
    Fact("name", Plain),
    Fact("kind", Plain),
    Fact("unread", Plain),
    Fact("lastSeq", Plain),
];
const MEMBER: &[Fact] = &[Fact("userId", Plain), Fact("addedAt", Plain)];

/// The facts of an event's body.
pub(super) const fn event_facts(kind: EventKind) -> &'static [Fact] {
    match kind {
        EventKind::MessageSent | EventKind::MessageEdited | EventKind::MessageDeleted => MESSAGE,
        EventKind::MessageRead => READ,
        EventKind::MessageMentioned => MENTION,
        EventKind::RoomJoined | EventKind::RoomLeft => PRESENCE,
        EventKind::MemberAdded | EventKind::MemberRemoved => {
            &[
                Fact("userId", Plain),
                Fact("itemId", Plain),
                Fact("owner", Object(PERSON)),
            ]
        }
        EventKind::TypingChanged => TYPING,
        EventKind::PresenceOnline | EventKind::PresenceOffline | EventKind::PresenceChanged => {
            PRESENCE
        }
        EventKind::RelaySent => RELAY,
        EventKind::NotifySent => NOTIFICATION,
        EventKind::NotifyRead => &[Fact("id", Plain), Fact("all", Plain)],
        EventKind::ItemCreated
        | EventKind::ItemUpdated
        | EventKind::ItemMoved
        | EventKind::ItemAssigned
        | EventKind::ItemFileAttached => ITEM,
    }
}

/// Facts of what opens a session: `connected`, and what follows it.
pub(super) const SESSION: &[Fact] = &[
    Fact("user", Object(PERSON)),
    Fact("permissions", Plain),
    Fact("tenant", Plain),
    Fact("sessionId", Plain),
    Fact("resumed", Plain),
    Fact("rooms", Plain),
    Fact("online", List(PRESENCE)),
];

/// Counters for `GET /metrics` and statistics routes. "Now" is this node's view, "total" since its start.
pub(super) const COUNTERS: &[Fact] = &[
    Fact("activeConnections", Plain),
    Fact("totalConnections", Plain),
    Fact("connectedUsers", Plain),
    Fact("rooms", Plain),
    Fact("activeTenants", Plain),
    Fact("messagesPerMinute", Plain),
    Fact("uptimeSeconds", Plain),
];

/// What a field of an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    /// Text or a whole number.
    Id,
    Integer,
    Boolean,
    Object,
    Anything,
}

impl Takes {
    /// In words, and as JSON Schema types.
    pub(super) const fn types(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Takes::Text => ("a text", &["string"]),
            Takes::Id => ("a text or a whole number", &["string", "integer"]),
            Takes::Integer => ("a whole number", &["integer"]),
            Takes::Boolean => ("true or false", &["boolean"]),
            Takes::Object => ("an object", &["object"]),
            Takes::Anything => ("anything", &[]),
        }
    }
}

/// A field of an operation, under the core's name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) required: bool,
}

const fn must(name: &'static str, takes: Takes) -> Parameter {
    Parameter {
        name,
        takes,
        required: true,
    }
}
const fn may(name: &'static str, takes: Takes) -> Parameter {
    Parameter {
        name,
        takes,
        required: false,
    }
}

/// What an operation's `room` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// It has none.
    None,
    /// It needs a room.
    Room,
    /// It may have a room.
    MaybeRoom,
    /// It needs a room or a direct pair.
    Conversation,
}

/// An operation of a capability.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) scope: Scope,
    pub(super) parameters: &'static [Parameter],
    pub(super) reply: &'static [Fact],
}

const IS_TYPING: &[Fact] = &[Fact("isTyping", Plain)];
const LIMIT: Parameter = may("limit", Takes::Integer);
const ITEM_PARAMETERS: &[Parameter] = &[
    may("id", Takes::Id),
    may("fields", Takes::Object),
    may("status", Takes::Text),
    may("assignee", Takes::Id),
    may("owner", Takes::Id),
    may("reason", Takes::Text),
    may("key", Takes::Text),
];
const ITEM_REPLY: &[Fact] = &[Fact("item", Object(ITEM))];

const fn operation(
    name: &'static str,
    scope: Scope,
    parameters: &'static [Parameter],
    reply: &'static [Fact],
) -> Operation {
    Operation {
        name,
        scope,
        parameters,
        reply,
    }
}

/// Every operation that `do` may name.
pub(super) const OPERATIONS: &[Operation] = &[
    operation("session.ping", Scope::None, &[], &[Fact("at", Plain)]),
    operation(
        "room.join",
        Scope::Room,
        &[],
        &[
            Fact("online", List(PRESENCE)),
            Fact("lastSeq", Plain),
            Fact("unread", Plain),
        ],
    ),
    operation("room.leave", Scope::Room, &[], &[]),
    operation(
        "room.online",
        Scope::Room,
        &[],
        &[Fact("users", List(PRESENCE)), Fact("count", Plain)],
    ),
    operation(
        "room.add_member",
        Scope::Room,
        &[must("user", Takes::Id)],
        &[Fact("userId", Plain)],
    ),
    operation(
        "room.remove_member",
        Scope::Room,
        &[must("user", Takes::Id)],
        &[Fact("userId", Plain)],
    ),
    operation(
        "room.members",
        Scope::Room,
        &[],
        &[Fact("members", List(MEMBER))],
    ),
    operation("room.follow", Scope::Room, &[], &[]),
    operation("room.unfollow", Scope::Room, &[], &[]),
    operation("room.list", Scope::None, &[], &[Fact("rooms", List(ROOM))]),
    operation(
        "room.create",
        Scope::None,
        &[
            may("id", Takes::Id),
            must("name", Takes::Text),
            must("kind", Takes::Text),
        ],
        &[Fact("room", Object(ROOM))],
    ),
    operation(
        "message.send",
        Scope::Conversation,
        &[
            must("body", Takes::Text),
            may("kind", Takes::Text),
            may("recipient", Takes::Id),
            may("channel", Takes::Text),
            may("key", Takes::Text),
            may("replyTo", Takes::Text),
        ],
        &[Fact("message", Object(MESSAGE))],
    ),
    operation(
        "message.history",
        Scope::Conversation,
        &[
            may("channel", Takes::Text),
            may("before", Takes::Integer),
            may("after", Takes::Integer),
            LIMIT,
        ],
        &[Fact("messages", List(MESSAGE)), Fact("hasMore", Plain)],
    ),
    operation(
        "message.read",
        Scope::Conversation,
        &[must("seq", Takes::Integer)],
        &[Fact("seq", Plain)],
    ),
    operation(
        "message.edit",
        Scope::None,
        &[must("id", Takes::Text), must("body", Takes::Text)],
        &[Fact("message", Object(MESSAGE))],
    ),
    operation(
        "message.delete",
        Scope::None,
        &[must("id", Takes::Text)],
        &[Fact("id", Plain)],
    ),
    operation("typing.start", Scope::Conversation, &[], IS_TYPING),
    operation("typing.stop", Scope::Conversation, &[], IS_TYPING),
    operation(
        "typing.set",
        Scope::Conversation,
        &[must("isTyping", Takes::Boolean)],
        IS_TYPING,
    ),
    operation(
        "presence.set",
        Scope::None,
        &[
            must("status", Takes::Text),
            may("customStatus", Takes::Text),
        ],
        PRESENCE,
    ),
    operation(
        "presence.get",
        Scope::None,
        &[must("user", Takes::Id)],
        PRESENCE,
    ),
    operation(
        "presence.list",
        Scope::None,
        &[may("before", Takes::Id), LIMIT],
        &[Fact("users", List(PRESENCE)), Fact("hasMore", Plain)],
    ),
    operation(
        "relay.send",
        Scope::MaybeRoom,
        &[
            must("event", Takes::Text),
            may("data", Takes::Anything),
            may("volatile", Takes::Boolean),
        ],
        &[
            Fact("delivered", Plain),
            Fact("recipients", Plain),
            Fact("online", Plain),
        ],
    ),
    operation("stats.get", Scope::None, &[], COUNTERS),
    operation(
        "notify.send",
        Scope::None,
        &[
            must("user", Takes::Id),
            must("title", Takes::Text),
            must("message", Takes::Text),
            may("type", Takes::Text),
            may("data", Takes::Anything),
        ],
        &[Fact("notification", Object(NOTIFICATION))],
    ),
    operation(
        "notify.list",
        Scope::None,
        &[may("before", Takes::Id), LIMIT],
        &[
            Fact("notifications", List(NOTIFICATION)),
            Fact("unread", Plain),
            Fact("hasMore", Plain),
        ],
    ),
    operation(
        "notify.read",
        Scope::None,
        &[may("id", Takes::Id), may("all", Takes::Boolean)],
        &[Fact("unread", Plain)],
    ),
    operation("item.create", Scope::MaybeRoom, ITEM_PARAMETERS, ITEM_REPLY),
    operation("item.update", Scope::MaybeRoom, ITEM_PARAMETERS, ITEM_REPLY),
    operation("item.save", Scope::MaybeRoom, ITEM_PARAMETERS, ITEM_REPLY),
    operation("item.move", Scope::MaybeRoom, ITEM_PARAMETERS, ITEM_REPLY),
    operation("item.assign", Scope::MaybeRoom, ITEM_PARAMETERS, ITEM_REPLY),
    operation("item.claim", Scope::MaybeRoom, ITEM_PARAMETERS, ITEM_REPLY),
    operation("item.get", Scope::MaybeRoom, ITEM_PARAMETERS, ITEM_REPLY),
    operation("item.delete", Scope::MaybeRoom, ITEM_PARAMETERS, ITEM_REPLY),
    operation(
        "item.attach",
        Scope::MaybeRoom,
        &[must("id", Takes::Id)],
        &[Fact("item", Object(ITEM)), Fact("file", Object(FILE))],
    ),
    operation(
        "file.upload",
        Scope::MaybeRoom,
        &[],
        &[Fact("file", Object(FILE))],
    ),
    operation(
        "item.list",
        Scope::MaybeRoom,
        &[
            may("kind", Takes::Text),
            may("status", Takes::Text),
            may("before", Takes::Id),
            LIMIT,
        ],
        &[Fact("items", List(ITEM)), Fact("hasMore", Plain)],
    ),
];

/// The operation of that name.
pub(super) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

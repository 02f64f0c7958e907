//! What the core can be asked, under its own names: the fields that each operation takes, and the facts of its reply.
//!
//! With the [facts](super::facts) of events these are the words that an app file maps to and from. A file that names anything else is
//! told so at start. Nothing here runs on the hot path.

use super::facts::Holds::{Boolean, Id, Integer, Time, Uuid};
use super::facts::Type::{List, Object};
use super::facts::{
    COUNTERS, FILE, Fact, ITEM, MEMBER, MESSAGE, NOTIFICATION, PRESENCE, ROOM, SOMEBODY, has,
};

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

const IS_TYPING: &[Fact] = &[has("isTyping", Boolean)];
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
const ITEM_REPLY: &[Fact] = &[Fact("item", Object(ITEM), true)];

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
    operation("session.ping", Scope::None, &[], &[has("at", Time)]),
    operation(
        "room.join",
        Scope::Room,
        &[],
        &[
            Fact("online", List(PRESENCE), true),
            has("lastSeq", Integer),
            has("unread", Integer),
        ],
    ),
    operation("room.leave", Scope::Room, &[], &[]),
    operation(
        "room.online",
        Scope::Room,
        &[],
        &[Fact("users", List(PRESENCE), true), has("count", Integer)],
    ),
    operation(
        "room.add_member",
        Scope::Room,
        &[must("user", Takes::Id)],
        &[has("userId", Id)],
    ),
    operation(
        "room.remove_member",
        Scope::Room,
        &[must("user", Takes::Id)],
        &[has("userId", Id)],
    ),
    operation(
        "room.members",
        Scope::Room,
        &[],
        &[Fact("members", List(MEMBER), true)],
    ),
    operation("room.follow", Scope::Room, &[], &[]),
    operation("room.unfollow", Scope::Room, &[], &[]),
    operation(
        "room.list",
        Scope::None,
        &[],
        &[Fact("rooms", List(ROOM), true)],
    ),
    operation(
        "room.create",
        Scope::None,
        &[
            may("id", Takes::Id),
            must("name", Takes::Text),
            must("kind", Takes::Text),
        ],
        &[Fact("room", Object(ROOM), true)],
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
        &[Fact("message", Object(MESSAGE), true)],
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
        &[
            Fact("messages", List(MESSAGE), true),
            has("hasMore", Boolean),
        ],
    ),
    operation(
        "message.read",
        Scope::Conversation,
        &[must("seq", Takes::Integer)],
        &[has("seq", Integer)],
    ),
    operation(
        "message.edit",
        Scope::None,
        &[must("id", Takes::Text), must("body", Takes::Text)],
        &[Fact("message", Object(MESSAGE), true)],
    ),
    operation(
        "message.delete",
        Scope::None,
        &[must("id", Takes::Text)],
        &[has("id", Uuid)],
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
        SOMEBODY,
    ),
    operation(
        "presence.list",
        Scope::None,
        &[may("before", Takes::Id), LIMIT],
        &[Fact("users", List(PRESENCE), true), has("hasMore", Boolean)],
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
            has("delivered", Integer),
            has("recipients", Integer),
            has("online", Boolean),
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
        &[Fact("notification", Object(NOTIFICATION), true)],
    ),
    operation(
        "notify.list",
        Scope::None,
        &[may("before", Takes::Id), LIMIT],
        &[
            Fact("notifications", List(NOTIFICATION), true),
            has("unread", Integer),
            has("hasMore", Boolean),
        ],
    ),
    operation(
        "notify.read",
        Scope::None,
        &[may("id", Takes::Id), may("all", Takes::Boolean)],
        &[has("unread", Integer)],
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
        &[
            Fact("item", Object(ITEM), true),
            Fact("file", Object(FILE), true),
        ],
    ),
    operation(
        "file.upload",
        Scope::MaybeRoom,
        &[],
        &[Fact("file", Object(FILE), true)],
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
        &[Fact("items", List(ITEM), true), has("hasMore", Boolean)],
    ),
];

/// The operation of that name.
pub(super) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

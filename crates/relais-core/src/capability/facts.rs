//! The facts that events and replies carry, under the core's own names: the one list that an app file maps from.
//!
//! Out go JSON objects. Ids of users keep the JSON form of their token, times are ISO 8601 strings, a room is
//! `{"kind", "id"}`; what does not apply is left out, never `null`. Nothing is decided here.
//!
//! | event | body |
//! |---|---|
//! | `message.sent` | a message without `seq` (the record has it): [`message`] |
//! | `message.edited` | the message with `seq` and `editedAt`: [`message`] |
//! | `message.deleted` | the message with `seq` and `deletedAt`, its body empty |
//! | `message.mentioned` | `messageId excerpt` (the first 140 characters) |
//! | `message.read` | `userId userName seq recipient?` |
//! | `room.joined`, `room.left` | someone online: [`someone`] |
//! | `room.member_added`, `room.member_removed` | `userId` |
//! | `typing.changed` | `userId userName isTyping recipient? roomId?` (`roomId`: as the client wrote it) |
//! | `presence.online`, `presence.offline`, `presence.changed` | presence: [`presence`] |
//! | `relay.sent` | `event` (the wire name), `data` |
//! | `notify.sent` | a [`notification`], unread |
//! | `notify.read` | `id` and `all: false`, or `all: true` |
//! | `item.*` | an item as it is after the change: [`item`] |
//!
//! | command | reply |
//! |---|---|
//! | `JoinRoom` | `room` and, where asked for, `online lastSeq unread` (`online`: a list of [`someone`]) |
//! | `LeaveRoom` | `room` |
//! | `RoomOnline` | `room users count` |
//! | `AddMember`, `RemoveMember`, `Follow`, `Unfollow` | `room userId` |
//! | `ListMembers` | `room members` (each `userId addedAt`) |
//! | `ListRooms` | `rooms` (each `id name kind unread lastSeq`; `kind` is the sort) |
//! | `CreateRoom` | `room` (the same) |
//! | `SendMessage` | `message` (with `seq`) |
//! | `Revise` | edited: `message`; deleted: `id room?` |
//! | `History` | `room? messages hasMore` |
//! | `MarkRead` | `room? seq` (the mark as it is now) |
//! | `Typing` | `isTyping` |
//! | `SetPresence` | [`presence`] |
//! | `GetPresence` | `userId online status lastSeen?` and, where known, `userName customStatus` |
//! | `ListPresence` | `users hasMore` |
//! | `Relay` | where it counts: `recipients` and `delivered` (both: connected sessions that were addressed), `online` (whether an addressed user, or anybody, is) |
//! | `Inbox(Send)` | `notification` |
//! | `Inbox(List)` | `notifications unread hasMore` |
//! | `Inbox(Read)` | `unread` (of the whole inbox, as it is now) |
//! | `Ping` | `at` |
//! | `Personal`: `Export` | `records` (each `type` and, by it, what [`personal`](super::personal) says), `next?` |
//! | `Push(Subscribe)` | `subscription` (`endpoint`: of its address only the push service; `createdAt`) |
//! | `Personal`: `Erase` | `messages records memberships` (how many of each) |
//! | `Item` | `item` ([`item`]); nothing for a deletion; for an attached file `file` ([`file`]) besides |
//! | `ListItems` | `items` (a list of [`item`]), `hasMore` |
//! | `Stats` | `activeConnections totalConnections connectedUsers rooms messagesPerMinute uptimeSeconds` |

use serde_json::{Value, json};

use crate::event::{Facts, FileInfo, Item, Message, Notification, Person, Shown};
use crate::ids::{Conversation, RoomKey, Timestamp, UserId};

/// The object of a `json!` literal.
pub(crate) fn object(value: Value) -> Facts {
    match value {
        Value::Object(facts) => facts,
        _ => Facts::new(),
    }
}

/// `{at}`: the server's time.
pub fn pong(at: Timestamp) -> Facts {
    object(json!({ "at": at.to_string() }))
}

/// `{kind, id}`.
pub fn room(room: &RoomKey) -> Value {
    json!({ "kind": room.kind, "id": room.id })
}

/// `{id, name, role?}`.
pub fn person(person: &Person) -> Value {
    let mut facts = Facts::new();
    facts.insert("id".into(), person.id.to_json());
    facts.insert("name".into(), (*person.name).into());
    if let Some(role) = &person.role {
        facts.insert("role".into(), (**role).into());
    }
    Value::Object(facts)
}

/// Someone online: `{userId, userName, role?, status, customStatus?}`.
pub fn someone(shown: &Shown) -> Facts {
    let mut facts = about(&shown.person);
    if let Some(role) = &shown.person.role {
        facts.insert("role".into(), (**role).into());
    }
    facts.insert("status".into(), (*shown.status).into());
    if let Some(custom) = &shown.custom_status {
        facts.insert("customStatus".into(), custom.as_str().into());
    }
    facts
}

/// Presence: someone online with `online` and `lastSeen` besides.
pub fn presence(shown: &Shown) -> Facts {
    let mut facts = someone(shown);
    facts.insert("online".into(), shown.online.into());
    facts.insert("lastSeen".into(), shown.last_seen.to_string().into());
    facts
}

/// `{userId, userName}`.
pub(crate) fn about(person: &Person) -> Facts {
    let mut facts = Facts::new();
    facts.insert("userId".into(), person.id.to_json());
    facts.insert("userName".into(), (*person.name).into());
    facts
}

/// A list of [`someone`].
pub(crate) fn people(shown: &[Shown]) -> Value {
    shown
        .iter()
        .map(|one| Value::Object(someone(one)))
        .collect()
}

/// A chat message: `{id, room?, sender: {id, name, role?}, recipient?, kind, body, channel?, key?, replyTo?, mentions,
/// seq?, createdAt, editedAt?, deletedAt?}`. `seq` is there once it is committed; `recipient` is the other one of a
/// direct pair, or the one that a private message in a room is for.
pub fn message(message: &Message) -> Facts {
    let mut facts = Facts::new();
    facts.insert("id".into(), message.id.to_string().into());
    if let Conversation::Room(key) = &message.conversation {
        facts.insert("room".into(), room(key));
    }
    facts.insert("sender".into(), person(&message.sender));
    if let Some(recipient) = recipient(message) {
        facts.insert("recipient".into(), recipient.to_json());
    }
    facts.insert("kind".into(), (*message.kind).into());
    facts.insert("body".into(), message.body.as_str().into());
    if let Some(channel) = &message.channel {
        facts.insert("channel".into(), (**channel).into());
    }
    if let Some(key) = &message.key {
        facts.insert("key".into(), (**key).into());
    }
    if let Some(id) = &message.reply_to {
        facts.insert("replyTo".into(), id.to_string().into());
    }
    let mentions = message.mentions.iter().map(UserId::to_json).collect();
    facts.insert("mentions".into(), mentions);
    if message.seq.0 > 0 {
        facts.insert("seq".into(), message.seq.0.into());
    }
    facts.insert("createdAt".into(), message.created_at.to_string().into());
    if let Some(at) = message.edited_at {
        facts.insert("editedAt".into(), at.to_string().into());
    }
    if let Some(at) = message.deleted_at {
        facts.insert("deletedAt".into(), at.to_string().into());
    }
    facts
}

/// A notification: `{id, title, message, type?, data?, read, createdAt}`.
pub fn notification(notification: &Notification, is_read: bool) -> Facts {
    let mut facts = Facts::new();
    facts.insert("id".into(), notification.id.to_string().into());
    facts.insert("title".into(), notification.title.as_str().into());
    facts.insert("message".into(), notification.message.as_str().into());
    if let Some(kind) = &notification.kind {
        facts.insert("type".into(), (**kind).into());
    }
    if let Some(data) = &notification.data {
        facts.insert("data".into(), data.clone());
    }
    facts.insert("read".into(), is_read.into());
    let created_at = notification.created_at.to_string();
    facts.insert("createdAt".into(), created_at.into());
    facts
}

/// An item: `{id, kind, room?, status?, fields, owner?: {id, name, role?}, assignee?, reason?, files?, key?, createdAt, updatedAt}`;
/// `files` is a list of [`file`], absent while there is none.
pub fn item(item: &Item) -> Value {
    let mut facts = Facts::new();
    facts.insert("id".into(), item.key.id.to_json());
    facts.insert("kind".into(), (*item.key.shelf.kind).into());
    if let Some(key) = &item.key.shelf.room {
        facts.insert("room".into(), room(key));
    }
    if let Some(status) = &item.status {
        facts.insert("status".into(), (**status).into());
    }
    facts.insert("fields".into(), Value::Object(item.fields.clone()));
    if let Some(owner) = &item.owner {
        facts.insert("owner".into(), person(owner));
    }
    if let Some(assignee) = &item.assignee {
        facts.insert("assignee".into(), assignee.to_json());
    }
    if let Some(reason) = &item.reason {
        facts.insert("reason".into(), reason.as_str().into());
    }
    if !item.files.is_empty() {
        facts.insert("files".into(), item.files.iter().map(file).collect());
    }
    if let Some(key) = &item.temporary_id {
        facts.insert("key".into(), (**key).into());
    }
    facts.insert("createdAt".into(), item.created_at.to_string().into());
    facts.insert("updatedAt".into(), item.updated_at.to_string().into());
    Value::Object(facts)
}

/// A file of an item: `{id, filename, url, contentType, bytes}`.
pub fn file(file: &FileInfo) -> Value {
    json!({
        "id": file.id.to_string(),
        "filename": file.filename,
        "url": file.path,
        "contentType": file.content_type,
        "bytes": file.bytes,
    })
}

/// Whom a message is for, besides its sender.
fn recipient(message: &Message) -> Option<&UserId> {
    match &message.conversation {
        Conversation::Room(_) => message.recipient.as_ref(),
        Conversation::Direct(one, other) if *one == message.sender.id => Some(other),
        Conversation::Direct(one, other) if *other == message.sender.id => Some(one),
        // Erased, with who wrote it.
        Conversation::Direct(..) => None,
    }
}

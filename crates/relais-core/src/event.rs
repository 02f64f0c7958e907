//! What happened: the event that a capability decided, and the record that it becomes once it is committed.
//!
//! An event's `body` holds facts under the core's own names (`id`, `body`, `sender.name`, …). The vocabulary maps
//! them to an application's names when a record is delivered, live or replayed, so a log outlives a renamed field.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{
    AudienceKey, Conversation, Epoch, Id, ItemKey, Moment, Position, RoomKey, Seq, SessionId,
    TenantKey, Timestamp, UserId,
};

/// The facts of an event: a JSON object under the core's names.
pub type Facts = Map<String, Value>;

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What kind of thing happened; the text is what an app file's `on` says and what the log stores.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum EventKind { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl EventKind {
            /// Every kind, for documents and checks.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant,)*];

            /// The kind's text.
            pub const fn name(self) -> &'static str {
                match self { $(EventKind::$variant => $name,)* }
            }

            /// The kind of that text.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(EventKind::$variant),)* _ => None }
            }
        }
    };
}

event_kinds! {
    /// A chat message was stored.
    MessageSent = "message.sent",
    /// A chat message got another body.
    MessageEdited = "message.edited",
    /// A chat message was deleted.
    MessageDeleted = "message.deleted",
    /// A user has read a conversation up to a seq.
    MessageRead = "message.read",
    /// A user was named by `@` in a chat message.
    MessageMentioned = "message.mentioned",
    /// A user's first device entered a room (volatile).
    RoomJoined = "room.joined",
    /// A user's last device left a room (volatile).
    RoomLeft = "room.left",
    /// A user became a member.
    MemberAdded = "room.member_added",
    /// A user is no longer a member.
    MemberRemoved = "room.member_removed",
    /// Somebody began or stopped typing (volatile).
    TypingChanged = "typing.changed",
    /// A user's first device came online (volatile).
    PresenceOnline = "presence.online",
    /// A user's last device went, and the grace is over (volatile).
    PresenceOffline = "presence.offline",
    /// A user's merged status changed, going offline included (volatile).
    PresenceChanged = "presence.changed",
    /// Validated pass-through under a name that the sender chose.
    RelaySent = "relay.sent",
    /// A notification came into a user's inbox.
    NotifySent = "notify.sent",
    /// A notification was read.
    NotifyRead = "notify.read",
    /// An item was created.
    ItemCreated = "item.created",
    /// Fields of an item changed.
    ItemUpdated = "item.updated",
    /// An item moved to another status.
    ItemMoved = "item.moved",
    /// An item has a new assignee.
    ItemAssigned = "item.assigned",
    /// A file was attached to an item.
    ItemFileAttached = "item.file_attached",
}

/// Somebody as records and messages remember them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The user's id, in the JSON form of the token.
    pub id: UserId,
    /// The display name.
    pub name: Arc<str>,
    /// The role that the token gave, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<Arc<str>>,
}

impl Person {
    /// Whoever wrote something that was erased since: nobody in particular.
    pub fn erased() -> Self {
        Self {
            id: UserId::nobody(),
            name: "".into(),
            role: None,
        }
    }
}

/// Something that happened, as a capability decided it, before anybody knows who will hear of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// What else the same command did to the same thing: an item whose fields and status changed at once is one event of two
    /// kinds, and what an app makes of both reaches a session once.
    pub also: Vec<EventKind>,
    /// The room in which it happened.
    pub room: Option<RoomKey>,
    /// Who caused it.
    pub actor: Option<Person>,
    /// The session that caused it, for audiences that leave it out.
    pub session: Option<SessionId>,
    /// The other user that it concerns: recipient, new member, assignee.
    pub target: Option<UserId>,
    /// Whether it is stored and replayed, or may be lost.
    pub durable: bool,
    /// Set where the event takes the next `seq` of a conversation.
    pub takes_seq: Option<Conversation>,
    /// Who hears of it, where the core itself can say: the room or the two people of a message, the contacts of a
    /// presence change, the addressees of a relay. It then outranks what the app file says, so that no file can show
    /// a private message to a room. `None`: the app file says. Not stored: a record has its audience beside the event.
    pub audience: Option<Audience>,
    /// The facts.
    pub body: Facts,
    /// Binary attachments of a volatile relay, in the order of the numbers in its data. Never stored.
    pub attachments: Vec<Bytes>,
}

impl Event {
    /// An event of that kind about nothing and nobody yet, volatile.
    pub fn new(kind: EventKind, body: Facts) -> Self {
        Self {
            kind,
            also: Vec::new(),
            room: None,
            actor: None,
            session: None,
            target: None,
            durable: false,
            takes_seq: None,
            audience: None,
            body,
            attachments: Vec::new(),
        }
    }

    /// All that it is, the first kind first.
    pub fn kinds(&self) -> impl Iterator<Item = EventKind> + Clone {
        std::iter::once(self.kind).chain(self.also.iter().copied())
    }
}

/// Who hears of an event: the union of `to`, without `except`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// United; a session gets the event once.
    pub to: Vec<AudienceKey>,
    /// Left out although `to` has them, with all their sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except_user: Option<UserId>,
    /// One session left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except_session: Option<SessionId>,
}

/// A durable event ready to be appended: position and seq come with the commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    /// The event.
    pub event: Event,
    /// Union of the audiences of all wire events that the app makes of it.
    pub audience: Audience,
}

/// A committed entry of a tenant's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Whose log.
    pub tenant: TenantKey,
    /// Which life of the log.
    pub epoch: Epoch,
    /// Contiguous, in the order of commits.
    pub position: Position,
    /// The message's number where the event took one.
    pub seq: Option<Seq>,
    /// When the command was stamped.
    pub at: Timestamp,
    /// The event (always durable).
    pub event: Event,
    /// As in [`NewRecord`].
    pub audience: Audience,
}

/// An event that nobody stores: typing, presence, volatile relays.
#[derive(Clone, Debug, PartialEq)]
pub struct Volatile {
    /// When the command was stamped.
    pub at: Timestamp,
    /// The event (never durable).
    pub event: Event,
}

/// A chat message as the store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// UUIDv7, made by the server.
    pub id: Id,
    /// Where it belongs.
    pub conversation: Conversation,
    /// Its number there.
    pub seq: Seq,
    /// Position of its `message.sent` record.
    pub position: Position,
    /// Who wrote it.
    pub sender: Person,
    /// Set on a private message: only this user and the sender see it.
    pub recipient: Option<UserId>,
    /// `text`, `image`, … as the app allows.
    pub kind: Arc<str>,
    /// The text; empty once deleted.
    pub body: String,
    /// A label inside the conversation (`wedding`'s `channel`).
    pub channel: Option<Arc<str>>,
    /// The client's temporary id.
    pub key: Option<Arc<str>>,
    /// The message that this one answers.
    pub reply_to: Option<Id>,
    /// Users named by `@`.
    pub mentions: Vec<UserId>,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// A notification as the store keeps it, once for all who got it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// UUIDv7, made by the server.
    pub id: Id,
    /// What it is about (`story`, `follower`), as the application calls it.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Arc<str>>,
    /// In a few words.
    pub title: String,
    /// The text.
    pub message: String,
    /// Whatever the application wants with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// When it was sent.
    pub created_at: Timestamp,
}

/// A thing with fields, an owner and a status, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Kind, room and id.
    pub key: ItemKey,
    /// One of the kind's statuses, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Arc<str>>,
    /// What it holds, under the names of the app file.
    pub fields: Facts,
    /// Who created it; nobody, where the backend did so in nobody's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Person>,
    /// Who it is given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<UserId>,
    /// Why it has its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Files, in the order in which they were attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileInfo>,
    /// Set while somebody may claim it, now or when whoever has it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The client's temporary id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporary_id: Option<Arc<str>>,
    /// SHA-256 of what it was created with, in hexadecimal digits: the same creation again is known by it, whatever the item has become.
    pub origin: Arc<str>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Another one after every change, and in every life of an id that was deleted and came back.
    pub version: u64,
}

/// A file of an item. Its bytes are elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInfo {
    /// UUIDv7, made by the server.
    pub id: Id,
    /// The name that it came with.
    pub filename: Arc<str>,
    /// By which the storage finds it.
    pub path: Arc<str>,
    /// What its bytes are.
    pub content_type: Arc<str>,
    /// How many they are.
    pub bytes: u64,
}

/// When an item can be claimed, and how often whoever had it was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// From then on.
    pub free_at: Timestamp,
    /// Whether somebody has claimed it: when `free_at` passes nevertheless, that one is lost.
    pub is_taken: bool,
    /// How many were lost.
    pub lost: u32,
}

/// The status of somebody without a device.
pub const OFFLINE: &str = "offline";

/// How a user looks to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Who.
    pub person: Person,
    /// Whether there is a device, in grace or not.
    pub online: bool,
    /// Whether a device is connected right now.
    pub connected: bool,
    /// The merged status, or [`OFFLINE`].
    pub status: Arc<str>,
    /// Free text of the device that the status is from.
    pub custom_status: Option<String>,
    /// Last change or sign of life.
    pub last_seen: Timestamp,
}

/// Something about a user that others see: the roster tells it, and an event comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What.
    pub what: What,
    /// The user, right after it.
    pub shown: Shown,
    /// Who hears of it, besides the user; never empty.
    pub to: Vec<AudienceKey>,
    /// When.
    pub at: Moment,
}

/// What others see.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// The first device came.
    Online,
    /// The last device went.
    Offline,
    /// The merged status changed, going offline included.
    Changed,
    /// The first device entered a room.
    Joined(RoomKey),
    /// The last device left a room.
    Left(RoomKey),
}

impl What {
    /// The kind of event that tells it.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Online => EventKind::PresenceOnline,
            Self::Offline => EventKind::PresenceOffline,
            Self::Changed => EventKind::PresenceChanged,
            Self::Joined(_) => EventKind::RoomJoined,
            Self::Left(_) => EventKind::RoomLeft,
        }
    }
}

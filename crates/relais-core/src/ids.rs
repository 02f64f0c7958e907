//! The identifiers of Relais: what a tenant, a user, a room, a place in the log is called.
//!
//! Structured, never joined strings: no spelling of one tenant, room or user can be mistaken for another.
//! Cheap to clone (`Arc<str>` inside), because they travel with every command and record.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The key of everything that belongs together: an application and one tenant of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenantKey {
    /// Name of the app file (`bam`).
    pub app: Arc<str>,
    /// The tenant inside the app; apps without tenants have the one called `default`.
    pub tenant: Arc<str>,
}

impl TenantKey {
    /// Key of `tenant` inside `app`.
    pub fn new(app: impl Into<Arc<str>>, tenant: impl Into<Arc<str>>) -> Self {
        Self {
            app: app.into(),
            tenant: tenant.into(),
        }
    }
}

/// A user as the token named it. Compared as text; serialised in the JSON form (number or string) that the token had.
#[derive(Clone, Debug)]
pub struct UserId {
    text: Arc<str>,
    numeric: bool,
}

impl UserId {
    /// A user whose id was a JSON string.
    pub fn text(id: impl Into<Arc<str>>) -> Self {
        Self {
            text: id.into(),
            numeric: false,
        }
    }

    /// A user from a JSON value: a non-empty string or an integer, else `None`.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::String(text) if !text.is_empty() => Some(Self::text(text.as_str())),
            serde_json::Value::Number(number) if number.is_i64() || number.is_u64() => Some(Self {
                text: number.to_string().into(),
                numeric: true,
            }),
            _ => None,
        }
    }

    /// The id as text, whatever its JSON form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id in its JSON form.
    pub fn to_json(&self) -> serde_json::Value {
        match (
            self.numeric,
            self.text.parse::<i64>(),
            self.text.parse::<u64>(),
        ) {
            (true, Ok(number), _) => number.into(),
            (true, _, Ok(number)) => number.into(),
            _ => serde_json::Value::String(self.text.to_string()),
        }
    }
}

impl PartialEq for UserId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for UserId {}
impl Hash for UserId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl PartialOrd for UserId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for UserId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl Serialize for UserId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}
impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Self::from_json(&value)
            .ok_or_else(|| serde::de::Error::custom("a user id is a string or an integer"))
    }
}

/// One client's logical connection, which survives a reconnect. At least 128 random bits; never shown to others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub Arc<str>);

/// A room: its kind is the name of a `[rooms.*]` table of the app file, its id what the client named.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoomKey {
    /// Which `[rooms.*]` table.
    pub kind: Arc<str>,
    /// Which room of that kind; always text (a number that a client sent is kept as its digits).
    pub id: Arc<str>,
}

impl RoomKey {
    /// The room `id` of `kind`.
    pub fn new(kind: impl Into<Arc<str>>, id: impl Into<Arc<str>>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
        }
    }
}

/// What a chat message belongs to, and what `seq` and idempotency keys are scoped by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Conversation {
    /// The chat of a room. Private messages between two of its participants belong to it too.
    Room(RoomKey),
    /// A direct pair, in sorted order, so that both directions are one conversation.
    Direct(UserId, UserId),
}

impl Conversation {
    /// The direct conversation of two users, whichever of them writes.
    pub fn direct(one: UserId, other: UserId) -> Self {
        if one <= other {
            Self::Direct(one, other)
        } else {
            Self::Direct(other, one)
        }
    }
}

/// Somebody that a record or volatile event is for. A record has a list of them, united.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AudienceKey {
    /// Every session of the tenant.
    Tenant,
    /// Every session in the room.
    Room(RoomKey),
    /// Every session of the user.
    User(UserId),
    /// Every session whose token has the role.
    Role(Arc<str>),
}

/// Place of a record in its tenant's log: 1, 2, 3… without holes, in the order of commits. 0 is before the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Position(pub u64);

/// Number of a chat message in its conversation: 1, 2, 3… without holes. 0 is before the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

/// Life of a tenant's log. It changes only when acknowledged records may have been lost (a backup was restored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch(pub u32);

/// Milliseconds since 1970-01-01 UTC, stamped by the caller. Never used for order.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

/// An id that the server made (UUIDv7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id(pub Uuid);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

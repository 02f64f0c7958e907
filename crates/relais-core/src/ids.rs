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

    /// An id that no token can have: of whoever wrote something that was erased since.
    pub fn nobody() -> Self {
        Self::text("")
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
        if value.as_str() == Some("") {
            return Ok(Self::nobody());
        }
        Self::from_json(&value)
            .ok_or_else(|| serde::de::Error::custom("a user id is a string or an integer"))
    }
}

/// An item's id: what a client chose, or a UUIDv7 of the server's. Compared as text, like a user's, and sent in the JSON form that it had.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemId(pub UserId);

impl ItemId {
    /// An id whose JSON form is a string.
    pub fn text(id: impl Into<Arc<str>>) -> Self {
        Self(UserId::text(id))
    }

    /// The id as text, whatever its JSON form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The id in its JSON form.
    pub fn to_json(&self) -> serde_json::Value {
        self.0.to_json()
    }
}

/// Where items of one kind lie: in a room, or in the tenant itself. Their ids are unique there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shelf {
    /// Name of the `[items.*]` table.
    pub kind: Arc<str>,
    /// The room, where the items belong to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomKey>,
}

/// An item of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemKey {
    /// Where it lies.
    pub shelf: Shelf,
    /// Which one there.
    pub id: ItemId,
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

    /// The room, where it is one's chat.
    pub fn room(&self) -> Option<&RoomKey> {
        match self {
            Self::Room(room) => Some(room),
            Self::Direct(..) => None,
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

/// ISO 8601 in UTC with milliseconds, as every application shows times: `2026-01-31T08:05:09.042Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: i64 = 86_400_000;
        let (day, ms) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS));
        let (year, month, day) = civil_from_days(day);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            ms % 1_000
        )
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that the leap day comes last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Milliseconds since the process started, from a clock that never jumps. Periods (grace, throttles, limits) are
/// measured with it, and nothing else is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The moment `ms` later.
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this, 0 if it is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Now, on both clocks, read by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// For people to read; may jump.
    pub wall: Timestamp,
    /// For periods; never jumps.
    pub monotonic: Monotonic,
}

/// An id that the server made (UUIDv7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id(pub Uuid);

impl Id {
    /// Another id of the same moment, for the `number`th further thing that one command makes (from 1 on).
    pub fn another(self, number: u32) -> Self {
        Self(Uuid::from_u128(self.0.as_u128() ^ u128::from(number)))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_iso_8601_with_milliseconds() {
        let shown = |ms| Timestamp(ms).to_string();
        assert_eq!(shown(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(951_782_400_042), "2000-02-29T00:00:00.042Z");
        assert_eq!(shown(1_798_761_599_999), "2026-12-31T23:59:59.999Z");
        assert_eq!(shown(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_user_id_compares_as_text_and_keeps_its_json_form() {
        let number = UserId::from_json(&serde_json::json!(42)).unwrap();
        assert_eq!(number, UserId::text("42"));
        assert_eq!(number.to_json(), serde_json::json!(42));
        assert_eq!(UserId::from_json(&serde_json::json!(4.2)), None);
    }
}

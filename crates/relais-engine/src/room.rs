//! The names under which events find their sessions: scope, room, position, session id.
//!
//! All of them are opaque to the engine. A [`Scope`] is a wall: rooms live inside one, so nothing crosses it by construction.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// An ordering domain and a wall between strangers (a tenant, in Relais). The user of the library hands out the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub u32);

/// The opaque key of a room inside a scope. Cheap to clone.
///
/// Every session is also alone in the room called like its own [`Sid`]: to reach it, or to leave it out.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Room(Arc<[u8]>);

impl Room {
    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Room {
    fn from(name: &str) -> Self {
        Self(Arc::from(name.as_bytes()))
    }
}

impl From<&[u8]> for Room {
    fn from(key: &[u8]) -> Self {
        Self(Arc::from(key))
    }
}

impl From<&Sid> for Room {
    fn from(sid: &Sid) -> Self {
        Self(Arc::from(sid.0.clone()))
    }
}

impl Borrow<[u8]> for Room {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({})", self.0.escape_ascii())
    }
}

/// The public id of a session: what `socket.id` is in a client, and what stays the same when a session is resumed.
///
/// It is not the Engine.IO sid, which is a bearer and never leaves the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid(Arc<str>);

impl Sid {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Sid {
    fn from(id: &str) -> Self {
        Self(Arc::from(id))
    }
}

impl From<Arc<str>> for Sid {
    fn from(id: Arc<str>) -> Self {
        Self(id)
    }
}

impl Borrow<str> for Sid {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in the log of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Which life of the log; changes only when acknowledged records may have been lost.
    pub epoch: u32,
    /// Contiguous from 1, in commit order; 0 is before the first record.
    pub position: u64,
}

/// How much of a log a session has seen: all records up to `position`, of the last one only the events up to `index`.
///
/// On the wire, as the string that a Socket.IO client gives back: `epoch.position.index`, or `epoch.position` for a whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Which life of the log.
    pub epoch: u32,
    /// The newest record of which something was seen.
    pub position: u64,
    /// The last event seen of that record, from 0; `None`: all of it.
    pub index: Option<u16>,
}

impl Offset {
    /// Everything up to and with the record at `position`.
    pub fn whole(position: Position) -> Self {
        Self {
            epoch: position.epoch,
            position: position.position,
            index: None,
        }
    }

    /// Reads the wire form; anything else is `None`, which is a fresh start and not an error.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let epoch = number(parts.next()?)?;
        let position = number(parts.next()?)?;
        let index = match parts.next() {
            Some(part) => Some(number(part)?),
            None => None,
        };
        parts.next().is_none().then_some(Self {
            epoch,
            position,
            index,
        })
    }
}

/// Digits only: `parse` alone would take a sign.
fn number<T: std::str::FromStr>(part: &str) -> Option<T> {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    part.parse().ok()
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.position)?;
        match self.index {
            Some(index) => write!(f, ".{index}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_reads_back_what_it_wrote() {
        for text in ["1.42.0", "1.42", "4294967295.18446744073709551615.65535"] {
            assert_eq!(Offset::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_offset_that_is_none_is_refused() {
        for text in [
            "",
            "1",
            "1.",
            "1.2.",
            "1.2.3.4",
            "+1.2",
            "1.-2",
            "1.2.99999",
            "a.b",
        ] {
            assert_eq!(Offset::parse(text), None, "{text}");
        }
    }
}

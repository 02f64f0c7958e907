//! The core's audience keys as the engine's opaque room keys.
//!
//! Injective: a tag byte, then lengths before parts. No spelling of a room, user or role equals another's, nor a session's own room
//! (which is its sid, printable text: no tag is).

use relais_core::ids::{AudienceKey, RoomKey, UserId};
use relais_engine::Room;

const TENANT: u8 = 0;
const ROOM: u8 = 1;
const USER: u8 = 2;
const ROLE: u8 = 3;
const TOKEN: u8 = 4;

/// The engine's room of an audience key.
pub fn of(key: &AudienceKey) -> Room {
    match key {
        AudienceKey::Tenant => tenant(),
        AudienceKey::Room(key) => room(key),
        AudienceKey::User(id) => user(id),
        AudienceKey::Role(name) => role(name),
    }
}

/// Everybody of the tenant.
pub fn tenant() -> Room {
    Room::from([TENANT].as_slice())
}

/// All sessions in a room.
pub fn room(key: &RoomKey) -> Room {
    let length = u32::try_from(key.kind.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    tagged(ROOM, &[&length, key.kind.as_bytes(), key.id.as_bytes()])
}

/// The room that a key stands for, if it is one of [`room`].
pub fn key(room: &Room) -> Option<RoomKey> {
    let (tag, rest) = room.as_bytes().split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (kind, id) = rest.split_at_checked(length)?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    (*tag == ROOM).then_some(RoomKey::new(text(kind)?, text(id)?))
}

/// All sessions of a user.
pub fn user(id: &UserId) -> Room {
    tagged(USER, &[id.as_str().as_bytes()])
}

/// All sessions with a role.
pub fn role(name: &str) -> Room {
    tagged(ROLE, &[name.as_bytes()])
}

/// All sessions that came with one token.
pub fn token(id: &str) -> Room {
    tagged(TOKEN, &[id.as_bytes()])
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Room {
    let mut key = vec![tag];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    Room::from(key.as_slice())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_rooms_key_reads_back_and_no_other_is_taken_for_one() {
        for (kind, id) in [("bam", "42"), ("", ""), ("é", "a\0b")] {
            let of = RoomKey::new(kind, id);
            assert_eq!(key(&room(&of)), Some(of));
        }
        for other in [
            tenant(),
            user(&UserId::text("abcdef")),
            role("abcdef"),
            Room::from("s-id"),
        ] {
            assert_eq!(key(&other), None);
        }
    }

    #[test]
    fn no_two_keys_are_one_room_however_they_are_spelt() {
        let rooms = [
            room(&RoomKey::new("a", "bc")),
            room(&RoomKey::new("ab", "c")),
            room(&RoomKey::new("abc", "")),
            room(&RoomKey::new("", "abc")),
            room(&RoomKey::new("a:b", "c")),
            user(&UserId::text("abc")),
            role("abc"),
            tenant(),
            user(&UserId::text("")),
            role(""),
            Room::from("abc"),
        ];
        assert_eq!(rooms.iter().collect::<HashSet<_>>().len(), rooms.len());
    }
}

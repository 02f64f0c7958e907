//! The facts at hand while a record, a volatile event or a reply is put into an application's words.
//!
//! A [`View`] looks facts up by compiled [`Path`]s: in the body first, and around it in what the record itself says
//! (position, time, room, actor). It decides nothing and formats nothing but ids and times.

use std::sync::Arc;

use serde_json::Value;

use super::rooms::Rooms;
use super::shape::write_json;
use crate::event::{Event, Facts, Person, Record, Volatile};
use crate::ids::{Position, RoomKey, Seq, Timestamp, UserId};

/// A compiled path to a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Path {
    /// `seq`: the record's, else the body's.
    Seq,
    /// Steps into the body.
    Body(Box<[Box<str>]>),
    /// `position`.
    Position,
    /// `at`.
    At,
    /// `target`.
    Target,
    /// `tenant`.
    Tenant,
    /// `actor`, or a part of it.
    Actor(PersonPart),
    /// A part of the room.
    Room(RoomPart),
}

/// A part of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonPart {
    /// `{id, name, role?}`.
    Whole,
    /// In the JSON form of the token.
    Id,
    /// The display name.
    Name,
    /// The role, if any.
    Role,
}

/// A part of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomPart {
    /// The id.
    Id,
    /// The id, where the room is of one of these kinds.
    IdOf(Vec<Arc<str>>),
    /// The name on the wire.
    Name,
    /// The kind.
    Kind,
}

impl Path {
    pub(super) fn body(steps: &[&str]) -> Self {
        match steps {
            ["seq"] => Path::Seq,
            _ => Path::Body(steps.iter().map(|step| (*step).into()).collect()),
        }
    }

    /// Whether it begins at this fact of the body.
    pub(super) fn reads(&self, fact: &str) -> bool {
        matches!(self, Path::Body(steps) if steps.first().is_some_and(|first| **first == *fact))
    }

    /// A path into the envelope; its names are those of the [facts](super::facts).
    pub(super) fn envelope(first: &str, rest: &[&str]) -> Self {
        match (first, rest) {
            ("position", _) => Path::Position,
            ("at", _) => Path::At,
            ("target", _) => Path::Target,
            ("tenant", _) => Path::Tenant,
            (_, ["id"]) => Path::Actor(PersonPart::Id),
            (_, ["name"]) => Path::Actor(PersonPart::Name),
            (_, ["role"]) => Path::Actor(PersonPart::Role),
            _ => Path::Actor(PersonPart::Whole),
        }
    }
}

/// The facts at hand.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) rooms: &'v Rooms,
    pub(super) body: &'v Facts,
    pub(super) room: Option<&'v RoomKey>,
    pub(super) seq: Option<Seq>,
    pub(super) position: Option<Position>,
    pub(super) at: Option<Timestamp>,
    pub(super) actor: Option<&'v Person>,
    pub(super) target: Option<&'v UserId>,
    pub(super) tenant: Option<&'v str>,
}

impl<'v> View<'v> {
    /// Of facts alone: a reply, a statistic.
    pub(super) fn of_facts(rooms: &'v Rooms, body: &'v Facts) -> Self {
        Self {
            rooms,
            body,
            room: None,
            seq: None,
            position: None,
            at: None,
            actor: None,
            target: None,
            tenant: None,
        }
    }

    /// Of an event that has no place in the log (yet).
    pub(super) fn of_event(rooms: &'v Rooms, event: &'v Event) -> Self {
        Self {
            room: event.room.as_ref(),
            actor: event.actor.as_ref(),
            target: event.target.as_ref(),
            ..Self::of_facts(rooms, &event.body)
        }
    }

    pub(super) fn of_record(rooms: &'v Rooms, record: &'v Record) -> Self {
        Self {
            seq: record.seq,
            position: Some(record.position),
            at: Some(record.at),
            tenant: Some(&record.tenant.tenant),
            ..Self::of_event(rooms, &record.event)
        }
    }

    pub(super) fn of_volatile(rooms: &'v Rooms, volatile: &'v Volatile) -> Self {
        Self {
            at: Some(volatile.at),
            ..Self::of_event(rooms, &volatile.event)
        }
    }

    /// The same, looking into an object of the body.
    pub(super) fn inside(&self, body: &'v Facts) -> Self {
        Self {
            body,
            seq: None,
            ..*self
        }
    }

    /// A fact of the body; those around it are not values but are written straight.
    pub(super) fn value(&self, path: &Path) -> Option<&'v Value> {
        let found = match path {
            Path::Seq => self.body.get("seq"),
            Path::Body(steps) => {
                let (first, rest) = steps.split_first()?;
                let mut found = self.body.get(&**first)?;
                for step in rest {
                    found = found.get(&**step)?;
                }
                Some(found)
            }
            Path::Position | Path::At | Path::Target | Path::Tenant => None,
            Path::Actor(_) | Path::Room(_) => None,
        };
        found.filter(|value| !value.is_null())
    }

    /// Whether there is such a fact.
    pub(super) fn has(&self, path: &Path) -> bool {
        match path {
            Path::Seq => self.seq.is_some() || self.value(path).is_some(),
            Path::Body(_) => self.value(path).is_some(),
            Path::Position => self.position.is_some(),
            Path::At => self.at.is_some(),
            Path::Target => self.target.is_some(),
            Path::Tenant => self.tenant.is_some(),
            Path::Actor(PersonPart::Role) => self.actor.is_some_and(|actor| actor.role.is_some()),
            Path::Actor(_) => self.actor.is_some(),
            Path::Room(part) => self.room_part(part).is_some(),
        }
    }

    /// Writes a fact as JSON, `null` where it is absent.
    pub(super) fn write(&self, path: &Path, out: &mut Vec<u8>) {
        if let Some(value) = self.value(path)
            && !(matches!(path, Path::Seq) && self.seq.is_some())
        {
            return write_json(value, out);
        }
        match path {
            Path::Seq => write_json(&self.seq, out),
            Path::Position => write_json(&self.position, out),
            Path::At => write_json(&self.at.map(|at| at.to_string()), out),
            Path::Target => write_json(&self.target, out),
            Path::Tenant => write_json(&self.tenant, out),
            Path::Actor(part) => self.write_actor(*part, out),
            Path::Room(part) => write_json(&self.room_part(part), out),
            Path::Body(_) => out.extend_from_slice(b"null"),
        }
    }

    fn write_actor(&self, part: PersonPart, out: &mut Vec<u8>) {
        match part {
            PersonPart::Whole => write_json(&self.actor, out),
            PersonPart::Id => write_json(&self.actor.map(|actor| &actor.id), out),
            PersonPart::Name => write_json(&self.actor.map(|actor| &actor.name), out),
            PersonPart::Role => {
                write_json(&self.actor.and_then(|actor| actor.role.as_ref()), out);
            }
        }
    }

    pub(super) fn room_part(&self, part: &RoomPart) -> Option<String> {
        let from_body;
        let room = match self.room {
            Some(room) => room,
            None => {
                from_body = body_room(self.body)?;
                &from_body
            }
        };
        match part {
            RoomPart::Id => Some(room.id.to_string()),
            RoomPart::IdOf(kinds) => kinds.contains(&room.kind).then(|| room.id.to_string()),
            RoomPart::Name => Some(self.rooms.wire_name(room)),
            RoomPart::Kind => Some(room.kind.to_string()),
        }
    }
}

fn body_room(body: &Facts) -> Option<RoomKey> {
    let room = body.get("room")?;
    let part = |name: &str| room.get(name).and_then(Value::as_str);
    Some(RoomKey::new(part("kind")?, part("id")?))
}

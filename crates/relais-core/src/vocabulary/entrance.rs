//! The addresses of the plain JSON WebSocket: which of them a path is, and how a session enters the room that one names.
//!
//! In: a path below the app's address. Out: the room in it, and the command that joins it, as the app's own event for that would ask it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::client::ClientEvent;
use super::command::{Asker, Verb};
use super::http::decode;
use super::places::{Place, RoomId};
use super::request::{Answer, Request};
use super::rooms::ROOM_BYTES_MAX;
use super::rule::Source;
use super::{App, SocketPath};
use crate::command::Command;
use crate::error::{Code, Error};
use crate::ids::RoomKey;

/// The join that an address asks for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is asked.
    pub command: Command,
    /// How it is answered; `None`: the app has no event by which clients join such a room, so silently.
    pub answer: Option<Answer>,
}

impl App {
    /// Whether plain JSON WebSockets are accepted at a path, and the room that it names.
    pub fn entrance(&self, path: &str) -> Option<Option<RoomKey>> {
        let mut entrances = self.websocket.iter();
        entrances.find_map(|entrance| entrance.room(path))
    }

    /// The command that joins the room of an address.
    ///
    /// Errors: as those of the client event by which the room is joined.
    pub fn enter(&self, room: &RoomKey, asker: Asker<'_>) -> Result<Entry, Error> {
        let mut events = self.client.iter();
        let event = events.find_map(|event| Some((event, field_of(event, &room.kind)?)));
        let Some((event, field)) = event else {
            return silently(room);
        };
        let id = Value::from(&*room.id);
        let arguments = match event.arguments.is_empty() {
            true => vec![Value::Object(Map::from_iter([(field.to_owned(), id)]))],
            false => vec![id],
        };
        let Request { command, answer } = self.command(&event.rule.subject, &arguments, asker)?;
        Ok(Entry {
            command,
            answer: Some(answer),
        })
    }
}

impl SocketPath {
    fn room(&self, path: &str) -> Option<Option<RoomKey>> {
        match (self.matches(path)?, &self.room) {
            (Some(id), Some(kind)) => Some(Some(RoomKey::new(kind.clone(), decode(id, false)?))),
            _ => Some(None),
        }
    }
}

/// The field by which a client event names the room of that kind that it joins, where that is all that it does.
fn field_of<'e>(event: &'e ClientEvent, joined: &Arc<str>) -> Option<&'e str> {
    let rule = &event.rule;
    match (&rule.verb, &rule.places[..]) {
        (Verb::JoinRoom, [Place::Room(kind, RoomId::Given(Source::Field(field, steps)))])
            if kind == joined && steps.is_empty() =>
        {
            Some(&rule.fields.0.get(*field)?.name)
        }
        _ => None,
    }
}

fn silently(room: &RoomKey) -> Result<Entry, Error> {
    if room.id.len() > ROOM_BYTES_MAX || room.id.chars().any(char::is_control) {
        let text = "unable to join room; the address names none";
        return Err(Error::new(Code::InvalidPayload, text));
    }
    Ok(Entry {
        command: Command::JoinRoom {
            room: room.clone(),
            with_online: false,
            with_last_seq: false,
            with_unread: false,
        },
        answer: None,
    })
}

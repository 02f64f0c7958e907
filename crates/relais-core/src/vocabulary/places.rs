//! Rooms and people that a command is about or goes to: `room` and `to` of client events and routes.
//!
//! Out of words such as `"bam"`, `"direct:{recipientId}"` or `"role:dj"` come [`Place`]s, checked against the file's rooms,
//! roles and the fields of the payload. Filling them with what a client sent is [`super::command`]'s.

use std::sync::Arc;

use super::catalogue::{Operation, Scope};
use super::mistake::suggestion;
use super::reader::{Entry, Table, texts};
use super::rooms::{Automatic, RoomKind, template};
use super::rule::{Compiler, Source, source};
use super::schema::Fields;

/// A room, or somebody, that a command is about or goes to.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Room(Arc<str>, RoomId),
    /// The pair of the actor and this user.
    Direct(Source),
    /// Audiences of a relay.
    Tenant,
    Actor,
    User(Source),
    Role(Arc<str>),
}

/// Which room of its kind.
#[derive(Clone, Debug)]
pub(super) enum RoomId {
    Only,
    Tenant,
    Actor,
    Given(Source),
}

impl<'t> Compiler<'t> {
    pub(super) fn rooms_of(
        &self,
        table: &Table<'t>,
        operation: &Operation,
        entry: Option<&Entry<'t>>,
        fields: &Fields,
    ) -> Vec<Place> {
        let Some(entry) = entry else {
            if matches!(operation.scope, Scope::Room | Scope::Conversation) {
                let text = format!(
                    "{} needs \"room\": the name of a [rooms] table",
                    operation.name
                );
                table.note(table.at.start, text);
            }
            return Vec::new();
        };
        if operation.scope == Scope::None {
            table.note(
                entry.at.start,
                format!("{} has no \"room\"", operation.name),
            );
        }
        let mut places = Vec::new();
        for (word, at) in texts(table.reader, "room", entry.node) {
            match self.place(word, fields) {
                Ok(Place::Direct(_)) if operation.scope != Scope::Conversation => {
                    let text = format!(
                        "{} is about a room, not about a direct pair",
                        operation.name
                    );
                    table.note(at, text);
                }
                Ok(place @ (Place::Room(..) | Place::Direct(_))) => places.push(place),
                Ok(_) => table.note(at, format!("\"{word}\" is not a room")),
                Err(problem) => table.note(at, problem),
            }
        }
        places
    }

    pub(super) fn targets_of(
        &self,
        table: &Table<'t>,
        operation: &Operation,
        entry: Option<&Entry<'t>>,
        fields: &Fields,
    ) -> Vec<Place> {
        let relays = operation.name == "relay.send";
        let Some(entry) = entry else {
            if relays {
                let text =
                    "relay.send needs \"to\", such as \"tenant\", \"user:{userId}\" or a room";
                table.note(table.at.start, text);
            }
            return Vec::new();
        };
        if !relays {
            let text = format!(
                "{} takes no \"to\"; who hears of it is said in [server]",
                operation.name
            );
            table.note(entry.at.start, text);
            return Vec::new();
        }
        let mut places = Vec::new();
        for (word, at) in texts(table.reader, "to", entry.node) {
            match self.place(word, fields) {
                Ok(Place::Direct(_)) => {
                    table.note(at, "a relay goes to \"user:{field}\", not to a pair")
                }
                Ok(place) => places.push(place),
                Err(problem) => table.note(at, problem),
            }
        }
        places
    }

    /// `kind`, `kind:{field}`, `direct:{field}`, `user:{field}`, `role:NAME`, `tenant`, `actor`.
    fn place(&self, word: &str, fields: &Fields) -> Result<Place, String> {
        let (kind, rest) = word.split_once(':').unwrap_or((word, ""));
        match (kind, rest) {
            ("tenant", "") => return Ok(Place::Tenant),
            ("actor", "") => return Ok(Place::Actor),
            ("role", role) => {
                return match self.roles.contains(&role) {
                    true => Ok(Place::Role(role.into())),
                    false => {
                        let help = suggestion(role, self.roles.iter().copied());
                        Err(format!("unknown role \"{role}\"{help}"))
                    }
                };
            }
            _ => {}
        }
        let person = matches!(kind, "direct" | "user");
        let room = self.shapes.rooms.kind(kind);
        if !person && room.is_none() {
            let kinds = self.shapes.rooms.0.iter().map(|room| &*room.kind);
            let help = suggestion(kind, kinds);
            return Err(format!("unknown room \"{kind}\"{help}"));
        }
        let given = match template(rest)? {
            // Whoever asks, whatever a payload says.
            ("", Some("actor"), "") if kind == "user" => return Ok(Place::Actor),
            ("", Some("actor"), "") => match room.and_then(|room| room.parameter.as_ref()) {
                Some(_) => return Ok(Place::Room(kind.into(), RoomId::Actor)),
                None => return Err(format!("\"{word}\" is nobody's")),
            },
            ("", Some(path), "") => Some(source(path, fields)?),
            ("", None, "") => None,
            _ => {
                return Err(format!(
                    "\"{word}\": write \"{kind}\" or \"{kind}:{{field}}\""
                ));
            }
        };
        match (room, given) {
            (Some(room), given) => {
                room_id(room, given, fields).map(|id| Place::Room(room.kind.clone(), id))
            }
            (None, Some(given)) if kind == "direct" => Ok(Place::Direct(given)),
            (None, Some(given)) => Ok(Place::User(given)),
            (None, None) => Err(format!("\"{kind}\" has to say who: \"{kind}:{{userId}}\"")),
        }
    }
}

fn room_id(room: &RoomKind, given: Option<Source>, fields: &Fields) -> Result<RoomId, String> {
    match (room.automatic, given, &room.parameter) {
        // Whose room it is comes from the token, whatever a payload says.
        (Some(Automatic::Tenant), None, _) => Ok(RoomId::Tenant),
        (Some(Automatic::User), None, _) => Ok(RoomId::Actor),
        (Some(Automatic::Tenant), Some(_), _) => {
            let text = "the room \"{}\" is the tenant's own; write it without a placeholder";
            Err(text.replace("{}", &room.kind))
        }
        (_, Some(_), None) => Err(format!("there is only one room \"{}\"", room.kind)),
        (_, Some(given), Some(_)) => Ok(RoomId::Given(given)),
        (_, None, None) => Ok(RoomId::Only),
        (_, None, Some(parameter)) => source(parameter, fields).map(RoomId::Given).map_err(|_| {
            format!(
                "room \"{}\" needs the field \"{parameter}\", which the payload does not have; add it, or write \"{}:{{field}}\"",
                room.kind, room.kind
            )
        }),
    }
}

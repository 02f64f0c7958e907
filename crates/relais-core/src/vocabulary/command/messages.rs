//! Commands about messages and rooms: what is sent, what becomes of it, and what a new room is.
//!
//! In goes a payload that was checked, out come the core's nouns. What is allowed is not decided here.

use super::super::rooms::RoomKind;
use super::Reading;
use crate::command::{Actor, Command, NewMessage, NewRoom, Revision};
use crate::error::Error;
use crate::ids::Id;

impl Reading<'_, '_> {
    pub(super) fn message(&self) -> Result<NewMessage, Error> {
        let (conversation, other) = self.conversation()?;
        Ok(NewMessage {
            conversation,
            recipient: self.user(2)?.or(other),
            kind: self.text(1)?.unwrap_or_else(|| "text".into()),
            body: self.required(0, Self::string)?,
            channel: self.text(3)?,
            key: self.text(4)?,
            reply_to: self.message_id(5)?,
        })
    }

    fn message_id(&self, parameter: usize) -> Result<Option<Id>, Error> {
        let id = self.text(parameter)?.map(|text| {
            let name = self.rule.parameters[parameter].name;
            let not_one = || self.refuse(&format!("\"{name}\" is not the id of a message"));
            text.parse().map(Id).map_err(|_| not_one())
        });
        id.transpose()
    }

    /// Others' messages are for roles that the file names, and for the backend.
    pub(super) fn revision(&self, body: Option<String>) -> Result<Command, Error> {
        let moderates = match self.asker.actor {
            Actor::Backend => true,
            Actor::User(identity) => {
                let role = identity.person.role.as_ref();
                role.is_some_and(|role| self.rule.roles.contains(role))
            }
        };
        Ok(Command::Revise(Revision {
            id: self.required(0, Self::message_id)?,
            body,
            moderates,
        }))
    }

    /// The sort says of which kind the room is; a kind without sorts is its own.
    pub(super) fn new_room(&self) -> Result<NewRoom, Error> {
        let sort = self.required(2, Self::text)?;
        let is_open = |kind: &&RoomKind| kind.parameter.is_some() && kind.automatic.is_none();
        let mut kinds = self.rooms.0.iter().filter(is_open);
        let kind = kinds.find(|kind| match kind.sorts.is_empty() {
            true => kind.kind == sort,
            false => kind.sorts.iter().any(|(known, _)| *known == sort),
        });
        let kind = kind.ok_or_else(|| self.refuse("\"kind\" is no sort of room"))?;
        Ok(NewRoom {
            kind: kind.kind.clone(),
            id: self.user(0)?.map(|id| id.as_str().into()),
            name: self.required(1, Self::text)?,
            sort,
        })
    }
}

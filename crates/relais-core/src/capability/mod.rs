//! What can be done, capability by capability: pure decisions.
//!
//! In comes a command with what the dispatcher loaded for it, out goes an [`Outcome`]. Capabilities touch nothing,
//! know neither each other nor an application's names, and read no clock: time and new ids came with the command.

pub mod directory;
pub mod facts;
pub mod item;
pub mod message;
pub mod moderation;
pub mod notify;
pub mod personal;
pub mod presence;
pub mod push;
pub mod relay;
pub mod room;
pub mod roster;
pub mod typing;

use std::sync::Arc;

use crate::command::{Actor, Invocation, Origin};
use crate::error::{Code, Error};
use crate::event::{Event, Facts, Person};
use crate::ids::{RoomKey, SessionId, UserId};
use crate::ports::{Change, Idempotency, Precondition};

/// What a capability decided. The dispatcher commits it, publishes it and carries it out, in this order: preconditions,
/// changes and durable events in one transaction; volatile events; effects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The client's temporary id, where it gave one.
    pub idempotency: Option<Idempotency>,
    /// What must still be so at the commit.
    pub preconditions: Vec<Precondition>,
    /// Changes of stored state.
    pub changes: Vec<Change>,
    /// What happened.
    pub events: Vec<Event>,
    /// What happens to sessions of this node afterwards.
    pub effects: Vec<Effect>,
    /// The answer, as far as it does not depend on the commit.
    pub reply: Facts,
}

/// The page before something that is not there, or not for this reader: one rule for all lists of things that have ids of their own. An
/// empty page would look like the end of the list.
pub fn nothing_before(what: &str) -> Error {
    let text = format!("unable to list {what}; the one to list before is not there");
    Error::new(Code::NotFound, text)
}

/// Something that is done to a session once the outcome is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put it into a room.
    Enter {
        /// Which session.
        session: SessionId,
        /// Which room.
        room: RoomKey,
    },
    /// Take it out of a room, after all that was committed until then.
    Leave {
        /// Which session.
        session: SessionId,
        /// Which room.
        room: RoomKey,
    },
    /// Put all sessions of a user into a room that is joined by membership.
    Admit {
        /// Whose.
        user: UserId,
        /// Which room.
        room: RoomKey,
    },
    /// Take all sessions of a user out of a room at once.
    Evict {
        /// Whose.
        user: UserId,
        /// Which room.
        room: RoomKey,
    },
}

/// How the one who asks stands to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The asking session is in the room.
    Joined,
    /// May join, or may act without joining (HTTP, or the team's backend).
    Participant,
    /// Neither.
    Stranger,
}

/// Whether somebody may write in a room, by its sort as far as it is known; a wrong guess makes the commit conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writing {
    /// Which room.
    pub room: RoomKey,
    /// What somebody said it is, if anybody did.
    pub sort: Option<Arc<str>>,
    /// What writing takes.
    pub permission: Arc<str>,
    /// Whether the one who asks has that.
    pub is_allowed: bool,
}

impl Writing {
    /// Refuses whoever may not; else what the commit has to hold against what is kept.
    pub fn check(&self, unable: &str) -> Result<Precondition, Error> {
        if !self.is_allowed {
            let permission = &self.permission;
            let text = format!("{unable}; this room takes the permission \"{permission}\"");
            return Err(Error::new(Code::Forbidden, text));
        }
        Ok(Precondition::RoomSort {
            room: self.room.clone(),
            expected: self.sort.clone(),
        })
    }
}

/// The person who asks; the backend is none.
fn person<'a>(invocation: &'a Invocation, unable: &str) -> Result<&'a Person, Error> {
    match &invocation.actor {
        Actor::User(identity) => Ok(&identity.person),
        Actor::Backend => {
            let text = format!("{unable}; it needs a user, not a key");
            Err(Error::new(Code::Forbidden, text))
        }
    }
}

/// The session over which the command came.
fn session(invocation: &Invocation) -> Option<&SessionId> {
    match &invocation.origin {
        Origin::Session { id } => Some(id),
        Origin::Http => None,
    }
}

/// Whether somebody of that standing may speak in a room: over a session only once it has joined.
fn may_speak(invocation: &Invocation, standing: Standing, unable: &str) -> Result<(), Error> {
    match (standing, &invocation.origin) {
        (Standing::Joined, _) | (Standing::Participant, Origin::Http) => Ok(()),
        (Standing::Participant, Origin::Session { .. }) => {
            let text = format!("{unable}; this session has not joined the room");
            Err(Error::new(Code::NotInRoom, text))
        }
        (Standing::Stranger, _) => Err(not_a_member(unable)),
    }
}

/// Whether somebody of that standing may look into a room: participants, joined or not.
fn may_look(standing: Standing, unable: &str) -> Result<(), Error> {
    match standing {
        Standing::Joined | Standing::Participant => Ok(()),
        Standing::Stranger => Err(not_a_member(unable)),
    }
}

fn not_a_member(unable: &str) -> Error {
    Error::new(Code::NotAMember, format!("{unable}; not a member"))
}

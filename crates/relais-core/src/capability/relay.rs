//! Relays: data that passes through under a name that the sender chose, stored or at most once.
//!
//! In come the command and how the sender stands to the addressed rooms, out goes the event. Which names may be
//! chosen, and the shape of the data, were checked by the vocabulary.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Outcome, facts};
use crate::command::{Actor, Invocation};
use crate::error::{Code, Error};
use crate::event::{Audience, Event, EventKind, Facts};
use crate::ids::{AudienceKey, RoomKey, UserId};

/// Addressees of one relay.
pub const ADDRESSEES_MAX: usize = 1_000;

/// Sends `data` as `event` to `to`. A user must be in every addressed room: `in_room` says so.
pub fn send(
    invocation: &Invocation,
    event: &Arc<str>,
    data: &Value,
    to: &[AudienceKey],
    durable: bool,
    in_room: impl Fn(&RoomKey) -> bool,
) -> Result<Outcome, Error> {
    let unable = "unable to relay";
    if to.is_empty() || to.len() > ADDRESSEES_MAX {
        let text = format!("{unable}; it needs 1 to {ADDRESSEES_MAX} addressees");
        return Err(Error::new(Code::InvalidPayload, text));
    }
    if let Actor::User(_) = invocation.actor
        && rooms(to).any(|room| !in_room(room))
    {
        let text = format!("{unable}; not in the addressed room");
        return Err(Error::new(Code::NotInRoom, text));
    }
    let event = Event {
        room: match to {
            [AudienceKey::Room(room)] => Some(room.clone()),
            _ => None,
        },
        target: match to {
            [AudienceKey::User(user)] => Some(user.clone()),
            _ => None,
        },
        actor: match &invocation.actor {
            Actor::User(identity) => Some(identity.person.clone()),
            Actor::Backend => None,
        },
        session: super::session(invocation).cloned(),
        durable,
        audience: Some(Audience {
            to: to.to_vec(),
            ..Audience::default()
        }),
        ..Event::new(
            EventKind::RelaySent,
            facts::object(json!({ "event": event, "data": data })),
        )
    };
    Ok(Outcome {
        events: vec![event],
        ..Outcome::default()
    })
}

/// The answer: `recipients`, and `delivered` under the name that direct ones have, is the number of connected sessions
/// that were addressed.
pub fn sent(recipients: usize, online: bool) -> Facts {
    facts::object(json!({ "recipients": recipients, "delivered": recipients, "online": online }))
}

/// The addressed rooms.
pub fn rooms(to: &[AudienceKey]) -> impl Iterator<Item = &RoomKey> {
    to.iter().filter_map(|key| match key {
        AudienceKey::Room(room) => Some(room),
        AudienceKey::Tenant | AudienceKey::User(_) | AudienceKey::Role(_) => None,
    })
}

/// The addressed users.
pub fn users(to: &[AudienceKey]) -> impl Iterator<Item = &UserId> {
    to.iter().filter_map(|key| match key {
        AudienceKey::User(user) => Some(user),
        AudienceKey::Tenant | AudienceKey::Room(_) | AudienceKey::Role(_) => None,
    })
}

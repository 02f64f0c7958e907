//! Relays: data that passes through under a name that the sender chose, stored or at most once.
//!
//! In come the command and how the sender stands to the addressed rooms, out goes the event. Which names may be
//! chosen, to whom, and the shape of the data, were checked by the vocabulary. Who sent it stands beside the data, stamped here.

use serde_json::json;

use super::facts;
use crate::command::{Actor, Invocation, NewRelay};
use crate::error::{Code, Error};
use crate::event::{Audience, Event, EventKind, Facts};
use crate::ids::{AudienceKey, RoomKey, UserId};

/// Addressees of one relay.
pub const ADDRESSEES_MAX: usize = 1_000;

/// The event that carries `relay`. A user must be in every addressed room: `in_room` says so.
pub fn event(
    invocation: &Invocation,
    relay: NewRelay,
    in_room: impl Fn(&RoomKey) -> bool,
) -> Result<Event, Error> {
    let unable = "unable to relay";
    if relay.to.is_empty() || relay.to.len() > ADDRESSEES_MAX {
        let text = format!("{unable}; it needs 1 to {ADDRESSEES_MAX} addressees");
        return Err(Error::new(Code::InvalidPayload, text));
    }
    if relay.durable && !relay.attachments.is_empty() {
        let text = format!("{unable}; binary arguments cannot be stored");
        return Err(Error::new(Code::InvalidPayload, text));
    }
    if let Actor::User(_) = invocation.actor
        && needed(&relay).any(|room| !in_room(room))
    {
        let text = format!("{unable}; not in the addressed room");
        return Err(Error::new(Code::NotInRoom, text));
    }
    let mut body = Facts::new();
    body.insert("event".into(), (*relay.event).into());
    body.insert("data".into(), relay.data);
    Ok(Event {
        room: match &*relay.to {
            [AudienceKey::Room(room)] => Some(room.clone()),
            _ => None,
        },
        target: match &*relay.to {
            [AudienceKey::User(user)] => Some(user.clone()),
            _ => None,
        },
        actor: match &invocation.actor {
            Actor::User(identity) => Some(identity.person.clone()),
            Actor::Backend => None,
        },
        session: super::session(invocation).cloned(),
        durable: relay.durable,
        audience: Some(Audience {
            to: relay.to,
            ..Audience::default()
        }),
        attachments: relay.attachments,
        ..Event::new(EventKind::RelaySent, body)
    })
}

/// The answer: `recipients`, and `delivered` under the name that direct ones have, is the number of connected sessions
/// that were addressed.
pub fn sent(recipients: usize, online: bool) -> Facts {
    facts::object(json!({ "recipients": recipients, "delivered": recipients, "online": online }))
}

/// The addressed rooms in which a user has to be.
pub fn needed(relay: &NewRelay) -> impl Iterator<Item = &RoomKey> {
    relay.to.iter().filter_map(|key| match key {
        AudienceKey::Room(room) => Some(room).filter(|room| !relay.own.contains(room)),
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

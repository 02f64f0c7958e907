//! What rooms are: their names and sorts, who may write in them, and how they are created and listed.
//!
//! In come what is kept about a room and what the app file says of its kind; out go decisions and outcomes. A sort is a word of the app
//! file; one alone means something here: a room of the sort `direct` has at most two kept members.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{RoomPolicy, add_member};
use crate::capability::{Outcome, Standing, Writing, facts, not_a_member};
use crate::command::{Actor, Invocation, NewRoom};
use crate::error::{Code, Error};
use crate::event::Facts;
use crate::ids::RoomKey;
use crate::ports::{Change, Membership, Precondition, RoomInfo, RoomState};

/// The permission of a sort in which everybody who is in may write, as the app file says it.
const EVERYBODY: &str = "all";
/// The sort of a room for two.
pub const DIRECT: &str = "direct";
/// Kept members of such a room.
pub const DIRECT_MEMBERS_MAX: u32 = 2;
/// Rooms of one list.
pub const ROOMS_LISTED_MAX: usize = 1_024;

/// Whether somebody with these permissions may write in a room. `None` where the kind has no sorts, so that everybody who is in may.
pub fn writing(
    policy: Option<&RoomPolicy>,
    room: &RoomKey,
    sort: Option<Arc<str>>,
    permissions: &[Arc<str>],
) -> Option<Writing> {
    let sorts = policy.map_or(&[][..], |policy| &policy.sorts);
    let found = sorts.iter().find(|(known, _)| Some(known) == sort.as_ref());
    let (_, permission) = found.or(sorts.first())?;
    Some(Writing {
        room: room.clone(),
        sort,
        is_allowed: **permission == *EVERYBODY || permissions.contains(permission),
        permission: permission.clone(),
    })
}

/// What is known about a room that somebody wants to create.
#[derive(Clone, Debug)]
pub struct Found {
    /// As it is kept, for the one who asks.
    pub state: RoomState,
    /// How the one who asks stands to it.
    pub standing: Standing,
    /// Whether anybody was ever heard of in it.
    pub is_used: bool,
}

/// Says what a room is, and makes whoever says it a member. A room that exists is nobody's to take: only who is in it already
/// says what it is, once. The same from the same one again gives the same answer.
pub fn create(
    invocation: &Invocation,
    room: &RoomKey,
    new: &NewRoom,
    policy: Option<&RoomPolicy>,
    found: &Found,
) -> Result<Outcome, Error> {
    let unable = "unable to create room";
    let state = &found.state;
    let creator = match &invocation.actor {
        Actor::User(identity) => Some(&identity.person.id),
        Actor::Backend => None,
    };
    let info = RoomInfo {
        room: room.clone(),
        name: new.name.clone(),
        sort: new.sort.clone(),
        created_at: invocation.now.wall,
        created_by: creator.cloned(),
    };
    if let Some(known) = &state.info {
        let created_at = known.created_at;
        if *known != (RoomInfo { created_at, ..info }) {
            return Err(exists(unable));
        }
        return Ok(Outcome {
            reply: created(policy, room, state),
            ..Outcome::default()
        });
    }
    let mut outcome = Outcome::default();
    if let Some(creator) = creator {
        if state.membership == Membership::Removed {
            return Err(not_a_member(unable));
        }
        if found.is_used && found.standing == Standing::Stranger {
            return Err(exists(unable));
        }
        outcome = add_member(invocation, room, creator, policy, state.membership);
    }
    outcome.preconditions.push(Precondition::RoomSort {
        room: room.clone(),
        expected: None,
    });
    let state = RoomState {
        info: Some(info.clone()),
        ..state.clone()
    };
    outcome.reply = created(policy, room, &state);
    outcome.changes.push(Change::SetRoom(info));
    Ok(outcome)
}

fn exists(unable: &str) -> Error {
    Error::new(Code::InvalidState, format!("{unable}; it exists already"))
}

fn created(policy: Option<&RoomPolicy>, room: &RoomKey, state: &RoomState) -> Facts {
    facts::object(json!({ "room": shown(policy, room, state) }))
}

/// A room as somebody sees it in a list: `{id, name, kind, unread, lastSeq}`.
pub fn shown(policy: Option<&RoomPolicy>, room: &RoomKey, state: &RoomState) -> Value {
    let first = policy.and_then(|policy| policy.sorts.first());
    let (name, sort) = match &state.info {
        Some(info) => (&info.name, &info.sort),
        None => (&room.id, first.map_or(&room.kind, |(sort, _)| sort)),
    };
    json!({
        "id": room.id,
        "name": name,
        "kind": sort,
        "unread": state.unread,
        "lastSeq": state.last_seq.0,
    })
}

/// The answer to a list of rooms: `{rooms}`.
pub fn listed(rooms: Vec<Value>) -> Facts {
    facts::object(json!({ "rooms": rooms }))
}

/// Refuses a third member of a room for two. `members` are those that are kept, without the new one.
pub fn check_size(room: &RoomKey, members: usize) -> Result<Precondition, Error> {
    if members >= DIRECT_MEMBERS_MAX as usize {
        let text = format!("unable to add member; a direct room has {DIRECT_MEMBERS_MAX} members");
        return Err(Error::new(Code::InvalidState, text));
    }
    Ok(Precondition::MembersBelow {
        room: room.clone(),
        count: DIRECT_MEMBERS_MAX,
    })
}

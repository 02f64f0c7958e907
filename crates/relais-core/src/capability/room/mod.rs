//! Rooms: who may join one, and what joining, leaving, adding and removing change.
//!
//! In come the room's [`RoomPolicy`] (plain data, made from the app file by others) and what is kept about a
//! membership; out go outcomes. Who is in a room right now is the roster's; this file only words its transitions.

pub mod sort;

use std::sync::Arc;

use serde_json::json;

use super::{Effect, Outcome, Standing, facts};
use crate::command::{Actor, Invocation};
use crate::error::{Code, Error};
use crate::event::{Audience, Event, EventKind, Facts, Item, Shown, Transition, What};
use crate::ids::{AudienceKey, ItemId, ItemKey, RoomKey, Seq, SessionId, Shelf, UserId};
use crate::ports::{Change, Member, Membership, Precondition};

/// Rooms that one session may be in at once, automatic ones included.
pub const SESSION_ROOMS_MAX: usize = 128;

/// Rooms that one user may follow: as many as a session joins by membership at its start.
pub const FOLLOWED_MAX: usize = 1_024;

/// One way to be a participant of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinPolicy {
    /// The server keeps a membership.
    Member,
    /// The token names the room.
    Claim,
    /// Everyone of the tenant.
    Open,
    /// The team's own backend is asked.
    Webhook,
}

/// Who may join the rooms of one kind: whoever one of these lets in. A webhook is asked only if no other does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomPolicy {
    /// Empty lets nobody in.
    pub join: Vec<JoinPolicy>,
    /// Whether every session of a kept member is in the room at once.
    pub joins_members: bool,
    /// Sorts of room of this kind, each with the permission that writing takes; the first is that of a room of which nobody has said
    /// what it is. Empty: everybody who is in may write.
    pub sorts: Vec<(Arc<str>, Arc<str>)>,
    /// The kind of item that such a room is about: the one with the room's id, in no room itself.
    pub item: Option<Arc<str>>,
}

impl RoomPolicy {
    /// The item that a room of this kind is about.
    pub fn subject(&self, room: &RoomKey) -> Option<ItemKey> {
        Some(ItemKey {
            shelf: Shelf {
                kind: self.item.clone()?,
                room: None,
            },
            id: ItemId::text(room.id.clone()),
        })
    }
}

/// Says of a change of members what the room is about, and whose that is.
pub fn about(outcome: &mut Outcome, subject: &Item) {
    for event in &mut outcome.events {
        let is_of_members = matches!(
            event.kind,
            EventKind::MemberAdded | EventKind::MemberRemoved
        );
        if is_of_members {
            let body = &mut event.body;
            body.insert("itemId".to_owned(), subject.key.id.to_json());
            if let Some(owner) = &subject.owner {
                body.insert("owner".to_owned(), facts::person(owner));
            }
        }
    }
}

/// Whether somebody is a participant, as far as token and store can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Participation {
    /// A participant.
    Yes,
    /// None.
    No,
    /// The team's own backend says.
    AskBackend,
}

/// Whether somebody is a participant. A removal outranks every policy until the member is added again.
pub fn participation(
    policy: Option<&RoomPolicy>,
    claimed: bool,
    membership: Membership,
) -> Participation {
    if membership == Membership::Removed {
        return Participation::No;
    }
    let policies = policy.map_or(&[][..], |policy| &policy.join);
    let known = policies.iter().any(|policy| match policy {
        JoinPolicy::Member => membership == Membership::Member,
        JoinPolicy::Claim => claimed,
        JoinPolicy::Open => true,
        JoinPolicy::Webhook => false,
    });
    match known {
        true => Participation::Yes,
        false if policies.contains(&JoinPolicy::Webhook) => Participation::AskBackend,
        false => Participation::No,
    }
}

/// Whether somebody of whom only the kept membership is known can be a participant: a claim or webhook that nobody has
/// seen may still name them.
pub fn may_participate(policy: Option<&RoomPolicy>, membership: Membership) -> bool {
    let policies = policy.map_or(&[][..], |policy| &policy.join);
    match membership {
        Membership::Member => true,
        Membership::Removed => false,
        Membership::Unknown => policies.iter().any(|policy| *policy != JoinPolicy::Member),
    }
}

/// A session enters a room. `loaded` is what is kept about the user's membership, `rooms` how many the session is in,
/// and `rooms_max` in how many it may be.
pub fn join(
    invocation: &Invocation,
    session: &SessionId,
    room: &RoomKey,
    standing: Standing,
    loaded: Membership,
    (rooms, rooms_max): (usize, usize),
) -> Result<Outcome, Error> {
    let unable = "unable to join room";
    let person = super::person(invocation, unable)?;
    super::may_look(standing, unable)?;
    if rooms >= rooms_max {
        let text = format!("{unable}; this session is in {rooms_max} rooms already");
        return Err(Error::new(Code::InvalidState, text));
    }
    let (session, room) = (session.clone(), room.clone());
    Ok(Outcome {
        preconditions: vec![Precondition::Membership {
            room: room.clone(),
            user: person.id.clone(),
            expected: loaded,
        }],
        changes: vec![Change::JoinSession {
            session: session.clone(),
            room: room.clone(),
        }],
        effects: vec![Effect::Enter { session, room }],
        ..Outcome::default()
    })
}

/// The answer to a join, once the session is in the room: `{room, online?, lastSeq?, unread?}`.
pub fn joined(
    room: &RoomKey,
    online: Option<&[Shown]>,
    last_seq: Option<Seq>,
    unread: Option<u32>,
) -> Facts {
    let mut facts = Facts::new();
    facts.insert("room".into(), facts::room(room));
    if let Some(online) = online {
        facts.insert("online".into(), facts::people(online));
    }
    if let Some(seq) = last_seq {
        facts.insert("lastSeq".into(), seq.0.into());
    }
    if let Some(unread) = unread {
        facts.insert("unread".into(), unread.into());
    }
    facts
}

/// A session leaves a room that it has joined.
pub fn leave(session: &SessionId, room: &RoomKey, standing: Standing) -> Result<Outcome, Error> {
    if standing != Standing::Joined {
        let text = "unable to leave room; this session has not joined it";
        return Err(Error::new(Code::NotInRoom, text));
    }
    let (session, room) = (session.clone(), room.clone());
    Ok(Outcome {
        reply: facts::object(json!({ "room": facts::room(&room) })),
        changes: vec![Change::LeaveSession {
            session: session.clone(),
            room: room.clone(),
        }],
        effects: vec![Effect::Leave { session, room }],
        ..Outcome::default()
    })
}

/// The answer to who is in a room now: `{room, users, count}`.
pub fn online(room: &RoomKey, standing: Standing, users: &[Shown]) -> Result<Facts, Error> {
    super::may_look(standing, "unable to list who is in the room")?;
    Ok(facts::object(json!({
        "room": facts::room(room),
        "users": facts::people(users),
        "count": users.len(),
    })))
}

/// Makes a user a member. A member already: nothing changes and nothing is told. Where the room is joined by membership, all
/// of the user's sessions join at once.
pub fn add_member(
    invocation: &Invocation,
    room: &RoomKey,
    user: &UserId,
    policy: Option<&RoomPolicy>,
    loaded: Membership,
) -> Outcome {
    let change = Change::AddMember {
        room: room.clone(),
        user: user.clone(),
    };
    let wanted = Membership::Member;
    let mut outcome = member_change(
        invocation,
        room,
        user,
        loaded,
        wanted,
        change,
        EventKind::MemberAdded,
    );
    if policy.is_some_and(|policy| policy.joins_members) {
        outcome.effects.push(Effect::Admit {
            user: user.clone(),
            room: room.clone(),
        });
    }
    outcome
}

/// Makes the one who asks a member, by their own will: somebody who was removed stays out until they are added again. `kept` is
/// how many rooms they are a member of.
pub fn follow(
    invocation: &Invocation,
    room: &RoomKey,
    user: &UserId,
    policy: Option<&RoomPolicy>,
    loaded: Membership,
    kept: usize,
) -> Result<Outcome, Error> {
    let unable = "unable to follow";
    if loaded == Membership::Removed {
        let text = format!("{unable}; this user was removed");
        return Err(Error::new(Code::Forbidden, text));
    }
    if loaded != Membership::Member && kept >= FOLLOWED_MAX {
        let text = format!("{unable}; this user is a member of {FOLLOWED_MAX} rooms already");
        return Err(Error::new(Code::InvalidState, text));
    }
    Ok(add_member(invocation, room, user, policy, loaded))
}

/// Ends the membership of the one who asks. Nothing is remembered of it, so that they may follow again. No member: nothing changes.
pub fn unfollow(
    invocation: &Invocation,
    room: &RoomKey,
    user: &UserId,
    loaded: Membership,
    sessions: Vec<SessionId>,
) -> Outcome {
    let change = Change::ForgetMember {
        room: room.clone(),
        user: user.clone(),
    };
    if loaded != Membership::Member {
        let reply = facts::object(json!({ "room": facts::room(room), "userId": user.to_json() }));
        return Outcome {
            reply,
            ..Outcome::default()
        };
    }
    let wanted = Membership::Unknown;
    let kind = EventKind::MemberRemoved;
    let outcome = member_change(invocation, room, user, loaded, wanted, change, kind);
    thrown_out(outcome, room, user, sessions)
}

/// Ends a membership and remembers it. Removed already: nothing changes, but sessions still in the room are taken out.
/// `sessions` are the user's sessions that are in the room.
pub fn remove_member(
    invocation: &Invocation,
    room: &RoomKey,
    user: &UserId,
    loaded: Membership,
    sessions: Vec<SessionId>,
) -> Outcome {
    let change = Change::RemoveMember {
        room: room.clone(),
        user: user.clone(),
    };
    let wanted = Membership::Removed;
    let outcome = member_change(
        invocation,
        room,
        user,
        loaded,
        wanted,
        change,
        EventKind::MemberRemoved,
    );
    thrown_out(outcome, room, user, sessions)
}

/// The user's sessions leave the room with the change.
fn thrown_out(
    mut outcome: Outcome,
    room: &RoomKey,
    user: &UserId,
    sessions: Vec<SessionId>,
) -> Outcome {
    outcome.effects.push(Effect::Evict {
        user: user.clone(),
        room: room.clone(),
    });
    if !sessions.is_empty() {
        outcome.changes.push(Change::LeaveSessions {
            sessions,
            room: room.clone(),
        });
    }
    outcome
}

fn member_change(
    invocation: &Invocation,
    room: &RoomKey,
    user: &UserId,
    loaded: Membership,
    wanted: Membership,
    change: Change,
    kind: EventKind,
) -> Outcome {
    let reply = facts::object(json!({ "room": facts::room(room), "userId": user.to_json() }));
    if loaded == wanted {
        return Outcome {
            reply,
            ..Outcome::default()
        };
    }
    let body = facts::object(json!({ "userId": user.to_json() }));
    let event = Event {
        room: Some(room.clone()),
        actor: match &invocation.actor {
            Actor::User(identity) => Some(identity.person.clone()),
            Actor::Backend => None,
        },
        session: super::session(invocation).cloned(),
        target: Some(user.clone()),
        durable: true,
        audience: Some(Audience {
            to: vec![
                AudienceKey::Room(room.clone()),
                AudienceKey::User(user.clone()),
            ],
            ..Audience::default()
        }),
        ..Event::new(kind, body)
    };
    Outcome {
        preconditions: vec![Precondition::Membership {
            room: room.clone(),
            user: user.clone(),
            expected: loaded,
        }],
        changes: vec![change],
        events: vec![event],
        reply,
        ..Outcome::default()
    }
}

/// The answer to a list of members: `{room, members}`.
pub fn members(room: &RoomKey, members: &[Member]) -> Facts {
    let members: Vec<_> = members
        .iter()
        .map(|member| {
            json!({ "userId": member.user.to_json(), "addedAt": member.added_at.to_string() })
        })
        .collect();
    facts::object(json!({ "room": facts::room(room), "members": members }))
}

/// The event of a transition in a room; `None` for those that are about presence.
pub fn event(transition: &Transition) -> Option<Event> {
    let (kind, room) = match &transition.what {
        What::Joined(room) => (EventKind::RoomJoined, room),
        What::Left(room) => (EventKind::RoomLeft, room),
        What::Online | What::Offline | What::Changed => return None,
    };
    Some(Event {
        room: Some(room.clone()),
        actor: Some(transition.shown.person.clone()),
        audience: Some(Audience {
            to: transition.to.clone(),
            except_user: Some(transition.shown.person.id.clone()),
            except_session: None,
        }),
        ..Event::new(kind, facts::someone(&transition.shown))
    })
}
